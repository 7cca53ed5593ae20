"""Boxes of MP4 files, and changes of a file in place (ISO/IEC 14496-12, section 4.2)."""

from collections.abc import Iterator
from typing import NamedTuple

from healthval.deid.pixels.streams.pieces import Buffer, Pieces, check, number, zeros


class Box(NamedTuple):
    """Kind of a box, offsets of the box, of its contents and of its end."""

    kind: bytes
    at: int
    start: int
    end: int


class Edits:
    """Changes of a buffer in place: ranges that are overwritten."""

    def __init__(self, data: Buffer) -> None:
        self.data = data
        self._ranges: list[tuple[int, int, bytes]] = []

    def blank(self, start: int, end: int, head: bytes = b"") -> None:
        """Overwrite a range with `head` and zeros."""
        if start < end:
            self._ranges.append((start, end, head[: end - start]))

    def free(self, box: Box) -> None:
        """Turn a box into a free box."""
        self._ranges.append((box.at + 4, box.at + 8, b"free"))
        self.blank(box.start, box.end)

    def pieces(self) -> Pieces:
        """Buffer with all changes."""
        pieces, at = list[Buffer](), 0
        for start, end, head in sorted(self._ranges):
            check(start >= at)
            pieces += (self.data[at:start], head, *zeros(end - start - len(head)))
            at = end
        return [*pieces, self.data[at:]]


def boxes_of(data: Buffer, at: int, end: int) -> Iterator[Box]:
    """Boxes between two offsets; zeros after them are padding."""
    while at < end:
        if end - at < 8 and not any(data[at:end]):
            return
        check(at + 8 <= end)
        size, start = number(data, at, 4), at + 8
        if size == 1:
            size, start = number(data, at + 8, 8), at + 16
        stop = at + size if size else end
        if stop == end + 1 and end == len(data):  # the padding byte was not stored
            stop = end
        if size == 0 and not any(data[at:end]):
            return  # padding
        check(start <= stop <= end)
        yield Box(bytes(data[at + 4 : at + 8]), at, start, stop)
        at = stop
