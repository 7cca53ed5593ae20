"""JPEG 2000 and HTJ2K frames: codestreams and the boxes of a file around one.

ITU-T T.800 annex A (codestream) and annex I (boxes), T.801 annex A (Part 2), T.814 (HTJ2K). In the
header of a tile-part a comment is overwritten, because the lengths of tile-parts count it.
"""

import re
from typing import Final

from healthval.deid.pixels.streams.pieces import (
    Buffer,
    Pieces,
    check,
    is_zero,
    number,
    size_of,
)

SOC: Final = b"\xff\x4f"
SIGNATURE: Final = b"\0\0\0\x0cjP  \r\n\x87\n"
_SOT, _SOD, _EOC, _COM = 0xFF90, 0xFF93, 0xFFD9, 0xFF64
_SIZ, _CAP, _COD, _QCD, _QCC = 0xFF51, 0xFF50, 0xFF52, 0xFF5C, 0xFF5D
_LARGEST_BRANDS: Final = 64
_LARGEST_BANDS: Final = 3 * 32 + 1  # subbands of 32 levels
_END: Final = re.compile(rb"\xff\xd9")
# Main header: SIZ CAP PRF CPF, COD COC QCD QCC RGN POC, TLM PLM PPM, and Part 2: CBD MCT MCC MCO NLT
# DFS ADS ATK
_MAIN: Final = frozenset(
    {_SIZ, 0xFF50, 0xFF56, 0xFF59, 0xFF52, 0xFF53, 0xFF5C, 0xFF5D, 0xFF5E, 0xFF5F, 0xFF55, 0xFF57}
    | {0xFF60, 0xFF78, 0xFF74, 0xFF75, 0xFF77, 0xFF76, 0xFF72, 0xFF73, 0xFF79}
)
_TILE: Final = _MAIN - {_SIZ, 0xFF50, 0xFF55, 0xFF57, 0xFF60} | {0xFF58, 0xFF61}  # and PLT PPT
_REMOVED: Final = frozenset({_COM, 0xFF63})  # comment, component registration
_IHDR, _COLR = b"ihdr", b"colr"
_HEADER_BOXES: Final = frozenset({_IHDR, b"bpcc", _COLR, b"pclr", b"cmap", b"cdef"})
_GREY, _SRGB = 17, 16


def clean_jpeg2000(data: Buffer) -> Pieces:
    """Pieces of a JPEG 2000 frame, a codestream or a file, without comments and other boxes."""
    if data[:2] == SOC:
        return clean_codestream(data)
    check(data[:12] == SIGNATURE)
    pieces: Pieces = [data[:12]]
    has_code = False
    for kind, start, end in _boxes(data, 12):
        if kind == b"ftyp":
            check((end - start) % 4 == 0 and end - start <= _LARGEST_BRANDS)
            pieces += _box(kind, [data[start:end]])
        elif kind == b"jp2h":
            pieces += _box(kind, _header_boxes(data[start:end]))
        elif kind == b"jp2c" and not has_code:
            has_code = True
            pieces += _box(kind, clean_codestream(data[start:end]))
    check(has_code)
    return pieces


def _boxes(data: Buffer, at: int) -> list[tuple[bytes, int, int]]:
    """Kind, start and end of the contents of each box."""
    found = []
    while at < len(data) and not is_zero(data[at:]):
        size, kind, start = number(data, at, 4), bytes(data[at + 4 : at + 8]), at + 8
        if size == 1:
            size, start = number(data, at + 8, 8), at + 16
        end = at + size if size else len(data)
        check(start <= end <= len(data))
        found.append((kind, start, end))
        if kind == b"jp2c" and _is_code_end(data, end):
            break
        at = end
    return found


def _is_code_end(data: Buffer, end: int) -> bool:
    """Whether the bytes after a codestream are not boxes, so that all of them are removed."""
    rest = len(data) - end
    return rest < 8 or not 8 <= number(data, end, 4) <= rest


def _box(kind: bytes, contents: Pieces) -> Pieces:
    size = size_of(contents) + 8
    check(size < 1 << 32)
    return [size.to_bytes(4, "big") + kind, *contents]


def _header_boxes(data: Buffer) -> Pieces:
    """Boxes of the image header; an ICC profile is replaced by its enumerated colour space."""
    pieces: Pieces = []
    colours, has_colour = 1, False
    for kind, start, end in _boxes(data, 0):
        if kind == _IHDR:
            check(end - start == 14)
            colours = number(data, start + 8, 2)
        if kind not in _HEADER_BOXES or (kind == _COLR and has_colour):
            continue
        contents = data[start:end]
        if kind == _COLR:
            has_colour = True
            if contents[:1] != b"\1" or len(contents) != 7:
                space = _GREY if colours < 3 else _SRGB
                contents = b"\1\0\0" + space.to_bytes(4, "big")
        pieces += _box(kind, [contents])
    check(pieces)
    return pieces


def clean_codestream(data: Buffer) -> Pieces:
    """Pieces of a codestream without comments; bytes after its end are removed."""
    check(data[:2] == SOC and number(data, 2, 2) == _SIZ)
    pieces: Pieces = [data[:2]]
    at = 2
    while (marker := number(data, at, 2)) != _SOT:
        end = _segment_end(data, at)
        check(marker in _MAIN or marker in _REMOVED)
        if marker in _MAIN:
            check(_has_form(marker, data[at:end]))
            pieces.append(data[at:end])
        at = end
    while at + 2 <= len(data) and number(data, at, 2) == _SOT:
        at = _tile_part(data, at, pieces)
    if number(data, at, 2) == _EOC if at + 2 <= len(data) else False:
        return [*pieces, data[at : at + 2]]
    check(is_zero(data[at:]))  # some writers omit the end marker
    return pieces


def _segment_end(data: Buffer, at: int) -> int:
    end = at + 2 + number(data, at + 2, 2)
    check(at + 4 <= end <= len(data))
    return end


def _tile_part(data: Buffer, at: int, pieces: Pieces) -> int:
    """Append the pieces of a tile-part; return the offset of its end."""
    check(number(data, at + 2, 2) == 10)
    size = number(data, at + 6, 4)
    end = at + size if size else _end_of_last(data, at)
    check(at + 14 <= end <= len(data))
    kept, at = at, at + 12
    while (marker := number(data, at, 2)) != _SOD:
        stop = _segment_end(data, at)
        check(stop <= end and (marker in _TILE or marker in _REMOVED))
        check(marker in _REMOVED or _has_form(marker, data[at:stop]))
        if marker in _REMOVED and not is_zero(data[at + 4 : stop]):
            pieces += (data[kept:at], b"\xff\x64", data[at + 2 : at + 4], bytes(stop - at - 4))
            kept = stop
        at = stop
    pieces.append(data[kept:end])
    return end


def _end_of_last(data: Buffer, at: int) -> int:
    """End of a tile-part of unknown length: the end marker, which never occurs in coded data."""
    found = _END.search(data, at + 12)
    return found.start() if found else len(data)


def _has_form(marker: int, segment: Buffer) -> bool:
    """Whether a segment has the length that its own contents demand."""
    size = len(segment)
    if marker == _SIZ:
        return size >= 40 and size == 40 + 3 * number(segment, 38, 2)
    if marker == _CAP:
        return size == 8 + 2 * number(segment, 4, 4).bit_count()
    if marker == _COD:
        return size == 14 + (number(segment, 4, 1) & 1) * (number(segment, 9, 1) + 1)
    if marker in (_QCD, _QCC):
        return size <= 6 + 2 * _LARGEST_BANDS
    return True
