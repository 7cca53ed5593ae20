"""The files of a batch in shares for worker processes, which take the next when they are free."""

import gc
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_EXCEPTION, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from typing import Any, Final, TypeVar

from tqdm.auto import tqdm

_MOST: Final = 25
_LEAST: Final = 4
_Done = TypeVar("_Done")


@contextmanager
def pool_of(workers: int, start: Callable[[Any], None], task: Any) -> Iterator[ProcessPoolExecutor | None]:  # fmt: skip
    """Start the workers before there is work: each gets ready while the files are listed.

    What they need crosses by fork, never in a message. One worker is no pool.
    """
    if workers == 1:
        yield None
        return
    with ProcessPoolExecutor(workers, get_context("fork"), _ready, (start, task)) as pool:
        pool.submit(int)  # the first task of all makes the processes
        yield pool


def _ready(start: Callable[[Any], None], task: Any) -> None:
    gc.freeze()  # looking through what the parent made would copy all of it
    start(task)


def in_shares(
    pool: ProcessPoolExecutor,
    work: Callable[[list[str]], list[_Done]],
    files: list[str],
    workers: int,
    bar: "tqdm[Any]",
) -> list[_Done]:
    """Let the workers do all files; what they give comes in the order of the files.

    The first error ends it: shares not begun are dropped.
    """
    futures = [_submitted(pool, work, share, bar) for share in _shares(files, workers)]
    finished, _ = wait(futures, return_when=FIRST_EXCEPTION)
    failed = [f for f in finished if f.exception() is not None]
    if failed:
        pool.shutdown(wait=True, cancel_futures=True)
        failed[0].result()
    return [done for future in futures for done in future.result()]


def _submitted(pool: ProcessPoolExecutor, work: Callable[[list[str]], list[_Done]], share: list[str], bar: "tqdm[Any]") -> Future[list[_Done]]:  # fmt: skip
    future = pool.submit(work, share)
    future.add_done_callback(partial(_advance, bar, len(share)))
    return future


def _advance(bar: "tqdm[Any]", files: int, _: Any) -> None:
    bar.update(files)


def _shares(files: list[str], workers: int) -> Iterator[list[str]]:
    """Cut large shares first and small ones last, so that all workers end at about one time."""
    at = 0
    while at < len(files):
        size = max(_LEAST, min(_MOST, (len(files) - at) // (4 * workers)))
        yield files[at : at + size]
        at += size
