"""Performance at pre-specified thresholds, and clinical utility."""

from collections.abc import Sequence

from healthval.aggregate.result import PooledCounts, Rate, ThresholdPool
from healthval.contracts.submission import ReleasedThreshold, Submission
from healthval.report.document import Block, Figure, Section
from healthval.report.figures.curves import Curve, Point, decision_plot, predictive_plot
from healthval.report.findings import NO_COUNTS, Findings, estimate, pooled, rate
from healthval.report.markup import (
    Markup,
    Shown,
    counted,
    hatched,
    number,
    paragraphs,
    sites,
    table,
)

RATES = ("sensitivity", "specificity", "ppv", "npv")


def thresholds(findings: Findings) -> Section:
    """Show what happens when scores at or above a threshold count as positive."""
    blocks: list[Block] = []
    for at in findings.study.thresholds:
        blocks += _at_threshold(findings, at)
    if not blocks:
        blocks = [paragraphs("The plan names no threshold, so none is judged.")]
    return Section("thresholds", "Performance at the decision threshold", tuple(blocks))


def _at_threshold(findings: Findings, at: ThresholdPool) -> list[Block]:
    name = f"threshold {at.threshold:g}"
    blocks: list[Block] = [_site_matrix(findings, at)]
    if not at.counts.k:
        return [*blocks, paragraphs(f"Counts at {name} were not summed: {NO_COUNTS}.")]
    blocks += [_matrix(at.counts, name), _rates(at, name), _per_thousand(at.counts, name)]
    if figure := _predictive_figure(at):
        blocks.append(figure)
    return blocks


def _matrix(counts: PooledCounts, name: str) -> Markup:
    def row(label: str, first: int, second: int) -> list[str]:
        whole = first + second
        share = [f" ({number(100 * x / whole, 1)}%)" if whole else "" for x in (first, second)]
        return [label, f"{first}{share[0]}", f"{second}{share[1]}", str(whole)]

    note = f"Summed over the {sites(counts.k)} that released all four counts; row percentages."
    if counts.excluded:
        note += f" Left out because of small cells: {', '.join(x.site for x in counts.excluded)}."
    return table(
        f"All cases together at {name}",
        ["Reference standard", "Model positive", "Model negative", "Total"],
        [
            row("With the condition", counts.tp, counts.fn),
            row("Without the condition", counts.fp, counts.tn),
        ],
        note=note,
    )


def _rates(at: ThresholdPool, name: str) -> Markup:
    names = ("Sensitivity", "Specificity", "Positive predictive value", "Negative predictive value")
    rows: list[list[object]] = []
    for label, key in zip(names, RATES, strict=True):
        over_sites = Shown(None, why="–")
        if at.bivariate is not None and key in {"sensitivity", "specificity"}:
            over_sites = Shown(getattr(at.bivariate, key), *getattr(at.bivariate, f"{key}_ci"))
        together: Rate = getattr(at.counts, key)
        rows.append([label, rate(together, NO_COUNTS), together.k, over_sites])
    note = (
        "All cases together: Wilson intervals, from the sites that released the two counts of the "
        "rate. Small cells are often few errors, so that leaving their sites out makes a rate look "
        "worse than it is. Mean over sites: bivariate random effects."
    )
    if at.bivariate is None and at.bivariate_reason:
        note += f" The latter was not fitted: {at.bivariate_reason}."
    columns = ["Measure", "All cases together (95% CI)", "Sites", "Mean over sites (95% CI)"]
    return table(f"Rates at {name}", columns, rows, note=note)


def _per_thousand(counts: PooledCounts, name: str) -> Markup:
    n = counts.tp + counts.fp + counts.fn + counts.tn
    of = {
        "with the condition, found": counts.tp,
        "with the condition, missed": counts.fn,
        "without it, marked all the same": counts.fp,
        "without it, left alone": counts.tn,
    }
    rows = [[label, number(1000 * value / n, 0)] for label, value in of.items()]
    return table(
        f"Of 1000 cases like these, at {name}", ["Cases", "Of 1000"], rows, kind="numbers narrow"
    )


def _site_matrix(findings: Findings, at: ThresholdPool) -> Markup:
    rows: list[list[object]] = []
    for site, release in findings.released.items():
        here = _released_at(release, at.threshold)
        if here is None:
            rows.append([site, *["not released"] * 6])
            continue
        cells = (here.confusion.tp, here.confusion.fn, here.confusion.fp, here.confusion.tn)
        floor = findings.floor(site)
        rates = (estimate(here.sensitivity).text(2), estimate(here.specificity).text(2))
        rows.append([site, *(counted(cell, floor) for cell in cells), *rates])
    return table(
        f"Each site at threshold {at.threshold:g}",
        [
            "Site",
            "True pos.",
            "False neg.",
            "False pos.",
            "True neg.",
            "Sensitivity",
            "Specificity",
        ],
        rows,
        note=hatched(findings.floor(site) for site in findings.released),
    )


def _released_at(release: Submission, threshold: float) -> ReleasedThreshold | None:
    return next(
        (t for t in release.thresholds if t.threshold == threshold and t.origin == "pre-specified"),
        None,
    )


def _predictive_figure(at: ThresholdPool) -> Figure | None:
    sens, spec, here = (
        at.counts.sensitivity.value,
        at.counts.specificity.value,
        at.counts.prevalence.value,
    )
    if sens is None or spec is None:
        return None
    grid = [i / 50 for i in range(1, 50)]
    ppv = [(p, _bayes(sens * p, (1 - spec) * (1 - p)), None, None) for p in grid]
    npv = [(p, _bayes(spec * (1 - p), (1 - sens) * p), None, None) for p in grid]
    values = (
        Curve("Positive predictive value", tuple(ppv)),
        Curve("Negative predictive value", tuple(npv)),
    )
    rows = [
        [number(p, 2), number(a), number(b)]
        for (p, a, *_), (_, b, *_) in zip(ppv[4::5], npv[4::5], strict=True)
    ]
    return Figure(
        predictive_plot(values, here),
        f"Predictive values by prevalence at threshold {at.threshold:g}: with sensitivity "
        f"{number(sens, 2)} and specificity {number(spec, 2)}, at the study's prevalence "
        f"{number(here, 2)} the positive predictive value is {rate(at.counts.ppv).text(2)} and the "
        f"negative {rate(at.counts.npv).text(2)}.",
        "What a positive and a negative answer are worth where the condition is more or less "
        "frequent than in this study, if sensitivity and specificity stay as they are.",
        table("Predictive values", ["Prevalence", "Positive", "Negative"], rows),
    )


def _bayes(right: float, wrong: float) -> float:
    return right / (right + wrong) if right + wrong else 0.0


def utility(findings: Findings) -> Section:
    """Show the net benefit of acting on the model, against acting on all or none."""
    curves = [
        Curve(site, tuple(
            (p.threshold, p.model.value, p.model.lo, p.model.hi)
            for p in release.decision_curve if p.model.value is not None
        ))
        for site, release in findings.released.items()
    ]  # fmt: skip
    curves = [curve for curve in curves if curve.points]
    blocks: list[Block] = [_net_benefit(findings)] if findings.study.thresholds else []
    if curves:
        blocks.insert(0, _decision_figure(findings, curves))
    if not blocks:
        blocks = [paragraphs("No site released a decision curve.")]
    return Section("utility", "Clinical utility", tuple(blocks))


def _decision_figure(findings: Findings, curves: Sequence[Curve]) -> Figure:
    together, everyone = _together(findings)
    rows = [
        [curve.label, number(t, 2), Shown(y, lo, hi).text()]
        for curve in [*([together] if together else []), *curves]
        for t, y, lo, hi in curve.points
    ]
    caption = (
        "Net benefit: true positives gained per case, less false positives weighted by the odds of "
        "the threshold. Above both other lines, deciding by the model is the better choice."
    )
    if together:
        caption += " All cases together at the thresholds that every site released, with 95% CI."
    elif len(curves) <= 3:
        caption += " Bands are pointwise 95% CI."
    heights = [y for c in ([together] if together else curves) for _, y, *_ in c.points]
    return Figure(
        decision_plot(together, curves, [everyone] if everyone else _treat_all(findings)),
        f"Decision curves of {sites(len(curves))}"
        f"{' and of all cases together' if together else ''}; net benefit of the model from "
        f"{number(min(heights))} to {number(max(heights))}.",
        caption,
        table("Decision curves", ["Curve", "Threshold", "Net benefit (95% CI)"], rows),
    )


def _together(findings: Findings) -> tuple[Curve | None, Curve | None]:
    """All cases as one, at the thresholds that every site released.

    Where sites come and go from threshold to threshold, a line would show who is missing rather
    than what the model does.
    """
    every = findings.study.k
    chosen = [t for t in findings.study.decision_curve if t.net_benefit.k == every]
    if every < 2 or len(chosen) < 2:
        return None, None
    model: list[Point] = []
    everyone: list[Point] = []
    for at in chosen:
        shown = rate(at.net_benefit)
        if shown.value is not None:
            model.append((at.threshold, shown.value, shown.lo, shown.hi))
        if at.treat_all is not None:
            everyone.append((at.threshold, at.treat_all, None, None))
    label = f"Model, all cases of {sites(every)}"
    return Curve(label, tuple(model)), Curve("Treat all", tuple(everyone))


def _treat_all(findings: Findings) -> list[Curve]:
    return [
        Curve("Treat all, at each site", tuple(
            (p.threshold, p.treat_all, None, None)
            for p in release.decision_curve if p.treat_all is not None
        ))
        for release in findings.released.values()
    ]  # fmt: skip


def _net_benefit(findings: Findings) -> Markup:
    rows = [
        [f"{at.threshold:g}", rate(at.net_benefit, NO_COUNTS).text(), number(at.treat_all), "0.000",
         pooled(at.net_benefit_sites)[0].text()]
        for at in findings.study.thresholds
    ]  # fmt: skip
    return table(
        "Net benefit at the pre-specified thresholds",
        ["Threshold", "Model (95% CI)", "Treat all", "Treat none", "Mean over sites (95% CI)"],
        rows,
    )
