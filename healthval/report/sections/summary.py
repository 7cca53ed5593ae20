"""Section "Summary": study size, model, verdicts, three plain sentences, limitations."""

from markupsafe import Markup, escape

from healthval.aggregate.result import ThresholdPool
from healthval.report.criteria import NAMES, PlanFacts, Verdict, verdict
from healthval.report.document import Section
from healthval.report.findings import Findings, some_hospitals, some_sites, total
from healthval.report.language import lowered, many, mark, reword, say
from healthval.report.markup import (
    beside,
    box,
    bullets,
    count,
    exact,
    facts,
    number,
    paragraphs,
    table,
    tiles,
    unbroken,
)
from healthval.report.sections.monitoring import alarm_sentences
from healthval.report.values.means import SiteMean, possible_intervals

FEW_EVENTS = 100  # Collins, Ogundimu & Altman 2016, Stat Med 35:214: fewer give imprecise results
_WITH = mark("{share} of 100 cases with the condition")
_WITHOUT = mark("{share} of 100 cases without the condition")
_STATED = Markup("<em>{}</em> {}")
DECISIONS = 3  # thresholds with a sentence on the first page
FEW_SITES = 5  # fewer give no prediction interval
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
        return escape(say("not pooled"))
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
            beside(badge(v.outcome), v.reason),
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
        "{judged} CI: interval of the mean over hospitals (REML, Hartung-Knapp; for rates "
        "and net benefit it also contains the t interval of the site values). PI: prediction "
        "interval, where the true value of another hospital is expected; from five sites.",
        judged=judged,
    )


def expected(mean: SiteMean, digits: int) -> Markup:
    """Format the prediction interval, or the reason why there is none."""
    if mean.prediction is not None:
        low, high = (number(end, digits) for end in mean.prediction)
        return unbroken(say("{low} to {high}", low=low, high=high))
    return escape(say("not estimated: fewer than 5 sites") if mean.value is not None else "–")


def plain_words(findings: Findings) -> list[str]:
    """Summarise ranking, decisions and risks for clinicians, with differences between hospitals."""
    return [ranking(findings.mean("auroc")), *_deciding(findings), risks(findings.mean("oe"))]


def ranking(mean: SiteMean) -> str:
    """Return the AUROC as a share of pairs, on average and at another hospital."""
    if mean.value is None:
        return say("The AUROC of the hospitals was {why}.", why=mean.shown().why)
    words = say(
        "{where}, the model gave the higher score to the patient with the condition in about "
        "{of_100} of 100 pairs of patients of the same hospital, one with and one without it",
        where=_where(mean),
        of_100=_hundred(mean.value),
    )
    if mean.ci is None:
        return f"{words}."
    words += say(
        " (95% CI {low} to {high}).",
        low=_hundred(mean.ci[0]),
        high=_hundred(mean.ci[1]),
    )
    if mean.prediction is None:
        return f"{words} {_no_prediction(mean)}"
    low, high = (_hundred(end) for end in mean.prediction)
    return say(
        "{words} At another hospital, {low} to {high} of 100 are expected (95% prediction "
        "interval).",
        words=words,
        low=low,
        high=high,
    )


def _hundred(share: float) -> str:
    return number(100 * share, 0)


def _where(mean: SiteMean) -> str:
    if mean.of == 1:
        return say("At the one hospital")
    return say("On average over {k}", k=some_hospitals(mean.k, mean.of))


def _no_prediction(mean: SiteMean) -> str:
    few = many(mean.k, "hospital is", "hospitals are")
    return say("What to expect at another hospital is not estimated: {few} too few.", few=few)


def _deciding(findings: Findings) -> list[str]:
    sentences = [_decision(findings, at) for at in findings.study.thresholds if at.counts.k]
    if findings.study.thresholds and not sentences:
        return [
            say(
                "Results at the decision threshold are not available: no site released all its "
                "counts."
            )
        ]
    return sentences[:DECISIONS]


def _decision(findings: Findings, at: ThresholdPool) -> str:
    sentence, means = _decision_sums(findings, at), _decision_means(findings, at)
    return f"{sentence} {means}".strip()


def _decision_sums(findings: Findings, at: ThresholdPool) -> str:
    counts, threshold = at.counts, exact(at.threshold)
    events, others = counts.tp + counts.fn, counts.fp + counts.tn
    n, n_events = findings.study.n.exact, findings.study.n_events.exact
    if counts.k == findings.study.k and n and n_events is not None and events and others:
        # The share with the condition is that of the totals of this page.
        share = n_events / n
        with_it, found, false = (
            number(1000 * part, 0)
            for part in (share, share * counts.tp / events, (1 - share) * counts.fp / others)
        )
        return say(
            "Of 1000 cases like these, about {with_it} have the condition; at the threshold "
            "{threshold} the model marks {found} of them, and also {false} without it.",
            with_it=with_it,
            threshold=threshold,
            found=found,
            false=false,
        )
    where = some_hospitals(counts.k, findings.study.k)
    shares = [
        say(words, share=number(100 * part / whole, 0))
        for part, whole, words in ((counts.tp, events, _WITH), (counts.fp, others, _WITHOUT))
        if whole
    ]
    return say(
        "At the threshold {threshold}, the model marked {shares} in {where}; the others "
        "released no counts, so that the shares over all hospitals may be higher or lower.",
        threshold=threshold,
        shares=say(" and ").join(shares),
        where=where,
    )


def _decision_means(findings: Findings, at: ThresholdPool) -> str:
    """Return mean sensitivity and specificity with their intervals, where they are pooled."""
    found = []
    for name in ("sensitivity", "specificity"):
        mean = findings.mean(name, at.threshold)
        if mean.value is None or mean.ci is None or mean.of == 1:
            continue
        low, high = (number(end, 2) for end in mean.ci)
        there = say("another hospital: not estimated")
        if mean.prediction is not None:
            there = say(
                "another hospital: {low} to {high}",
                low=number(mean.prediction[0], 2),
                high=number(mean.prediction[1], 2),
            )
        found.append(
            say(
                "{name} {value} (95% CI {low} to {high}; {there})",
                name=lowered(say(NAMES[name])),
                value=number(mean.value, 2),
                low=low,
                high=high,
                there=there,
            )
        )
    return say("Mean over hospitals: {found}.", found=", ".join(found)) if found else ""


def risks(mean: SiteMean) -> str:
    """Return the direction in which risks are wrong, if any, on average and elsewhere."""
    if mean.value is None:
        return say("The ratio of observed to expected events was {why}.", why=mean.shown().why)
    ratio = say(
        "{value} events were observed for each event predicted", value=number(mean.value, 2)
    )
    if mean.ci is None:
        return say("{where}, {ratio}.", where=_where(mean), ratio=ratio)
    low, high = mean.ci
    verdict = say("the predicted risks were neither clearly too high nor clearly too low")
    if round(low, 2) > 1:  # as printed
        verdict = say("the predicted risks were too low")
    elif round(high, 2) < 1:
        verdict = say("the predicted risks were too high")
    words = say(
        "{where}, {ratio} (95% CI {low} to {high}): {verdict}.",
        where=_where(mean),
        ratio=ratio,
        low=number(low, 2),
        high=number(high, 2),
        verdict=verdict,
    )
    if mean.prediction is None:
        return f"{words} {_no_prediction(mean)}" if mean.of > 1 else words
    low, high = mean.prediction
    return say(
        "{words} At another hospital, {low} to {high} events for each event predicted are "
        "expected (95% prediction interval).",
        words=words,
        low=number(low, 2),
        high=number(high, 2),
    )


def limitations(findings: Findings) -> list[Markup]:
    """Collect the limitations found in the results and those stated on the model card."""
    study, card = findings.study, findings.card
    found = [*_of_size(findings), *_of_conduct(findings), *map(reword, study.notes)]
    if findings.plan.amended:
        found.insert(0, say("The plan was amended after it was registered."))
    items = [escape(text) for text in dict.fromkeys(found)]
    if card.limitations:
        items.append(_STATED.format(say("Stated by the developer:"), card.limitations))
    if card.out_of_scope:
        out = _STATED.format(say("Out of scope, as stated by the developer:"), card.out_of_scope)
        items.append(out)
    return items or [escape(say("The checks of this report found no limitation."))]


def _of_size(findings: Findings) -> list[str]:
    study, found = findings.study, []
    if study.k < FEW_SITES:
        found.append(
            say(
                "{k}: too few to estimate results at a hospital outside the study.",
                k=many(study.k, "site"),
            )
        )
    known = study.n_events.upper
    if known is not None and known < FEW_EVENTS:
        found.append(
            say(
                "Fewer than {few} cases with the condition: estimates are imprecise.",
                few=FEW_EVENTS,
            )
        )
    if study.n.n_suppressed or study.n_events.n_suppressed:
        found.append(
            say("Some sites withheld their number of cases or events as too small to share.")
        )
    for at in study.thresholds:
        if at.counts.excluded:
            absent = say("{k} of {of}", k=len(at.counts.excluded), of=many(study.k, "site"))
            found.append(
                say(
                    "At threshold {threshold}, the summed counts leave out {absent}. The rates of all "
                    "sites may be higher or lower.",
                    threshold=exact(at.threshold),
                    absent=absent,
                )
            )
    return [*_shortfall(findings), *found, *_noise(findings)]


def _noise(findings: Findings) -> list[str]:
    noise = findings.noise
    if noise is None:
        return []
    return [
        say(
            "At {k} the gate added noise to the counts (standard deviation {deviations}), but "
            "not to the number of cases analysed. Intervals include it.",
            k=some_sites(noise.k, noise.of),
            deviations=noise.deviations(),
        )
    ]


def _shortfall(findings: Findings) -> list[str]:
    """Report a missed sample size (TRIPOD+AI items 10 and 26)."""
    planned, n = findings.plan.planned_cases, findings.study.n
    if planned is None or n.lower >= planned:
        return []
    if n.n_suppressed:
        return [
            say(
                "{planned} cases were planned; at least {lower} were analysed, and the number at "
                "some sites is withheld, so that the planned size may not have been reached.",
                planned=count(planned),
                lower=count(n.lower),
            )
        ]
    return [
        say(
            "Fewer cases were analysed than planned: {lower} instead of {planned}. Estimates are "
            "less precise than the plan asked for.",
            lower=count(n.lower),
            planned=count(planned),
        )
    ]


def _missing(findings: Findings) -> list[str]:
    """Name the hospitals with access of which no result is in the report."""
    missing = findings.conduct.missing if findings.conduct else ()
    if not missing:
        return []
    who = many(len(missing), "hospital with access", "hospitals with access")
    named = ", ".join(
        say("{label} (access {status})", label=h.label, status=reword(h.status)) for h in missing
    )
    return [
        say(
            "{who} sent no result: {named}. The results over all hospitals may differ.",
            who=who,
            named=named,
        )
    ]


def _of_conduct(findings: Findings) -> list[str]:
    found = _missing(findings)
    canary = [site.canary for site in findings.study.sites]
    if changed := canary.count("changed"):
        found.append(
            say(
                "At {k} the model's answers to fixed test inputs changed.",
                k=many(changed, "site"),
            )
        )
    if unchecked := canary.count("not_run"):
        found.append(
            say(
                "At {k} the stability of the model's answers was not checked.",
                k=many(unchecked, "site"),
            )
        )
    return found
