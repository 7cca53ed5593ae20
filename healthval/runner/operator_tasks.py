"""Operator's tasks at the hub: decide access requests, collect the sites' submissions."""

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from healthval.client import Client, Credential, SiteSubmission
from healthval.contracts.access import AccessDecision, AccessGrant
from healthval.contracts.submission import Submission
from healthval.errors import UsageError

Status = Literal["approved", "rejected", "suspended", "revoked"]
# The statuses that a request may have before each decision.
_BEFORE: dict[Status, frozenset[str]] = {
    "approved": frozenset({"requested", "suspended"}),
    "rejected": frozenset({"requested"}),
    "suspended": frozenset({"approved"}),
    "revoked": frozenset({"approved", "suspended"}),
}


def decide(hub_url: str, key: Path, site: str, *, status: Status, days: int) -> list[AccessGrant]:
    """Apply one decision to each request of a site that can take it.

    Parameters
    ----------
    key : file with the operator's private key
    days : days until an approval expires

    Raises
    ------
    UsageError
        If the site has no such request.
    """
    decision = AccessDecision(status=status, valid_days=days)
    with Client(hub_url, Credential.load(key)) as client:
        found = [g for g in client.access_requests() if g.site == site]
        open_requests = [g for g in found if g.status in _BEFORE[status]]
        if not open_requests:
            wanted = "approved" if status in {"suspended", "revoked"} else "pending"
            raise UsageError(f"no {wanted} request from that site; see `healthval access list`")
        return [client.decide_access(grant, decision) for grant in open_requests]


def by_label(submissions: Iterable[SiteSubmission]) -> dict[str, Submission]:
    """Return submissions by site label; the second site with a label gets a number."""
    labelled: dict[str, Submission] = {}
    for item in sorted(submissions, key=lambda s: (s.label, s.site)):
        same = sum(label == item.label or label.startswith(f"{item.label} (") for label in labelled)
        labelled[item.label if not same else f"{item.label} ({same + 1})"] = item.submission
    return labelled
