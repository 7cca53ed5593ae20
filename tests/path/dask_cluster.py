"""A Dask cluster of separate processes on loopback, for tests."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

LONG = 1800  # a bound for what should happen soon, on a machine that may be busy


@dataclass
class Cluster:
    address: str
    scheduler: subprocess.Popen
    workers: list
    log: Path

    def kill(self, process):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def seen(self):
        """All that Dask shows: its logs, names of tasks, events, timeline and profile, as text."""
        from distributed import Client

        def tasks(dask_scheduler):
            known = dask_scheduler
            events = [list(topic.events) for topic in known._broker._topics.values()]
            return repr(
                (list(known.tasks), list(known.task_prefixes), list(known.task_groups), events)
            )

        with Client(self.address, timeout=LONG, set_as_default=False) as client:
            parts = [client.run_on_scheduler(tasks), client.get_task_stream(), client.profile()]
            parts += [
                client.get_scheduler_logs(),
                client.get_worker_logs(),
                client.scheduler_info(),
            ]
            parts.append(client.get_events())
        return repr(parts) + self.log.read_text(encoding="utf-8", errors="replace")


def wait_until_listening(port):
    end = time.monotonic() + LONG
    while True:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=LONG).close()
            return
        assert time.monotonic() < end
        time.sleep(0.05)


@contextlib.contextmanager
def cluster(folder, workers=2):
    """A Dask scheduler and workers as processes on loopback."""
    pytest.importorskip("distributed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    python = [sys.executable, "-m", "distributed.cli.dask_scheduler"]
    log = (folder / "dask.log").open("wb")
    common = {"cwd": folder, "stdout": log, "stderr": log, "start_new_session": True}
    flags = ["--host", "127.0.0.1", "--port", str(port), "--no-dashboard"]
    started = [subprocess.Popen([*python, *flags], **common)]
    worker = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads", "1"]
    worker += ["--host", "127.0.0.1", "--no-dashboard", "--no-nanny"]
    started += [subprocess.Popen(worker, **common) for _ in range(workers)]
    made = Cluster(address, started[0], started[1:], folder / "dask.log")
    try:
        wait_until_listening(port)
        made.seen()  # Dask records its timeline from here on
        yield made
    finally:
        for process in started:
            made.kill(process)
        log.close()
