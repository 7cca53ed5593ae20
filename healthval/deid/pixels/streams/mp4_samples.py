"""Samples of an MP4 track and their NAL units (ISO/IEC 14496-12 section 8, 14496-15)."""

from collections.abc import Iterator
from itertools import accumulate, pairwise
from typing import Final

from healthval.deid.pixels.streams.mp4_boxes import Box, Edits
from healthval.deid.pixels.streams.mp4_values import check_hevc_settings
from healthval.deid.pixels.streams.pieces import Buffer, check, number
from healthval.deid.pixels.streams.video import H264_KEPT, H265_KEPT, check_unit, nal_kind

# Profiles whose settings end with the form of the chroma and extended sets
_HIGH_PROFILES: Final = frozenset({100, 110, 122, 144})
_FILLER: Final = {False: b"\x0c", True: b"\x4c\x01"}


def clean_settings(edits: Edits, box: Box, *, is_h265: bool) -> int:
    """Clean the decoder's settings (avcC, hvcC); return the bytes of a NAL unit's length."""
    data, at = edits.data, box.start
    if is_h265:
        check_hevc_settings(data, at)
        n_arrays, end = number(data, at + 22, 1), at + 23
        for _ in range(n_arrays):
            end = _clean_sets(edits, end + 3, number(data, end + 1, 2), box.end, is_h265=True)
        width = number(data, at + 21, 1)
    else:
        end = _clean_sets(edits, at + 6, number(data, at + 5, 1) & 31, box.end, is_h265=False)
        end = _clean_sets(edits, end + 1, number(data, end, 1), box.end, is_h265=False)
        if end + 4 <= box.end and data[at + 1] in _HIGH_PROFILES:
            end = _clean_sets(edits, end + 4, number(data, end + 3, 1), box.end, is_h265=False)
        width = number(data, at + 4, 1)
    edits.blank(end, box.end)
    return (width & 3) + 1


def _clean_sets(edits: Edits, at: int, count: int, end: int, *, is_h265: bool) -> int:
    """Clean NAL units with lengths of two bytes; return the offset after them."""
    for _ in range(count):
        stop = at + 2 + number(edits.data, at, 2)
        check(stop <= end)
        clean_sample(edits, at, stop, 2, is_h265=is_h265)
        at = stop
    check(at <= end)
    return at


def samples_of(data: Buffer, inside: dict[bytes, Box]) -> Iterator[tuple[int, int]]:
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


def clean_sample(edits: Edits, at: int, end: int, lengths: int, *, is_h265: bool) -> None:
    """Turn each NAL unit that decoding does not need into filler data."""
    kept, filler = (H265_KEPT if is_h265 else H264_KEPT), _FILLER[is_h265]
    while at < end:
        body = at + lengths
        stop = body + number(edits.data, at, lengths)
        check(body < stop <= end)
        kind = nal_kind(edits.data[body], is_h265=is_h265)
        if kind in kept:
            check_unit(kind, edits.data[body:stop], is_h265=is_h265)
        else:
            head = filler + b"\xff" * (stop - body - len(filler) - 1) + b"\x80"
            edits.blank(body, stop, head)
        at = stop
