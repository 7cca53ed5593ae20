"""The files of a batch in shares, which this process and others take when they are free."""

import gc
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any, Final, Generic, TypeVar

from tqdm.auto import tqdm

_MOST: Final = 25
_AHEAD: Final = 3
_Done = TypeVar("_Done")
_Work = Callable[[list[str]], list[_Done]]


@contextmanager
def pool_of(workers: int, start: Callable[[Any], None], task: Any) -> Iterator[ProcessPoolExecutor | None]:  # fmt: skip
    """Give all workers but this process; what they need crosses by fork, never in a message."""
    if workers == 1:
        yield None
        return
    with ProcessPoolExecutor(workers - 1, get_context("fork"), _ready, (start, task)) as pool:
        yield pool


def _ready(start: Callable[[Any], None], task: Any) -> None:
    gc.freeze()  # looking through what the parent made would copy all of it
    start(task)


def shares_of(files: list[str], workers: int) -> list[list[str]]:
    """Cut large shares first and small ones last, so that all workers end at about one time."""
    shares, at = list[list[str]](), 0
    while at < len(files):
        size = max(1, min(_MOST, (len(files) - at) // (4 * workers)))
        shares.append(files[at : at + size])
        at += size
    return shares


class Shared(Generic[_Done]):
    """Shares under way: some given to the pool, the others done in this process."""

    def __init__(self, pool: ProcessPoolExecutor, others: int, bar: "tqdm[Any]") -> None:
        self._pool, self._others, self._bar = pool, others, bar
        self._given: dict[Future[list[_Done]], int] = {}
        self._results: dict[int, list[_Done]] = {}

    def run(self, shares: list[list[str]], there: _Work[_Done], here: _Work[_Done]) -> list[_Done]:
        """Do all shares; results come in the order of the files.

        The first error ends it: shares not begun are dropped.
        """
        try:
            for number, share in enumerate(shares):
                self._collect()
                if len(self._given) < self._ahead(len(shares) - number):
                    self._given[self._pool.submit(there, share)] = number
                else:
                    self._results[number] = here(share)
            while self._given:
                wait(self._given, return_when=FIRST_COMPLETED)
                self._collect()
        finally:
            self._pool.shutdown(wait=True, cancel_futures=True)
        return [done for number in range(len(shares)) for done in self._results[number]]

    def _ahead(self, left: int) -> int:
        """How many shares the others should have before them, this one's being as long as theirs."""
        return max(self._others, min(_AHEAD * self._others, left // 2))

    def _collect(self) -> None:
        for future in [future for future in self._given if future.done()]:
            done = self._results[self._given.pop(future)] = future.result()
            self._bar.update(len(done))
