"""Counts of cases without score or reference standard, and bounds of their effect on rates."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from healthval.errors import MetricError, counted
from healthval.metrics.cases import check_probabilities, check_rows, read_reference, read_scores
from healthval.metrics.confusion import check_threshold
from healthval.metrics.estimate import Estimate
from healthval.metrics.inputs import Bools, Floats, missing_rows, read_column
from healthval.metrics.intervals.analytic import proportion


@dataclass(frozen=True, slots=True)
class Bounds:
    """A rate over complete cases, and with all missing values at their worst and at their best."""

    worst: Estimate
    observed: Estimate
    best: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingBounds:
    """Counts of incomplete cases, and bounds of sensitivity and specificity over them."""

    n: int
    n_complete: int
    n_without_score: int
    n_without_score_events: int
    n_without_score_non_events: int
    n_without_reference: int
    n_without_both: int
    sensitivity: Bounds
    specificity: Bounds


def missing_bounds(reference: ArrayLike, score: ArrayLike, threshold: float) -> MissingBounds:
    """Bounds of sensitivity and specificity over all missing or indeterminate values.

    At worst, every case without a score is classified wrongly, and every case without a reference
    standard belongs to the other class than the predicted one. At best, the reverse.

    Parameters
    ----------
    reference : bool or 0/1 array, missing values allowed, shape (n_cases,)
    score : probability array, missing (indeterminate) values allowed, shape (n_cases,)
    threshold : positive means score >= threshold

    Raises
    ------
    MetricError
        If the input does not fit, or the reference standard is known on one side of the threshold
        only (partial verification), because neither rate can then be observed.

    References
    ----------
    STARD 2015, items 15 and 16; TRIPOD+AI 2024 BMJ 385:e078378.

    Examples
    --------
    >>> found = missing_bounds([1, 1, 0, 0, None], [0.9, None, 0.2, 0.1, 0.3], 0.5)
    >>> [e.value for e in (found.sensitivity.worst, found.sensitivity.best)]
    [0.3333333333333333, 1.0]
    """
    check_threshold(threshold)
    check_rows(reference, score)
    truth, known = _with_gaps(reference)
    values, scored = _scores_with_gaps(score)
    if truth.size != values.size:
        raise MetricError(
            f"score has {counted(values.size, 'case')}, the reference standard {truth.size}; give one "
            "value per case"
        )
    positive = scored & (values >= threshold)
    complete = known & scored
    _check_verified_on_both_sides(known, scored, positive)
    return MissingBounds(
        n=truth.size,
        n_complete=_count(complete),
        n_without_score=_count(known & ~scored),
        n_without_score_events=_count(known & ~scored & truth),
        n_without_score_non_events=_count(known & ~scored & ~truth),
        n_without_reference=_count(~known & scored),
        n_without_both=_count(~known & ~scored),
        sensitivity=_bounds((truth, known, scored), positive),
        specificity=_bounds((known & ~truth, known, scored), scored & ~positive),
    )


def _bounds(state: tuple[Bools, Bools, Bools], right: Bools) -> Bounds:
    """Bounds of one class's rate.

    Parameters
    ----------
    state : cases known to belong to the class, with a known reference, with a score
    right : cases that the model classifies correctly if they belong to the class
    """
    member, known, scored = state
    hits, total = _count(member & right), _count(member & scored)
    unscored, lost = _count(member & ~scored), _count(~known & ~scored)
    unknown_right, unknown_wrong = _count(~known & right), _count(~known & scored & ~right)
    return Bounds(
        worst=proportion(hits, total + unscored + lost + unknown_wrong),
        observed=proportion(hits, total),
        best=proportion(
            hits + unscored + lost + unknown_right, total + unscored + lost + unknown_right
        ),
    )


def _check_verified_on_both_sides(known: Bools, scored: Bools, positive: Bools) -> None:
    for side, name in ((positive, "at or above"), (scored & ~positive, "below")):
        if side.any() and not (side & known).any() and (known & scored).any():
            raise MetricError(
                f"no case {name} the threshold has a reference standard ({counted(_count(side), 'case')}): "
                "under partial verification sensitivity and specificity cannot be observed; "
                "verify a random sample of these cases"
            )


def _count(mask: Bools) -> int:
    return int(np.count_nonzero(mask))


def _with_gaps(reference: ArrayLike) -> tuple[Bools, Bools]:
    array = read_column(reference, "reference")
    known = _known(array)
    truth = np.zeros(array.size, np.bool_)
    truth[known] = read_reference(array[known])
    return truth, known


def _scores_with_gaps(score: ArrayLike) -> tuple[Floats, Bools]:
    array = read_column(score, "score")
    scored = _known(array)
    values = np.zeros(array.size)
    values[scored] = read_scores(array[scored])
    check_probabilities(values)
    return values, scored


def _known(array: NDArray[Any]) -> Bools:
    known = np.ones(array.size, np.bool_)
    known[missing_rows(array)] = False
    return known
