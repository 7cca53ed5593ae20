"""Section "Differences between sites": heterogeneity, new site, leave-one-out, funnel plot."""

from healthval.aggregate.meta import MIN_SITES_PREDICTION
from healthval.aggregate.result import PooledMeasure
from healthval.report.criteria import judge
from healthval.report.document import Block, Figure, Section
from healthval.report.figures.curves import FunnelSite, funnel_plot
from healthval.report.findings import Findings, as_released
from healthval.report.markup import as_shown, number, p_value, paragraphs, percent, table
from healthval.report.secondary import case_mix_table, chance, methods_table
from healthval.report.sections.summary import badge
from healthval.report.values.site_values import reader
from healthval.report.wording.language import many, mark, reword, say

MOST_INFLUENTIAL = 12  # rows of the leave-one-out table
FUNNEL_SITES = 10  # Sterne et al. 2011, BMJ 343:d4002: a funnel of fewer sites shows chance only
_MEASURES = {
    "auroc": mark("AUROC"),
    "oe": "O:E",
    "slope": mark("Calibration slope"),
    "citl": mark("Calibration in the large"),
}


def heterogeneity(findings: Findings) -> Section:
    """Build the section on the differences between sites and on a site outside the study."""
    auroc = findings.study.auroc
    blocks: list[Block] = [
        *_each_site(findings),
        _variation(findings),
        _new_site(findings),
        *_leave_one_out(auroc),
    ]
    if findings.study.k > 1:
        blocks += [*case_mix_table(findings), *methods_table(findings)]
    if len(auroc.funnel) >= FUNNEL_SITES:
        blocks.append(_funnel(auroc))
    return Section("heterogeneity", say("Differences between sites"), tuple(blocks))


def _each_site(findings: Findings) -> list[Block]:
    """Compare each site's own result with each criterion of the plan."""
    if findings.study.k == 1:
        return []
    sheets: list[Block] = []
    for criterion in findings.plan.criteria:
        read = reader(criterion.measure, criterion.threshold)
        rows: list[list[object]] = []
        for site, release in findings.released.items():
            value, ci = read.own(release)
            shown = as_released(value, *(ci or (None, None)))
            outcome = badge(judge(criterion, shown)) if value is not None else "–"
            rows.append([site, shown.text(criterion.digits()), outcome])
        caption = say(
            "Each site's own result: {name}, {target}",
            name=criterion.name(),
            target=criterion.target(),
        )
        sheets.append(
            table(
                caption, [say("Site"), say("Result (95% CI)"), say("Verdict")], rows, kind="words"
            )
        )
    return sheets


def _variation(findings: Findings) -> Block:
    rows = []
    for measure, name in _MEASURES.items():
        pooled: PooledMeasure = getattr(findings.study, measure)
        if pooled.meta is None:
            continue
        m, ci = pooled.meta, pooled.meta.i2_ci
        i2 = percent(m.i2)
        if ci is not None:
            i2 += " (" + say("{low} to {high}", low=number(ci[0], 0), high=number(ci[1], 0)) + ")"
        rows.append(
            [say(name), pooled.k, number(m.tau2, 4), i2, f"{number(m.q, 1)} ({p_value(m.q_p)})"]
        )
    if not rows:
        return paragraphs(
            say("Differences between sites are not estimated from fewer than three sites.")
        )
    return table(
        say("Heterogeneity"),
        [say("Measure"), say("Sites"), "τ²", say("I² (95% CI)"), "Q (p)"],
        rows,
        note=say(
            "τ²: variance between sites on the scale of analysis (logit for AUROC, log for O:E). "
            "I²: share of the variation that is not chance. τ² by REML, I² by Q-profile."
        ),
    )


def _new_site(findings: Findings) -> Block:
    new = findings.study.new_site
    intervals = {name: findings.mean(measure).prediction for measure, name in _MEASURES.items()}
    if new.reason or not any(intervals.values()):
        why = (
            say("values of {k}, at least 5 needed", k=many(new.k, "site"))
            if new.k < MIN_SITES_PREDICTION
            else reword(new.reason or say("not estimable"))
        )
        return paragraphs(
            say("Results at a hospital outside the study were not estimated: {why}.", why=why)
        )
    rows = [
        [say(name), say("{low} to {high}", low=number(ends[0]), high=number(ends[1]))]
        for name, ends in intervals.items()
        if ends
    ]
    note = say(
        "Prediction intervals: t(k − 2), and nowhere narrower than the interval of the mean."
    )
    if new.approximate:
        note += say(" With ten sites or fewer they are approximate.")
    if new.p_slope is not None:
        note += say(" Chance of a slope of 0.8 to 1.2 there: {chance}.", chance=chance(new.p_slope))
    columns = [say("Measure"), say("95% prediction interval")]
    return table(
        say("At a hospital outside the study"), columns, rows, kind="numbers narrow", note=note
    )


def _leave_one_out(measure: PooledMeasure) -> list[Block]:
    if not measure.leave_one_out or measure.value is None:
        return []
    overall = measure.value
    ranked = sorted(measure.leave_one_out, key=lambda left: -abs(left.value - overall))
    chosen = {left.site for left in ranked[:MOST_INFLUENTIAL]}
    rows = [
        [left.site, as_shown(left.value, left.lo, left.hi).text(), percent(left.i2)]
        for left in measure.leave_one_out
        if left.site in chosen
    ]
    note = ""
    if len(measure.leave_one_out) > len(chosen):
        note = say(
            "The {k} sites of {of} that change the mean most.",
            k=len(chosen),
            of=len(measure.leave_one_out),
        )
    columns = [say("Left out"), say("Mean of the others (95% CI)"), "I²"]
    return [table(say("AUROC with one site left out in turn"), columns, rows, note=note)]


def _funnel(measure: PooledMeasure) -> Figure:
    middle = measure.meta.mu if measure.meta else 0.0
    sites = [FunnelSite(p.effect, p.se) for p in measure.funnel]
    outside = sum(abs(s.effect - middle) > 1.96 * s.se for s in sites)
    rows = [[p.site, number(p.effect), number(p.se)] for p in measure.funnel]
    return Figure(
        funnel_plot(sites, middle),
        say(
            "Funnel plot of the AUROC of {sites} sites on the logit scale: {outside} outside the "
            "95% limits around the mean.",
            sites=len(sites),
            outside=many(outside, "site is", "sites are"),
        ),
        say(
            "Funnel: each site's AUROC (logit) against its standard error. Without differences "
            "between sites, 95 of 100 would be within the dashed lines."
        ),
        table(
            say("Sites on the scale of analysis"),
            [say("Site"), say("logit AUROC"), say("Standard error")],
            rows,
        ),
    )
