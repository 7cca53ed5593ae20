"""Report files: written to a folder, signed and stored at the hub."""

import hashlib
import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from healthval.contracts.report import ReportVerdict
from healthval.errors import IntegrityError, ReportError
from healthval.files import write_durably
from healthval.report.cards import CHAI, MODEL_CARD, chai_card, model_card
from healthval.report.document import Report
from healthval.report.forms.committee import COMMITTEE_PDF, render_committee
from healthval.report.proof.attestation import ATTESTATION, verify
from healthval.report.proof.pdf_signature import sign_pdf
from healthval.report.proof.provenance import CRATE, seal, with_signer
from healthval.report.render import render_html, render_pdf, why_no_pdf

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from healthval.client import Client
    from healthval.contracts.report import ReportRecord

HTML, PDF, METRICS = "report.html", "report.pdf", "metrics.json"


def write(report: Report, folder: Path, *, certificate: Path | None = None) -> dict[str, str]:
    """Write page, committee summary, numbers and model cards and, where Pango is installed, the PDFs.

    All files are rendered before the first one is replaced. Without Pango older PDFs are deleted;
    `why_no_pdf` returns the remedy. Equal reports give equal bytes, apart from the signature of the
    PDF: a PDF that is signed already and otherwise equal is kept.

    Parameters
    ----------
    certificate : file for the PDF's own signature, see `healthval.report.proof.pdf_signature`

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
    files = {
        HTML: html.encode(),
        METRICS: metrics_json(report),
        CHAI: chai_card(report.numbers),
        MODEL_CARD: model_card(report.numbers),
    }
    has_pdf = why_no_pdf() is None
    if has_pdf:
        files[PDF] = render_pdf(html)
    files |= render_committee(report, pdf=has_pdf)
    folder = Path(folder)
    if certificate is not None and PDF in files:
        files[PDF] = _signed(files[PDF], folder / PDF, certificate)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            write_durably(folder / name, content, mode=0o644)
        for name in {PDF, COMMITTEE_PDF} - set(files):
            (folder / name).unlink(missing_ok=True)
    except OSError:
        raise ReportError(
            "the report's folder cannot be written; give another folder or free some disk space"
        ) from None
    return {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())}


def _signed(pdf: bytes, written: Path, certificate: Path) -> bytes:
    before = written.read_bytes() if written.is_file() else b""
    if before.startswith(pdf) and len(before) > len(pdf):
        return before
    return sign_pdf(pdf, certificate)


def metrics_json(report: Report) -> bytes:
    """Encode the report's numbers: sorted keys, two spaces, one newline at the end."""
    text = json.dumps(report.numbers, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False)
    return text.encode() + b"\n"


def publish(
    report: Report,
    folder: Path,
    client: "Client",
    *,
    key: Path,
    certificate: Path | None = None,
) -> "ReportRecord":
    """Write the report with its signer's fingerprint, sign it, store its files at the hub and index them.

    An attestation of the same bytes is kept, that in the folder or that of the hub's current report,
    so that a second publication changes no file and makes no second report.

    Raises
    ------
    IntegrityError
        If the hub stored other bytes than the folder contains.
    """
    from healthval.credential import Credential

    private_key = Credential.load(key).private_key
    report = with_signer(report, private_key.public_key())
    written = write(report, folder, certificate=certificate)
    try:
        names = verify(folder, private_key.public_key())
    except IntegrityError:
        if not _is_fetched(client, written, folder, private_key.public_key()):
            seal(report, folder, private_key)
        names = verify(folder, private_key.public_key())
    files = {name: (folder / name).read_bytes() for name in (*names, ATTESTATION)}
    record = client.publish_report(**_index_fields(report), files=files)
    for name, content in files.items():
        if record.files[name] != hashlib.sha256(content).hexdigest():
            raise IntegrityError(f"the hub stored other bytes for {name}; publish again")
    return record


def _is_fetched(
    client: "Client", written: dict[str, str], folder: Path, key: "Ed25519PublicKey"
) -> bool:
    """Fetch crate and attestation of the hub's current report if it is equal and by the same key."""
    for record in client.reports():
        if record.status == "current" and record.files.items() >= written.items():
            for name in (CRATE, ATTESTATION):
                write_durably(folder / name, client.report_file(record, name), mode=0o644)
            with suppress(IntegrityError):
                verify(folder, key)
                return True
    return False


def _index_fields(report: Report) -> dict[str, Any]:
    """Subject, sites and verdicts of a report, for the hub's index."""
    study = report.numbers["study"]
    return {
        **{name: study[name] for name in ("model", "version", "plan_hash")},
        "n_sites": study["k"],
        "sites": tuple(site["site"] for site in study["sites"]),
        "verdicts": tuple(
            ReportVerdict(criterion=verdict["criterion"], outcome=verdict["outcome"])
            for verdict in report.numbers["verdicts"]
        ),
    }
