"""Report files: written to a folder, signed, stored at the hub, and verified against a key."""

import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from healthval.contracts.access import AccessDecision, AccessGrant, PublicKey, raw_public_key
from healthval.contracts.base import read_wire
from healthval.contracts.submission import Receipt, Submission
from healthval.errors import IntegrityError, ReportError, SubmissionError, UsageError
from healthval.files import write_durably
from healthval.report.attestation import ATTESTATION, verify
from healthval.report.document import Report
from healthval.report.provenance import seal
from healthval.report.render import render_html, render_pdf, why_no_pdf

if TYPE_CHECKING:
    from healthval.client import Client, SiteSubmission
    from healthval.contracts.report import ReportRecord
    from healthval.plan import Plan

HTML, PDF, METRICS = "report.html", "report.pdf", "metrics.json"


def write(report: Report, folder: Path) -> dict[str, str]:
    """Write ``report.html``, ``metrics.json`` and, where Pango is installed, ``report.pdf``.

    All files are rendered before the first one is replaced. Without Pango an older PDF is deleted;
    `why_no_pdf` returns the remedy. Equal reports give equal bytes.

    Returns
    -------
    dict
        File name to SHA-256 of its bytes.

    Raises
    ------
    ReportError
        If the report cannot be rendered or the folder cannot be written.
    """
    html = render_html(report.notebook())
    files = {HTML: html.encode(), METRICS: metrics_json(report)}
    if why_no_pdf() is None:
        files[PDF] = render_pdf(html)
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            write_durably(folder / name, content, mode=0o644)
        if PDF not in files:
            (folder / PDF).unlink(missing_ok=True)
    except OSError:
        raise ReportError(
            "the report's folder cannot be written; give another folder or free some disk space"
        ) from None
    return {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())}


def metrics_json(report: Report) -> bytes:
    """Encode the report's numbers: sorted keys, two spaces, one newline at the end."""
    text = json.dumps(report.numbers, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False)
    return text.encode() + b"\n"


def publish(
    report: Report, plan: "Plan", folder: Path, client: "Client", key: Path
) -> "ReportRecord":
    """Write the report, sign it, store its files at the hub and index them.

    An attestation that already matches the same bytes is kept, so that a second publication changes
    no file.

    Raises
    ------
    IntegrityError
        If the hub stored other bytes than the folder contains.
    """
    from healthval.credential import Credential

    write(report, folder)
    private_key = Credential.load(key).private_key
    try:
        names = verify(folder, private_key.public_key())
    except IntegrityError:
        seal(report, folder, private_key)
        names = verify(folder, private_key.public_key())
    files = {name: (folder / name).read_bytes() for name in (*names, ATTESTATION)}
    record = client.publish_report(
        **plan.subject, n_sites=report.numbers["study"]["k"], files=files
    )
    for name, content in files.items():
        if record.files[name] != hashlib.sha256(content).hexdigest():
            raise IntegrityError(f"the hub stored other bytes for {name}; publish again")
    return record


def verify_report(place: Path, key: Path | None) -> list[str]:
    """Verify a report with the platform's public key; return the names of the signed files.

    Parameters
    ----------
    place : folder of the report, or any file of it
    key : file with the platform's public key; by default the operator key of the demo, which is in
        the folder of the report
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    folder = place if place.is_dir() else place.parent
    public = key or folder / "operator" / "operator.key.pub"
    try:
        raw = raw_public_key(read_wire(PublicKey, public.read_bytes()))
    except (OSError, ValueError):
        raise UsageError(
            "give the platform's public key: healthval verify REPORT --key operator.key.pub"
        ) from None
    return verify(place, Ed25519PublicKey.from_public_bytes(raw))


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
    from healthval.client import Client
    from healthval.credential import Credential

    takes = {"approved": {"requested"}, "rejected": {"requested"}, "revoked": {"approved"}}[status]
    with Client(hub_url, Credential.load(key)) as client:
        return _decide(client, site, AccessDecision(status=status, valid_days=days), takes)


def _decide(
    client: "Client", site: str, decision: AccessDecision, takes: set[str]
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
    from healthval.client import Client
    from healthval.evaluation import Site, newest_release
    from healthval.submit import submit

    site = Site.open(folder)
    message = newest_release(site)
    if agreed is not None and agreed != message.sha256:
        raise SubmissionError(
            "--yes names another hash than the newest release has; run `healthval release` again"
        )
    asked = confirm if agreed is None else lambda _: True
    with Client(hub_url, site.credential) as client:
        return submit(message, client, site.ledger, confirm=asked)


def by_label(submissions: "Iterable[SiteSubmission]") -> dict[str, Submission]:
    """Submissions by the site's label; a label that two sites chose gets a number."""
    found: dict[str, Submission] = {}
    for item in sorted(submissions, key=lambda s: (s.label, s.site)):
        same = sum(label == item.label or label.startswith(f"{item.label} (") for label in found)
        found[item.label if not same else f"{item.label} ({same + 1})"] = item.submission
    return found
