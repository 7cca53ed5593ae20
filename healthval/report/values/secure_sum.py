"""Secure sum in the report: counts and rates of all its cases together, or why there are none."""

from collections.abc import Sequence

from markupsafe import Markup

from healthval.aggregate.secondary.records import SecureTotal, TotalAt
from healthval.report.findings import Findings, rate
from healthval.report.markup import count, exact, paragraphs, table
from healthval.report.wording.language import many, mark, reword, say

RATES = {
    "sensitivity": mark("Sensitivity"),
    "specificity": mark("Specificity"),
    "ppv": mark("Positive predictive value"),
    "npv": mark("Negative predictive value"),
}


def secure_sum(findings: Findings) -> list[Markup]:
    """Return the blocks on the plan's secure sum; empty if the plan has none."""
    found = findings.study.secure_sum
    if found is None:
        return []
    tables = [_table(findings, found, at) for at in found.thresholds]
    return [paragraphs(" ".join(sentences(findings, found))), *tables]


def sentences(findings: Findings, found: SecureTotal) -> list[str]:
    """Describe a secure sum: its sites, those that dropped out, and why there is no total."""
    match found.status:
        case "none":
            return [
                say("The plan has a secure sum; no site had joined it when this report was made.")
            ]
        case "open":
            return [
                say("The plan has a secure sum, which was not complete when this report was made.")
            ]
        case "failed":
            return [
                say(
                    "The newest attempt at the plan's secure sum failed: {reason}.",
                    reason=reword(found.reason or ""),
                )
            ]
    k = many(len(found.sites), "site")
    who = say("Secure sum over {k} ({sites})", k=k, sites=", ".join(found.sites))
    opened = many(found.opened_by, "site")
    lost = [
        say("{label} (joined, and dropped out in round '{at}')", label=label, at=at)
        for label, at in found.dropped
    ]
    out = [say("Not in the sum: {lost}.", lost=", ".join(lost))] if lost else []
    if found.status == "contradictory":
        return [
            say(
                "{who}: {opened} opened it and found different totals, so none is shown.",
                who=who,
                opened=opened,
            ),
            *out,
        ]
    if found.status == "below floor":
        return [
            say(
                "{who}: below or above each threshold the total has fewer than {floor} cases of a "
                "class, so that no number of it is shown, and none is stored at the hub.",
                who=who,
                floor=found.floor,
            ),
            *out,
        ]
    return [
        say(
            "{who}: the sites' exact tables were added up under masks that cancel in the sum, "
            "and the hub received each table with its masks only; {opened} opened the sum and "
            "found the same total. The counts have no noise. Below, between and above the "
            "thresholds shown there are at least {floor} cases of each class, or none of both.",
            who=who,
            opened=opened,
            floor=found.floor,
        ),
        *_withheld(found),
        *out,
        *_beside(findings, found),
    ]


def _withheld(found: SecureTotal) -> list[str]:
    """Name the thresholds at which the total is not shown."""
    if not found.withheld:
        return []
    cuts = ", ".join(map(exact, found.withheld))
    return [
        say(
            "Not shown at {cuts}: between neighbouring thresholds a class would have fewer than "
            "{floor} cases.",
            cuts=cuts,
            floor=found.floor,
        )
    ]


def _beside(findings: Findings, found: SecureTotal) -> list[str]:
    """Compare the sites of the sum with those of the report."""
    here = [site.site for site in findings.study.sites]
    absent = [label for label in here if label not in found.sites]
    more = [label for label in found.sites if label not in here]
    lines = [
        say("With a result in this report and not in the sum: {absent}.", absent=", ".join(absent))
    ]
    lines += [say("In the sum and without a result in this report: {more}.", more=", ".join(more))]
    return [line for line, names in zip(lines, (absent, more), strict=True) if names]


def _table(findings: Findings, found: SecureTotal, at: TotalAt) -> Markup:
    name = say("threshold {threshold}", threshold=exact(at.threshold))
    rows: list[Sequence[object]] = []
    for measure, label in RATES.items():
        mean = findings.mean(measure, at.threshold)
        between = mean.shown() if mean.k > 1 else "–"
        rows.append([say(label), rate(getattr(at, measure), say("no such cases")), between])
    counts = ", ".join(
        f"{label} {count(cell)}"
        for label, cell in (
            (say("true positives"), at.tp),
            (say("false negatives"), at.fn),
            (say("false positives"), at.fp),
            (say("true negatives"), at.tn),
        )
    )
    k = many(len(found.sites), "site")
    return table(
        say("Sum over {k} without any site's table, at {name}", k=k, name=name),
        [say("Measure"), say("All cases of the sum (95% CI)"), say("Mean over sites (95% CI)")],
        rows,
        note=say(
            "Exact counts of the sum: {counts}. Wilson intervals for the cases of these sites: "
            "each case counts the same, and differences between sites are not part of them. The "
            "mean over sites is from the released results.",
            counts=counts,
        ),
    )
