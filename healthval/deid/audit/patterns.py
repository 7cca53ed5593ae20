"""Search patterns of the audit: every form in which a name, an id or a date may be written."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise, permutations, product
from typing import Final

from healthval.deid.audit.identifiers import Identifiers
from healthval.deid.audit.pixel_search import PixelSearch
from healthval.deid.audit.spelling import encodings, fold, is_cjk, spellings, words

_PUNCTUATION: Final = bytes(b for b in range(128) if not chr(b).isalnum())
_SEPARATORS: Final = re.compile(r"[\W_]+")
_LONG: Final = 6  # letters or bytes that rarely occur in this order by chance
_SPACED: Final = r"[\W_]{0,2}"
_LEFT, _RIGHT = r"(?<![^\W\d_])", r"(?![^\W\d_])"  # no letter before, no letter after
_JOINTS: Final = ("", "^", " ", "_", ", ")
_MONTHS: Final = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
# Words of the standard's defined terms and of our marks: alone they identify no person.
_ORDINARY_WORDS: Final = """
abdomen application axial basic body bone brain breast chest clean code composite confidentiality
container contrast coronal data date derived device enhanced enter first full graphics hand head
healthval helical hip identity image information institution knee large last left longitudinal lossy
method middle modality mode modified multi name native neck none num option original other patient
phantom pixel plain primary profile removed retain right safe scan secondary series shoulder skull
small spine standard study supine temporal test text time unknown yes
"""
ORDINARY: Final = frozenset(_ORDINARY_WORDS.split())


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """Pattern of one identifier: a quick search in bytes, then a regular expression in text.

    Parameters
    ----------
    kind : "name", "id", "known", "date" or "birth date"
    regex : regular expression for the folded text of a value
    length : number of letters and digits that count
    lowercase, alphanumeric : byte strings for the quick search, in the bytes in lower case and in
        the same bytes without punctuation; if none occurs, the pattern cannot match
    required : bytes that the bytes without punctuation must also contain
    number_regex : for an id in digits, the regular expression for values that are numbers
    in_pixels : byte strings for the search in pixels, too long to occur there by chance
    other_words : for one word of a name, a regular expression for the other words of that name
    is_single_word : whether the pattern is one word of a name
    """

    kind: str
    regex: str = field(repr=False)
    length: int
    lowercase: tuple[bytes, ...] = field(default=(), repr=False)
    alphanumeric: tuple[bytes, ...] = field(default=(), repr=False)
    required: bytes = field(default=b"", repr=False)
    number_regex: str = field(default="", repr=False)
    in_pixels: tuple[bytes, ...] = field(default=(), repr=False)
    other_words: str = field(default="", repr=False)
    is_single_word: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PatternSet:
    """All patterns of one patient.

    Parameters
    ----------
    lowercase : byte strings of the quick search in lower case
    alphanumeric : byte strings of the quick search without punctuation, by the required bytes
    pixel_search : search for all byte strings that are long enough for pixels
    short : ids and names that are too short for a search outside the attributes for ids and names
    """

    patterns: tuple[Pattern, ...]
    lowercase: frozenset[bytes] = field(repr=False)
    alphanumeric: tuple[tuple[bytes, frozenset[bytes]], ...] = field(repr=False)
    pixel_search: PixelSearch = field(repr=False)
    short: frozenset[str] = field(repr=False)


@lru_cache(maxsize=128)
def pattern_set(found: Identifiers, codecs: tuple[str, ...], *, keeps_dates: bool) -> PatternSet:
    """Build the patterns for the identifiers of a source with these character sets.

    If the output keeps its dates, a birth date that is also a date of the study has no pattern.
    """
    patterns: dict[Pattern, None] = {}
    short: set[str] = set()
    for kind, values in (("name", found.names), ("id", found.ids), ("known", found.known)):
        for value in values:
            forms = [*_id_patterns(kind, value)] if kind != "name" else []
            forms += [*_name_patterns(kind, value, codecs)] if kind != "id" else []
            patterns |= dict.fromkeys(forms)
            short |= set() if forms else {value}
    dates, births = found.dates, found.births
    if keeps_dates:
        dates, births = frozenset(), births - found.study
    patterns |= dict.fromkeys(_date_pattern("date", day) for day in dates)
    patterns |= dict.fromkeys(_date_pattern("birth date", day) for day in births)
    by_required: dict[bytes, set[bytes]] = {}
    for pattern in patterns:
        by_required.setdefault(pattern.required, set()).update(pattern.alphanumeric)
    return PatternSet(
        patterns=tuple(patterns),
        lowercase=frozenset(code for pattern in patterns for code in pattern.lowercase),
        alphanumeric=tuple((key, frozenset(codes)) for key, codes in by_required.items()),
        pixel_search=PixelSearch(
            tuple(dict.fromkeys((p.kind, code) for p in patterns for code in p.in_pixels))
        ),
        short=frozenset(short),
    )


def candidates(data: bytes, searched: PatternSet) -> list[Pattern]:
    """Select the patterns that may match in these bytes; the others cannot."""
    low = data.lower()
    bare = low.translate(None, _PUNCTUATION)
    found = [code for code in searched.lowercase if code in low]
    for required, codes in searched.alphanumeric:
        found += [code for code in codes if code in bare] if required in bare else ()
    if not found:
        return []
    return [
        pattern
        for pattern in searched.patterns
        if pattern.required in bare
        and (
            any(code in bare for code in pattern.alphanumeric)
            or any(code in low for code in pattern.lowercase)
        )
    ]


def _name_patterns(kind: str, name: str, codecs: tuple[str, ...]) -> Iterator[Pattern]:
    for group in name.split("="):
        components = [found for part in group.split("^") if (found := words(part))]
        every = [word for component in components for word in component][:8]
        for word in every:
            others = [other for other in every if other != word and len(other) > 1]
            yield from _word_pattern(kind, word, others, codecs)
        is_long = any(len(word) >= _LONG for word in every)
        for run in _runs(components, every):
            yield from _run_pattern(kind, run, codecs, is_long=is_long)


def _word_pattern(
    kind: str, word: str, others: list[str], codecs: tuple[str, ...]
) -> Iterator[Pattern]:
    """Pattern of one word of a name, if the word is long enough and not ordinary."""
    folded = fold(word)
    if folded in ORDINARY:
        return
    spelled = [
        form
        for form in spellings(folded)
        if len(form) >= (3 if form.isascii() else 2) and form not in ORDINARY
    ]
    if not spelled:
        return
    codes = encodings(word, codecs)
    is_spaced = len(folded) >= _LONG and not is_cjk(folded)
    yield Pattern(
        kind=kind,
        regex="|".join(map(_word_regex, spelled)),
        length=_weight(folded),
        lowercase=() if is_spaced else codes,
        alphanumeric=tuple(map(_alphanumeric, codes)) if is_spaced else (),
        in_pixels=_for_pixels(codes),
        other_words="|".join(_whole_word(re.escape(fold(other))) for other in others),
        is_single_word=kind == "name",
    )


def _word_regex(spelled: str) -> str:
    """Match CJK words and words of five letters or more also inside a longer run of letters."""
    if is_cjk(spelled):
        return re.escape(spelled)
    if len(spelled) < 5:
        return _whole_word(re.escape(spelled))
    if len(spelled) < _LONG:
        return re.escape(spelled)
    return f"{re.escape(spelled)}|{_whole_word(_SPACED.join(map(re.escape, spelled)))}"


def _whole_word(regex: str) -> str:
    return f"{_LEFT}(?:{regex}){_RIGHT}"


def _weight(folded: str) -> int:
    return len(folded) * (3 if is_cjk(folded) else 1)


def _runs(components: list[list[str]], every: list[str]) -> Iterable[tuple[str, ...]]:
    """Words that follow each other: all words of a component, or any two words of the name."""
    units = [*every[:3], *("".join(component) for component in components[:3])]
    runs = dict.fromkeys([tuple(component) for component in components if len(component) > 1])
    return runs | dict.fromkeys(permutations(dict.fromkeys(units), 2))


def _run_pattern(
    kind: str, run: tuple[str, ...], codecs: tuple[str, ...], *, is_long: bool
) -> Iterator[Pattern]:
    """Pattern of several words with any separator; searched in pixels if no word is long."""
    whole = "".join(run)
    if len(whole) < (2 if is_cjk(whole) else 4):
        return
    regex = r"[\W_]*".join(f"(?:{'|'.join(map(re.escape, spellings(fold(w))))})" for w in run)
    codes = encodings(whole, codecs)
    joined = () if is_long else tuple(joint.join(run) for joint in _JOINTS)
    yield Pattern(
        kind=kind,
        regex=regex if is_cjk(whole) else _whole_word(regex),
        length=_weight(whole),
        lowercase=encodings(run[0], codecs) if is_cjk(whole) else (),
        alphanumeric=tuple(
            _alphanumeric(code) for code in codes if not (is_cjk(whole) and code.isascii())
        ),
        in_pixels=_for_pixels(code for text in joined for code in encodings(text, codecs)),
    )


def _alphanumeric(code: bytes) -> bytes:
    return code.translate(None, _PUNCTUATION)


def _for_pixels(codes: Iterable[bytes]) -> tuple[bytes, ...]:
    return tuple(dict.fromkeys(c for c in codes if len(c) >= _LONG and not _is_ramp(c)))


def _is_ramp(code: bytes) -> bool:
    """Whether bytes rise or fall as the values of neighbouring pixels do."""
    steps = {after - before for before, after in pairwise(code)}
    return steps <= {0, 1} or steps <= {0, -1}


def _id_patterns(kind: str, value: str) -> Iterator[Pattern]:
    core = _SEPARATORS.sub("", fold(value)).lstrip("0")
    if len(core) < 4 or core in ORDINARY or not core.isascii():
        return
    written = fold(value).encode("utf-8")
    if core.isdigit():
        yield _number_pattern(kind, core, written)
        return
    code = core.encode("ascii")
    yield Pattern(
        kind=kind,
        regex=_whole_id(r"[-/ _.^]?".join(core)),
        length=len(core),
        alphanumeric=(code,),
        in_pixels=_for_pixels((code, written)),
    )
    inner = re.fullmatch(r"[a-z]{1,4}0*(\d{5,})[a-z]{0,2}", core)
    if inner:
        yield _number_pattern(kind, inner[1], inner[1].encode("ascii"))


def _number_pattern(kind: str, core: str, written: bytes) -> Pattern:
    """Pattern of an id in digits, also with letters around it or separators of thousands."""
    body = r"[-/ _]?".join(core)
    regex = number_regex = _whole_id(body)
    if len(core) >= 5:  # with fewer digits, letters make it a version
        thousands = r"[., ']".join(re.findall(r"\d{1,3}(?=(?:\d{3})*$)", core))
        with_letters = rf"[a-z]{{0,4}}0*{body}[a-z]{{0,2}}"
        regex = rf"(?<![^\W_])(?:{with_letters}|(?<!\d[.,]){thousands}(?![.,]\d))(?![^\W_])"
    code = core.encode("ascii")
    return Pattern(
        kind=kind,
        regex=regex,
        length=len(core),
        alphanumeric=(code,),
        number_regex=number_regex,
        in_pixels=_for_pixels((code, written)),
    )


def _whole_id(body: str) -> str:
    return rf"(?<![^\W_])0*{body}(?![^\W_])"


def _date_pattern(kind: str, day: str) -> Pattern:
    y, m, d = day[:4], int(day[4:6]), int(day[6:])
    in_pixels = (
        day,
        f"{y}-{m:02}-{d:02}",
        f"{y}:{m:02}:{d:02}",
        f"{d:02}.{m:02}.{y}",
        f"{m:02}/{d:02}/{y}",
    )
    forms = "|".join(_date_forms(y, m, d))
    return Pattern(
        kind=kind,
        regex=rf"(?<!\d)(?:{forms})(?=\D|$|\d{{4,6}}(?:\D|$))",
        length=8,
        alphanumeric=tuple(sorted(text.encode("ascii") for text in _bare_dates(y, m, d))),
        required=y.encode("ascii"),
        in_pixels=_for_pixels(text.encode("ascii") for text in in_pixels),
    )


def _date_forms(y: str, m: int, d: int) -> Iterator[str]:
    """Regular expressions of a date: digits, digits with separators, month in English."""
    yield from sorted({f"{y}{m:02}{d:02}", f"{d:02}{m:02}{y}", f"{m:02}{d:02}{y}"})
    month, day = f"0?{m}", f"0?{d}"
    orders = ((y, month, day), (day, month, y), (month, day, y))
    for name, (first, second, third) in zip("abc", orders, strict=True):
        yield rf"{first}(?P<{name}>[-./: ]){second}(?P={name}){third}"
    if 1 <= m <= 12:
        word = _MONTHS[m - 1]
        named, gap, nth = f"(?:{word}|{word[:3]})", "[-./, ]{0,2}", "(?:st|nd|rd|th)?"
        yield f"{day}{nth}{gap}(?:of )?{named}{gap}{y}"
        yield f"{named}{gap}{day}{nth}{gap}{y}"
        yield f"{y}{gap}{named}{gap}{day}"


def _bare_dates(y: str, m: int, d: int) -> set[str]:
    """Texts of a date without separators, one of which occurs wherever a date form matches."""
    bare: set[str] = set()
    for month, day in product((f"{m}", f"{m:02}"), (f"{d}", f"{d:02}")):
        bare |= {f"{y}{month}{day}", f"{day}{month}{y}", f"{month}{day}{y}"}
    if 1 <= m <= 12:
        for month in (_MONTHS[m - 1], _MONTHS[m - 1][:3]):
            days = product((f"{d}", f"{d:02}"), ("", "st", "nd", "rd", "th"))
            bare |= {f"{month}{y}", f"{y}{month}"}
            bare |= {f"{month}{day}{suffix}{y}" for day, suffix in days}
    return bare
