"""Which submissions make one study: one active a site, one model version, one plan."""

from collections import defaultdict
from collections.abc import Sequence
from typing import TypeAlias

from healthval.contracts.submission import Submission
from healthval.errors import MetricError

Sites: TypeAlias = Sequence[tuple[str, Submission]]

_KEYS = {
    "model": "models",
    "version": "model versions",
    "plan_hash": "plans",
    "model_digest": "served artefacts of the same model version",
}


def active_submissions(arrivals: Sites) -> tuple[tuple[str, Submission], ...]:
    """Keep one submission a site, model version and plan: the last to arrive supersedes.

    Parameters
    ----------
    arrivals : pairs of site and submission in the order in which the hub took them.

    Returns
    -------
    pairs in the order in which their site first came, for each model version and plan.
    """
    active: dict[tuple[str, ...], tuple[str, Submission]] = {}
    for site, s in arrivals:
        active[(site, s.model, s.version, s.plan_hash)] = (site, s)
    return tuple(active.values())


def check_one_study(sites: Sites) -> None:
    """Refuse to pool nothing, one site twice, or what is not the same model under one plan."""
    if not sites:
        raise MetricError("no site to pool; give at least one submission")
    labels = [site for site, _ in sites]
    twice = [i for i, label in enumerate(labels) if label in labels[:i]]
    if twice:
        raise MetricError(
            f"{len(twice)} of {len(labels)} submissions are a site's second one (first at row "
            f"{twice[0]}); keep the active ones with active_submissions"
        )
    for field, plural in _KEYS.items():
        values = [getattr(s, field) for _, s in sites]
        other = [i for i, value in enumerate(values) if value != values[0]]
        if other:
            raise MetricError(
                f"{field}: {len(set(values))} different {plural} (first other at row {other[0]}); "
                "pool one model version under one plan at a time"
            )


def notes(sites: Sites, hashes: Sequence[str]) -> tuple[str, ...]:
    """Say what a reader must know about the submissions as a whole."""
    found = [
        _named("amended the plan", [site for site, s in sites if s.plan_amended]),
        _named("saw the model change while it ran", [x for x, s in sites if s.canary == "changed"]),
        _named("kept dates", [site for site, s in sites if s.dates == "kept"]),
    ]
    if len({s.certificate.minimum_cell for _, s in sites}) > 1:
        found.append("Sites suppressed small counts by different minimum cells.")
    if len({s.healthval_version for _, s in sites}) > 1:
        found.append("Sites used different versions of healthval.")
    derived = any(t.origin == "data-derived" for _, s in sites for t in s.thresholds)
    if derived:
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
