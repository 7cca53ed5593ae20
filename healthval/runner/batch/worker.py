"""A warm worker: a separate process that executes one run after another, and its handle.

The worker is started with the fixed environment of kernels (hash seed, time zone, one thread), loads
the imports once, and forks a process for each run.
"""

import json
import os
import secrets
import select
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from healthval.runner.batch.matrix import Run
from healthval.runner.batch.one_run import Outcome, execute
from healthval.runner.execute import KERNEL_ENVIRONMENT

# A notebook decides its own plot backend; figures of ours do not need one.
ENVIRONMENT = {name: value for name, value in KERNEL_ENVIRONMENT.items() if name != "MPLBACKEND"}


MARK = "HEALTHVAL_WORKER"
PATIENCE_SECONDS = 300.0  # after a run's time-out, for its page; then the worker itself is stuck


class Worker:
    """Handle of a worker process; the process ends with this one, also after a kill."""

    def __init__(self, engine: str) -> None:
        self._mark = f"{MARK}={secrets.token_hex(16)}"
        self._deadline: float | None = None
        self._process: subprocess.Popen[bytes] = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "healthval.runner.batch.worker", engine],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | ENVIRONMENT | dict([self._mark.split("=")]),
        )

    @property
    def pipe(self) -> IO[bytes]:
        """Pipe with the worker's outcomes, one per line."""
        if self._process.stdout is None:
            raise RuntimeError("the worker has no pipe")
        return self._process.stdout

    def send(self, run: Run) -> None:
        """Give the worker its next run."""
        wait = None if run.timeout is None else run.timeout + PATIENCE_SECONDS
        self._deadline = None if wait is None else time.monotonic() + wait
        content = asdict(run) | {"notebook": str(run.notebook), "folder": str(run.folder)}
        if self._process.stdin is None:
            raise RuntimeError("the worker has no pipe")
        self._process.stdin.write(json.dumps(content).encode() + b"\n")
        self._process.stdin.flush()

    def seconds_left(self) -> float | None:
        """Return the time after which a worker without an outcome is stuck; None for any time.

        A worker enforces the time-out of its run by itself, unless the notebook stops the worker.
        """
        return None if self._deadline is None else max(0.0, self._deadline - time.monotonic())

    def outcome(self) -> Outcome | None:
        """Wait for the run's outcome; None if the worker ended before, or is stuck."""
        ready, _, _ = select.select([self.pipe], [], [], self.seconds_left())
        if not ready:
            return None
        line = self.pipe.readline()
        return Outcome(**json.loads(line)) if line.endswith(b"\n") else None

    def stop(self) -> None:
        """End the worker and every process of its runs."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        _end_marked(self._mark.encode())


def _end_marked(mark: bytes) -> None:
    """End what a notebook of a killed worker started: every process with the worker's mark.

    A process that was started in a session of its own ends neither with its group nor with its
    parent. A process that removed the mark from its environment is not found. One that is just
    executing a program shows no environment for a moment, so nothing is found twice in a row.
    """
    empty = 0
    while empty < 2:
        found = False
        for place in Path("/proc").glob("[0-9]*/environ"):
            try:
                if mark not in place.read_bytes().split(b"\0"):
                    continue
                os.kill(int(place.parent.name), signal.SIGKILL)
                found = True
            except OSError:  # it ended, or is another user's
                continue
        empty = 0 if found else empty + 1
        time.sleep(0.01)


def ended_run(run: Run) -> Outcome:
    """Return the outcome of a run whose worker ended."""
    return Outcome(
        id=run.id,
        status="failed",
        error="the worker process ended during the run, or was stuck after the run's time-out and was"
        " ended; look for lack of memory, then --retry-failed",
        seconds=0.0,
    )


def _serve(engine: str) -> None:
    # What libraries print must not mix with the outcomes.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]  # a second at import
    from healthval.runner import fork_engine

    if sys.platform == "linux":
        fork_engine.die_with_parent()
        fork_engine.adopt_orphans()
    fork_engine.register()
    warm: set[Path] = set()
    for line in sys.stdin.buffer:
        run = _run(json.loads(line))
        if run.notebook not in warm:
            warm.add(run.notebook)
            fork_engine.warm(_sources(run.notebook))
        outcome = execute(run, engine)
        fork_engine.reap_orphans()  # also of an engine that does not look for them
        answers.write(json.dumps(asdict(outcome)).encode() + b"\n")
        answers.flush()


def _sources(notebook: Path) -> list[str]:
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def _run(content: dict[str, Any]) -> Run:
    places = {"notebook": Path(content["notebook"]), "folder": Path(content["folder"])}
    return Run(**(content | places))


if __name__ == "__main__":
    _serve(sys.argv[1])
