"""Report of one model version under one plan: its sections in order, and ``metrics.json``."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from typing import Any

from healthval import __version__
from healthval.aggregate.result import StudyResult
from healthval.contracts.model import ModelCard
from healthval.contracts.report import Language
from healthval.contracts.submission import Submission
from healthval.contracts.text import unseen
from healthval.errors import ReportError, counted
from healthval.report.conduct import Conduct
from healthval.report.criteria import PlanFacts, Verdict
from healthval.report.document import Report, Section
from healthval.report.findings import Findings, match
from healthval.report.proof.provenance import provenance
from healthval.report.sections.calibration import calibration
from healthval.report.sections.checklist import checklist, coverage, held
from healthval.report.sections.claim import claim
from healthval.report.sections.cohort import cohort
from healthval.report.sections.disclosure import disclosure
from healthval.report.sections.discrimination import discrimination
from healthval.report.sections.heterogeneity import heterogeneity
from healthval.report.sections.methods import methods
from healthval.report.sections.monitoring import monitoring
from healthval.report.sections.operations import operations
from healthval.report.sections.stated import stated
from healthval.report.sections.subgroups import subgroups
from healthval.report.sections.summary import summary, verdicts
from healthval.report.sections.thresholds import thresholds
from healthval.report.sections.utility import utility
from healthval.report.values.charts import monitoring_numbers
from healthval.report.values.derived import derived
from healthval.report.values.gaps import gaps
from healthval.report.wording.language import many, say, written_in

SIGNIFICANT = 9  # digits of a float in metrics.json; the last bits differ between processors
_SECTIONS = (
    summary,
    cohort,
    discrimination,
    thresholds,
    calibration,
    utility,
    subgroups,
    heterogeneity,
    operations,
    stated,
    disclosure,
    claim,
    methods,
)
AFTER_SUBGROUPS = _SECTIONS.index(subgroups) + 1


def build(  # noqa: PLR0913  # what a report is made from, and its language
    study: StudyResult,
    submissions: Mapping[str, Submission] | Iterable[Submission],
    card: ModelCard,
    plan: PlanFacts,
    conduct: Conduct | None = None,
    *,
    language: Language = "en",
) -> Report:
    """Build the report of one model version under one plan, from released numbers only.

    Parameters
    ----------
    study : result of pooling the submissions
    submissions : the released results that were pooled, in any order
    card : the model's card
    plan : facts of the plan, fixed before data were seen
    conduct : every hospital with access under the plan, so that missing ones are named
    language : ``en`` or ``de``; texts of plan, model card and hub stay as they were written

    Raises
    ------
    ReportError
        If study, submissions, card and plan do not belong together, or the language is unknown.
    """
    given = submissions.values() if isinstance(submissions, Mapping) else submissions
    _check_belong(study, card, plan)
    _check_texts(study, card, plan, conduct)
    amended = plan.amended or any(site.plan_amended for site in study.sites)
    facts = replace(plan, amended=amended)
    findings = Findings(
        study=study, released=match(study, given), card=card, plan=facts, conduct=conduct
    )
    with written_in(language):
        sections = _sections(findings)
        return Report(
            title=say(
                "{title}: external validation at {k}", title=card.title, k=many(study.k, "hospital")
            ),
            subtitle=say(
                "Version {version} by {developer}, for: {target_condition}",
                version=card.version,
                developer=card.developer,
                target_condition=plan.target_condition,
            ),
            sections=sections,
            numbers=numbers(findings),
            language=language,
        )


def _sections(findings: Findings) -> tuple[Section, ...]:
    sections = [section(findings) for section in _SECTIONS]
    if findings.plan.monitoring is not None:
        sections.insert(AFTER_SUBGROUPS, monitoring(findings, findings.plan.monitoring))
    last = provenance(findings)
    headings = {section.id: section.heading for section in [*sections, last]}
    return (*sections, checklist(findings, headings), last)


def _check_belong(study: StudyResult, card: ModelCard, plan: PlanFacts) -> None:
    if (card.name, card.version) != (study.model, study.version):
        raise ReportError(
            "the model card is for another model or version than the study; give the card of "
            f"{study.model} {study.version}"
        )
    if plan.plan_hash != study.plan_hash:
        raise ReportError(
            "the plan's hash differs from the hash in the submissions; give the plan whose hash "
            f"begins with {study.plan_hash[:12]}"
        )


def _check_texts(
    study: StudyResult, card: ModelCard, plan: PlanFacts, conduct: Conduct | None
) -> None:
    """Refuse invisible and direction characters, which make a name read as another one."""
    hospitals = conduct.hospitals if conduct else ()
    others = conduct.elsewhere if conduct else ()
    places: dict[str, Iterable[object]] = {
        "the site labels": [
            *(s.site for s in study.sites),
            *(h.label for h in hospitals),
            *others,
        ],
        "the reasons for access": [h.reason for h in hospitals],
        "the reasons of amendments": [v.reason for h in hospitals for v in h.plans],
        "the model card": card.model_dump(mode="json").values(),
        "the plan": asdict(plan).values(),
    }
    for place, values in places.items():
        texts = [value for value in values if isinstance(value, str)]
        bad = sum(bool(unseen(text)) for text in texts)
        if bad:
            raise ReportError(
                f"{bad} of {counted(len(texts), 'text')} of {place} "
                f"{'has' if bad == 1 else 'have'} invisible or direction characters; "
                "write them without"
            )


def numbers(findings: Findings) -> dict[str, Any]:
    """Return all numbers of the report as plain values: the content of ``metrics.json``, in English."""
    with written_in("en"):
        return _numbers(findings)


def _numbers(findings: Findings) -> dict[str, Any]:
    done, items = coverage(findings)
    plain = {
        "format": "healthval-metrics-1",
        "healthval_version": __version__,
        "plan": _plan(findings.plan),
        "conduct": None if findings.conduct is None else asdict(findings.conduct),
        "model_card": findings.card.model_dump(mode="json"),
        "verdicts": [_verdict(verdict) for verdict in verdicts(findings)],
        "subgroup_gaps": [asdict(gap) for gap in gaps(findings.released, findings.subgroups())],
        "monitoring": monitoring_numbers(findings.plan.monitoring, findings.released),
        "derived": derived(findings),
        "tripod_ai": {"covered": done, "items": items, "held": held(findings)},
        "study": findings.study.to_dict(),
        "released": {s: r.model_dump(mode="json") for s, r in findings.released.items()},
    }
    rounded: dict[str, Any] = _rounded(plain)
    return rounded


def _plan(plan: PlanFacts) -> dict[str, Any]:
    names = ("reporting", "small_levels", "monitoring")
    plain = asdict(replace(plan, reporting=None, small_levels=None, monitoring=None))
    parts = {name: getattr(plan, name) for name in names}
    return plain | {n: None if p is None else p.model_dump(mode="json") for n, p in parts.items()}


def _verdict(verdict: Verdict) -> dict[str, Any]:
    mean = verdict.mean
    lo, hi = mean.ci or (None, None)
    result: dict[str, Any] = {"value": mean.value, "lo": lo, "hi": hi}
    if mean.value is None:
        result["why"] = mean.shown().why
    return {
        "criterion": verdict.criterion.name(),
        "target": verdict.criterion.target(),
        "result": result,
        "prediction": mean.prediction,
        "k": mean.k,
        "of": mean.of,
        "basis": mean.basis(),
        "outcome": verdict.outcome,
        "reason": verdict.reason,
        "new_site": verdict.new_site,
    }


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    if isinstance(value, float):
        return float(f"{value:.{SIGNIFICANT}g}")
    return value
