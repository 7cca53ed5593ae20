"""Encodes a cleaned data set: elements that stayed raw are written as the bytes they were."""

import struct
from collections.abc import Callable, Iterable
from functools import lru_cache
from operator import itemgetter
from typing import Final

from pydicom.datadict import dictionary_has_tag, dictionary_VR, repeater_has_tag
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_data_element

from healthval.deid.dicom import values
from healthval.deid.dicom.values import Element

LONG_VRS: Final = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"})  # fmt: skip
_SHORT: Final = frozenset({"AE", "AS", "AT", "CS", "DA", "DS", "DT", "FD", "FL", "IS", "LO", "LT", "PN", "SH", "SL", "SS", "ST", "TM", "UI", "UL", "US"})  # fmt: skip
VRS: Final = {vr.encode("ascii"): vr for vr in LONG_VRS | _SHORT}
_KNOWN: Final = LONG_VRS | _SHORT
_UNDEFINED: Final = 0xFFFFFFFF
_Head = Callable[[int, str, int], bytes]
_first = itemgetter(0)


def encode_dataset(dataset: Dataset, *, implicit: bool, little: bool) -> bytes:
    """Encode a data set; sequences get defined lengths."""
    return b"".join(encoded_parts(dataset, implicit=implicit, little=little))


def encoded_parts(dataset: Dataset, *, implicit: bool, little: bool) -> list[bytes]:
    """Do what `encode_dataset` does, in pieces: a file takes large pixels without one more copy."""
    encoding = implicit, little
    return _parts(dataset.items(), _head(implicit, little), encoding, values.charsets(dataset))


def element_head(tag: int, vr: str | None, size: int, encoding: tuple[bool, bool]) -> bytes:
    """Encode what stands before the value of pixels; compressed ones are always OB."""
    return _head(*encoding)(tag, vr or ("OB" if size == _UNDEFINED else _vr_of(tag)), size)


def encode_meta(elements: Iterable[tuple[int, Element]]) -> bytes:
    """Encode a file meta without its group length, and put that before it."""
    body = b"".join(_parts(elements, _head(False, True), (False, True), ["iso8859"]))
    return b"DICM\2\0\0\0UL\4\0" + struct.pack("<L", len(body)) + body


def _parts(
    elements: Iterable[tuple[int, Element]],
    head: _Head,
    encoding: tuple[bool, bool],
    charsets: list[str],
) -> list[bytes]:
    parts: list[bytes] = []
    element: Element
    # As plain numbers: BaseTag compares in Python.
    for tag, element in sorted([(int(tag), element) for tag, element in elements], key=_first):
        if not element.is_raw:
            parts.append(_converted(element, head, encoding, charsets))
            continue
        value = element.value or b""
        if element.length == _UNDEFINED:
            vr = element.VR if element.VR in LONG_VRS else "OB"
            parts += (head(tag, vr, _UNDEFINED), value, _end(encoding[1]))
            continue
        size = len(value)
        if size % 2:
            value, size = value + b"\0", size + 1
        parts += (head(tag, element.VR if element.VR in _KNOWN else _vr_of(tag), size), value)
    return parts


def _converted(element: Element, head: _Head, encoding: tuple[bool, bool], charsets: list[str]) -> bytes:  # fmt: skip
    if element.VR != "SQ":
        buffer = DicomBytesIO()
        buffer.is_implicit_VR, buffer.is_little_endian = encoding
        write_data_element(buffer, element, charsets)
        return bytes(buffer.getvalue())
    item_head = struct.Struct("<HHL" if encoding[1] else ">HHL")
    parts: list[bytes] = []
    for item in element.value:
        body = b"".join(_parts(item.items(), head, encoding, charsets))
        parts += (item_head.pack(0xFFFE, 0xE000, len(body)), body)
    body = b"".join(parts)
    return head(element.tag, "SQ", len(body)) + body


def _end(little: bool) -> bytes:
    return struct.pack("<HHL" if little else ">HHL", 0xFFFE, 0xE0DD, 0)


@lru_cache(maxsize=4)
def _head(implicit: bool, little: bool) -> _Head:
    order = "<" if little else ">"
    short, long, plain = (struct.Struct(order + f) for f in ("HH2sH", "HH2sHL", "HHL"))

    def explicit_head(tag: int, vr: str, size: int) -> bytes:
        if vr in LONG_VRS:
            return long.pack(tag >> 16, tag & 0xFFFF, vr.encode("ascii"), 0, size)
        if size > 0xFFFF:  # PS3.5, 6.2.2
            return long.pack(tag >> 16, tag & 0xFFFF, b"UN", 0, size)
        return short.pack(tag >> 16, tag & 0xFFFF, vr.encode("ascii"), size)

    def implicit_head(tag: int, vr: str, size: int) -> bytes:
        return plain.pack(tag >> 16, tag & 0xFFFF, size)

    return lru_cache(maxsize=1 << 14)(implicit_head if implicit else explicit_head)


@lru_cache(maxsize=4096)
def _vr_of(tag: int) -> str:
    if not (dictionary_has_tag(tag) or repeater_has_tag(tag)):
        return "UN"
    vr = dictionary_VR(tag)
    return vr if len(vr) == 2 else "OW" if "OW" in vr else "US"
