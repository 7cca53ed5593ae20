"""What an operator or a site does from the command line or a notebook, one call each."""

import base64
import hashlib
from collections.abc import Iterable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from healthval.client import Client, Credential
from healthval.contracts.access import PublicKey
from healthval.contracts.base import read_wire
from healthval.contracts.report import ReportRecord
from healthval.contracts.submission import Submission
from healthval.errors import IntegrityError, UsageError
from healthval.plan import Plan
from healthval.report import Criterion, PlanFacts, Report, seal, verify, write


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
