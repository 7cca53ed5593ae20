"""Pre-specified thresholds over sites: summed counts, net benefit, bivariate model."""

from typing import Literal, TypeAlias

from healthval.aggregate.counts import net_benefit, pool_counts
from healthval.aggregate.measures import IDENTITY, pool_measure
from healthval.aggregate.selection import Sites
from healthval.aggregate.study import Excluded, PooledCounts, ThresholdPool
from healthval.contracts.submission import ReleasedThreshold, Submission

Bivariate: TypeAlias = Literal["binomial", "normal", "none"]
Row: TypeAlias = tuple[str, Submission, ReleasedThreshold]


def pool_thresholds(sites: Sites, bivariate: Bivariate) -> tuple[ThresholdPool, ...]:
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
            bivariate,
        )
        for threshold in thresholds
    )


def _at_threshold(
    threshold: float, rows: list[Row], absent: tuple[Excluded, ...], bivariate: Bivariate
) -> ThresholdPool:
    counts = pool_counts(
        [t.confusion for _, _, t in rows],
        sites=[site for site, _, _ in rows],
        margins=[(s.n, s.n_events) for _, s, _ in rows],
    )
    sites_nb = pool_measure("net_benefit", [(site, t.net_benefit) for site, _, t in rows], IDENTITY)
    return ThresholdPool(
        threshold, _with_absent(counts, absent), net_benefit(counts, threshold),
        _treat_all(counts, threshold), sites_nb, None, None, None,
    )  # fmt: skip


def _with_absent(counts: PooledCounts, absent: tuple[Excluded, ...]) -> PooledCounts:
    from dataclasses import replace

    return replace(counts, excluded=counts.excluded + absent)


def _treat_all(counts: PooledCounts, threshold: float) -> float | None:
    """Net benefit of treating everyone: prevalence - (1 - prevalence) * t / (1 - t)."""
    prevalence = counts.prevalence.value
    if prevalence is None or threshold >= 1:
        return None
    return prevalence - (1 - prevalence) * threshold / (1 - threshold)
