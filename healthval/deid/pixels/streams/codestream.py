"""JPEG 2000 and HTJ2K codestreams: comments, wrong lengths and bytes after the end are removed.

ITU-T T.800 annex A, T.801 annex A (Part 2), T.814 (HTJ2K). In the header of a tile-part, a removed
segment is overwritten, because the lengths of tile-parts count it.
"""

import re
from dataclasses import dataclass
from typing import Final

from healthval.deid.pixels.streams.coded_text import check_no_text
from healthval.deid.pixels.streams.pieces import (
    Buffer,
    Pieces,
    Shape,
    check,
    check_size,
    is_zero,
    number,
)

SOC: Final = b"\xff\x4f"
_SOT, _SOD, _EOC, _COM = 0xFF90, 0xFF93, 0xFFD9, 0xFF64
_SIZ, _CAP, _COD, _COC, _QCD, _QCC = 0xFF51, 0xFF50, 0xFF52, 0xFF53, 0xFF5C, 0xFF5D
_RGN, _POC, _TLM, _PLT = 0xFF5E, 0xFF5F, 0xFF55, 0xFF58
_PPM, _PPT = 0xFF60, 0xFF61
# Part 2: DFS ADS MCT MCC NLT MCO CBD ATK
_PART_2: Final = frozenset({0xFF72, 0xFF73, 0xFF74, 0xFF75, 0xFF76, 0xFF77, 0xFF78, 0xFF79})
_BOTH: Final = frozenset({_COD, _COC, _QCD, _QCC, _RGN, _POC}) | _PART_2
_ONCE: Final = frozenset({_SIZ, _CAP, _COD, _QCD, _POC})  # in one header
_OF_COMPONENT: Final = frozenset({_COC, _QCC, _RGN})  # once for each component
_MOST_LEVELS: Final = 32
_MOST_ORDERS: Final = 4  # orders of progression
_MOST_CAPABILITIES: Final = 2  # parts of the standard other than 1 and 2; HTJ2K is one
_DEEPEST: Final = 38  # bits of a component
_MAIN: Final = _BOTH | {_SIZ, _CAP, _PPM, _TLM}
_TILE: Final = _BOTH | {_PPT, _PLT}
# Profiles (PRF, CPF), packet lengths (PLM), component registration (CRG), comments
_REMOVED: Final = frozenset({0xFF56, 0xFF59, 0xFF57, 0xFF63, _COM})
_END: Final = re.compile(rb"\xff\xd9")


@dataclass(frozen=True, slots=True)
class _Form:
    """Facts of a codestream that give the lengths of its segments."""

    components: int
    wide: int  # bytes of a component's number
    bands: int  # subbands of the component with most levels; 0 if unknown
    has_part_2: bool


def clean_codestream(data: Buffer, shape: Shape | None = None) -> Pieces:
    """Pieces of a codestream without comments; bytes after its end are removed.

    Raises
    ------
    BadStreamError, WrongSizeError
        If it cannot be parsed, or is of another image than one of `shape`. A codestream of Part 2
        may have the components of many frames.
    """
    check(data[:2] == SOC and number(data, 2, 2) == _SIZ)
    main, at = _main_segments(data)
    form = _form_of(main)
    _check_header(form, main)
    right, bottom, left, top = (number(main[0][1], at, 4) for at in (6, 10, 14, 18))
    if not form.has_part_2:
        check_size((bottom - top, right - left, form.components), shape)
    tiles: Pieces = []
    sizes = list[int]()
    while at + 2 <= len(data) and number(data, at, 2) == _SOT:
        end = _tile_part(data, at, form, tiles)
        sizes.append(end - at)
        at = end
    lengths = [segment for marker, segment in main if marker == _TLM]
    keeps_lengths = bool(lengths) and _tile_lengths(lengths) == sizes
    head = [s for marker, s in main if marker != _TLM or keeps_lengths]
    if data[at : at + 2] == b"\xff\xd9":
        return [SOC, *head, *tiles, data[at : at + 2]]
    check(is_zero(data[at:]))  # some writers omit the end marker
    return [SOC, *head, *tiles]


def _main_segments(data: Buffer) -> tuple[list[tuple[int, Buffer]], int]:
    """Segments of the main header that are kept, by marker, and the offset of the first tile."""
    found, at = [], 2
    while (marker := number(data, at, 2)) != _SOT:
        end = _segment_end(data, at)
        check(marker in _MAIN or marker in _REMOVED)
        if marker in _MAIN:
            found.append((marker, data[at:end]))
        at = end
    return found, at


def _segment_end(data: Buffer, at: int) -> int:
    end = at + 2 + number(data, at + 2, 2)
    check(at + 4 <= end <= len(data))
    return end


def _tile_part(data: Buffer, at: int, form: _Form, pieces: Pieces) -> int:
    """Append the pieces of a tile-part; return the offset of its end."""
    check(number(data, at + 2, 2) == 10)
    size = number(data, at + 6, 4)
    end = at + size if size else _end_of_last(data, at)
    check(at + 14 <= end <= len(data))
    kept, at = at, at + 12
    removed, packets = list[tuple[int, int]](), list[tuple[int, int]]()
    header = list[tuple[int, Buffer]]()
    while (marker := number(data, at, 2)) != _SOD:
        stop = _segment_end(data, at)
        check(stop <= end and (marker in _TILE or marker in _REMOVED))
        if marker in _REMOVED:
            removed.append((at, stop))
        else:
            header.append((marker, data[at:stop]))
        if marker == _PLT:
            packets.append((at, stop))
        at = stop
    _check_header(form, header)
    is_further = number(data, kept + 4, 2) > 0 or number(data, kept + 10, 1) > 0
    check_no_text(data[at + 2 : end], is_one_of_many=is_further)
    if packets and _packet_bytes(data, packets) != end - at - 2:
        removed = sorted(removed + packets)
    for start, stop in removed:
        if number(data, start, 2) != _COM or not is_zero(data[start + 4 : stop]):
            pieces += (data[kept:start], b"\xff\x64", data[start + 2 : start + 4])
            pieces.append(bytes(stop - start - 4))
            kept = stop
    pieces.append(data[kept:end])
    return end


def _end_of_last(data: Buffer, at: int) -> int:
    """End of a tile-part of unknown length: the end marker, which never occurs in coded data."""
    found = _END.search(data, at + 12)
    return found.start() if found else len(data)


def _packet_bytes(data: Buffer, segments: list[tuple[int, int]]) -> int:
    """Sum of the lengths of packets, in groups of seven bits."""
    total = value = 0
    for at, stop in segments:
        for byte in data[at + 5 : stop]:
            value = value << 7 | byte & 0x7F
            if byte < 128:
                total, value = total + value, 0
    return total if not value else -1


def _tile_lengths(segments: list[Buffer]) -> list[int]:
    """Lengths of tile-parts by the segments of their table."""
    found = list[int]()
    for segment in segments:
        check(len(segment) >= 6)
        index, size = segment[5] >> 4 & 3, 4 if segment[5] >> 6 & 1 else 2
        check(index <= 2 and (len(segment) - 6) % (index + size) == 0)
        entries = range(6, len(segment), index + size)
        found += (number(segment, at + index, size) for at in entries)
    return found


def _form_of(main: list[tuple[int, Buffer]]) -> _Form:
    size = main[0][1]
    check(len(size) >= 40)
    components = number(size, 38, 2)
    wide = 1 if components < 257 else 2
    has_part_2 = bool(number(size, 4, 2) & 0x8000)
    levels = [number(s, 9, 1) for marker, s in main if marker == _COD]
    levels += [number(s, 5 + wide, 1) for marker, s in main if marker == _COC]
    check(levels and all(depth & 0x7F < _DEEPEST for depth in size[40::3]))
    return _Form(components, wide, 0 if has_part_2 else 3 * max(levels) + 1, has_part_2)


def _check_header(form: _Form, header: list[tuple[int, Buffer]]) -> None:
    """Refuse segments that no decoder reads: of a missing component, repeated, or with a text."""
    seen = set[tuple[int, int]]()
    for marker, segment in header:
        check(_has_form(form, marker, segment))
        if marker in (_PPM, _PPT):
            check_no_text(segment)
        component = number(segment, 4, form.wide) if marker in _OF_COMPONENT else 0
        check(component < form.components and (marker, component) not in seen)
        if marker in _ONCE | _OF_COMPONENT:
            seen.add((marker, component))


def _has_form(form: _Form, marker: int, segment: Buffer) -> bool:
    """Whether a segment has the length that its own contents and those of others demand."""
    wide = form.wide
    if marker in _PART_2:
        return form.has_part_2
    if marker in (_QCD, _QCC):
        return _is_quantisation(form, segment, 4 if marker == _QCD else 4 + wide)
    if marker == _POC:
        return _has_orders(segment, wide)
    expected = {
        _SIZ: lambda: 40 + 3 * number(segment, 38, 2),
        _CAP: lambda: 8 + 2 * min(number(segment, 4, 4).bit_count(), _MOST_CAPABILITIES),
        _COD: lambda: 14 + _precincts(segment, 4, 9),
        _COC: lambda: 10 + wide + _precincts(segment, 4 + wide, 5 + wide),
        _RGN: lambda: 6 + wide,
    }.get(marker)
    return expected is None or len(segment) == expected()


def _has_orders(segment: Buffer, wide: int) -> bool:
    """Whether each change of progression has resolutions and an order that exist."""
    size = 5 + 2 * wide
    entries = [segment[at : at + size] for at in range(4, len(segment), size)]
    return (len(segment) - 4) % size == 0 and all(
        one[0] <= _MOST_LEVELS + 1 and one[3 + wide] <= _MOST_LEVELS + 1 and one[-1] <= _MOST_ORDERS
        for one in entries
    )


def _precincts(segment: Buffer, style: int, levels: int) -> int:
    """Bytes of the sizes of precincts; a bit of the style is set if they are defined."""
    count = number(segment, levels, 1)
    check(count <= _MOST_LEVELS)
    return count + 1 if number(segment, style, 1) & 1 else 0


def _is_quantisation(form: _Form, segment: Buffer, at: int) -> bool:
    """Whether step sizes are those of one component's subbands or fewer."""
    style = number(segment, at, 1) & 31
    most = form.bands or len(segment)
    return style <= 2 and len(segment) - at - 1 <= (most, 2, 2 * most)[style]
