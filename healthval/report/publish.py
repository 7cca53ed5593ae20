"""What an operator or a site does from the command line or a notebook, one call each."""

import base64
import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from healthval.client import Client, Credential, SiteSubmission
from healthval.contracts.access import AccessDecision, AccessGrant, PublicKey
from healthval.contracts.base import read_wire
from healthval.contracts.report import ReportRecord
from healthval.contracts.submission import Receipt, Submission
from healthval.errors import IntegrityError, SubmissionError, UsageError
from healthval.evaluation import Site, newest_release
from healthval.plan import Plan
from healthval.report import Criterion, PlanFacts, Report, seal, verify, write
from healthval.submit import submit

Status = Literal["approved", "rejected", "revoked"]


def decide(
    hub_url: str,
    key: Path,
    site: str,
    *,
    status: Status,
    days: int,
) -> list[AccessGrant]:
    """Decide all of a site's requests that can take this decision."""
    takes = {"approved": {"requested"}, "rejected": {"requested"}, "revoked": {"approved"}}[status]
    with Client(hub_url, Credential.load(key)) as client:
        return _decide(client, site, AccessDecision(status=status, valid_days=days), takes)


def _decide(
    client: Client, site: str, decision: AccessDecision, takes: set[str]
) -> list[AccessGrant]:
    waiting = [g for g in client.access_requests() if g.site == site and g.status in takes]
    if not waiting:
        raise UsageError(
            f"that site has nothing to be {decision.status}; see `healthval access list`"
        )
    return [client.decide_access(g, decision) for g in waiting]


def send_release(
    hub_url: str, folder: Path, *, confirm: Callable[[str], bool], agreed: str | None
) -> Receipt:
    """Send the site's newest release; `agreed` is its hash, given instead of an answer."""
    site = Site.open(folder)
    message = newest_release(site)
    if agreed is not None and agreed != message.sha256:
        raise SubmissionError(
            "--yes names another hash than the newest release has; run `healthval release` again"
        )
    asked = confirm if agreed is None else lambda _: True
    with Client(hub_url, site.credential) as client:
        return submit(message, client, site.ledger, confirm=asked)


def by_label(submissions: Iterable[SiteSubmission]) -> dict[str, Submission]:
    """Submissions by the site's label; a label that two sites chose gets a number."""
    found: dict[str, Submission] = {}
    for item in sorted(submissions, key=lambda s: (s.label, s.site)):
        same = sum(label == item.label or label.startswith(f"{item.label} (") for label in found)
        found[item.label if not same else f"{item.label} ({same + 1})"] = item.submission
    return found


def plan_facts(plan: Plan, released: Iterable[Submission] = ()) -> PlanFacts:
    """What the report tells of the plan; amended where a site had registered another before."""
    return PlanFacts(
        title=plan.title,
        target_condition=plan.target_condition,
        reference_standard=plan.reference_standard,
        thresholds=plan.thresholds,
        criteria=tuple(
            Criterion(c.metric, at_least=c.low, at_most=c.high, threshold=c.threshold)
            for c in plan.acceptance
        ),
        plan_hash=plan.hash,
        amended=any(submission.plan_amended for submission in released),
        planned_cases=plan.sample_size.planned_cases,
        sample_size_rationale=plan.sample_size.rationale,
    )


def publish(report: Report, plan: Plan, folder: Path, client: Client, key: Path) -> ReportRecord:
    """Write the report, sign it, store its files and index them.

    An attestation that already fits the same bytes is kept, so that publishing again changes nothing.
    """
    write(report, folder)
    credential = Credential.load(key)
    try:
        names = verify(folder, credential.private_key.public_key())
    except IntegrityError:
        seal(report, folder, credential.private_key)
        names = verify(folder, credential.private_key.public_key())
    files = {name: (folder / name).read_bytes() for name in (*names, "attestation.dsse.json")}
    record = client.publish_report(
        **plan.subject, n_sites=report.numbers["study"]["k"], files=files
    )
    for name, data in files.items():
        if record.files[name] != hashlib.sha256(data).hexdigest():
            raise IntegrityError(f"the hub stored other bytes for {name}; publish again")
    return record


def verify_report(place: Path, key: Path | None) -> list[str]:
    """Check a report against the platform's public key.

    Without `key`, the demo's own operator key beside the report is taken.
    """
    folder = place if place.is_dir() else place.parent
    public = key or folder / "operator" / "operator.key.pub"
    try:
        jwk = read_wire(PublicKey, public.read_bytes())
    except (OSError, ValueError):
        raise UsageError(
            "give the platform's public key: healthval verify REPORT --key operator.key.pub"
        ) from None
    raw = base64.urlsafe_b64decode(jwk.x + "=")
    return verify(place, Ed25519PublicKey.from_public_bytes(raw))
