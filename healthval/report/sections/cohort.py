"""Section "Cohort and patients": cohort flow, counts at each site, table 1, sample size."""

from collections.abc import Iterator

from markupsafe import Markup

from healthval.aggregate.result import TableOneTotal, Total
from healthval.report.document import Block, Section
from healthval.report.findings import Findings, total
from healthval.report.markup import box, count_cell, hatched, number, paragraphs, table, words

FLOW_COLUMNS = 5  # more sites are shown as a total only


def cohort(findings: Findings) -> Section:
    """Build the section on the number of cases at each step and on their characteristics."""
    study = findings.study
    blocks: list[Block] = [_flow(findings)] if study.flow else []
    blocks.append(_sites(findings))
    if study.table_one:
        blocks.append(_table_one(study.table_one))
    blocks += _sample_size(findings)
    if findings.card.population:
        blocks.append(
            box("Population named by the developer", paragraphs(findings.card.population))
        )
    return Section("cohort", "Cohort and patients", tuple(blocks))


def _sample_size(findings: Findings) -> list[Block]:
    plan = findings.plan
    planned = "" if plan.planned_cases is None else f"Planned: {plan.planned_cases} cases."
    texts = [text for text in (planned, plan.sample_size_rationale) if text]
    return [box("Sample size", paragraphs(*texts))] if texts else []


def _flow(findings: Findings) -> Markup:
    released = findings.released
    by_site = {s: {f.step: f.n for f in r.flow} for s, r in released.items()}
    shown = list(released) if len(released) <= FLOW_COLUMNS else []
    rows = [
        [
            words(step.step),
            *(count_cell(by_site[s].get(step.step), findings.floor(s)) for s in shown),
            total(step.total),
        ]
        for step in findings.study.flow
    ]
    return table("Cohort flow: cases left after each step", ["Step", *shown, "All sites"], rows)


def _sites(findings: Findings) -> Markup:
    rows: list[list[object]] = []
    for site, release in findings.released.items():
        cells = (release.n, release.n_events, release.n_indeterminate, release.n_missing_reference)
        rows.append([site, *(count_cell(cell, findings.floor(site)) for cell in cells)])
    study = findings.study
    sums = (study.n, study.n_events, study.n_indeterminate, study.n_missing_reference)
    rows.append([Markup("<strong>All sites</strong>"), *(total(cells) for cells in sums)])
    return table(
        "Sites",
        ["Site", "Analysed", "With condition", "Indeterminate", "No reference"],
        rows,
        note="Indeterminate: the model gave no score. No reference: the target condition is unknown."
        f" Neither is analysed. {hatched(map(findings.floor, findings.released))}",
    )


def _table_one(rows: tuple[TableOneTotal, ...]) -> Markup:
    return table(
        "Table 1: patients over all sites",
        ["Characteristic", "All", "With condition", "Without", "Sites"],
        _table_one_lines(rows),
        note="≥: some sites withheld a small count. Means are weighted by site size.",
    )


def _table_one_lines(rows: tuple[TableOneTotal, ...]) -> Iterator[list[object]]:
    variable = None
    for row in rows:
        if row.mean is not None:
            spread = f"{number(row.mean, 1)} (SD {number(row.sd, 1)})"
            yield [f"{words(row.variable)}, mean (SD)", spread, "–", "–", row.k]
        else:
            if row.variable != variable:
                heading = Markup("<strong>{}</strong>").format(words(row.variable))
                yield [heading, "", "", "", ""]
            cells = (_total_or_dash(cell) for cell in (row.overall, row.events, row.non_events))
            yield [f"\N{EM SPACE}{words(row.level)}", *cells, row.k]
        variable = row.variable


def _total_or_dash(cells: Total | None) -> str:
    return "–" if cells is None else total(cells)
