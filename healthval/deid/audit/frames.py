"""Text in compressed frames: every part of a frame that no decoder needs, found by its markers.

Shares no code with the engine. The kind of a frame is recognised by its first bytes, so that a wrong
transfer syntax hides nothing. Bytes that do not follow a standard are returned as text.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

_ITEM: Final = b"\xfe\xff\x00\xe0"
_JPEG, _CODESTREAM, _START = b"\xff\xd8", b"\xff\x4f", b"\0\0\1"
_JP2: Final = b"\0\0\0\x0cjP  "
_JPEG_MARKER: Final = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
_JPEG_IMAGE: Final = frozenset({0xC4, 0xCC, 0xDB, 0xDD, *range(0xC0, 0xD0), 0xF7})
_UNUSED_SEGMENTS: Final = b"\x56\x59\x63\x64"  # profiles, component registration, comment
_CODED_MARKERS: Final = re.compile(rb"\xff[\x64\x63]")
_CODE_UNIT: Final = re.compile(rb"\x00\x00\x01(.)", re.DOTALL)
_USER_DATA: Final = frozenset(
    {0xB2, 0x06, 0x26, 0x66, 0x4E, 0x50}
)  # MPEG-2, SEI of H.264 and H.265
_SKIPPED_BOXES: Final = frozenset({b"mdat", b"jp2c"})
_ASCII_END: Final = re.compile(rb"[ -~]{4,}\Z")
_CODED_TAIL: Final = 64
_TAIL: Final = 1 << 16  # bytes of video data searched as text at each end


def texts_of(data: Any, start: int, end: int) -> Iterator[bytes]:
    """Parts of encapsulated pixels, between two offsets of a buffer, that may contain text."""
    frame: list[tuple[int, int]] = []
    for fragment in _fragments(data, start, end):
        if frame and _begins_frame(data[fragment[0] : fragment[0] + 12]):
            yield from _joined_texts(data, frame)
            frame = []
        frame.append(fragment)
    yield from _joined_texts(data, frame)


def _joined_texts(data: Any, fragments: list[tuple[int, int]]) -> Iterator[bytes]:
    """Texts of a frame; a marker can begin in one fragment and end in the next."""
    if len(fragments) > 1:
        whole = b"".join(data[at:stop] for at, stop in fragments)
        yield from _frame_texts(whole, 0, len(whole))
    elif fragments:
        yield from _frame_texts(data, *fragments[0])


def _begins_frame(head: bytes) -> bool:
    return head[:2] in (_JPEG, _CODESTREAM) or head[:8] == _JP2 or head[4:8] == b"ftyp"


def _fragments(data: Any, at: int, end: int) -> Iterator[tuple[int, int]]:
    is_table = True
    at = data.find(_ITEM, at, min(at + 64, end))  # after the element's tag and length
    while at >= 0 and at + 8 <= end and data[at : at + 4] == _ITEM:
        stop = at + 8 + int.from_bytes(data[at + 4 : at + 8], "little")
        if not is_table:
            yield at + 8, min(stop, end)
        at, is_table = stop, False


def _frame_texts(data: Any, at: int, end: int) -> Iterator[bytes]:
    head = data[at : at + 12]
    if head[:2] == _JPEG:
        yield from _jpeg_texts(data, at + 2, end)
    elif head[:2] == _CODESTREAM:
        yield from _codestream_texts(data, at + 2, end)
    elif head[:8] == _JP2 or head[4:8] == b"ftyp":
        yield from _box_texts(data, at, end)
    elif head[:3] == _START or head[:4] == b"\0" + _START:
        yield from _unit_texts(data, at, end)


def _jpeg_texts(data: Any, at: int, end: int) -> Iterator[bytes]:
    while at + 4 <= end and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if marker == 0xD9:
            at += 2
            break
        stop = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == 0xDA:
            start, found = stop, _JPEG_MARKER.search(data, stop, end)
            stop = found.start() if found else end
            yield from _coded_end(data, start, stop)
        elif marker not in _JPEG_IMAGE:
            yield bytes(data[at + 4 : min(stop, end)])
        at = stop
    yield bytes(data[at:end])


def _codestream_texts(data: Any, at: int, end: int) -> Iterator[bytes]:
    """Texts of the main header, of comments in tile-parts and behind the end marker."""
    while at + 4 <= end and data[at : at + 2] not in (b"\xff\x90", b"\xff\xd9"):
        stop = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if data[at] != 0xFF or data[at + 1] in _UNUSED_SEGMENTS:
            yield bytes(data[at + 4 : min(stop, end)])
        at = stop
    while at + 12 <= end and data[at : at + 2] == b"\xff\x90":
        size = int.from_bytes(data[at + 6 : at + 10], "big")
        if not size:
            return
        stop = data.find(b"\xff\x93", at, min(at + size, end))
        for found in _CODED_MARKERS.finditer(data, at, max(stop, at)):
            yield bytes(data[found.start() + 4 : stop])
        yield from _coded_end(data, max(stop, at), min(at + size, end))
        at += size
    yield bytes(data[at:end])


def _coded_end(data: Any, at: int, end: int) -> Iterator[bytes]:
    """ASCII characters at the end of coded data, of which the first few may be coded data.

    Random bytes end with a given name of four letters once in 1e7.
    """
    found = _ASCII_END.search(bytes(data[max(at, end - _CODED_TAIL) : end]).replace(b"\0", b""))
    if found:
        yield b"\n".join(found[0][skipped:] for skipped in range(4))


def _box_texts(data: Any, at: int, end: int) -> Iterator[bytes]:
    while at + 8 <= end:
        size, kind, start = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8], at + 8
        if size == 1:
            size, start = int.from_bytes(data[at + 8 : at + 16], "big"), at + 16
        stop = min(at + size if size else end, end)
        if stop < start:
            break
        if kind == b"jp2c":
            yield from _codestream_texts(data, start + 2, stop)
        elif kind not in _SKIPPED_BOXES:
            yield bytes(data[start:stop])
        at = stop
    yield bytes(data[at:end])


def _unit_texts(data: Any, at: int, end: int) -> Iterator[bytes]:
    """User data and supplemental information of a video, and the end of its last unit."""
    last = start = -1
    for found in _CODE_UNIT.finditer(data, at, end):
        if start >= 0:
            yield bytes(data[start : found.start()])
        start = found.end() if found[1][0] in _USER_DATA else -1
        last = found.end()
    yield bytes(data[max(last, end - _TAIL, at) : end])
    if start >= 0:
        yield bytes(data[start:end])
