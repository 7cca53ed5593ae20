"""Partial area under the ROC curve: only the range of rates that matters clinically."""

import numpy as np
from numpy.typing import ArrayLike

from healthval.errors import MetricError
from healthval.metrics.auroc import check_both_classes
from healthval.metrics.columns import read_numbers
from healthval.metrics.estimate import Estimate
from healthval.metrics.inputs import Cases, Floats, Ints, read_cases
from healthval.metrics.intervals.analytic import Bootstrap, Sample, percentile
from healthval.metrics.intervals.resampling import resampled_tables
from healthval.metrics.parameters import read_flag
from healthval.metrics.ranking.table import RankTable

Range = tuple[float, float]


def partial_auroc(  # noqa: PLR0913  # the range may be given on either axis
    reference: ArrayLike,
    score: ArrayLike,
    *,
    fpr: Range | None = None,
    tpr: Range | None = None,
    corrected: bool = True,
    cluster: ArrayLike | None = None,
) -> Estimate:
    """Area under the empirical ROC curve between two false- or two true-positive rates.

    Over false-positive rates it is the area below the curve; over true-positive rates the area
    beside it (specificity). The interval is a bootstrap, stratified by class, or of whole
    patients with clusters.

    Parameters
    ----------
    reference : bool or 0/1 array, shape (n_cases,)
    score : array, shape (n_cases,)
    fpr, tpr : (low, high) within 0 to 1; exactly one of them
    corrected : McClish's scale, 1/2 for a useless and 1 for a perfect score; else the bare area
    cluster : patient of each case

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

    def area(cum_pos: Ints, cum_neg: Ints) -> float:
        bare = _area(_axis(cum_pos), _axis(cum_neg), bounds, horizontal)
        return _mcclish(bare, bounds, horizontal) if corrected else bare

    value = area(table.cum_pos, table.cum_neg)
    reps = np.array([area(*counts) for counts in resampled_tables(cases, Bootstrap())])
    sample = Sample(cases.n, cases.n_events)
    method = "bootstrap percentile" + (" (mcclish)" if corrected else "")
    reason = _without_interval(cases, reps)
    if reason is not None:
        return sample.bare(value, method, reason=reason)
    lo, hi = percentile(reps, sample.level)
    return sample.given(value, (min(lo, value), max(hi, value)), float(reps.std(ddof=1)), method)


def _without_interval(cases: Cases, reps: Floats) -> str | None:
    if cases.smaller_class < 2:
        return "a class has a single case or patient: no interval"
    if np.ptp(reps) < 1e-12:
        return "every replicate is alike: no interval"
    return None


def _range(fpr: Range | None, tpr: Range | None) -> tuple[Range, bool]:
    given = fpr if fpr is not None else tpr
    if given is None or (fpr is not None and tpr is not None):
        raise MetricError("give exactly one of fpr=(low, high) and tpr=(low, high)")
    bounds = read_numbers(given, "the range")
    if bounds.size != 2:
        raise MetricError("the range needs two numbers, low and high")
    low, high = bounds.tolist()
    if not 0 <= low < high <= 1:
        raise MetricError("the range needs 0 <= low < high <= 1")
    return (low, high), fpr is not None


def _axis(cumulative: Ints) -> Floats:
    """Positive rate of one class from no case flagged to all flagged."""
    flagged = cumulative[-1] - np.append(cumulative[::-1], 0)
    rate: Floats = flagged / cumulative[-1]
    return rate


def _area(tpr: Floats, fpr: Floats, bounds: Range, horizontal: bool) -> float:
    x, y = (fpr, tpr) if horizontal else (tpr, 1 - fpr)
    inside = (x > bounds[0]) & (x < bounds[1])
    first, last = _edge(x, y, bounds[0], "right"), _edge(x, y, bounds[1], "left")
    xs = np.concatenate([[bounds[0]], x[inside], [bounds[1]]])
    ys = np.concatenate([[first], y[inside], [last]])
    return float(np.sum((xs[1:] - xs[:-1]) * (ys[1:] + ys[:-1])) / 2)


def _edge(x: Floats, y: Floats, at: float, side: str) -> float:
    """Height of the curve at a bound, seen from inside the range."""
    if side == "right":  # last vertex at or before the bound, then on along the segment
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
