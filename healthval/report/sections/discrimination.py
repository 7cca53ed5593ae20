"""Discrimination and calibration: forest plots, pooled ROC, calibration curves."""

from collections.abc import Sequence

from healthval.aggregate.result import PooledMeasure, SiteValue
from healthval.report.document import Block, Figure, Section
from healthval.report.figures.curves import (
    Bin,
    Curve,
    OperatingPoint,
    Point,
    calibration_plot,
    roc_plot,
)
from healthval.report.figures.forest import ROWS_PER_FIGURE, Axis, Pooled, Row, forest
from healthval.report.findings import Findings, estimate, pooled, rate
from healthval.report.markup import Markup, Shown, count, number, paragraphs, sites, table

AUROC = Axis("AUROC (logit scale)", "logit", digits=3)
OE = Axis("Observed to expected events, O:E (log scale)", "log", 1.0)
SLOPE = Axis("Calibration slope", "linear", 1.0)
RARE = 0.1  # prevalence below which average precision is shown beside the ROC curve
FEW_BINS = 4  # fewer say nothing about how risks are spread
LOOSE = 0.05  # bounds wider than this, to either side, say too little to be drawn
CITL = Axis("Calibration in the large (log odds)", "linear", 0.0)


def discrimination(findings: Findings) -> Section:
    """How well scores separate cases with the condition from cases without."""
    blocks: list[Block] = [
        *site_forest(findings, findings.study.auroc, AUROC, "AUROC"),
        _estimands(findings),
        _roc_figure(findings),
        *_average_precision(findings),
    ]
    return Section("discrimination", "Discrimination", tuple(blocks))


def calibration(findings: Findings) -> Section:
    """Whether predicted risks agree with what was observed."""
    study, exact = findings.study, findings.study.calibration
    blocks = site_forest(findings, study.oe, OE, "O:E")
    if any(r.calibration and r.calibration.curve for r in findings.released.values()):
        blocks.append(_calibration_figure(findings))
    blocks += site_forest(findings, study.slope, SLOPE, "Calibration slope")
    blocks += site_forest(findings, study.citl, CITL, "Calibration in the large")
    rows = [
        ["O:E", _pair_text(exact.oe, exact.oe_ci), exact.oe_k],
        ["Brier score", _pair_text(exact.brier, exact.brier_ci), exact.brier_k],
    ]
    columns = ["Measure", "Value (95% CI)", "Sites"]
    blocks += [table("Sums over all cases together", columns, rows), *_closeness(findings)]
    return Section("calibration", "Calibration", tuple(blocks))


def _pair_text(value: float | None, ci: tuple[float, float] | None) -> str:
    lo, hi = ci or (None, None)
    return Shown(value, lo, hi, "not released").text()


def _closeness(findings: Findings) -> list[Block]:
    rows = [
        [site, *(estimate(getattr(r.calibration, name)).text() for name in ("brier", "scaled_brier", "ici_rcs5", "e90"))]
        for site, r in findings.released.items()
        if r.calibration
    ]  # fmt: skip
    if not rows:
        return []
    columns = ["Site", "Brier", "Scaled Brier", "ICI", "E90"]
    note = (
        "Brier: mean squared difference of risk and outcome, 0 is best; scaled: 1 is best. ICI and "
        "E90: mean and 90th percentile of the distance between curve and line."
    )
    return [table("Closeness of risk and outcome at each site", columns, rows, note=note)]


def _average_precision(findings: Findings) -> list[Block]:
    """Add what ROC curves hide where the condition is rare."""
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


def site_forest(findings: Findings, measure: PooledMeasure, axis: Axis, name: str) -> list[Block]:
    """Draw one row per site, in parts where there are many, the pooled result under the last."""
    heaviest = max((site.weight or 0 for site in measure.sites), default=0) or 1
    values = {site.site: site for site in measure.sites}
    why = {left.site: left.reason for left in measure.excluded}
    rows = [
        _site_row(findings, site.site, values.get(site.site), why.get(site.site), heaviest)
        for site in findings.study.sites
    ]
    parts = [rows[i : i + ROWS_PER_FIGURE] for i in range(0, len(rows), ROWS_PER_FIGURE)]
    last = len(parts) - 1
    return [
        forest_figure(part, axis, name, summary=_summary_row(measure) if i == last else None)
        for i, part in enumerate(parts)
    ]


def _site_row(
    findings: Findings, site: str, value: SiteValue | None, why: str | None, heaviest: float
) -> Row:
    release = findings.released[site]
    columns = (count(release.n), count(release.n_events))
    if value is None or value.value is None:
        words = {"suppressed": "withheld", "not submitted": "not released"}
        return Row(site, Shown(None, why=words.get(why or "", why or "withheld")), columns)
    shown = Shown(value.value, value.lo, value.hi)
    return Row(site, shown, columns, (value.weight or 0) / heaviest)


def _summary_row(measure: PooledMeasure) -> Pooled | None:
    if measure.value is None:
        return None
    shown, _ = pooled(measure)
    words = f"{sites(measure.k)} pooled"
    if measure.meta is not None:
        words += f"; τ² = {number(measure.meta.tau2)}, I² = {number(measure.meta.i2, 0)}%"
    return Pooled("Random-effects mean", shown, measure.prediction, words)


_SQUARES = "estimate and 95% CI; the area of a square shows the weight of the site."


def forest_figure(
    rows: Sequence[Row], axis: Axis, name: str, *, summary: Pooled | None = None, caption: str = ""
) -> Figure:
    """Draw a forest with its words and its table."""
    given = [row for row in rows if row.shown is not None]
    known = [row.shown.value for row in given if row.shown and row.shown.value is not None]
    alt = f"Forest plot of {name}: {len(given)} rows"
    if known:
        alt += f", estimates from {number(min(known), axis.digits)} to {number(max(known), axis.digits)}"
    if summary:
        alt += f"; random-effects mean {summary.shown.text(axis.digits)}"
    caption = f"{name}: {caption}" if caption else f"{name}: {_SQUARES}"
    if summary and summary.prediction:
        caption += " The dashed bar is where a new site is expected."
    elif summary:
        caption += " With fewer than five sites there is no prediction interval."
    cells = [
        [row.label, *row.columns, row.shown.text(axis.digits) if row.shown else ""] for row in rows
    ]
    if summary:
        cells.append([summary.label, "", "", summary.shown.text(axis.digits)])
    data = table(name, ["", "n", "Events", "Estimate (95% CI)"], cells)
    return Figure(
        forest(rows, axis, headers=("n", "Events"), pooled=summary), alt + ".", caption, data
    )


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
    alt, caption = _roc_words(findings, together is not None, at)
    return Figure(roc_plot(together, curves, at), alt, caption, _roc_table(together, curves))


def _with_ends(points: list[Point]) -> tuple[Point, ...]:
    """Every ROC curve begins at (0, 0) and ends at (1, 1)."""
    first = [] if points and points[0][0] == 0 else [(0.0, 0.0, 0.0, 0.0)]
    last = [] if points and points[-1][0] == 1 else [(1.0, 1.0, 1.0, 1.0)]
    return (*first, *points, *last)


def _together(findings: Findings) -> Curve | None:
    display = findings.study.display
    if not display.curve or display.bound is None or display.bound > LOOSE:
        return None
    points = sorted((b.fpr, b.tpr, b.tpr_bounds[0], b.tpr_bounds[1]) for b in display.curve)
    return Curve("All cases together", tuple(points))


def _roc_words(findings: Findings, together: bool, at: list[OperatingPoint]) -> tuple[str, str]:
    shown, basis = findings.result("auroc")
    alt = f"ROC curves of {sites(len(findings.released))}"
    if shown.value is not None:
        alt += f", AUROC {shown.text()}, {basis}"
    alt += "".join(
        f"; at threshold {p.threshold:g} sensitivity {p.sensitivity.text(2)}, "
        f"specificity {p.specificity.text(2)}"
        for p in at
    )
    caption = "Receiver operating characteristic on the released grid, straight between its points."
    if together:
        caption += (
            f" All cases together: AUROC {_mixture(findings)}; the band shows exact bounds from "
            "merged score bins, not a confidence interval."
        )
    elif len(findings.released) == 1:
        caption += " The band is a pointwise 95% CI."
    if at:
        caption += " Cross: sensitivity and specificity with 95% CI, all cases together."
    return alt + ".", caption


def _mixture(findings: Findings) -> str:
    e = findings.study.estimands
    if e.mixture is None or e.mixture_bound is None:
        return number(e.mixture)
    lo, hi = max(0.0, e.mixture - e.mixture_bound), min(1.0, e.mixture + e.mixture_bound)
    return f"between {number(lo)} and {number(hi)}"


def _roc_table(together: Curve | None, curves: Sequence[Curve]) -> Markup:
    rows = [
        [curve.label, number(x, 2), number(y), number(lo), number(hi)]
        for curve in ([together] if together else []) + list(curves)
        for x, y, lo, hi in curve.points
    ]
    columns = ["Curve", "1 − specificity", "Sensitivity", "Lower", "Upper"]
    return table("Points of the curves", columns, rows)


def _estimands(findings: Findings) -> Markup:
    e = findings.study.estimands
    shown, basis = findings.result("auroc")
    rows = [
        ["Mean over hospitals, each one of many (headline)", shown.text(), basis],
        ["Two patients of the same hospital", rate(e.within_site).text(), f"{e.within_site_k} sites, by pairs"],
        ["Two patients of any hospitals", _mixture(findings), "exact bounds from score bins"],
    ]  # fmt: skip
    return table(
        "AUROC: three questions, three answers",
        ["Comparing", "AUROC (95% CI)", "Basis"],
        rows,
        kind="words",
    )


def _calibration_figure(findings: Findings) -> Figure:
    curves = [
        Curve(site, tuple((p.predicted, p.observed, p.lo, p.hi) for p in release.calibration.curve))
        for site, release in findings.released.items()
        if release.calibration and release.calibration.curve
    ]
    bins = [Bin(b.low, b.high, b.events, b.n - b.events) for b in findings.study.display.bins]
    if len(bins) < FEW_BINS:
        bins = []
    oe, _ = findings.result("oe")
    slope, _ = findings.result("slope")
    alt = (
        f"Calibration curves of {sites(len(curves))} against the line of perfect agreement; "
        f"O:E {oe.text(2)}, slope {slope.text(2)}."
    )
    caption = (
        "Observed proportion at each predicted risk, smoothed at each site and released on a fixed "
        "grid; on the grey line prediction and observation agree."
    )
    if len(curves) <= 4:
        caption += " Bands are pointwise 95% CI."
    if bins:
        caption += (
            " Below: how many cases had which predicted risk, with and without the condition."
        )
    rows = [
        [curve.label, number(x, 2), Shown(y, lo, hi).text()]
        for curve in curves
        for x, y, lo, hi in curve.points
    ]
    data = table("Calibration curves", ["Site", "Predicted", "Observed (95% CI)"], rows)
    return Figure(calibration_plot(curves, bins), alt, caption, data)
