"""Checks and conversion of a caller's columns, numbers and options.

Missing values and row labels are checked first. Errors contain name, count and first row, never a
value.
"""

import hashlib
import math
from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from healthval.errors import MetricError, MissingPredictionError, counted, part

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
_BITS_OF_INFINITY = 0x7FF << 52


class DirectionWarning(UserWarning):
    """The score ranks the classes in the wrong direction."""


@dataclass(frozen=True, slots=True)
class Cases:
    """Reference standard, score and cluster code of each case, checked, in the caller's order."""

    reference: Bools
    score: Floats
    cluster: Ints | None

    @property
    def n(self) -> int:
        """Number of cases."""
        return self.reference.size

    @property
    def n_events(self) -> int:
        """Number of cases with the target condition."""
        return int(np.count_nonzero(self.reference))

    @property
    def smaller_class(self) -> int:
        """Number of cases, or of patients with clusters, in the class that has fewer."""
        owner = np.arange(self.n) if self.cluster is None else self.cluster
        return min(np.unique(owner[rows]).size for rows in (self.reference, ~self.reference))

    def take(self, rows: NDArray[Any]) -> "Cases":
        """Cases of the given rows (mask or positions), with new cluster codes."""
        cluster = None if self.cluster is None else _codes(self.cluster[rows])
        return Cases(self.reference[rows], self.score[rows], cluster)


def read_cases(reference: ArrayLike, score: ArrayLike, cluster: ArrayLike | None = None) -> Cases:
    """Checked cases; the score may be any finite number.

    Raises
    ------
    MetricError
        If lengths, row labels, classes or clusters do not fit.
    MissingPredictionError
        If a score is missing or infinite.
    """
    check_rows(reference, score, cluster=cluster)
    labels, values = read_reference(reference), read_scores(score)
    _check_length("score", values.size, labels.size)
    codes = None if cluster is None else read_cluster(cluster, labels.size)
    return Cases(labels, values, codes)


def read_probability_cases(
    reference: ArrayLike, score: ArrayLike, cluster: ArrayLike | None = None
) -> Cases:
    """Checked cases as in `read_cases`; the score must be a probability.

    Raises
    ------
    MetricError
        Also if a score is outside 0 to 1.
    """
    cases = read_cases(reference, score, cluster)
    check_probabilities(cases.score)
    return cases


def check_probabilities(score: Floats) -> None:
    """Refuse scores outside 0 to 1, with a hint at their probable scale."""
    if not score.size or (score.min() >= 0 and score.max() <= 1):
        return
    bad = np.flatnonzero((score < 0) | (score > 1))
    found = affected(bad, score.size, "score", "are outside 0 to 1")
    raise MetricError(f"{found}; {_scale_hint(score)}")


def affected(rows: NDArray[Any], total: int, noun: str, problem: str) -> str:
    """Text with the number of affected rows, the total, the problem and the first row.

    >>> affected(np.array([4, 7]), 9, "score", "are missing")
    '2 of 9 scores are missing (first at row 4)'
    """
    return f"{part(rows.size, total, noun, problem)} (first at row {rows[0]})"


def _scale_hint(score: Floats) -> str:
    if score.min() < 0:
        return "log-odds? apply the inverse logit first"
    if score.max() <= 100:
        return "percentages? divide by 100 first"
    return "give the model's probability"


def read_scores(score: ArrayLike) -> Floats:
    """Scores as finite float64, one per case."""
    values = read_numbers(score, "score")
    if values.size and not (_plain(values) or _all_finite(values)):
        bad = np.flatnonzero(~np.isfinite(values))
        if bad.size:
            found = affected(bad, values.size, "score", "are missing or infinite")
            raise MissingPredictionError(
                f"{found}; count them as indeterminate, or bound their effect with missing_bounds"
            )
    return values


def _plain(values: Floats) -> bool:
    """Whether all are finite and not negative: one pass, their bits are below those of infinity."""
    return bool(values.view(np.uint64).max() < _BITS_OF_INFINITY)


def _all_finite(values: Floats) -> bool:
    return bool(np.isfinite(values.min()) and np.isfinite(values.max()))


def read_reference(reference: ArrayLike, name: str = "reference") -> Bools:
    """Bool, or 0 and 1; other labels need `reference_standard(labels, positive=...)`."""
    array = read_column(reference, name)
    if array.dtype == np.bool_:
        return array
    if array.dtype.kind in "iu":
        return _zero_one(array, name)
    if is_numeric(array):
        values = read_numbers(reference, name)
        missing = np.flatnonzero(np.isnan(values))
        if missing.size:
            found = affected(missing, values.size, f"{name} value", "are missing")
            raise MetricError(
                f"{found}; exclude and count them, or bound their effect with missing_bounds"
            )
        return _zero_one(values, name)
    raise MetricError(
        f"{name} has labels that are not bool or 0/1 ({counted(array.size, 'case')}); name the "
        "positive label with reference_standard(labels, positive=...)"
    )


def _zero_one(values: NDArray[Any], name: str) -> Bools:
    labels = values.astype(np.bool_)
    if values.size and (values.min() < 0 or values.max() > 1):
        remedy = "name the positive label with reference_standard(labels, positive=...)"
    elif values.dtype.kind == "f" and not np.array_equal(labels, values):
        remedy = "the reference standard is a class, not a probability"
    else:
        return labels
    bad = np.flatnonzero((values != 0) & (values != 1))
    found = affected(bad, values.size, f"{name} value", "are neither 0 nor 1")
    raise MetricError(f"{found}; {remedy}")


def reference_standard(labels: ArrayLike, *, positive: Any) -> Bools:
    """Reference standard from labels, of which `positive` is the target condition.

    Parameters
    ----------
    labels : array of anything comparable, shape (n_cases,)
    positive : the label that means "has the target condition"

    Returns
    -------
    bool array, shape (n_cases,)

    Raises
    ------
    MetricError
        If a label is missing, or no label equals `positive`.

    Examples
    --------
    >>> reference_standard(["sick", "well", "sick"], positive="sick")
    array([ True, False,  True])
    """
    if isinstance(positive, list | tuple | set | frozenset | np.ndarray):
        raise MetricError(
            "positive must be a single label, not a list; for several labels mark them beforehand,"
            " for example with labels.isin([...])"
        )
    array = read_column(labels, "labels")
    missing = missing_rows(array)
    if missing.size:
        found_missing = affected(missing, array.size, "label", "are missing")
        raise MetricError(f"{found_missing}; exclude and count these cases")
    try:
        found = np.fromiter((bool(label == positive) for label in array), np.bool_, array.size)
    except (TypeError, ValueError):
        raise MetricError("positive must be a single label") from None
    if array.size and not found.any():
        raise MetricError(
            f"none of {counted(array.size, 'label')} equals the positive label; check its spelling "
            "and type"
        )
    return found


def read_cluster(cluster: ArrayLike, n: int) -> Ints:
    """Patient (or other cluster) of each case as codes 0, 1, ...; missing ids are refused."""
    array = read_column(cluster, "cluster")
    _check_length("cluster", array.size, n)
    missing = missing_rows(array)
    if missing.size:
        found = affected(missing, n, "cluster id", "are missing")
        raise MetricError(f"{found}; give the patient of every case")
    return _codes(array)


def _codes(array: NDArray[Any]) -> Ints:
    if array.dtype.kind == "O":
        array = np.array([label_key(item) for item in array])
    return np.unique(array, return_inverse=True)[1].astype(np.int64).reshape(-1)


def _check_length(name: str, found: int, expected: int) -> None:
    if found != expected:
        raise MetricError(
            f"{name} has {counted(found, 'case')}, the reference standard {expected}; give one "
            "value per case"
        )


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
            f"{name} is not numeric ({counted(array.size, 'case')}); convert it before the "
            "evaluation"
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


def check_rows(*columns: Any, cluster: Any = None) -> None:
    """Refuse pandas columns with different row labels, and repeated labels without a cluster."""
    indexed = [x.index for x in (*columns, cluster) if _has_row_labels(x)]
    if any(not indexed[0].equals(other) for other in indexed[1:]):
        raise MetricError(
            "the columns have different row labels; align them on the case id first (for example "
            "with .reindex), or pass plain arrays"
        )
    if indexed and cluster is None and not indexed[0].is_unique:
        repeated = np.flatnonzero(indexed[0].duplicated())
        raise MetricError(
            f"{counted(repeated.size, 'row label repeats', 'row labels repeat')} an earlier one "
            f"(first at row {repeated[0]}); if they are patients, declare cluster=... (or, without "
            "such an argument, keep one case of each); if they have no meaning, use "
            ".reset_index(drop=True)"
        )


def _has_row_labels(values: Any) -> bool:
    index = getattr(values, "index", None)
    return hasattr(values, "to_numpy") and hasattr(index, "is_unique")


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


def members_digest(chosen: Bools) -> str:
    """Digest of a set of rows; the same rows have the same digest under any name."""
    return hashlib.sha256(np.packbits(chosen).tobytes()).hexdigest()
