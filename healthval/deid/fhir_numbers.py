"""Long whole numbers in FHIR: record and telephone numbers that are written as values."""

from __future__ import annotations

from typing import Any

_LONG = 10**5  # a whole number with more digits may be a record or telephone number
_LONG_WITH_UNIT = 10**8


def whole_number(value: Any) -> int | None:
    """The whole number, unless it is long; None for any other value."""
    if type(value) is not int or may_be_a_record_number(value, has_unit=False):
        return None
    return value


def may_be_a_record_number(number: float, *, has_unit: bool) -> bool:
    """Whether a long whole number may name a person; with a unit, round ones are measurements."""
    if number % 1 or abs(number) < (_LONG_WITH_UNIT if has_unit else _LONG):
        return False
    return not has_unit or number % 1000 != 0
