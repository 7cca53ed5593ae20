"""Text search in pixels, by windows, so that the memory does not depend on the file's size.

In random bytes, a given string of six letters or digits starts at one place in 2.8e14, or one in
4.4e12 if both cases of each letter count. A hundred thousand files of half a megabyte have 5e10
places. Pixels are not random but smooth, so strings that rise or fall by one from byte to byte
are excluded from the search.
"""

import mmap
import re
from collections.abc import Iterator
from functools import cached_property
from itertools import product
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

_WINDOW: Final = 1 << 20
_MANY: Final = 1 << 15
_ALPHANUMERIC: Final = re.compile(rb"[0-9a-z]{2}")
_LETTERS: Final = 0x3000
_HEAD: Final = 4


class _Tables(NamedTuple):
    """Lookup tables: 16-bit words that begin a head, that end a head, and strings by head.

    A head has four bytes and starts at the first or second byte of a string, because one of the
    two is aligned to 16 bits. Each entry of `by_head` is a kind, a string and the skipped bytes.
    """

    first: NDArray[np.bool_]
    second: NDArray[np.bool_]
    by_head: dict[bytes, list[tuple[str, bytes, int]]]


class PixelSearch:
    """Search for byte strings of identifiers, regardless of case.

    All strings are searched together: a candidate is a place where two neighbouring 16-bit words
    belong to the head of any string.

    Parameters
    ----------
    needles : pairs of a kind of identifier and a byte string in lower case
    """

    def __init__(self, needles: tuple[tuple[str, bytes], ...]) -> None:
        self._needles = needles
        self._overlap = max((len(code) for _, code in needles), default=0) + _HEAD
        self._are_alphanumeric = all(_ALPHANUMERIC.search(code) for _, code in needles)

    def kinds(self, data: Any, start: int, end: int) -> set[str]:
        """Kinds of the strings that occur between two offsets of a buffer."""
        found: set[str] = set()
        for low in range(start, end if self._needles else start, _WINDOW):
            high = min(low + _WINDOW + self._overlap, end)
            if high - low > _HEAD and self._may_match(data, low, high):
                found.update(self._found(data, low, high))
            if end - start > _WINDOW:
                _release(data, low, high)
        return found

    def _may_match(self, data: Any, low: int, high: int) -> bool:
        return not (self._are_alphanumeric and _has_no_text(data, low, high))

    @cached_property
    def _tables(self) -> _Tables:
        tables = _Tables(np.zeros(1 << 16, bool), np.zeros(1 << 16, bool), {})
        for kind, code in self._needles:
            for skipped in (0, 1):
                head = code[skipped : skipped + _HEAD]
                tables.by_head.setdefault(head, []).append((kind, code, skipped))
                tables.first[[_word(pair) for pair in _cased(head[:2])]] = True
                tables.second[[_word(pair) for pair in _cased(head[2:])]] = True
        return tables

    def _found(self, data: Any, low: int, high: int) -> Iterator[str]:
        first, second, by_head = self._tables
        words = np.frombuffer(data, "<u2", (high - low) // 2, low)
        at = np.flatnonzero(first.take(words[:-1]))
        at = at[second[words[at + 1]]]
        if len(at) > _MANY:
            window = bytes(data[low:high]).lower()
            yield from (kind for kind, code in self._needles if code in window)
            return
        for place in (low + 2 * at).tolist():
            for kind, code, skipped in by_head.get(bytes(data[place : place + _HEAD]).lower(), ()):
                start = place - skipped
                stop = min(start + len(code), high)
                if start >= low and bytes(data[start:stop]).lower() == code:
                    yield kind


def _has_no_text(data: Any, low: int, high: int) -> bool:
    """Whether every second byte is neither letter nor digit, as in images of up to 13 bits."""
    for start in (low, low + 1):
        count = (high - start) // 2
        if np.frombuffer(data, "<i2", count, start).max() < _LETTERS:
            return True
    return False


def _cased(pair: bytes) -> Iterator[bytes]:
    both = ({byte, ord(chr(byte).upper())} if byte < 0x80 else {byte} for byte in pair)
    return (bytes(choice) for choice in product(*both))


def _word(pair: bytes) -> int:
    return int.from_bytes(pair, "little")


def _release(data: Any, low: int, high: int) -> None:
    """Release the pages of a mapped file that were read, where the system supports it."""
    if isinstance(data, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        start = low - low % mmap.PAGESIZE
        data.madvise(mmap.MADV_DONTNEED, start, high - start)
