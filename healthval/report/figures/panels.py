"""ROC and decision curves of sites as small multiples with shared axes, and of all cases."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from healthval.report.figures.curves import Curve, legend
from healthval.report.figures.forest import shortened
from healthval.report.figures.roc_region import Region
from healthval.report.figures.style import BLUE, GREY, INK, SKY, VERMILION, Board, board
from healthval.report.markup import Shown, exact, number
from healthval.report.wording.language import say

MOST_PANELS = 12  # more sites are drawn as points in the figure of all cases
_COLUMNS = 3
_DOT = 3.4  # points
_TICKS = [0, 0.2, 0.4, 0.6, 0.8, 1]


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """Sensitivity and specificity at one threshold, each with its interval."""

    threshold: float
    sensitivity: Shown
    specificity: Shown


@dataclass(frozen=True, slots=True)
class RocPanel:
    """A site's region and operating points."""

    label: str
    region: Region
    at: tuple[OperatingPoint, ...] = ()


@dataclass(frozen=True, slots=True)
class DecisionPanel:
    """Net benefit of the model and of treating all, at the released thresholds."""

    label: str
    model: Curve
    treat_all: Curve


@contextmanager
def _panels(n: int, aspect: float) -> Iterator[tuple[Board, list[Any]]]:
    """Open a grid of panels with shared axes; unused ones are empty."""
    columns = min(n, _COLUMNS)
    rows = math.ceil(n / columns)
    width = 4.2 if n == 1 else 6.9
    with board(width, 0.5 + rows * (width - 0.5) / columns * aspect) as drawn:
        grid = drawn.figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        axes = list(grid.ravel())
        for empty in axes[n:]:
            empty.set_axis_off()
        for above in axes[max(0, n - columns) : n]:
            above.tick_params(labelbottom=True)
        yield drawn, axes[:n]


def roc_panels(panels: Sequence[RocPanel]) -> str:
    """Draw one panel for each site: vertices from counts, and the region of the curve shaded."""
    with _panels(len(panels), 1.0) as (drawn, axes):
        for ax, panel in zip(axes, panels, strict=True):
            _unit_square(ax)
            _region(ax, panel.region)
            for point in panel.at:
                _cross(ax, point)
            if len(panels) > 1:
                ax.set_title(shortened(panel.label), fontsize=8)
        drawn.figure.supxlabel(say("1 − specificity"), fontsize=9)
        drawn.figure.supylabel(say("Sensitivity"), fontsize=9)
    return drawn.svg


def roc_together(region: Region, sites: Sequence[RocPanel], at: Sequence[OperatingPoint]) -> str:
    """Draw the region of the curve of all cases, over the vertices of each site in grey."""
    with board(4.6, 4.3) as drawn:
        axes = drawn.figure.add_subplot()
        _unit_square(axes)
        axes.set(xlabel=say("1 − specificity"), ylabel=say("Sensitivity"))
        dots = [(v.fpr[0], v.tpr[0]) for panel in sites for v in panel.region.inner]
        if dots:
            _dots(axes, dots, say("Single sites"))
        _region(axes, region)
        for point in at:
            _cross(axes, point)
        legend(axes, loc="lower right")
    return drawn.svg


def _dots(axes: Any, places: Sequence[tuple[float, float]], label: str) -> None:
    """Draw round dots as one path, of lines without length and with round ends."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    path = Path(
        [place for place in places for _ in range(2)], [Path.MOVETO, Path.LINETO] * len(places)
    )
    path.should_simplify = False
    look: dict[str, Any] = {"lw": _DOT, "ec": GREY, "capstyle": "round", "fill": False}
    axes.add_patch(PathPatch(path, zorder=2, **look))
    axes.plot([], [], "o", ms=_DOT, mew=0, color=GREY, label=label)


def _unit_square(axes: Any) -> None:
    axes.plot([0, 1], [0, 1], color=GREY, lw=0.8, zorder=1)
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    axes.set_xticks(_TICKS)
    axes.set_yticks(_TICKS)


def _region(axes: Any, region: Region) -> None:
    x, low, high = zip(*region.steps(), strict=True)
    axes.fill_between(
        x, low, high, step="post", color=SKY, alpha=0.4, lw=0, zorder=2, label=say("Possible")
    )
    counted = [(v.fpr[0], v.tpr[0]) for v in region.inner if v.is_counted]
    if counted:
        across, up = zip(*counted, strict=True)
        axes.plot(across, up, "o", ms=3, color=BLUE, zorder=4, label=say("From released counts"))


def _cross(axes: Any, point: OperatingPoint) -> None:
    sens, spec = point.sensitivity, point.specificity
    if sens.value is None or spec.value is None:
        return
    x, y = 1 - spec.value, sens.value
    label = say("Threshold {threshold}", threshold=exact(point.threshold))
    axes.plot([x], [y], "D", ms=4, color=VERMILION, zorder=6, label=label)
    axes.annotate(
        exact(point.threshold), (x, y), (5, -9), textcoords="offset points", fontsize=7, zorder=7
    )
    if sens.lo is not None and sens.hi is not None:
        axes.plot([x, x], [sens.lo, sens.hi], color=VERMILION, lw=1.1, zorder=5)
    if spec.lo is not None and spec.hi is not None:
        axes.plot([1 - spec.hi, 1 - spec.lo], [y, y], color=VERMILION, lw=1.1, zorder=5)


def decision_panels(panels: Sequence[DecisionPanel], title: bool = True) -> str:
    """Draw net benefit against threshold in one panel for each site, with the released points."""
    low, high = _range(panels)
    with _panels(len(panels), 0.85) as (drawn, axes):
        for ax, panel in zip(axes, panels, strict=True):
            ax.axhline(0, color=INK, lw=0.9, ls=":", label=say("Treat none"), zorder=2)
            _treat_all(ax, panel.treat_all, low)
            _model(ax, panel.model)
            ax.set_ylim(low, high)
            ax.margins(x=0.04)
            ax.locator_params(axis="x", nbins=5)  # labels of neighbouring panels stay apart
            if title and len(panels) > 1:
                ax.set_title(shortened(panel.label), fontsize=8)
        handles, labels = axes[0].get_legend_handles_labels()
        drawn.figure.legend(handles, labels, loc="outside upper center", ncols=3)
        drawn.figure.supxlabel(say("Threshold probability"), fontsize=9)
        drawn.figure.supylabel(say("Net benefit"), fontsize=9)
    return drawn.svg


def _range(panels: Sequence[DecisionPanel]) -> tuple[float, float]:
    """Return limits that contain every value of the model with its interval, and zero.

    "Treat all" falls without end at high thresholds: it may use the lower quarter of the plot.
    """
    model = [v for p in panels for _, *point in p.model.points for v in point if v is not None]
    everyone = [y for p in panels for _, y, *_ in p.treat_all.points]
    low, high = min([0.0, *model]), max([0.02, *model, *everyone])
    room = max(high - low, 0.05)
    return max(min([low, *everyone]), low - room / 3) - 0.05 * room, high + 0.05 * room


def _treat_all(axes: Any, curve: Curve, low: float) -> None:
    if not curve.points:
        return
    axes.plot(
        *curve.line,
        color=VERMILION,
        lw=1.1,
        ls="--",
        marker=".",
        ms=4,
        label=say("Treat all"),
        zorder=3,
    )
    below = [(x, y) for x, y, *_ in curve.points if y < low]
    if below:
        x, y = min(below, key=lambda point: point[1])
        axes.annotate(
            say("Treat all falls\nto {y} at {x}", y=number(y, 2), x=exact(x)),
            (0.02, 0.02),  # left of the curve, which falls from the upper left
            xycoords="axes fraction",
            va="bottom",
            fontsize=6.5,
            color=VERMILION,
        )


def _model(axes: Any, curve: Curve) -> None:
    axes.plot(*curve.line, color=BLUE, lw=1.2, marker="o", ms=3, label=say("Model"), zorder=5)
    for x, _, lo, hi in curve.points:
        if lo is not None and hi is not None:
            axes.plot([x, x], [lo, hi], color=BLUE, lw=1.0, zorder=4)


def decision_together(panel: DecisionPanel | None, sites: Sequence[DecisionPanel]) -> str:
    """Draw the net benefit of all cases, if there is one, over that of each site in grey."""
    low, high = _range([*([panel] if panel else []), *sites])
    with board(5.5, 4.0) as drawn:
        axes = drawn.figure.add_subplot()
        axes.set(xlabel=say("Threshold probability"), ylabel=say("Net benefit"))
        axes.axhline(0, color=INK, lw=0.9, ls=":", label=say("Treat none"), zorder=2)
        for i, site in enumerate(sites):
            label = say("Model at each site ({k})", k=len(sites)) if i == 0 else None
            axes.plot(*site.model.line, color=GREY, lw=0.7, label=label, zorder=2)
            if panel is None:
                label = say("Treat all at each site") if i == 0 else None
                axes.plot(
                    *site.treat_all.line, color=VERMILION, lw=0.5, ls="--", label=label, zorder=1
                )
        if panel is not None:
            _treat_all(axes, panel.treat_all, low)
            _model(axes, panel.model)
        axes.set_ylim(low, high)
        axes.margins(x=0.04)
        _harm_to_benefit(axes)
        legend(axes, loc="best")
    return drawn.svg


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
    above.set_xlabel(say("Harm of a false positive to benefit of a true positive"), fontsize=8)
