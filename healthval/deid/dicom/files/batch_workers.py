"""Worker processes of a batch: each takes a share of the files whenever it is free.

A worker receives the batch's parameters once, when it starts. On Linux it is forked, which costs
least; elsewhere it is started anew, and the parameters are pickled. A secret is pickled as the name
of its file or environment variable; a secret made from bytes is refused.
"""

import gc
import os
import pickle
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from multiprocessing import connection, get_context, parent_process
from threading import Thread, current_thread, main_thread
from types import FrameType
from typing import Any, Final, Generic, TypeVar

from healthval.deid.secret import Secret
from healthval.progress import tqdm

# None is the platform's default: spawn on Windows and macOS.
start_method: str | None = "fork" if sys.platform == "linux" else None
_MAX_SHARE: Final = 25  # files
_AHEAD: Final = 3  # shares for each worker
_File = TypeVar("_File")
_Done = TypeVar("_Done")
_Work = Callable[[list[_File]], list[_Done]]


def check_can_start(secret: Secret) -> None:
    """Refuse a secret that a new process could not receive, before any file is read.

    Raises
    ------
    UsageError
        If workers are not forked and the secret was made from bytes.
    """
    if start_method != "fork":
        pickle.dumps(secret)


@contextmanager
def interrupted_once() -> Iterator[None]:
    """Ignore every Ctrl-C but the first, which ends the batch in order.

    A second one would interrupt the wait for the workers: Python then takes the thread that feeds
    them for ended, and waits at its own end for workers that nobody tells to end.
    """
    before = signal.getsignal(signal.SIGINT)
    if current_thread() is not main_thread() or not callable(before):
        yield  # signals reach another thread, are ignored, or end the process
        return
    interrupts = list[int]()

    def first(number: int, frame: FrameType | None) -> None:
        interrupts.append(number)
        if len(interrupts) == 1:
            before(number, frame)

    signal.signal(signal.SIGINT, first)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def pool_of(others: int, start: Callable[[Any], None], task: Any) -> ProcessPoolExecutor:
    """Pool of worker processes beside this one; each calls `start(task)` when it starts."""
    context = get_context(start_method)
    return ProcessPoolExecutor(others, context, _initialise, (start, task))


def _initialise(start: Callable[[Any], None], task: Any) -> None:
    _end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends the run in order
    gc.freeze()  # collecting the objects of the parent would copy their memory
    gc.disable()  # the batch collects once for each group of files
    start(task)


def _end_with_parent() -> None:
    """End this worker, and its copy of the secret, when its parent ends, also when it is killed."""
    parent = parent_process()
    if parent is not None:
        Thread(target=_wait_for, args=(parent.sentinel,), daemon=True).start()


def _wait_for(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)


def shares_of(count: int, workers: int) -> list[range]:
    """Divide files into large shares first and small ones last, so that all workers end together."""
    shares, at = list[range](), 0
    while at < count:
        size = max(1, min(_MAX_SHARE, (count - at) // (4 * workers)))
        shares.append(range(at, at + size))
        at += size
    return shares


class Shared(Generic[_File, _Done]):
    """Division of work: some shares are given to the pool, the others done in this process."""

    def __init__(self, pool: ProcessPoolExecutor, others: int, bar: "tqdm[Any]") -> None:
        self._pool, self._others, self._bar = pool, others, bar
        self._pending: dict[Future[list[_Done]], int] = {}
        self._results: dict[int, list[_Done]] = {}

    def run(
        self, files: Sequence[_File], there: _Work[_File, _Done], here: _Work[_File, _Done]
    ) -> list[_Done]:
        """Do all files by shares, by `there` in the pool and `here` in this process.

        Results have the order of the files. The first error ends the run: pending shares are
        cancelled.
        """
        shares = shares_of(len(files), self._others + 1)
        try:
            for number, places in enumerate(shares):
                share = list(files[places.start : places.stop])
                self._collect()
                if len(self._pending) < self._ahead(len(shares) - number):
                    self._pending[self._pool.submit(there, share)] = number
                else:
                    self._results[number] = here(share)
            while self._pending:
                wait(self._pending, return_when=FIRST_COMPLETED)
                self._collect()
        finally:
            self._pool.shutdown(wait=True, cancel_futures=True)
        return [done for number in range(len(shares)) for done in self._results[number]]

    def _ahead(self, left: int) -> int:
        """Number of shares that the pool should have; this process does shares of equal length."""
        return max(self._others, min(_AHEAD * self._others, left // 2))

    def _collect(self) -> None:
        for future in [future for future in self._pending if future.done()]:
            done = self._results[self._pending.pop(future)] = future.result()
            self._bar.update(len(done))
