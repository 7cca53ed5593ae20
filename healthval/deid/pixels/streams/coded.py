"""RLE, deflated and native frames: bytes after the last pixel are removed.

DICOM PS3.5 annex G (RLE), A.4.12 (deflated image frame), A.4.11 (encapsulated uncompressed).
"""

import struct
import zlib
from typing import Final

from healthval.deid.pixels.streams.pieces import Buffer, Pieces, check, size_of

_HEADER: Final = 64
_MAX_SEGMENTS: Final = 15
_BLOCK: Final = 1 << 20


def clean_rle(data: Buffer, pixels: int, size: int) -> Pieces:
    """Pieces of an RLE frame of `size` bytes, `pixels` for each segment, without bytes between them."""
    check(len(data) > _HEADER)
    count, *offsets = struct.unpack("<16L", data[:_HEADER])
    check(1 <= count <= _MAX_SEGMENTS and count * pixels == size and offsets[0] == _HEADER)
    check(not any(offsets[count:]))
    starts = offsets[:count]
    check(starts == sorted(set(starts)) and starts[-1] < len(data))
    pieces: Pieces = []
    moved, at = list[int](), _HEADER
    for start, stop in zip(starts, [*starts[1:], len(data)], strict=True):
        moved.append(at)
        coded = _coded_segment(data[start:stop], pixels)
        size = size_of(coded)
        pieces += [*coded, *([b"\0"] if size % 2 else [])]
        at += size + size % 2
    header = struct.pack("<16L", count, *moved, *[0] * (_MAX_SEGMENTS - count))
    return [data[:_HEADER] if data[:_HEADER] == header else header, *pieces]


def _coded_segment(segment: Buffer, pixels: int) -> Pieces:
    """Pieces of a segment that decode to the pixels; a last run is cut if it has more of them."""
    at = done = 0
    while done < pixels:
        check(at < len(segment))
        code = segment[at]
        if code < 128:
            surplus = max(done + code + 1 - pixels, 0)
            end = at + code + 2 - surplus
            check(end <= len(segment))
            if surplus:
                return [segment[:at], bytes([code - surplus]), segment[at + 1 : end]]
            at, done = end, done + code + 1
        elif code > 128:
            at, done = at + 2, done + 257 - code
        else:
            at += 1
    check(at <= len(segment))
    return [segment[:at]]


def clean_deflated(data: Buffer, size: int) -> Pieces:
    """Pieces of a deflated frame that inflates to `size` bytes."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    done, rest = 0, bytes(data)
    try:
        while not inflater.eof and rest:
            done += len(inflater.decompress(rest, _BLOCK))
            check(done <= size + size % 2)
            rest = inflater.unconsumed_tail
    except zlib.error:
        check(False)
    check(inflater.eof and done >= size)
    return [data[: len(data) - len(inflater.unused_data)]]


def clean_native(data: Buffer, size: int) -> Pieces:
    """Pieces of an uncompressed frame of `size` bytes."""
    check(len(data) >= size)
    return [data[:size]]
