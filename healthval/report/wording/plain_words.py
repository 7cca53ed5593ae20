"""Plain sentences of the first page: ranking, decisions and risks."""

from healthval.aggregate.result import ThresholdPool
from healthval.report.criteria import NAMES
from healthval.report.findings import Findings, some_hospitals
from healthval.report.markup import (
    exact,
    number,
)
from healthval.report.values.means import SiteMean
from healthval.report.wording.language import lowered, many, mark, say

DECISIONS = 3  # thresholds with a sentence on the first page
_WITH = mark("{share} of 100 cases with the condition")
_WITHOUT = mark("{share} of 100 cases without the condition")


def plain_words(findings: Findings) -> list[str]:
    """Summarise ranking, decisions and risks for clinicians, with differences between hospitals."""
    return [ranking(findings.mean("auroc")), *_deciding(findings), risks(findings.mean("oe"))]


def ranking(mean: SiteMean) -> str:
    """Return the AUROC as a share of pairs, on average and at another hospital."""
    if mean.value is None:
        return say("The AUROC was {why}.", why=mean.shown().why)
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
        "withheld counts, so that the shares over all hospitals may be higher or lower.",
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
