"""What a caller hands in, case by case: nothing missing is overlooked, no row mistaken for another."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from healthval.errors import MetricError


def is_missing(item: Any) -> bool:
    """None, NaN, NaT and pandas.NA."""
    if item is None or type(item).__name__ in {"NAType", "NaTType"}:
        return True
    if isinstance(item, np.datetime64 | np.timedelta64):
        return bool(np.isnat(item))
    return isinstance(item, float | np.floating) and bool(np.isnan(item))


def read_array(values: Any, name: str) -> NDArray[Any]:
    """Any shape; what a mask hides is None, and a list that mixes texts with others keeps both.

    Raises
    ------
    MetricError
        If it is no rectangular sequence.
    """
    if isinstance(values, np.ma.MaskedArray):
        return _unmasked(values)
    if isinstance(values, np.ndarray):
        return np.asarray(values)
    try:
        array = np.asarray(values.to_numpy() if hasattr(values, "to_numpy") else values)
        # Among texts numpy would turn NaN and None into the texts "nan" and "None".
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
    """One value per case, of any kind."""
    array = read_array(values, name)
    if array.ndim != 1:
        raise MetricError(f"{name} has {array.ndim} dimensions; give one value per case")
    return array


def missing_rows(array: NDArray[Any]) -> NDArray[np.intp]:
    """Positions of what is missing."""
    if array.dtype.kind == "f":
        return np.flatnonzero(np.isnan(array))
    if array.dtype.kind in "OMm":
        return np.flatnonzero(np.array([is_missing(item) for item in array], np.bool_))
    return np.array([], np.intp)


def is_numeric(array: NDArray[Any]) -> bool:
    """Whether all that is not missing is a number (or a bool)."""
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
            f"{name} is not numeric ({array.size} cases); convert it before the evaluation"
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
        raise MetricError(
            f"{bad.size} of {found.size} values of {name} are no whole numbers (first at row {bad[0]})"
        )
    return found.astype(np.int64)


def label_key(item: Any) -> str:
    """Text by which labels compare: 1, 1.0 and numpy's 1 are one label, "1" is another."""
    if isinstance(item, np.generic) and item.dtype.kind not in "Mm":
        item = item.item()
    if isinstance(item, float) and item.is_integer():
        item = int(item)
    return f"{type(item).__name__}:{item}"


def check_rows(*columns: Any, cluster: Any = None) -> None:
    """Pandas row labels: the same in every column, and a repeated one needs a declared cluster."""
    indexed = [x.index for x in (*columns, cluster) if _has_rows(x)]
    if any(not indexed[0].equals(other) for other in indexed[1:]):
        raise MetricError(
            "the columns carry different row labels; align them on the case id first (for example "
            "with .reindex), or pass plain arrays"
        )
    if indexed and cluster is None and not indexed[0].is_unique:
        repeated = np.flatnonzero(indexed[0].duplicated())
        raise MetricError(
            f"{repeated.size} row labels repeat an earlier one (first at row {repeated[0]}); if "
            "they are patients declare cluster=... (or, where there is none, keep one case of "
            "each), if they mean nothing use .reset_index(drop=True)"
        )


def _has_rows(values: Any) -> bool:
    index = getattr(values, "index", None)
    return hasattr(values, "to_numpy") and hasattr(index, "is_unique")
