"""From findings to the report: the sections in their order, and the numbers beside them."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from typing import Any

from healthval import __version__
from healthval.aggregate.result import StudyResult
from healthval.contracts.model import ModelCard
from healthval.contracts.submission import Submission
from healthval.errors import ReportError
from healthval.report.criteria import PlanFacts
from healthval.report.document import Report, Section
from healthval.report.findings import Findings, match
from healthval.report.markup import Markup, hashed, paragraphs, table
from healthval.report.sections import cohort as conduct
from healthval.report.sections import discrimination as performance
from healthval.report.sections import subgroups as differences
from healthval.report.sections import thresholds as deciding
from healthval.report.sections.checklist import checklist, coverage
from healthval.report.sections.summary import summary, verdicts

SIGNIFICANT = 9  # digits of a float in metrics.json; the last bits differ between processors


def build(
    study: StudyResult,
    submissions: Mapping[str, Submission] | Iterable[Submission],
    card: ModelCard,
    plan: PlanFacts,
) -> Report:
    """Compose the report of one model version under one plan, from released numbers alone.

    Parameters
    ----------
    study : what pooling gave
    submissions : the released results that were pooled, in any order
    card : the model's card
    plan : what was fixed before data were seen

    Raises
    ------
    ReportError
        If study, submissions, card and plan do not belong together.
    """
    given = submissions.values() if isinstance(submissions, Mapping) else submissions
    _check_belong(study, card, plan)
    amended = plan.amended or any(site.plan_amended for site in study.sites)
    findings = Findings(study, match(study, given), card, replace(plan, amended=amended))
    sections = [
        summary(findings),
        conduct.cohort(findings),
        performance.discrimination(findings),
        deciding.thresholds(findings),
        performance.calibration(findings),
        deciding.utility(findings),
        differences.subgroups(findings),
        differences.heterogeneity(findings),
        conduct.operations(findings),
        conduct.disclosure(findings),
        conduct.claim(findings),
    ]
    last = provenance(findings)
    headings = {section.id: section.heading for section in [*sections, last]}
    return Report(
        title=f"{card.title}: external validation at {study.k} hospital{'s' if study.k != 1 else ''}",
        subtitle=f"Version {card.version} by {card.developer}, for: {plan.target_condition}",
        sections=(*sections, checklist(findings, headings), last),
        numbers=numbers(findings),
    )


def _check_belong(study: StudyResult, card: ModelCard, plan: PlanFacts) -> None:
    if (card.name, card.version) != (study.model, study.version):
        raise ReportError(
            "the model card is of another model or version than the study; give the card of "
            f"{study.model} {study.version}"
        )
    if plan.plan_hash != study.plan_hash:
        raise ReportError(
            "the plan's hash is not the one the sites evaluated under; give the plan that begins "
            f"with {study.plan_hash[:12]}"
        )


def provenance(findings: Findings) -> Section:
    """Show by hash what the numbers come from, and how to check it."""
    study = findings.study
    rows = [
        [f"Model {study.model} {study.version}", hashed(study.model_digest)],
        [f"Plan: {findings.plan.title}", hashed(study.plan_hash)],
        *(
            [f"Release of {s.site}, healthval {s.healthval_version}", hashed(s.submission_sha256)]
            for s in study.sites
        ),
    ]
    how = paragraphs(
        f"Made with healthval {__version__}. The same releases, model card, plan and software give "
        "this report again, byte for byte. No time is printed in it: the time of signing stands in "
        "attestation.dsse.json, which holds the SHA-256 of report.html, report.pdf, metrics.json "
        "and ro-crate-metadata.json under the platform's Ed25519 signature."
    )
    check = Markup(
        "<p>To check a copy: <code>healthval verify report.html --key PLATFORM.pub</code>, with "
        "the platform's public key, obtained on another way than the report.</p>"
    )
    sheet = table("What this report is made of", ["", "SHA-256"], rows, kind="words")
    return Section("provenance", "Provenance", (sheet, how, check))


def numbers(findings: Findings) -> dict[str, Any]:
    """Give everything the report shows as plain values: the content of ``metrics.json``."""
    done, items = coverage(findings)
    plain = {
        "format": "healthval-metrics-1",
        "healthval_version": __version__,
        "plan": asdict(findings.plan),
        "model_card": findings.card.model_dump(mode="json"),
        "verdicts": [
            {"criterion": v.criterion.name(), "target": v.criterion.target(), "result": asdict(v.shown),
             "basis": v.basis, "outcome": v.outcome}
            for v in verdicts(findings)
        ],
        "tripod_ai": {"covered": done, "items": items},
        "study": findings.study.to_dict(),
        "released": {s: r.model_dump(mode="json") for s, r in findings.released.items()},
    }  # fmt: skip
    rounded: dict[str, Any] = _rounded(plain)
    return rounded


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    if isinstance(value, float):
        return float(f"{value:.{SIGNIFICANT}g}")
    return value
