"""Language of a report: messages are English in the source; a catalogue has each in another language.

A catalogue is a TOML file of this package, ``de.toml`` for German: ``[messages]`` maps an
English message to its translation with the same placeholders, ``[elsewhere]`` does so for sentences
of other rooms, and ``[nouns]`` has the forms of the nouns that are counted. A placeholder with ``:dat``
takes the dative of a counted noun.
"""

import re
import string
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any, get_args

from healthval.contracts.report import Language
from healthval.errors import ReportError, counted
from healthval.files import packaged_text

LANGUAGES: tuple[Language, ...] = get_args(Language)
DATIVE = "dat"
_current: ContextVar[Language] = ContextVar("language of the report", default="en")


class Phrase(str):
    """A number with its noun; `dative` is its form after a preposition."""

    __slots__ = ("dative",)
    dative: str

    def __new__(cls, text: str, dative: str) -> "Phrase":
        """Keep the dative beside the text."""
        phrase = super().__new__(cls, text)
        phrase.dative = dative
        return phrase


class _Words(string.Formatter):
    """Fills placeholders; ``{sites:dat}`` takes the dative of a phrase, and any other text as it is."""

    def format_field(self, value: Any, format_spec: str) -> Any:
        if format_spec == DATIVE:
            return getattr(value, "dative", value)
        return super().format_field(value, format_spec)


_WORDS = _Words()


@contextmanager
def written_in(language: str) -> Iterator[None]:
    """Set the language of the messages inside.

    Raises
    ------
    ReportError
        If there is no catalogue of this language.
    """
    if language not in LANGUAGES:
        raise ReportError(
            f"reports are not written in that language; choose one of {', '.join(LANGUAGES)}"
        )
    before = _current.set(language)
    try:
        yield
    finally:
        _current.reset(before)


@cache
def catalogue(language: Language) -> Mapping[str, Mapping[str, Any]]:
    """Return the tables of a language's catalogue; English has none."""
    if language == "en":
        return {"messages": {}, "elsewhere": {}, "nouns": {}}
    return tomllib.loads(packaged_text(f"report/wording/{language}.toml"))


def say(message: str, /, **values: object) -> str:
    """Return a message in the language of the report, its placeholders filled.

    >>> say("at threshold {t}", t="0.3")
    'at threshold 0.3'
    >>> with written_in("de"):
    ...     say("Sensitivity")
    'Sensitivität'
    """
    found = catalogue(_current.get())["messages"].get(message, message)
    return _WORDS.vformat(found, (), values) if values else str(found)


def mark(message: str) -> str:
    """Mark a message for the catalogue; `say` translates it where it is printed."""
    return message


def grouped(n: int) -> str:
    """Write a number with narrow spaces between thousands.

    >>> grouped(999), grouped(40000)
    ('999', '40\u202f000')
    """
    return f"{n:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def many(n: int, singular: str, plural: str | None = None) -> Phrase:
    """Write a count with its noun, or with its noun and verb, in the right number.

    >>> many(2, "site")
    '2 sites'
    >>> with written_in("de"):
    ...     say("Over {k}; test of intercept 0 and slope 1 together: {p}.", k=many(2, "site"), p="p = 1")
    'Über 2 Standorte; Test von Achsenabschnitt 0 und Steigung 1 zusammen: p = 1.'
    """
    forms = catalogue(_current.get())["nouns"].get(singular)
    if forms is None:
        text = grouped(n) + counted(n, singular, plural).removeprefix(str(n))
        return Phrase(text, text)
    nominative, dative = forms["one"] if n == 1 else forms["other"]
    return Phrase(f"{grouped(n)} {nominative}", f"{grouped(n)} {dative}")


def reword(sentence: str) -> str:
    """Translate a sentence of another room, such as the reason for a missing mean.

    A sentence that the catalogue does not have stays as it is.

    >>> with written_in("de"):
    ...     reword("2 of at least 3 sites: not pooled")
    '2 von mindestens 3 Standorten: nicht zusammengefasst'
    """
    language = _current.get()
    for pattern, words in _elsewhere(language):
        found = pattern.fullmatch(sentence)
        if found:
            values = {name: localized(value) for name, value in found.groupdict().items()}
            return _WORDS.vformat(words, (), values)
    return say(sentence)


@cache
def _elsewhere(language: Language) -> list[tuple[re.Pattern[str], str]]:
    sentences: Mapping[str, str] = catalogue(language)["elsewhere"]
    return [(_pattern(message), words) for message, words in sentences.items()]


def _pattern(message: str) -> re.Pattern[str]:
    """Return a pattern with a group for each placeholder: names for ``{names}``, else a number."""
    parts = [
        re.escape(text) + ("" if name is None else f"(?P<{name}>{_VALUES.get(name, _VALUE)})")
        for text, name, _, _ in _WORDS.parse(message)
    ]
    return re.compile("".join(parts))


_VALUE = r"[−-]?[0-9.]+"
_VALUES = {"names": ".+", "scale": "[a-z]+"}
_DECIMAL = re.compile(r"(?<=\d)\.(?=\d)")


def localized(number: str) -> str:
    """Write the decimal sign of the language into a number that is printed with a point.

    >>> with written_in("de"):
    ...     localized("0.85")
    '0,85'
    """
    return number if _current.get() == "en" else _DECIMAL.sub(",", number)


def lowered(label: str) -> str:
    """Return a label for the inside of a sentence; German nouns keep their capital letter.

    >>> lowered("Ethics approval")
    'ethics approval'
    """
    return label[0].lower() + label[1:] if _current.get() == "en" else label
