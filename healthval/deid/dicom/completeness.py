"""Completeness of a file and of its waveforms: each ends where its attributes announce."""

import math
import struct
from typing import Final

from pydicom.dataset import Dataset

from healthval.deid.dicom_values import (
    LONG_VRS,
    UNDEFINED_LENGTH,
    VR_OF_CODE,
    Encoding,
    find,
    number_of,
    raw_element,
)
from healthval.deid.refuse import Reason, Refused

_WAVEFORM: Final = 0x54001010
# Number of Waveform Channels and of Samples, Waveform Bits Allocated
_WAVEFORM_SIZES: Final = (0x003A0005, 0x003A0010, 0x54001004)
_PREFIX: Final = 132  # bytes of preamble and DICM
_META_GROUP: Final = 2
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_MAX_DEPTH: Final = 200


def cut_waveform(item: Dataset, encoding: Encoding) -> None:
    """Remove the bytes after the last sample of a waveform.

    Raises
    ------
    Refused
        If samples are missing, or their number is.
    """
    element = find(item, _WAVEFORM)
    if element is None or not isinstance(element.value, bytes):
        return
    bits = math.prod(number_of(item, tag) for tag in _WAVEFORM_SIZES)
    size = (bits + 7) // 8
    if not size or size > len(element.value):
        raise Refused(Reason.DAMAGED)
    value = element.value[:size] + b"\0" * (size % 2)
    item[_WAVEFORM] = raw_element(_WAVEFORM, element.VR or "OW", value, encoding)


class _CutError(Exception):
    """The bytes end inside an element."""


def is_complete(data: bytes, encoding: Encoding) -> bool:
    """Whether the data set of a file ends with an element; zeros after it are padding."""
    at = 0
    try:
        if data[128:_PREFIX] == b"DICM":
            at = _PREFIX
            while data[at : at + 2] == b"\2\0":
                at = _after_element(data, at, (False, True), 0)
        while at < len(data) and any(data[at : at + 8]):
            at = _after_element(data, at, encoding, 0)
    except (_CutError, struct.error):
        return False
    return True


def _after_element(data: bytes, at: int, encoding: Encoding, depth: int) -> int:
    if depth > _MAX_DEPTH:
        return len(data)  # refused elsewhere
    implicit, order = encoding[0], "<" if encoding[1] else ">"
    code = VR_OF_CODE.get(data[at + 4 : at + 6])
    if implicit or code is None:
        (size,), value = struct.unpack_from(order + "L", data, at + 4), at + 8
    elif code in LONG_VRS:
        (size,), value = struct.unpack_from(order + "L", data, at + 8), at + 12
    else:
        (size,), value = struct.unpack_from(order + "H", data, at + 6), at + 8
    if size == UNDEFINED_LENGTH:
        return _after_items(data, value, (implicit or code == "UN", encoding[1]), depth)
    if value + size > len(data):
        raise _CutError
    return int(value + size)


def _after_items(data: bytes, at: int, encoding: Encoding, depth: int) -> int:
    order = "<" if encoding[1] else ">"
    while True:
        group, element, size = struct.unpack_from(order + "HHL", data, at)
        tag, at = group << 16 | element, at + 8
        if tag == _SEQUENCE_END:
            return at
        if tag != _ITEM:
            raise _CutError
        if size != UNDEFINED_LENGTH:
            at += size
            continue
        while struct.unpack_from(order + "HH", data, at) != (0xFFFE, _ITEM_END & 0xFFFF):
            at = _after_element(data, at, encoding, depth + 1)
        at += 8
