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
THREADS = 64
# Batches that are scored in the threads of their calls; the other threads accept batches.
OWN_THREAD = 32


class OwnWork(Future[bytes]):
    """Work on a batch for which its caller's thread has a place: the caller runs it."""

    def __init__(self, work: Callable[[], bytes]) -> None:
        super().__init__()
        self._work = work

    def run(self) -> None:
        """Do the work in this thread."""
        try:
            answer = self._work()
        except BaseException as error:
            self.set_exception(error)
        else:
            self.set_result(answer)


class _Queue:
    """The places of one model, and the threads of batches that wait for one."""

    def __init__(self, max_concurrency: int, closing: threading.Event) -> None:
        self.threads = ThreadPoolExecutor(max_concurrency)
        self.places = threading.Semaphore(max_concurrency)
        self.waiting, self._closing = 0, closing

    def submit(self, work: Callable[[], bytes]) -> Future[bytes]:
        """Queue the work."""
        self.waiting += 1
        return self.threads.submit(self._run, work)

    def _run(self, work: Callable[[], bytes]) -> bytes:
        with self.places:
            self.waiting -= 1
            return b"" if self._closing.is_set() else work()


@dataclass(slots=True, kw_only=True)
class Leases:
    """Runs the work on batches under renewed leases, `max_concurrency` at a time for each model.

    `in_process` is whether the work runs in this process, which has the batch in memory.
    """

    in_process: ClassVar[bool] = True
    backend: Backend
    closing: threading.Event = field(default_factory=threading.Event)
    threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(THREADS))
    _own: Any = field(default_factory=lambda: threading.Semaphore(OWN_THREAD))
    _queues: dict[str, _Queue] = field(default_factory=dict)
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
        self,
        place: tuple[str, str],
        model: HostedModel,
        work: Callable[[], bytes],
        *,
        here: bool = False,
    ) -> Future[bytes] | None:
        """Queue the work on a new batch, which this process has entered with its lease.

        With `here`, return an `OwnWork` if the model has a free place: the caller must run it.
        """
        with self._lock:
            return None if self.closing.is_set() else self._queue(place, model, work, here=here)

    def _queue(
        self,
        place: tuple[str, str],
        model: HostedModel,
        work: Callable[[], bytes],
        *,
        here: bool = False,
    ) -> Future[bytes]:
        if model.endpoint not in self._queues:
            self._queues[model.endpoint] = _Queue(model.max_concurrency, self.closing)
        queue = self._queues[model.endpoint]
        own = self._own_work(queue, work) if here else None
        begun = self._running[place] = own or queue.submit(work)
        begun.add_done_callback(lambda _: self._running.pop(place, None))
        self._start_renewing()
        return begun

    def _own_work(self, queue: _Queue, work: Callable[[], bytes]) -> OwnWork | None:
        """Take a place for a caller's thread unless another batch waits for it."""
        if queue.waiting or not self._own.acquire(blocking=False):
            return None
        if not queue.places.acquire(blocking=False):
            self._own.release()
            return None

        def run() -> bytes:
            try:
                return work()
            finally:
                queue.places.release()
                self._own.release()

        return OwnWork(run)

    def running(self, place: tuple[str, str]) -> Future[bytes] | None:
        """Return the work of this process on a batch at (partition, key)."""
        return self._running.get(place)

    def close(self) -> None:
        """Finish the batches inside a model; the others stay pending for another process."""
        with self._lock:
            self.closing.set()
        for queue in self._queues.values():
            queue.threads.shutdown(cancel_futures=True)
        self.threads.shutdown()
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
