"""Video streams: MPEG-2, and H.264 and H.265 as byte streams or in MP4 files.

ITU-T H.262 6.2 (MPEG-2), H.264 and H.265 annex B (byte stream) and section 7.3.1 (NAL units).
"""

import re
from collections.abc import Iterator
from typing import Final

from healthval.deid.pixels.streams.coded_text import check_no_text
from healthval.deid.pixels.streams.pieces import Buffer, Pieces, check, is_zero, number

_START: Final = re.compile(rb"\x00\x00\x01")
_SEQUENCE, _EXTENSION, _SEQUENCE_END, _GROUP = 0xB3, 0xB5, 0xB7, 0xB8
_PICTURE, _FIRST_SLICE, _LAST_SLICE = 0x00, 0x01, 0xAF
_REMOVED: Final = frozenset({0xB0, 0xB1, 0xB2, 0xB4, 0xB6})  # user data, reserved, error
_LARGEST_PICTURE_HEADER: Final = 5
# Largest size of each extension, in bytes; others are not needed (copyright, camera, pan and scan)
_EXTENSIONS: Final = {1: 6, 2: 8, 3: 257, 5: 8, 8: 7, 9: 7, 10: 5}
_MATRICES: Final = 3  # extension with up to four matrices of quantisation
# NAL units that decoding needs: slices, parameter sets, delimiters, ends
H264_KEPT: Final = frozenset({1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 13, 14, 15, 19, 20})
H265_KEPT: Final = frozenset({*range(22), 32, 33, 34, 35, 36, 37})
# Parameter sets
_H264_SETS, _H265_SETS = frozenset({7, 8, 13, 15}), frozenset({32, 33, 34})
_H264_DELIMITERS: Final = {9: 2, 10: 1, 11: 1}  # bytes of delimiter and ends
_H265_DELIMITERS: Final = {35: 3, 36: 2, 37: 2}


def _units(data: Buffer) -> Iterator[tuple[int, int, int]]:
    """Start, offset after the start code, and end of each unit."""
    starts = [found.start() for found in _START.finditer(data)]
    check(starts and is_zero(data[: starts[0]]))
    for start, end in zip(starts, [*starts[1:], len(data)], strict=True):
        check(start + 4 <= end)
        yield start, start + 3, end


def clean_mpeg2(data: Buffer) -> Pieces:
    """Pieces of an MPEG-2 video elementary stream without user data."""
    check(data[:4] == b"\0\0\1\xb3")
    pieces: Pieces = []
    for start, body, end in _units(data):
        code = data[body]
        if code in _REMOVED or (code == _EXTENSION and data[body + 1] >> 4 not in _EXTENSIONS):
            continue
        check(code <= _GROUP)  # higher codes belong to a system stream
        size = _mpeg2_size(code, data[body + 1 : end])
        stop = end if size is None else min(body + 1 + size, end)
        if size is not None and is_zero(data[stop:end]):
            stop = end  # stuffing
        pieces.append(data[start:stop])
    return pieces


def _mpeg2_size(code: int, payload: Buffer) -> int | None:
    """Bytes of a header after its code; None if its length is not fixed."""
    if code == _SEQUENCE_END:
        return 0
    if code == _GROUP:
        return 4
    if code == _EXTENSION:
        kind = payload[0] >> 4
        return _matrices_size(payload) if kind == _MATRICES else _EXTENSIONS[kind]
    if code == _PICTURE:
        check(is_zero(payload[_LARGEST_PICTURE_HEADER:]))
        return None
    if code <= _LAST_SLICE:
        check(not _has_extra_information(payload))
        check_no_text(payload, is_one_of_many=True)
    if code != _SEQUENCE:
        return None
    check(len(payload) >= 8)
    size = 8
    if payload[7] & 2:  # intra matrix; its last bit is followed by the flag of the other matrix
        check(len(payload) >= 72)
        size = 72
    return size + (64 if payload[size - 1] & 1 else 0)


def _matrices_size(payload: Buffer) -> int:
    """Bytes of an extension with matrices of 64 bytes, each after a flag of one bit."""
    at = 4
    for _ in range(4):
        at += 1 + 512 * (number(payload, at // 8, 1) >> 7 - at % 8 & 1)
    return (at + 7) // 8


def _has_extra_information(payload: Buffer) -> bool:
    """Whether the header of a slice has reserved bytes, which decoders skip.

    It begins with a scale of five bits. If the next bit is set, it is the first of nine that an
    encoder may add; then each extra byte follows a bit that is set.
    """
    bits = number(payload[:2], 0, 2)
    return bool(bits >> 10 & 1 and bits >> 1 & 1)


def clean_h264(data: Buffer) -> Pieces:
    """Pieces of an H.264 byte stream without supplemental enhancement information."""
    return _nal_pieces(data, is_h265=False)


def clean_h265(data: Buffer) -> Pieces:
    """Pieces of an H.265 byte stream without supplemental enhancement information."""
    return _nal_pieces(data, is_h265=True)


def _nal_pieces(data: Buffer, *, is_h265: bool) -> Pieces:
    kept = H265_KEPT if is_h265 else H264_KEPT
    fixed = _H265_DELIMITERS if is_h265 else _H264_DELIMITERS
    pieces, seen = list[Buffer](), set[int]()
    is_after_removed = True
    for start, body, end in _units(data):
        kind = nal_kind(data[body], is_h265=is_h265)
        seen.add(kind)
        if kind in kept:
            first = start - (is_after_removed and data[start - 1 : start] == b"\0")
            size = fixed.get(kind, end - body)
            stop = end if is_zero(data[body + size : end]) else body + size
            check_unit(kind, data[body:stop], is_h265=is_h265)
            pieces.append(data[first:stop])
        is_after_removed = kind not in kept
    check({33, 34} <= seen if is_h265 else {7, 8} <= seen)
    return pieces


def check_unit(kind: int, unit: Buffer, *, is_h265: bool) -> None:
    """Refuse a NAL unit that ends with a text; a parameter set is too short for one by chance."""
    check_no_text(unit, is_one_of_many=kind not in (_H265_SETS if is_h265 else _H264_SETS))


def nal_kind(head: int, *, is_h265: bool) -> int:
    """Type of a NAL unit by its first byte, whose highest bit is zero."""
    check(head < 128)
    return head >> 1 & 0x3F if is_h265 else head & 0x1F
