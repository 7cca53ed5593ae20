"""Single numbers and objects that a caller names; refused without being quoted."""

import math
from collections.abc import Collection
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from healthval.errors import MetricError
from healthval.metrics.columns import read_numbers


def read_number(value: Any, name: str) -> float:
    """One number; it may be infinite.

    Raises
    ------
    MetricError
        If it is none, or NaN.
    """
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value.item()
    try:
        number = float(value) if isinstance(value, Real | Decimal) else math.nan
    except OverflowError:
        number = math.nan
    if math.isnan(number):
        raise MetricError(f"{name} must be a single number")
    return number


def read_count(value: Any, name: str) -> int:
    """One whole number from 0 that fits 64 bits."""
    number = read_number(value, name)
    if not (0 <= number < 2**63 and number.is_integer()):
        raise MetricError(f"{name} must be a whole number, at least 0")
    return int(value)


def read_flag(value: Any, name: str) -> bool:
    """True or False."""
    if not isinstance(value, bool | np.bool_):
        raise MetricError(f"{name} must be True or False")
    return bool(value)


def read_one_or_more(values: Any, name: str) -> NDArray[np.float64]:
    """Give one number or a sequence of them as an array."""
    return read_numbers([values] if isinstance(values, Real | Decimal) else values, name)


def check_kind(value: Any, kind: type, name: str) -> None:
    """Refuse an object of another kind."""
    if not isinstance(value, kind):
        raise MetricError(f"{name} must be a {kind.__name__}")


def check_choice(value: Any, choices: Collection[str], name: str) -> None:
    """Refuse a word that is none of the choices."""
    if not isinstance(value, str) or value not in choices:
        raise MetricError(f"{name} must be {' or '.join(repr(c) for c in choices)}")
