"""Request for access to the plan's model, with the record of the plan."""

from healthval.client import Client
from healthval.cohort.cohort import band_names
from healthval.contracts.access import AccessGrant, Amendment
from healthval.contracts.monitoring import ENDED, PERIOD
from healthval.contracts.submission import COMMON_LEVELS, FOLDED
from healthval.contracts.text import name_of
from healthval.errors import IntegrityError
from healthval.plan import Plan
from healthval.plan_checks import variables_of
from healthval.plan_versions import versions_of
from healthval.site import Site


def request_access(plan: Plan, client: Client, *, site: Site, label: str) -> AccessGrant:
    """Ask the operator for access to the plan's model; once the hub has the request, record the plan.

    A plan that replaces an earlier version of the site is sent with that version's hash and the reason
    given to `Site.amend`. The hub's countersignature of hash and time is kept with the version.

    Raises
    ------
    IntegrityError
        If the countersignature is for another plan or site.
    """
    grant = client.request_access(
        label=label,
        names=plan_names(plan),
        title=plan.title,
        amendment=_amendment(plan, site),
        model=plan.model.name,
        version=plan.model.version,
        plan_hash=plan.hash,
    )
    stamp = grant.stamp
    if stamp is not None and (stamp.kind, stamp.site, stamp.sha256) != (
        "plan",
        grant.site,
        plan.hash,
    ):
        raise IntegrityError("the hub's countersignature is for another plan or site")
    site.register(plan, stamp=stamp)
    return grant


def _amendment(plan: Plan, site: Site) -> Amendment | None:
    """Return the version that this plan replaces, and why; None for the first version."""
    versions = versions_of(site.folder, plan.study)
    hashes = [version.hash for version in versions]
    at = hashes.index(plan.hash) if plan.hash in hashes else len(hashes)
    if at == 0:
        return None
    reason = versions[at].reason if at < len(hashes) else None
    return Amendment(of=hashes[at - 1], reason=reason or "No reason was given.")


def plan_names(plan: Plan) -> tuple[str, ...]:
    """Names of variables, levels and steps that a result under the plan may contain, sorted."""
    variables = variables_of(plan)
    names = {*variables, *(step.step for step in plan.eligibility)}
    names |= {source.name for source in plan.linkage}
    names |= {f"with_{view}" for view in (plan.fhir.links if plan.fhir else ())}
    for column in map(plan.columns.__getitem__, variables):
        if column.kind == "category":
            names |= {name_of(level) for level in column.names.values()}
        names |= {name_of(band) for band in band_names(getattr(column, "bands", ()))}
    if plan.levels is not None:
        names.add(FOLDED if plan.levels.rule == "fold" else COMMON_LEVELS)
    if plan.monitoring is not None:
        names |= {PERIOD, ENDED, *plan.monitoring.levels}
    return tuple(sorted(names))
