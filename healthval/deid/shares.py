"""The files of a batch in shares, which this process and others take when they are free."""

import gc
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_EXCEPTION, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from typing import Any, Final, TypeVar

from tqdm.auto import tqdm

_MOST: Final = 25
_LEAST: Final = 2
_Done = TypeVar("_Done")
_Work = Callable[[list[str]], list[_Done]]


@contextmanager
def pool_of(workers: int, start: Callable[[Any], None], task: Any) -> Iterator[ProcessPoolExecutor | None]:  # fmt: skip
    """Start all workers but this process, before there is work: they get ready meanwhile.

    What they need crosses by fork, never in a message.
    """
    if workers == 1:
        yield None
        return
    with ProcessPoolExecutor(workers - 1, get_context("fork"), _ready, (start, task)) as pool:
        pool.submit(int)  # the first task of all makes the processes
        yield pool


def _ready(start: Callable[[Any], None], task: Any) -> None:
    gc.freeze()  # looking through what the parent made would copy all of it
    start(task)


def shares_of(files: list[str], workers: int) -> list[list[str]]:
    """Cut large shares first and small ones last, so that all workers end at about one time."""
    shares, at = list[list[str]](), 0
    while at < len(files):
        size = max(_LEAST, min(_MOST, (len(files) - at) // (4 * workers)))
        shares.append(files[at : at + size])
        at += size
    return shares


def in_shares(
    pool: ProcessPoolExecutor, there: _Work[_Done], here: _Work[_Done], shares: list[list[str]], bar: "tqdm[Any]"
) -> list[_Done]:  # fmt: skip
    """Do all shares, each in the pool or in this process; results come in the order of the files.

    The first error ends it: shares not begun are dropped.
    """
    failed: list[Future[list[_Done]]] = []
    futures = [pool.submit(there, share) for share in shares]
    for future, share in zip(futures, shares, strict=True):
        future.add_done_callback(partial(_ended, bar, len(share), failed))
    own: dict[Future[list[_Done]], list[_Done]] = {}
    try:
        for future, share in zip(futures, shares, strict=True):
            if not failed and future.cancel():  # nobody has begun it
                own[future] = here(share)
        wait([f for f in futures if f not in own], return_when=FIRST_EXCEPTION)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    if failed:
        failed[0].result()
    return [done for f in futures for done in (own[f] if f in own else f.result())]


def _ended(bar: "tqdm[Any]", files: int, failed: list[Future[Any]], future: Future[Any]) -> None:
    if future.cancelled():
        return
    bar.update(files)
    if future.exception() is not None:
        failed.append(future)
