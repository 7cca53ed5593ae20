"""Clean descriptions and code meanings: words of a medical vocabulary are kept, others removed.

Removing known identifiers from a description would miss the unknown ones (a relative, a ward, a
phone number). A description therefore keeps the words that `data/vocabulary.txt` lists, lengths
with a unit and names of vertebrae or sequences such as T1. All other words and numbers are removed,
and so is any word that is part of a name or id in the same object.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from pydicom.dataset import Dataset

from healthval.deid.dicom.profile import read_data
from healthval.deid.dicom_values import (
    Encoding,
    charsets,
    decoded_text,
    has,
    is_name,
    raw_element,
    tag_of,
    text_of,
)
from healthval.pydicom_internals import concepts, elements_of

_BREAKS: Final = re.compile(r"[^0-9A-Za-z.%+]+")
_MEASURE: Final = re.compile(
    r"\d{1,3}(\.\d{1,3})?(mm|cm|kv|kvp|ms|min|sec|%)|[cls]\d|t[1-9]|t1[0-2]|[234]d"
)
# Patient ID, Other Patient IDs, Accession Number
_IDS: Final = frozenset({0x00100020, 0x00101000, 0x00080050})
_LONGEST: Final = 64  # characters of VR LO
_STANDARD_SCHEMES: Final = frozenset(
    {"DCM", "SCT", "SRT", "SNM3", "99SDM", "LN", "RADLEX", "UCUM", "FMA", "NCIt", "UMLS", "MDC"}
    | {"ICD9", "I9C", "I10", "ICD10", "ICD-10", "C4", "CD2", "RXNORM", "ATC", "NEU", "BI"}
    | {"ISO3166_1"}
)


_SCHEME, _MEANING = 0x00080102, 0x00080104
_VALUES: Final = (0x00080100, 0x00080119, 0x00080120)  # Code Value, Long and URN Code Value
_LOCAL: Final = b"99REMOVED"
_PLACEHOLDER: Final = (
    (_VALUES[0], "SH", b"0"),
    (_SCHEME, "SH", _LOCAL),
    (_MEANING, "LO", b"REMOVED"),
)


@lru_cache(maxsize=1)
def vocabulary() -> frozenset[str]:
    """Words that describe an examination and identify no person, in lower case."""
    text = read_data("vocabulary.txt")
    return frozenset(w for line in text.splitlines() if line[:1] != "#" for w in line.split())


def clean_text(text: str, identifying: frozenset[str]) -> str:
    """Keep the vocabulary words of a text, except those in `identifying`; "" if none is left.

    Examples
    --------
    >>> clean_text("CT chest w contrast 5mm, Ms. Doe 12.3.2020", frozenset())
    'CT chest w contrast 5mm'
    >>> clean_text("CHEST", frozenset({"chest"}))
    ''
    """
    words = (word.strip(".") for word in _BREAKS.split(text))
    return " ".join(word for word in words if _is_safe(word.lower(), identifying))[
        :_LONGEST
    ].strip()


def _is_safe(word: str, identifying: frozenset[str]) -> bool:
    if word in identifying:
        return False
    return word in vocabulary() or _MEASURE.fullmatch(word) is not None


def identifying_words(source: Dataset, codecs: list[str]) -> frozenset[str]:
    """Words of all person names and patient ids at the root of an object, in lower case."""
    words: set[str] = set()
    for tag, element in source.items():
        if tag in _IDS or is_name(tag, element):
            text = decoded_text(element, codecs)
            words.update(word.lower() for word in re.split(r"[^0-9A-Za-z]+", text) if word)
    return frozenset(words)


def clean_code(item: Dataset, clean: Callable[[str], str], encoding: Encoding) -> None:
    """Clean the code in an item: a local one becomes a placeholder, a meaning the standard's.

    The name of a local scheme identifies its hospital. A meaning that `clean` would change is
    replaced by the standard's own meaning, if the code has one.
    """
    if not has(item, _SCHEME, _MEANING, *_VALUES):
        return
    elements = elements_of(item)
    scheme = text_of(item, _SCHEME)
    is_local = has(item, _SCHEME, *_VALUES) and scheme not in _STANDARD_SCHEMES
    if not has(item, *_VALUES, _MEANING):  # of Coding Scheme Identification Sequence
        if is_local:
            item.clear()
            elements[tag_of(_SCHEME)] = raw_element(_SCHEME, "SH", _LOCAL, encoding)
    elif is_local:
        item.clear()
        for tag, vr, value in _PLACEHOLDER:
            elements[tag_of(tag)] = raw_element(tag, vr, value, encoding)
    elif has(item, _MEANING):
        text = decoded_text(elements[tag_of(_MEANING)], charsets(item))
        meaning = _clean_meaning(scheme, text_of(item, _VALUES[0]), text, clean)
        if meaning != text:
            code = meaning.encode("ascii", "replace")
            elements[tag_of(_MEANING)] = raw_element(_MEANING, "LO", code, encoding)


def _clean_meaning(scheme: str, code: str, text: str, clean: Callable[[str], str]) -> str:
    standard = standard_meanings().get((scheme, code))
    if standard is not None and standard.casefold() == text.casefold():
        return text
    cleaned = clean(text)
    return text if cleaned == text else standard or cleaned or "REMOVED"


@lru_cache(maxsize=1)
def standard_meanings() -> dict[tuple[str, str], str]:
    """Meaning of each code of the standard's context groups, by (scheme, code)."""
    return {
        (scheme, code): meaning
        for scheme, keywords in concepts().items()
        for codes in keywords.values()
        for code, (meaning, _) in codes.items()
    }
