"""The demo as a process of its own, as a newcomer starts it."""

import hashlib
import subprocess
import sys

PRODUCTS = ("report.html", "report.pdf", "metrics.json")


def start(folder, track="table"):
    """Start it in a session of its own, so that a kill reaches its children too."""
    command = [sys.executable, "-m", "healthval", "demo", "--track", track, "--folder", str(folder)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def finish(process):
    """Wait for a good end; gives what it printed."""
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err[-2000:]
    return out


def digests(folder):
    """SHA-256 of each product."""
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in PRODUCTS}
