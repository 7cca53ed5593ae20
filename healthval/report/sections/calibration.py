"""Section "Calibration": O:E, calibration curves, slope, calibration in the large, Brier, ICI."""

from collections.abc import Sequence

from healthval.report.document import Block, Figure, Section
from healthval.report.figures.curves import CALIBRATION_BANDS, Bin, Curve, calibration_plot
from healthval.report.figures.forest import Axis, site_forest
from healthval.report.findings import Findings, estimate, some_sites
from healthval.report.markup import Shown, as_shown, number, paragraphs, table
from healthval.report.secondary import joint_table
from healthval.report.sections.summary import expected
from healthval.report.wording.language import many, mark, say

OE = Axis(mark("Observed to expected events, O:E (log scale)"), "log", 1.0)
SLOPE = Axis(mark("Calibration slope"), "linear", 1.0)
CITL = Axis(mark("Calibration in the large (log odds)"), "linear", 0.0)
FEW_BINS = 4  # a histogram with fewer bins is not drawn
MEANS = {
    "oe": "O:E",
    "slope": mark("Calibration slope"),
    "citl": mark("Calibration in the large"),
    "brier": mark("Brier score"),
}
_CLOSENESS = ("brier", "scaled_brier", "ici_rcs5", "e90")


def calibration(findings: Findings) -> Section:
    """Build the section on the agreement of predicted risks with observed outcomes."""
    study, sums = findings.study, findings.study.calibration
    curves = _site_curves(findings)
    blocks: list[Block] = [*site_forest(findings, study.oe, OE, "O:E")]
    if curves:
        blocks.append(_curve_figure(findings, curves))
    blocks += site_forest(findings, study.slope, SLOPE, say("Calibration slope"))
    blocks += site_forest(findings, study.citl, CITL, say("Calibration in the large"))
    if study.k > 1:  # the sums of one site are its own results
        oe = as_shown(sums.oe, *(sums.oe_ci or (None, None)))
        brier = as_shown(sums.brier, *(sums.brier_ci or (None, None)))
        sheets = [
            *_sum("O:E", oe, sums.oe_k, study.k),
            *_sum(say("Brier score"), brier, sums.brier_k, study.k),
        ]
        blocks += [paragraphs(*sheets), *_means(findings)]
    blocks += joint_table(findings)
    blocks += _closeness(findings)
    return Section("calibration", say("Calibration"), tuple(blocks))


def _sum(name: str, shown: Shown, k: int, of: int) -> list[str]:
    if shown.value is None:
        return []
    together = say(
        "{name} of the cases of {k} together: {shown}, with a 95% CI for the cases of these sites.",
        name=name,
        k=some_sites(k, of),
        shown=shown.text(),
    )
    return [together]


def _means(findings: Findings) -> list[Block]:
    rows = []
    for measure, name in MEANS.items():
        mean = findings.mean(measure)
        rows.append([say(name), mean.k, mean.shown(), expected(mean, 3)])
    columns = [
        say("Measure"),
        say("Sites"),
        say("Mean (95% CI)"),
        say("At another hospital (95% PI)"),
    ]
    return [table(say("Calibration, means over sites"), columns, rows)]


def _site_curves(findings: Findings) -> list[Curve]:
    return [
        Curve(site, tuple((p.predicted, p.observed, p.lo, p.hi) for p in release.calibration.curve))
        for site, release in findings.released.items()
        if release.calibration and release.calibration.curve
    ]


def _curve_figure(findings: Findings, curves: Sequence[Curve]) -> Figure:
    bins = [Bin(b.low, b.high, b.events, b.n - b.events) for b in findings.study.display.bins]
    if len(bins) < FEW_BINS:
        bins = []
    oe, _ = findings.result("oe")
    slope, _ = findings.result("slope")
    alt = say(
        "Calibration curves of {curves} against the line of perfect agreement; O:E {oe}, "
        "slope {slope}.",
        curves=many(len(curves), "site"),
        oe=oe.text(2),
        slope=slope.text(2),
    )
    rows = [
        [curve.label, number(x, 2), as_shown(y, lo, hi).text()]
        for curve in curves
        for x, y, lo, hi in curve.points
    ]
    data = table(
        say("Calibration curves"), [say("Site"), say("Predicted"), say("Observed (95% CI)")], rows
    )
    caption = _curve_caption(bands=len(curves) <= CALIBRATION_BANDS, histogram=bool(bins))
    return Figure(calibration_plot(curves, bins), alt, caption, data)


def _curve_caption(*, bands: bool, histogram: bool) -> str:
    caption = say(
        "Observed proportion at each predicted risk, smoothed at each site and released on a "
        "fixed grid; on the diagonal, prediction and observation agree."
    )
    if bands:
        caption += say(" Bands are pointwise 95% CI.")
    if histogram:
        caption += say(" Below: cases at each predicted risk, with and without the condition.")
    return caption


def _closeness(findings: Findings) -> list[Block]:
    rows = [
        [site, *(estimate(getattr(release.calibration, name)).text() for name in _CLOSENESS)]
        for site, release in findings.released.items()
        if release.calibration
    ]
    if not rows:
        return []
    columns = [say("Site"), "Brier", say("Scaled Brier"), "ICI", "E90"]
    note = say(
        "Brier: mean squared difference of risk and outcome, 0 is best; scaled: 1 is best. "
        "ICI and E90: mean and 90th percentile of the distance between curve and line."
    )
    return [table(say("Closeness of risk and outcome at each site"), columns, rows, note=note)]
