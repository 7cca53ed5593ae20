"""A reader that locates only some values sees the same structure as one that locates all."""

import struct

import pytest

from healthval.deid.audit.reader import Level, Reader


def element(tag, vr, value, size=None):
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr, len(value) if size is None else size) + value  # fmt: skip


@pytest.mark.parametrize(
    "data",
    [
        element(0x00280010, b"US", b"\1\0") + element(0x7FE00010, b"US", b"\1\0\2\0"),
        element(0x00280010, b"US", b"\1\0") + element(0x00280011, b"US", b"\1\0", size=40),
        element(0x00280010, b"US", b"\1\0") + element(0x00280011, b"US", b"\1\0")[:7],
    ],
    ids=["pixels of a short VR", "value cut short", "head cut short"],
)
def test_some_values_and_all_end_alike(data):
    few, every = (Reader(data, Level(), little=True, only=o) for o in (frozenset(), None))
    assert (few.pixels, few.stopped) == (every.pixels, every.stopped)
    assert (every.pixels, every.stopped) != (None, None)
