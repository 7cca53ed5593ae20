"""Heterogeneity of a statistic between levels: a test over all levels, and differences."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy.special import chdtrc

from healthval.contracts.proportions import logit
from healthval.errors import counted
from healthval.metrics import logistic
from healthval.metrics.calibration.measures import calibration_of
from healthval.metrics.cases import Cases
from healthval.metrics.discrimination.comparison import compare_groups
from healthval.metrics.estimate import ANY, NOISE, Estimate, Sample
from healthval.metrics.inputs import Bools, Floats
from healthval.metrics.intervals.analytic import two_sided_p
from healthval.metrics.logistic import dot, per_cluster, sigmoid, total_variance
from healthval.metrics.net_benefit import contributions
from healthval.metrics.ranking.delong import placements
from healthval.metrics.subgroups.levels import (
    Levels,
    level_auroc,
    level_citl,
    level_net_benefit,
    level_oe,
    level_rate,
)


def auroc_influence(cases: Cases) -> Floats:
    """Influence of each case on the AUROC (placement values, DeLong 1988)."""
    return placements(cases.reference, cases.score).parts(cases.reference)


def rate_influence(hit: Bools, among: Bools) -> Floats:
    """Influence of each case on the proportion of hits among some cases (ratio estimator)."""
    size = np.count_nonzero(among)
    return np.where(among, hit - np.count_nonzero(hit & among) / size, 0.0) / size


def oe_influence(cases: Cases) -> Floats:
    """Influence of each case on observed to expected events, scaled to the variance of that ratio."""
    events, expected = cases.n_events, float(cases.score.sum())
    influence = (cases.reference - events / expected * cases.score) / expected
    own = dot(influence, influence)
    debray = (events / expected) ** 2 * (1 / events - 1 / cases.n) if events else 0.0
    return np.asarray(influence * math.sqrt(debray / own) if own > 0 else influence)


def citl_influence(cases: Cases) -> Floats:
    """Influence of each case on calibration in the large (intercept with logit score as offset)."""
    shift = calibration_of(cases, curve=None).citl.value or 0.0
    fitted = sigmoid(logistic.logit(cases.score) + shift)
    return np.asarray((cases.reference - fitted) / dot(fitted, 1 - fitted))


def net_benefit_influence(cases: Cases, threshold: float) -> Floats:
    """Influence of each case on the net benefit."""
    gain = contributions(cases, threshold)
    return np.asarray((gain - gain.mean()) / cases.n)


@dataclass(frozen=True, slots=True, kw_only=True)
class Heterogeneity:
    """Wald test that a statistic is equal in all levels of a variable.

    `reason` is the number of omitted levels with the cause, or the cause of a missing test.
    """

    variable: str
    metric: str
    q: float | None = None
    df: int = 0
    p: float | None = None
    p_adjusted: float | None = None
    reason: str | None = None


Rate = Callable[[Bools, Bools], tuple[Bools, Bools]]


@dataclass(frozen=True, slots=True)
class _Statistic:
    """Estimate in one level, influence of each case on it, and the scale of comparison.

    `rate` is a function of reference standard and positives; it returns hits and denominator.
    """

    estimate: Callable[[Cases, float], Estimate]
    influence: Callable[[Cases, float], Floats]
    scale: Literal["logit", "log", "plain"]
    rate: Rate | None = None


def _rate(rate: Rate) -> _Statistic:
    return _Statistic(
        estimate=lambda cases, at: level_rate(cases, *rate(cases.reference, cases.score >= at)),
        influence=lambda cases, at: rate_influence(*rate(cases.reference, cases.score >= at)),
        scale="logit",
        rate=rate,
    )


STATISTICS = {
    "auroc": _Statistic(
        lambda cases, _: level_auroc(cases),
        lambda cases, _: auroc_influence(cases),
        "logit",
    ),
    "oe": _Statistic(lambda cases, _: level_oe(cases), lambda cases, _: oe_influence(cases), "log"),
    "citl": _Statistic(
        lambda cases, _: level_citl(cases), lambda cases, _: citl_influence(cases), "plain"
    ),
    "sensitivity": _rate(lambda y, positive: (positive, y)),
    "specificity": _rate(lambda y, positive: (~positive, ~y)),
    "ppv": _rate(lambda y, positive: (y, positive)),
    "npv": _rate(lambda y, positive: (~y, ~positive)),
    "net_benefit": _Statistic(level_net_benefit, net_benefit_influence, "plain"),
}


def heterogeneity(
    cases: Cases, variable: tuple[str, Levels], metric: str, threshold: float
) -> Heterogeneity:
    """Wald test of equal levels: weighted sum of squares on the log (O:E) or logit (rates) scale.

    Levels that share patients correlate, and the test accounts for it.
    """
    name, levels = variable
    points, influences, omitted = [], [], []
    for _, members in levels.members():
        rows = np.flatnonzero(members)
        inside = cases.take(rows)
        point = _on_test_scale(inside, metric, threshold)
        if isinstance(point, str):
            omitted.append(point)
            continue
        points.append(point)
        if cases.cluster is not None:
            influence = np.zeros(cases.n)
            influence[rows] = STATISTICS[metric].influence(inside, threshold)
            influences.append(per_cluster(influence, cases.cluster))
    note = _omitted_levels(omitted, len(levels.names))
    if len(points) < 2:
        reason = note or "there is a single level"
        return Heterogeneity(variable=name, metric=metric, reason=reason)
    value, se = (np.array(x) for x in zip(*points, strict=True))
    q, df = _wald(value, se, _correlation(influences)), len(points) - 1
    if q is None:
        reason = note or "a difference between levels has no variance"
        return Heterogeneity(variable=name, metric=metric, df=df, reason=reason)
    p = float(chdtrc(df, q))
    return Heterogeneity(variable=name, metric=metric, q=q, df=df, p=p, reason=note)


def _omitted_levels(reasons: list[str], n_levels: int) -> str | None:
    if not reasons:
        return None
    why = "; ".join(sorted(set(reasons)))
    return f"{len(reasons)} of {counted(n_levels, 'level')} omitted: {why}"


def _on_test_scale(cases: Cases, metric: str, threshold: float) -> tuple[float, float] | str:
    """Value and standard error on the scale of the test, or the reason for omission.

    A rate of 0 or 1 is moved inside by half a case.
    """
    statistic = STATISTICS[metric]
    found = statistic.estimate(cases, threshold)
    value, se = found.value, found.se
    if value is None:
        return found.reason or "not estimable"
    if statistic.rate is not None and se is not None:
        among = statistic.rate(cases.reference, cases.score >= threshold)[1]
        n = value * (1 - value) / se**2 if se else float(_units(cases, among))
        value = (value * n + 0.5) / (n + 1)
        se = math.sqrt(value * (1 - value) / (n + 1))
    if statistic.scale == "logit" and not 0 < value < 1:
        return f"{'an AUROC' if metric == 'auroc' else 'a rate'} of exactly 0 or 1"
    if not se:
        return "no standard error"
    if statistic.scale == "plain":
        return value, se
    if statistic.scale == "log":
        return math.log(value), se / value
    return logit(value), se / (value * (1 - value))


def _units(cases: Cases, among: Bools) -> int:
    if cases.cluster is None:
        return int(np.count_nonzero(among))
    return int(np.unique(cases.cluster[among]).size)


def _correlation(influences: list[Floats]) -> Floats | None:
    """Correlation between levels from the influence of each patient; None without shared patients."""
    if not influences:
        return None
    products = np.array(influences) @ np.array(influences).T
    size = np.sqrt(np.diag(products))
    size[size == 0] = 1.0
    shared = products / np.outer(size, size)
    np.fill_diagonal(shared, 1.0)
    return shared if np.any(shared != np.eye(len(influences))) else None


def _wald(value: Floats, se: Floats, correlation: Floats | None) -> float | None:
    """Weighted sum of squares about the common value; None when a difference has no variance."""
    if correlation is None:
        weight = 1 / se**2
        centre = float((weight * value).sum() / weight.sum())
        return float((weight * (value - centre) ** 2).sum())
    covariance = correlation * np.outer(se, se)
    contrast = value[1:] - value[0]
    between = covariance[1:, 1:] - covariance[1:, :1] - covariance[:1, 1:] + covariance[0, 0]
    if np.linalg.eigvalsh(between)[0] <= 1e-10 * float(np.max(se)) ** 2:
        return None
    return float(contrast @ np.linalg.solve(between, contrast))


def difference(cases: Cases, member: Bools, metric: str, threshold: float) -> Estimate:
    """Statistic of the member cases minus the same statistic of all other cases."""
    statistic = STATISTICS[metric]
    inside, outside = cases.take(member), cases.take(~member)
    a, b = (statistic.estimate(part, threshold) for part in (inside, outside))
    sample = inside.sample
    if a.value is None or b.value is None or a.se is None or b.se is None:
        reason = (a.reason or b.reason) or "no standard error in one part"
        return sample.not_estimable(reason, "newcombe 10")
    if (
        a.se and b.se and _share_patients(cases, member)
    ):  # a part without variance has no correlation
        return _of_shared_patients(cases, member, (metric, threshold), (a.value - b.value, sample))
    gap, se = a.value - b.value, math.hypot(a.se, b.se)
    estimate = sample.with_bounds(gap, _from_both_intervals(a, b), se, "newcombe 10")
    if metric == "auroc" and cases.cluster is None:
        return replace(estimate, p=compare_groups(inside, outside).p)
    return replace(estimate, p=two_sided_p(gap / se) if se else None)


def _share_patients(cases: Cases, member: Bools) -> bool:
    """Whether a patient has cases on both sides."""
    if cases.cluster is None:
        return False
    return bool(np.intersect1d(cases.cluster[member], cases.cluster[~member]).size)


def _from_both_intervals(a: Estimate, b: Estimate) -> tuple[float, float]:
    """Bounds of a - b from the intervals of both parts (Newcombe's method 10)."""
    values = (a.value, a.lo, a.hi, b.value, b.lo, b.hi)
    va, la, ua, vb, lb, ub = (0.0 if x is None else x for x in values)
    gap = va - vb
    return gap - math.hypot(va - la, ub - vb), gap + math.hypot(ua - va, vb - lb)


def _of_shared_patients(
    cases: Cases, member: Bools, what: tuple[str, float], found: tuple[float, Sample]
) -> Estimate:
    """Difference when patients have cases on both sides: influences are summed per patient first."""
    metric, threshold = what
    gap, sample = found
    influence = np.zeros(cases.n)
    for rows, sign in ((member, 1), (~member, -1)):
        influence[rows] = sign * STATISTICS[metric].influence(cases.take(rows), threshold)
    variance = total_variance(influence, cases.cluster)
    noise = NOISE * dot(influence, influence)
    se = math.sqrt(variance) if variance > noise else 0.0
    within = (-1.0, 1.0) if STATISTICS[metric].scale == "logit" else ANY
    estimate = sample.wald(gap, se, "wald (cluster-robust)", within=within)
    return replace(estimate, p=two_sided_p(gap / se) if se else None)
