"""Read what a caller hands in; refuse what cannot be judged, without quoting a value."""

import math
from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from healthval.errors import MetricError, MissingPredictionError


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


Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
_BITS_OF_INFINITY = 0x7FF << 52


class DirectionWarning(UserWarning):
    """The score ranks the classes the wrong way round."""


@dataclass(frozen=True, slots=True)
class Cases:
    """Reference standard, score and cluster code of each case, checked, in the caller's order."""

    reference: Bools
    score: Floats
    cluster: Ints | None

    @property
    def n(self) -> int:
        """Cases."""
        return self.reference.size

    @property
    def n_events(self) -> int:
        """Cases with the target condition."""
        return int(np.count_nonzero(self.reference))

    @property
    def smaller_class(self) -> int:
        """Cases, or patients where cases are clustered, of the class that has fewer."""
        owner = np.arange(self.n) if self.cluster is None else self.cluster
        return min(np.unique(owner[rows]).size for rows in (self.reference, ~self.reference))

    def take(self, rows: NDArray[Any]) -> "Cases":
        """Only the given rows (mask or positions); clusters are numbered anew."""
        cluster = None if self.cluster is None else _codes(self.cluster[rows])
        return Cases(self.reference[rows], self.score[rows], cluster)


def read_cases(reference: ArrayLike, score: ArrayLike, cluster: ArrayLike | None = None) -> Cases:
    """Check and convert; the score may be any finite number.

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
    """As `read_cases`; the score must be a probability.

    Raises
    ------
    MetricError
        Also if a score lies outside 0 to 1.
    """
    cases = read_cases(reference, score, cluster)
    check_probabilities(cases.score)
    return cases


def check_probabilities(score: Floats) -> None:
    """Refuse scores outside 0 to 1, with a guess at what they are."""
    if not score.size or (score.min() >= 0 and score.max() <= 1):
        return
    bad = np.flatnonzero((score < 0) | (score > 1))
    raise MetricError(
        f"{bad.size} of {score.size} scores lie outside 0 to 1 (first at row {bad[0]}); "
        f"{_scale_hint(score)}"
    )


def _scale_hint(score: Floats) -> str:
    if score.min() < 0:
        return "log-odds? apply the inverse logit first"
    if score.max() <= 100:
        return "percentages? divide by 100 first"
    return "give the model's probability"


def read_scores(score: ArrayLike) -> Floats:
    """One finite float64 per case."""
    values = read_numbers(score, "score")
    if values.size and not (_plain(values) or _all_finite(values)):
        bad = np.flatnonzero(~np.isfinite(values))
        if bad.size:
            raise MissingPredictionError(
                f"{bad.size} of {values.size} scores are missing or infinite (first at row "
                f"{bad[0]}); count them as indeterminate, or bound their effect with missing_bounds"
            )
    return values


def _plain(values: Floats) -> bool:
    """Finite and not negative, in one pass: the bits of such numbers lie below those of infinity."""
    return bool(values.view(np.uint64).max() < _BITS_OF_INFINITY)


def _all_finite(values: Floats) -> bool:
    return bool(np.isfinite(values.min()) and np.isfinite(values.max()))


def read_reference(reference: ArrayLike, name: str = "reference") -> Bools:
    """Bool, or 0 and 1; anything else needs `reference_standard(labels, positive=...)`."""
    array = read_column(reference, name)
    if array.dtype == np.bool_:
        return array
    if array.dtype.kind in "iu":
        return _zero_one(array, name)
    if is_numeric(array):
        values = read_numbers(reference, name)
        missing = np.flatnonzero(np.isnan(values))
        if missing.size:
            raise MetricError(
                f"{missing.size} of {values.size} {name} values are missing (first at row "
                f"{missing[0]}); exclude and count them, or bound their effect with missing_bounds"
            )
        return _zero_one(values, name)
    raise MetricError(
        f"{name} holds labels that are not bool or 0/1 ({array.size} cases); name the positive "
        "one with reference_standard(labels, positive=...)"
    )


def _zero_one(values: NDArray[Any], name: str) -> Bools:
    if values.size and (values.min() < 0 or values.max() > 1):
        bad = np.flatnonzero((values != 0) & (values != 1))
        raise MetricError(
            f"{bad.size} of {values.size} {name} values are neither 0 nor 1 (first at row "
            f"{bad[0]}); name the positive label with reference_standard(labels, positive=...)"
        )
    labels = values.astype(np.bool_)
    if values.dtype.kind == "f" and not np.array_equal(labels, values):
        bad = np.flatnonzero(labels != values)
        raise MetricError(
            f"{bad.size} of {values.size} {name} values are neither 0 nor 1 (first at row "
            f"{bad[0]}); the reference standard is a class, not a probability"
        )
    return labels


def reference_standard(labels: ArrayLike, *, positive: Any) -> Bools:
    """Turn labels into the reference standard by naming the positive one.

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
        If a label is missing, or none equals `positive`.

    Examples
    --------
    >>> reference_standard(["sick", "well", "sick"], positive="sick")
    array([ True, False,  True])
    """
    array = read_column(labels, "labels")
    missing = missing_rows(array)
    if missing.size:
        raise MetricError(
            f"{missing.size} of {array.size} labels are missing (first at row {missing[0]}); "
            "exclude and count them"
        )
    try:
        found = np.fromiter((bool(label == positive) for label in array), np.bool_, array.size)
    except (TypeError, ValueError):
        raise MetricError("positive must be a single label") from None
    if array.size and not found.any():
        raise MetricError(
            f"none of {array.size} labels equals the positive label; check its spelling and type"
        )
    return found


def read_cluster(cluster: ArrayLike, n: int) -> Ints:
    """Patient (or other cluster) of each case as codes 0, 1, ...; a missing id is refused."""
    array = read_column(cluster, "cluster")
    _check_length("cluster", array.size, n)
    missing = missing_rows(array)
    if missing.size:
        raise MetricError(
            f"{missing.size} of {n} cluster ids are missing (first at row {missing[0]}); "
            "every case needs its patient"
        )
    return _codes(array)


def _codes(array: NDArray[Any]) -> Ints:
    if array.dtype.kind == "O":
        array = np.array([label_key(item) for item in array])
    return np.unique(array, return_inverse=True)[1].astype(np.int64).reshape(-1)


def _check_length(name: str, found: int, expected: int) -> None:
    if found != expected:
        raise MetricError(
            f"{name} has {found} cases, the reference standard {expected}; give one per case"
        )


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
