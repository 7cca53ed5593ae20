"""Lines of an idle bill, and the view of one resource that the rules read."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from healthval.cloud.audit.values import ABSENT, UNKNOWN, Scope, Values
from healthval.cloud.prices import Prices

Verdict = Literal["priced", "forbidden", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of an idle bill.

    Attributes
    ----------
    place : file, resource and type
    what : what is charged, forbidden or not known
    usd : US dollars a month; None if the price is not known
    count : name of an allowance or stored volume that all resources of an account share
    """

    place: str
    what: str
    usd: float | None = 0.0
    verdict: Verdict = "priced"
    count: str = ""


Lines = Iterator[Line]


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One resource of a template, with the possible values of its properties."""

    file: str
    name: str
    type: str
    body: Any
    scope: Scope

    @property
    def place(self) -> str:
        """File, logical name and type."""
        return f"{self.file}: {self.name} ({self.type})"

    @property
    def properties(self) -> Any:
        """The properties as written."""
        return self.body.get("Properties", {}) if isinstance(self.body, dict) else UNKNOWN

    def values(self, *path: str) -> Values:
        """Return the possible values of a property."""
        return self.scope.get(self.properties, *path)

    def items(self, *path: str) -> list[Any]:
        """Return every possible item of a property that is a list."""
        return [item for value in self.values(*path) for item in self.scope.items(value)]

    def lengths(self, *path: str) -> set[int | None]:
        """Return the possible lengths of a list; None for a list that is not known."""
        found: set[int | None] = set()
        for value in self.values(*path):
            for items in self.scope.lists(value):
                known = isinstance(value, list) and all(UNKNOWN not in item for item in items)
                found.add(len(items) if known or not items else None)
        return found

    def counts(self, *path: str) -> list[int | None]:
        """Return the largest possible length of a list, or None if it is not known."""
        lengths = self.lengths(*path)
        return [None] if None in lengths else [max(n for n in lengths if n is not None)]

    def is_set(self, *path: str) -> bool:
        """Return whether the property may be present."""
        return any(value is not ABSENT for value in self.values(*path))

    def is_on(self, *path: str) -> bool:
        """Return whether a switch may be on."""
        return any(value is not ABSENT and not is_false(value) for value in self.values(*path))

    def is_one_of(self, allowed: set[str], *path: str) -> bool:
        """Return whether every possible value is one of these; "" means an absent property."""
        return all(
            ("" if value is ABSENT else value) in allowed
            for value in self.values(*path)
            if value is ABSENT or isinstance(value, str)
        ) and all(value is ABSENT or isinstance(value, str) for value in self.values(*path))

    def priced(self, what: str, usd: float) -> Line:
        """Return a line with a price."""
        return Line(place=self.place, what=what, usd=usd)

    def shared(self, what: str, count: str) -> Line:
        """Return a line whose price depends on all resources together."""
        return Line(place=self.place, what=what, count=count)

    def forbidden(self, what: str, usd: float | None = None) -> Line:
        """Return a line of the never-list."""
        return Line(place=self.place, what=what, usd=usd, verdict="forbidden")

    def unknown(self, what: str) -> Line:
        """Return a line of unknown cost."""
        return Line(place=self.place, what=what, usd=None, verdict="unknown")


def is_false(value: Any) -> bool:
    """Return whether a switch is off, as a value of YAML or as text."""
    return value is False or str(value).lower() in {"false", "0", "disabled", ""}


def is_unknown(value: Any) -> bool:
    """Return whether the value is not known."""
    return value is UNKNOWN


__all__ = ["ABSENT", "UNKNOWN", "Line", "Lines", "Prices", "Resource", "is_false", "is_unknown"]
