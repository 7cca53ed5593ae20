"""FHIRPath operators on lists: three-valued logic, exact decimals, partial dates."""

from __future__ import annotations

import operator
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from healthval.cohort.fhirpath.dates import compare_moments, is_moment
from healthval.cohort.fhirpath.syntax import Integer64, Moment
from healthval.errors import ViewError

Items = list[Any]


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _quantities(a: Any, b: Any) -> tuple[float, float] | None:
    """Values of two quantities in the same unit, None for different units; no conversion."""
    if not (isinstance(a, dict) and isinstance(b, dict)):
        return None
    units = [q.get("code") or q.get("unit") for q in (a, b)]
    x: Any = a.get("value")
    y: Any = b.get("value")
    if units[0] != units[1] or not (_is_number(x) and _is_number(y)):
        return None
    return float(x), float(y)


def singleton(items: Items) -> Any:
    """Return the only item, or None for an empty list.

    Raises
    ------
    ViewError
        If the list has several items.
    """
    if len(items) > 1:
        raise ViewError(
            "an operator or function has several values where one is allowed; use first()"
        )
    return items[0] if items else None


def as_boolean(items: Items) -> bool | None:
    """Read a condition: empty is unknown (None), a single value other than a boolean is true."""
    value = singleton(items)
    return value if value is None or isinstance(value, bool) else True


def same(a: Any, b: Any) -> bool | None:
    """FHIRPath equality of two items; None if the precision of a date leaves it undetermined."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, Integer64) or isinstance(b, Integer64):
        return str(a) == str(b)
    if isinstance(a, (str, Moment)) and isinstance(b, (str, Moment)):
        return _same_texts(a, b)
    if _is_number(a) != _is_number(b):
        return False
    quantities = _quantities(a, b)
    return bool(a == b if quantities is None else quantities[0] == quantities[1])


def _same_texts(a: Any, b: Any) -> bool | None:
    if str(a) == str(b):
        return True
    if not (isinstance(a, Moment) or isinstance(b, Moment) or (is_moment(a) and is_moment(b))):
        return False
    order = compare_moments(str(a), str(b))
    return None if order is None else order == 0


def _is_moment(value: object) -> bool:
    return isinstance(value, str) and is_moment(value)


def _equal(a: Items, b: Items) -> Items:
    if not a or not b:
        return []
    if len(a) != len(b):
        return [False]
    verdicts = [same(x, y) for x, y in zip(a, b, strict=True)]
    if False in verdicts:
        return [False]
    return [] if None in verdicts else [True]


def _not_equal(a: Items, b: Items) -> Items:
    return [not v for v in _equal(a, b)]


def _equivalent(a: Items, b: Items) -> Items:
    def fold(value: Any) -> Any:
        if not isinstance(value, str) or isinstance(value, Moment) or is_moment(value):
            return value
        return " ".join(value.split()).casefold()

    left, right = [fold(x) for x in a], [fold(y) for y in b]
    if len(left) != len(right):
        return [False]
    return [all(any(same(x, y) is True for y in right) for x in left)]


def _ordered(test: Callable[[int], bool]) -> Callable[[Items, Items], Items]:
    def compare(a: Items, b: Items) -> Items:
        x, y = singleton(a), singleton(b)
        if x is None or y is None:
            return []
        x, y = (int(v) if isinstance(v, Integer64) else v for v in (x, y))
        if isinstance(x, Moment) or isinstance(y, Moment) or (_is_moment(x) and _is_moment(y)):
            order = compare_moments(str(x), str(y))
            return [] if order is None else [test(order)]
        if isinstance(x, dict) and isinstance(y, dict):
            if (quantities := _quantities(x, y)) is None:
                return []
            x, y = quantities
        if (_is_number(x) and _is_number(y)) or (isinstance(x, str) and isinstance(y, str)):
            return [test((x > y) - (x < y))]
        raise ViewError("a path compares values of different types; convert one of them")

    return compare


def exact(value: Any) -> Decimal | int:
    """Convert a JSON number for exact decimal arithmetic."""
    return value if isinstance(value, int) else Decimal(repr(value))


def plain(value: Decimal | int) -> int | float:
    """Convert back to a JSON number."""
    return value if isinstance(value, int) else float(value)


_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": lambda x, y: Decimal(x) / Decimal(y),
    "div": lambda x, y: int(Decimal(x) / Decimal(y)),
    # Decimal's remainder keeps the sign of the dividend, as FHIRPath's does.
    "mod": lambda x, y: type(x + y)(Decimal(x) % Decimal(y)),
}


def _arithmetic(name: str) -> Callable[[Items, Items], Items]:
    function = _ARITHMETIC[name]

    def compute(a: Items, b: Items) -> Items:
        x, y = singleton(a), singleton(b)
        if x is None or y is None:
            return []
        if name == "+" and isinstance(x, str) and isinstance(y, str):
            return [x + y]
        if not (_is_number(x) and _is_number(y)):
            raise ViewError(
                f"a path uses '{name}' on values that are not numbers; correct the path"
            )
        if y == 0 and name in {"/", "div", "mod"}:
            return []
        return [plain(function(exact(x), exact(y)))]

    return compute


def arithmetic_sign(items: Items, sign: int) -> Items:
    """Apply a unary plus or minus."""
    value = singleton(items)
    if value is None:
        return []
    if not _is_number(value):
        raise ViewError("a path puts a sign before a value that is not a number; correct the path")
    return [sign * value]


def _and(a: Items, b: Items) -> Items:
    x, y = as_boolean(a), as_boolean(b)
    if x is False or y is False:
        return [False]
    return [True] if x and y else []


def _or(a: Items, b: Items) -> Items:
    x, y = as_boolean(a), as_boolean(b)
    if x or y:
        return [True]
    return [False] if x is False and y is False else []


def _xor(a: Items, b: Items) -> Items:
    x, y = as_boolean(a), as_boolean(b)
    return [] if x is None or y is None else [x != y]


def _implies(a: Items, b: Items) -> Items:
    return _or([not x] if (x := as_boolean(a)) is not None else [], b)


def _concatenate(a: Items, b: Items) -> Items:
    return [str(singleton(a) or "") + str(singleton(b) or "")]


def distinct(items: Items) -> Items:
    """Remove duplicates; the first of equal items is kept."""
    kept: Items = []
    for item in items:
        if not any(same(item, k) for k in kept):
            kept.append(item)
    return kept


def _in(a: Items, b: Items) -> Items:
    value = singleton(a)
    return [] if value is None else [any(same(value, item) for item in b)]


def _index(a: Items, b: Items) -> Items:
    at = singleton(b)
    if at is None:
        return []
    if isinstance(at, bool) or not isinstance(at, int):
        raise ViewError("a path has an index that is not an integer; correct the path")
    return [a[at]] if 0 <= at < len(a) else []


OPERATORS: dict[str, Callable[[Items, Items], Items]] = {
    "=": _equal,
    "!=": _not_equal,
    "~": _equivalent,
    "!~": lambda a, b: [not v for v in _equivalent(a, b)],
    "<": _ordered(lambda order: order < 0),
    ">": _ordered(lambda order: order > 0),
    "<=": _ordered(lambda order: order <= 0),
    ">=": _ordered(lambda order: order >= 0),
    **{name: _arithmetic(name) for name in _ARITHMETIC},
    "&": _concatenate,
    "and": _and,
    "or": _or,
    "xor": _xor,
    "implies": _implies,
    "|": lambda a, b: distinct(a + b),
    "in": _in,
    "contains": lambda a, b: _in(b, a),
    "[]": _index,
}
