"""Checks and conversion of a caller's columns, numbers and options.

Errors contain name, count and first row, never a value.
"""

import math
from collections.abc import Collection
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from healthval.errors import MetricError, counted, part

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Tallies = NDArray[np.signedinteger[Any]]  # counts of cases
Bools = NDArray[np.bool_]


def affected(rows: NDArray[Any], total: int, noun: str, problem: str) -> str:
    """Text with the number of affected rows, the total, the problem and the first row.

    >>> affected(np.array([4, 7]), 9, "score", "are missing")
    '2 of 9 scores are missing (first at row 4)'
    """
    return f"{part(rows.size, total, noun, problem)} (first at row {rows[0]})"


def is_missing(item: Any) -> bool:
    """Whether a value is None, NaN, NaT, pandas.NA, or text without a visible character."""
    if isinstance(item, str | bytes):
        return not item.strip()
    if item is None or type(item).__name__ in {"NAType", "NaTType"}:
        return True
    if isinstance(item, np.datetime64 | np.timedelta64):
        return bool(np.isnat(item))
    return isinstance(item, float | np.floating) and bool(np.isnan(item))


def read_array(values: Any, name: str) -> NDArray[Any]:
    """Array of any shape; masked values become None, mixed lists keep their types.

    Raises
    ------
    MetricError
        If it is not a rectangular sequence.
    """
    if isinstance(values, np.ma.MaskedArray):
        return _unmasked(values)
    if isinstance(values, np.ndarray):
        return np.asarray(values)
    try:
        array = np.asarray(values.to_numpy() if hasattr(values, "to_numpy") else values)
        # In a list with texts, numpy would convert NaN and None to the texts "nan" and "None".
        return np.array(values, dtype=object) if array.dtype.kind in "US" else array
    except OverflowError:  # a whole number beyond the range of floats
        return np.array(values, dtype=object)
    except (ValueError, TypeError):
        raise MetricError(f"{name} is not a plain sequence; give one value per case") from None


def _unmasked(values: "np.ma.MaskedArray[Any, Any]") -> NDArray[Any]:
    hidden = np.ma.getmaskarray(values)
    if not hidden.any():
        return np.asarray(values.data)
    shown = zip(values.data.flat, hidden.flat, strict=True)
    plain = [None if covered else item for item, covered in shown]
    return np.array(plain, dtype=object).reshape(values.shape)


def read_column(values: Any, name: str) -> NDArray[Any]:
    """One-dimensional array of any values, one per case."""
    array = read_array(values, name)
    if array.ndim != 1:
        raise MetricError(f"{name} has {counted(array.ndim, 'dimension')}; give one value per case")
    return array


def missing_rows(array: NDArray[Any]) -> NDArray[np.intp]:
    """Positions of missing values."""
    if array.dtype.kind == "f":
        return np.flatnonzero(np.isnan(array))
    if array.dtype.kind in "OMmUS":
        return np.flatnonzero(np.array([is_missing(item) for item in array], np.bool_))
    return np.array([], np.intp)


def is_numeric(array: NDArray[Any]) -> bool:
    """Whether every value that is not missing is a number (or a bool)."""
    if array.dtype.kind in "iufb":
        return True
    number = bool | int | float | np.bool_ | np.integer | np.floating
    return array.dtype.kind == "O" and all(
        isinstance(item, number) or is_missing(item) for item in array
    )


def read_numbers(values: Any, name: str) -> NDArray[np.float64]:
    """One float64 per case: NaN where missing, infinite beyond the range of floats."""
    array = read_column(values, name)
    among_objects = array.dtype.kind == "O" and any(isinstance(x, np.float16) for x in array)
    if array.dtype == np.float16 or among_objects:
        raise MetricError(f"{name} is float16, too coarse to rank by; give float32 or float64")
    if array.dtype.kind in "iufb":
        return np.asarray(array, np.float64)
    if not is_numeric(array):
        raise MetricError(
            f"{name} is not numeric ({counted(array.size, 'case')}); convert it first, "
            "decimal commas with pandas.read_csv(..., decimal=',')"
        )
    return np.array([math.nan if is_missing(item) else _as_float(item) for item in array])


def _as_float(item: Any) -> float:
    try:
        return float(item)
    except OverflowError:
        return math.inf if item > 0 else -math.inf


def read_whole(values: Any, name: str) -> NDArray[np.int64]:
    """One whole number per case."""
    found = read_numbers(values, name)
    bad = np.flatnonzero(~((np.abs(found) < 2**53) & (found == np.floor(found))))
    if bad.size:
        problem = affected(bad, found.size, f"{name} value", "are not whole")
        raise MetricError(f"{problem}; give whole numbers")
    return found.astype(np.int64)


def label_key(item: Any) -> str:
    """Text by which labels are compared: 1, 1.0 and numpy's 1 are equal, "1" is different."""
    if isinstance(item, np.generic) and item.dtype.kind not in "Mm":
        item = item.item()
    if isinstance(item, float) and item.is_integer():
        item = int(item)
    return f"{type(item).__name__}:{item}"


def read_number(value: Any, name: str) -> float:
    """Single number, possibly infinite.

    Raises
    ------
    MetricError
        If it is not a number, or NaN.
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
    """Whole number from 0 that fits 64 bits."""
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
    """Array of a single number or of a sequence of numbers."""
    return read_numbers([values] if isinstance(values, Real | Decimal) else values, name)


def check_kind(value: Any, kind: type, name: str) -> None:
    """Refuse an object that is not of the given type."""
    if not isinstance(value, kind):
        raise MetricError(f"{name} must be a {kind.__name__}")


def check_choice(value: Any, choices: Collection[str], name: str) -> None:
    """Refuse a text that is not one of the choices."""
    if not isinstance(value, str) or value not in choices:
        raise MetricError(f"{name} must be {' or '.join(repr(c) for c in choices)}")
