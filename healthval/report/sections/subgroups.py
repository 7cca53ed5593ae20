"""Section "Subgroups": AUROC and other measures by subgroup, pooled or at each site."""

from collections.abc import Sequence

from markupsafe import Markup, escape

from healthval.aggregate.result import PooledMeasure, SubgroupPool
from healthval.contracts.submission import COMMON_LEVELS, FOLDED, ReleasedSubgroup
from healthval.report.document import Block, Section
from healthval.report.figures.forest import AUROC, Axis, Row, forest_figures
from healthval.report.findings import Findings, estimate, pooled, some_sites, total
from healthval.report.markup import (
    WITHHELD,
    Shown,
    as_shown,
    beside,
    count,
    exact,
    p_value,
    paragraphs,
    table,
    words,
)
from healthval.report.values.gaps import MEASURES, gaps
from healthval.report.values.levels import level_name
from healthval.report.wording.language import many, mark, reword, say


def subgroups(findings: Findings) -> Section:
    """Build the section on the subgroups, in the plan's order and never sorted by result."""
    groups = findings.subgroups()
    if not groups:
        nothing = paragraphs(say("No site released subgroup results."))
        return Section("subgroups", say("Subgroups"), (nothing,))
    overall, _ = findings.result("auroc")
    axis = Axis(AUROC.label, AUROC.scale, overall.value, AUROC.digits)
    caption = say("estimate and 95% CI.")
    if overall.value is not None:
        caption = say("estimate and 95% CI; the dotted line is the overall result.")
    if findings.study.k > 1:
        caption += say(
            " Where fewer than three sites have at least 11 cases with and without the condition, "
            "the level is not pooled and each site's own estimate is shown."
        )
    if any(0 < group.auroc.k < findings.study.k for group in groups):
        caption += " " + say(_SOME)
    caption += findings.noisy(say(" Sizes of levels contain noise of the gates."))
    rows = _forest_rows(findings, groups)
    name = say("AUROC by subgroup")
    figures: list[Block] = [*forest_figures(rows, axis, name, caption=caption)]
    if all(row.shown is None or row.shown.value is None for row in rows):
        figures = [paragraphs(say("{name}: not released by any site.", name=name))]
    sheets = (_differences(findings, groups), _measures(findings, groups))
    return Section("subgroups", say("Subgroups"), (paragraphs(_rule(findings)), *figures, *sheets))


_SOME = mark(
    "A mean is over the sites that released the value. Whether a site releases it depends on its "
    "counts, so that the mean over all sites may be higher or lower."
)


def _rule(findings: Findings) -> str:
    """State the plan's treatment of small levels; empty without one."""
    rule = findings.plan.small_levels
    if rule is None:
        return ""
    fewer = say("with fewer than {minimum} at a hospital", minimum=many(rule.minimum, "case"))
    counted_among = say("counted among its eligible cases with a reference standard")
    if rule.rule == "fold":
        return say(
            "By the plan, levels {fewer}, {counted_among}, are one level of that hospital, "
            "'{folded}'; the differences between levels leave it out.",
            fewer=fewer,
            counted_among=counted_among,
            folded=reword(words(FOLDED)),
        )
    return say(
        "By the plan, cases in levels {fewer}, {counted_among}, are not analysed; the step "
        "'{common_levels}' of a hospital's flow, where it is shown, has the cases left.",
        fewer=fewer,
        counted_among=counted_among,
        common_levels=reword(words(COMMON_LEVELS)),
    )


def _differences(findings: Findings, groups: Sequence[SubgroupPool]) -> Markup:
    found = gaps(findings.released, groups)
    if not found and findings.study.k == 1:
        return Markup("")
    if not found:
        why = say("fewer than three sites released two levels of a variable")
        return paragraphs(say("Differences between levels were not estimated: {why}.", why=why))
    rows = [
        [
            say(
                "{variable}: {level} less {reference}",
                variable=words(gap.variable),
                level=level_name(gap.level),
                reference=level_name(gap.reference),
            ),
            say(MEASURES[gap.measure]),
            gap.k,
            as_shown(gap.value, *gap.ci),
            p_value(gap.p),
        ]
        for gap in found
    ]
    return table(
        say("Differences between levels"),
        [say("Levels"), say("Measure"), say("Sites"), say("Difference (95% CI)"), say("p (Holm)")],
        rows,
        note=say(
            "{at}Mean over sites of the difference inside each site (REML, Hartung-Knapp). The "
            "first level of the plan is the reference. p is adjusted for all {found} of this "
            "table; the intervals are not. Sites where a rate is 0 or 1 are left out. {some}",
            at=_at(findings),
            some=say(_SOME) if any(gap.k < findings.study.k for gap in found) else "",
            found=many(len(found), "difference"),
        ).rstrip(),
    )


def _forest_rows(findings: Findings, groups: Sequence[SubgroupPool]) -> list[Row]:
    rows: list[Row] = []
    for i, group in enumerate(groups):
        if i == 0 or groups[i - 1].variable != group.variable:
            rows.append(Row(words(group.variable)))
        shown = _pooled(group.auroc, findings.study.k)
        columns = (total(group.n), total(group.n_events))
        rows.append(Row(f"  {level_name(group.level)}", shown, columns))
        if shown.value is None and findings.study.k > 1:
            rows += _site_rows(findings, group)
    return rows


def _pooled(measure: PooledMeasure, of: int) -> Shown:
    shown, _ = pooled(measure)
    why = say("not pooled") if of > 1 else say(WITHHELD)
    return shown if shown.value is not None else as_shown(None, why=why)


def _site_rows(findings: Findings, group: SubgroupPool) -> list[Row]:
    rows = []
    for site, release in findings.released.items():
        level = _level(release.subgroups, group)
        if level is not None and level.auroc.value is not None:
            columns = (count(level.n), count(level.n_events))
            rows.append(Row(f"    {site}", estimate(level.auroc), columns))
    return rows


def _level(released: Sequence[ReleasedSubgroup], group: SubgroupPool) -> ReleasedSubgroup | None:
    wanted = (group.variable, group.level)
    return next((g for g in released if (g.variable, g.level) == wanted), None)


def _measures(findings: Findings, groups: Sequence[SubgroupPool]) -> Markup:
    rows: list[list[str | Markup]] = []
    of, some = findings.study.k, False
    for group in groups:
        measures = (group.oe, group.sensitivity, group.specificity)
        shown = [_pooled(m, of) for m in measures]
        over = [m.k if s.value is not None else of for m, s in zip(measures, shown, strict=True)]
        some |= any(k < of for k in over)
        name = f"{words(group.variable)}: {level_name(group.level)}"
        rows.append([name, *(_over(s, k, of) for s, k in zip(shown, over, strict=True))])
        if of > 1 and all(s.value is None for s in shown):
            rows += _site_measures(findings, group)
    means = say(
        "Means over sites; not pooled: fewer than three sites released the measure for this level."
    )
    notes = [_at(findings).strip(), *([means] if of > 1 else []), *([say(_SOME)] if some else [])]
    return table(
        say("Other measures by subgroup"),
        [
            say("Subgroup"),
            say("O:E (95% CI)"),
            say("Sensitivity (95% CI)"),
            say("Specificity (95% CI)"),
        ],
        rows,
        note=" ".join(filter(None, notes)),
    )


def _over(shown: Shown, k: int, of: int) -> Markup:
    """Name the number of sites that a mean is over, where it is not all."""
    return beside(escape(shown.text(2)), some_sites(k, of) if k < of else "")


def _at(findings: Findings) -> str:
    if not findings.plan.thresholds:
        return ""
    return say(
        "Sensitivity and specificity at threshold {threshold}. ",
        threshold=exact(findings.plan.thresholds[0]),
    )


def _site_measures(findings: Findings, group: SubgroupPool) -> list[list[str | Markup]]:
    rows: list[list[str | Markup]] = []
    for site, release in findings.released.items():
        level = _level(release.subgroups, group)
        if level is None:
            continue
        shown = [estimate(e) for e in (level.oe, level.sensitivity, level.specificity)]
        if any(s.value is not None for s in shown):
            rows.append([f"\N{EM SPACE}{site}", *(s.text(2) for s in shown)])
    return rows
