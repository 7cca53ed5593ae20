"""The audit: searches what leaves for what must not, knowing nothing of how it was made.

It takes a source's own names, ids, accession numbers and dates, and what the operator knows,
and searches the output bytes: in any case, order and separation, part by part, without leading
zeros, in the file's character sets. A quick search over all bytes comes first; only a hit is
looked at value by value, to tell a name from a chance match inside a number.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import permutations
from typing import Any, Final

from healthval.deid.encoded import Encoded, encode
from healthval.deid.quiet import quiet
from healthval.deid.wire import Leaf

# Patient, order, visit, specimen and study ids. Names are found by their VR, dates by theirs.
IDS: Final = frozenset(
    {0x00100020, 0x00101000, 0x00101040, 0x00101050, 0x00101060, 0x00101090, 0x00102154}
    | {0x00080050, 0x00200010, 0x00380010, 0x00380060, 0x00400009, 0x00400253, 0x00401001}
    | {0x00402016, 0x00402017, 0x00120040, 0x00400512, 0x00400551}
)  # fmt: skip
_BIRTH: Final = 0x00100030
_DATES_MARK: Final = 0x00280303
_DUMMY_DATES: Final = frozenset({"19000101", "00000000"})
_BINARY: Final = frozenset({"AT", "FD", "FL", "OB", "OD", "OF", "OL", "OV", "OW", "SL", "SS", "SV", "UL", "UN", "US", "UV"})  # fmt: skip
_NUMBERS: Final = frozenset({"DS", "IS", "TM", "AS"})
_NOT_ALNUM: Final = bytes(b for b in range(128) if not chr(b).isalnum())
_WORD: Final = re.compile(r"[^\W\d_]+")
_SQUEEZE: Final = re.compile(r"[\W_]+")
# Words of the standard's own defined terms and of our marks: alone they name nobody.
_ORDINARY_WORDS: Final = """
abdomen application axial basic body bone brain breast chest clean code composite confidentiality
container contrast coronal data date derived device enhanced enter first full graphics hand head
healthval helical hip identity image information institution knee large last left longitudinal lossy
method middle modality mode modified multi name native neck none num option original other patient
phantom pixel plain primary profile removed retain right safe scan secondary series shoulder skull
small spine standard study supine temporal test text time unknown yes
"""
_ORDINARY: Final = frozenset(_ORDINARY_WORDS.split())


@dataclass(frozen=True, slots=True)
class Leak:
    """One place in an output that holds a source's identifier; says where, never what."""

    kind: str
    place: str


@dataclass(frozen=True, slots=True)
class Identifiers:
    """What must not be found; silent, since it is made of nothing but identifiers."""

    names: frozenset[str] = field(repr=False)
    ids: frozenset[str] = field(repr=False)
    dates: frozenset[str] = field(repr=False)
    births: frozenset[str] = field(repr=False)
    known: frozenset[str] = field(repr=False, default=frozenset())


def audit(source: Any, output: Any, known: Iterable[str] = ()) -> list[Leak]:
    """Search an output for the identifiers of its source.

    Parameters
    ----------
    source, output : path, encoded bytes, pydicom data set, or `Deidentified`
    known : further names, ids or words that the operator knows to identify someone

    Returns
    -------
    list of Leak, empty when nothing was found
    """
    with quiet():
        before = encode(source, only=IDS)
        return search(before, encode(output), identifiers(before, known))


def identifiers(source: Encoded, known: Iterable[str] = ()) -> Identifiers:
    """Collect names, ids and dates at every depth of a source."""
    names, ids, dates, births = (set[str]() for _ in range(4))
    for leaf in source.leaves:
        tag = leaf.path[-1]
        if leaf.vr == "PN" or (tag >> 16 == 0x0010 and leaf.vr == "UN"):
            names.update(_parts(source.text(leaf)))
        elif tag in IDS:
            ids.update(_parts(source.text(leaf)))
        elif leaf.vr in ("DA", "DT"):
            (births if tag == _BIRTH else dates).update(_days(source.text(leaf)))
    return Identifiers(
        frozenset(names), frozenset(ids), frozenset(dates), frozenset(births), frozenset(known)
    )


def _parts(text: str) -> Iterator[str]:
    return (part for part in (p.strip(" \0") for p in text.split("\\")) if part)


def _days(text: str) -> Iterator[str]:
    for part in _parts(text):
        digits = part.replace(".", "")[:8]
        if (
            len(digits) == 8
            and digits.isascii()
            and digits.isdigit()
            and digits not in _DUMMY_DATES
        ):
            yield digits


@dataclass(frozen=True, slots=True)
class _Pattern:
    """One thing to look for: `quick` in bytes of lower case, then `exact` in the text of a value."""

    kind: str
    quick: tuple[bytes, ...]
    squeezed: bool
    exact: re.Pattern[str]
    length: int
    numeric: bool = False


@dataclass(frozen=True, slots=True)
class _Hunt:
    """Patterns of one patient; `at_home` are ids and names too short to look for anywhere else."""

    patterns: tuple[_Pattern, ...]
    at_home: frozenset[str] = field(repr=False)


@lru_cache(maxsize=256)
def _hunt(found: Identifiers, charsets: tuple[str, ...]) -> _Hunt:
    made: list[_Pattern] = []
    short: set[str] = set()
    for kind, values in (("name", found.names), ("id", found.ids), ("known", found.known)):
        for value in values:
            patterns = [*_id_patterns(kind, value)] if kind != "name" else []
            patterns += [*_name_patterns(kind, value, charsets)] if kind != "id" else []
            made += patterns
            short |= set() if patterns else {value}
    made += [_date_pattern("date", day) for day in found.dates]
    made += [_date_pattern("birth date", day) for day in found.births]
    return _Hunt(tuple(made), frozenset(short))


def _name_patterns(kind: str, name: str, charsets: tuple[str, ...]) -> Iterator[_Pattern]:
    words = _WORD.findall(name)[:8]
    for word in words:
        if len(word) >= (3 if word.isascii() else 2) and word.casefold() not in _ORDINARY:
            pattern = re.escape(word)
            if len(word) < 5:
                pattern = rf"(?<![^\W\d_]){pattern}(?![^\W\d_])"
            yield _Pattern(kind, _bytes_of(word, charsets), False, re.compile(pattern, re.IGNORECASE), len(word))  # fmt: skip
    for first, second in permutations(words[:3], 2):
        if len(first) + len(second) >= 4:
            exact = rf"(?<![^\W\d_]){re.escape(first)}[\W_]*{re.escape(second)}(?![^\W\d_])"
            yield _Pattern(kind, _bytes_of(first + second, charsets), True, re.compile(exact, re.IGNORECASE), len(first + second))  # fmt: skip


def _bytes_of(word: str, charsets: tuple[str, ...]) -> tuple[bytes, ...]:
    if word.isascii():
        return (word.lower().encode("ascii"),)
    forms = {word, word.lower(), word.upper(), word.title()}
    made: set[bytes] = set()
    for codec in {"utf-8", "latin-1", *charsets}:
        for form in forms:
            try:
                made.add(form.encode(codec).lower())
            except (UnicodeError, LookupError):
                continue
    return tuple(made)


def _id_patterns(kind: str, value: str) -> Iterator[_Pattern]:
    core = _SQUEEZE.sub("", value).casefold().lstrip("0")
    if len(core) < 4 or core in _ORDINARY or not core.isascii():
        return
    gap = r"[-/ _]?" if core.isdigit() else r"[-/ _.^]?"
    exact = rf"(?<![^\W_])0*{gap.join(map(re.escape, core))}(?![^\W_])"
    yield _Pattern(kind, (core.encode("ascii"),), True, re.compile(exact, re.IGNORECASE), len(core), core.isdigit())  # fmt: skip


def _date_pattern(kind: str, day: str) -> _Pattern:
    y, m, d = day[:4], day[4:6], day[6:]
    forms = {day, *(gap.join(p) for gap in "-./" for p in ((y, m, d), (d, m, y), (m, d, y)))}
    exact = rf"(?<!\d)(?:{'|'.join(map(re.escape, sorted(forms)))})(?=\D|$|\d{{4,6}}(?:\D|$))"
    return _Pattern(
        kind, tuple(f.encode("ascii") for f in forms), False, re.compile(exact), 8, True
    )


def search(source: Encoded, output: Encoded, found: Identifiers) -> list[Leak]:
    """Search an encoded output for what was found in its source."""
    hunt = _hunt(found, tuple(source.charsets))
    dates = _text_at(output, _DATES_MARK) if b"MODIFIED" in output.header else "REMOVED"
    patterns = [p for p in hunt.patterns if p.kind != "date" or dates != "UNMODIFIED"]
    leaks = [*_short_at_home(output, hunt)]
    if dates == "MODIFIED":
        leaks += _unmoved(source, output)
    quick = _hits(output.prefix + b"\xff" + output.header, patterns)
    if quick:
        temporal = () if dates == "MODIFIED" else ("DA", "DT")
        leaks += _leaks_in_prefix(output, quick)
        leaks += _leaks_in_leaves(output, quick, temporal)
    leaks += _leaks_in_pixels(output, patterns)
    return sorted(set(leaks), key=lambda leak: (leak.place, leak.kind))


def _hits(data: bytes, patterns: list[_Pattern]) -> list[_Pattern]:
    low = data.lower()
    squeezed = low.translate(None, _NOT_ALNUM)
    return [p for p in patterns if any(q in (squeezed if p.squeezed else low) for q in p.quick)]


def _text_at(encoded: Encoded, tag: int) -> str:
    found = [leaf for leaf in encoded.leaves if leaf.path == (tag,)]
    return encoded.text(found[0]).strip(" \0") if found else ""


def _short_at_home(output: Encoded, hunt: _Hunt) -> Iterator[Leak]:
    for leaf in output.leaves if hunt.at_home else ():
        kind = "id" if leaf.path[-1] in IDS else "name" if leaf.vr == "PN" else ""
        if kind and hunt.at_home & set(_parts(output.text(leaf))):
            yield Leak(kind, _place(leaf))


def _unmoved(source: Encoded, output: Encoded) -> Iterator[Leak]:
    """Dates that stand where they stood; elsewhere a moved date may equal another by chance."""
    before = {leaf.path: leaf for leaf in source.leaves if leaf.vr in ("DA", "DT")}
    for leaf in output.leaves:
        if leaf.path in before:
            was = set(_days(source.text(before[leaf.path])))
            if was & set(_days(output.text(leaf))):
                yield Leak("date", _place(leaf))


def _leaks_in_prefix(output: Encoded, patterns: list[_Pattern]) -> Iterator[Leak]:
    text = output.prefix.decode("latin-1")
    for pattern in patterns:
        if pattern.exact.search(text):
            yield Leak(pattern.kind, "preamble or file meta")


def _leaks_in_leaves(output: Encoded, patterns: list[_Pattern], temporal: tuple[str, ...]) -> Iterator[Leak]:  # fmt: skip
    for leaf in output.leaves:
        text = output.text(leaf)
        for pattern in patterns:
            if _is_searched(pattern, leaf, text, temporal) and pattern.exact.search(text):
                yield Leak(pattern.kind, _place(leaf))
    if output.stopped is not None:
        rest = output.rest().decode("latin-1")
        yield from (Leak(p.kind, "unreadable bytes") for p in patterns if p.exact.search(rest))


def _is_searched(pattern: _Pattern, leaf: Leaf, text: str, temporal: tuple[str, ...]) -> bool:
    vr = leaf.vr
    if pattern.kind in ("date", "birth date"):
        return vr not in ("UI", "DS", "IS", "DA", "DT") or vr in temporal
    if vr in _BINARY and not text.rstrip("\0 ").isprintable():
        return pattern.length >= 6
    if vr in _NUMBERS or vr in ("DA", "DT"):
        return not pattern.numeric or (pattern.length >= 6 and _is_number(pattern, text))
    return vr != "UI" or not pattern.numeric or pattern.length >= 6


def _is_number(pattern: _Pattern, text: str) -> bool:
    return any(pattern.exact.fullmatch(part) for part in _parts(text))


def _leaks_in_pixels(output: Encoded, patterns: list[_Pattern]) -> Iterator[Leak]:
    """Search compressed pixels, which can carry comments; native ones are numbers only."""
    if output.pixels is None:
        return
    data, start, end = output.pixels
    for pattern in patterns:
        if pattern.length >= 6 and not pattern.kind.endswith("date"):
            forms = {f for q in pattern.quick for f in (q, q.upper(), q.title())}
            if any(data.find(form, start, end) >= 0 for form in forms):
                yield Leak(pattern.kind, "compressed pixels")


def _place(leaf: Leaf) -> str:
    return ">".join(f"({tag >> 16:04X},{tag & 0xFFFF:04X})" for tag in leaf.path)
