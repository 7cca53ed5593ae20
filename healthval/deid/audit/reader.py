"""Tolerant reader of encoded data sets, for the audit only; shares no code with the engine.

The reader never raises an error. At bytes that it cannot parse it stops and records the offset.
"""

import struct
from functools import lru_cache
from typing import Any, Final, NamedTuple

from pydicom.datadict import dictionary_has_tag, dictionary_VR

PIXELS: Final = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
CHARSET: Final = 0x00080005
_LONG: Final = frozenset(
    {"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"}
)
_SHORT: Final = frozenset(
    {"AE", "AS", "AT", "CS", "DA", "DS", "DT", "FD", "FL", "IS", "LO", "LT", "PN", "SH", "SL"}
    | {"SS", "ST", "TM", "UI", "UL", "US"}
)
_VRS: Final = {vr.encode("ascii"): vr for vr in _LONG | _SHORT}
# VRs of names and dates, and the VR that can contain either
NAMES_AND_DATES: Final = frozenset({"PN", "DA", "DT", "UN"})
_UNDEFINED: Final = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
ITEMS: Final = (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")
_MAX_DEPTH: Final = 200
# A value of unknown VR at a greater depth is searched as plain bytes, because Python limits
# recursion.
_MAX_UNKNOWN: Final = 64
# Elements with these VRs are skipped unless their tag is wanted.
_SKIPPED: Final = frozenset(vr.encode("ascii") for vr in _SHORT - NAMES_AND_DATES)
_HIGH: Final = 0x7FE0  # lowest group of pixel elements and items
# A longer tail after the pixels is searched as plain bytes, not element by element.
_MAX_TAIL: Final = 1 << 20


class Element(NamedTuple):
    """Position of a value that is not a sequence.

    `path` contains the tags from the root. `start` and `end` are offsets in the buffer that was
    read. `charset` is the nearest enclosing Specific Character Set.
    """

    path: tuple[int, ...]
    vr: str
    start: int
    end: int
    charset: bytes = b""


class Level(NamedTuple):
    """Nesting level of a run of elements: path of its sequence, encoding and character set."""

    path: tuple[int, ...] = ()
    implicit: bool = False
    charset: bytes = b""


class Reader:
    """Reader of one encoded data set; results are in `elements`, `pixels` and `stopped`.

    Parameters
    ----------
    data : buffer
    level : nesting level of the first byte; with a path, the bytes are the items of that sequence
    little : whether the byte order is little endian
    start : offset of the first byte
    only : tags to locate besides names, dates and values of unknown VR; by default every value
        is located

    Attributes
    ----------
    pixels : offsets of the pixel element, of its value and of its end, or None
    stopped : offset of the first byte that could not be parsed, or None
    """

    def __init__(
        self,
        data: Any,
        level: Level,
        *,
        little: bool,
        start: int = 0,
        only: frozenset[int] | None = None,
    ) -> None:
        order = "<" if little else ">"
        self._explicit = struct.Struct(order + "HH2sH").unpack_from
        self._implicit = struct.Struct(order + "HHL").unpack_from
        self._size = struct.Struct(order + "L").unpack_from
        self._item = struct.pack(order + "HH", 0xFFFE, 0xE000)
        self._sequence_end = struct.pack(order + "HH", 0xFFFE, 0xE0DD)
        self.data, self.elements = data, list[Element]()
        self.pixels: tuple[int, int, int] | None = None
        self.stopped: int | None = None
        self._only = only
        self._read(start, level)

    def _read(self, start: int, level: Level) -> None:
        stop = len(self.data)
        try:
            if level.path:
                end = self._read_items(start, stop, stop, level)
            else:
                end = self._read_elements(start, stop, level)
        except struct.error:  # the bytes end inside an element
            end = start
        if self.stopped is None and end != stop:
            self.stopped = end

    def _read_elements(  # noqa: C901, PLR0912  one loop, run for each element of each file
        self, at: int, end: int, level: Level
    ) -> int:
        data, explicit, elements, only = self.data, self._explicit, self.elements, self._only
        path, implicit, charset = level
        skipped = frozenset[bytes]() if only is None or implicit else _SKIPPED
        wanted = only or frozenset()
        while at + 8 <= end and self.stopped is None:
            group, element, code, size = explicit(data, at)
            tag = group << 16 | element
            if code in skipped and group < _HIGH and tag not in wanted and at + 8 + size <= end:
                at += 8 + size
                continue
            vr = _VRS.get(code)
            if vr is None or implicit or group == 0xFFFE:
                _, _, size = self._implicit(data, at)
                vr, value = vr_of(tag), at + 8
            elif vr in _LONG:
                size, value = self._size(data, at + 8)[0], at + 12
            else:
                value = at + 8
            if tag == _ITEM_END:
                return value
            if tag in PIXELS and not path and self.pixels is None:
                at = self._skip_pixels(at, value, size)
            elif vr == "SQ" or (vr == "UN" and size == _UNDEFINED):
                # UN with undefined length is a sequence in implicit VR (PS3.5, 6.2.2).
                inner = Level((*path, tag), implicit or vr == "UN", charset)
                at = self._read_items(value, end, size, inner)
            elif size == _UNDEFINED:
                at = self._read_encapsulated(value, end, Level((*path, tag), charset=charset))
            else:
                stop = value + size
                if stop > end:
                    self.stopped, stop = at, end
                at = stop
                if tag == CHARSET:
                    charset = bytes(data[value:at])
                if only is None or vr in NAMES_AND_DATES or tag in only:
                    elements.append(Element._make(((*path, tag), vr, value, at, charset)))
                if vr == "UN" and data[value : value + 4] in ITEMS and len(path) < _MAX_UNKNOWN:
                    self._read_unknown(value, at, Level((*path, tag), charset=charset))
        if path and at < end and self.stopped is None:  # too short for an element
            elements.append(Element(path, "UN", at, end, charset=charset))
        return at

    def _read_encapsulated(self, at: int, end: int, level: Level) -> int:
        """Locate an encapsulated value that is not pixel data, up to its sequence delimiter."""
        stop = self.data.find(self._sequence_end, at, end)
        stop = end if stop < 0 else stop + 8
        self.elements.append(Element(level.path, "UN", at, stop, charset=level.charset))
        return stop

    def _read_unknown(self, at: int, end: int, level: Level) -> None:
        read = items_of_unknown(bytes(self.data[at:end]), level, self._only)
        self.elements += (
            found._replace(start=at + found.start, end=at + found.end) for found in read.elements
        )

    def _skip_pixels(self, at: int, value: int, size: int) -> int:
        data, end = self.data, len(self.data)
        stop = value + size
        if size == _UNDEFINED:
            stop = value
            while data[stop : stop + 4] == self._item and stop + 8 <= end:
                stop += 8 + self._size(data, stop + 4)[0]
            stop = stop + 8 if data[stop : stop + 4] == self._sequence_end else end
        if stop > end or end - stop > _MAX_TAIL:
            stop = end
        self.pixels = (at, value, stop)
        return stop

    def _read_items(self, at: int, end: int, size: int, level: Level) -> int:
        stop = end if size == _UNDEFINED else min(at + size, end)
        if len(level.path) > _MAX_DEPTH:
            self.stopped = at
        while at + 8 <= stop and self.stopped is None:
            group, element, length = self._implicit(self.data, at)
            tag, value = group << 16 | element, at + 8
            if tag == _SEQUENCE_END:
                return value
            if tag != _ITEM:
                self.stopped = at
            elif length == _UNDEFINED:
                at = self._read_elements(value, stop, level)
            else:
                self._read_elements(value, min(value + length, stop), level)
                at = value + length
        return at if size == _UNDEFINED else stop


def items_of_unknown(value: bytes, level: Level, only: frozenset[int] | None) -> Reader:
    """Read items in a value of unknown VR: in implicit VR (PS3.5, 6.2.2), else in explicit VR."""
    little = value[:2] == ITEMS[0][:2]
    for implicit in (True, False):
        read = Reader(value, level._replace(implicit=implicit), little=little, only=only)
        if read.stopped is None:
            break
    return read


@lru_cache(maxsize=4096)
def vr_of(tag: int) -> str:
    """VR of a tag in the dictionary; UN for tags that it does not contain."""
    return dictionary_VR(tag)[:2] if dictionary_has_tag(tag) else "UN"
