"""JPEG 2000 and HTJ2K files: the boxes around a codestream (ITU-T T.800 annex I, T.814)."""

from typing import Final

from healthval.deid.pixels.streams.codestream import SOC, clean_codestream
from healthval.deid.pixels.streams.pieces import (
    Buffer,
    Pieces,
    Shape,
    check,
    is_zero,
    number,
    size_of,
)

SIGNATURE: Final = b"\0\0\0\x0cjP  \r\n\x87\n"
_BRANDS: Final = (b"jp2 ", b"jpx ", b"jpxb", b"jph ", b"J2P0", b"J2P1")
_IHDR, _COLR, _BPCC, _PCLR = b"ihdr", b"colr", b"bpcc", b"pclr"
_CMAP, _CDEF = b"cmap", b"cdef"
_HEADER_BOXES: Final = frozenset({_IHDR, _COLR, _BPCC, _PCLR, _CMAP, _CDEF})
_GREY, _SRGB = 17, 16
_DIFFERENT: Final = 255  # depth of components that differ in depth, each in the box bpcc
_DEEPEST: Final = 38  # bits


def clean_jpeg2000(data: Buffer, shape: Shape | None = None) -> Pieces:
    """Pieces of a JPEG 2000 frame, a codestream or a file, without comments and other boxes."""
    if data[:2] == SOC:
        return clean_codestream(data, shape)
    check(data[:12] == SIGNATURE)
    pieces: Pieces = [data[:12]]
    has_code = False
    for kind, start, end in _boxes(data, 12):
        if kind == b"ftyp":
            pieces += _box(kind, _brands(data[start:end]))
        elif kind == b"jp2h":
            pieces += _box(kind, _header_boxes(data[start:end]))
        elif kind == b"jp2c" and not has_code:
            has_code = True
            pieces += _box(kind, clean_codestream(data[start:end], shape))
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


def _brands(contents: Buffer) -> Pieces:
    """Registered brands of a file; other texts in their place are removed."""
    check(len(contents) >= 8 and len(contents) % 4 == 0)
    compatible = [bytes(contents[at : at + 4]) for at in range(8, len(contents), 4)]
    brand = bytes(contents[:4])
    known = [one for one in dict.fromkeys(compatible) if one in _BRANDS]
    return [brand if brand in _BRANDS else _BRANDS[0], bytes(4), *(known or _BRANDS[:1])]


def _header_boxes(data: Buffer) -> Pieces:
    """Boxes of the image header, each once."""
    boxes = dict[bytes, Buffer]()
    for kind, start, end in _boxes(data, 0):
        if kind in _HEADER_BOXES:
            boxes.setdefault(kind, data[start:end])
    check(len(boxes.get(_IHDR, b"")) == 14)
    colours = number(boxes[_IHDR], 8, 2)
    if not _maps_palette(boxes.get(_CMAP, b"")):
        boxes.pop(_PCLR, None)
    if number(boxes[_IHDR], 10, 1) != _DIFFERENT:
        boxes.pop(_BPCC, None)
    palette = boxes.get(_PCLR)
    columns = 0 if palette is None else _palette_columns(palette)
    for kind, contents in boxes.items():
        if kind == _COLR:
            boxes[kind] = _colour_space(contents, columns or colours)
        elif kind == _BPCC:
            check(len(contents) == colours and all(n & 0x7F < _DEEPEST for n in contents))
        elif kind == _CMAP:
            check(_is_mapping(contents, colours, columns))
        elif kind == _CDEF:
            check(_is_definition(contents))
    return [piece for kind, contents in boxes.items() for piece in _box(kind, [contents])]


def _colour_space(contents: Buffer, colours: int) -> Buffer:
    """Enumerated colour space, also in place of an ICC profile."""
    if contents[:1] == b"\1" and len(contents) == 7:
        return contents
    return b"\1\0\0" + (_GREY if colours < 3 else _SRGB).to_bytes(4, "big")


def _maps_palette(mapping: Buffer) -> bool:
    """Whether an entry of the component mapping uses the palette; otherwise it is not read."""
    return any(kind == 1 for kind in mapping[2::4])


def _palette_columns(palette: Buffer) -> int:
    """Number of columns of a palette whose size is that of its entries."""
    entries, columns = number(palette, 0, 2), number(palette, 2, 1)
    check(columns and len(palette) >= 3 + columns)
    size = sum(((depth & 0x7F) + 8) // 8 for depth in palette[3 : 3 + columns])
    check(len(palette) == 3 + columns + entries * size)
    return columns


def _is_mapping(contents: Buffer, colours: int, columns: int) -> bool:
    """Whether each entry maps a component, directly or by a column of the palette."""
    entries = range(0, len(contents) - 3, 4)
    return len(contents) % 4 == 0 and all(
        number(contents, at, 2) < colours
        and contents[at + 2] <= 1
        and contents[at + 3] < max(columns, 1)
        for at in entries
    )


def _is_definition(contents: Buffer) -> bool:
    """Whether each entry names a channel once, its type and its colour."""
    channels = number(contents, 0, 2)
    rows = [contents[at : at + 6] for at in range(2, len(contents), 6)]
    names = {number(row, 0, 2) for row in rows if len(row) == 6}
    return len(contents) == 2 + 6 * channels == 2 + 6 * len(names) and all(
        number(row, 2, 2) in (0, 1, 2, 0xFFFF)
        and (number(row, 4, 2) <= channels or number(row, 4, 2) == 0xFFFF)
        for row in rows
    )
