"""Report files: written to a folder, signed, stored at the hub, and verified against a key."""

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

from healthval.contracts.access import PublicKey, raw_public_key
from healthval.contracts.base import read_wire
from healthval.errors import IntegrityError, ReportError, UsageError
from healthval.files import write_durably
from healthval.report.attestation import ATTESTATION, verify
from healthval.report.document import Report
from healthval.report.provenance import seal
from healthval.report.render import render_html, render_pdf, why_no_pdf

if TYPE_CHECKING:
    from healthval.client import Client
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
