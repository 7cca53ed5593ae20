"""Child processes: start a command, wait for its line of JSON, stop it; each ends with its parent.

A child writes one line of JSON to standard output when it is ready. When it cannot start it writes
``{"failed": reason}``, to standard output or as the last line of its log. It stops when its standard input is closed: the system closes that pipe also when
the parent is killed.
"""

import json
import math
import os
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Final

from healthval.errors import UsageError

START_SECONDS: Final = 300.0
STOP_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.2
# For a line that was written just before the child ended.
_LAST_LINE_SECONDS: Final = 5.0


class ChildFailed(Exception):
    """The child ended or did not write its line; the message is the reason."""


class ChildProcess:
    """A running child.

    A child that is alive may take up to `start_seconds` for its line, so that a start does not
    depend on the speed of the machine.

    Parameters
    ----------
    command : program and arguments
    log : file that receives standard error; it is discarded where this is None
    environment : variables of the child; those of this process where this is None
    start_seconds : upper bound for a child that never writes its line
    pass_fds : open files that the child inherits under the same numbers
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        log: IO[bytes] | None = None,
        environment: Mapping[str, str] | None = None,
        start_seconds: float = START_SECONDS,
        pass_fds: Sequence[int] = (),
    ) -> None:
        self.process = subprocess.Popen(  # noqa: S603 - arguments as a list
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if log is None else log,
            env=environment,
            pass_fds=pass_fds,
        )
        self._log = None if log is None else (log.name, log.tell())
        self._start_seconds = start_seconds
        self._deadline = time.monotonic() + start_seconds
        self._line: bytes | None = None
        # A thread reads the line: `select` does not work on pipes everywhere.
        self._reader = threading.Thread(target=self._read_line, daemon=True)
        self._reader.start()

    @property
    def is_alive(self) -> bool:
        """Whether the process is running."""
        return self.process.poll() is None

    def first_line(self) -> dict[str, Any]:
        """Wait for the child's line.

        Raises
        ------
        ChildFailed
            As soon as the child has ended, or after `start_seconds`.
        """
        self._has_line_by(math.inf)
        return self._parsed_line()

    def first_line_within(self, seconds: float) -> dict[str, Any] | None:
        """Return the child's line, or None if the child is still starting after `seconds`."""
        return self._parsed_line() if self._has_line_by(time.monotonic() + seconds) else None

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Close the child's standard input, wait for its end, and kill it after `seconds`."""
        assert self.process.stdin is not None  # noqa: S101 - for the type checker
        assert self.process.stdout is not None  # noqa: S101
        self.process.stdin.close()
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._reader.join(_POLL_SECONDS)
        if not self._reader.is_alive():  # else a process that the child left has the pipe open
            self.process.stdout.close()

    def _read_line(self) -> None:
        assert self.process.stdout is not None  # noqa: S101 - for the type checker
        self._line = self.process.stdout.readline()

    def _has_line_by(self, end: float) -> bool:
        """Wait for the line or the child's end; False if both are still missing at `end`."""
        while self._reader.is_alive() and self.is_alive:
            now = time.monotonic()
            if now >= self._deadline:
                self.process.kill()
                raise ChildFailed(f"the process did not answer within {self._start_seconds:g} s")
            if now >= end:
                return False
            self._reader.join(min(_POLL_SECONDS, end - now))
        self._reader.join(_LAST_LINE_SECONDS)
        return True

    def _parsed_line(self) -> dict[str, Any]:
        if not self._line:
            raise ChildFailed(self._reason() or self._end())
        try:
            line = json.loads(self._line)
        except ValueError:
            line = None
        if not isinstance(line, dict):
            raise ChildFailed("the first line of the process is not a JSON object")
        if "failed" in line:
            raise ChildFailed(str(line["failed"]))
        return line

    def _reason(self) -> str | None:
        """Return the reason in the last line of the log, of which only this form is quoted."""
        with suppress(OSError, ValueError, KeyError, TypeError, IndexError):
            name, start = self._log or ("", 0)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(_LAST_LINE_SECONDS)
            return str(json.loads(Path(name).read_bytes()[start:].splitlines()[-1])["failed"])
        return None

    def _end(self) -> str:
        try:
            code = self.process.wait(_LAST_LINE_SECONDS)
        except subprocess.TimeoutExpired:
            return "the process closed its standard output before it answered"
        return f"the process ended with exit code {code} before it answered"


def stop_with_parent(stop: Callable[[], None]) -> None:
    """Call `stop` once standard input is closed, in a thread: the parent has ended or asks for it."""

    def wait() -> None:
        # Not `sys.stdin.buffer`: its lock, held by this thread, breaks the interpreter's shutdown.
        with suppress(OSError):
            while os.read(0, 4096):
                pass
        stop()

    threading.Thread(target=wait, daemon=True).start()


def check_platform() -> None:
    """Refuse a system that lacks the process and file functions of the hub.

    Raises
    ------
    UsageError
        If the system is neither Linux nor macOS.
    """
    if os.name != "posix":
        raise UsageError("healthval's hub needs Linux or macOS")
