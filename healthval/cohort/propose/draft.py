"""Draft of a proposal: the columns' kinds, reasons of dropped ones, and questions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from healthval.cohort.propose import words as w

if TYPE_CHECKING:
    import pandas as pd

Kind = dict[str, Any]


@dataclass(kw_only=True)
class Draft:
    """Kinds of the columns while they are proposed.

    Attributes
    ----------
    texts : text of each column, without missing values
    unclear : columns dropped because of their values only; their name does not identify people
    """

    kinds: dict[str, Kind] = field(default_factory=dict)
    dropped: dict[str, str] = field(default_factory=dict)
    questions: list[str] = field(default_factory=list)
    texts: dict[str, pd.Series] = field(default_factory=dict)
    unclear: set[str] = field(default_factory=set)

    def drop(self, name: str, reason: str, *, unclear: bool = False) -> None:
        """Declare a column 'drop' with its reason."""
        self.kinds[name] = {"kind": "drop"}
        self.dropped[name] = reason
        if unclear:
            self.unclear.add(name)

    def declare(self, name: str, **kind: Any) -> None:
        """Declare a column's kind; a reason to drop it is deleted."""
        self.kinds[name] = kind
        self.dropped.pop(name, None)

    def of_kind(self, *kinds: str) -> list[str]:
        """Names of the columns of these kinds, in the order of the table."""
        return [name for name, kind in self.kinds.items() if kind["kind"] in kinds]


def words(name: str) -> frozenset[str]:
    """Set of the words of a name."""
    return frozenset(w.words_of(name))
