"""Model servers on one machine: one sandboxed child process per model, on a private socket."""

import hashlib
import http.client
import json
import threading
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit

from healthval.hosting.child_process import ChildFailed
from healthval.hub.backends.model_process import HostOptions, ModelProcess, remove_leftovers
from healthval.hub.ports import HostedModel, HostStatus, HostUnavailable, ModelFailed, ObjectStore

ATTEMPTS = 3


class ProcessHost:
    """Model host of child processes that end with the hub, also when the hub is killed.

    A child that is unused for `idle_seconds` ends; the next call starts it again. A quiet hub
    therefore has no model in memory, as SageMaker Serverless does.

    Parameters
    ----------
    folder : receives the unpacked artefacts
    """

    def __init__(
        self, objects: ObjectStore, folder: Path, options: HostOptions | None = None
    ) -> None:
        self._objects, self._folder = objects, folder
        self._options = options or HostOptions(hidden=folder)
        self._running: dict[str, ModelProcess] = {}
        # One lock per model: while one starts, the others respond.
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

        remove_leftovers(folder)

    def start(self, model: HostedModel) -> None:
        """Start the child and wait until it has loaded the model."""
        self._ready(model)

    def stop(self, model: HostedModel) -> None:
        """End the child; a request under way is answered first."""
        self._stop(model.endpoint)

    def status(self, model: HostedModel) -> HostStatus:
        """Return whether the child is starting, serving, failed or stopped."""
        process = self._running.get(model.endpoint)
        if process is None or not process.child.is_alive:
            return "stopped"
        try:
            return "starting" if process.child.first_line_within(0) is None else "serving"
        except ChildFailed:
            return "failed"

    def invoke(self, model: HostedModel, body: bytes) -> bytes:
        """Send `body` to the child; start it again if it has ended meanwhile.

        A child that ends during every attempt is the model's failure, not a reason to wait.
        """
        for _ in range(ATTEMPTS):
            process = self._ready(model)
            with suppress(OSError, http.client.HTTPException):
                status, answer = self._send(process, body)
                if process.failure:  # the answer may be cut off
                    raise ModelFailed(process.failure)
                if status == 200:
                    return answer
                if status in {429, 503}:
                    raise HostUnavailable
                raise ModelFailed(json.loads(answer)["error"])
            if process.failure:
                raise ModelFailed(process.failure)
        raise ModelFailed("the model server ended before it answered")

    def close(self) -> None:
        """End all children."""
        for endpoint in list(self._locks):
            self._stop(endpoint)

    def _send(self, process: ModelProcess, body: bytes) -> tuple[int, bytes]:
        """Send a call; files that it names by address are shown to the model meanwhile."""
        sent = json.loads(body) if b'"addresses"' in body else {}
        if "addresses" not in sent:
            return process.post(body)
        cases = [case if isinstance(case, list) else [case] for case in sent["addresses"]]
        files = [Path(unquote(urlsplit(place).path)) for case in cases for place in case]
        with process.lent(files) as places:
            left = iter(places)
            sent["addresses"] = [
                [next(left) for _ in case] if isinstance(case, list) else next(left)
                for case in sent["addresses"]
            ]
            return process.post(json.dumps(sent).encode())

    def _ready(self, model: HostedModel) -> ModelProcess:
        """Return the model's process, once it has loaded the model."""
        process = self._process(model)
        try:
            line = process.child.first_line_within(self._options.wait_seconds)
        except ChildFailed as failure:
            self._stop(model.endpoint, process)
            raise ModelFailed(process.failure or str(failure)) from None
        if line is None:
            raise HostUnavailable
        return process

    def _process(self, model: HostedModel) -> ModelProcess:
        with self._locks[model.endpoint]:
            process = self._running.get(model.endpoint)
            if process and process.child.is_alive:
                return process
            if process:
                process.stop()
                del self._running[model.endpoint]
            self._running[model.endpoint] = process = self._spawn(model)
        return process

    def _stop(self, endpoint: str, only: ModelProcess | None = None) -> None:
        """Stop a model's process; with `only`, leave a process that has taken its place."""
        with self._locks[endpoint]:
            process = self._running.get(endpoint)
            if process is None or (only is not None and only is not process):
                return
            del self._running[endpoint]
        process.stop()

    def _spawn(self, model: HostedModel) -> ModelProcess:
        artefact = self._objects.get(f"objects/{model.artefact}.bin")
        if hashlib.sha256(artefact).hexdigest() != model.artefact:
            raise ModelFailed("the stored artefact is not the registered one; store it again")
        return ModelProcess(model, artefact, self._folder, self._options)
