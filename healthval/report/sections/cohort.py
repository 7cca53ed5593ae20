"""Section "Cohort and patients": cohort flow, counts at each site, table 1, sample size."""

import math
from collections.abc import Iterator, Sequence

from markupsafe import Markup

from healthval.aggregate.result import TableOneTotal, Total
from healthval.contracts.submission import SUPPRESSED
from healthval.report.document import Block, Section
from healthval.report.findings import Findings, total
from healthval.report.markup import (
    box,
    count_cell,
    decimals,
    hatched,
    number,
    paragraphs,
    table,
    words,
)
from healthval.report.values.levels import level_name
from healthval.report.values.noise import IN_COUNTS
from healthval.report.wording.language import many, mark, reword, say

FLOW_COLUMNS = 5  # more sites are shown as a total only


def cohort(findings: Findings) -> Section:
    """Build the section on the number of cases at each step and on their characteristics."""
    blocks: list[Block] = [_hospitals(findings), *_registrations(findings)]
    blocks += [*_flow(findings), _sites(findings)]
    if findings.study.table_one:
        blocks.append(_table_one(findings))
    blocks += _sample_size(findings)
    if findings.card.population:
        blocks.append(
            box(say("Population named by the developer"), paragraphs(findings.card.population))
        )
    return Section("cohort", say("Cohort and patients"), tuple(blocks))


def _sample_size(findings: Findings) -> list[Block]:
    plan = findings.plan
    planned = (
        ""
        if plan.planned_cases is None
        else say("Planned: {cases}.", cases=many(plan.planned_cases, "case"))
    )
    texts = [text for text in (planned, plan.sample_size_rationale) if text]
    return [box(say("Sample size"), paragraphs(*texts))] if texts else []


_ACCESS = {
    "requested": mark("requested, not decided"),
    "approved": mark("approved"),
    "rejected": mark("rejected by the operator"),
    "suspended": mark("suspended by the operator"),
    "revoked": mark("revoked by the operator"),
}


def _hospitals(findings: Findings) -> Markup:
    """List every hospital that asked for access, whether its result is here or not (STARD 19)."""
    conduct = findings.conduct
    if conduct is None:
        return paragraphs(
            say(
                "This report was made without the hub's list of hospitals with access; a hospital "
                "that sent no result is not named in it."
            )
        )
    rows = [
        [h.label, say(_ACCESS[h.status]), h.reason or "–", h.result()] for h in conduct.hospitals
    ]
    note = ""
    if conduct.elsewhere:
        note = say(
            "Access to the same model version under another plan: {elsewhere}.",
            elsewhere=", ".join(conduct.elsewhere),
        )
    return table(
        say("Hospitals that asked for access under the plan"),
        [say("Hospital"), say("Access"), say("Operator's reason"), say("Result")],
        rows,
        kind="words",
        note=note,
    )


def _registrations(findings: Findings) -> list[Block]:
    """List when each hospital's plan was registered, replaced and first used."""
    hospitals = findings.conduct.hospitals if findings.conduct else ()
    rows = [
        [
            hospital.label,
            version.plan_hash[:12],
            _moment(version.registered, version.signature),
            version.reason or "–",
            _moment(version.first_prediction),
        ]
        for hospital in hospitals
        for version in hospital.plans
    ]
    if not rows:
        return []
    return [
        table(
            say("Registration of the plan at each hospital, in order"),
            [
                say("Hospital"),
                say("Plan"),
                say("Registered"),
                say("Reason of the change"),
                say("First prediction"),
            ],
            rows,
            kind="words",
            note=say(_REGISTRATION),
        )
    ]


_REGISTRATION = mark(
    "Times in UTC by the hub's clock. Countersigned: the hub signed hash and time when "
    "it received them; healthval verify --hub checks the signature."
)


def _moment(text: str | None, signature: str | None = None) -> str:
    if text is None:
        return "–"
    return f"{text[:10]} {text[11:16]}" + (say(", countersigned") if signature else "")


def _flow(findings: Findings) -> list[Block]:
    if not findings.study.flow:
        return _flows_apart(findings)
    released = findings.released
    by_site = {s: {f.step: f.n for f in r.flow} for s, r in released.items()}
    shown = list(released) if len(released) <= FLOW_COLUMNS else []
    rows = [
        [
            reword(words(step.step)),
            *(count_cell(by_site[s].get(step.step), findings.floor(s)) for s in shown),
            total(step.total),
        ]
        for step in findings.study.flow
    ]
    notes = _flow_notes(findings, shown)
    return [
        table(
            say("Cohort flow: cases left after each step"),
            [say("Step"), *shown, say("All sites")],
            rows,
            note=" ".join(filter(None, [*notes, findings.noisy(IN_COUNTS)])),
        )
    ]


def _flow_notes(findings: Findings, shown: Sequence[str]) -> Iterator[str]:
    """Explain the signs of the flow that are in it."""
    steps = findings.study.flow
    cells = [
        {f.step: f.n for f in findings.released[site].flow}.get(step.step)
        for site in shown
        for step in steps
    ]
    if any(step.total.n_suppressed for step in steps):
        yield say(
            "≥: some sites omitted or withheld the step; at least the cases of their later steps "
            "were left."
        )
    if None in cells:
        yield say("–: the site released no count for the step.")
    if any(isinstance(cell, str) for cell in cells):
        yield hatched(findings.floor(site) for site in shown)


def _flows_apart(findings: Findings) -> list[Block]:
    """Return the flow of each site where the flows cannot be summed."""
    rows = [
        [site, reword(words(row.step)), count_cell(row.n, findings.floor(site))]
        for site, release in findings.released.items()
        for row in release.flow
    ]
    if not rows:
        return []
    why = say(
        "The steps of the sites have no common order in which no number of cases increases, so "
        "they are not summed."
    )
    return [
        paragraphs(why),
        table(
            say("Cohort flow at each site: cases left after each step"),
            [say("Site"), say("Step"), say("Cases")],
            rows,
            note=findings.noisy(IN_COUNTS),
        ),
    ]


def _sites(findings: Findings) -> Markup:
    rows: list[list[object]] = []
    for site, release in findings.released.items():
        cells = (release.n, release.n_events, release.n_indeterminate, release.n_missing_reference)
        rows.append([site, *(count_cell(cell, findings.floor(site)) for cell in cells)])
    study = findings.study
    sums = (study.n, study.n_events, study.n_indeterminate, study.n_missing_reference)
    rows.append(
        [Markup("<strong>{}</strong>").format(say("All sites")), *(total(cells) for cells in sums)]
    )
    return table(
        say("Sites"),
        [
            say("Site"),
            say("Analysed"),
            say("With condition"),
            say("Indeterminate"),
            say("No reference"),
        ],
        rows,
        note=say(
            "Indeterminate: the model gave no score. No reference: the target condition is "
            "unknown. Neither is analysed. {noisy} {hatched}",
            noisy=findings.noisy(IN_COUNTS),
            hatched=_hatched(findings),
        ).rstrip(),
    )


def _hatched(findings: Findings) -> str:
    cells = [
        cell
        for r in findings.released.values()
        for cell in (r.n, r.n_events, r.n_indeterminate, r.n_missing_reference)
    ]
    return hatched(map(findings.floor, findings.released)) if SUPPRESSED in cells else ""


def _table_one(findings: Findings) -> Markup:
    lines = [*_table_one_lines(findings)]
    least = say(" ≥: some sites withheld the count, or may have the level among withheld ones.")
    means = say(" Means are over the sites that released them, weighted by site size.")
    return table(
        say("Table 1: patients over all sites"),
        [say("Characteristic"), say("All"), say("With condition"), say("Without"), say("Sites")],
        lines,
        note=say(
            "Sites: those whose release has the characteristic.{least}{means} {noisy}",
            least=least if any("≥" in str(cell) for line in lines for cell in line) else "",
            means=means if any(row.mean is not None for row in findings.table_one()) else "",
            noisy=findings.noisy(IN_COUNTS),
        ).rstrip(),
    )


def _table_one_lines(findings: Findings) -> Iterator[list[object]]:
    rows = findings.table_one()
    numbers = {row.variable for row in rows if row.mean is not None}
    variable = None
    for row in rows:
        withheld = say("values withheld") if row.variable in numbers else say("levels withheld")
        if row.mean is not None:
            yield [
                say("{variable}, mean (SD)", variable=words(row.variable)),
                _mean(findings, row),
                "–",
                "–",
                row.k,
            ]
        else:
            if row.variable != variable and row.variable not in numbers:
                heading = Markup("<strong>{}</strong>").format(words(row.variable))
                yield [heading, "", "", "", ""]
            cells = (row.overall, row.events, row.non_events)
            sums = (_total_or_dash(cell, partly=row.k < findings.study.k) for cell in cells)
            yield [f"\N{EM SPACE}{level_name(row.level, withheld)}", *sums, row.k]
        variable = row.variable


def _mean(findings: Findings, row: TableOneTotal) -> str:
    """Format mean and SD with the fewest decimals that a site released, three digits of the SD."""
    released = [
        value
        for r in findings.released.values()
        for at in r.table_one
        if (at.variable, at.level) == (row.variable, row.level)
        for value in (at.mean, at.sd)
        if value is not None
    ]
    digits = min(map(decimals, released), default=0)
    if row.sd:
        digits = max(0, min(digits, 2 - math.floor(math.log10(row.sd))))
    if row.sd is None or float(f"{row.sd:.{digits}f}") == 0:
        return number(row.mean, digits)
    return say("{mean} (SD {sd})", mean=number(row.mean, digits), sd=number(row.sd, digits))


def _total_or_dash(cells: Total | None, *, partly: bool) -> str:
    if cells is None:
        return "–"
    text = total(cells)
    return f"≥{text}" if partly and cells.n_sites and not cells.n_suppressed else text
