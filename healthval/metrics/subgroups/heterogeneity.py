"""Whether a statistic is equal in the levels of a variable: test over all, level against the others."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy.special import chdtrc

from healthval.metrics.calibration.measures import calibration_of
from healthval.metrics.comparison import compare_groups
from healthval.metrics.estimate import Estimate, Sample
from healthval.metrics.inputs import Bools, Cases, Floats
from healthval.metrics.intervals.analytic import two_sided_p
from healthval.metrics.logistic import dot, logit, per_cluster, sigmoid, total_variance
from healthval.metrics.net_benefit import contributions
from healthval.metrics.ranking.delong import placements
from healthval.metrics.subgroups.levels import (
    level_auroc,
    level_citl,
    level_net_benefit,
    level_oe,
    level_rate,
)


def auroc_parts(reference: Bools, score: Floats) -> tuple[float, Floats]:
    """AUROC and its parts (placement values, DeLong 1988)."""
    found = placements(reference, score)
    return found.auc, found.parts(reference)


def share_parts(hit: Bools, among: Bools) -> Floats:
    """Parts of the share of hits among some of the cases (ratio estimator)."""
    size = np.count_nonzero(among)
    return np.where(among, hit - np.count_nonzero(hit & among) / size, 0.0) / size


def oe_parts(cases: Cases) -> Floats:
    """Parts of observed to expected."""
    expected = float(cases.score.sum())
    return (cases.reference - cases.n_events / expected * cases.score) / expected


def citl_parts(cases: Cases) -> Floats:
    """Parts of calibration in the large, an intercept beside the logit score."""
    shift = calibration_of(cases, curve=None).citl.value or 0.0
    fitted = sigmoid(logit(cases.score) + shift)
    return np.asarray((cases.reference - fitted) / dot(fitted, 1 - fitted))


def net_benefit_parts(cases: Cases, threshold: float) -> Floats:
    """Parts of the net benefit per case."""
    gain = contributions(cases, threshold)
    return np.asarray((gain - gain.mean()) / cases.n)


@dataclass(frozen=True, slots=True)
class Heterogeneity:
    """Wald test that a statistic is equal in all levels of a variable.

    `reason` says how many levels the test leaves out and why; without `q` it says why there is none.
    """

    variable: str
    metric: str
    q: float | None
    df: int
    p: float | None
    p_adjusted: float | None = None
    reason: str | None = None


Share = Callable[[Bools, Bools], tuple[Bools, Bools]]


@dataclass(frozen=True, slots=True)
class _Statistic:
    """How a level is judged, what each case adds to its error, on which scale levels compare.

    `share` gives, from reference standard and positives, the hits and the cases among which.
    """

    estimate: Callable[[Cases, float], Estimate]
    parts: Callable[[Cases, float], Floats]
    scale: Literal["logit", "log", "plain"]
    share: Share | None = None


def _rate(share: Share) -> _Statistic:
    return _Statistic(
        estimate=lambda cases, at: level_rate(cases, *share(cases.reference, cases.score >= at)),
        parts=lambda cases, at: share_parts(*share(cases.reference, cases.score >= at)),
        scale="logit",
        share=share,
    )


STATISTICS = {
    "auroc": _Statistic(
        lambda cases, _: level_auroc(cases),
        lambda cases, _: auroc_parts(cases.reference, cases.score)[1],
        "logit",
    ),
    "oe": _Statistic(lambda cases, _: level_oe(cases), lambda cases, _: oe_parts(cases), "log"),
    "citl": _Statistic(
        lambda cases, _: level_citl(cases), lambda cases, _: citl_parts(cases), "plain"
    ),
    "sensitivity": _rate(lambda y, positive: (positive, y)),
    "specificity": _rate(lambda y, positive: (~positive, ~y)),
    "ppv": _rate(lambda y, positive: (y, positive)),
    "npv": _rate(lambda y, positive: (~y, ~positive)),
    "net_benefit": _Statistic(level_net_benefit, net_benefit_parts, "plain"),
}


def heterogeneity(
    cases: Cases, variable: tuple[str, np.ndarray], metric: str, threshold: float
) -> Heterogeneity:
    """Weighted sum of squares of the levels on the test's scale (log for O:E, logit for shares).

    Patients with cases in several levels make these correlate; the sum then allows for it.
    """
    name, levels = variable
    points, parts, left_out = [], [], []
    for level in (every := np.unique(levels)):
        rows = np.flatnonzero(levels == level)
        inside = cases.take(rows)
        point = _on_test_scale(inside, metric, threshold)
        if isinstance(point, str):
            left_out.append(point)
            continue
        points.append(point)
        if cases.cluster is not None:
            part = np.zeros(cases.n)
            part[rows] = STATISTICS[metric].parts(inside, threshold)
            parts.append(per_cluster(part, cases.cluster))
    why = "; ".join(sorted(set(left_out)))
    note = f"{len(left_out)} of {every.size} levels left out: {why}" if left_out else None
    if len(points) < 2:
        return Heterogeneity(name, metric, None, 0, None, reason=note or "there is a single level")
    value, se = (np.array(x) for x in zip(*points, strict=True))
    q, df = _wald(value, se, _correlation(parts)), len(points) - 1
    if q is None:
        reason = "a difference between levels has no variance"
        return Heterogeneity(name, metric, None, df, None, reason=note or reason)
    return Heterogeneity(name, metric, q, df, float(chdtrc(df, q)), reason=note)


def _on_test_scale(cases: Cases, metric: str, threshold: float) -> tuple[float, float] | str:
    """Value and standard error; a share of 0 or 1 is moved inside by half a case; or why not."""
    statistic = STATISTICS[metric]
    found = statistic.estimate(cases, threshold)
    value, se = found.value, found.se
    if value is None:
        return found.reason or "not estimable"
    if statistic.share is not None and se is not None:
        among = statistic.share(cases.reference, cases.score >= threshold)[1]
        n = value * (1 - value) / se**2 if se else float(_units(cases, among))
        value = (value * n + 0.5) / (n + 1)
        se = math.sqrt(value * (1 - value) / (n + 1))
    if statistic.scale == "logit" and not 0 < value < 1:
        return f"{'an AUROC' if metric == 'auroc' else 'a share'} of exactly 0 or 1"
    if not se:
        return "no standard error"
    if statistic.scale == "plain":
        return value, se
    if statistic.scale == "log":
        return math.log(value), se / value
    return math.log(value / (1 - value)), se / (value * (1 - value))


def _units(cases: Cases, among: Bools) -> int:
    if cases.cluster is None:
        return int(np.count_nonzero(among))
    return int(np.unique(cases.cluster[among]).size)


def _correlation(parts: list[Floats]) -> Floats | None:
    """Between levels, from what each patient adds to either; None where no patient is in two."""
    if not parts:
        return None
    products = np.array(parts) @ np.array(parts).T
    size = np.sqrt(np.diag(products))
    size[size == 0] = 1.0
    shared = products / np.outer(size, size)
    np.fill_diagonal(shared, 1.0)
    return shared if np.any(shared != np.eye(len(parts))) else None


def _wald(value: Floats, se: Floats, correlation: Floats | None) -> float | None:
    """Sum of squares about the common value; None when a difference has no variance."""
    if correlation is None:
        weight = 1 / se**2
        centre = float((weight * value).sum() / weight.sum())
        return float((weight * (value - centre) ** 2).sum())
    covariance = correlation * np.outer(se, se)
    apart = value[1:] - value[0]
    between = covariance[1:, 1:] - covariance[1:, :1] - covariance[:1, 1:] + covariance[0, 0]
    if np.linalg.eigvalsh(between)[0] <= 1e-10 * float(np.max(se)) ** 2:
        return None
    return float(apart @ np.linalg.solve(between, apart))


def difference(cases: Cases, member: Bools, metric: str, threshold: float) -> Estimate:
    """Give a statistic of these cases minus that of all others."""
    statistic = STATISTICS[metric]
    inside, outside = cases.take(member), cases.take(~member)
    a, b = (statistic.estimate(part, threshold) for part in (inside, outside))
    sample = Sample(inside.n, inside.n_events)
    if a.value is None or b.value is None or a.se is None or b.se is None:
        reason = (a.reason or b.reason) or "no standard error in one part"
        return sample.none(reason, "newcombe 10")
    if a.se and b.se and _straddles(cases, member):  # a part without spread correlates with nothing
        return _of_shared_patients(cases, member, (metric, threshold), (a.value - b.value, sample))
    gap, se = a.value - b.value, math.hypot(a.se, b.se)
    estimate = sample.given(gap, _from_both_intervals(a, b), se, "newcombe 10")
    if metric == "auroc" and cases.cluster is None:
        return replace(estimate, p=compare_groups(inside, outside).p)
    return replace(estimate, p=two_sided_p(gap / se) if se else None)


def _straddles(cases: Cases, member: Bools) -> bool:
    if cases.cluster is None:
        return False
    return bool(np.intersect1d(cases.cluster[member], cases.cluster[~member]).size)


def _from_both_intervals(a: Estimate, b: Estimate) -> tuple[float, float]:
    """Bounds of a - b recovered from each part's own interval (Newcombe's method 10)."""
    values = (a.value, a.lo, a.hi, b.value, b.lo, b.hi)
    va, la, ua, vb, lb, ub = (0.0 if x is None else x for x in values)
    gap = va - vb
    return gap - math.hypot(va - la, ub - vb), gap + math.hypot(ua - va, vb - lb)


def _of_shared_patients(
    cases: Cases, member: Bools, what: tuple[str, float], found: tuple[float, Sample]
) -> Estimate:
    """Patients with cases on both sides: each patient's parts of both statistics belong together."""
    metric, threshold = what
    gap, sample = found
    total = np.zeros(cases.n)
    for rows, sign in ((member, 1), (~member, -1)):
        total[rows] = sign * STATISTICS[metric].parts(cases.take(rows), threshold)
    se = math.sqrt(total_variance(total, cases.cluster))
    estimate = sample.wald(gap, se, "wald (cluster-robust)")
    return replace(estimate, p=two_sided_p(gap / se) if se else None)
