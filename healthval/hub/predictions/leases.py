"""Leases: a pending batch belongs to the process that works on it, for as long as that process lives.

The entry of a batch has the fields ``status`` and ``lease`` (seconds since 1970). Each model has
its own queue, so a batch that waits for its turn is pending and takes no other model's worker.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, ClassVar

from healthval.hub.ports import Backend, Conflict, HostedModel, Item, StoreUnavailable

LEASE_SECONDS = 10
RENEW_SECONDS = 3.0


@dataclass(slots=True, kw_only=True)
class Leases:
    """Runs the work on batches under renewed leases, `max_concurrency` at a time for each model.

    `in_process` is whether the work runs in this process, which has the batch in memory.
    """

    in_process: ClassVar[bool] = True
    backend: Backend
    closing: threading.Event = field(default_factory=threading.Event)
    _queues: dict[str, ThreadPoolExecutor] = field(default_factory=dict)
    _running: dict[tuple[str, str], Future[bytes]] = field(default_factory=dict)
    _lock: Any = field(default_factory=threading.Lock)
    _closed: threading.Event = field(default_factory=threading.Event)
    _renewer: threading.Thread | None = None

    def take(self, item: Item, model: HostedModel, work: Callable[[], bytes]) -> None:
        """Queue the work on a batch unless this or another process has it already."""
        place = (item.partition, item.key)
        with self._lock, suppress(Conflict):
            if place in self._running or self.closing.is_set():
                return
            if item.value["lease"] > self.backend.now:
                return
            self._extend(item)
            self._queue(place, model, work)

    def begin(
        self, place: tuple[str, str], model: HostedModel, work: Callable[[], bytes]
    ) -> Future[bytes] | None:
        """Queue the work on a new batch, which this process has entered with its lease."""
        with self._lock:
            return None if self.closing.is_set() else self._queue(place, model, work)

    def _queue(
        self, place: tuple[str, str], model: HostedModel, work: Callable[[], bytes]
    ) -> Future[bytes]:
        if model.endpoint not in self._queues:
            self._queues[model.endpoint] = ThreadPoolExecutor(model.max_concurrency)
        queued = self._running[place] = self._queues[model.endpoint].submit(work)
        queued.add_done_callback(lambda _: self._running.pop(place, None))
        self._start_renewing()
        return queued

    def running(self, place: tuple[str, str]) -> Future[bytes] | None:
        """Return the work of this process on a batch at (partition, key)."""
        return self._running.get(place)

    def close(self) -> None:
        """Finish the batches inside a model; the others stay pending for another process."""
        with self._lock:
            self.closing.set()
        for queue in self._queues.values():
            queue.shutdown(cancel_futures=True)
        self._closed.set()
        if self._renewer:
            self._renewer.join()

    def _start_renewing(self) -> None:
        if self._renewer is None:
            self._renewer = threading.Thread(target=self._renew, daemon=True)
            self._renewer.start()

    def _renew(self) -> None:
        while not self._closed.wait(RENEW_SECONDS):
            for partition, key in list(self._running):
                with suppress(Conflict, StoreUnavailable):
                    item = self.backend.index.get(partition, key)
                    if item is not None and item.value["status"] == "pending":
                        self._extend(item)

    def _extend(self, item: Item) -> None:
        value = {**item.value, "lease": self.backend.now + LEASE_SECONDS}
        self.backend.index.commit([item.updated(value)])
