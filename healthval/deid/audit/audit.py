"""Audit: search an output for the identifiers of its source, without the engine's code.

The identifiers are the source's names, ids, accession numbers and dates, and further words from
the operator. The search covers all bytes of the output, each word of a name, any case, order and
separator, the usual spellings, ids without leading zeros, and the character sets of the file. A
quick search of the bytes runs first. If it has a hit, each value is searched, to distinguish a name
from a chance match inside a number.
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
    is_defined_term,
    is_manufacturer_text,
    is_own_mark,
)
from healthval.deid.audit.frames import texts_of
from healthval.deid.audit.identifiers import BIRTH, IDS, Identifiers, days, identifiers, parts
from healthval.deid.audit.patterns import Pattern, PatternSet, candidates, pattern_set
from healthval.deid.audit.reader import Element
from healthval.deid.audit.sources import EncodedDataset, encode
from healthval.deid.audit.spelling import fold
from healthval.pydicom_internals import quiet

__all__ = ["IDS", "Identifiers", "Leak", "audit", "identifiers", "search"]

_DATES_MARK: Final = 0x00280303
_BINARY: Final = frozenset(
    {"AT", "FD", "FL", "OB", "OD", "OF", "OL", "OV", "OW", "SL", "SS", "SV", "UL", "UN", "US", "UV"}
)
_NUMBERS: Final = frozenset({"DS", "IS", "TM", "AS"})
_DATES: Final = ("date", "birth date")
# Minimum lengths: shorter identifiers occur by chance in binary values, UIDs and numbers.
_IN_BINARY: Final = 6
_IN_UIDS: Final = 6
_IN_NUMBERS: Final = 7
_compiled = lru_cache(maxsize=4096)(re.compile)


@dataclass(frozen=True, slots=True)
class Leak:
    """Location of a source's identifier in an output; it never contains the value."""

    kind: str
    place: str


def audit(source: Any, output: Any, known: Iterable[str] = ()) -> list[Leak]:
    """Search an output for the identifiers of its source.

    Parameters
    ----------
    source, output : path, encoded bytes, pydicom data set, or `Deidentified`
    known : further names, ids or words that identify someone, from the operator

    Returns
    -------
    list of Leak, empty when nothing was found
    """
    with quiet():
        before = encode(source, only=IDS)
        return search(before, encode(output), identifiers(before, known))


def search(source: EncodedDataset, output: EncodedDataset, found: Identifiers) -> list[Leak]:
    """Search an output for the identifiers that were found in its source."""
    retained = _retained(output)
    keeps_dates = retained.dates == "UNMODIFIED"
    patterns = pattern_set(found, source.codecs, keeps_dates=keeps_dates)
    leaks = [*_short_identifiers(output, patterns)]
    if keeps_dates and found.births & found.study:
        leaks += _birth_dates(output, found)
    if retained.dates == "MODIFIED":
        leaks += _unshifted_dates(source, output)
    meta = b"" if output.meta is None else output.meta.header
    hits = candidates(b"\xff".join((output.preamble, meta, output.header)), patterns)
    if hits:
        leaks += _leaks_around(output, hits)
        leaks += _leaks_in_values(output, hits, retained)
    if output.pixels is not None:
        leaks += (Leak(kind, "pixels") for kind in patterns.pixel_search.kinds(*output.pixels))
        leaks += _leaks_in_frames(output.pixels, patterns)
    return sorted(set(leaks), key=lambda leak: (leak.place, leak.kind))


@dataclass(frozen=True, slots=True)
class _Retained:
    """Dates and device identity that an output retains, according to its own marks."""

    dates: str
    keeps_device: bool

    @property
    def searched_dates(self) -> tuple[str, ...]:
        """VRs of dates in which a date of the source is a leak.

        Empty if dates were shifted, because a shifted date may equal another date by chance.
        """
        return () if self.dates == "MODIFIED" else ("DA", "DT")

    def is_device_date(self, kind: str, tag: int) -> bool:
        """Whether a date is retained as a device date."""
        return kind == "date" and self.keeps_device and tag in DEVICE_DATES


def _retained(output: EncodedDataset) -> _Retained:
    header = output.header
    dates = _texts_at(output, (_DATES_MARK,)) if b"MODIFIED" in header else ["REMOVED"]
    has_code = RETAINS_DEVICE.encode("ascii") in header
    keeps_device = has_code and RETAINS_DEVICE in _texts_at(output, METHOD_CODE)
    return _Retained(dates[0] if dates else "", keeps_device)


def _texts_at(output: EncodedDataset, path: tuple[int, ...]) -> list[str]:
    return [output.text(found).strip(" \0") for found in output.elements if found.path == path]


def _short_identifiers(output: EncodedDataset, patterns: PatternSet) -> Iterator[Leak]:
    """Ids and names that are too short to be searched outside their own attributes."""
    for element in output.elements if patterns.short else ():
        kind = "id" if element.path[-1] in IDS else "name" if element.vr == "PN" else ""
        if kind and patterns.short & set(parts(output.text(element))):
            yield Leak(kind, _place(element))


def _birth_dates(output: EncodedDataset, found: Identifiers) -> Iterator[Leak]:
    for element in output.elements:
        if element.path[-1] == BIRTH and found.births & set(days(output.text(element))):
            yield Leak("birth date", _place(element))


def _unshifted_dates(source: EncodedDataset, output: EncodedDataset) -> Iterator[Leak]:
    """Dates that are the same in source and output at the same place."""
    before = {element.path: element for element in source.elements if element.vr in ("DA", "DT")}
    for element in output.elements:
        if element.path in before:
            original = set(days(source.text(before[element.path])))
            if original & set(days(output.text(element))):
                yield Leak("date", _place(element))


def _leaks_around(output: EncodedDataset, patterns: list[Pattern]) -> Iterator[Leak]:
    """Leaks in the preamble and the file meta."""
    yield from _leaks_in_text(output.preamble.decode("latin-1"), "preamble", patterns)
    if output.meta is not None:
        retained = _Retained("REMOVED", keeps_device=False)
        yield from _leaks_in_values(output.meta, patterns, retained)


def _leaks_in_frames(pixels: tuple[Any, int, int], patterns: PatternSet) -> Iterator[Leak]:
    """Leaks in the parts of compressed frames that are not the coded image."""
    for part in texts_of(*pixels):
        if not part.strip(b"\0"):
            continue
        for text in _frame_readings(part):
            hits = candidates(text.encode("utf-8", "replace"), patterns)
            yield from _leaks_in_text(text, "pixels", hits)


def _frame_readings(part: bytes) -> Iterator[str]:
    yield part.decode("latin-1")
    if not part.isascii():
        yield part.decode("utf-8", "replace")
    if b"\0" in part:  # UTF-16, of which EXIF and makers' notes consist
        yield from (part[at:].decode("utf-16-le", "replace") for at in (0, 1))


def _leaks_in_text(text: str, place: str, patterns: list[Pattern]) -> Iterator[Leak]:
    folded = fold(text)
    yield from (Leak(p.kind, place) for p in patterns if _matches(p.regex, folded))


def _leaks_in_values(
    output: EncodedDataset, patterns: list[Pattern], retained: _Retained
) -> Iterator[Leak]:
    for element in output.elements:
        tag = element.path[-1]
        for text in output.readings(element):
            if is_own_mark(element.path, text):
                continue
            folded = fold(text)
            for pattern in patterns:
                is_leak = _is_leak(pattern, element, folded, retained)
                if is_leak and not (
                    is_manufacturer_text(pattern, tag, text)
                    or is_defined_term(pattern, element, text)
                ):
                    yield Leak(pattern.kind, _place(element))
    for text in output.unparsed():
        yield from _leaks_in_text(text, "unreadable bytes", patterns)


def _is_leak(pattern: Pattern, element: Element, folded: str, retained: _Retained) -> bool:
    vr, tag = element.vr, element.path[-1]
    if pattern.kind in _DATES:
        if vr in ("UI", "DS", "IS", "DA", "DT") and vr not in retained.searched_dates:
            return False
        is_kept = retained.is_device_date(pattern.kind, tag)
        return not is_kept and _matches(pattern.regex, folded)
    if vr in _BINARY and not folded.rstrip("\0 ").isprintable():
        return pattern.length >= _IN_BINARY and _matches(pattern.regex, folded)
    if pattern.number_regex and (vr in _NUMBERS or vr in ("DA", "DT")):
        whole = _compiled(pattern.number_regex).fullmatch
        return pattern.length >= _IN_NUMBERS and any(whole(part) for part in parts(folded))
    if pattern.number_regex and vr == "UI":
        return pattern.length >= _IN_UIDS and _matches(pattern.number_regex, folded)
    return _matches(pattern.regex, folded)


def _matches(regex: str, folded: str) -> bool:
    return _compiled(regex).search(folded) is not None


def _place(element: Element) -> str:
    return ">".join(f"({tag >> 16:04X},{tag & 0xFFFF:04X})" for tag in element.path)
