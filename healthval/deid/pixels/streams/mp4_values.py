"""Values in the kept boxes of MP4 files: a text in their place is refused (ISO/IEC 14496-12)."""

from typing import Final

from healthval.deid.pixels.streams.mp4_boxes import Box
from healthval.deid.pixels.streams.pieces import Buffer, check, is_zero, number

# Offset of the matrix in the contents of movie and track headers, for 32 and 64 bit times
_MATRIX: Final = {b"mvhd": (36, 48), b"tkhd": (40, 52)}
_LARGEST: Final = 1 << 24  # scale in 16.16 format, or part of a ratio; four letters are larger
_LARGEST_SHIFT: Final = 1 << 30  # 16384 pixels in 16.16 format
_W: Final = 1 << 30  # last entry of a matrix, in 2.30 format
_NORMAL_RATES: Final = frozenset({0, 0x10000})  # of an edit: a still, or the media's own speed
# Bytes of hvcC with reserved bits: offset, and number of values of the other bits
_RESERVED: Final = {13: 16, 15: 4, 16: 4, 17: 8, 18: 8}


def check_matrix(data: Buffer, box: Box, is_long: bool) -> None:
    """Refuse a movie or track header whose matrix places no picture."""
    if box.kind in _MATRIX:
        at = box.start + _MATRIX[box.kind][is_long]
        a, b, u, c, d, v, x, y, w = (_signed(data, at + 4 * n) for n in range(9))
        check(u == v == 0 and w in (0, _W))
        check(all(abs(scale) < _LARGEST for scale in (a, b, c, d)))
        check(abs(x) < _LARGEST_SHIFT and abs(y) < _LARGEST_SHIFT)


def check_ratios(data: Buffer, box: Box) -> None:
    """Refuse a clean aperture or pixel ratio of numbers that are too large."""
    places = range(box.start, box.end - 3, 4)
    check(all(abs(_signed(data, at)) < _LARGEST for at in places))


def check_table(data: Buffer, box: Box, samples: int) -> None:
    """Refuse times, shifts, key samples or edits that do not fit the number of samples."""
    if box.kind in (b"stts", b"ctts"):
        check(sum(_column(data, box, 8, 0)) <= samples)
    elif box.kind == b"stss":
        keys = _column(data, box, 4, 0)
        check(keys == sorted(set(keys)) and (not keys or keys[-1] <= samples))
    elif box.kind == b"elst":
        size = 20 if number(data, box.start, 1) == 1 else 12
        check(set(_column(data, box, size, size - 4)) <= _NORMAL_RATES)


def _column(data: Buffer, box: Box, size: int, offset: int) -> list[int]:
    """Numbers of four bytes at an offset in each row of a table."""
    rows = range(number(data, box.start + 4, 4))
    return [number(data, box.start + 8 + size * row + offset, 4) for row in rows]


def check_hevc_settings(data: Buffer, at: int) -> None:
    """Refuse texts among the profile and the reserved bits of H.265 settings."""
    check(is_zero(data[at + 8 : at + 11]))  # flags of a profile that no edition defines
    for offset, values in _RESERVED.items():
        byte = number(data, at + offset, 1)
        check(byte < values or byte >= 256 - values)


def _signed(data: Buffer, at: int) -> int:
    value = number(data, at, 4)
    return value - (value >> 31 << 32)
