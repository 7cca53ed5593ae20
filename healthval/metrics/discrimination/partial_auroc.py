"""Partial AUROC: area under the ROC curve within a range of either axis."""

import numpy as np
from numpy.typing import ArrayLike

from healthval.errors import MetricError
from healthval.metrics.cases import Cases, check_both_classes, read_cases
from healthval.metrics.discrimination.roc_curve import flagged_share
from healthval.metrics.estimate import Estimate, Sample
from healthval.metrics.inputs import Floats, Tallies, read_flag, read_numbers
from healthval.metrics.intervals.resampling import Bootstrap, percentile_estimate, resampled_tables
from healthval.metrics.names import named
from healthval.metrics.ranking.table import RankTable

Range = tuple[float, float]


@named
def partial_auroc(  # noqa: PLR0913  # the range may be given on either axis
    reference: ArrayLike,
    score: ArrayLike,
    *,
    fpr: Range | None = None,
    tpr: Range | None = None,
    corrected: bool = True,
    cluster: ArrayLike | None = None,
    level: float = 0.95,
) -> Estimate:
    """Area under the empirical ROC curve between two false- or two true-positive rates.

    For false-positive rates, it is the area below the curve; for true-positive rates, the area to
    its right (specificity). The interval is a bootstrap, stratified by class, or of whole patients
    with clusters.

    Parameters
    ----------
    reference : bool or 0/1 array, shape (n_cases,)
    score : array, shape (n_cases,)
    fpr, tpr : (low, high) within 0 to 1; exactly one of them
    corrected : McClish's scale, 1/2 for an uninformative and 1 for a perfect score, not estimable
        below 1/2; False for the plain area
    cluster : patient of each case
    level : confidence level

    Raises
    ------
    SingleClassError
        If a class is empty.
    MetricError
        If the range does not fit.

    References
    ----------
    McClish 1989 Med Decis Making 9:190; pROC::auc(partial.auc).

    Examples
    --------
    >>> y, p = [0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]
    >>> round(partial_auroc(y, p, fpr=(0, 1), corrected=False).value, 4)
    0.75
    """
    bounds, horizontal = _range(fpr, tpr)
    corrected = read_flag(corrected, "corrected")
    cases = read_cases(reference, score, cluster)
    check_both_classes(cases, "partial AUROC")
    table = RankTable.from_scores(cases.reference, cases.score)

    def area(cum_pos: Tallies, cum_neg: Tallies) -> float:
        plain = _area(flagged_share(cum_pos), flagged_share(cum_neg), bounds, horizontal)
        return _mcclish(plain, bounds, horizontal) if corrected else plain

    value = area(table.cum_pos, table.cum_neg)
    sample = Sample(cases.n, cases.n_events, level)
    method = "bootstrap percentile" + (" (mcclish)" if corrected else "")
    if corrected and value < 0.5:
        below = "the area is below chance, where McClish's correction has no meaning"
        return sample.not_estimable(f"{below}; pass corrected=False", method)
    reps = np.array([area(*counts) for counts in resampled_tables(cases, Bootstrap())])
    reason = _reason_without_interval(cases, reps)
    if reason is not None:
        return sample.without_interval(value, method, reason=reason)
    return percentile_estimate(sample, value, reps, method)


def _reason_without_interval(cases: Cases, reps: Floats) -> str | None:
    if cases.smaller_class < 2:
        return "a class has a single case or patient: no interval"
    if np.ptp(reps) < 1e-12:
        return "all replicates are equal: no interval"
    return None


def _range(fpr: Range | None, tpr: Range | None) -> tuple[Range, bool]:
    chosen = fpr if fpr is not None else tpr
    if chosen is None or (fpr is not None and tpr is not None):
        raise MetricError("give exactly one of fpr=(low, high) and tpr=(low, high)")
    bounds = read_numbers(chosen, "the range")
    if bounds.size != 2:
        raise MetricError("the range needs two numbers, low and high")
    low, high = bounds.tolist()
    if not 0 <= low < high <= 1:
        raise MetricError("the range needs 0 <= low < high <= 1")
    return (low, high), fpr is not None


def _area(tpr: Floats, fpr: Floats, bounds: Range, horizontal: bool) -> float:
    x, y = (fpr, tpr) if horizontal else (tpr, 1 - fpr)
    inside = (x > bounds[0]) & (x < bounds[1])
    first, last = _edge(x, y, bounds[0], "right"), _edge(x, y, bounds[1], "left")
    xs = np.concatenate([[bounds[0]], x[inside], [bounds[1]]])
    ys = np.concatenate([[first], y[inside], [last]])
    return float(np.sum((xs[1:] - xs[:-1]) * (ys[1:] + ys[:-1])) / 2)


def _edge(x: Floats, y: Floats, at: float, side: str) -> float:
    """Height of the curve at a bound, as the limit from inside the range."""
    if side == "right":  # interpolates from the last vertex at or before the bound
        i = int(np.searchsorted(x, at, side="right")) - 1
        j = min(i + 1, x.size - 1)
    else:
        j = int(np.searchsorted(x, at, side="left"))
        i = max(j - 1, 0)
    if x[j] == x[i]:
        return float(y[i] if side == "right" else y[j])
    return float(y[i] + (y[j] - y[i]) * (at - x[i]) / (x[j] - x[i]))


def _mcclish(area: float, bounds: Range, horizontal: bool) -> float:
    low, high = bounds if horizontal else (1 - bounds[1], 1 - bounds[0])
    least, most = (low + high) * (high - low) / 2, high - low
    return (1 + (area - least) / (most - least)) / 2 if most > least else 1.0
