"""Operator's tasks at the hub: decide access requests, collect the sites' submissions."""

import re
from collections.abc import Callable, Collection, Iterable

from healthval.aggregate import counted_elsewhere
from healthval.client import Client, SiteSubmission
from healthval.contracts.access import AccessDecision, AccessGrant
from healthval.contracts.submission import Submission
from healthval.errors import UsageError, counted
from healthval.plan import Plan
from healthval.secure_sum.messages import ROUNDS, SumState
from healthval.secure_sum.outcome import labels_of

# The statuses that a request may have before each decision.
_BEFORE: dict[str, frozenset[str]] = {
    "approved": frozenset({"requested", "suspended"}),
    "rejected": frozenset({"requested"}),
    "suspended": frozenset({"approved"}),
    "revoked": frozenset({"approved", "suspended"}),
}
# Also with the plan named: an approval is renewed, or a denial withdrawn.
_BEFORE_WITH_PLAN = _BEFORE | {
    "approved": frozenset({"requested", "suspended", "approved", "rejected"})
}


def decide(
    client: Client,
    site: str,
    decision: AccessDecision,
    *,
    plan: str | None = None,
    confirm: Callable[[AccessGrant], bool] = lambda _: True,
) -> AccessGrant:
    """Apply a decision to one request of a site.

    Parameters
    ----------
    plan : first digits of the plan's hash, at least 8; not needed if one request can be decided
    confirm : receives the request and returns True to decide it

    Raises
    ------
    UsageError
        If no request of the site or several can be decided, or the person declined; nothing is decided.
    """
    found = [g for g in client.access_requests() if g.site == site]
    before = (_BEFORE if plan is None else _BEFORE_WITH_PLAN)[decision.status]
    grant = _only([g for g in found if g.status in before], decision, plan)
    if not confirm(grant):
        raise UsageError("not confirmed, so nothing was decided")
    return client.decide_access(grant, decision)


def _only(grants: list[AccessGrant], decision: AccessDecision, plan: str | None) -> AccessGrant:
    """Return the only request that matches."""
    wanted = "approved" if decision.status in {"suspended", "revoked"} else "pending"
    if plan is not None:
        if not re.fullmatch(r"[0-9a-f]{8,64}", plan):
            raise UsageError("--plan needs 8 or more digits of the hash in `healthval access list`")
        grants = [grant for grant in grants if grant.plan_hash.startswith(plan)]
    if not grants:
        which = " under that plan" if plan else ""
        renewal = "; --plan HASH renews an approval" if wanted == "pending" and not plan else ""
        raise UsageError(
            f"no {wanted} request from that site{which}; see `healthval access list`{renewal}"
        )
    if len(grants) > 1:
        hashes = ", ".join(grant.plan_hash[:12] for grant in grants)
        raise UsageError(
            f"{counted(len(grants), f'{wanted} request')} from that site; name one by --plan ({hashes})"
        )
    return grants[0]


def close_round(
    client: Client, plan: Plan, *, confirm: Callable[[str], bool] = lambda _: True
) -> SumState:
    """Close the open round of the plan's secure sum; the hospitals that are missing leave it.

    Parameters
    ----------
    confirm : receives the round with the hospitals that sent a message and those that did not;
        returns True to close it

    Raises
    ------
    UsageError
        If no round is open, or the person declined; nothing is closed.
    HubError
        If too few hospitals have joined, or opened the total.
    """
    state = client.secure_sum(**plan.subject)
    round_ = next((r for r in ROUNDS if r == state.round), None)
    if round_ is None or not state.messages:
        ended = {"done": "it is done", "failed": f"it has failed: {state.reason}"}
        raise UsageError(
            f"no round of this sum is open: {ended.get(state.round, 'no hospital has joined')}"
        )
    labels = labels_of(state)
    there = ", ".join(labels[site] for site in state.sites(round_)) or "none"
    missing = ", ".join(labels[site] for site in state.waits_for)
    text = f"Round '{round_}': sent by {there}" + (f"; missing: {missing}" if missing else "")
    if not confirm(text):
        raise UsageError("not confirmed, so no round was closed")
    return client.close_sum_round(state, round_)


def by_label(
    submissions: Iterable[SiteSubmission], apart: Collection[str] = ()
) -> dict[str, Submission]:
    """Return submissions by the label of their hospital, each hospital once.

    See `healthval.aggregate.counted_elsewhere`; `twice` describes the results that are left out.
    """
    found = list(submissions)
    left_out = counted_elsewhere(found, apart)
    kept = [item for item in found if item.site not in left_out]
    return {item.label: item.submission for item in sorted(kept, key=lambda s: (s.label, s.site))}


def twice(submissions: Iterable[SiteSubmission], apart: Collection[str] = ()) -> str:
    """Describe the results that are left out because their hospital has a newer one."""
    known = {item.site: item for item in submissions}
    lines = []
    for site, other in counted_elsewhere(list(known.values()), apart).items():
        mine, newer = known[site], known[other]
        what = "label" if mine.label == newer.label else "patients"
        lines.append(
            f"Not pooled: the result of {mine.label} ({site}). {newer.label} ({other}) has the same"
            f" {what} and the newer result: one hospital counts once."
        )
    return "\n".join(lines) or "Each hospital has one result."
