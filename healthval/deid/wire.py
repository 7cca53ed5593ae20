"""A tolerant reader of encoded data sets, for the audit alone: it shares no code with the engine.

It never raises. Where the bytes make no sense it stops and says where.
"""

import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from pydicom.datadict import dictionary_has_tag, dictionary_VR

PIXELS: Final = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
_LONG: Final = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})  # fmt: skip
_SHORT: Final = frozenset({b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT", b"PN", b"SH", b"SL", b"SS", b"ST", b"TM", b"UI", b"UL", b"US"})  # fmt: skip
_VRS: Final = {vr: vr.decode() for vr in _LONG | _SHORT}
_UNDEFINED: Final = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_MAX_DEPTH: Final = 200


@dataclass(frozen=True, slots=True)
class Leaf:
    """A value that is no sequence: tags from the root, VR, and where its bytes are."""

    path: tuple[int, ...]
    vr: str
    start: int
    end: int


class Reader:
    """Reads one encoded data set; afterwards `leaves`, `pixels` and `stopped` tell the result.

    `pixels` is (start of the element, start of its value), or None. `stopped` is where the bytes
    stopped making sense, or None.
    """

    def __init__(self, data: bytes, *, implicit: bool, little: bool, start: int = 0) -> None:
        order = "<" if little else ">"
        self._tag, self._size = struct.Struct(order + "HH"), struct.Struct(order + "L")
        self._order, self._item = order, self._tag.pack(0xFFFE, 0xE000)
        self.data, self.leaves = data, list[Leaf]()
        self.pixels: tuple[int, int] | None = None
        self.stopped: int | None = None
        self._all(start, implicit)

    def _all(self, start: int, implicit: bool) -> None:
        end = self._elements(start, len(self.data), (), implicit)
        if self.stopped is None and self.pixels is None and end != len(self.data):
            self.stopped = end

    def _elements(self, at: int, end: int, path: tuple[int, ...], implicit: bool) -> int:
        while at + 8 <= end and self.stopped is None:
            tag, vr, size, value = self._header(at, implicit)
            if tag == _ITEM_END:
                return value
            if tag in PIXELS and not path:
                self.pixels = (at, value)
                return at
            if vr == "SQ" or size == _UNDEFINED:
                # A UN of undefined length is an implicit VR sequence (PS3.5, 6.2.2).
                at = self._items(value, end, size, (*path, tag), implicit or vr == "UN")
                continue
            at = value + size
            if at > end:
                self.stopped, at = value, end
            self.leaves.append(Leaf((*path, tag), vr, value, at))
            if vr == "UN" and self.data[value : value + 4] == self._item:
                self._items(value, at, size, (*path, tag), True)
        return at

    def _header(self, at: int, implicit: bool) -> tuple[int, str, int, int]:
        group, element = self._tag.unpack_from(self.data, at)
        tag = group << 16 | element
        vr = self.data[at + 4 : at + 6]
        if implicit or group == 0xFFFE or vr not in _VRS:
            return tag, vr_of(tag), self._size.unpack_from(self.data, at + 4)[0], at + 8
        if vr in _LONG and at + 12 <= len(self.data):
            return tag, _VRS[vr], self._size.unpack_from(self.data, at + 8)[0], at + 12
        size = struct.unpack_from(self._order + "H", self.data, at + 6)[0]
        return tag, _VRS[vr], size, at + 8

    def _items(self, at: int, end: int, size: int, path: tuple[int, ...], implicit: bool) -> int:
        stop = end if size == _UNDEFINED else min(at + size, end)
        if len(path) > _MAX_DEPTH:
            self.stopped = at
        while at + 8 <= stop and self.stopped is None:
            tag, _, length, value = self._header(at, True)
            if tag == _SEQUENCE_END:
                return value
            if tag != _ITEM:
                self.stopped = at
            elif length == _UNDEFINED:
                at = self._elements(value, stop, path, implicit)
            else:
                self._elements(value, min(value + length, stop), path, implicit)
                at = value + length
        return at if size == _UNDEFINED else stop


@lru_cache(maxsize=4096)
def vr_of(tag: int) -> str:
    """VR in the dictionary; UN where it has none."""
    return dictionary_VR(tag)[:2] if dictionary_has_tag(tag) else "UN"
