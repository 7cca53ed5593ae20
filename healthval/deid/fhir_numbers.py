"""Whole numbers in FHIR: record and telephone numbers that are written as values; orders of birth."""

from __future__ import annotations

from typing import Any

_LONG = 10**5  # a whole number with more digits may be a record or telephone number
_LONG_WITH_UNIT = 10**8
_COMMON_BIRTHS = 3  # children of one birth; a fourth is rare enough to identify a person
_MOST_BIRTHS = 10  # a greater number is no order of birth


def whole_number(value: Any) -> int | None:
    """The whole number, unless it is long; None for any other value."""
    if type(value) is not int or may_be_a_record_number(value, has_unit=False):
        return None
    return value


def birth_order(value: Any) -> int | bool | None:
    """The order of a multiple birth; True in place of a rare one, None for any other value."""
    number = whole_number(value)
    if number is None or not 1 <= number <= _MOST_BIRTHS:
        return None
    return number if number <= _COMMON_BIRTHS else True


def may_be_a_record_number(number: float, *, has_unit: bool) -> bool:
    """Whether a long whole number may name a person; with a unit, round ones are measurements."""
    if number % 1 or abs(number) < (_LONG_WITH_UNIT if has_unit else _LONG):
        return False
    return not has_unit or number % 1000 != 0
