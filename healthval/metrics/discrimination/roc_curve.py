"""ROC curve: sensitivity at fixed false-positive rates, with pointwise intervals."""

import numpy as np

from healthval.contracts.proportions import wilson
from healthval.metrics.cases import Cases, check_both_classes
from healthval.metrics.estimate import Estimate, Sample
from healthval.metrics.inputs import Floats, Tallies
from healthval.metrics.intervals.resampling import Bootstrap, percentile, resampled_tables
from healthval.metrics.ranking.table import RankTable


def roc_points(
    cases: Cases, table: RankTable, grid: tuple[float, ...], *, level: float = 0.95
) -> tuple[tuple[float, Estimate], ...]:
    """Sensitivity at fixed false-positive rates, linear between empirical points, pointwise.

    The empirical vertices are never returned, because they are individual scores. The interval is a
    stratified bootstrap (of whole patients with clusters), or Wilson's where that has no width.
    """
    check_both_classes(cases, "the ROC curve")
    values = _sensitivity_at(table.cum_pos, table.cum_neg, grid)
    plan = Bootstrap(500)
    if cases.cluster is None:
        reps = _resampled_sensitivity(table, grid, plan)
    else:
        drawn = resampled_tables(cases, plan)
        reps = np.array([_sensitivity_at(pos, neg, grid) for pos, neg in drawn])
    sample, m = Sample(cases.n, cases.n_events, level), cases.n_owners_of_events
    points = []
    for fpr, value, column in zip(grid, values.tolist(), reps.T, strict=True):
        lo, hi = percentile(column, level)
        method, se = "bootstrap percentile pointwise", float(column.std(ddof=1))
        if max(hi, value) - min(lo, value) < 1e-12:
            (lo, hi), method = wilson(value * m, m, sample.z), "wilson pointwise"
        bounds = (min(lo, value), max(hi, value))
        points.append((fpr, sample.with_bounds(value, bounds, se or None, method)))
    return tuple(points)


def _resampled_sensitivity(table: RankTable, grid: tuple[float, ...], plan: Bootstrap) -> Floats:
    """Replicates of the sensitivity at each rate without resampled cases, shape (reps, rates).

    The threshold of a replicate is an order statistic of the n negatives. Its rank among the
    original negatives, as a share, follows Beta(rate n, (1 - rate) n + 1). The number of positives
    above it is binomial.
    """
    rng, n, m = plan.rng(), table.n_neg, table.n_pos
    rate = np.array(grid)
    at = rng.beta(rate * n, (1 - rate) * n + 1, size=(plan.reps, rate.size))
    kept = _sensitivity_at(table.cum_pos, table.cum_neg, at.ravel())
    drawn: Floats = rng.binomial(m, np.clip(kept, 0, 1)).reshape(at.shape) / m
    return drawn


def _sensitivity_at(cum_pos: Tallies, cum_neg: Tallies, grid: tuple[float, ...] | Floats) -> Floats:
    # np.interp takes the last of equal abscissae: the highest sensitivity at that rate.
    sensitivity: Floats = np.interp(grid, flagged_share(cum_neg), flagged_share(cum_pos))
    return sensitivity


def flagged_share(cumulative: Tallies) -> Floats:
    """Share of one class at or above each threshold, from no case to all cases."""
    share = np.zeros(cumulative.size + 1)
    share[:-1] = cumulative[::-1]
    np.subtract(cumulative[-1], share, out=share)  # in place, because memory bounds the cases
    share /= cumulative[-1]
    return share
