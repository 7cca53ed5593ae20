"""Identifiers for which the audit searches: names, ids and dates of a source, and known words."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from healthval.deid.audit.sources import EncodedDataset

# Patient, order, visit, specimen and study ids. Names and dates are recognised by their VR.
IDS: Final = frozenset(
    {0x00100020, 0x00101000, 0x00101040, 0x00101050, 0x00101060, 0x00101090, 0x00102154}
    | {0x00080050, 0x00200010, 0x00380010, 0x00380060, 0x00400009, 0x00400253, 0x00401001}
    | {0x00402016, 0x00402017, 0x00120040, 0x00400512, 0x00400551}
)
BIRTH: Final = 0x00100030
_DUMMY_DATES: Final = frozenset({"19000101", "00000000"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Identifiers:
    """Identifiers that an output must not contain; its repr shows none of them.

    Parameters
    ----------
    dates, births : dates as eight digits; `births` are values of Patient's Birth Date
    known : further identifiers that the operator gave
    study : the dates outside the attributes of the patient and outside private attributes
    """

    names: frozenset[str] = field(repr=False)
    ids: frozenset[str] = field(repr=False)
    dates: frozenset[str] = field(repr=False)
    births: frozenset[str] = field(repr=False)
    known: frozenset[str] = field(repr=False, default=frozenset())
    study: frozenset[str] = field(repr=False, default=frozenset())

    def counts(self) -> Iterator[tuple[str, int]]:
        """Number of identifiers of each kind."""
        yield "names", len(self.names)
        yield "ids", len(self.ids)
        yield "dates", len(self.dates)
        yield "birth dates", len(self.births)
        yield "known identifiers", len(self.known)


def identifiers(source: EncodedDataset, known: Iterable[str] = ()) -> Identifiers:
    """Collect names, ids and dates at every depth of a source."""
    names, ids, dates, births, study = (set[str]() for _ in range(5))
    for element in source.elements:
        tag = element.path[-1]
        group = tag >> 16
        if element.vr == "PN" or (group == 0x0010 and element.vr == "UN"):
            names.update(part for text in source.readings(element) for part in parts(text))
        elif tag in IDS:
            ids.update(parts(source.text(element)))
        elif element.vr in ("DA", "DT"):
            for day in days(source.text(element)):
                (births if tag == BIRTH else dates).add(day)
                if group != 0x0010 and not group % 2:
                    study.add(day)
    return Identifiers(
        names=frozenset(names),
        ids=frozenset(ids),
        dates=frozenset(dates),
        births=frozenset(births),
        known=frozenset(known),
        study=frozenset(study),
    )


def parts(text: str) -> Iterator[str]:
    """Split a multi-valued text; strip padding, skip empty values."""
    return (part for part in (p.strip(" \0") for p in text.split("\\")) if part)


def days(text: str) -> Iterator[str]:
    """Dates in the values of a text, as eight digits; skip dummy dates and malformed ones."""
    for part in parts(text):
        day = part.replace(".", "")[:8]
        is_date = len(day) == 8 and day.isascii() and day.isdigit()
        if is_date and day not in _DUMMY_DATES:
            yield day
