"""What the audit looks for: each name, id and date in every form in which it may be written."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise, permutations
from typing import Final

from healthval.deid.audit.identifiers import Identifiers
from healthval.deid.audit.pixel_search import Searcher
from healthval.deid.audit.spelling import encodings, fold, is_dense, spellings, words

_NOT_ALNUM: Final = bytes(b for b in range(128) if not chr(b).isalnum())
_SQUEEZE: Final = re.compile(r"[\W_]+")
_SOLID: Final = 6
_SPACED: Final = r"[\W_]{0,2}"
_LEFT, _RIGHT = r"(?<![^\W\d_])", r"(?![^\W\d_])"  # of a letter
_JOINTS: Final = ("", "^", " ", "_", ", ")
_MONTHS: Final = ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december")  # fmt: skip
# Words of the standard's own defined terms and of our marks: alone they name nobody.
_ORDINARY_WORDS: Final = """
abdomen application axial basic body bone brain breast chest clean code composite confidentiality
container contrast coronal data date derived device enhanced enter first full graphics hand head
healthval helical hip identity image information institution knee large last left longitudinal lossy
method middle modality mode modified multi name native neck none num option original other patient
phantom pixel plain primary profile removed retain right safe scan secondary series shoulder skull
small spine standard study supine temporal test text time unknown yes
"""
ORDINARY: Final = frozenset(_ORDINARY_WORDS.split())


@dataclass(frozen=True, slots=True)
class Pattern:
    """One thing to look for: quickly in bytes, then exactly in the folded text of a value.

    Parameters
    ----------
    low, squeezed : what may stand in bytes of lower case, and in those without what is no letter
        or digit; if none does, nothing else is looked at
    gate : what must stand in the squeezed bytes too
    exact : the pattern in folded text
    strict : of ids in digits, the pattern where numbers belong
    length : letters and digits that count
    solid : bytes to look for in pixels, each so long that chance does not write it
    beside : of a single word of a name, the other words of that name
    is_part : whether it is a single word of a name
    """

    kind: str
    exact: str = field(repr=False)
    length: int
    low: tuple[bytes, ...] = field(default=(), repr=False)
    squeezed: tuple[bytes, ...] = field(default=(), repr=False)
    gate: bytes = field(default=b"", repr=False)
    strict: str = field(default="", repr=False)
    solid: tuple[bytes, ...] = field(default=(), repr=False)
    beside: str = field(default="", repr=False)
    is_part: bool = False


@dataclass(frozen=True, slots=True)
class Hunt:
    """Patterns of one patient; `at_home` are ids and names too short to look for anywhere else.

    `low` and `squeezed` are all that the patterns look for in bytes, the latter by gate.
    `in_pixels` looks for those of them that chance does not write.
    """

    patterns: tuple[Pattern, ...]
    low: frozenset[bytes] = field(repr=False)
    squeezed: tuple[tuple[bytes, frozenset[bytes]], ...] = field(repr=False)
    in_pixels: Searcher = field(repr=False)
    at_home: frozenset[str] = field(repr=False)


@lru_cache(maxsize=128)
def hunt(found: Identifiers, codecs: tuple[str, ...], *, keeps_dates: bool) -> Hunt:
    """Make the patterns of what was found in a source with these character sets.

    Where an output keeps its dates, a birth date that is a day of the study too is no pattern.
    """
    made: dict[Pattern, None] = {}
    short: set[str] = set()
    for kind, values in (("name", found.names), ("id", found.ids), ("known", found.known)):
        for value in values:
            patterns = [*_id_patterns(kind, value)] if kind != "name" else []
            patterns += [*_name_patterns(kind, value, codecs)] if kind != "id" else []
            made |= dict.fromkeys(patterns)
            short |= set() if patterns else {value}
    births = found.births - found.study if keeps_dates else found.births
    made |= dict.fromkeys(_date_pattern("date", d) for d in (() if keeps_dates else found.dates))
    made |= dict.fromkeys(_date_pattern("birth date", day) for day in births)
    solid = dict.fromkeys((pattern.kind, code) for pattern in made for code in pattern.solid)
    low = frozenset(code for pattern in made for code in pattern.low)
    gates = dict.fromkeys(pattern.gate for pattern in made)
    squeezed = tuple((gate, frozenset(code for p in made if p.gate == gate for code in p.squeezed)) for gate in gates)  # fmt: skip
    return Hunt(tuple(made), low, squeezed, Searcher(tuple(solid)), frozenset(short))


def hits(data: bytes, sought: Hunt) -> list[Pattern]:
    """Give the patterns that bytes may hold; the others they do not."""
    low = data.lower()
    squeezed = low.translate(None, _NOT_ALNUM)
    there = [code for code in sought.low if code in low]
    for gate, codes in sought.squeezed:
        there += [code for code in codes if code in squeezed] if gate in squeezed else ()
    if not there:
        return []
    return [
        p
        for p in sought.patterns
        if p.gate in squeezed
        and (any(q in squeezed for q in p.squeezed) or any(q in low for q in p.low))
    ]


def _name_patterns(kind: str, name: str, codecs: tuple[str, ...]) -> Iterator[Pattern]:
    for group in name.split("="):
        components = [found for part in group.split("^") if (found := words(part))]
        every = [word for component in components for word in component][:8]
        yield from (one for word in every for one in _alone(kind, word, every, codecs))
        yield from _together(kind, components, every, codecs)


def _alone(kind: str, word: str, every: list[str], codecs: tuple[str, ...]) -> Iterator[Pattern]:
    folded = fold(word)
    if folded in ORDINARY:
        return
    spelled = [s for s in spellings(folded) if len(s) >= (3 if s.isascii() else 2) and s not in ORDINARY]  # fmt: skip
    if not spelled:
        return
    codes = encodings(word, codecs)
    is_gapped = len(folded) >= _SOLID and not is_dense(folded)
    yield Pattern(
        kind,
        "|".join(_one(s) for s in spelled),
        _weight(folded),
        low=() if is_gapped else codes,
        squeezed=tuple(map(_squeezed, codes)) if is_gapped else (),
        solid=_solid(codes),
        beside="|".join(_bounded(re.escape(fold(w))) for w in every if w != word and len(w) > 1),
        is_part=kind == "name",
    )


def _one(spelled: str) -> str:
    if is_dense(spelled):
        return re.escape(spelled)
    if len(spelled) < 5:
        return _bounded(re.escape(spelled))
    if len(spelled) < _SOLID:
        return re.escape(spelled)
    return f"{re.escape(spelled)}|{_bounded(_SPACED.join(map(re.escape, spelled)))}"


def _bounded(pattern: str) -> str:
    return f"{_LEFT}(?:{pattern}){_RIGHT}"


def _weight(folded: str) -> int:
    return len(folded) * (3 if is_dense(folded) else 1)


def _together(kind: str, components: list[list[str]], every: list[str], codecs: tuple[str, ...]) -> Iterator[Pattern]:  # fmt: skip
    """Two words of a name, or all of a component, one behind the other however they are divided."""
    units = [*every[:3], *("".join(c) for c in components[:3])]
    runs = dict.fromkeys([tuple(c) for c in components if len(c) > 1])
    runs |= dict.fromkeys(permutations(dict.fromkeys(units), 2))
    has_long = any(len(word) >= _SOLID for word in every)
    for run in runs:
        whole = "".join(run)
        if len(whole) < (2 if is_dense(whole) else 4):
            continue
        exact = r"[\W_]*".join(f"(?:{'|'.join(map(re.escape, spellings(fold(w))))})" for w in run)
        codes = encodings(whole, codecs)
        joined = () if has_long else tuple(joint.join(run) for joint in _JOINTS)
        yield Pattern(
            kind,
            exact if is_dense(whole) else _bounded(exact),
            _weight(whole),
            low=encodings(run[0], codecs) if is_dense(whole) else (),
            squeezed=tuple(_squeezed(c) for c in codes if not (is_dense(whole) and c.isascii())),
            solid=_solid(code for text in joined for code in encodings(text, codecs)),
        )


def _squeezed(code: bytes) -> bytes:
    return code.translate(None, _NOT_ALNUM)


def _solid(codes: Iterable[bytes]) -> tuple[bytes, ...]:
    return tuple(dict.fromkeys(c for c in codes if len(c) >= _SOLID and not _is_smooth(c)))


def _is_smooth(code: bytes) -> bool:
    """Whether bytes rise or fall as the values of neighbouring pixels do."""
    steps = {after - before for before, after in pairwise(code)}
    return steps <= {0, 1} or steps <= {0, -1}


def _id_patterns(kind: str, value: str) -> Iterator[Pattern]:
    core = _SQUEEZE.sub("", fold(value)).lstrip("0")
    if len(core) < 4 or core in ORDINARY or not core.isascii():
        return
    written = fold(value).encode("utf-8")
    if core.isdigit():
        yield _number(kind, core, written)
        return
    body = r"[-/ _.^]?".join(core)
    exact = rf"(?<![^\W_])0*{body}(?![^\W_])"
    code = core.encode("ascii")
    yield Pattern(kind, exact, len(core), squeezed=(code,), solid=_solid((code, written)))
    inner = re.fullmatch(r"[a-z]{1,4}0*(\d{5,})[a-z]{0,2}", core)
    if inner:
        yield _number(kind, inner[1], inner[1].encode("ascii"))


def _number(kind: str, core: str, written: bytes) -> Pattern:
    body = r"[-/ _]?".join(core)
    strict = rf"(?<![^\W_])0*{body}(?![^\W_])"
    exact = strict
    if len(core) >= 5:  # with fewer digits, letters make it a version
        thousands = r"[., ']".join(re.findall(r"\d{1,3}(?=(?:\d{3})*$)", core))
        exact = rf"(?<![^\W_])(?:[a-z]{{0,4}}0*{body}[a-z]{{0,2}}|(?<!\d[.,]){thousands}(?![.,]\d))(?![^\W_])"  # fmt: skip
    code = core.encode("ascii")
    return Pattern(kind, exact, len(core), squeezed=(code,), strict=strict, solid=_solid((code, written)))  # fmt: skip


def _date_pattern(kind: str, day: str) -> Pattern:
    y, m, d = day[:4], int(day[4:6]), int(day[6:])
    plain = {day, f"{d:02}{m:02}{y}", f"{m:02}{d:02}{y}"}
    month, day_of = f"0?{m}", f"0?{d}"
    forms = [*sorted(plain)]
    for name, order in zip("abc", ((y, month, day_of), (day_of, month, y), (month, day_of, y)), strict=True):  # fmt: skip
        forms.append(rf"{order[0]}(?P<{name}>[-./ ]){order[1]}(?P={name}){order[2]}")
    codes = {f"{first}{second}{third}" for a in (f"{m}", f"{m:02}") for b in (f"{d}", f"{d:02}") for first, second, third in ((y, a, b), (b, a, y), (a, b, y))}  # fmt: skip
    if 1 <= m <= 12:
        word = _MONTHS[m - 1]
        named, gap, nth = f"(?:{word}|{word[:3]})", "[-./, ]{0,2}", "(?:st|nd|rd|th)?"
        forms += [
            f"{day_of}{nth}{gap}(?:of )?{named}{gap}{y}",
            f"{named}{gap}{day_of}{nth}{gap}{y}",
            f"{y}{gap}{named}{gap}{day_of}",
        ]
        for short in {word, word[:3]}:
            days = (f"{b}{th}" for b in (f"{d}", f"{d:02}") for th in ("", "st", "nd", "rd", "th"))
            codes |= {f"{short}{y}", f"{y}{short}", *(f"{short}{b}{y}" for b in days)}
    solid = (f"{day}", f"{y}-{m:02}-{d:02}", f"{d:02}.{m:02}.{y}", f"{m:02}/{d:02}/{y}")
    exact = rf"(?<!\d)(?:{'|'.join(forms)})(?=\D|$|\d{{4,6}}(?:\D|$))"
    return Pattern(
        kind,
        exact,
        8,
        squeezed=tuple(sorted(code.encode("ascii") for code in codes)),
        gate=y.encode("ascii"),
        solid=_solid(text.encode("ascii") for text in solid),
    )
