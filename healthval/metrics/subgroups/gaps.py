"""Subgroup analysis: heterogeneity tests, differences to other cases, and gaps of rates."""

from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from healthval.errors import MetricError
from healthval.metrics.cases import Cases, read_probability_cases
from healthval.metrics.confusion import check_threshold
from healthval.metrics.estimate import Estimate, Sample, check_level
from healthval.metrics.inputs import Floats, read_flag, read_numbers
from healthval.metrics.intervals.resampling import (
    Bootstrap,
    drawn_counts,
    percentile_estimate,
    read_plan,
)
from healthval.metrics.names import named
from healthval.metrics.result import SubgroupResult
from healthval.metrics.subgroups.heterogeneity import (
    STATISTICS,
    Heterogeneity,
    difference,
    heterogeneity,
)
from healthval.metrics.subgroups.levels import (
    FEWEST,
    Groups,
    Levels,
    by_level,
    levels_of,
    read_groups,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A statistic in one level minus the same statistic in all other cases."""

    variable: str
    level: str
    metric: str
    estimate: Estimate
    p_adjusted: float | None = None


@dataclass(frozen=True, slots=True)
class Gap:
    """Largest minus smallest rate over the levels of a variable."""

    variable: str
    metric: str
    estimate: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class SubgroupAnalysis:
    """Performance by subgroup; `exploratory` unless the comparisons were declared confirmatory."""

    results: tuple[SubgroupResult, ...]
    heterogeneity: tuple[Heterogeneity, ...]
    differences: tuple[Difference, ...]
    gaps: tuple[Gap, ...]
    exploratory: bool


@named
def subgroups(  # noqa: PLR0913  # a plan fixes all of them
    reference: ArrayLike,
    score: ArrayLike,
    groups: Any,
    *,
    threshold: float = 0.5,
    cluster: ArrayLike | None = None,
    confirmatory: bool = False,
    intersections: bool = False,
    bootstrap: Bootstrap | None = None,
    level: float = 0.95,
) -> SubgroupAnalysis:
    """Compare performance between the levels of subgroup variables.

    A level with fewer than 10 events or non-events has counts, but its statistics are not estimable.
    With `confirmatory`, p-values are Holm-adjusted over the declared family; otherwise they are
    unadjusted and the result is marked exploratory.

    Parameters
    ----------
    reference : bool or 0/1 array, shape (n_cases,)
    score : probability array, shape (n_cases,)
    groups : a Series or array of levels, or a dict or DataFrame of several variables
    threshold : positive means score >= threshold
    cluster : patient of each case
    confirmatory : whether the plan declared these comparisons in advance
    intersections : whether to add every pair of variables, named "first.second"
    bootstrap : replicates and seed for the gaps; 2000 from seed 0 by default
    level : confidence level

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
    check_level(level)
    cases = replace(read_probability_cases(reference, score, cluster), level=level)
    variables = read_groups(groups, cases.n, reference, score, cluster=cluster)
    if read_flag(intersections, "intersections"):
        variables |= _pairs(variables)
    if not variables or cases.n == 0:
        raise MetricError("subgroups need at least one variable and at least one case")
    plan = read_plan(bootstrap)
    tests = _tests(cases, variables, threshold)
    differences = _differences(cases, variables, threshold)
    if read_flag(confirmatory, "confirmatory"):
        tests, differences = _adjusted(tests, differences)
    gaps = (rate_gaps(cases, variable, threshold, plan) for variable in variables.items())
    return SubgroupAnalysis(
        results=by_level(cases, variables, threshold),
        heterogeneity=tests,
        differences=differences,
        gaps=tuple(gap for pair in gaps for gap in pair),
        exploratory=not confirmatory,
    )


def _tests(cases: Cases, variables: Groups, threshold: float) -> tuple[Heterogeneity, ...]:
    return tuple(
        heterogeneity(cases, variable, metric, threshold)
        for variable in variables.items()
        for metric in STATISTICS
    )


def _differences(cases: Cases, variables: Groups, threshold: float) -> tuple[Difference, ...]:
    return tuple(
        Difference(
            variable=name,
            level=level,
            metric=metric,
            estimate=difference(cases, inside, metric, threshold),
        )
        for name, levels in variables.items()
        for level, inside in levels.members()
        for metric in STATISTICS
    )


def _pairs(variables: Groups) -> Groups:
    return {
        f"{a}.{b}": _pair(f"{a}.{b}", variables[a], variables[b])
        for a, b in combinations(variables, 2)
    }


def _pair(name: str, a: Levels, b: Levels) -> Levels:
    texts = [f"{first}.{second}" for first in a.names for second in b.names]
    return levels_of(name, texts, a.code.astype(np.intp) * len(b.names) + b.code)


def holm(p_values: ArrayLike) -> Floats:
    """Holm-adjusted p-values of a family of tests.

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
        raise MetricError("p-values must be within 0 to 1")
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * (p.size - np.arange(p.size)))
    adjusted = np.empty(p.size)
    adjusted[order] = np.minimum(stepped, 1)
    return adjusted


def _adjusted(
    heterogeneity: tuple[Heterogeneity, ...], differences: tuple[Difference, ...]
) -> tuple[tuple[Heterogeneity, ...], tuple[Difference, ...]]:
    """Holm-adjusted heterogeneity tests and, as a separate family, Holm-adjusted differences."""
    first = _holm_where_known([h.p for h in heterogeneity])
    second = _holm_where_known([d.estimate.p for d in differences])
    return (
        tuple(replace(h, p_adjusted=p) for h, p in zip(heterogeneity, first, strict=True)),
        tuple(replace(d, p_adjusted=p) for d, p in zip(differences, second, strict=True)),
    )


def _holm_where_known(p_values: list[float | None]) -> list[float | None]:
    known = iter(holm([p for p in p_values if p is not None]).tolist())
    return [None if p is None else next(known) for p in p_values]


def rate_gaps(
    cases: Cases, variable: tuple[str, Levels], threshold: float, plan: Bootstrap
) -> tuple[Gap, ...]:
    """Gaps of the true- and the false-positive rate over levels, by exact bootstrap of cells."""
    name, levels = variable
    groups = len(levels.names)
    cell = 4 * levels.code.astype(np.int64) + 2 * cases.reference + (cases.score >= threshold)
    counts = np.bincount(cell, minlength=4 * groups).astype(np.float64)
    patients = None if cases.cluster is None else (cell, cases.cluster)
    reps = drawn_counts(counts, plan, patients).astype(np.float64)
    sample = cases.sample
    observed, drawn = (c.reshape(-1, groups, 2, 2) for c in (counts, reps))
    return tuple(
        Gap(name, metric, _gap(sample, observed[0, :, kind], drawn[:, :, kind]))
        for kind, metric in ((1, "true-positive rate"), (0, "false-positive rate"))
    )


def _shares(table: Floats) -> Floats:
    """Proportion flagged, from counts (not flagged, flagged) on the last axis; NaN without cases."""
    total = table.sum(axis=-1)
    return np.asarray(table[..., 1] / np.where(total > 0, total, np.nan))


def _gap(sample: Sample, observed: Floats, drawn: Floats) -> Estimate:
    """Range of rates over the levels with enough cases."""
    method, enough = "bootstrap percentile", observed.sum(axis=1) >= FEWEST
    if np.count_nonzero(enough) < 2:
        return sample.not_estimable(
            f"fewer than two levels with at least {FEWEST} cases of this class", method
        )
    rates, reps = _shares(observed[enough]), _shares(drawn[:, enough])
    reps = reps[~np.isnan(reps).any(axis=1)]
    if len(reps) < 100:
        return sample.not_estimable("too few cases to resample", method)
    value, spread = float(np.ptp(rates)), np.ptp(reps, axis=1)
    if np.ptp(spread) == 0:  # all rates are 0 or 1, where resampling has no variance
        return sample.without_interval(
            value, method, reason="all replicates are equal: no interval"
        )
    return percentile_estimate(sample, value, spread, method)
