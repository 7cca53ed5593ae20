"""Videos in MP4 files: text, places, dates, other tracks and user data are overwritten.

ISO/IEC 14496-12 (boxes), 14496-15 (H.264 and H.265 samples). Nothing is moved, because the tables
of a track contain offsets in the file: a removed box becomes a free box of zeros.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from healthval.deid.pixels.streams.mp4_boxes import Box, Edits, boxes_of
from healthval.deid.pixels.streams.mp4_samples import clean_sample, clean_settings, samples_of
from healthval.deid.pixels.streams.mp4_values import check_matrix, check_ratios, check_table
from healthval.deid.pixels.streams.pieces import Buffer, Pieces, check, number

_CONTAINERS: Final = frozenset({b"moov", b"trak", b"mdia", b"minf", b"stbl", b"dinf", b"edts"})
_MEDIA: Final = frozenset({b"mvhd", b"tkhd", b"mdhd"})
# Bytes of a box's contents before its table, and of each entry of the table, by version
_FIXED: Final = {
    b"mvhd": (100, 112),
    b"tkhd": (84, 96),
    b"mdhd": (24, 36),
    b"vmhd": (12, 12),
    b"hdlr": (12, 12),  # its name is removed
}
_TABLES: Final = {
    b"stts": (8, 8),
    b"ctts": (8, 8),
    b"stss": (8, 4),
    b"stsc": (8, 12),
    b"stsz": (12, 4),
    b"stco": (8, 4),
    b"co64": (8, 8),
    b"elst": (8, 12),
}
_KEPT: Final = _CONTAINERS | _FIXED.keys() | _TABLES.keys() | {b"dref", b"stsd"}
_SAMPLE_BOXES: Final = {b"pasp": 8, b"colr": 11, b"fiel": 2, b"clap": 32}
_RATIOS: Final = frozenset({b"pasp", b"clap"})
_SETTINGS: Final = (b"avcC", b"hvcC")
_BRANDS: Final = frozenset(
    {b"isom", b"avc1", b"hvc1", b"hev1", b"mp41", b"mp42", b"mp71", b"M4V ", b"M4VH", b"M4VP"}
    | {b"qt  ", b"dash", b"msdh", b"msix", b"cmfc", b"f4v ", b"F4V ", b"MSNV", b"ndas"}
    | {b"iso" + bytes([digit]) for digit in b"23456789abc"}
    | {b"3gp" + bytes([digit]) for digit in b"456789"}
)
_LARGEST_VERSION: Final = 0xFFFF  # minor version of a brand
# Reserved bytes of a box's contents: start and end, for 32 and 64 bit times
_RESERVED: Final = {
    b"mvhd": (((26, 36), (72, 96)), ((38, 48), (84, 108))),
    b"tkhd": (((16, 20), (24, 32)), ((24, 28), (36, 44))),
}
_RESERVED_OF_ENTRY: Final = ((0, 6), (8, 24), (36, 40), (42, 74))  # last, name of the compressor
_LARGEST_DEPTH: Final = 8
_H264: Final = frozenset({b"avc1", b"avc3"})
_H265: Final = frozenset({b"hvc1", b"hev1"})


def clean_mp4(data: Buffer) -> Pieces:
    """Pieces of an MP4 file with only its video track, without text."""
    edits = Edits(data)
    boxes = list(boxes_of(data, 0, len(data)))
    check(boxes and boxes[0].kind == b"ftyp")
    _clean_brands(edits, boxes[0])
    check({b"moov", b"mdat"} <= {box.kind for box in boxes})
    check(not any(box.kind in (b"moof", b"sidx") for box in boxes))  # fragmented
    used: list[tuple[int, int]] = []
    for box in boxes:
        if box.kind == b"moov":
            used += _movie(edits, box)
        elif box.kind not in (b"ftyp", b"mdat"):
            edits.free(box)
    left = sorted(used)
    for box in boxes:
        if box.kind == b"mdat":
            left = _blank_unused(edits, box, left)
    check(used and not left)
    if boxes[-1].end < len(data):
        edits.blank(boxes[-1].end, len(data))
    return edits.pieces()


def _clean_brands(edits: Edits, box: Box) -> None:
    """Overwrite texts in place of registered brands and of the version."""
    data = edits.data
    check(box.end - box.start >= 8 and (box.end - box.start) % 4 == 0)
    if number(data, box.start + 4, 4) > _LARGEST_VERSION:
        edits.blank(box.start + 4, box.start + 8)
    for at in (box.start, *range(box.start + 8, box.end, 4)):
        if bytes(data[at : at + 4]) not in _BRANDS:
            edits.blank(at, at + 4, b"isom")


def _movie(edits: Edits, movie: Box) -> list[tuple[int, int]]:
    """Clean the boxes of a movie; return the ranges of its video samples."""
    used: list[tuple[int, int]] = []
    for box in boxes_of(edits.data, movie.start, movie.end):
        if box.kind == b"trak":
            used += _track(edits, box)
        else:
            _clean_box(edits, box, {}, 0)
    return used


def _track(edits: Edits, track: Box) -> list[tuple[int, int]]:
    inside: dict[bytes, Box] = {}
    for box in _all_boxes(edits.data, track, 0):
        inside.setdefault(box.kind, box)  # a second handler describes the data, not the media
    handler = inside.get(b"hdlr")
    if handler is None or edits.data[handler.start + 8 : handler.start + 12] != b"vide":
        edits.free(track)
        return []
    for box in boxes_of(edits.data, track.start, track.end):
        _clean_box(edits, box, inside, 0)
    check({b"stsd", b"stsz", b"stsc"} <= set(inside))
    samples = list(samples_of(edits.data, inside))
    for box in inside.values():
        check_table(edits.data, box, len(samples))
    lengths, is_h265 = _clean_description(edits, inside[b"stsd"])
    for start, end in samples:
        clean_sample(edits, start, end, lengths, is_h265=is_h265)
    return samples


def _all_boxes(data: Buffer, box: Box, depth: int) -> Iterator[Box]:
    check(depth < _LARGEST_DEPTH)
    for inner in boxes_of(data, box.start, box.end):
        yield inner
        if inner.kind in _CONTAINERS:
            yield from _all_boxes(data, inner, depth + 1)


def _clean_box(edits: Edits, box: Box, first: Mapping[bytes, Box], depth: int) -> None:
    """Keep a box that decoding needs, without its text and dates; free every other one.

    `first` are the boxes that decoders read: a second table of a track is freed.
    """
    check(depth < _LARGEST_DEPTH)
    data, kind = edits.data, box.kind
    if kind not in _KEPT or (kind in _TABLES and first.get(kind, box) != box):
        edits.free(box)
    elif kind in _CONTAINERS:
        for inner in boxes_of(data, box.start, box.end):
            _clean_box(edits, inner, first, depth + 1)
    elif kind == b"dref":
        for inner in boxes_of(data, box.start + 8, box.end):
            check(inner.kind in (b"url ", b"alis"))
            edits.blank(min(inner.start + 4, inner.end), inner.end)
    elif kind != b"stsd":  # of which `_clean_description` has the remainder
        is_long = number(data, box.start, 1) == 1
        size = _FIXED[kind][is_long] if kind in _FIXED else _table_size(data, box, is_long)
        check(box.start + size <= box.end)
        edits.blank(box.start + size, box.end)
        if kind in _MEDIA:  # times of creation and change
            edits.blank(box.start + 4, box.start + (20 if is_long else 12))
        check_matrix(data, box, is_long)
        for start, end in _RESERVED.get(kind, ((), ()))[is_long]:
            edits.blank(box.start + start, box.start + end)


def _table_size(data: Buffer, box: Box, is_long: bool) -> int:
    """Bytes of a table with its head; sizes of samples have a table only if they differ."""
    head, entry = _TABLES[box.kind]
    if box.kind == b"stsz" and number(data, box.start + 4, 4):
        return head
    if box.kind == b"elst" and is_long:
        entry = 20
    return head + entry * number(data, box.start + head - 4, 4)


def _clean_description(edits: Edits, box: Box) -> tuple[int, bool]:
    """Clean the description of the samples.

    Returns the bytes of the length before each NAL unit, and whether the units are of H.265.
    """
    data = edits.data
    entries = list(boxes_of(data, box.start + 8, box.end))
    check(len(entries) == 1)
    entry = entries[0]
    check(entry.kind in _H264 | _H265 and entry.end - entry.start >= 78)
    for start, end in _RESERVED_OF_ENTRY:
        edits.blank(entry.start + start, entry.start + end)
    is_h265 = entry.kind in _H265
    lengths = 0
    for inner in boxes_of(data, entry.start + 78, entry.end):
        if inner.kind == _SETTINGS[is_h265] and not lengths:
            lengths = clean_settings(edits, inner, is_h265=is_h265)
        elif inner.kind not in _SAMPLE_BOXES or (
            inner.kind == b"colr" and data[inner.start : inner.start + 4] != b"nclx"
        ):
            edits.free(inner)
        else:
            stop = inner.start + _SAMPLE_BOXES[inner.kind]
            if inner.kind in _RATIOS:
                check_ratios(data, inner._replace(end=stop))
            edits.blank(stop, inner.end)
    check(lengths)
    return lengths, is_h265


def _blank_unused(edits: Edits, box: Box, used: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Overwrite the media data that belong to no video sample; return the samples elsewhere."""
    at, left = box.start, []
    for start, end in used:
        if box.start <= start and end <= box.end:
            check(start >= at)
            edits.blank(at, start)
            at = end
        else:
            left.append((start, end))
    edits.blank(at, box.end)
    return left
