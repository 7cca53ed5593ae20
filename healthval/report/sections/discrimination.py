"""Section "Discrimination": AUROC at each site and pooled, ROC curves, average precision."""

from collections.abc import Sequence

from markupsafe import Markup

from healthval.errors import counted
from healthval.report.document import Block, Figure, Section
from healthval.report.figures.curves import Curve, OperatingPoint, Point, roc_plot
from healthval.report.figures.forest import AUROC, site_forest
from healthval.report.findings import Findings, estimate, rate
from healthval.report.markup import exact, number, paragraphs, table

RARE = 0.1  # prevalence below which average precision is shown beside the ROC curve
LOOSE = 0.05  # a pooled ROC curve with wider bounds, to either side, is not drawn


def discrimination(findings: Findings) -> Section:
    """Build the section on how well scores separate cases with the condition from the others."""
    blocks: list[Block] = [
        *site_forest(findings, findings.study.auroc, AUROC, "AUROC"),
        _estimands(findings),
        _roc_figure(findings),
        *_average_precision(findings),
    ]
    return Section("discrimination", "Discrimination", tuple(blocks))


def _estimands(findings: Findings) -> Markup:
    e = findings.study.estimands
    shown, basis = findings.result("auroc")
    within = f"{counted(e.within_site_k, 'site')}, by pairs"
    rows = [
        ["Mean over hospitals (headline)", shown.text(), basis],
        ["Two patients of the same hospital", rate(e.within_site).text(), within],
        ["Two patients of any hospitals", _mixture(findings), "exact bounds from score bins"],
    ]
    return table(
        "AUROC under three definitions",
        ["Comparing", "AUROC (95% CI)", "Basis"],
        rows,
        kind="words",
    )


def _mixture(findings: Findings) -> str:
    e = findings.study.estimands
    if e.mixture is None or e.mixture_bound is None:
        return number(e.mixture)
    lo, hi = max(0.0, e.mixture - e.mixture_bound), min(1.0, e.mixture + e.mixture_bound)
    return f"between {number(lo)} and {number(hi)}"


def _roc_figure(findings: Findings) -> Block:
    curves = [
        Curve(site, _with_ends([(p.fpr, p.tpr, p.lo, p.hi) for p in release.roc]))
        for site, release in findings.released.items()
        if release.roc
    ]
    together = _together(findings)
    if together is None and not curves:
        return paragraphs("No site released a ROC curve.")
    at = [
        OperatingPoint(t.threshold, rate(t.counts.sensitivity), rate(t.counts.specificity))
        for t in findings.study.thresholds
        if t.counts.k
    ]
    return Figure(
        roc_plot(together, curves, at),
        _roc_alt(findings, at),
        _roc_caption(findings, together=together is not None, crosses=bool(at)),
        _roc_table([*([together] if together else []), *curves]),
    )


def _with_ends(points: list[Point]) -> tuple[Point, ...]:
    """Add the end points of every ROC curve, (0, 0) and (1, 1)."""
    first = [] if points and points[0][0] == 0 else [(0.0, 0.0, 0.0, 0.0)]
    last = [] if points and points[-1][0] == 1 else [(1.0, 1.0, 1.0, 1.0)]
    return (*first, *points, *last)


def _together(findings: Findings) -> Curve | None:
    display = findings.study.display
    if not display.curve or display.bound is None or display.bound > LOOSE:
        return None
    points = sorted((b.fpr, b.tpr, b.tpr_bounds[0], b.tpr_bounds[1]) for b in display.curve)
    return Curve("All cases together", tuple(points))


def _roc_alt(findings: Findings, at: Sequence[OperatingPoint]) -> str:
    shown, basis = findings.result("auroc")
    alt = f"ROC curves of {counted(len(findings.released), 'site')}"
    if shown.value is not None:
        alt += f", AUROC {shown.text()}, {basis}"
    alt += "".join(
        f"; at threshold {exact(p.threshold)} sensitivity {p.sensitivity.text(2)}, "
        f"specificity {p.specificity.text(2)}"
        for p in at
    )
    return f"{alt}."


def _roc_caption(findings: Findings, *, together: bool, crosses: bool) -> str:
    caption = "Receiver operating characteristic on the released grid, with straight lines between its points."
    if together:
        caption += (
            f" All cases together: AUROC {_mixture(findings)}; the band shows exact bounds from "
            "merged score bins, not a confidence interval."
        )
    elif len(findings.released) == 1:
        caption += " The band is a pointwise 95% CI."
    if crosses:
        caption += " Cross: sensitivity and specificity with 95% CI, all cases together."
    return caption


def _roc_table(curves: Sequence[Curve]) -> Markup:
    rows = [
        [curve.label, number(x, 2), number(y), number(lo), number(hi)]
        for curve in curves
        for x, y, lo, hi in curve.points
    ]
    columns = ["Curve", "1 − specificity", "Sensitivity", "Lower", "Upper"]
    return table("Points of the curves", columns, rows)


def _average_precision(findings: Findings) -> list[Block]:
    """Add average precision where the condition is rare: the ROC curve hides false positives there."""
    known, events = findings.study.n.exact, findings.study.n_events.exact
    if not known or events is None or events / known >= RARE:
        return []
    rows = [[site, estimate(r.average_precision).text()] for site, r in findings.released.items()]
    return [
        table(
            "Average precision at each site",
            ["Site", "Average precision (95% CI)"],
            rows,
            note="Shown because fewer than one case in ten has the condition.",
        )
    ]
