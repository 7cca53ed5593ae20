"""The demo as a separate process, as a newcomer starts it, and ways to end it."""

import contextlib
import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

PRODUCTS = ("report.html", "report.pdf", "metrics.json")
# Ends a hanging test; far beyond what a busy machine needs.
HANG_SECONDS = 600


def start(folder, track="table", *more):
    """Start the demo in a new session, so that one signal can reach its children too."""
    command = [
        sys.executable,
        "-m",
        "healthval",
        "demo",
        "--track",
        track,
        "--folder",
        str(folder),
        *more,
    ]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=_heed_ctrl_c,  # noqa: PLW1509 - it sets one signal and takes no lock
    )


def _heed_ctrl_c():
    """A parent in the background of a shell ignores the signal, and children inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def finish(process):
    """Wait until the demo has succeeded; return its output."""
    out, err = process.communicate(timeout=HANG_SECONDS)
    assert process.returncode == 0, err[-2000:]
    return out


def interrupt(process):
    """End a demo that serves, as Ctrl-C does."""
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=HANG_SECONDS)
    assert process.returncode == 0


def kill_at(process, mark, *, group):
    """Kill -9 when the file `mark` appears: at the same step on a fast and on a busy machine."""
    assert not mark.exists(), f"{mark.name} is left from an earlier step"
    while not mark.exists():
        assert process.poll() is None, f"the demo ended before {mark.name} appeared"
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL) if group else process.kill()
    process.wait()
    process.stdout.close()
    process.stderr.close()


def processes_of(folder):
    """Pids of processes whose command line contains the demo's folder."""
    return [pid for pid, line in command_lines() if str(folder) in line and pid != os.getpid()]


def command_lines():
    """Pid and command line of each process: from /proc, or from ps on macOS."""
    if not Path("/proc/self").exists():
        listed = subprocess.check_output(["ps", "-Aww", "-o", "pid=,args="], text=True)
        for line in listed.splitlines():
            pid, _, command = line.strip().partition(" ")
            yield int(pid), command
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            yield int(entry.name), (entry / "cmdline").read_text(errors="replace", encoding="utf-8")


def wait_until_gone(folder, seconds=300):
    """True as soon as no process of the demo is left; a busy machine may need a while."""
    end = time.monotonic() + seconds
    while processes_of(folder):
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


def digests(folder):
    """SHA-256 of each product that exists."""
    products = [folder / name for name in PRODUCTS if (folder / name).exists()]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in products}
