"""Calibration and predictive value curves, and the funnel plot."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from healthval.report.figures.forest import shortened
from healthval.report.figures.style import BLUE, COLOURS, GREY, INK, LINES, PALE, VERMILION, board
from healthval.report.wording.language import say

FEW_POINTS = 3  # a curve with at most this many points has a marker at each point
CALIBRATION_BANDS = 4  # more curves are drawn without their bands
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


def calibration_plot(sites: Sequence[Curve], bins: Sequence[Bin]) -> str:
    """Draw observed against predicted risk with bands, above a histogram of the predicted risks."""
    bins = [b for b in bins if b.events or b.non_events]
    with board(4.9, 5.3) if bins else board() as drawn:
        if bins:
            axes, below = drawn.figure.subplots(
                2, 1, sharex=True, gridspec_kw={"height_ratios": [5, 1]}
            )
            _histogram(below, bins)
        else:
            axes = below = drawn.figure.add_subplot()
        _unit_square(axes, "", say("Observed proportion"))
        below.set_xlabel(say("Predicted risk"))
        if bins:  # the histogram shares the x axis, so that an equal aspect is not possible
            axes.set_aspect("auto")
            axes.tick_params(labelbottom=False)
        _curves(axes, sites, bands=len(sites) <= CALIBRATION_BANDS)
        legend(axes, loc="upper left")
    return drawn.svg


def predictive_plot(values: Sequence[Curve], here: float | None) -> str:
    """Draw PPV and NPV against prevalence at fixed sensitivity and specificity."""
    with board() as drawn:
        axes = drawn.figure.add_subplot()
        _unit_square(axes, say("Prevalence of the target condition"), say("Predictive value"))
        axes.lines[0].remove()
        axes.set_aspect("auto")
        for curve, colour, line in zip(values, COLOURS, LINES, strict=False):
            _curve(axes, curve, colour, line, band=True)
        if here is not None:
            axes.axvline(here, color=INK, lw=0.9, ls=":", label=say("Prevalence of these cases"))
        legend(axes, loc="best")
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
        axes.set_xlabel(say("AUROC (logit)"))
        axes.set_ylabel(say("Standard error"))
    return drawn.svg


def _unit_square(axes: Any, across: str, up: str) -> None:
    axes.plot([0, 1], [0, 1], color=GREY, lw=0.8, zorder=1)
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), xlabel=across, ylabel=up, aspect="equal")
    ticks = [0, 0.2, 0.4, 0.6, 0.8, 1]
    axes.set_xticks(ticks)
    axes.set_yticks(ticks)


def _curves(axes: Any, curves: Sequence[Curve], *, bands: bool) -> None:
    if len(curves) > NAMED:
        for i, curve in enumerate(curves):
            label = say("Each site ({k})", k=len(curves)) if i == 0 else None
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
    axes.set_ylabel(say("Cases"), fontsize=8)
    middle = -min(down) / (max(up) - min(down))
    for y, text in (((1 + middle) / 2, say("with")), (middle / 2, say("without"))):
        axes.text(1.015, y, text, transform=axes.transAxes, va="center", fontsize=7)


def legend(axes: Any, loc: str) -> None:
    """Add the legend if a line has a label."""
    if axes.get_legend_handles_labels()[1]:
        axes.legend(loc=loc, handlelength=2.6)
