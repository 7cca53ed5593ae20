"""Search pixels for text: by windows, so that a file of any size takes little memory.

In random bytes a given run of six letters or digits starts at one place in 2.8e14; with both cases
of each letter in one of 4.4e12. A hundred thousand files of half a megabyte hold 5e10 places.
Pixels are not random, but smooth: what rises or falls by one from byte to byte is not looked for.
"""

import mmap
import re
from collections.abc import Iterator
from functools import cached_property
from itertools import product
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_WINDOW: Final = 1 << 20
_MANY: Final = 1 << 15
_SPELLED: Final = re.compile(rb"[0-9a-z]{2}")
_LETTERS: Final = 0x3000
_HEAD: Final = 4


class Searcher:
    """Looks for needles, a kind and bytes in lower case, in any case.

    For all at once: two neighbouring words of 16 bits must be of one of them.
    """

    def __init__(self, needles: tuple[tuple[str, bytes], ...]) -> None:
        self._needles = needles
        self._overlap = max((len(code) for _, code in needles), default=0) + _HEAD
        self._are_spelled = all(_SPELLED.search(code) for _, code in needles)

    def kinds(self, data: Any, start: int, end: int) -> set[str]:
        """Kinds of the needles that stand between two places of a buffer."""
        found: set[str] = set()
        for low in range(start, end if self._needles else start, _WINDOW):
            high = min(low + _WINDOW + self._overlap, end)
            if high - low > _HEAD and not (self._are_spelled and _holds_no_text(data, low, high)):
                found.update(self._found(data, low, high))
            if end - start > _WINDOW:
                _release(data, low, high)
        return found

    @cached_property
    def _tables(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_], dict[bytes, list[tuple[str, bytes, int]]]]:  # fmt: skip
        first, second = np.zeros(1 << 16, bool), np.zeros(1 << 16, bool)
        by_head: dict[bytes, list[tuple[str, bytes, int]]] = {}
        for kind, code in self._needles:
            for skipped in (0, 1):  # one of the two starts at a word
                head = code[skipped : skipped + _HEAD]
                by_head.setdefault(head, []).append((kind, code, skipped))
                first[[_word(pair) for pair in _cased(head[:2])]] = True
                second[[_word(pair) for pair in _cased(head[2:])]] = True
        return first, second, by_head

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
                begin = place - skipped
                if begin >= low and bytes(data[begin : min(begin + len(code), high)]).lower() == code:  # fmt: skip
                    yield kind


def _holds_no_text(data: Any, low: int, high: int) -> bool:
    """Whether every second byte is no letter or digit, as in images of up to 13 bits."""
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
    """Let go of the pages of a mapped file that were read."""
    if isinstance(data, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        start = low - low % mmap.PAGESIZE
        data.madvise(mmap.MADV_DONTNEED, start, high - start)
