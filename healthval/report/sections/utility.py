"""Section "Clinical utility": decision curves, net benefit at the pre-specified thresholds."""

from collections.abc import Iterable, Sequence

from markupsafe import Markup

from healthval.contracts.submission import Submission
from healthval.errors import counted
from healthval.report.document import Block, Figure, Section
from healthval.report.figures.curves import DECISION_BANDS, Curve, Point, decision_plot
from healthval.report.findings import NO_COUNTS, Findings, pooled, rate
from healthval.report.markup import Shown, exact, number, paragraphs, table


def utility(findings: Findings) -> Section:
    """Build the section on the net benefit of the model, against treating all or none."""
    curves = [Curve(site, _model_points(r)) for site, r in findings.released.items()]
    curves = [curve for curve in curves if curve.points]
    blocks: list[Block] = [_decision_figure(findings, curves)] if curves else []
    if findings.study.thresholds:
        blocks.append(_net_benefit(findings))
    if not blocks:
        blocks = [paragraphs("No site released a decision curve.")]
    return Section("utility", "Clinical utility", tuple(blocks))


def _model_points(release: Submission) -> tuple[Point, ...]:
    return tuple(
        (point.threshold, point.model.value, point.model.lo, point.model.hi)
        for point in release.decision_curve
        if point.model.value is not None
    )


def _treat_all_points(release: Submission) -> tuple[Point, ...]:
    return _line((point.threshold, point.treat_all) for point in release.decision_curve)


def _line(points: Iterable[tuple[float, float | None]]) -> tuple[Point, ...]:
    return tuple((x, y, None, None) for x, y in points if y is not None)


def _decision_figure(findings: Findings, curves: Sequence[Curve]) -> Figure:
    together, treat_all = _together(findings)
    heights = [y for c in ([together] if together else curves) for _, y, *_ in c.points]
    rows = [
        [curve.label, number(t, 2), Shown(y, lo, hi).text()]
        for curve in [*([together] if together else []), *curves]
        for t, y, lo, hi in curve.points
    ]
    return Figure(
        decision_plot(together, curves, treat_all),
        f"Decision curves of {counted(len(curves), 'site')}"
        f"{' and of all cases together' if together else ''}; net benefit of the model from "
        f"{number(min(heights))} to {number(max(heights))}.",
        _decision_caption(together=together is not None, bands=len(curves) <= DECISION_BANDS),
        table("Decision curves", ["Curve", "Threshold", "Net benefit (95% CI)"], rows),
    )


def _decision_caption(*, together: bool, bands: bool) -> str:
    caption = (
        "Net benefit: true positives gained per case, less false positives weighted by the odds of "
        "the threshold. Where the line of the model is above both other lines, deciding by the "
        "model is the better choice."
    )
    if together:
        caption += " All cases together at the thresholds that every site released, with 95% CI."
    elif bands:
        caption += " Bands are pointwise 95% CI."
    return caption


def _together(findings: Findings) -> tuple[Curve | None, list[Curve]]:
    """Return the decision curve of all cases and the "treat all" curves.

    The curve of all cases contains only thresholds that every site released: with a changing set of
    sites its shape would show the missing sites rather than the model.
    """
    every = findings.study.k
    chosen = [at for at in findings.study.decision_curve if at.net_benefit.k == every]
    if every < 2 or len(chosen) < 2:
        label = "Treat all, at each site"
        return None, [Curve(label, _treat_all_points(r)) for r in findings.released.values()]
    model: list[Point] = []
    for at in chosen:
        shown = rate(at.net_benefit)
        if shown.value is not None:
            model.append((at.threshold, shown.value, shown.lo, shown.hi))
    treat_all = Curve("Treat all", _line((at.threshold, at.treat_all) for at in chosen))
    return Curve(f"Model, all cases of {counted(every, 'site')}", tuple(model)), [treat_all]


def _net_benefit(findings: Findings) -> Markup:
    rows = [
        [
            exact(at.threshold),
            rate(at.net_benefit, NO_COUNTS).text(),
            number(at.treat_all),
            "0.000",
            pooled(at.net_benefit_sites)[0].text(),
        ]
        for at in findings.study.thresholds
    ]
    return table(
        "Net benefit at the pre-specified thresholds",
        ["Threshold", "Model (95% CI)", "Treat all", "Treat none", "Mean over sites (95% CI)"],
        rows,
    )
