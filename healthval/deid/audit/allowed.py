"""Matches that the audit ignores (known false positives).

They are our own marks, the words of a manufacturer and the dates of a device. The marks are
copied from the standard, not imported from the code that writes them.
"""

import re
from functools import lru_cache
from typing import Final

from pydicom._dicom_dict import DicomDictionary
from pydicom.charset import python_encoding
from pydicom.datadict import dictionary_has_tag, dictionary_VR

from healthval.deid.audit.patterns import Pattern
from healthval.deid.audit.reader import Element
from healthval.pydicom_internals import concepts

# PS3.16 CID 7050
METHODS: Final = {
    "113100": "Basic Application Confidentiality Profile",
    "113101": "Clean Pixel Data Option",
    "113103": "Clean Graphics Option",
    "113104": "Clean Structured Content Option",
    "113105": "Clean Descriptors Option",
    "113106": "Retain Longitudinal Temporal Information Full Dates Option",
    "113107": "Retain Longitudinal Temporal Information Modified Dates Option",
    "113108": "Retain Patient Characteristics Option",
    "113109": "Retain Device Identity Option",
    "113110": "Retain UIDs Option",
    "113111": "Retain Safe Private Option",
    "113112": "Retain Institution Identity Option",
}
METHOD_CODE: Final = (0x00120064, 0x00080100)
RETAINS_DEVICE: Final = "113109"
IMPLEMENTATION: Final = {
    0x00020012: "2.25.231814790462375211283049530211738125073",
    0x00020013: "HEALTHVAL",
}
_MARKS: Final[dict[tuple[int, ...], re.Pattern[str]]] = {
    **{(tag,): re.compile(re.escape(text)) for tag, text in IMPLEMENTATION.items()},
    (0x00120062,): re.compile("YES"),
    (0x00120063,): re.compile(r"healthval \d[0-9a-z.+]{0,19}, PS3\.15 \d{4}[a-e]"),
    METHOD_CODE: re.compile("|".join(METHODS)),
    (0x00120064, 0x00080102): re.compile("DCM"),
    (0x00120064, 0x00080104): re.compile("|".join(METHODS.values())),
    (0x00280301,): re.compile("NO"),
    (0x00280303,): re.compile("REMOVED|MODIFIED|UNMODIFIED"),
    (0x00082111,): re.compile("burned-in regions blanked"),
    (0x00089215, 0x00080100): re.compile("113047"),  # PS3.16 CID 7203
    (0x00089215, 0x00080104): re.compile("Pixel by pixel mask"),
}
_DUMMIES: Final = frozenset({"REMOVED", "99REMOVED", "about:blank"})
# Attributes that the manufacturer of a device fills in, not its users (PS3.3): Image Type, Modality,
# Manufacturer, Model Name, Software Versions, Convolution Kernel, Pulse Sequence Name, Photometric
# Interpretation, methods of attenuation and scatter correction and of reconstruction.
_MANUFACTURER: Final = frozenset(
    {0x00080008, 0x00080060, 0x00080070, 0x00081090, 0x00181020, 0x00181210, 0x00280004}
    | {0x00189005, 0x00541101, 0x00541103, 0x00541105}
)
# Dates in PS3.15 Table E.1-1 that Retain Device Identity keeps: calibration, installation,
# manufacture.
DEVICE_DATES: Final = frozenset(
    {0x0014407E, 0x00181200, 0x00181202, 0x00181203, 0x00181204, 0x00181205, 0x0018700C, 0x300C0127}
)
_YEAR: Final = 4
_SHORTEST_TERM: Final = 3  # letters: a name may be written letter by letter
_CODE_MEANING: Final = 0x00080104
_CHARACTER_SET, _SCHEME = 0x00080005, 0x00080102
# Filter Type, Type of Filters, View Name, Plate Type: defined terms in attributes of text
_TERMS_AS_TEXT: Final = frozenset({0x00181160, 0x00181161, 0x00082127, 0x00181260})


def is_own_mark(path: tuple[int, ...], text: str) -> bool:
    """Whether a value is a dummy, or a mark that our outputs have in this attribute."""
    text = text.strip(" \0")
    mark = _MARKS.get(path)
    return text in _DUMMIES or (mark is not None and mark.fullmatch(text) is not None)


def is_defined_term(pattern: Pattern, element: Element, text: str) -> bool:
    """Whether a match is a defined term of its attribute, and no other word of the name is there.

    A coded string whose words are all words of the standard is a term; so is the meaning of a
    standard code.
    """
    if not pattern.is_single_word or not text.isascii():
        return False
    if pattern.other_words and re.search(pattern.other_words, text.lower()):
        return False
    tag = element.path[-1]
    if tag in (_CHARACTER_SET, _SCHEME, _CODE_MEANING):
        return _is_listed(tag, text.strip(" \0"))
    is_code = element.vr == "CS" and dictionary_has_tag(tag) and dictionary_VR(tag) == "CS"
    if not (is_code or tag in _TERMS_AS_TEXT):
        return False
    found = re.findall("[a-z]+", text.lower())
    return min(map(len, found)) >= _SHORTEST_TERM and set(found) <= _standard_words()


def _is_listed(tag: int, text: str) -> bool:
    """Whether a character set, a coding scheme or a code meaning is one of the standard."""
    if tag == _CHARACTER_SET:
        return {part.strip(" \0") for part in text.split("\\")} <= set(python_encoding)
    if tag == _SCHEME:
        return text in concepts()
    return text.lower() in _standard_meanings()


@lru_cache(maxsize=1)
def _standard_meanings() -> frozenset[str]:
    schemes = concepts().values()
    codes = (codes for keywords in schemes for codes in keywords.values())
    return frozenset(meaning.lower() for found in codes for meaning, _ in found.values())


@lru_cache(maxsize=1)
def _standard_words() -> frozenset[str]:
    """Words of the standard's code meanings and attribute names."""
    texts = [*_standard_meanings(), *(entry[2].lower() for entry in DicomDictionary.values())]
    return frozenset(word for text in texts for word in re.findall("[a-z]+", text))


def is_manufacturer_text(pattern: Pattern, tag: int, text: str) -> bool:
    """Whether a match is a manufacturer's word or a year in its text.

    A text with characters beyond ASCII, or with another word of the same name, is a leak.
    """
    if tag not in _MANUFACTURER or not text.isascii():
        return False
    if pattern.number_regex:
        return pattern.length <= _YEAR
    has_other = pattern.other_words and re.search(pattern.other_words, text.lower())
    return pattern.is_single_word and not has_other
