"""Videos in MP4 files: text, places, dates, other tracks and user data are overwritten.

ISO/IEC 14496-12 (boxes), 14496-15 (H.264 and H.265 samples). Nothing is moved, because the tables
of a track contain offsets in the file: a removed box becomes a free box of zeros.
"""

from collections.abc import Iterator
from itertools import accumulate, pairwise
from typing import Final, NamedTuple

from healthval.deid.pixels.streams.pieces import Buffer, Pieces, check, number, zeros
from healthval.deid.pixels.streams.video import H264_KEPT, H265_KEPT, nal_kind

_CONTAINERS: Final = frozenset({b"moov", b"trak", b"mdia", b"minf", b"stbl", b"dinf", b"edts"})
_KEPT: Final = _CONTAINERS | {
    *(b"ftyp", b"mdat", b"mvhd", b"tkhd", b"mdhd", b"hdlr", b"vmhd", b"dref", b"elst", b"stsd"),
    *(b"stts", b"stss", b"ctts", b"stsc", b"stsz", b"stco", b"co64", b"cslg", b"sdtp"),
}
_SAMPLE_BOXES: Final = frozenset({b"avcC", b"hvcC", b"pasp", b"colr", b"btrt", b"fiel", b"clap"})
_MEDIA: Final = frozenset({b"mvhd", b"tkhd", b"mdhd"})
_LARGEST_BRANDS: Final = 128
_LARGEST_DEPTH: Final = 8
_H264: Final = frozenset({b"avc1", b"avc3"})
_H265: Final = frozenset({b"hvc1", b"hev1"})
_FILLER: Final = {False: b"\x0c", True: b"\x4c\x01"}


class Box(NamedTuple):
    """Kind of a box, offsets of the box, of its contents and of its end."""

    kind: bytes
    at: int
    start: int
    end: int


class _Edits:
    """Changes of a buffer in place: ranges that are overwritten."""

    def __init__(self, data: Buffer) -> None:
        self.data = data
        self._ranges: list[tuple[int, int, bytes]] = []

    def blank(self, start: int, end: int, head: bytes = b"") -> None:
        """Overwrite a range with `head` and zeros."""
        if start < end:
            self._ranges.append((start, end, head[: end - start]))

    def free(self, box: Box) -> None:
        """Turn a box into a free box."""
        self._ranges.append((box.at + 4, box.at + 8, b"free"))
        self.blank(box.start, box.end)

    def pieces(self) -> Pieces:
        """Buffer with all changes."""
        pieces, at = list[Buffer](), 0
        for start, end, head in sorted(self._ranges):
            check(start >= at)
            pieces += (self.data[at:start], head, *zeros(end - start - len(head)))
            at = end
        return [*pieces, self.data[at:]]


def clean_mp4(data: Buffer) -> Pieces:
    """Pieces of an MP4 file with only its video track, without text."""
    edits = _Edits(data)
    boxes = list(_boxes(data, 0, len(data)))
    check(boxes and boxes[0].kind == b"ftyp")
    ftyp = boxes[0]
    check(ftyp.end - ftyp.start <= _LARGEST_BRANDS and (ftyp.end - ftyp.start) % 4 == 0)
    check({b"moov", b"mdat"} <= {box.kind for box in boxes})
    check(not any(box.kind in (b"moof", b"sidx") for box in boxes))  # fragmented
    used: list[tuple[int, int]] = []
    for box in boxes:
        if box.kind == b"moov":
            used += _movie(edits, box)
        elif box.kind not in (b"ftyp", b"mdat"):
            edits.free(box)
    for box in boxes:
        if box.kind == b"mdat":
            _blank_unused(edits, box, sorted(used))
    return edits.pieces()


def _boxes(data: Buffer, at: int, end: int) -> Iterator[Box]:
    while at < end:
        check(at + 8 <= end)
        size, start = number(data, at, 4), at + 8
        if size == 1:
            size, start = number(data, at + 8, 8), at + 16
        stop = at + size if size else end
        if stop == end + 1 and end == len(data):  # the padding byte was not stored
            stop = end
        if size == 0 and not any(data[at:end]):
            return  # padding
        check(start <= stop <= end)
        yield Box(bytes(data[at + 4 : at + 8]), at, start, stop)
        at = stop


def _movie(edits: _Edits, movie: Box) -> list[tuple[int, int]]:
    """Clean the boxes of a movie; return the ranges of its video samples."""
    used: list[tuple[int, int]] = []
    for box in _boxes(edits.data, movie.start, movie.end):
        if box.kind == b"trak":
            used += _track(edits, box)
        else:
            _clean_box(edits, box, 0)
    return used


def _track(edits: _Edits, track: Box) -> list[tuple[int, int]]:
    inside = {box.kind: box for box in _all_boxes(edits.data, track, 0)}
    handler = inside.get(b"hdlr")
    if handler is None or edits.data[handler.start + 8 : handler.start + 12] != b"vide":
        edits.free(track)
        return []
    for box in _boxes(edits.data, track.start, track.end):
        _clean_box(edits, box, 0)
    check({b"stsd", b"stsz", b"stsc"} <= set(inside))
    samples = list(_samples(edits.data, inside))
    lengths, is_h265 = _sample_form(edits.data, inside[b"stsd"])
    for start, end in samples:
        _clean_sample(edits, start, end, lengths, is_h265=is_h265)
    return samples


def _all_boxes(data: Buffer, box: Box, depth: int) -> Iterator[Box]:
    check(depth < _LARGEST_DEPTH)
    for inner in _boxes(data, box.start, box.end):
        yield inner
        if inner.kind in _CONTAINERS:
            yield from _all_boxes(data, inner, depth + 1)


def _clean_box(edits: _Edits, box: Box, depth: int) -> None:
    """Keep a box that decoding needs, without its text and dates; free every other one."""
    check(depth < _LARGEST_DEPTH)
    if box.kind not in _KEPT:
        edits.free(box)
    elif box.kind in _CONTAINERS:
        for inner in _boxes(edits.data, box.start, box.end):
            _clean_box(edits, inner, depth + 1)
    elif box.kind in _MEDIA:
        size = 16 if number(edits.data, box.start, 1) == 1 else 8
        edits.blank(box.start + 4, min(box.start + 4 + size, box.end))  # times of creation, change
    elif box.kind == b"hdlr":
        edits.blank(min(box.start + 24, box.end), box.end)  # name
    elif box.kind == b"dref":
        for inner in _boxes(edits.data, box.start + 8, box.end):
            check(inner.kind in (b"url ", b"alis"))
            edits.blank(min(inner.start + 4, inner.end), inner.end)
    elif box.kind == b"stsd":
        _clean_descriptions(edits, box)


def _clean_descriptions(edits: _Edits, box: Box) -> None:
    for entry in _boxes(edits.data, box.start + 8, box.end):
        check(entry.kind in _H264 | _H265 and entry.end - entry.start >= 78)
        edits.blank(entry.start + 42, entry.start + 74)  # name of the compressor
        for inner in _boxes(edits.data, entry.start + 78, entry.end):
            if inner.kind not in _SAMPLE_BOXES or (
                inner.kind == b"colr" and edits.data[inner.start : inner.start + 4] != b"nclx"
            ):
                edits.free(inner)


def _sample_form(data: Buffer, descriptions: Box) -> tuple[int, bool]:
    """Bytes of the length before each NAL unit, and whether the units are of H.265."""
    entries = list(_boxes(data, descriptions.start + 8, descriptions.end))
    check(len(entries) == 1)
    entry = entries[0]
    inner = {box.kind: box for box in _boxes(data, entry.start + 78, entry.end)}
    is_h265 = entry.kind in _H265
    settings = inner.get(b"hvcC" if is_h265 else b"avcC")
    check(settings is not None)
    assert settings is not None  # noqa: S101  for the type checker
    return (number(data, settings.start + (21 if is_h265 else 4), 1) & 3) + 1, is_h265


def _samples(data: Buffer, inside: dict[bytes, Box]) -> Iterator[tuple[int, int]]:
    """Range of each sample by the tables of its track."""
    sizes, chunks = _sizes(data, inside[b"stsz"]), _chunks(data, inside)
    runs = inside[b"stsc"].start
    entries = [
        (number(data, runs + 8 + 12 * i, 4), number(data, runs + 12 + 12 * i, 4))
        for i in range(number(data, runs + 4, 4))
    ]
    lasts = [first for first, _ in entries[1:]] + [len(chunks) + 1]
    done = 0
    for (first, count), last in zip(entries, lasts, strict=True):
        check(1 <= first <= last <= len(chunks) + 1)
        for chunk in chunks[first - 1 : last - 1]:
            here = sizes[done : done + count]
            check(len(here) == count)
            ends = list(accumulate(here, initial=chunk))
            check(ends[-1] <= len(data))
            yield from pairwise(ends)
            done += count
    check(done == len(sizes))


def _sizes(data: Buffer, box: Box) -> list[int]:
    size, count = number(data, box.start + 4, 4), number(data, box.start + 8, 4)
    check(count <= len(data))
    if size:
        return [size] * count
    check(box.start + 12 + 4 * count <= box.end)
    return [number(data, box.start + 12 + 4 * i, 4) for i in range(count)]


def _chunks(data: Buffer, inside: dict[bytes, Box]) -> list[int]:
    width = 8 if b"co64" in inside else 4
    box = inside.get(b"co64" if width == 8 else b"stco")
    check(box is not None)
    assert box is not None  # noqa: S101  for the type checker
    count = number(data, box.start + 4, 4)
    check(box.start + 8 + width * count <= box.end)
    return [number(data, box.start + 8 + width * i, width) for i in range(count)]


def _clean_sample(edits: _Edits, at: int, end: int, lengths: int, *, is_h265: bool) -> None:
    """Turn each NAL unit that decoding does not need into filler data."""
    kept, filler = (H265_KEPT if is_h265 else H264_KEPT), _FILLER[is_h265]
    while at < end:
        body = at + lengths
        stop = body + number(edits.data, at, lengths)
        check(body < stop <= end)
        if nal_kind(edits.data[body], is_h265=is_h265) not in kept:
            head = filler + b"\xff" * (stop - body - len(filler) - 1) + b"\x80"
            edits.blank(body, stop, head)
        at = stop


def _blank_unused(edits: _Edits, box: Box, used: list[tuple[int, int]]) -> None:
    """Overwrite the media data that belong to no video sample."""
    at = box.start
    for start, end in used:
        if box.start <= start and end <= box.end:
            check(start >= at)
            edits.blank(at, start)
            at = end
    edits.blank(at, box.end)
