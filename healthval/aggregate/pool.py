"""Pool the released results of several sites into one study."""

from healthval.aggregate.counts import total
from healthval.aggregate.effects import (
    IDENTITY,
    LOG,
    LOGIT,
    PROPORTION,
    Named,
    Transform,
    count,
    pool_measure,
)
from healthval.aggregate.flow import flow_totals
from healthval.aggregate.result import (
    Estimands,
    NewSite,
    PooledMeasure,
    SiteSummary,
    StudyResult,
    SubgroupPool,
)
from healthval.aggregate.selection import Sites, check_one_study, notes
from healthval.aggregate.sums import (
    display,
    exact_calibration,
    study_totals,
    table_one_totals,
    within_site,
)
from healthval.aggregate.thresholds import Bivariate, decision_curve, pool_thresholds
from healthval.contracts.base import digest
from healthval.contracts.submission import ReleasedSubgroup, Submission

MIN_EVENTS = 11  # and non-events, that a site needs to enter a pooled subgroup


def pool(sites: Sites, *, bivariate: Bivariate = "binomial") -> StudyResult:
    """Pool what several sites released for one model version under one plan.

    Parameters
    ----------
    sites : pairs of a label and its active submission, one a site; see `active_submissions`.
    bivariate : model for sensitivity with specificity; ``none`` leaves it out (1,000 sites
        take seconds for each threshold).

    Raises
    ------
    MetricError
        If no site is given, a site comes twice, or the submissions differ in model, version,
        served artefact or plan.
    """
    check_one_study(sites)
    first = sites[0][1]
    hashes = [digest(s) for _, s in sites]
    auroc = _headline("auroc", [(site, s.auroc) for site, s in sites], LOGIT)
    oe, citl, slope = (
        _headline(name, _calibration(sites, name), transform)
        for name, transform in (("oe", LOG), ("citl", IDENTITY), ("slope", IDENTITY))
    )
    shown = display(sites)
    n, n_events, n_indeterminate, n_missing = study_totals(sites)
    return StudyResult(
        first.model, first.version, first.model_digest, first.plan_hash, len(sites),
        tuple(_summary(*pair, sha) for pair, sha in zip(sites, hashes, strict=True)),
        n, n_events, n_indeterminate, n_missing,
        flow_totals(sites), table_one_totals(sites),
        auroc, oe, citl, slope,
        Estimands(shown.auc, shown.bound, *within_site(sites), auroc.value),
        exact_calibration(sites), shown,
        pool_thresholds(sites, bivariate), decision_curve(sites), _subgroups(sites),
        _new_site(auroc, oe, slope, citl), notes(sites, hashes),
    )  # fmt: skip


def _headline(measure: str, named: list[Named], transform: Transform) -> PooledMeasure:
    return pool_measure(measure, named, transform, leave_out=True)


def _calibration(sites: Sites, name: str) -> list[Named]:
    return [(site, getattr(s.calibration, name, None)) for site, s in sites]


def _summary(site: str, s: Submission, sha256: str) -> SiteSummary:
    return SiteSummary(
        site, count(s.n), count(s.n_events), count(s.n_indeterminate),
        count(s.n_missing_reference), s.plan_amended, s.dates, s.pixel_sign_off, s.canary,
        s.healthval_version, s.certificate.policy, s.certificate.policy_version,
        s.certificate.minimum_cell, sha256,
    )  # fmt: skip


def _subgroups(sites: Sites) -> tuple[SubgroupPool, ...]:
    """Pool every level that any site released, in the order in which they come."""
    by_site = [(site, {(g.variable, g.level): g for g in s.subgroups}) for site, s in sites]
    levels = dict.fromkeys(key for _, groups in by_site for key in groups)
    return tuple(
        _subgroup(key, [(site, groups.get(key)) for site, groups in by_site]) for key in levels
    )


def _subgroup(
    key: tuple[str, str], groups: list[tuple[str, ReleasedSubgroup | None]]
) -> SubgroupPool:
    unfit = {site: reason for site, g in groups if g and (reason := _too_small(g))}

    def pooled(measure: str, transform: Transform) -> PooledMeasure:
        named = [(site, getattr(g, measure, None)) for site, g in groups]
        return pool_measure(measure, named, transform, unfit=unfit)

    present = [g for _, g in groups if g is not None]
    return SubgroupPool(
        *key, total(g.n for g in present), total(g.n_events for g in present),
        pooled("auroc", LOGIT), pooled("oe", LOG),
        pooled("sensitivity", PROPORTION), pooled("specificity", PROPORTION),
    )  # fmt: skip


def _too_small(group: ReleasedSubgroup) -> str | None:
    n, events = count(group.n), count(group.n_events)
    if n is None or events is None:
        return "number of events not released"
    few = min(events, n - events) < MIN_EVENTS
    return f"fewer than {MIN_EVENTS} events or non-events" if few else None


def _new_site(
    auroc: PooledMeasure, oe: PooledMeasure, slope: PooledMeasure, citl: PooledMeasure
) -> NewSite:
    p_slope = slope.meta.probability_between(0.8, 1.2) if slope.meta else None
    return NewSite(
        auroc.prediction, oe.prediction, slope.prediction, citl.prediction, p_slope,
        auroc.k, auroc.k <= 10, auroc.reason,
    )  # fmt: skip
