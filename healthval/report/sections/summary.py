"""Section "Summary": study size, model, verdicts, three plain sentences, limitations."""

from markupsafe import Markup, escape

from healthval.errors import counted
from healthval.report.criteria import PlanFacts, Verdict, judge
from healthval.report.document import Section
from healthval.report.findings import Findings, total
from healthval.report.markup import (
    box,
    bullets,
    exact,
    facts,
    number,
    paragraphs,
    table,
    tiles,
    unbroken,
)

FEW_EVENTS = 100  # Collins, Ogundimu & Altman 2016, Stat Med 35:214: fewer give imprecise results
FEW_SITES = 5  # fewer give no prediction interval
_SHAPES = {"met": ("met", "●"), "not met": ("unmet", "■"), "inconclusive": ("open", "▲")}


def verdicts(findings: Findings) -> tuple[Verdict, ...]:
    """Compare each criterion of the plan with the headline result of its measure."""
    found = []
    for criterion in findings.plan.criteria:
        shown, basis = findings.result(criterion.measure, criterion.threshold)
        found.append(Verdict(criterion, shown, judge(criterion, shown), basis))
    return tuple(found)


def summary(findings: Findings) -> Section:
    """Build the first page."""
    blocks = (
        _size(findings),
        _subject(findings),
        _verdict_table(verdicts(findings), findings.plan),
        box("In plain words", bullets(plain_words(findings))),
        box("Limitations", bullets(limitations(findings))),
    )
    return Section("summary", "Summary", blocks)


def _size(findings: Findings) -> Markup:
    study = findings.study
    shown, _ = findings.result("auroc")
    return tiles(
        [
            ("Hospitals", str(study.k)),
            ("Cases analysed", total(study.n)),
            ("With the condition", total(study.n_events)),
            ("AUROC", number(shown.value) if shown.value is not None else "not pooled"),
        ]
    )


def _subject(findings: Findings) -> Markup:
    card, plan = findings.card, findings.plan
    return facts(
        [
            ("Model", f"{card.title}, version {card.version}"),
            ("Developer", card.developer),
            ("Intended use", card.intended_use),
            ("Target condition", plan.target_condition),
            ("Reference standard", plan.reference_standard),
            ("Plan", plan.title + (" (amended after registration)" if plan.amended else "")),
        ]
    )


def badge(outcome: str) -> Markup:
    """Show an outcome by word and shape; the colour only repeats it."""
    kind, shape = _SHAPES[outcome]
    return Markup('<span class="verdict {}"><span aria-hidden="true">{}</span> {}</span>').format(
        kind, shape, outcome
    )


def _verdict_table(found: tuple[Verdict, ...], plan: PlanFacts) -> Markup:
    if not found:
        text = "The plan names no acceptance criteria, so the results are not judged here."
        return box("No acceptance criteria", paragraphs(text))
    rows = [
        [
            v.criterion.name(),
            unbroken(v.criterion.target()),
            unbroken(v.shown.text(v.criterion.digits())),
            v.basis,
            badge(v.outcome),
        ]
        for v in found
    ]
    when = "amended after it was registered" if plan.amended else "fixed before data were seen"
    return table(
        f"Acceptance criteria of the plan ({when})",
        ["Criterion", "Target", "Result (95% CI)", "Basis", "Verdict"],
        rows,
        kind="words",
        note="Met: the whole interval reaches the target. Not met: none of it does. Inconclusive: "
        "the interval crosses the target, or there is no interval.",
    )


def plain_words(findings: Findings) -> list[str]:
    """Summarise ranking, decisions and risks in three sentences for clinicians."""
    return [_ranking(findings), _deciding(findings), _risks(findings)]


def _ranking(findings: Findings) -> str:
    study = findings.study
    shown, _ = findings.result("auroc")
    who = f"{total(study.n)} cases at {counted(study.k, 'hospital')}"
    if shown.value is None:
        return f"Among {who}, the AUROC was not pooled: {shown.why}."
    words = (
        f"Among {who}, the model gave the higher score to the patient with the condition in about "
        f"{number(100 * shown.value, 0)} of 100 pairs of one patient with and one without it"
    )
    if shown.lo is None or shown.hi is None:
        return f"{words}."
    return f"{words} (95% CI {number(100 * shown.lo, 0)} to {number(100 * shown.hi, 0)})."


def _deciding(findings: Findings) -> str:
    at = next((t for t in findings.study.thresholds if t.counts.k), None)
    if at is None:
        return (
            "Results at the decision threshold are not available: no site released all its counts."
        )
    counts = at.counts
    n = counts.tp + counts.fp + counts.fn + counts.tn
    with_it, found, false = (
        number(1000 * x / n, 0) for x in (counts.tp + counts.fn, counts.tp, counts.fp)
    )
    return (
        f"Of 1000 cases like these, about {with_it} have the condition; at the threshold "
        f"{exact(at.threshold)} the model marks {found} of them, and also {false} without it."
    )


def _risks(findings: Findings) -> str:
    shown, _ = findings.result("oe")
    if shown.value is None:
        return f"The ratio of observed to expected events was not pooled: {shown.why}."
    ratio = f"observed to expected {number(shown.value, 2)}"
    if shown.lo is None or shown.hi is None:
        return f"Observed events relative to the predicted risks: {ratio}."
    ratio += f", 95% CI {number(shown.lo, 2)} to {number(shown.hi, 2)}"
    if shown.lo > 1:
        return f"The condition was more frequent than predicted: the risks are too low ({ratio})."
    if shown.hi < 1:
        return f"The condition was less frequent than predicted: the risks are too high ({ratio})."
    return f"Risks were on average neither clearly too high nor clearly too low ({ratio})."


def limitations(findings: Findings) -> list[Markup]:
    """Collect the limitations found in the results and those stated on the model card."""
    study, card = findings.study, findings.card
    found = [*_of_size(findings), *_of_conduct(findings), *study.notes]
    if findings.plan.amended:
        found.insert(0, "The plan was amended after it was registered.")
    items = [escape(text) for text in dict.fromkeys(found)]
    if card.limitations:
        items.append(Markup("<em>Stated by the developer:</em> {}").format(card.limitations))
    if card.out_of_scope:
        out = Markup("<em>Out of scope, as stated by the developer:</em> {}").format(
            card.out_of_scope
        )
        items.append(out)
    return items or [Markup("The checks of this report found no limitation.")]


def _of_size(findings: Findings) -> list[str]:
    study, found = findings.study, []
    if study.k < FEW_SITES:
        found.append(
            f"{counted(study.k, 'site')}: too few to estimate results at a hospital outside the study."
        )
    known = study.n_events.upper
    if known is not None and known < FEW_EVENTS:
        found.append(f"Fewer than {FEW_EVENTS} cases with the condition: estimates are imprecise.")
    if study.n.n_suppressed or study.n_events.n_suppressed:
        found.append("Some sites withheld their number of cases or events as too small to share.")
    for at in study.thresholds:
        if at.counts.excluded:
            left_out = f"{len(at.counts.excluded)} of {counted(study.k, 'site')}"
            found.append(
                f"Counts at threshold {exact(at.threshold)} leave out {left_out} "
                "because of small cells. The rates of all sites may be higher or lower."
            )
    return found


def _of_conduct(findings: Findings) -> list[str]:
    found = []
    canary = [site.canary for site in findings.study.sites]
    if changed := canary.count("changed"):
        found.append(
            f"At {counted(changed, 'site')} the model's answers to fixed test inputs changed."
        )
    if unchecked := canary.count("not_run"):
        found.append(
            f"At {counted(unchecked, 'site')} the stability of the model's answers was not checked."
        )
    return found
