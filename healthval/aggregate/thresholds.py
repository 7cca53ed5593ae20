"""Pooled results at pre-specified thresholds: summed counts, net benefit, bivariate model."""

import math
from dataclasses import replace
from typing import Literal, TypeAlias

from healthval.aggregate.counts import (
    Sites,
    cells_of,
    net_benefit,
    pool_counts,
)
from healthval.aggregate.effects import IDENTITY, count, pool_measure
from healthval.aggregate.mixed.bivariate import bivariate
from healthval.aggregate.mixed.withheld import is_cut, with_withheld
from healthval.aggregate.result import (
    BivariateResult,
    DecisionTotal,
    Excluded,
    PooledCounts,
    Rate,
    ThresholdPool,
)
from healthval.aggregate.sums import weighted
from healthval.contracts.submission import (
    ReleasedEstimate,
    ReleasedThreshold,
    Submission,
)
from healthval.errors import MetricError, counted

Bivariate: TypeAlias = Literal["binomial", "normal", "none"]
Row: TypeAlias = tuple[str, Submission, ReleasedThreshold]


def pool_thresholds(sites: Sites, which: Bivariate) -> tuple[ThresholdPool, ...]:
    """Pool each pre-specified threshold that any site has, lowest first."""
    by_site = [
        (site, s, {t.threshold: t for t in s.thresholds if t.origin == "pre-specified"})
        for site, s in sites
    ]
    thresholds = sorted({t for _, _, found in by_site for t in found})
    return tuple(
        _at_threshold(
            threshold,
            [(site, s, found[threshold]) for site, s, found in by_site if threshold in found],
            tuple(
                Excluded(x, "threshold not submitted") for x, _, f in by_site if threshold not in f
            ),
            which,
        )
        for threshold in thresholds
    )


def _at_threshold(
    threshold: float, rows: list[Row], absent: tuple[Excluded, ...], which: Bivariate
) -> ThresholdPool:
    noise = [0.0 if s.noise is None else s.noise.variance for _, s, _ in rows]
    counts = pool_counts(
        [t.confusion for _, _, t in rows],
        sites=[site for site, _, _ in rows],
        margins=[(s.n, s.n_events) for _, s, _ in rows],
        noise=noise,
    )
    sites_nb = pool_measure("net_benefit", [(site, t.net_benefit) for site, _, t in rows], IDENTITY)
    counts, binomial, normal, reason = _bivariate(rows, counts, noise, which)
    return ThresholdPool(
        threshold=threshold,
        counts=replace(counts, excluded=counts.excluded + absent),
        net_benefit=net_benefit(
            counts, threshold, n_all=_all_cases([s for _, s, _ in rows]), noise=math.fsum(noise)
        ),
        treat_all=_treat_all(counts, threshold),
        net_benefit_sites=sites_nb,
        bivariate=binomial,
        bivariate_normal=normal,
        bivariate_reason=reason,
    )


def _all_cases(submissions: list[Submission]) -> int | None:
    sizes = [count(s.n) for s in submissions]
    return None if None in sizes else sum(n for n in sizes if n is not None)


def _bivariate(
    rows: list[Row], counts: PooledCounts, noise: list[float], which: Bivariate
) -> tuple[PooledCounts, BivariateResult | None, BivariateResult | None, str | None]:
    """Counts with rates over all sites, binomial and normal model, and the reason for none.

    Whether a site withholds a cell depends on its rates, so that the others are not a random sample:
    withheld cells are part of the likelihood.
    """
    if counts.excluded or any(is_cut(s, t) for _, s, t in rows):
        counts, means, reason = with_withheld(rows, counts)
        return counts, means, None, reason
    if which == "none":
        return counts, None, None, "not requested"
    try:
        return counts, *_joint(rows, noise, which), None
    except MetricError as refused:
        return counts, None, None, str(refused)


def _joint(
    rows: list[Row], noise: list[float], which: Bivariate
) -> tuple[BivariateResult | None, BivariateResult]:
    """Binomial and normal model of the sites with both classes."""
    tables = [cells_of(t.confusion, i) for i, (_, _, t) in enumerate(rows)]
    usable = [
        (c, v)
        for c, v in zip(tables, noise, strict=True)
        if int(c[0]) + int(c[2]) and int(c[1]) + int(c[3])
    ]
    counts, variances = [c for c, _ in usable], [v for _, v in usable]
    normal = bivariate(counts, "normal", noise=variances)
    return bivariate(counts, noise=variances) if which == "binomial" else None, normal


def _treat_all(counts: PooledCounts, threshold: float) -> float | None:
    """Net benefit of treating everyone: prevalence - (1 - prevalence) * t / (1 - t)."""
    prevalence = counts.prevalence.value
    if prevalence is None or threshold >= 1:
        return None
    return prevalence - (1 - prevalence) * threshold / (1 - threshold)


def decision_curve(sites: Sites, level: float = 0.95) -> tuple[DecisionTotal, ...]:
    """Net benefit of all cases of all sites at each threshold of any site's curve.

    A point that a site did not release has no value: along the curve all points are about the same
    sites.
    """
    points = [
        (p, n)
        for _, s in sites
        if (n := count(s.n))
        for p in s.decision_curve
        if p.model.value is not None
    ]
    out = []
    for at in sorted({p.threshold for p, _ in points}):
        here = [(p, n) for p, n in points if p.threshold == at]
        model = [(n, p.model.value, _spread(p.model)) for p, n in here if p.model.value is not None]
        everyone = [(n, p.treat_all, None) for p, n in here if p.treat_all is not None]
        whole = len(model) == len(sites)
        value, ci = weighted(model, level) if whole else (None, None)
        total = Rate(
            value=value,
            ci=ci,
            numerator=None,
            denominator=sum(n for n, _, _ in model),
            method="case-weighted",
            k=len(model),
            reason=None if whole else _not_released(len(sites) - len(model), len(sites)),
        )
        treat_all = weighted(everyone, level)[0] if len(everyone) == len(sites) else None
        out.append(DecisionTotal(at, total, treat_all))
    return tuple(out)


def _not_released(missing: int, k: int) -> str:
    return f"{missing} of {counted(k, 'site')} did not release this point"


def _spread(estimate: ReleasedEstimate) -> float | None:
    """Return the standard error; where it was rounded to zero, half the unit of the rounding."""
    if estimate.se != 0 or estimate.value is None:
        return estimate.se
    decimals = max(
        len(repr(x).partition(".")[2])
        for x in (estimate.value, estimate.lo, estimate.hi)
        if x is not None
    )
    return float(0.5 * 10.0**-decimals)
