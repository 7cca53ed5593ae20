"""JPEG and JPEG-LS frames: segments that decoding needs are kept, all others removed.

ITU-T T.81 (JPEG) annex B, T.871 (JFIF), T.872 (Adobe APP14), T.87 (JPEG-LS) annex C.
"""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from healthval.deid.pixels.streams.jpeg_tables import Needed, kept_tables
from healthval.deid.pixels.streams.pieces import Buffer, Pieces, check, is_zero, number

SOI: Final = b"\xff\xd8"
_EOI: Final = 0xD9
_SOS, _DHT, _DAC, _DQT, _DNL, _DRI = 0xDA, 0xC4, 0xCC, 0xDB, 0xDC, 0xDD
_LS_FRAME, _LS_PARAMETERS = 0xF7, 0xF8
_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {_DHT, 0xC8, _DAC} | {_LS_FRAME}
_LOSSLESS: Final = frozenset({0xC3, 0xC7, 0xCB, 0xCF})
# A marker ends the coded data: stuffed zeros, fill bytes and restart markers belong to the data.
_MARKER: Final = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
# In JPEG-LS a zero bit is stuffed, so that 0x00 to 0x7F follow 0xFF in the coded data.
_LS_MARKER: Final = re.compile(rb"\xff[\x80-\xcf\xd8-\xfe]")
_JFIF: Final = b"JFIF\0"
_ADOBE: Final = b"Adobe"
_COLOUR_TRANSFORM: Final = b"mrfx"  # of JPEG-LS encoders by Hewlett-Packard


class _Segment(NamedTuple):
    """Segment with its marker and length, and the coded data of a scan."""

    marker: int
    data: Buffer
    coded: Buffer


def clean_jpeg(data: Buffer) -> Pieces:
    """Pieces of a JPEG or JPEG-LS frame without comments, applications' segments and tail."""
    check(data[:2] == SOI)
    segments = list(_segments(data))
    frames = [s for s in segments if s.marker in _FRAMES]
    scans = [s for s in segments if s.marker == _SOS]
    check(len(frames) == 1 and scans)
    check(all(_frame_form(s.data) for s in frames) and all(_scan_form(s.data) for s in scans))
    needed = _needed(frames[0], scans)
    pieces: Pieces = [data[:2]]
    seen = set[int]()
    for segment in segments:
        if segment.marker in (0xE0, 0xEE, 0xE8):
            kept = [] if segment.marker in seen else _application(segment)
            seen |= {segment.marker} if kept else set()
        else:
            kept = _kept(segment, needed)
        pieces += [*kept, segment.coded] if segment.coded else kept
    return [*pieces, b"\xff\xd9"]


def _segments(data: Buffer) -> Iterator[_Segment]:
    """Segments up to the end of the image; bytes after it are not read."""
    at, marker_of = 2, _MARKER
    while True:
        while number(data, at, 2) == 0xFFFF:  # fill bytes
            at += 1
        marker = number(data, at, 2) & 0xFF
        check(data[at] == 0xFF)
        if marker == _EOI:
            return
        end = at + 2 + number(data, at + 2, 2)
        check(at + 4 <= end <= len(data))
        if marker == _LS_FRAME:
            marker_of = _LS_MARKER
        stop = end
        if marker == _SOS:
            found = marker_of.search(data, end)
            check(found)
            stop = found.start() if found else end
        yield _Segment(marker, data[at:end], data[end:stop])
        at = stop


def _needed(frame: _Segment, scans: list[_Segment]) -> Needed:
    """Tables to which the components of the frame and of its scans refer."""
    components = [scan.data[5:-3] for scan in scans]
    tables = [table for part in components for table in part[1::2]]
    if frame.marker == _LS_FRAME:
        return Needed(mapping=frozenset(tables))
    codes = {(0, table >> 4) for table in tables}
    if frame.marker in _LOSSLESS:
        return Needed(huffman=frozenset(codes))
    codes |= {(1, table & 0xF) for table in tables}
    return Needed(quantisation=frozenset(frame.data[12::3]), huffman=frozenset(codes))


def _application(segment: _Segment) -> Pieces:
    """Pieces of a segment that describes the colours or the density, without its thumbnail."""
    marker, data = segment.marker, segment.data
    if marker == 0xE0 and data[4:9] == _JFIF:
        check(len(data) >= 18)
        return [data] if len(data) == 18 else [b"\xff\xe0\0\x10", data[4:16], b"\0\0"]
    if marker == 0xEE and data[4:9] == _ADOBE:
        if len(data) < 16:  # too short to be read by a decoder
            return [data] if is_zero(data[9:]) else []
        return [data] if len(data) == 16 else [b"\xff\xee\0\x0e", data[4:16]]
    is_transform = data[4:8] == _COLOUR_TRANSFORM and len(data) == 9
    return [data] if marker == 0xE8 and is_transform else []


def _kept(segment: _Segment, needed: Needed) -> Pieces:
    marker, data = segment.marker, segment.data
    if 0xE0 <= marker <= 0xEF or marker == 0xFE:
        return []
    if marker in (_DQT, _DHT, _LS_PARAMETERS):
        return kept_tables(marker, data, needed)
    check(marker == _SOS or marker in _FRAMES or len(data) in _SIZES.get(marker, ()))
    return [data]


def _frame_form(data: Buffer) -> bool:
    return len(data) >= 10 and len(data) == 10 + 3 * data[9]


def _scan_form(data: Buffer) -> bool:
    return len(data) >= 8 and len(data) == 8 + 2 * data[4]


# Bytes of conditioning tables, number of lines, and restart interval (up to 4 bytes in JPEG-LS)
_SIZES: Final = {_DAC: range(6, 4 + 2 * 32 + 1, 2), _DNL: (6,), _DRI: (6, 7, 8)}
