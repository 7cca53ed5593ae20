"""Section "Summary": study size, model, verdicts, three plain sentences, limitations."""

from markupsafe import Markup, escape

from healthval.report.criteria import PlanFacts, Verdict, verdict
from healthval.report.document import Section
from healthval.report.findings import Findings, total
from healthval.report.markup import (
    beside,
    box,
    bullets,
    facts,
    number,
    paragraphs,
    table,
    tiles,
    unbroken,
)
from healthval.report.sections.monitoring import alarm_sentences
from healthval.report.values.means import SiteMean, possible_intervals
from healthval.report.wording.language import mark, say
from healthval.report.wording.limitations import limitations
from healthval.report.wording.plain_words import plain_words

_SHAPES = {
    mark("met"): ("met", "●"),
    mark("not met"): ("unmet", "■"),
    mark("inconclusive"): ("open", "▲"),
}


def verdicts(findings: Findings) -> tuple[Verdict, ...]:
    """Compare each criterion of the plan with the mean of its measure over the sites."""
    return tuple(
        verdict(
            criterion,
            findings.mean(criterion.measure, criterion.threshold),
            possible_intervals(findings.released, criterion.measure, criterion.threshold),
            missing=len(findings.conduct.missing) if findings.conduct else 0,
        )
        for criterion in findings.plan.criteria
    )


def summary(findings: Findings) -> Section:
    """Build the first page."""
    blocks = (
        _size(findings),
        _subject(findings),
        _verdict_table(verdicts(findings), findings.plan, findings.study.k),
        box(say("In plain words"), bullets([*plain_words(findings), *alarm_sentences(findings)])),
        box(say("Limitations"), bullets(limitations(findings))),
    )
    return Section("summary", say("Summary"), blocks)


def _size(findings: Findings) -> Markup:
    study = findings.study
    return tiles(
        [
            (say("Hospitals"), str(study.k)),
            (say("Cases analysed"), total(study.n)),
            (say("With the condition"), _events(findings)),
            (say("AUROC"), _headline(findings)),
        ]
    )


def _events(findings: Findings) -> Markup:
    text, noise = escape(total(findings.study.n_events)), findings.noise
    if noise is None or not findings.study.n_events.n_sites:
        return text
    return beside(text, say("(noise of the gates: ±{events}, 95%)", events=number(noise.events, 0)))


def _headline(findings: Findings) -> Markup:
    mean = findings.mean("auroc")
    if mean.value is None:
        return escape(say("not pooled") if mean.of > 1 else mean.shown().why)
    if mean.ci is None:
        return beside(escape(number(mean.value)), say("(no interval)"))
    low, high = (number(end) for end in mean.ci)
    text = say("(95% CI {low} to {high})", low=low, high=high)
    if mean.prediction is not None:
        low, high = (number(end) for end in mean.prediction)
        text += say("; another hospital: {low} to {high} (95% PI)", low=low, high=high)
    return beside(escape(number(mean.value)), text)


def _subject(findings: Findings) -> Markup:
    card, plan = findings.card, findings.plan
    return facts(
        [
            (
                say("Model"),
                say("{title}, version {version}", title=card.title, version=card.version),
            ),
            (say("Developer"), card.developer),
            (say("Intended use"), card.intended_use),
            (say("Target condition"), plan.target_condition),
            (say("Reference standard"), plan.reference_standard),
            (
                say("Plan"),
                plan.title + (say(" (amended after registration)") if plan.amended else ""),
            ),
        ]
    )


def badge(outcome: str) -> Markup:
    """Show an outcome by word and shape; the colour only repeats it."""
    kind, shape = _SHAPES[outcome]
    return Markup('<span class="verdict {}"><span aria-hidden="true">{}</span> {}</span>').format(
        kind, shape, say(outcome)
    )


def _verdict_table(found: tuple[Verdict, ...], plan: PlanFacts, k: int) -> Markup:
    if not found:
        text = say("The plan names no acceptance criteria, so the results are not judged here.")
        return box(say("No acceptance criteria"), paragraphs(text))
    rows = [
        [
            v.criterion.name(),
            unbroken(v.criterion.target()),
            beside(badge(v.outcome), "" if v.mean.value is None else v.reason),
            beside(unbroken(v.mean.shown().text(v.criterion.digits())), basis(v.mean)),
            expected(v.mean, v.criterion.digits()),
        ]
        for v in found
    ]
    when = (
        say("amended after it was registered")
        if plan.amended
        else say("fixed before data were seen")
    )
    return table(
        say("Acceptance criteria of the plan ({when})", when=when),
        [
            say("Criterion"),
            say("Target"),
            say("Verdict"),
            say("Result (95% CI)"),
            say("At another hospital (95% PI)"),
        ],
        rows,
        kind="words",
        note=_how_judged(k),
    )


def basis(mean: SiteMean) -> str:
    """Return the sites of a mean in words, or nothing where there is no mean."""
    return mean.basis() if mean.value is not None else ""


def _how_judged(k: int) -> str:
    judged = say(
        "Met: the whole interval reaches the target. Not met: none of it does. Inconclusive: "
        "the interval crosses the target, there is no interval, or withheld values can "
        "change the outcome."
    )
    if k == 1:
        return say("{judged} The result and its CI are those of the one site.", judged=judged)
    return say(
        "{judged} CI: interval of the mean over hospitals (REML, Hartung-Knapp; it also "
        "contains the t interval of the site values). PI: prediction interval, where the true "
        "value of another hospital is expected; from five sites.",
        judged=judged,
    )


def expected(mean: SiteMean, digits: int) -> Markup:
    """Format the prediction interval, or the reason why there is none."""
    if mean.prediction is not None:
        low, high = (number(end, digits) for end in mean.prediction)
        return unbroken(say("{low} to {high}", low=low, high=high))
    return escape(say("not estimated: fewer than 5 sites") if mean.value is not None else "–")
