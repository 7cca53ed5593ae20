"""What the audit must not find: a source's names, ids and dates, and what the operator knows."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from healthval.deid.audit.sources import Encoded

# Patient, order, visit, specimen and study ids. Names are found by their VR, dates by theirs.
IDS: Final = frozenset(
    {0x00100020, 0x00101000, 0x00101040, 0x00101050, 0x00101060, 0x00101090, 0x00102154}
    | {0x00080050, 0x00200010, 0x00380010, 0x00380060, 0x00400009, 0x00400253, 0x00401001}
    | {0x00402016, 0x00402017, 0x00120040, 0x00400512, 0x00400551}
)  # fmt: skip
BIRTH: Final = 0x00100030
_DUMMY_DATES: Final = frozenset({"19000101", "00000000"})


@dataclass(frozen=True, slots=True)
class Identifiers:
    """What must not be found; silent, since it is made of nothing but identifiers.

    `study` are those of the dates that are no attribute of the patient and no private one.
    """

    names: frozenset[str] = field(repr=False)
    ids: frozenset[str] = field(repr=False)
    dates: frozenset[str] = field(repr=False)
    births: frozenset[str] = field(repr=False)
    known: frozenset[str] = field(repr=False, default=frozenset())
    study: frozenset[str] = field(repr=False, default=frozenset())


def identifiers(source: Encoded, known: Iterable[str] = ()) -> Identifiers:
    """Collect names, ids and dates at every depth of a source."""
    names, ids, dates, births, study = (set[str]() for _ in range(5))
    for leaf in source.leaves:
        tag = leaf.path[-1]
        if leaf.vr == "PN" or (tag >> 16 == 0x0010 and leaf.vr == "UN"):
            names.update(part for text in source.readings(leaf) for part in parts(text))
        elif tag in IDS:
            ids.update(parts(source.text(leaf)))
        elif leaf.vr in ("DA", "DT"):
            group = tag >> 16
            for day in days(source.text(leaf)):
                (births if tag == BIRTH else dates).add(day)
                if group != 0x0010 and not group % 2:
                    study.add(day)
    return Identifiers(*map(frozenset, (names, ids, dates, births, known, study)))


def parts(text: str) -> Iterator[str]:
    """Values of a text without padding and empty ones."""
    return (part for part in (p.strip(" \0") for p in text.split("\\")) if part)


def days(text: str) -> Iterator[str]:
    """Eight digits of every date in the values of a text."""
    for part in parts(text):
        digits = part.replace(".", "")[:8]
        if (
            len(digits) == 8
            and digits.isascii()
            and digits.isdigit()
            and digits not in _DUMMY_DATES
        ):
            yield digits
