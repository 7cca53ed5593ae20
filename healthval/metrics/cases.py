"""Cases of an evaluation, checked: reference standard, score and patient of each.

Missing values and row labels are checked first. Errors contain name, count and first row, never a
value.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from healthval.errors import MetricError, MissingPredictionError, SingleClassError, counted
from healthval.metrics.estimate import Sample
from healthval.metrics.inputs import (
    Bools,
    Floats,
    Ints,
    affected,
    is_numeric,
    label_key,
    missing_rows,
    read_column,
    read_numbers,
)

_BITS_OF_INFINITY = 0x7FF << 52


@dataclass(frozen=True, slots=True)
class Cases:
    """Reference standard, score and cluster code of each case, checked, in the caller's order.

    `level` is the confidence level of the intervals of an evaluation of these cases.
    """

    reference: Bools
    score: Floats
    cluster: Ints | None
    level: float = 0.95

    @property
    def sample(self) -> Sample:
        """Numbers and confidence level for estimates about these cases."""
        return Sample(self.n, self.n_events, self.level)

    @property
    def n(self) -> int:
        """Number of cases."""
        return self.reference.size

    @property
    def n_events(self) -> int:
        """Number of cases with the target condition."""
        return int(np.count_nonzero(self.reference))

    @property
    def n_owners_of_events(self) -> int:
        """Number of cases, or of patients with clusters, with the target condition."""
        return self._owners(self.reference)

    @property
    def smaller_class(self) -> int:
        """Number of cases, or of patients with clusters, in the class that has fewer."""
        return min(self._owners(self.reference), self._owners(~self.reference))

    def _owners(self, rows: Bools) -> int:
        if self.cluster is None:
            return int(np.count_nonzero(rows))
        return int(np.unique(self.cluster[rows]).size)

    def take(self, rows: NDArray[Any]) -> "Cases":
        """Cases of the given rows (mask or positions), with new cluster codes."""
        cluster = None if self.cluster is None else _codes(self.cluster[rows])
        return Cases(self.reference[rows], self.score[rows], cluster, self.level)


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
                f"{found}; leave these cases out and report their number, "
                "or bound their effect with healthval.metrics.missing_bounds"
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
        If a label is missing, no label equals `positive`, or one differs from it only in spaces or
        capital letters.

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
    _refuse_other_spellings(array, found, positive)
    return found


def _refuse_other_spellings(labels: Any, found: Bools, positive: Any) -> None:
    """Refuse labels that would count as negative because of a capital letter or a space."""
    if not isinstance(positive, str):
        return
    word = positive.strip().casefold()
    alike = (isinstance(label, str) and label.strip().casefold() == word for label in labels)
    rows = np.flatnonzero(np.fromiter(alike, np.bool_, len(labels)) & ~found)
    if rows.size:
        differ = affected(
            rows, len(labels), "label", "differ from the positive label only in spaces or capitals"
        )
        raise MetricError(f"{differ}; give each label one spelling")


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


def member_bits(chosen: Bools) -> bytes:
    """Set of rows, one bit for each case."""
    return np.packbits(chosen).tobytes()


def check_both_classes(cases: Cases, what: str) -> None:
    """Refuse an empty class, for a statistic that compares the classes."""
    if 0 < cases.n_events < cases.n:
        return
    missing = "positives" if cases.n_events == 0 else "negatives"
    raise SingleClassError(f"{what} needs both classes; got 0 {missing} of {cases.n}")
