"""A quick reader of the usual data set: known VRs, defined lengths, tags in order.

Whatever is not so is left to pydicom, which knows what to do; this does four times as fast what it
does for the others.
"""

import struct
from collections.abc import Set as AbstractSet
from functools import lru_cache
from typing import Any, Final

from pydicom.dataelem import RawDataElement, convert_raw_data_element, empty_value_for_VR
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from healthval.deid.dicom.values import Element, are_charsets, ascii_text, charsets, dataset_of
from healthval.deid.dicom.writer import LONG_VRS, VRS

_UNDEFINED: Final = 0xFFFFFFFF
_DELIMITERS: Final = 0xFFFE0000
_ITEM: Final = [0xFFFE, 0xE000]
_BIG_ITEM: Final = b"\xff\xfe"
_CHARSET: Final = BaseTag(0x00080005)
_NOWHERE: Final[frozenset[int]] = frozenset()
_DEFAULTS: Final = tuple(RawDataElement._field_defaults.values())
_tag = lru_cache(maxsize=1 << 14)(BaseTag)
_Elements = dict[BaseTag, Any]


def plain_meta(data: bytes, at: int) -> tuple[_Elements, int]:
    """Read a file meta; give its elements and where the data set starts, 0 if it is not plain."""
    return _elements(data, at, len(data) - 12, (False, True), group_2=True)


def plain_elements(data: bytes, at: int, end: int, encoding: tuple[bool, bool], *, until: AbstractSet[int] = _NOWHERE) -> tuple[_Elements, int]:  # fmt: skip
    """Read elements up to one of `until`, or to the end where none is given.

    `encoding` is (implicit VR, little endian). Gives the elements and where they end, 0 if they are
    not plain.
    """
    return _elements(data, at, end, encoding, until=until)


def _elements(  # noqa: PLR0913  one loop for both, run for every file
    data: bytes,
    at: int,
    end: int,
    encoding: tuple[bool, bool],
    *,
    until: AbstractSet[int] = _NOWHERE,
    group_2: bool = False,
) -> tuple[_Elements, int]:
    implicit, little = encoding
    order = "<" if little else ">"
    head = struct.Struct(order + ("HHL" if implicit else "HH2sH")).unpack_from
    extended = struct.Struct(order + "L").unpack_from
    elements: _Elements = {}
    vr, last = None, -1
    while at + 8 <= end:
        if implicit:
            group, element, size = head(data, at)
        else:
            group, element, code, size = head(data, at)
            if group_2 and group != 2:
                return elements, at
            vr = VRS.get(code)
            if vr is None:
                return {}, 0
        tag, value = group << 16 | element, at + 8
        if tag in until:
            return elements, at
        if vr in LONG_VRS:
            if at + 12 > end:
                return {}, 0
            size, value = extended(data, at + 8)[0], at + 12
        at = value + size
        if size == _UNDEFINED or tag <= last:
            return {}, 0
        last, key = tag, _tag(tag)
        content = data[value:at] if size else empty_value_for_VR(vr, raw=True)
        fields = (key, vr, size, content, value, implicit, little, *_DEFAULTS)
        elements[key] = tuple.__new__(RawDataElement, fields)  # without its slow constructor
    is_whole = at == end and last < _DELIMITERS and not (until or group_2)
    return (elements, at) if is_whole else ({}, 0)


def items_of(element: Element, source: Dataset) -> list[Dataset] | None:
    """Return the items of a sequence in whatever form it stands; None when it is none."""
    if not element.is_raw:
        return list(element.value) if element.VR == "SQ" else None
    if element.VR not in ("SQ", "UN", None):
        return None
    stands = element.is_implicit_VR, element.is_little_endian
    implicit, little = _encoding_of_unknown(element.value or b"") if element.VR == "UN" else stands
    items = _plain_items(element.value or b"", (implicit, little), charsets(source))
    if items is None:
        as_sequence = element._replace(VR="SQ", is_implicit_VR=implicit, is_little_endian=little)
        converted: Element = convert_raw_data_element(as_sequence, encoding=charsets(source), ds=source)  # fmt: skip
        items = list(converted.value)
    if little != element.is_little_endian:
        _decode(items, stands)
    return items


def _encoding_of_unknown(value: bytes) -> tuple[bool, bool]:
    """Encoding of items in a value of unknown VR.

    They are in implicit VR little endian (PS3.5, 6.2.2), unless a writer left them as they were.
    """
    little = value[:2] != _BIG_ITEM
    at = 0
    while value[at + 4 : at + 8] == bytes(4):  # an empty item says nothing
        at += 8
    if value[at + 12 : at + 14] not in VRS:
        return True, little
    return _plain_items(value, (True, little), []) is not None, little


def _decode(items: list[Dataset], encoding: tuple[bool, bool]) -> None:
    """Decode items that stand in the other byte order, so that they can be encoded in this one."""
    for item in items:
        for element in item:
            if element.VR == "SQ":
                _decode(element.value, encoding)
        item.set_original_encoding(*encoding, item.original_character_set)


def _plain_items(value: bytes, encoding: tuple[bool, bool], around: list[str]) -> list[Dataset] | None:  # fmt: skip
    """Read items of defined length with plain elements; None if they are not so."""
    head = struct.Struct("<HHL" if encoding[1] else ">HHL").unpack_from
    items: list[Dataset] = []
    at = 0
    while at + 8 <= len(value):
        *tag, size = head(value, at)
        end = at + 8 + size
        if tag != _ITEM or end > len(value):
            return None
        elements, at = plain_elements(value, at + 8, end, encoding)
        if at != end or not _has_known_charset(elements):
            return None
        items.append(_item(elements, encoding, around))
    return items if at == len(value) else None


def _has_known_charset(elements: _Elements) -> bool:
    found = elements.get(_CHARSET)
    return found is None or (found.VR in ("CS", None) and are_charsets(ascii_text(found)))


def _item(elements: _Elements, encoding: tuple[bool, bool], around: list[str]) -> Dataset:
    item = dataset_of(Dataset, elements)
    vars(item)["_parent_encoding"] = around
    item.set_original_encoding(*encoding, charsets(item))
    return item
