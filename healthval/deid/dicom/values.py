"""Values in the byte domain: dummies, moved dates, plain text of elements."""

import re
from datetime import date, timedelta
from functools import lru_cache
from typing import Any, Final, TypeVar

from pydicom.charset import convert_encodings, decode_bytes, python_encoding
from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset

REMOVED: Final = b"REMOVED"
_DUMMY: Final = {
    "DA": b"19000101",
    "TM": b"000000",
    "DT": b"19000101000000",
    "AS": b"000Y",
    "DS": b"0",
    "IS": b"0",
    "UR": b"about:blank",
    "FL": bytes(4),
    "FD": bytes(8),
    "US": bytes(2),
    "SS": bytes(2),
    "UL": bytes(4),
    "SL": bytes(4),
    "UV": bytes(8),
    "SV": bytes(8),
    "AT": bytes(4),
    "OB": bytes(2),
    "OW": bytes(2),
    "OF": bytes(4),
    "OD": bytes(8),
    "OL": bytes(4),
    "OV": bytes(8),
    "UN": bytes(2),
}
_PADDED_WITH_NUL: Final = frozenset({"UI", "OB", "UN"})
_DATE: Final = re.compile(r"(\d{4})(\d{2})(\d{2})")
_TEMPORAL: Final = {
    "DA": re.compile(r"\d{8}|\d{4}\.\d{2}\.\d{2}"),
    "TM": re.compile(r"\d{2}(:?\d{2}(:?\d{2}(\.\d{1,6})?)?)?"),
    "DT": re.compile(r"\d{4,14}(\.\d{1,6})?([+-]\d{4})?"),
    "SH": re.compile(r"[+-]?\d{4}"),  # TimezoneOffsetFromUTC
}

# DataElement or RawDataElement; `is_raw` tells them apart, which no type checker can follow.
Element = Any
Kind = TypeVar("Kind", bound=Dataset)
_FRAMES: Final = 0x00280008


def dataset_of(kind: type[Kind], elements: dict[Any, Element]) -> Kind:
    """Do what `kind(elements)` does, in a fifth of the time.

    Dataset.__setattr__ looks every name up in the dictionary of attributes.
    """
    made = kind.__new__(kind)
    blank = _blank(kind).items()  # type: ignore[arg-type]  # a class is hashable
    vars(made).update({name: v.copy() if type(v) is dict else v for name, v in blank})
    vars(made)["_dict"] = elements
    return made


@lru_cache(maxsize=8)
def _blank(kind: Any) -> dict[str, Any]:
    return dict(vars(kind()))


def dummy(vr: str) -> bytes:
    """Return a value of the right form that says nothing."""
    return _DUMMY.get(vr, REMOVED)


def raw(like: Element, vr: str, value: bytes, encoding: tuple[bool, bool]) -> RawDataElement:
    """Build an element of known VR in the encoding (implicit, little endian) of its data set."""
    if len(value) % 2:
        value += b"\0" if vr in _PADDED_WITH_NUL else b" "
    return RawDataElement(like.tag, vr, len(value), value, 0, *encoding)


def ascii_text(element: Element) -> str:
    """Return the value of an element with plain characters, without its padding."""
    value = element.value
    if element.is_raw:
        return (value or b"").decode("latin-1").strip(" \0")
    return "\\".join(map(str, value)) if _is_multiple(value) else str(value or "")


def decoded_text(element: Element, encodings: list[str]) -> str:
    """Return the value of a text element, decoded with the file's character sets."""
    value = element.value
    if element.is_raw:
        return decode_bytes(value or b"", encodings, set()).strip(" \0")
    return "\\".join(map(str, value)) if _is_multiple(value) else str(value or "")


def _is_multiple(value: Any) -> bool:
    return isinstance(value, (list, tuple)) or type(value).__name__ == "MultiValue"


def is_temporal(text: str, vr: str) -> bool:
    """Whether every value has the form that its VR demands."""
    pattern = _TEMPORAL.get(vr)
    return pattern is not None and all(pattern.fullmatch(v.strip(" \0")) for v in text.split("\\"))


def shifted(text: str, vr: str, days: int) -> str | None:
    """Move every date by whole days; None when a value is no complete date.

    Examples
    --------
    >>> shifted("20240228", "DA", 2), shifted("20240228101500.5+0100", "DT", -59)
    ('20240301', '20231231101500.5+0100')
    """
    if not is_temporal(text, vr):
        return None
    if vr in ("TM", "SH"):
        return text  # whole days leave the time of day as it is
    moved = [_moved(value.strip(" \0").replace(".", "", 2 if vr == "DA" else 0), days) for value in text.split("\\")]  # fmt: skip
    return None if None in moved else "\\".join(m for m in moved if m is not None)


def _moved(value: str, days: int) -> str | None:
    found = _DATE.match(value)
    if found is None:
        return None
    try:
        day = date(*map(int, found.groups())) + timedelta(days)
    except (ValueError, OverflowError):
        return None
    return f"{day:%Y%m%d}".zfill(8) + value[8:]


def is_name(tag: int, element: Element) -> bool:
    """Whether an element holds the name of a person."""
    if element.VR is None or element.VR == "UN":
        return dictionary_has_tag(tag) and dictionary_VR(tag) == "PN"
    return bool(element.VR == "PN")


def find(dataset: Dataset, tag: int) -> Element | None:
    """Return an element at the root, undecoded; None where it is absent.

    Looks into the dictionary itself: pydicom's own look-ups cost ten times as much.
    """
    return dataset._dict.get(tag)  # type: ignore[call-overload]


def has(dataset: Dataset, *tags: int) -> bool:
    """Whether any of these attributes stands at the root."""
    return not dataset._dict.keys().isdisjoint(tags)


def text_of(dataset: Dataset, tag: int) -> str:
    """Return the plain text of an attribute at the root, "" where it is absent."""
    element = find(dataset, tag)
    return "" if element is None else ascii_text(element)


def number_of(dataset: Dataset, tag: int) -> int:
    """Return a whole number at the root, 0 where there is none or it is malformed."""
    element = find(dataset, tag)
    if element is None:
        return 0
    value = element.value
    if element.is_raw and element.VR in ("US", None) and tag != _FRAMES:
        return int.from_bytes(value or b"", "little" if element.is_little_endian else "big")
    text = ascii_text(element)
    return int(text) if text.isascii() and text.isdigit() else 0


def charsets(dataset: Dataset) -> list[str]:
    """Python codecs of a data set's character sets."""
    element = find(dataset, 0x00080005)
    if element is None:
        found = dataset._parent_encoding
        return [found] if isinstance(found, str) else list(found)
    return list(_codecs(ascii_text(element)))


def are_charsets(terms: str) -> bool:
    """Whether a text consists of defined terms of Specific Character Set (PS3.3 C.12.1.1.2)."""
    return all(term.strip() in python_encoding for term in terms.split("\\"))


@lru_cache(maxsize=64)
def _codecs(terms: str) -> tuple[str, ...]:
    try:
        return tuple(convert_encodings([term.strip() for term in terms.split("\\")]))
    except (LookupError, ValueError):  # a character set that nobody knows
        return ("iso8859",)


def is_over_89(age: str) -> bool:
    """Whether an age string names an age that HIPAA Safe Harbor puts into one group."""
    return age[3:4].upper() == "Y" and age.isascii() and age[:3].isdigit() and int(age[:3]) > 89


def load_deferred(dataset: Dataset) -> None:
    """Let pydicom read what it put off (`dcmread(defer_size=...)`)."""
    element: Element
    late = []
    for tag, element in dataset.items():
        if element.is_raw and element.value is None and element.length:
            late.append(tag)
    for tag in late:
        dataset.get_item(tag)
