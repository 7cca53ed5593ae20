"""Elements and items in their encoded form: a parser for the usual form, pydicom for all others.

The usual form has known VRs, defined lengths and tags in ascending order.
"""

import struct
from collections.abc import Set as AbstractSet
from typing import Any, Final

from pydicom.dataelem import DataElement, convert_raw_data_element, empty_value_for_VR
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from healthval.deid.dicom_values import (
    LONG_VRS,
    UNDEFINED_LENGTH,
    VR_OF_CODE,
    Element,
    Encoding,
    are_charsets,
    ascii_text,
    charsets,
    dummy,
    tag_of,
)
from healthval.pydicom_internals import (
    RAW_DEFAULTS,
    dataset_of,
    raw_from_fields,
    set_parent_encoding,
    with_fields,
)

# Verifying Organization, Verification DateTime, Verifying Observer Name and Identification Code
_VERIFYING_OBSERVER: Final = {
    0x0040A027: "LO",
    0x0040A030: "DT",
    0x0040A075: "PN",
    0x0040A088: "SQ",
}
_ITEM: Final = [0xFFFE, 0xE000]
_BIG_ENDIAN_ITEM: Final = b"\xff\xfe"
_DELIMITERS: Final = 0xFFFE0000
_CHARSET: Final = BaseTag(0x00080005)
_NO_TAGS: Final[frozenset[int]] = frozenset()
_Elements = dict[BaseTag, Any]


def usual_elements(  # noqa: PLR0913  one loop for all, run for every file
    data: bytes,
    at: int,
    end: int,
    encoding: Encoding,
    *,
    until: AbstractSet[int] = _NO_TAGS,
    only_meta: bool = False,
) -> tuple[_Elements, int]:
    """Read elements to the end; or up to a tag in `until`; or, `only_meta`, those of group 2.

    Returns the elements and the offset after them, 0 if their form is unusual.
    """
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
            if only_meta and group != 2:
                return elements, at
            vr = VR_OF_CODE.get(code)
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
        if size == UNDEFINED_LENGTH or tag <= last:
            return {}, 0
        last, key = tag, tag_of(tag)
        content = data[value:at] if size else empty_value_for_VR(vr, raw=True)
        fields = (key, vr, size, content, value, implicit, little, *RAW_DEFAULTS)
        elements[key] = raw_from_fields(fields)
    is_whole = at == end and last < _DELIMITERS and not (until or only_meta)
    return (elements, at) if is_whole else ({}, 0)


# --- items of sequences -----------------------------------------------------------------------


def items_of(element: Element, source: Dataset) -> list[Dataset] | None:
    """Return the items of a sequence, decoded or raw; None if the element is not a sequence."""
    if not element.is_raw:
        return list(element.value) if element.VR == "SQ" else None
    if element.VR not in ("SQ", "UN", None):
        return None
    around = element.is_implicit_VR, element.is_little_endian
    value = element.value or b""
    implicit, little = _encoding_of_unknown(value) if element.VR == "UN" else around
    items = _usual_items(value, (implicit, little), charsets(source))
    if items is None:
        sequence = with_fields(element, VR="SQ", is_implicit_VR=implicit, is_little_endian=little)
        converted: Element = convert_raw_data_element(
            sequence, encoding=charsets(source), ds=source
        )
        items = list(converted.value)
    if little != element.is_little_endian:
        _decode(items, around)
    return items


def _encoding_of_unknown(value: bytes) -> Encoding:
    """Encoding of items in a value of unknown VR.

    It is implicit VR little endian (PS3.5, 6.2.2), unless a writer kept the original encoding.
    """
    little = value[:2] != _BIG_ENDIAN_ITEM
    at = 0
    while value[at + 4 : at + 8] == bytes(4):  # an empty item has no VR
        at += 8
    if value[at + 12 : at + 14] not in VR_OF_CODE:
        return True, little
    return _usual_items(value, (True, little), []) is not None, little


def _decode(items: list[Dataset], encoding: Encoding) -> None:
    """Decode items of the other byte order, so that they can be encoded in this one."""
    for item in items:
        for element in item:
            if element.VR == "SQ":
                _decode(element.value, encoding)
        item.set_original_encoding(*encoding, item.original_character_set)


def _usual_items(value: bytes, encoding: Encoding, codecs: list[str]) -> list[Dataset] | None:
    """Read items of defined length with elements of the usual form; None for others."""
    head = struct.Struct("<HHL" if encoding[1] else ">HHL").unpack_from
    items: list[Dataset] = []
    at = 0
    while at + 8 <= len(value):
        *tag, size = head(value, at)
        end = at + 8 + size
        if tag != _ITEM or end > len(value):
            return None
        elements, at = usual_elements(value, at + 8, end, encoding)
        if at != end or not _has_known_charset(elements):
            return None
        items.append(_item(elements, encoding, codecs))
    return items if at == len(value) else None


def _has_known_charset(elements: _Elements) -> bool:
    found = elements.get(_CHARSET)
    return found is None or (found.VR in ("CS", None) and are_charsets(ascii_text(found)))


def _item(elements: _Elements, encoding: Encoding, codecs: list[str]) -> Dataset:
    item = dataset_of(Dataset, elements)
    set_parent_encoding(item, codecs)
    item.set_original_encoding(*encoding, charsets(item))
    return item


# --- single elements --------------------------------------------------------------------------


def has_undefined_length(element: Element) -> bool:
    """Whether an element, raw or decoded, has an undefined length."""
    if element.is_raw:
        return bool(element.length == UNDEFINED_LENGTH)
    return bool(element.is_undefined_length)


def copied(element: Element) -> Element:
    """Copy a decoded element, so that an edit does not change the source; raw ones are immutable."""
    if element.is_raw:
        return element
    return DataElement(
        element.tag,
        element.VR,
        element.value,
        is_undefined_length=element.is_undefined_length,
        already_converted=True,
    )


def dummy_item(keyword: str) -> Dataset:
    """Item of a sequence that needs one: a placeholder of a code or of a report's verifier."""
    item = Dataset()
    if keyword.endswith("CodeSequence"):
        item.CodeValue, item.CodingSchemeDesignator = "0", "99REMOVED"
        item.CodeMeaning = "REMOVED"
    elif keyword == "VerifyingObserverSequence":  # a verified report needs all of them
        for tag, vr in _VERIFYING_OBSERVER.items():
            item.add_new(tag, vr, dummy(vr).decode("ascii") if vr != "SQ" else [])
    return item
