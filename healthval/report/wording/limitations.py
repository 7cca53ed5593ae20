"""Limitations: those that follow from the results, and those that the developer states."""

from markupsafe import Markup, escape

from healthval.report.findings import Findings, some_sites
from healthval.report.markup import (
    count,
    exact,
)
from healthval.report.wording.language import many, reword, say

FEW_EVENTS = 100  # Collins, Ogundimu & Altman 2016, Stat Med 35:214: fewer give imprecise results
FEW_SITES = 5  # fewer give no prediction interval
_STATED = Markup("<em>{}</em> {}")


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
        hidden = max(study.n.n_suppressed, study.n_events.n_suppressed)
        found.append(
            say("At {k} the number of cases or of events is withheld.", k=many(hidden, "site"))
        )
    for at in study.thresholds:
        if at.counts.excluded and not at.counts.k:
            found.append(
                say(
                    "At threshold {threshold}, no site released all its counts.",
                    threshold=exact(at.threshold),
                )
            )
        elif at.counts.excluded:
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
    if unchecked := canary.count("not_run"):
        found.append(
            say(
                "At {k} the stability of the model's answers was not checked.",
                k=many(unchecked, "site"),
            )
        )
    return found
