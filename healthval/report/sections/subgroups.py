"""How results differ: between subgroups, between sites, and at a hospital that took no part."""

from collections.abc import Sequence

from healthval.aggregate.result import PooledMeasure, SubgroupPool
from healthval.contracts.submission import ReleasedSubgroup
from healthval.report.document import Block, Figure, Section
from healthval.report.figures.curves import FunnelSite, funnel_plot
from healthval.report.figures.forest import ROWS_PER_FIGURE, Axis, Row
from healthval.report.findings import Findings, estimate, pooled, total
from healthval.report.markup import Markup, Shown, count, number, paragraphs, table, words
from healthval.report.sections.discrimination import AUROC, forest_figure

MOST_INFLUENTIAL = 12  # rows of the leave-one-out table; the others change less
FUNNEL_SITES = 10  # Sterne et al. 2011, BMJ 343:d4002: below ten sites a funnel shows chance


def subgroups(findings: Findings) -> Section:
    """Performance by subgroup, in the plan's order and never sorted by result."""
    groups = findings.study.subgroups
    if not groups:
        nothing = paragraphs("No site released subgroup results.")
        return Section("subgroups", "Subgroups", (nothing,))
    overall, _ = findings.result("auroc")
    axis = Axis(AUROC.label, AUROC.scale, overall.value, AUROC.digits)
    rows = _subgroup_rows(findings, groups)
    caption = (
        "estimate and 95% CI; the dotted line is the overall result. Where fewer than three sites "
        "have at least 11 cases with and without the condition, the level is not pooled and each "
        "site's own estimate is shown."
    )
    parts = [rows[i : i + ROWS_PER_FIGURE] for i in range(0, len(rows), ROWS_PER_FIGURE)]
    figures = [forest_figure(part, axis, "AUROC by subgroup", caption=caption) for part in parts]
    return Section("subgroups", "Subgroups", (*figures, _subgroup_table(findings, groups)))


def _subgroup_rows(findings: Findings, groups: Sequence[SubgroupPool]) -> list[Row]:
    rows: list[Row] = []
    for i, group in enumerate(groups):
        if i == 0 or groups[i - 1].variable != group.variable:
            rows.append(Row(words(group.variable)))
        shown = _pooled(group.auroc)
        columns = (total(group.n), total(group.n_events))
        rows.append(Row(f"  {words(group.level)}", shown, columns))
        if shown.value is None:
            rows += _own_rows(findings, group)
    return rows


def _pooled(measure: PooledMeasure) -> Shown:
    shown, _ = pooled(measure)
    return shown if shown.value is not None else Shown(None, why="not pooled")


def _own_rows(findings: Findings, group: SubgroupPool) -> list[Row]:
    rows = []
    for site, release in findings.released.items():
        own = _level(release.subgroups, group)
        if own is not None and own.auroc.value is not None:
            columns = (count(own.n), count(own.n_events))
            rows.append(Row(f"    {site}", estimate(own.auroc), columns))
    return rows


def _own_lines(findings: Findings, group: SubgroupPool) -> list[list[str]]:
    lines = []
    for site, release in findings.released.items():
        own = _level(release.subgroups, group)
        shown = [estimate(e) for e in (own.oe, own.sensitivity, own.specificity)] if own else []
        if any(s.value is not None for s in shown):
            lines.append([f"\N{EM SPACE}{site}", *(s.text(2) for s in shown)])
    return lines


def _level(released: Sequence[ReleasedSubgroup], group: SubgroupPool) -> ReleasedSubgroup | None:
    wanted = (group.variable, group.level)
    return next((g for g in released if (g.variable, g.level) == wanted), None)


def _subgroup_table(findings: Findings, groups: Sequence[SubgroupPool]) -> Markup:
    rows: list[list[str]] = []
    for group in groups:
        shown = [_pooled(m) for m in (group.oe, group.sensitivity, group.specificity)]
        name = f"{words(group.variable)}: {words(group.level)}"
        rows.append([name, *(s.text(2) for s in shown)])
        if all(s.value is None for s in shown):
            rows += _own_lines(findings, group)
    return table(
        "Other measures by subgroup",
        ["Subgroup", "O:E (95% CI)", "Sensitivity (95% CI)", "Specificity (95% CI)"],
        rows,
        note="Means over sites; not pooled: fewer than three sites released the measure for this level.",
    )


def heterogeneity(findings: Findings) -> Section:
    """How much sites differ, whether one of them decides, and what to expect elsewhere."""
    study = findings.study
    blocks: list[Block] = [_spread(findings), _new_site(findings)]
    blocks += _leave_one_out(study.auroc)
    if len(study.auroc.funnel) >= FUNNEL_SITES:
        blocks.append(_funnel(study.auroc))
    return Section("heterogeneity", "Differences between sites", tuple(blocks))


def _spread(findings: Findings) -> Block:
    study = findings.study
    named = (("AUROC", study.auroc), ("O:E", study.oe), ("Calibration slope", study.slope),
             ("Calibration in the large", study.citl))  # fmt: skip
    rows = []
    for name, measure in named:
        if measure.meta is None:
            continue
        m, ci = measure.meta, measure.meta.i2_ci
        i2 = f"{number(m.i2, 0)}%"
        if ci is not None:
            i2 += f" ({number(ci[0], 0)} to {number(ci[1], 0)})"
        rows.append([name, measure.k, number(m.tau2, 4), i2, f"{number(m.q, 1)} ({_p(m.q_p)})"])
    if not rows:
        return paragraphs(
            "Differences between sites are not estimated from fewer than three sites."
        )
    return table(
        "Heterogeneity",
        ["Measure", "Sites", "τ²", "I² (95% CI)", "Q (p)"],
        rows,
        note="τ²: variance between sites on the scale of analysis (logit for AUROC, log for O:E). "
        "I²: share of the variation that is not chance. REML; Q-profile intervals.",
    )


def _p(value: float) -> str:
    """Print a p-value with two digits and never as zero.

    >>> _p(0.0421), _p(0.00001)
    ('p = 0.042', 'p < 0.001')
    """
    return "p < 0.001" if value < 0.001 else f"p = {value:.2g}"


def _new_site(findings: Findings) -> Block:
    new = findings.study.new_site
    if new.reason or not any((new.auroc, new.oe, new.slope, new.citl)):
        why = new.reason or "too few sites"
        return paragraphs(
            f"What to expect at a hospital that took no part was not estimated: {why}."
        )
    pairs = (("AUROC", new.auroc), ("O:E", new.oe), ("Calibration slope", new.slope),
             ("Calibration in the large", new.citl))  # fmt: skip
    rows = [[name, f"{number(pair[0], 2)} to {number(pair[1], 2)}"] for name, pair in pairs if pair]
    note = "Prediction intervals with t(k − 2)."
    if new.approximate:
        note += " With ten sites or fewer they are approximate."
    if new.p_slope is not None:
        note += f" Chance of a slope of 0.8 to 1.2 there: {number(100 * new.p_slope, 0)}%."
    columns = ["Measure", "95% prediction interval"]
    return table("At a hospital that took no part", columns, rows, kind="numbers narrow", note=note)


def _leave_one_out(measure: PooledMeasure) -> list[Block]:
    if not measure.leave_one_out or measure.value is None:
        return []
    overall = measure.value
    ranked = sorted(measure.leave_one_out, key=lambda left: -abs(left.value - overall))
    chosen = {left.site for left in ranked[:MOST_INFLUENTIAL]}
    rows = [
        [left.site, Shown(left.value, left.lo, left.hi).text(), f"{number(left.i2, 0)}%"]
        for left in measure.leave_one_out
        if left.site in chosen
    ]
    note = ""
    if len(measure.leave_one_out) > len(chosen):
        note = f"The {len(chosen)} sites of {len(measure.leave_one_out)} that change the mean most."
    columns = ["Left out", "Mean of the others (95% CI)", "I²"]
    return [table("AUROC with one site left out in turn", columns, rows, note=note)]


def _funnel(measure: PooledMeasure) -> Figure:
    middle = measure.meta.mu if measure.meta else 0.0
    sites = [FunnelSite(p.effect, p.se) for p in measure.funnel]
    outside = sum(abs(s.effect - middle) > 1.96 * s.se for s in sites)
    rows = [[p.site, number(p.effect), number(p.se)] for p in measure.funnel]
    return Figure(
        funnel_plot(sites, middle),
        f"Funnel plot of the AUROC of {len(sites)} sites on the logit scale: {outside} lie outside "
        "the 95% limits around the mean.",
        "Funnel: each site's AUROC (logit) against its standard error. Without differences between "
        "sites, 95 of 100 would lie within the dashed lines.",
        table("Sites on the scale of analysis", ["Site", "logit AUROC", "Standard error"], rows),
    )
