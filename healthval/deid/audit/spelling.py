"""How a name may be written: upper or lower case, with or without accents, in which bytes."""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final
from unicodedata import category, normalize

_ACCENTS: Final = re.compile("[\u0300-\u036f]")
_LATIN: Final = str.maketrans({"ł": "l", "ø": "o", "đ": "d", "ı": "i", "æ": "ae", "œ": "oe", "þ": "th", "ð": "d"})  # fmt: skip
_GERMAN: Final = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ø": "oe", "å": "aa"})
_BACK: Final = (("ae", "ä"), ("oe", "ö"), ("ue", "ü"))
_SHARP: Final = ("ß", "ẞ")  # casefold makes them ss
# Scripts written without spaces: a name stands inside a run of other letters.
_DENSE: Final = re.compile("[\u3041-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0003ffff]")  # fmt: skip
_DENSE_CODECS: Final = ("gb18030", "euc_kr", "shift_jis", "iso2022_jp")
_ESCAPE: Final = re.compile(rb"\x1b[\x20-\x2f]+[\x30-\x7e]")


def fold(text: str) -> str:
    """Bring a text into the one form in which it is compared."""
    if text.isascii():
        return text.lower()
    return normalize("NFKC", normalize("NFKC", text).casefold())


def words(text: str) -> list[str]:
    """Runs of letters with the marks on them."""
    if text.isascii():
        return re.findall("[A-Za-z]+", text)
    text = normalize("NFC", text)
    return "".join(c if category(c)[0] in "LM" else " " for c in text).split()


def is_dense(word: str) -> bool:
    """Whether a word is in ideographs, kana or hangul."""
    return _DENSE.search(word) is not None


@lru_cache(maxsize=4096)
def spellings(folded: str) -> tuple[str, ...]:
    """Give a folded word as it is, without accents, with ae for ä, and the other way round."""
    made = [folded, _bare(folded), _bare(folded.translate(_GERMAN))]
    back = folded
    for two, one in _BACK:
        made.append(folded.replace(two, one))
        back = back.replace(two, one)
    return tuple(dict.fromkeys([*made, back]))


def _bare(word: str) -> str:
    return normalize("NFC", _ACCENTS.sub("", normalize("NFD", word)).translate(_LATIN))


@lru_cache(maxsize=4096)
def encodings(word: str, codecs: tuple[str, ...]) -> tuple[bytes, ...]:
    """Bytes, in lower case where they are ASCII, in which a word may be written."""
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
    more = _DENSE_CODECS if is_dense(form) else ()
    for cased in {form, form.lower(), form.upper(), form.title()}:
        for codec in {"utf-8", "latin-1", *codecs, *more}:
            try:
                yield _ESCAPE.sub(b"", cased.encode(codec)).lower()
            except (UnicodeError, LookupError):
                continue
        yield normalize("NFD", cased).encode("utf-8", "replace").lower()
