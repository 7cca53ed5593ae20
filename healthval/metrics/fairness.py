"""Whether the model serves every group alike: heterogeneity first, then differences, then gaps."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import chdtrc

from healthval.errors import MetricError
from healthval.metrics.columns import read_numbers
from healthval.metrics.comparison import compare_groups
from healthval.metrics.confusion import check_threshold
from healthval.metrics.delong import placements
from healthval.metrics.estimate import Estimate
from healthval.metrics.inputs import Bools, Cases, Floats, read_probability_cases
from healthval.metrics.intervals import Bootstrap, Sample, percentile, read_plan, two_sided_p
from healthval.metrics.logistic import dot, per_cluster
from healthval.metrics.parameters import read_flag
from healthval.metrics.resampling import patient_weights
from healthval.metrics.result import SubgroupResult
from healthval.metrics.subgroup import (
    Groups,
    by_level,
    level_auroc,
    level_oe,
    level_rate,
    read_groups,
)


@dataclass(frozen=True, slots=True)
class Heterogeneity:
    """Wald test that a statistic is equal in all levels of a variable."""

    variable: str
    metric: str
    q: float | None
    df: int
    p: float | None
    p_adjusted: float | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """A level minus all other cases (its complement, which does not contain it)."""

    variable: str
    level: str
    metric: str
    estimate: Estimate
    p_adjusted: float | None = None


@dataclass(frozen=True, slots=True)
class Gap:
    """Largest minus smallest rate over the levels of a variable; an estimate, not a verdict."""

    variable: str
    metric: str
    estimate: Estimate


@dataclass(frozen=True, slots=True)
class SubgroupAnalysis:
    """Performance by subgroup; `exploratory` unless the family was declared confirmatory."""

    results: tuple[SubgroupResult, ...]
    heterogeneity: tuple[Heterogeneity, ...]
    differences: tuple[Difference, ...]
    gaps: tuple[Gap, ...]
    exploratory: bool


def subgroups(  # noqa: PLR0913  # what a plan fixes for its subgroup analysis
    reference: ArrayLike,
    score: ArrayLike,
    groups: Any,
    *,
    threshold: float = 0.5,
    cluster: ArrayLike | None = None,
    confirmatory: bool = False,
    intersections: bool = False,
    bootstrap: Bootstrap | None = None,
) -> SubgroupAnalysis:
    """Compare performance between the levels of subgroup variables.

    A level with fewer than 10 events or non-events is shown with its counts, and its statistics
    are not estimable. P-values are Holm-adjusted over the declared family when `confirmatory`;
    otherwise they are unadjusted and the analysis calls itself exploratory.

    Parameters
    ----------
    reference : bool or 0/1 array, shape (n_cases,)
    score : probability array, shape (n_cases,)
    groups : a Series or array of levels, or a dict or DataFrame of several variables
    threshold : positive means score >= threshold
    cluster : patient of each case
    confirmatory : whether the plan declared these comparisons in advance
    intersections : also every pair of variables, named "first.second"
    bootstrap : replicates and seed for the gaps; 2000 from seed 0 by default

    Raises
    ------
    MetricError
        If the input does not fit.

    References
    ----------
    Newcombe 1998 Stat Med 17:873 (differences from the intervals of both parts); Holm 1979.

    Examples
    --------
    >>> rng = np.random.default_rng(3)
    >>> p = rng.uniform(size=600)
    >>> found = subgroups(rng.uniform(size=600) < p, p, rng.integers(2, size=600))
    >>> [(r.level, r.n) for r in found.results], found.exploratory
    ([('0', 305), ('1', 295)], True)
    """
    check_threshold(threshold)
    cases = read_probability_cases(reference, score, cluster)
    variables = read_groups(groups, cases.n, reference, score, cluster=cluster)
    if read_flag(intersections, "intersections"):
        variables |= _pairs(variables, cases.n)
    if not variables or cases.n == 0:
        raise MetricError("name at least one subgroup variable, of at least one case")
    heterogeneity = tuple(
        _heterogeneity(cases, name, levels, (metric, threshold))
        for name, levels in variables.items()
        for metric in _STATISTICS
    )
    differences = tuple(
        Difference(name, str(level), metric, _difference(cases, levels == level, metric, threshold))
        for name, levels in variables.items()
        for level in np.unique(levels)
        for metric in _STATISTICS
    )
    gaps = tuple(
        gap
        for name, levels in variables.items()
        for gap in rate_gaps(cases, (name, levels), threshold, read_plan(bootstrap))
    )
    if read_flag(confirmatory, "confirmatory"):
        heterogeneity, differences = _adjusted(heterogeneity, differences)
    results = by_level(cases, variables, threshold)
    return SubgroupAnalysis(results, heterogeneity, differences, gaps, not confirmatory)


def _pairs(variables: Groups, n: int) -> Groups:
    return {
        f"{a}.{b}": read_groups({"": np.char.add(np.char.add(variables[a], "."), variables[b])}, n)[
            ""
        ]
        for a, b in combinations(variables, 2)
    }


def holm(p_values: ArrayLike) -> Floats:
    """Adjust p-values for a family of tests, stepping down.

    References
    ----------
    Holm 1979 Scand J Stat 6:65; stats::p.adjust(method = "holm").

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    p = read_numbers(p_values, "p_values")
    if not np.all((p >= 0) & (p <= 1)):
        raise MetricError("p-values must lie within 0 to 1")
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * (p.size - np.arange(p.size)))
    adjusted = np.empty(p.size)
    adjusted[order] = np.minimum(stepped, 1)
    return adjusted


def _adjusted(
    heterogeneity: tuple[Heterogeneity, ...], differences: tuple[Difference, ...]
) -> tuple[tuple[Heterogeneity, ...], tuple[Difference, ...]]:
    """Holm within the tests of heterogeneity and, separately, within the differences."""
    first = _holm_where_known([h.p for h in heterogeneity])
    second = _holm_where_known([d.estimate.p for d in differences])
    return (
        tuple(replace(h, p_adjusted=p) for h, p in zip(heterogeneity, first, strict=True)),
        tuple(replace(d, p_adjusted=p) for d, p in zip(differences, second, strict=True)),
    )


def _holm_where_known(p_values: list[float | None]) -> list[float | None]:
    known = iter(holm([p for p in p_values if p is not None]).tolist())
    return [None if p is None else next(known) for p in p_values]


def _sensitivity(cases: Cases, threshold: float) -> Estimate:
    return level_rate(cases, cases.score >= threshold, cases.reference)


def _specificity(cases: Cases, threshold: float) -> Estimate:
    return level_rate(cases, cases.score < threshold, ~cases.reference)


_STATISTICS: dict[str, Callable[[Cases, float], Estimate]] = {
    "auroc": lambda cases, _: level_auroc(cases),
    "oe": lambda cases, _: level_oe(cases),
    "sensitivity": _sensitivity,
    "specificity": _specificity,
}


def _heterogeneity(
    cases: Cases, variable: str, levels: np.ndarray, what: tuple[str, float]
) -> Heterogeneity:
    """Weighted sum of squares of the levels on the log (O:E) or logit scale."""
    metric, threshold = what
    found = [
        _STATISTICS[metric](cases.take(levels == level), threshold) for level in np.unique(levels)
    ]
    points = [point for e in found if (point := _on_test_scale(e, metric)) is not None]
    df = len(points) - 1
    if df < 1:
        return Heterogeneity(variable, metric, None, max(df, 0), None)
    value, weight = (np.array(x) for x in zip(*points, strict=True))
    centre = float((weight * value).sum() / weight.sum())
    q = float((weight * (value - centre) ** 2).sum())
    return Heterogeneity(variable, metric, q, df, float(chdtrc(df, q)))


def _on_test_scale(estimate: Estimate, metric: str) -> tuple[float, float] | None:
    """Value and weight; a rate of 0 or 1 is moved inside by half a case."""
    value, se = estimate.value, estimate.se
    if value is None or se is None:
        return None
    if metric == "oe":
        return math.log(value), (value / se) ** 2
    if metric == "auroc":
        return None if not 0 < value < 1 else _logit_point(value, se)
    n = estimate.n if se == 0 else min(value * (1 - value) / se**2, estimate.n)
    inside = (value * n + 0.5) / (n + 1)
    return _logit_point(inside, math.sqrt(inside * (1 - inside) / (n + 1)))


def _logit_point(value: float, se: float) -> tuple[float, float] | None:
    return (math.log(value / (1 - value)), (value * (1 - value) / se) ** 2) if se else None


def _difference(cases: Cases, member: Bools, metric: str, threshold: float) -> Estimate:
    inside, outside = cases.take(member), cases.take(~member)
    a, b = (_STATISTICS[metric](part, threshold) for part in (inside, outside))
    sample = Sample(inside.n, inside.n_events)
    if a.value is None or b.value is None or a.se is None or b.se is None:
        reason = (a.reason or b.reason) or "no standard error in one part"
        return sample.none(reason, "newcombe 10")
    if _straddles(cases, member):
        return _clustered_difference(cases, member, (metric, threshold), sample)
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


def _clustered_difference(
    cases: Cases, member: Bools, what: tuple[str, float], sample: Sample
) -> Estimate:
    """Patients with cases on both sides: each patient's contributions to both parts belong together."""
    gap, total = 0.0, np.zeros(cases.n)
    for rows, sign in ((np.flatnonzero(member), 1), (np.flatnonzero(~member), -1)):
        value, part = _contributions(cases.reference[rows], cases.score[rows], what)
        gap += sign * value
        total[rows] = sign * part
    if cases.cluster is not None:
        total = per_cluster(total, cases.cluster)
    se = math.sqrt(dot(total, total) * total.size / max(total.size - 1, 1))
    estimate = sample.wald(gap, se, "wald (cluster-robust)")
    return replace(estimate, p=two_sided_p(gap / se) if se else None)


def _contributions(
    reference: Bools, score: Floats, what: tuple[str, float]
) -> tuple[float, Floats]:
    """Compute a statistic and what each case adds to its error."""
    metric, threshold = what
    part = np.zeros(score.size)
    if metric == "auroc":
        found = placements(reference, score)
        part[reference] = (found.v10 - found.auc) / found.v10.size
        part[~reference] = (found.v01 - found.auc) / found.v01.size
        return found.auc, part
    if metric == "oe":
        expected = float(score.sum())
        ratio = int(reference.sum()) / expected
        return ratio, (reference - ratio * score) / expected
    among = reference if metric == "sensitivity" else ~reference
    hit = (score >= threshold) == reference
    rate = float(hit[among].mean())
    part[among] = (hit[among] - rate) / np.count_nonzero(among)
    return rate, part


def rate_gaps(
    cases: Cases, variable: tuple[str, np.ndarray], threshold: float, plan: Bootstrap
) -> tuple[Gap, ...]:
    """Range over levels of the true- and of the false-positive rate, by exact bootstrap of cells."""
    name, levels = variable
    code = np.unique(levels, return_inverse=True)[1].reshape(-1)
    groups = int(code.max()) + 1
    cell = 4 * code + 2 * cases.reference + (cases.score >= threshold)
    counts = np.bincount(cell, minlength=4 * groups).astype(np.float64)
    reps = _drawn(cases, cell, counts, plan)
    sample = Sample(cases.n, cases.n_events)
    return tuple(
        Gap(name, metric, _gap(sample, _rates(counts[None], kind)[0], _rates(reps, kind)))
        for kind, metric in ((1, "true-positive rate"), (0, "false-positive rate"))
    )


def _rates(counts: Floats, kind: int) -> Floats:
    """Share flagged among events (1) or non-events (0), shape (reps, groups); nan when none."""
    table = counts.reshape(len(counts), -1, 2, 2)[:, :, kind]
    total = table.sum(axis=2)
    return np.asarray(table[:, :, 1] / np.where(total > 0, total, np.nan))


def _gap(sample: Sample, rates: Floats, reps: Floats) -> Estimate:
    method = "bootstrap percentile"
    known = rates[~np.isnan(rates)]
    if known.size < 2:
        return sample.none("fewer than two levels with such cases", method)
    reps = reps[:, ~np.isnan(rates)]
    reps = reps[~np.isnan(reps).any(axis=1)]
    if len(reps) < 100:
        return sample.none("too few cases to resample", method)
    value, spread = float(np.ptp(known)), np.ptp(reps, axis=1)
    lo, hi = percentile(spread, sample.level)
    return sample.given(value, (min(lo, value), max(hi, value)), float(spread.std(ddof=1)), method)


def _drawn(cases: Cases, cell: np.ndarray, counts: Floats, plan: Bootstrap) -> Floats:
    rng = plan.rng()
    if cases.cluster is None:
        return rng.multinomial(cases.n, counts / cases.n, size=plan.reps).astype(np.float64)
    patients = int(cases.cluster.max()) + 1
    return np.array(
        [
            np.bincount(cell, patient_weights(rng, patients)[cases.cluster], counts.size)
            for _ in range(plan.reps)
        ]
    )
