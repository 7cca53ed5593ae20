"""Discrimination: AUROC, partial AUROC, average precision and the ROC curve."""

import math
import warnings
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from healthval.contracts.proportions import wilson
from healthval.errors import MetricError, SingleClassError
from healthval.metrics.estimate import Estimate, Sample
from healthval.metrics.inputs import (
    Cases,
    DirectionWarning,
    Floats,
    Ints,
    check_choice,
    read_cases,
    read_flag,
    read_numbers,
)
from healthval.metrics.intervals.resampling import (
    Bootstrap,
    percentile,
    percentile_estimate,
    resampled_aucs,
    resampled_tables,
)
from healthval.metrics.logistic import dot, per_cluster
from healthval.metrics.names import named
from healthval.metrics.ranking.delong import (
    Placements,
    auc_and_variance,
    newcombe_interval,
    obuchowski_covariance,
    placements,
)
from healthval.metrics.ranking.sums import auc_and_variance_of_keys
from healthval.metrics.ranking.table import RankTable, sorted_keys

AucInterval = Literal["logit-delong", "delong", "newcombe", "bootstrap"]
SMALL_CLASS = 30


@named
def auroc(
    reference: ArrayLike,
    score: ArrayLike,
    *,
    cluster: ArrayLike | None = None,
    ci: AucInterval | Bootstrap = "logit-delong",
    level: float = 0.95,
) -> Estimate:
    """Area under the ROC curve: the probability that a case with the condition scores higher.

    Ties count one half. The default interval is DeLong's, on the logit scale. Where a class has fewer
    than 30 cases (with clusters: class sizes divided by the design effect), it is the wider of
    DeLong's and Newcombe's method 5: the latter allows for few cases, the former for the spread of
    these scores. Newcombe's also replaces DeLong's when the AUROC is 0 or 1 or its variance is 0,
    and a bootstrap that gives no width, or with a class of one case. The result contains the method.

    Parameters
    ----------
    reference : bool or 0/1 array, shape (n_cases,)
    score : array, shape (n_cases,); any finite number, higher means more likely
    cluster : patient of each case, shape (n_cases,); then Obuchowski's variance
    ci : "logit-delong", "delong" (pROC's default), "newcombe", "bootstrap", or a `Bootstrap`
    level : confidence level

    Raises
    ------
    SingleClassError
        If a class is empty.
    MissingPredictionError, MetricError
        If the input does not fit; no value is quoted.

    Warns
    -----
    DirectionWarning
        If the whole interval is below 1/2. The score is never flipped.

    References
    ----------
    DeLong 1988 Biometrics 44:837; Obuchowski 1997 Biometrics 53:567; Newcombe 2006 Stat Med 25:559.

    Examples
    --------
    >>> print(auroc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], ci="delong"))
    0.750 (95% CI 0.057 to 1.000)
    """
    estimate = auroc_of(read_cases(reference, score, cluster), ci=ci, level=level)
    warn_if_inverted(estimate)
    return estimate


def warn_if_inverted(auc: Estimate, *, frames: int = 4) -> None:
    """Warn the user that labels or score direction may be inverted.

    `frames` leads from here to the user's line: through a public function and its check of names.
    """
    if auc.hi is not None and auc.hi < 0.5:
        warnings.warn(
            "the AUROC is below 1/2 with its whole interval: labels or score direction may be "
            "inverted (the score was not flipped)",
            DirectionWarning,
            stacklevel=frames,
        )


def auroc_of(
    cases: Cases,
    *,
    ci: AucInterval | Bootstrap = "logit-delong",
    level: float = 0.95,
    table: RankTable | None = None,
) -> Estimate:
    """`auroc` of checked cases; an existing rank table saves the sort."""
    check_both_classes(cases, "AUROC")
    if not isinstance(ci, Bootstrap):
        check_choice(ci, ("logit-delong", "delong", "newcombe", "bootstrap"), "ci")
    auc, variance, effect = _point(cases, table)
    sample = Sample(cases.n, cases.n_events, level)
    se = math.sqrt(variance) if variance else None
    plan = Bootstrap() if ci == "bootstrap" else ci
    if isinstance(plan, Bootstrap) and se is not None and 0 < auc < 1:
        replicates = resampled_aucs(cases, plan)
        bounds = percentile(replicates, level)
        if bounds[0] < bounds[1]:
            deviation = float(replicates.std(ddof=1))
            unit = "" if cases.cluster is None else "patient "
            return sample.with_bounds(auc, bounds, deviation, f"{unit}bootstrap percentile")
    suffix = "" if cases.cluster is None else " (obuchowski)"
    kind: AucInterval = "newcombe" if isinstance(plan, Bootstrap) else plan
    return _analytic(sample, auc, se, (kind, effect, suffix))


def check_both_classes(cases: Cases, what: str) -> None:
    """Refuse an empty class, for a statistic that compares the classes."""
    if 0 < cases.n_events < cases.n:
        return
    missing = "positives" if cases.n_events == 0 else "negatives"
    raise SingleClassError(f"{what} needs both classes; got 0 {missing} of {cases.n}")


def _point(cases: Cases, table: RankTable | None) -> tuple[float, float | None, float]:
    """AUROC, its variance, and the design effect that divides the class sizes."""
    if cases.cluster is None:
        return *_unclustered(cases, table), 1.0
    own = placements(cases.reference, cases.score)
    variance = obuchowski_covariance(cases.reference, cases.cluster, own, own)
    if not variance:  # the mean number of cases per patient
        return own.auc, variance, cases.n / (int(cases.cluster.max()) + 1)
    return own.auc, variance, max(1.0, _design_effect(cases, cases.cluster, own))


def _unclustered(cases: Cases, table: RankTable | None) -> tuple[float, float | None]:
    if table is not None:
        return auc_and_variance(table)
    return auc_and_variance_of_keys(sorted_keys(cases.reference, cases.score).keys)


def _design_effect(cases: Cases, cluster: Ints, own: Placements) -> float:
    """Variance between patients over variance between cases, both without K / (K - 1)."""
    parts = own.parts(cases.reference)
    totals = per_cluster(parts, cluster)
    return dot(totals, totals) / dot(parts, parts)


def _analytic(
    sample: Sample, auc: float, se: float | None, how: tuple[AucInterval, float, str]
) -> Estimate:
    ci, effect, suffix = how
    m, n = sample.n_events / effect, (sample.n - sample.n_events) / effect
    if ci == "delong" and se is not None:
        return sample.wald(auc, se, f"delong{suffix}", within=(0.0, 1.0))
    by_sizes = sample.with_bounds(
        auc, newcombe_interval(auc, m, n, sample.z), se, f"newcombe-5{suffix}"
    )
    if ci == "newcombe" or se is None or not 0 < auc < 1:
        return by_sizes
    by_spread = sample.logit(auc, se, f"logit-delong{suffix}")
    if min(m, n) < SMALL_CLASS and _width(by_sizes) > _width(by_spread):
        return by_sizes
    return by_spread


def _width(estimate: Estimate) -> float:
    return (estimate.hi or 0.0) - (estimate.lo or 0.0)


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
        se, m = float(reps.std(ddof=1)), _with_events(cases)
        lo, hi = percentile(reps, level)
        if hi - lo < 1e-12:
            return sample.with_bounds(ap, wilson(ap * m, m, sample.z), None, "wilson (patients)")
        return sample.with_bounds(ap, (lo, hi), se, "patient bootstrap percentile")
    se = math.sqrt(ap * (1 - ap) / m)
    if not 0 < ap < 1:
        return sample.with_bounds(ap, wilson(ap * m, m, sample.z), None, "wilson")
    return sample.logit(ap, se, "boyd logit")


def _with_events(cases: Cases) -> int:
    """Number of patients with an event (cases without clusters): the size of an interval at 1."""
    if cases.cluster is None:
        return cases.n_events
    return int(np.unique(cases.cluster[cases.reference]).size)


def _ap(cum_pos: Ints, cum_neg: Ints) -> float:
    """Sum of recall gain times precision, from the highest score down."""
    m = float(cum_pos[-1])
    found, flagged = np.empty(cum_pos.size), np.empty(cum_pos.size)
    found[0], flagged[0] = m, m + float(cum_neg[-1])
    found[1:] = cum_pos[:-1]
    flagged[1:] = cum_neg[:-1]
    flagged[1:] += found[1:]
    np.subtract(flagged[0], flagged[1:], out=flagged[1:])
    np.subtract(m, found[1:], out=found[1:])
    gained = found.copy()
    gained[:-1] -= found[1:]
    np.divide(found, flagged, out=found, where=flagged > 0)
    return dot(gained, found) / m


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
    sample, m = Sample(cases.n, cases.n_events, level), _with_events(cases)
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


def _sensitivity_at(cum_pos: Ints, cum_neg: Ints, grid: tuple[float, ...] | Floats) -> Floats:
    # np.interp takes the last of equal abscissae: the highest sensitivity at that rate.
    fpr = (cum_neg[-1] - np.append(cum_neg[::-1], 0)) / cum_neg[-1]
    tpr = (cum_pos[-1] - np.append(cum_pos[::-1], 0)) / cum_pos[-1]
    sensitivity: Floats = np.interp(grid, fpr, tpr)
    return sensitivity


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

    def area(cum_pos: Ints, cum_neg: Ints) -> float:
        plain = _area(_axis(cum_pos), _axis(cum_neg), bounds, horizontal)
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


def _axis(cumulative: Ints) -> Floats:
    """Share of one class at or above each threshold, from no case to all cases."""
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
