"""Whether the model serves every group alike: heterogeneity first, then differences, then gaps."""

from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from healthval.errors import MetricError
from healthval.metrics.confusion import check_threshold
from healthval.metrics.estimate import Estimate, Sample
from healthval.metrics.inputs import Cases, Floats, read_flag, read_numbers, read_probability_cases
from healthval.metrics.intervals.resampling import (
    Bootstrap,
    drawn_counts,
    percentile_estimate,
    read_plan,
)
from healthval.metrics.result import SubgroupResult
from healthval.metrics.subgroups.heterogeneity import (
    STATISTICS,
    Heterogeneity,
    difference,
    heterogeneity,
)
from healthval.metrics.subgroups.levels import FEWEST, Groups, by_level, read_groups


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
    tests = tuple(
        heterogeneity(cases, variable, metric, threshold)
        for variable in variables.items()
        for metric in STATISTICS
    )
    differences = tuple(
        Difference(name, str(level), metric, difference(cases, levels == level, metric, threshold))
        for name, levels in variables.items()
        for level in np.unique(levels)
        for metric in STATISTICS
    )
    gaps = tuple(
        gap
        for name, levels in variables.items()
        for gap in rate_gaps(cases, (name, levels), threshold, read_plan(bootstrap))
    )
    if read_flag(confirmatory, "confirmatory"):
        tests, differences = _adjusted(tests, differences)
    results = by_level(cases, variables, threshold)
    return SubgroupAnalysis(results, tests, differences, gaps, not confirmatory)


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


def rate_gaps(
    cases: Cases, variable: tuple[str, np.ndarray], threshold: float, plan: Bootstrap
) -> tuple[Gap, ...]:
    """Range over levels of the true- and of the false-positive rate, by exact bootstrap of cells."""
    name, levels = variable
    code = np.unique(levels, return_inverse=True)[1].reshape(-1)
    groups = int(code.max()) + 1
    cell = 4 * code + 2 * cases.reference + (cases.score >= threshold)
    counts = np.bincount(cell, minlength=4 * groups).astype(np.float64)
    patients = None if cases.cluster is None else (cell, cases.cluster)
    reps = drawn_counts(counts, plan, patients).astype(np.float64)
    sample = Sample(cases.n, cases.n_events)
    observed, drawn = (c.reshape(-1, groups, 2, 2) for c in (counts, reps))
    return tuple(
        Gap(name, metric, _gap(sample, observed[0, :, kind], drawn[:, :, kind]))
        for kind, metric in ((1, "true-positive rate"), (0, "false-positive rate"))
    )


def _shares(table: Floats) -> Floats:
    """Flagged among all, from cases not flagged and flagged in the last place; nan when none."""
    total = table.sum(axis=-1)
    return np.asarray(table[..., 1] / np.where(total > 0, total, np.nan))


def _gap(sample: Sample, observed: Floats, drawn: Floats) -> Estimate:
    """Range over the levels that have enough cases to be judged."""
    method, enough = "bootstrap percentile", observed.sum(axis=1) >= FEWEST
    if np.count_nonzero(enough) < 2:
        return sample.none(f"fewer than two levels with {FEWEST} such cases", method)
    rates, reps = _shares(observed[enough]), _shares(drawn[:, enough])
    reps = reps[~np.isnan(reps).any(axis=1)]
    if len(reps) < 100:
        return sample.none("too few cases to resample", method)
    value, spread = float(np.ptp(rates)), np.ptp(reps, axis=1)
    if np.ptp(spread) == 0:  # all rates are 0 or 1: resampling cannot tell how sure that is
        return sample.bare(value, method, reason="every replicate is alike: no interval")
    return percentile_estimate(sample, value, spread, method)
