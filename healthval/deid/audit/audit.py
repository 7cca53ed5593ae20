"""The audit: searches what leaves for what must not, knowing nothing of how it was made.

It takes a source's own names, ids, accession numbers and dates, and what the operator knows,
and searches the output bytes: in any case, order, separation and usual spelling, part by part,
without leading zeros, in the file's character sets. A quick search over all bytes comes first;
only a hit is looked at value by value, to tell a name from a chance match inside a number.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from healthval.deid.audit.allowed import (
    DEVICE_DATES,
    METHOD_CODE,
    RETAINS_DEVICE,
    is_makers,
    is_mark,
)
from healthval.deid.audit.identifiers import BIRTH, IDS, Identifiers, days, identifiers, parts
from healthval.deid.audit.patterns import Hunt, Pattern, hits, hunt
from healthval.deid.audit.reader import Leaf
from healthval.deid.audit.sources import Encoded, encode
from healthval.deid.audit.spelling import fold
from healthval.pydicom_internals import quiet

__all__ = ["IDS", "Identifiers", "Leak", "audit", "identifiers", "search"]

_DATES_MARK: Final = 0x00280303
_BINARY: Final = frozenset({"AT", "FD", "FL", "OB", "OD", "OF", "OL", "OV", "OW", "SL", "SS", "SV", "UL", "UN", "US", "UV"})  # fmt: skip
_NUMBERS: Final = frozenset({"DS", "IS", "TM", "AS"})
_DATES: Final = ("date", "birth date")
# Shorter ones are met by chance: in binary values, and where numbers or UIDs belong.
_IN_BINARY: Final = 6
_IN_UIDS: Final = 6
_IN_NUMBERS: Final = 7
_compiled = lru_cache(maxsize=4096)(re.compile)


@dataclass(frozen=True, slots=True)
class Leak:
    """One place in an output that holds a source's identifier; says where, never what."""

    kind: str
    place: str


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


@dataclass(frozen=True, slots=True)
class _Mode:
    """What an output says of its dates and its device."""

    dates: str
    keeps_device: bool

    @property
    def temporal(self) -> tuple[str, ...]:
        """VRs in which a day of the source is a leak; a moved one may equal it by chance."""
        return () if self.dates == "MODIFIED" else ("DA", "DT")

    def is_kept(self, kind: str, tag: int) -> bool:
        """Whether a day stays because it is the device's."""
        return kind == "date" and self.keeps_device and tag in DEVICE_DATES


def search(source: Encoded, output: Encoded, found: Identifiers) -> list[Leak]:
    """Search an encoded output for what was found in its source."""
    mode = _mode(output)
    sought = hunt(found, source.codecs, keeps_dates=mode.dates == "UNMODIFIED")
    leaks = [*_short_at_home(output, sought)]
    if mode.dates == "UNMODIFIED" and found.births & found.study:
        leaks += _birth_at_home(output, found)
    if mode.dates == "MODIFIED":
        leaks += _unmoved(source, output)
    meta = b"" if output.meta is None else output.meta.header
    quick = hits(b"\xff".join((output.preamble, meta, output.header)), sought)
    if quick:
        leaks += _leaks_around(output, quick)
        leaks += _leaks_in_values(output, quick, mode)
    if output.pixels is not None:
        leaks += (Leak(kind, "pixels") for kind in sought.in_pixels.kinds(*output.pixels))
    return sorted(set(leaks), key=lambda leak: (leak.place, leak.kind))


def _mode(output: Encoded) -> _Mode:
    header = output.header
    dates = _text_at(output, (_DATES_MARK,)) if b"MODIFIED" in header else ["REMOVED"]
    keeps = RETAINS_DEVICE.encode("ascii") in header and RETAINS_DEVICE in _text_at(output, METHOD_CODE)  # fmt: skip
    return _Mode(dates[0] if dates else "", keeps)


def _text_at(output: Encoded, path: tuple[int, ...]) -> list[str]:
    return [output.text(leaf).strip(" \0") for leaf in output.leaves if leaf.path == path]


def _short_at_home(output: Encoded, sought: Hunt) -> Iterator[Leak]:
    for leaf in output.leaves if sought.at_home else ():
        kind = "id" if leaf.path[-1] in IDS else "name" if leaf.vr == "PN" else ""
        if kind and sought.at_home & set(parts(output.text(leaf))):
            yield Leak(kind, _place(leaf))


def _birth_at_home(output: Encoded, found: Identifiers) -> Iterator[Leak]:
    for leaf in output.leaves:
        if leaf.path[-1] == BIRTH and found.births & set(days(output.text(leaf))):
            yield Leak("birth date", _place(leaf))


def _unmoved(source: Encoded, output: Encoded) -> Iterator[Leak]:
    """Dates that stand where they stood; elsewhere a moved date may equal another by chance."""
    before = {leaf.path: leaf for leaf in source.leaves if leaf.vr in ("DA", "DT")}
    for leaf in output.leaves:
        if leaf.path in before:
            was = set(days(source.text(before[leaf.path])))
            if was & set(days(output.text(leaf))):
                yield Leak("date", _place(leaf))


def _leaks_around(output: Encoded, patterns: list[Pattern]) -> Iterator[Leak]:
    preamble = fold(output.preamble.decode("latin-1"))
    yield from (Leak(p.kind, "preamble") for p in patterns if _stands(p.exact, preamble))
    if output.meta is not None:
        yield from _leaks_in_values(output.meta, patterns, _Mode("REMOVED", keeps_device=False))


def _leaks_in_values(output: Encoded, patterns: list[Pattern], mode: _Mode) -> Iterator[Leak]:
    for leaf in output.leaves:
        for text in output.readings(leaf):
            if is_mark(leaf.path, text):
                continue
            folded = fold(text)
            for pattern in patterns:
                if _is_leak(pattern, leaf, folded, mode) and not is_makers(pattern, leaf.path[-1], text):  # fmt: skip
                    yield Leak(pattern.kind, _place(leaf))
    for text in output.rest():
        folded = fold(text)
        yield from (Leak(p.kind, "unreadable bytes") for p in patterns if _stands(p.exact, folded))


def _is_leak(pattern: Pattern, leaf: Leaf, folded: str, mode: _Mode) -> bool:
    vr, tag = leaf.vr, leaf.path[-1]
    exact = pattern.exact
    if pattern.kind in _DATES:
        if vr in ("UI", "DS", "IS", "DA", "DT") and vr not in mode.temporal:
            return False
        return not mode.is_kept(pattern.kind, tag) and _stands(exact, folded)
    if vr in _BINARY and not folded.rstrip("\0 ").isprintable():
        return pattern.length >= _IN_BINARY and _stands(exact, folded)
    if pattern.strict and (vr in _NUMBERS or vr in ("DA", "DT")):
        whole = _compiled(pattern.strict).fullmatch
        return pattern.length >= _IN_NUMBERS and any(whole(part) for part in parts(folded))
    if pattern.strict and vr == "UI":
        return pattern.length >= _IN_UIDS and _stands(pattern.strict, folded)
    return _stands(exact, folded)


def _stands(exact: str, folded: str) -> bool:
    return _compiled(exact).search(folded) is not None


def _place(leaf: Leaf) -> str:
    return ">".join(f"({tag >> 16:04X},{tag & 0xFFFF:04X})" for tag in leaf.path)
