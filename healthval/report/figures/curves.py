"""ROC, calibration, decision and predictive value curves, and the funnel plot."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from healthval.report.figures.forest import shortened
from healthval.report.figures.style import BLUE, COLOURS, GREY, INK, LINES, PALE, VERMILION, board
from healthval.report.markup import Shown, exact

FEW_POINTS = 3  # a curve with at most this many points has a marker at each point
CALIBRATION_BANDS, DECISION_BANDS = 4, 3  # more curves are drawn without their bands
NAMED = 6  # number of line styles; more curves are thin and grey, with one common label


Point: TypeAlias = tuple[float, float, float | None, float | None]


@dataclass(frozen=True, slots=True)
class Curve:
    """Points (x, y, lo, hi) sorted by x; `lo` and `hi` are None for a curve without a band."""

    label: str
    points: tuple[Point, ...]

    @property
    def line(self) -> tuple[list[float], list[float]]:
        """Return the x values and the y values."""
        return [point[0] for point in self.points], [point[1] for point in self.points]


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """Sensitivity and specificity at one threshold, each with its interval."""

    threshold: float
    sensitivity: Shown
    specificity: Shown


@dataclass(frozen=True, slots=True)
class Bin:
    """Cases with scores in [low, high), with and without the target condition."""

    low: float
    high: float
    events: int
    non_events: int


@dataclass(frozen=True, slots=True)
class FunnelSite:
    """A site's effect and standard error on the scale of analysis."""

    effect: float
    se: float


def roc_plot(pooled: Curve | None, sites: Sequence[Curve], at: Sequence[OperatingPoint]) -> str:
    """Draw sensitivity against 1 − specificity, with straight lines between the grid points."""
    with board() as drawn:
        axes = drawn.figure.add_subplot()
        _unit_square(axes, "1 − specificity", "Sensitivity")
        _curves(axes, sites, bands=pooled is None and len(sites) == 1, thin=pooled is not None)
        if pooled is not None:
            _curve(axes, pooled, BLUE, "-", band=True)
        for point in at:
            _cross(axes, point)
        _legend(axes, loc="lower right")
    return drawn.svg


def calibration_plot(sites: Sequence[Curve], bins: Sequence[Bin]) -> str:
    """Draw observed against predicted risk with bands, above a histogram of the predicted risks."""
    with board(4.9, 5.3) if bins else board() as drawn:
        if bins:
            axes, below = drawn.figure.subplots(
                2, 1, sharex=True, gridspec_kw={"height_ratios": [5, 1]}
            )
            _histogram(below, bins)
        else:
            axes = below = drawn.figure.add_subplot()
        _unit_square(axes, "", "Observed proportion")
        below.set_xlabel("Predicted risk")
        if bins:  # the histogram shares the x axis, so that an equal aspect is not possible
            axes.set_aspect("auto")
            axes.tick_params(labelbottom=False)
        _curves(axes, sites, bands=len(sites) <= CALIBRATION_BANDS)
        _legend(axes, loc="upper left")
    return drawn.svg


def decision_plot(together: Curve | None, each: Sequence[Curve], treat_all: Sequence[Curve]) -> str:
    """Draw net benefit against threshold probability: the model, treat all and treat none."""
    with board() as drawn:
        axes = drawn.figure.add_subplot()
        axes.set_xlabel("Threshold probability")
        axes.set_ylabel("Net benefit")
        axes.axhline(0, color=INK, lw=0.9, ls=":", label="Treat none")
        for i, curve in enumerate(treat_all):
            label = curve.label if i == 0 else None
            axes.plot(*curve.line, color=VERMILION, lw=1.1, ls="--", label=label, zorder=2)
        _curves(axes, each, bands=len(each) <= DECISION_BANDS, thin=together is not None)
        if together is not None:
            _curve(axes, together, BLUE, "-", band=True)
        top = _top([*([together] if together else []), *each, *treat_all])
        axes.set_ylim(-0.12 * top, top)
        axes.margins(x=0.02)
        _harm_to_benefit(axes)
        _legend(axes, loc="best")
    return drawn.svg


def _top(curves: Sequence[Curve]) -> float:
    highest = [y if hi is None else hi for curve in curves for _, y, _, hi in curve.points]
    return 1.05 * max([0.02, *highest])


def _harm_to_benefit(axes: Any) -> None:
    """Add a second axis: harm of a false positive relative to the benefit of a true positive."""
    low, high = axes.get_xlim()
    odds = {
        "1:19": 0.05,
        "1:9": 0.1,
        "1:4": 0.2,
        "1:2": 1 / 3,
        "1:1": 0.5,
        "2:1": 2 / 3,
        "4:1": 0.8,
    }
    inside = {label: t for label, t in odds.items() if low <= t <= high}
    above = axes.secondary_xaxis("top")
    above.set_xticks(list(inside.values()), list(inside))
    above.set_xlabel("Harm to benefit", fontsize=8)


def predictive_plot(values: Sequence[Curve], here: float | None) -> str:
    """Draw PPV and NPV against prevalence at fixed sensitivity and specificity."""
    with board() as drawn:
        axes = drawn.figure.add_subplot()
        _unit_square(axes, "Prevalence of the target condition", "Predictive value")
        axes.lines[0].remove()
        axes.set_aspect("auto")
        for curve, colour, line in zip(values, COLOURS, LINES, strict=False):
            _curve(axes, curve, colour, line, band=True)
        if here is not None:
            axes.axvline(here, color=INK, lw=0.9, ls=":", label="Prevalence in this study")
        _legend(axes, loc="best")
    return drawn.svg


def funnel_plot(sites: Sequence[FunnelSite], middle: float) -> str:
    """Draw effect against standard error, precise sites at the top, 95% limits around the mean."""
    with board() as drawn:
        axes = drawn.figure.add_subplot()
        deepest = 1.08 * max(site.se for site in sites)
        axes.plot([middle, middle], [0, deepest], color=INK, lw=0.8, ls=":")
        for side in (-1.96, 1.96):
            axes.plot([middle, middle + side * deepest], [0, deepest], color=GREY, lw=1, ls="--")
        axes.scatter([s.effect for s in sites], [s.se for s in sites], s=18, color=BLUE, zorder=3)
        axes.set_ylim(deepest, 0)
        axes.set_xlabel("AUROC (logit)")
        axes.set_ylabel("Standard error")
    return drawn.svg


def _unit_square(axes: Any, across: str, up: str) -> None:
    axes.plot([0, 1], [0, 1], color=GREY, lw=0.8, zorder=1)
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), xlabel=across, ylabel=up, aspect="equal")
    ticks = [0, 0.2, 0.4, 0.6, 0.8, 1]
    axes.set_xticks(ticks)
    axes.set_yticks(ticks)


def _curves(axes: Any, curves: Sequence[Curve], *, bands: bool, thin: bool = False) -> None:
    if thin or len(curves) > NAMED:
        for i, curve in enumerate(curves):
            label = f"Each site ({len(curves)})" if i == 0 else None
            axes.plot(
                *curve.line, color=GREY, lw=0.9, ls=LINES[i % len(LINES)], label=label, zorder=2
            )
        return
    for curve, colour, line in zip(curves, COLOURS, LINES, strict=False):
        _curve(axes, curve, colour, line, band=bands)


def _curve(axes: Any, curve: Curve, colour: str, line: Any, *, band: bool) -> None:
    marker = "o" if len(curve.points) <= FEW_POINTS else ""
    label = shortened(curve.label)
    axes.plot(*curve.line, color=colour, ls=line, marker=marker, ms=4, label=label, zorder=3)
    limits = [(p[0], p[2], p[3]) for p in curve.points if p[2] is not None and p[3] is not None]
    if band and limits:
        across, lo, hi = zip(*limits, strict=True)
        axes.fill_between(across, lo, hi, color=colour, alpha=0.14, lw=0, zorder=2)


def _cross(axes: Any, point: OperatingPoint) -> None:
    sens, spec = point.sensitivity, point.specificity
    if sens.value is None or spec.value is None:
        return
    x, y = 1 - spec.value, sens.value
    label = f"Threshold {exact(point.threshold)}"
    axes.plot([x], [y], "o", ms=5, color=VERMILION, zorder=5, label=label)
    if None not in (sens.lo, sens.hi):
        axes.plot([x, x], [sens.lo, sens.hi], color=VERMILION, lw=1.2, zorder=4)
    if spec.lo is not None and spec.hi is not None:
        axes.plot([1 - spec.hi, 1 - spec.lo], [y, y], color=VERMILION, lw=1.2, zorder=4)


def _histogram(axes: Any, bins: Sequence[Bin]) -> None:
    left = [b.low for b in bins]
    width = [b.high - b.low for b in bins]
    up = [b.events / (b.high - b.low) for b in bins]
    down = [-b.non_events / (b.high - b.low) for b in bins]
    style: dict[str, Any] = {"align": "edge", "edgecolor": "white", "linewidth": 0.5}
    axes.bar(left, up, width, color=VERMILION, **style)
    axes.bar(left, down, width, color=PALE, hatch="////", **style)
    axes.set_ylim(1.05 * min(down), 1.05 * max(up))
    axes.axhline(0, color=INK, lw=0.8)
    axes.set_yticks([])
    axes.set_ylabel("Cases", fontsize=8)
    middle = -min(down) / (max(up) - min(down))
    for y, text in (((1 + middle) / 2, "with"), (middle / 2, "without")):
        axes.text(1.015, y, text, transform=axes.transAxes, va="center", fontsize=7)


def _legend(axes: Any, loc: str) -> None:
    if axes.get_legend_handles_labels()[1]:
        axes.legend(loc=loc, handlelength=2.6)
