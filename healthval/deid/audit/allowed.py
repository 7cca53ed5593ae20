"""What the audit finds and is no leak: our own marks, a maker's words, a device's dates.

Knows the marks from the standard, not from the code that writes them.
"""

import re
from typing import Final

from healthval.deid.audit.patterns import Pattern

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
# Filled by the maker of a device, not by those who use it (PS3.3): Image Type, Modality,
# Manufacturer, its Model Name, Software Versions, Convolution Kernel, Photometric Interpretation.
_MAKER: Final = frozenset(
    {0x00080008, 0x00080060, 0x00080070, 0x00081090, 0x00181020, 0x00181210, 0x00280004}
)
# Rows of PS3.15 Table E.1-1 that Retain Device Identity keeps and that are dates: calibration,
# installation, manufacture.
DEVICE_DATES: Final = frozenset(
    {0x0014407E, 0x00181200, 0x00181202, 0x00181203, 0x00181204, 0x00181205, 0x0018700C, 0x300C0127}
)
_YEAR: Final = 4


def is_mark(path: tuple[int, ...], text: str) -> bool:
    """Whether a value is one that every output of ours has at this place, or a dummy."""
    text = text.strip(" \0")
    mark = _MARKS.get(path)
    return text in _DUMMIES or (mark is not None and mark.fullmatch(text) is not None)


def is_makers(pattern: Pattern, tag: int, text: str) -> bool:
    """Whether a value is a maker's text, and no more of it found than one word of a name.

    A text beyond ASCII, or with a further word of the same name, is taken for no maker's.
    """
    if tag not in _MAKER or not text.isascii():
        return False
    if pattern.strict:
        return pattern.length <= _YEAR
    return pattern.is_part and not (pattern.beside and re.search(pattern.beside, text.lower()))
