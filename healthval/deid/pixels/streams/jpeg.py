"""JPEG and JPEG-LS frames: segments that decoding needs are kept, all others removed.

ITU-T T.81 (JPEG) annex B, T.871 (JFIF), T.872 (Adobe APP14), T.87 (JPEG-LS) annex C.
"""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from healthval.deid.pixels.streams.coded_text import check_no_text
from healthval.deid.pixels.streams.jpeg_tables import (
    AC,
    DC,
    MAPPING,
    PRESETS,
    QUANTISATION,
    Needed,
    Table,
    kept_tables,
)
from healthval.deid.pixels.streams.pieces import (
    Buffer,
    Pieces,
    Shape,
    check,
    check_size,
    is_zero,
    number,
)

SOI: Final = b"\xff\xd8"
_EOI: Final = 0xD9
_SOS, _DHT, _DAC, _DQT, _DNL, _DRI = 0xDA, 0xC4, 0xCC, 0xDB, 0xDC, 0xDD
_LS_FRAME, _LS_PARAMETERS = 0xF7, 0xF8
_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {_DHT, 0xC8, _DAC} | {_LS_FRAME}
_LOSSLESS: Final = frozenset({0xC3, 0xC7, 0xCB, 0xCF})
_PROGRESSIVE: Final = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
_ARITHMETIC: Final = frozenset({0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF})
# A marker ends the coded data: stuffed zeros, fill bytes and restart markers belong to the data.
_MARKER: Final = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
# In JPEG-LS a zero bit is stuffed, so that 0x00 to 0x7F follow 0xFF in the coded data.
_RESTART: Final = re.compile(rb"\xff[\xd0-\xd7]")
_LS_MARKER: Final = re.compile(rb"\xff[\x80-\xcf\xd8-\xfe]")
_JFIF: Final = b"JFIF\0"
_ADOBE: Final = b"Adobe"
_COLOUR_TRANSFORM: Final = b"mrfx"  # of JPEG-LS encoders by Hewlett-Packard


class _Segment(NamedTuple):
    """Segment with its marker and length, and the coded data of a scan."""

    marker: int
    data: Buffer
    coded: Buffer


def clean_jpeg(data: Buffer, shape: Shape | None = None) -> Pieces:
    """Pieces of a JPEG or JPEG-LS frame without comments, applications' segments and tail.

    Raises
    ------
    BadStreamError, WrongSizeError
        If the frame cannot be parsed, or is of another image than one of `shape`.
    """
    check(data[:2] == SOI)
    segments = list(_segments(data))
    frames = [s for s in segments if s.marker in _FRAMES]
    scans = [s for s in segments if s.marker == _SOS]
    check(len(frames) == 1 and scans)
    check(all(_frame_form(s.data) for s in frames) and all(_scan_form(s.data) for s in scans))
    header = frames[0].data
    size = number(header, 5, 2), number(header, 7, 2), number(header, 9, 1)
    check_size(size, shape, unknown=0)
    pieces: Pieces = [data[:2]]
    seen = set[int]()
    for segment, tables in zip(segments, _needed_tables(frames[0], segments), strict=True):
        if segment.marker in (0xE0, 0xEE, 0xE8):
            kept = [] if segment.marker in seen else _application(segment)
            seen |= {segment.marker} if kept else set()
        else:
            kept = _kept(segment, frames[0].marker) if tables is None else tables
        if segment.coded:
            _check_coded(segment.coded)
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


def _check_coded(coded: Buffer) -> None:
    """Refuse a text after the last value, or before a restart marker."""
    check_no_text(coded)
    for found in _RESTART.finditer(coded):
        check_no_text(coded[max(found.start() - 64, 0) : found.start()], is_one_of_many=True)


def _needed_tables(frame: _Segment, segments: list[_Segment]) -> list[Pieces | None]:
    """Pieces of each segment of tables; None for the other segments.

    A table is needed if a later scan refers to it before it is defined again.
    """
    found: list[Pieces | None] = []
    needed: Needed = set()
    for segment in reversed(segments):
        if segment.marker == _SOS:
            needed |= _tables_of(frame, segment)
        is_table = segment.marker in (_DQT, _DHT, _LS_PARAMETERS)
        found.append(kept_tables(segment.marker, segment.data, needed) if is_table else None)
    return found[::-1]


def _tables_of(frame: _Segment, scan: _Segment) -> Needed:
    """Tables to which the components of a scan refer."""
    components = scan.data[5:-3]
    numbers = components[1::2]
    if frame.marker == _LS_FRAME:
        return {(MAPPING, n) for n in numbers if n} | {(PRESETS, 1), (PRESETS, 4)}
    if frame.marker in _LOSSLESS:
        return {(DC, n >> 4) for n in numbers}
    codes = set[Table]()
    first, refinement = scan.data[-3], scan.data[-1] >> 4
    if frame.marker not in _PROGRESSIVE or (first == 0 and refinement == 0):
        codes |= {(DC, n >> 4) for n in numbers}
    if frame.marker not in _PROGRESSIVE or first:
        codes |= {(AC, n & 0xF) for n in numbers}
    of_component = dict(zip(frame.data[10::3], frame.data[12::3], strict=True))
    check(set(components[::2]) <= set(of_component))
    quantisers = {(QUANTISATION, of_component[one]) for one in components[::2]}
    return codes | quantisers


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


def _kept(segment: _Segment, frame: int) -> Pieces:
    """Pieces of a segment without tables, in an image whose frame has the marker `frame`."""
    marker, data = segment.marker, segment.data
    if 0xE0 <= marker <= 0xEF or marker == 0xFE or (marker == _DAC and frame not in _ARITHMETIC):
        return []
    check(marker == _SOS or marker in _FRAMES or len(data) in _SIZES.get(marker, ()))
    check(marker != _DAC or all(table & 0xEC == 0 for table in data[4::2]))
    return [data]


def _frame_form(data: Buffer) -> bool:
    """Whether each component has sampling factors of 1 to 4 and a table of quantisation of 0 to 3."""
    return (
        len(data) >= 10
        and len(data) == 10 + 3 * data[9]
        and all(1 <= n >> 4 <= 4 and 1 <= n & 15 <= 4 for n in data[11::3])
        and all(table <= 3 for table in data[12::3])
    )


def _scan_form(data: Buffer) -> bool:
    return len(data) >= 8 and len(data) == 8 + 2 * data[4]


# Bytes of conditioning tables, number of lines, and restart interval (up to 4 bytes in JPEG-LS)
_SIZES: Final = {_DAC: range(6, 4 + 2 * 32 + 1, 2), _DNL: (6,), _DRI: (6, 7, 8)}
