"""Encapsulated pixels: fragments of frames, their offset tables, and their cleaning.

DICOM PS3.5 annex A.4: the first item is the Basic Offset Table; each frame has one fragment or
more. A frame that changes is stored as one fragment, and the offset tables are made anew.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Final

from healthval.deid.pixels.streams.coded import clean_deflated, clean_native, clean_rle
from healthval.deid.pixels.streams.codestream import SOC
from healthval.deid.pixels.streams.jpeg import SOI, clean_jpeg
from healthval.deid.pixels.streams.jpeg2000 import SIGNATURE, clean_jpeg2000
from healthval.deid.pixels.streams.mp4 import clean_mp4
from healthval.deid.pixels.streams.pieces import (
    BadStreamError,
    Buffer,
    Pieces,
    Shape,
    WrongSizeError,
    check,
    size_of,
)
from healthval.deid.pixels.streams.video import clean_h264, clean_h265, clean_mpeg2
from healthval.deid.refuse import Reason, Refused

_UID: Final = "1.2.840.10008.1.2."
_JPEG: Final = frozenset({f"4.{number}" for number in (*range(50, 67), 70, 80, 81)})
_JPEG_2000: Final = frozenset({f"4.{number}" for number in (*range(90, 94), 201, 202, 203)})
_MPEG_2: Final = frozenset({"4.100", "4.101"})
_H264: Final = frozenset({f"4.{number}" for number in range(102, 107)})
_H265: Final = frozenset({"4.107", "4.108"})
_RLE, _NATIVE, _DEFLATED = "5", "1.98", "8.1"
_ITEM, _END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"
_DELIMITER: Final = _END + bytes(4)
_LARGEST: Final = 0xFFFFFFFE
_FTYP: Final = b"ftyp"
_Clean = Callable[[Buffer], Pieces]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Size of an image's frames, from its attributes.

    Parameters
    ----------
    frames : Number of Frames
    pixels : Rows times Columns
    size : bytes of one uncompressed frame
    shape : rows, columns and samples per pixel; None if they are not known
    offsets, sizes : Extended Offset Table and its lengths, None if the image has none
    """

    frames: int
    pixels: int
    size: int
    shape: Shape | None = None
    offsets: tuple[int, ...] | None = None
    sizes: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanFrames:
    """Cleaned value of encapsulated pixels, with its delimiter.

    `offsets` and `lengths` are the values of the extended offset tables, if the image has them.
    """

    pieces: Pieces
    is_changed: bool
    offsets: bytes = b""
    lengths: bytes = b""


def clean_frames(value: Buffer, syntax: str, layout: Layout) -> CleanFrames:
    """Remove from every frame what decoding does not need.

    Raises
    ------
    Refused
        If frames are missing, or a frame cannot be parsed or is of another size.
    """
    clean = _cleaner(syntax, layout)
    try:
        table, fragments = _fragments(memoryview(value))
        frames = _frames(fragments, table, layout, is_video=clean in _VIDEO)
        return _encapsulated(value, table, [_cleaned(frame, clean) for frame in frames], layout)
    except (BadStreamError, IndexError, struct.error):
        raise Refused(Reason.STREAM) from None
    except WrongSizeError:
        raise Refused(Reason.DAMAGED) from None


def _cleaner(syntax: str, layout: Layout) -> _Clean:
    suffix = syntax.removeprefix(_UID).removesuffix(".1") if syntax.startswith(_UID) else ""
    for suffixes, clean in _VIDEO_CLEANERS:
        if suffix in suffixes:
            return clean
    for suffixes, clean_still in _CLEANERS:
        if suffix in suffixes:
            return partial(clean_still, shape=layout.shape)
    if suffix == _RLE:
        return partial(clean_rle, pixels=layout.pixels, size=layout.size)
    whole = syntax.removeprefix(_UID)
    if whole in (_NATIVE, _DEFLATED):
        return partial(clean_native if whole == _NATIVE else clean_deflated, size=layout.size)
    raise Refused(Reason.STREAM)


def _clean_h264(data: Buffer) -> Pieces:
    return clean_mp4(data) if data[4:8] == _FTYP else clean_h264(data)


def _clean_h265(data: Buffer) -> Pieces:
    return clean_mp4(data) if data[4:8] == _FTYP else clean_h265(data)


_CLEANERS: Final = (
    (_JPEG, clean_jpeg),
    (_JPEG_2000, clean_jpeg2000),
)
_VIDEO_CLEANERS: Final = (
    (_MPEG_2, clean_mpeg2),
    (_H264, _clean_h264),
    (_H265, _clean_h265),
)
_VIDEO: Final = (clean_mpeg2, _clean_h264, _clean_h265)


@dataclass(frozen=True, slots=True)
class _Fragment:
    """Fragment of a frame; `at` is its item's offset after the Basic Offset Table."""

    at: int
    data: Buffer


def _fragments(value: Buffer) -> tuple[tuple[int, ...], list[_Fragment]]:
    """Basic Offset Table and fragments of encapsulated pixels."""
    items, at = list[tuple[int, Buffer]](), 0
    while at + 8 <= len(value) and value[at : at + 4] == _ITEM:
        end = at + 8 + int.from_bytes(value[at + 4 : at + 8], "little")
        check(end <= len(value))
        items.append((at, value[at + 8 : end]))
        at = end
    check(items and value[at : at + 4] in (_END, b""))
    table = items[0][1]
    offsets = struct.unpack(f"<{len(table) // 4}L", table[: len(table) // 4 * 4])
    base = 8 + len(table)
    return offsets, [_Fragment(start - base, data) for start, data in items[1:] if len(data)]


def _frames(
    fragments: list[_Fragment], table: tuple[int, ...], layout: Layout, *, is_video: bool
) -> list[list[_Fragment]]:
    """Fragments of each frame."""
    if is_video or layout.frames == 1:
        if not fragments or (not is_video and any(_begins_frame(f.data) for f in fragments[1:])):
            raise Refused(Reason.DAMAGED)  # no frame, or more than are announced
        return [fragments]
    if len(fragments) == layout.frames:
        return [[fragment] for fragment in fragments]
    if len(fragments) < layout.frames:
        raise Refused(Reason.DAMAGED)
    by_offset = {fragment.at: number for number, fragment in enumerate(fragments)}
    for offsets in (layout.offsets or (), table):
        starts = [by_offset.get(offset, -1) for offset in offsets]
        if len(starts) == layout.frames and _are_starts(starts):
            return _grouped(fragments, starts)
    starts = [n for n, one in enumerate(fragments) if _begins_frame(one.data)]
    check(len(starts) == layout.frames and _are_starts(starts))
    return _grouped(fragments, starts)


def _are_starts(starts: list[int]) -> bool:
    return starts[:1] == [0] and all(before < after for before, after in pairwise(starts))


def _begins_frame(data: Buffer) -> bool:
    return data[:2] in (SOI, SOC) or data[:12] == SIGNATURE


def _grouped(fragments: list[_Fragment], starts: list[int]) -> list[list[_Fragment]]:
    return [fragments[a:b] for a, b in pairwise([*starts, len(fragments)])]


@dataclass(frozen=True, slots=True)
class _Frame:
    """Cleaned frame as the contents of its fragments."""

    fragments: list[Pieces]
    is_changed: bool


def _cleaned(frame: list[_Fragment], clean: _Clean) -> _Frame:
    data = frame[0].data
    if len(frame) > 1:
        data = memoryview(b"".join(fragment.data for fragment in frame))
    pieces = clean(data)
    if _is_same(pieces, data):
        return _Frame([[fragment.data] for fragment in frame], is_changed=False)
    return _Frame([pieces], is_changed=True)


def _is_same(pieces: Pieces, data: Buffer) -> bool:
    """Whether pieces are all of the frame's bytes, or all but a padding byte."""
    size = size_of(pieces)
    if size == len(data) and all(isinstance(piece, memoryview) for piece in pieces):
        return True  # they are slices of the frame, in order
    if size not in (len(data), len(data) - 1) or (size < len(data) and data[size]):
        return False
    return bool(b"".join(pieces) == data[:size])


def _encapsulated(
    value: Buffer, table: tuple[int, ...], frames: list[_Frame], layout: Layout
) -> CleanFrames:
    """Encode frames with their offset tables."""
    body, offsets, lengths, at = list[Buffer](), list[int](), list[int](), 0
    for frame in frames:
        offsets.append(at)
        for contents in frame.fragments:
            size = size_of(contents)
            even = size + size % 2
            check(even <= _LARGEST)
            body += (_ITEM + even.to_bytes(4, "little"), *contents, b"\0" * (size % 2))
            at += 8 + even
        lengths.append(at - offsets[-1] - 8 * len(frame.fragments))
    has_table = bool(table) and at < 1 << 32
    head = struct.pack(f"<{len(offsets)}L", *offsets) if has_table else b""
    first = [_ITEM + len(head).to_bytes(4, "little"), head]
    is_same = (
        not any(frame.is_changed for frame in frames)
        and value[: 8 + len(head)] == b"".join(first)
        and (value[-8:-4] != _END or value[-8:] == _DELIMITER)
    )
    has_extended = layout.offsets is not None or layout.sizes is not None
    extended = has_extended and all(len(f.fragments) == 1 for f in frames)
    if has_extended and not (extended and _is_table(layout, offsets, lengths)):
        is_same = False
    return CleanFrames(
        pieces=[*first, *body, _DELIMITER],
        is_changed=not is_same,
        offsets=struct.pack(f"<{len(offsets)}Q", *offsets) if extended else b"",
        lengths=struct.pack(f"<{len(lengths)}Q", *lengths) if extended else b"",
    )


def _is_table(layout: Layout, offsets: list[int], lengths: list[int]) -> bool:
    """Whether the extended offset tables are true; a length may exclude the padding byte."""
    sizes = layout.sizes or ()
    return (
        layout.offsets == tuple(offsets)
        and len(sizes) == len(lengths)
        and all(size in (even, even - 1) for size, even in zip(sizes, lengths, strict=True))
    )
