"""Average precision: area under the precision-recall curve, with its interval."""

import math

import numpy as np
from numpy.typing import ArrayLike

from healthval.contracts.proportions import wilson
from healthval.metrics.cases import Cases, check_both_classes, read_cases
from healthval.metrics.estimate import Estimate, Sample
from healthval.metrics.inputs import Tallies
from healthval.metrics.intervals.resampling import Bootstrap, percentile, resampled_tables
from healthval.metrics.logistic import dot
from healthval.metrics.names import named
from healthval.metrics.ranking.table import BLOCK, RankTable


@named
def average_precision(
    reference: ArrayLike,
    score: ArrayLike,
    *,
    cluster: ArrayLike | None = None,
    level: float = 0.95,
) -> Estimate:
    """Average precision: step-wise area under the precision-recall curve, ties as one step.

    Compare it with the prevalence, `n_events / n` of the result: the value of an uninformative score.

    Parameters
    ----------
    reference : bool or 0/1 array, shape (n_cases,)
    score : array, shape (n_cases,)
    cluster : patient of each case; then a patient-level bootstrap gives the interval

    Raises
    ------
    SingleClassError
        If a class is empty.

    References
    ----------
    Boyd, Eng and Page 2013 ECML PKDD (logit interval).

    Examples
    --------
    >>> print(f"{average_precision([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]).value:.4f}")
    0.8333
    """
    return average_precision_of(read_cases(reference, score, cluster), level=level)


def average_precision_of(
    cases: Cases, *, level: float = 0.95, table: RankTable | None = None
) -> Estimate:
    """`average_precision` of checked cases."""
    check_both_classes(cases, "average precision")
    table = table or RankTable.from_scores(cases.reference, cases.score)
    ap, m = _ap(table.cum_pos, table.cum_neg), cases.n_events
    sample = Sample(cases.n, m, level)
    if cases.cluster is not None:
        plan = Bootstrap(reps=1000)
        reps = np.array([_ap(pos, neg) for pos, neg in resampled_tables(cases, plan)])
        se, m = float(reps.std(ddof=1)), cases.n_owners_of_events
        lo, hi = percentile(reps, level)
        if hi - lo < 1e-12:
            return sample.with_bounds(ap, wilson(ap * m, m, sample.z), None, "wilson (patients)")
        return sample.with_bounds(ap, (lo, hi), se, "patient bootstrap percentile")
    se = math.sqrt(ap * (1 - ap) / m)
    if not 0 < ap < 1:
        return sample.with_bounds(ap, wilson(ap * m, m, sample.z), None, "wilson")
    return sample.logit(ap, se, "boyd logit")


def _ap(cum_pos: Tallies, cum_neg: Tallies) -> float:
    """Sum of recall gain times precision, from the highest score down."""
    m = float(cum_pos[-1])
    found, flagged = np.empty(cum_pos.size), np.empty(cum_pos.size)
    found[0], flagged[0] = m, m + float(cum_neg[-1])
    found[1:] = cum_pos[:-1]
    flagged[1:] = cum_neg[:-1]
    flagged[1:] += found[1:]
    np.subtract(flagged[0], flagged[1:], out=flagged[1:])
    np.subtract(m, found[1:], out=found[1:])
    # A replicate may have no case at or above a score: 0 of 0, which gains nothing.
    precision = np.divide(found, flagged, out=flagged, where=flagged > 0)
    for start in range(
        0, found.size - 1, BLOCK
    ):  # in blocks: a shift in place copies what it reads
        next_ones = found[start + 1 : start + 1 + BLOCK]
        found[start : start + next_ones.size] -= next_ones
    return dot(found, precision) / m
