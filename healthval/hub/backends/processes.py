"""Model servers on one machine: one child process a model, on a loopback port."""

import http.client
import json
import os
import shutil
import sys
import tempfile
import threading
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

from healthval.errors import HostingError
from healthval.hosting.artefact import unpack
from healthval.hosting.child_process import START_SECONDS, ChildFailed, ChildProcess
from healthval.hub.ports import HostedModel, HostStatus, HostUnavailable, ModelFailed, ObjectStore

# Longest wait of one call for a model that is loading; below the client's time-out.
WAIT_SECONDS = 25.0
# The model server answers 504 after 60 s; that answer must arrive first.
ANSWER_SECONDS = 70.0


class ProcessHost:
    """Model host of child processes that end with the hub, also when the hub is killed.

    A child that is unused for `idle_seconds` ends; the next call starts it again. A quiet hub
    therefore has no model in memory, as SageMaker Serverless does.

    Parameters
    ----------
    folder : receives the unpacked artefacts
    start_seconds : upper bound for loading a model
    wait_seconds : a call raises HostUnavailable if the model is still loading after so long
    """

    def __init__(
        self,
        objects: ObjectStore,
        folder: Path,
        *,
        idle_seconds: float = 300,
        start_seconds: float = START_SECONDS,
        wait_seconds: float = WAIT_SECONDS,
    ) -> None:
        self._objects, self._folder = objects, folder
        self._inputs = objects.address("uploads/any.dcm").removesuffix("any.dcm")
        self._idle_seconds, self._start_seconds = idle_seconds, start_seconds
        self._wait_seconds = wait_seconds
        self._children: dict[str, ChildProcess] = {}
        # One lock a model: while one starts, the others answer.
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def start(self, model: HostedModel) -> None:
        """Start the child and wait until it has loaded the model."""
        self._port(model)

    def stop(self, model: HostedModel) -> None:
        """End the child; a request under way is answered first."""
        self._stop(model.endpoint)

    def status(self, model: HostedModel) -> HostStatus:
        """Return whether the child is starting, serving, failed or stopped."""
        child = self._children.get(model.endpoint)
        if child is None or not child.is_alive:
            return "stopped"
        try:
            return "starting" if child.first_line_within(0) is None else "serving"
        except ChildFailed:
            return "failed"

    def invoke(self, model: HostedModel, body: bytes) -> bytes:
        """Send `body` to the child; start it again, once, if it has ended meanwhile."""
        for _ in range(2):
            with suppress(OSError, http.client.HTTPException):
                status, answer = _post(self._port(model), body)
                if status == 200:
                    return answer
                if status in {429, 503}:
                    raise HostUnavailable
                raise ModelFailed(json.loads(answer)["error"])
        raise HostUnavailable

    def close(self) -> None:
        """End all children."""
        for endpoint in list(self._locks):
            self._stop(endpoint)

    def _port(self, model: HostedModel) -> int:
        """Return the port of the model's child, once it has loaded the model."""
        child = self._child(model)
        try:
            line = child.first_line_within(self._wait_seconds)
        except ChildFailed as failure:
            self._stop(model.endpoint, child)
            raise ModelFailed(str(failure)) from None
        if line is None:
            raise HostUnavailable
        return int(line["ready"])

    def _child(self, model: HostedModel) -> ChildProcess:
        with self._locks[model.endpoint]:
            child = self._children.get(model.endpoint)
            if child and child.is_alive:
                return child
            if child:
                child.stop()
            self._children[model.endpoint] = child = self._spawn(model)
        return child

    def _stop(self, endpoint: str, only: ChildProcess | None = None) -> None:
        """Stop a model's child; with `only`, leave a child that has taken its place."""
        with self._locks[endpoint]:
            child = self._children.get(endpoint)
            if child is None or (only is not None and only is not child):
                return
            del self._children[endpoint]
        child.stop()

    def _spawn(self, model: HostedModel) -> ChildProcess:
        command = [sys.executable, "-m", "healthval.hosting", "serve", "--die-with-parent"]
        options = {
            "--port": 0,
            "--model": self._unpacked(model),
            "--memory-mb": model.memory_mb,
            "--max-concurrency": model.max_concurrency,
            "--idle-seconds": self._idle_seconds,
            "--inputs": self._inputs,
        }
        command += [str(part) for option in options.items() for part in option]
        return ChildProcess(
            command, environment=_child_environment(), start_seconds=self._start_seconds
        )

    def _unpacked(self, model: HostedModel) -> Path:
        """Unpack into a temporary folder and rename it: a folder under a hash is complete."""
        home = self._folder / model.artefact
        if home.is_dir():
            return home
        self._folder.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(dir=self._folder, prefix=".unfinished-"))
        try:
            unpack(self._objects.get(f"objects/{model.artefact}.bin"), draft)
            with suppress(OSError):
                draft.rename(home)
        except HostingError as error:
            raise ModelFailed(str(error)) from None
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        return home


def _post(port: int, body: bytes) -> tuple[int, bytes]:
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS)
    try:
        link.request("POST", "/invocations", body, {"Content-Type": "application/json"})
        answer = link.getresponse()
        return answer.status, answer.read()
    finally:
        link.close()


def _child_environment() -> dict[str, str]:
    """Return the variables by which Python finds its modules, and one thread: scores repeat."""
    kept = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "TMPDIR", "LANG")
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
    return {name: os.environ[name] for name in kept if name in os.environ} | threads
