"""Select the submissions of one study and pool their released results over sites."""

from collections import defaultdict
from collections.abc import Sequence

from healthval.aggregate.counts import (
    Sites,
    total,
)
from healthval.aggregate.effects import (
    IDENTITY,
    LOG,
    LOGIT,
    NOISY_SHARE,
    PROPORTION,
    Named,
    Transform,
    count,
    pool_measure,
    tangent,
)
from healthval.aggregate.flow import flow_totals
from healthval.aggregate.result import (
    Estimands,
    NewSite,
    PooledDisplay,
    PooledMeasure,
    SiteSummary,
    StudyResult,
    SubgroupPool,
)
from healthval.aggregate.roc import display
from healthval.aggregate.secondary.case_mix import case_mix
from healthval.aggregate.secondary.choices import choices
from healthval.aggregate.secondary.events import event_ratio
from healthval.aggregate.secondary.joint_calibration import joint_calibration
from healthval.aggregate.secondary.records import Secondary, SecureTotal
from healthval.aggregate.secondary.usefulness import usefulness
from healthval.aggregate.sums import exact_calibration, within_site
from healthval.aggregate.tables import study_totals, table_one_totals
from healthval.aggregate.thresholds import Bivariate, decision_curve, pool_thresholds
from healthval.contracts.base import digest
from healthval.contracts.submission import ReleasedSubgroup, Submission
from healthval.errors import MetricError, part

MIN_EVENTS = 11  # and non-events, that a site needs for a pooled subgroup
_KEYS = {
    "model": "models",
    "version": "model versions",
    "plan_hash": "plans",
    "model_digest": "served artefacts of the same model version",
}
_HEADLINES = {"auroc": LOGIT, "oe": LOG, "citl": IDENTITY, "slope": IDENTITY}


def active_submissions(arrivals: Sites) -> tuple[tuple[str, Submission], ...]:
    """Keep one submission per site, model version and plan: the last to arrive.

    Parameters
    ----------
    arrivals : pairs of site and submission, in the order of their arrival at the hub.

    Returns
    -------
    pairs in the order of each site's first arrival, for each model version and plan.
    """
    active: dict[tuple[str, ...], tuple[str, Submission]] = {}
    for site, s in arrivals:
        active[(site, s.model, s.version, s.plan_hash)] = (site, s)
    return tuple(active.values())


def _check_one_study(sites: Sites) -> None:
    """Refuse an empty list, a repeated site, and different models or plans."""
    if not sites:
        raise MetricError("no site to pool; give at least one submission")
    labels = [site for site, _ in sites]
    twice = [i for i, label in enumerate(labels) if label in labels[:i]]
    if twice:
        raise MetricError(
            f"{part(len(twice), len(labels), 'submission', 'are from a site that has another one')} "
            f"(first at row {twice[0]}); keep the active ones with active_submissions"
        )
    for field, plural in _KEYS.items():
        values = [getattr(s, field) for _, s in sites]
        other = [i for i, value in enumerate(values) if value != values[0]]
        if other:
            raise MetricError(
                f"{field}: {len(set(values))} different {plural} (first other at row {other[0]}); "
                "pool one model version under one plan at a time"
            )


def pool(
    sites: Sites, *, bivariate: Bivariate = "binomial", secure_sum: SecureTotal | None = None
) -> StudyResult:
    """Pool the released results of several sites for one model version under one plan.

    Parameters
    ----------
    sites : pairs of a label and its active submission, one per site; see `active_submissions`.
    bivariate : model for sensitivity with specificity; ``none`` omits it (1,000 sites take
        seconds for each threshold).
    secure_sum : the plan's secure sum, if it has one; see `healthval.report.secure_total_at`

    Raises
    ------
    MetricError
        If `sites` is empty, a site occurs twice, or the submissions differ in model, version,
        served artefact or plan.
    """
    _check_one_study(sites)
    first = sites[0][1]
    hashes = [digest(s) for _, s in sites]
    headline = {name: _headline(name, sites) for name in _HEADLINES}
    shown = display(sites)
    n, n_events, n_indeterminate, n_missing = study_totals(sites)
    return StudyResult(
        model=first.model,
        version=first.version,
        model_digest=first.model_digest,
        plan_hash=first.plan_hash,
        k=len(sites),
        sites=tuple(_summary(x, s, sha) for (x, s), sha in zip(sites, hashes, strict=True)),
        n=n,
        n_events=n_events,
        n_indeterminate=n_indeterminate,
        n_missing_reference=n_missing,
        flow=flow_totals(sites),
        table_one=table_one_totals(sites),
        auroc=headline["auroc"],
        oe=headline["oe"],
        citl=headline["citl"],
        slope=headline["slope"],
        estimands=_estimands(sites, shown, headline["auroc"]),
        calibration=exact_calibration(sites),
        display=shown,
        thresholds=pool_thresholds(sites, bivariate),
        decision_curve=decision_curve(sites),
        subgroups=_subgroups(sites),
        new_site=_new_site(headline),
        secondary=_secondary(sites, list(headline.values())),
        notes=_notes(sites, hashes),
        secure_sum=secure_sum,
    )


def _headline(name: str, sites: Sites) -> PooledMeasure:
    named: list[Named] = [
        (site, s.auroc if name == "auroc" else getattr(s.calibration, name, None))
        for site, s in sites
    ]
    transform = _HEADLINES[name]
    if transform is LOGIT and any(s.noise for _, s in sites):
        transform = tangent(e.value for _, e in named if e is not None and e.value is not None)
    return pool_measure(name, named, transform, leave_out=True)


def _summary(site: str, s: Submission, sha256: str) -> SiteSummary:
    return SiteSummary(
        site=site,
        n=count(s.n),
        n_events=count(s.n_events),
        n_indeterminate=count(s.n_indeterminate),
        n_missing_reference=count(s.n_missing_reference),
        plan_amended=s.plan_amended,
        dates=s.dates,
        pixel_sign_off=s.pixel_sign_off,
        canary=s.canary,
        healthval_version=s.healthval_version,
        policy=s.certificate.policy,
        policy_version=s.certificate.policy_version,
        minimum_cell=s.certificate.minimum_cell,
        submission_sha256=sha256,
    )


def _estimands(sites: Sites, shown: PooledDisplay, auroc: PooledMeasure) -> Estimands:
    within, k = within_site(sites)
    return Estimands(
        mixture=shown.auc,
        mixture_bound=shown.bound,
        within_site=within,
        within_site_k=k,
        between_sites=auroc.value,
    )


def _subgroups(sites: Sites) -> tuple[SubgroupPool, ...]:
    """Pool every level that any site released, in the order of first release."""
    by_site = [(site, {(g.variable, g.level): g for g in s.subgroups}) for site, s in sites]
    levels = dict.fromkeys(key for _, groups in by_site for key in groups)
    noisy = any(s.noise and s.noise.level_variance for _, s in sites)
    scales = (NOISY_SHARE, NOISY_SHARE) if noisy else (LOGIT, PROPORTION)
    return tuple(
        _subgroup(key, [(site, groups.get(key)) for site, groups in by_site], scales)
        for key in levels
    )


def _subgroup(
    key: tuple[str, str],
    groups: list[tuple[str, ReleasedSubgroup | None]],
    scales: tuple[Transform, Transform],
) -> SubgroupPool:
    area, share = scales
    unfit = {site: reason for site, g in groups if g and (reason := _too_small(g))}

    def pooled(measure: str, transform: Transform) -> PooledMeasure:
        named = [(site, getattr(g, measure, None)) for site, g in groups]
        return pool_measure(measure, named, transform, unfit=unfit)

    present = [g for _, g in groups if g is not None]
    return SubgroupPool(
        variable=key[0],
        level=key[1],
        n=total(g.n for g in present),
        n_events=total(g.n_events for g in present),
        auroc=pooled("auroc", area),
        oe=pooled("oe", LOG),
        sensitivity=pooled("sensitivity", share),
        specificity=pooled("specificity", share),
    )


def _too_small(group: ReleasedSubgroup) -> str | None:
    n, events = count(group.n), count(group.n_events)
    if n is None or events is None:
        return "number of events not released"
    few = min(events, n - events) < MIN_EVENTS
    return f"fewer than {MIN_EVENTS} events or non-events" if few else None


def _secondary(sites: Sites, headline: Sequence[PooledMeasure]) -> Secondary:
    return Secondary(
        usefulness=usefulness(sites),
        calibration=joint_calibration(sites),
        case_mix=case_mix(sites),
        oe_poisson=event_ratio(sites),
        choices=choices(headline),
    )


def _new_site(headline: dict[str, PooledMeasure]) -> NewSite:
    auroc, slope = headline["auroc"], headline["slope"]
    return NewSite(
        auroc=auroc.prediction,
        oe=headline["oe"].prediction,
        slope=slope.prediction,
        citl=headline["citl"].prediction,
        p_slope=slope.meta.probability_between(0.8, 1.2) if slope.meta else None,
        k=auroc.k,
        approximate=auroc.k <= 10,
        reason=auroc.reason,
    )


def _notes(sites: Sites, hashes: Sequence[str]) -> tuple[str, ...]:
    """Facts about the submissions as a whole that a reader of the study must know."""
    found = [
        _named("amended the plan", [site for site, s in sites if s.plan_amended]),
        _named("saw the model change while it ran", [x for x, s in sites if s.canary == "changed"]),
        _named("kept dates", [site for site, s in sites if s.dates == "kept"]),
    ]
    if len({s.certificate.minimum_cell for _, s in sites}) > 1:
        found.append("Sites suppressed small counts by different minimum cells.")
    if len({s.healthval_version for _, s in sites}) > 1:
        found.append("Sites used different versions of healthval.")
    if any(t.origin == "data-derived" for _, s in sites for t in s.thresholds):
        found.append("Thresholds chosen on the data of a site are not pooled.")
    return tuple(note for note in found + _identical(sites, hashes) if note)


def _named(what: str, sites: list[str]) -> str:
    return f"{len(sites)} of the sites {what}: {', '.join(sites)}." if sites else ""


def _identical(sites: Sites, hashes: Sequence[str]) -> list[str]:
    same: dict[str, list[str]] = defaultdict(list)
    for (site, _), sha256 in zip(sites, hashes, strict=True):
        same[sha256].append(site)
    return [
        f"{len(labels)} sites released identical results, perhaps the same patients: "
        f"{', '.join(labels)}."
        for labels in same.values()
        if len(labels) > 1
    ]
