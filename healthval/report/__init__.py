"""Report for hospitals, clinicians and regulators: HTML, tagged PDF, numbers and signature."""

from healthval.report.build import build
from healthval.report.conduct import Conduct, Hospital, conduct_at, secure_total_at
from healthval.report.criteria import Criterion, PlanFacts
from healthval.report.document import Figure, Report, Section
from healthval.report.proof.attestation import sign, verify
from healthval.report.proof.provenance import seal, with_signer
from healthval.report.publish import write
from healthval.report.render import render_html, render_pdf, why_no_pdf

__all__ = [
    "Conduct",
    "Criterion",
    "Figure",
    "Hospital",
    "PlanFacts",
    "Report",
    "Section",
    "build",
    "conduct_at",
    "render_html",
    "render_pdf",
    "seal",
    "secure_total_at",
    "sign",
    "verify",
    "why_no_pdf",
    "with_signer",
    "write",
]
