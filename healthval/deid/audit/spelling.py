"""Spellings of a name (case, accents, umlauts) and their bytes in each character set."""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final
from unicodedata import category, normalize

_ACCENTS: Final = re.compile("[\u0300-\u036f]")
_LATIN: Final = str.maketrans(
    {"ł": "l", "ø": "o", "đ": "d", "ı": "i", "æ": "ae", "œ": "oe", "þ": "th", "ð": "d"}
)
_GERMAN: Final = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ø": "oe", "å": "aa"})
_UMLAUTS: Final = (("ae", "ä"), ("oe", "ö"), ("ue", "ü"))
_SHARP: Final = ("ß", "ẞ")  # casefold replaces both by ss
# Kana, ideographs and hangul have no spaces between words: a name is part of a run of letters.
_CJK: Final = re.compile(
    "[\u3041-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0003ffff]"
)
_CJK_CODECS: Final = ("gb18030", "euc_kr", "shift_jis", "iso2022_jp")
_ESCAPE: Final = re.compile(rb"\x1b[\x20-\x2f]+[\x30-\x7e]")


def fold(text: str) -> str:
    """Normalise a text for comparison: case and compatibility characters."""
    if text.isascii():
        return text.lower()
    return normalize("NFKC", normalize("NFKC", text).casefold())


def words(text: str) -> list[str]:
    """Split a text into runs of letters with their diacritics."""
    if text.isascii():
        return re.findall("[A-Za-z]+", text)
    text = normalize("NFC", text)
    return "".join(c if category(c)[0] in "LM" else " " for c in text).split()


def is_cjk(word: str) -> bool:
    """Whether a word contains ideographs, kana or hangul."""
    return _CJK.search(word) is not None


@lru_cache(maxsize=4096)
def spellings(folded: str) -> tuple[str, ...]:
    """Variants of a folded word: unchanged, without accents, with ae for ä, with ä for ae."""
    variants = [folded, _without_accents(folded), _without_accents(folded.translate(_GERMAN))]
    with_umlauts = folded
    for digraph, umlaut in _UMLAUTS:
        variants.append(folded.replace(digraph, umlaut))
        with_umlauts = with_umlauts.replace(digraph, umlaut)
    return tuple(dict.fromkeys([*variants, with_umlauts]))


def _without_accents(word: str) -> str:
    return normalize("NFC", _ACCENTS.sub("", normalize("NFD", word)).translate(_LATIN))


@lru_cache(maxsize=4096)
def encodings(word: str, codecs: tuple[str, ...]) -> tuple[bytes, ...]:
    """Bytes of every spelling of a word in every character set; ASCII letters in lower case."""
    forms: set[str] = set()
    for spelled in spellings(fold(word)):
        forms |= {spelled, *(spelled.replace("ss", sharp) for sharp in _SHARP)}
    if not word.isascii():
        forms |= {word}
    return tuple(sorted({code for form in forms for code in _codes(form, codecs)}))


def _codes(form: str, codecs: tuple[str, ...]) -> Iterable[bytes]:
    if form.isascii():
        yield form.lower().encode("ascii")
        return
    more = _CJK_CODECS if is_cjk(form) else ()
    for cased in {form, form.lower(), form.upper(), form.title()}:
        for codec in {"utf-8", "latin-1", *codecs, *more}:
            try:
                yield _ESCAPE.sub(b"", cased.encode(codec)).lower()
            except (UnicodeError, LookupError):
                continue
        yield normalize("NFD", cased).encode("utf-8", "replace").lower()
