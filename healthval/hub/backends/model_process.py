"""One model server as a child process: a fresh copy of its artefact, a private socket, a sandbox."""

import fcntl
import http.client
import math
import os
import shutil
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, LifoQueue

from healthval.errors import HostingError
from healthval.hosting import sandbox
from healthval.hosting.artefact import unpack
from healthval.hosting.child_process import START_SECONDS, ChildProcess
from healthval.hub.ports import HostedModel, ModelFailed

# Longest wait of one call for a model that is loading; below the client's time-out.
WAIT_SECONDS = 25.0
# The model server answers 504 after 60 s; that answer must arrive first.
ANSWER_SECONDS = 70.0
WATCH_SECONDS = 0.1
# The model server ends a connection that is idle for 65 s.
KEEP_SECONDS = 30.0
LOCK = ".lock"
MAX_SOCKET_BYTES = 103  # of macOS; Linux allows 107
# As of SageMaker; a model's code could send without end.
MAX_ANSWER_BYTES = 4 * 1024**2


@dataclass(frozen=True, slots=True, kw_only=True)
class HostOptions:
    """Options of the model processes of one hub.

    Attributes
    ----------
    isolated : False runs the vendor's code with the rights of the hub (`--trust-models`)
    hidden : folder of the hub's data, which a model must not see
    idle_seconds : a process that is unused for so long ends
    start_seconds : upper bound for loading a model
    wait_seconds : a call raises HostUnavailable if the model is still loading after so long
    """

    isolated: bool = True
    hidden: Path
    idle_seconds: float = 300
    start_seconds: float = START_SECONDS
    wait_seconds: float = WAIT_SECONDS


class ModelProcess:
    """A running model server and its folder, which is deleted at its end.

    The artefact is unpacked anew at every start, so files that were changed on the disk are never
    served under the registered digest.
    """

    def __init__(
        self, model: HostedModel, artefact: bytes, home: Path, options: HostOptions
    ) -> None:
        self._model, self._options = model, options
        self._folder, self._lock = _locked_folder(home)
        self._socket = _socket_path(self._folder)
        self._idle: LifoQueue[_UnixConnection] = LifoQueue()
        self._calls: dict[_UnixConnection, float] = {}  # calls under way, and their ends
        self.failure: str | None = None
        try:
            _unpack(artefact, self._folder / "model")
            (self._folder / "inputs").mkdir()
            self.child = self._start()
        except BaseException:
            self._clean()
            raise
        threading.Thread(target=self._watch, daemon=True).start()

    def post(self, body: bytes) -> tuple[int, bytes]:
        """POST `body` to the model server; return status and answer.

        Raises
        ------
        ModelFailed
            If the answer is too large.
        """
        link = self._connection()
        self._calls[link] = time.monotonic() + ANSWER_SECONDS
        try:
            link.request("POST", "/invocations", body, {"Content-Type": "application/json"})
            answer = link.getresponse()
            content = _content(answer)
        except BaseException:
            link.close()
            raise
        finally:
            del self._calls[link]
        link.last_used = time.monotonic()
        self._idle.put(link)
        return answer.status, content

    def _connection(self) -> "_UnixConnection":
        """Return an open connection, or a new one if none is idle."""
        with suppress(Empty):
            while True:
                link = self._idle.get_nowait()
                if time.monotonic() - link.last_used < KEEP_SECONDS:
                    return link
                link.close()
        return _UnixConnection(self._socket, timeout=ANSWER_SECONDS)

    @contextmanager
    def lent(self, files: list[Path]) -> Iterator[list[str]]:
        """Show files to the model during a call; yields their addresses inside."""
        names = [f"{os.urandom(16).hex()}{path.suffix}" for path in files]
        places = [self._folder / "inputs" / name for name in names]
        try:
            for path, place in zip(files, places, strict=True):
                os.link(path, place)
            yield [(self._inputs / name).as_uri() for name in names]
        finally:
            for place in places:
                place.unlink(missing_ok=True)

    def stop(self) -> None:
        """End the process and all processes that it started; delete its folder."""
        self.child.stop()
        with suppress(Empty):
            while True:
                self._idle.get_nowait().close()
        self._clean()

    @property
    def _inputs(self) -> Path:
        return sandbox.INPUTS if self._options.isolated else (self._folder / "inputs").resolve()

    def _start(self) -> ChildProcess:
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with listening, sandbox.open_filter() as fds:
            listening.bind(self._socket)
            listening.listen(128)
            options = {
                "--socket": listening.fileno(),
                "--model": sandbox.MODEL if self._options.isolated else self._folder / "model",
                "--memory-mb": self._model.memory_mb,
                "--max-concurrency": self._model.max_concurrency,
                "--idle-seconds": self._options.idle_seconds,
                "--inputs": self._inputs.as_uri() + "/",
            }
            command = [sys.executable, "-m", "healthval.hosting", "serve", "--die-with-parent"]
            command += [str(part) for option in options.items() for part in option]
            return ChildProcess(
                self._wrapped(command, fds),
                environment=_environment(self._options.isolated),
                start_seconds=self._options.start_seconds,
                pass_fds=[listening.fileno(), *fds],
            )

    def _wrapped(self, command: list[str], fds: list[int]) -> list[str]:
        if not self._options.isolated:
            return command
        shown = [
            (self._folder / "model", sandbox.MODEL),
            (self._folder / "inputs", sandbox.INPUTS),
        ]
        return sandbox.wrapped(command, hidden=[self._options.hidden], fds=fds, shown=shown)

    def _watch(self) -> None:
        """Kill the model's group of processes above its memory, number or time; where /proc exists."""
        limit = self._model.memory_mb * 1024**2
        ended = threading.Event()
        while Path("/proc/self/statm").exists() and self.child.is_alive:
            group = sandbox.group_of(self.child.process.pid)
            if sandbox.memory_of(group, above=limit) > limit:
                self._kill("the model exceeded its memory")
            elif len(group) > sandbox.MAX_PROCESSES:
                self._kill(f"the model started more than {sandbox.MAX_PROCESSES} processes")
            elif min(self._calls.copy().values(), default=math.inf) < time.monotonic():
                self._kill(f"the model's answer took more than {ANSWER_SECONDS:g} s")
            ended.wait(WATCH_SECONDS)

    def _kill(self, reason: str) -> None:
        self.failure = reason
        for pid in sandbox.group_of(self.child.process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, 9)

    def _clean(self) -> None:
        _remove(self._folder)
        os.close(self._lock)


def _content(answer: http.client.HTTPResponse) -> bytes:
    content = answer.read(MAX_ANSWER_BYTES + 1)
    if len(content) > MAX_ANSWER_BYTES:
        raise ModelFailed(f"the model's answer has more than {MAX_ANSWER_BYTES >> 20} MB")
    if answer.length:  # the process ended; `read` of a part does not raise
        raise http.client.IncompleteRead(content, answer.length)
    return content


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path
        self.last_used = 0.0

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def remove_leftovers(home: Path) -> None:
    """Delete the folders of model processes whose hub was killed; others are locked."""
    for folder in home.glob("*/") if home.is_dir() else ():
        handle = _lock_of(folder)
        if handle is not None:
            _remove(folder)
            os.close(handle)


def _socket_path(folder: Path) -> str:
    """Return the path of a model's socket in its folder, by a short link where it is too long."""
    path = folder.resolve() / "s"
    if len(os.fsencode(path)) <= MAX_SOCKET_BYTES:
        return str(path)
    _link_to(folder).symlink_to(folder.resolve())
    return str(_link_to(folder) / "s")


def _link_to(folder: Path) -> Path:
    return Path(tempfile.gettempdir()) / f"healthval-{folder.name}"


def _remove(folder: Path) -> None:
    if _link_to(folder).is_symlink():
        _link_to(folder).unlink()
    shutil.rmtree(folder, ignore_errors=True)


def _locked_folder(home: Path) -> tuple[Path, int]:
    home.mkdir(parents=True, exist_ok=True)
    while True:
        folder = Path(tempfile.mkdtemp(dir=home, prefix="run-"))
        handle = _lock_of(folder)
        if handle is not None and folder.is_dir():
            return folder, handle


def _lock_of(folder: Path) -> int | None:
    try:
        handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return None
    return handle


def _unpack(artefact: bytes, folder: Path) -> None:
    folder.mkdir()
    try:
        unpack(artefact, folder)
    except HostingError as error:
        raise ModelFailed(str(error)) from None


def _environment(isolated: bool) -> dict[str, str]:
    """Return the variables by which Python finds its modules, and one thread: scores repeat."""
    kept = ["PATH", "LD_LIBRARY_PATH", "LANG"]
    kept += [] if isolated else ["PYTHONPATH", "TMPDIR"]
    found = {name: os.environ[name] for name in kept if name in os.environ}
    if isolated:
        found["PYTHONPATH"] = sandbox.python_path()
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
    return found | threads | {"PYTHONDONTWRITEBYTECODE": "1", "HOME": tempfile.gettempdir()}
