"""Cleaning prose: only words of a medical vocabulary stay, everything else goes.

Removing known identifiers from a description would miss the ones nobody knows (a relative, a
ward, a phone number). So the direction is turned round: a description keeps the words that
`data/vocabulary.txt` lists, lengths with a unit and vertebra or sequence names such as T1; it loses
all other words and numbers, and any word that is part of a name in the same object.
"""

import re
from functools import lru_cache
from importlib import resources
from typing import Final

from pydicom.dataset import Dataset

from healthval.deid.dicom import values

_BREAKS: Final = re.compile(r"[^0-9A-Za-z.%+]+")
_MEASURE: Final = re.compile(r"\d{1,3}(\.\d{1,3})?(mm|cm|kv|kvp|ms|min|sec|%)|[cls]\d|t[1-9]|t1[0-2]|[234]d")  # fmt: skip
_NAMES_AND_IDS: Final = frozenset({0x00100020, 0x00101000, 0x00080050})


@lru_cache(maxsize=1)
def vocabulary() -> frozenset[str]:
    """Words that describe an examination and nobody in particular."""
    text = resources.files("healthval.deid").joinpath("data/vocabulary.txt").read_text("ascii")
    return frozenset(w for line in text.splitlines() if line[:1] != "#" for w in line.split())


def clean_text(text: str, own: frozenset[str]) -> str:
    """Keep the vocabulary words of a text that name nobody in `own`; "" if none is left.

    Examples
    --------
    >>> clean_text("CT chest w contrast 5mm, Ms. Doe 12.3.2020", frozenset())
    'CT chest w contrast 5mm'
    >>> clean_text("CHEST", frozenset({"chest"}))
    ''
    """
    kept = (word for word in _BREAKS.split(text) if _is_harmless(word.strip(".").lower(), own))
    return " ".join(word.strip(".") for word in kept)[:64].strip()


def _is_harmless(word: str, own: frozenset[str]) -> bool:
    return word not in own and (word in vocabulary() or _MEASURE.fullmatch(word) is not None)


def own_words(source: Dataset, encodings: list[str]) -> frozenset[str]:
    """Every word of the person names and ids at the root of an object, in lower case."""
    words: set[str] = set()
    for tag, element in source.items():
        if tag in _NAMES_AND_IDS or values.is_name(tag, element):
            text = values.decoded_text(element, encodings)
            words.update(word.lower() for word in re.split(r"[^0-9A-Za-z]+", text) if word)
    return frozenset(words)
