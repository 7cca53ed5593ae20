"""Read what a caller hands in; refuse what cannot be judged, without quoting a value."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from healthval.errors import MetricError, MissingPredictionError
from healthval.metrics.columns import (
    check_rows,
    is_numeric,
    label_key,
    missing_rows,
    read_column,
    read_numbers,
)

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
