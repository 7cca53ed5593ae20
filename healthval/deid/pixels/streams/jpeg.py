"""JPEG and JPEG-LS frames: segments that decoding needs are kept, all others removed.

ITU-T T.81 (JPEG) annex B, T.871 (JFIF), T.872 (Adobe APP14), T.87 (JPEG-LS) annex C.
"""

import re
from collections.abc import Callable
from typing import Final

from healthval.deid.pixels.streams.pieces import Buffer, Pieces, check, number

SOI: Final = b"\xff\xd8"
_EOI: Final = 0xD9
_SOS, _DHT, _DAC, _DQT, _DNL, _DRI = 0xDA, 0xC4, 0xCC, 0xDB, 0xDC, 0xDD
_LS_FRAME, _LS_PARAMETERS = 0xF7, 0xF8
_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {_DHT, 0xC8, _DAC} | {_LS_FRAME}
# A marker ends the coded data: stuffed zeros, fill bytes and restart markers belong to the data.
_MARKER: Final = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
# In JPEG-LS a zero bit is stuffed, so that 0x00 to 0x7F follow 0xFF in the coded data.
_LS_MARKER: Final = re.compile(rb"\xff[\x80-\xcf\xd8-\xfe]")
_JFIF: Final = b"JFIF\0"
_ADOBE: Final = b"Adobe"
_COLOUR_TRANSFORM: Final = b"mrfx"  # of JPEG-LS encoders by Hewlett-Packard


def clean_jpeg(data: Buffer) -> Pieces:
    """Pieces of a JPEG or JPEG-LS frame without comments, applications' segments and tail."""
    check(data[:2] == SOI)
    pieces: Pieces = [data[:2]]
    at, marker_of, has_frame, has_scan = 2, _MARKER, False, False
    while True:
        while number(data, at, 2) == 0xFFFF:  # fill bytes
            at += 1
        marker = number(data, at, 2) & 0xFF
        check(data[at] == 0xFF)
        if marker == _EOI:
            check(has_scan)
            return [*pieces, data[at : at + 2]]
        end = at + 2 + number(data, at + 2, 2)
        check(at + 4 <= end <= len(data))
        if marker == _LS_FRAME:
            marker_of = _LS_MARKER
        has_frame |= marker in _FRAMES
        kept = _kept(marker, data[at:end])
        if marker == _SOS:
            check(has_frame)
            has_scan, found = True, marker_of.search(data, end)
            check(found)
            end = found.start() if found else end
            kept = [*kept, data[at + size_of_scan_head(kept) : end]]
        pieces += kept
        at = end


def size_of_scan_head(kept: Pieces) -> int:
    """Bytes of the scan header that was kept."""
    return len(kept[0])


def _kept(marker: int, segment: Buffer) -> Pieces:
    """Pieces of a segment that are kept; the segment includes marker and length."""
    if marker == 0xE0 and segment[4:9] == _JFIF:
        check(len(segment) >= 18)
        if len(segment) == 18:
            return [segment]
        return [b"\xff\xe0\0\x10", segment[4:16], b"\0\0"]  # without its thumbnail
    if marker == 0xEE and segment[4:9] == _ADOBE:
        check(len(segment) >= 16)
        return [segment] if len(segment) == 16 else [b"\xff\xee\0\x0e", segment[4:16]]
    if marker == 0xE8 and segment[4:8] == _COLOUR_TRANSFORM and len(segment) == 9:
        return [segment]
    if 0xE0 <= marker <= 0xEF or marker == 0xFE:
        return []
    form = _FORMS.get(marker, _frame_form if marker in _FRAMES else None)
    check(form is not None and form(segment))
    return [segment]


def _frame_form(segment: Buffer) -> bool:
    return len(segment) >= 10 and len(segment) == 10 + 3 * segment[9]


def _scan_form(segment: Buffer) -> bool:
    return len(segment) >= 5 and len(segment) == 8 + 2 * segment[4]


def _quantisation_form(segment: Buffer) -> bool:
    at = 4
    while at < len(segment):
        precision, table = segment[at] >> 4, segment[at] & 0xF
        if precision > 1 or table > 3:
            return False
        at += 1 + 64 * (precision + 1)
    return at == len(segment)


def _huffman_form(segment: Buffer) -> bool:
    at = 4
    while at + 17 <= len(segment):
        kind, table = segment[at] >> 4, segment[at] & 0xF
        if kind > 1 or table > 3:
            return False
        at += 17 + sum(segment[at + 1 : at + 17])
    return at == len(segment)


def _parameters_form(segment: Buffer) -> bool:
    kind = segment[4] if len(segment) > 4 else 0
    return kind in (2, 3) or (kind == 1 and len(segment) == 15) or (kind == 4 and len(segment) < 16)


_FORMS: Final[dict[int, Callable[[Buffer], bool]]] = {
    _SOS: _scan_form,
    _DHT: _huffman_form,
    _DQT: _quantisation_form,
    _DAC: lambda segment: len(segment) % 2 == 0 and len(segment) <= 4 + 2 * 32,
    _DNL: lambda segment: len(segment) == 6,
    _DRI: lambda segment: len(segment) in (6, 7, 8),  # four bytes at most in JPEG-LS
    _LS_PARAMETERS: _parameters_form,
}
