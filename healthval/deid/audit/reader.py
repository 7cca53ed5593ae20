"""A tolerant reader of encoded data sets, for the audit alone: it shares no code with the engine.

It never raises. Where the bytes make no sense it stops and says where.
"""

import struct
from functools import lru_cache
from typing import Any, Final, NamedTuple

from pydicom.datadict import dictionary_has_tag, dictionary_VR

PIXELS: Final = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
CHARSET: Final = 0x00080005
_LONG: Final = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"})  # fmt: skip
_SHORT: Final = frozenset({"AE", "AS", "AT", "CS", "DA", "DS", "DT", "FD", "FL", "IS", "LO", "LT", "PN", "SH", "SL", "SS", "ST", "TM", "UI", "UL", "US"})  # fmt: skip
_VRS: Final = {vr.encode("ascii"): vr for vr in _LONG | _SHORT}
# Names, dates, and what may be either
TELLING: Final = frozenset({"PN", "DA", "DT", "UN"})
_UNDEFINED: Final = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
ITEMS: Final = (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")
_MAX_DEPTH: Final = 200
# Deeper than this, and within Python's own limit, a value of unknown VR is searched as it is.
_MAX_UNKNOWN: Final = 64
# What takes no look inside when only some values are wanted.
_PASSED: Final = frozenset(vr.encode("ascii") for vr in _SHORT - TELLING)
_HIGH: Final = 0x7FE0  # pixels and items start here
# More than this behind the pixels is searched as they are, not value by value.
_TAIL: Final = 1 << 20


class Leaf(NamedTuple):
    """A value that is no sequence: tags from the root, VR, where its bytes are, in which characters.

    `charset` is the nearest enclosing Specific Character Set.
    """

    path: tuple[int, ...]
    vr: str
    start: int
    end: int
    charset: bytes = b""


class Reader:
    """Reads one encoded data set; afterwards `leaves`, `pixels` and `stopped` tell the result.

    With `within`, the path of a sequence, the bytes are its items, in characters of `charset`.

    With `only`, of all values those of names, dates, unknown VR and of these tags are located.
    `pixels` is (start of the element, start of its value, end), or None. `stopped` is where the
    bytes stopped making sense, or None.
    """

    def __init__(  # noqa: PLR0913  by keyword
        self,
        data: Any,
        *,
        implicit: bool,
        little: bool,
        start: int = 0,
        only: frozenset[int] | None = None,
        within: tuple[int, ...] = (),
        charset: bytes = b"",
    ) -> None:
        order = "<" if little else ">"
        self._explicit = struct.Struct(order + "HH2sH").unpack_from
        self._plain = struct.Struct(order + "HHL").unpack_from
        self._size = struct.Struct(order + "L").unpack_from
        self._item = struct.pack(order + "HH", 0xFFFE, 0xE000)
        self._end = struct.pack(order + "HH", 0xFFFE, 0xE0DD)
        self.data, self.leaves = data, list[Leaf]()
        self.pixels: tuple[int, int, int] | None = None
        self.stopped: int | None = None
        self._only = only
        self._all(start, implicit, within, charset)

    def _all(self, start: int, implicit: bool, within: tuple[int, ...], charset: bytes) -> None:
        stop = len(self.data)
        try:
            if within:
                end = self._items(start, stop, stop, within, implicit, charset)
            else:
                end = self._elements(start, stop, (), implicit, charset)
        except struct.error:  # the bytes end within an element
            end = start
        if self.stopped is None and end != stop:
            self.stopped = end

    def _elements(  # noqa: C901, PLR0912  one loop, run for every file
        self, at: int, end: int, path: tuple[int, ...], implicit: bool, charset: bytes
    ) -> int:
        data, explicit, leaves, only = self.data, self._explicit, self.leaves, self._only
        passed = frozenset[bytes]() if only is None or implicit else _PASSED
        while at + 8 <= end and self.stopped is None:
            begin = at
            group, element, code, size = explicit(data, at)
            is_passed = code in passed and group < _HIGH and at + 8 + size <= end
            if is_passed and only is not None and group << 16 | element not in only:
                at += 8 + size
                continue
            vr = _VRS.get(code)
            if vr is None or implicit or group == 0xFFFE:
                _, _, size = self._plain(data, at)
                vr, value = vr_of(group << 16 | element), at + 8
            elif vr in _LONG:
                size, value = self._size(data, at + 8)[0], at + 12
            else:
                value = at + 8
            tag = group << 16 | element
            if tag == _ITEM_END:
                return value
            if tag in PIXELS and not path and self.pixels is None:
                at = self._behind_pixels(at, value, size)
                continue
            if size == _UNDEFINED and vr not in ("SQ", "UN"):
                # Only pixels may be like this; whatever it is, it can be searched.
                stop = data.find(self._end, value, end)
                at = end if stop < 0 else stop + 8
                leaves.append(Leaf((*path, tag), "UN", value, at, charset))
                continue
            if vr == "SQ" or size == _UNDEFINED:
                # A UN of undefined length is an implicit VR sequence (PS3.5, 6.2.2).
                at = self._items(value, end, size, (*path, tag), implicit or vr == "UN", charset)
                continue
            at = value + size
            if at > end:
                self.stopped, at = begin, end
            if tag == CHARSET:
                charset = bytes(data[value:at])
            if only is None or vr in TELLING or tag in only:
                leaves.append(Leaf((*path, tag), vr, value, at, charset))
            if vr == "UN" and data[value : value + 4] in ITEMS and len(path) < _MAX_UNKNOWN:
                self._unknown(value, at, (*path, tag), charset)
        if path and at < end and self.stopped is None:
            leaves.append(Leaf(path, "UN", at, end, charset))  # too short for an element
        return at

    def _unknown(self, at: int, end: int, path: tuple[int, ...], charset: bytes) -> None:
        read = items_of_unknown(bytes(self.data[at:end]), path, charset, self._only)
        self.leaves += (
            leaf._replace(start=at + leaf.start, end=at + leaf.end) for leaf in read.leaves
        )

    def _behind_pixels(self, at: int, value: int, size: int) -> int:
        data, end = self.data, len(self.data)
        stop = value + size
        if size == _UNDEFINED:
            stop = value
            while data[stop : stop + 4] == self._item and stop + 8 <= end:
                stop += 8 + self._size(data, stop + 4)[0]
            stop = stop + 8 if data[stop : stop + 4] == self._end else end
        if stop > end or end - stop > _TAIL:
            stop = end
        self.pixels = (at, value, stop)
        return stop

    def _items(  # noqa: PLR0913, PLR0917  one recursion with the above
        self, at: int, end: int, size: int, path: tuple[int, ...], implicit: bool, charset: bytes
    ) -> int:
        stop = end if size == _UNDEFINED else min(at + size, end)
        if len(path) > _MAX_DEPTH:
            self.stopped = at
        while at + 8 <= stop and self.stopped is None:
            group, element, length = self._plain(self.data, at)
            tag, value = group << 16 | element, at + 8
            if tag == _SEQUENCE_END:
                return value
            if tag != _ITEM:
                self.stopped = at
            elif length == _UNDEFINED:
                at = self._elements(value, stop, path, implicit, charset)
            else:
                self._elements(value, min(value + length, stop), path, implicit, charset)
                at = value + length
        return at if size == _UNDEFINED else stop


def items_of_unknown(
    value: bytes, path: tuple[int, ...], charset: bytes, only: frozenset[int] | None
) -> Reader:
    """Read items in a value of unknown VR: in implicit VR (PS3.5, 6.2.2) or as they were before."""
    little = value[:2] == ITEMS[0][:2]
    for implicit in (True, False):
        read = Reader(
            value, implicit=implicit, little=little, only=only, within=path, charset=charset
        )
        if read.stopped is None:
            break
    return read


@lru_cache(maxsize=4096)
def vr_of(tag: int) -> str:
    """VR in the dictionary; UN where it has none."""
    return dictionary_VR(tag)[:2] if dictionary_has_tag(tag) else "UN"
