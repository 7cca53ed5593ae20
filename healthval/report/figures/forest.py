"""Forest plot: one row per site or subgroup, pooled diamond, prediction interval."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from healthval.report.figures.style import BLUE, GREY, INK, VERMILION, board
from healthval.report.markup import Shown, number

Scale = Literal["linear", "log", "logit"]
ROWS_PER_FIGURE = 36
LABEL_LENGTH = 30  # characters

# Inches: a full text column wide, one line per row.
_WIDTH, _LINE, _TOP, _BOTTOM, _LABEL = 6.9, 0.215, 0.34, 0.5, 0.03

# Beyond these an interval is drawn with an arrow: 0 and 1 lie infinitely far out on a logit axis.
_BOUNDS: dict[Scale, tuple[float, float]] = {
    "linear": (-4.0, 6.0),
    "log": (0.1, 10.0),
    "logit": (0.05, 0.995),
}
_TICKS: dict[Scale, tuple[float, ...]] = {
    "linear": (),
    "log": (0.1, 0.2, 0.33, 0.5, 0.67, 0.8, 1, 1.25, 1.5, 2, 3, 5, 10),
    "logit": (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99),
}


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the plot; `columns` are the words between label and plot, such as n and events.

    `size` is the weight that the area of the square shows, 0 to 1. A heading has no estimate.
    """

    label: str
    shown: Shown | None = None
    columns: tuple[str, ...] = ()
    size: float = 0.3


@dataclass(frozen=True, slots=True)
class Axis:
    """What the plot measures: label, scale, and the value without effect or the overall value."""

    label: str
    scale: Scale
    reference: float | None = None
    digits: int = 2


@dataclass(frozen=True, slots=True)
class Pooled:
    """The summary under the rows: a diamond, and where the next site is expected."""

    label: str
    shown: Shown
    prediction: tuple[float, float] | None = None
    heterogeneity: str = ""
    columns: tuple[str, ...] = field(default=())


def forest(
    rows: Sequence[Row], axis: Axis, *, headers: Sequence[str] = (), pooled: Pooled | None = None
) -> str:
    """Draw rows from top to bottom as they come; a row without a value says so in words.

    Returns
    -------
    str
        SVG.
    """
    lines = len(rows) + (_lines(pooled) if pooled else 0)
    with board(_WIDTH, _TOP + _BOTTOM + _LINE * lines, layout=None) as drawn:
        plot = _Plot(drawn.figure, axis, lines, len(headers))
        plot.limits(rows, pooled)
        plot.header(headers)
        for y, row in enumerate(rows):
            plot.row(y, row)
        if pooled:
            plot.pooled(len(rows) + 0.2, pooled)
        plot.finish()
    return drawn.svg


def shortened(label: str) -> str:
    """Fit a label into its column; the table behind the figure has it whole."""
    return label if len(label) <= LABEL_LENGTH else f"{label[: LABEL_LENGTH - 1].rstrip()}…"


def _lines(pooled: Pooled) -> float:
    return 1.3 + bool(pooled.prediction) + bool(pooled.heterogeneity)


def _transform(scale: Scale) -> Callable[[Any], Any]:
    if scale == "log":
        return np.log
    if scale == "logit":
        return lambda x: np.log(x / (1 - np.asarray(x)))
    return lambda x: np.asarray(x, dtype=float)


class _Plot:
    """Words stand at fixed places in inches; the data have axes of their own between them."""

    def __init__(self, figure: Any, axis: Axis, lines: float, n_columns: int) -> None:
        from matplotlib.transforms import blended_transform_factory

        left = 2.0 + 0.58 * n_columns
        right = _WIDTH - 1.6
        width, height = figure.get_size_inches()
        place = (left / width, _BOTTOM / height, (right - left) / width, lines * _LINE / height)
        self.axes, self.axis = figure.add_axes(place), axis
        self.axes.set_ylim(lines - 0.5, -0.5)
        self.f = _transform(axis.scale)
        self.low, self.high = _BOUNDS[axis.scale]
        # x in inches from the left edge of the figure, y in lines of the plot
        self.beside = blended_transform_factory(figure.dpi_scale_trans, self.axes.transData)
        self.columns = [1.85 + 0.58 * i for i in range(1, n_columns + 1)]

    def limits(self, rows: Sequence[Row], pooled: Pooled | None) -> None:
        ends: list[float] = [] if self.axis.reference is None else [self.axis.reference]
        for shown in [*(row.shown for row in rows), pooled.shown if pooled else None]:
            if shown is not None and shown.value is not None:
                ends += [x for x in (shown.value, shown.lo, shown.hi) if x is not None]
        ends += list(pooled.prediction or ()) if pooled else []
        inside = np.clip(ends or [self.low, self.high], *_BOUNDS[self.axis.scale])
        a, b = float(self.f(inside.min())), float(self.f(inside.max()))
        pad = 0.06 * (b - a) or 0.5
        self.axes.set_xlim(a - pad, b + pad)
        self.low, self.high = float(inside.min()), float(inside.max())
        if a == b:
            self.low, self.high = _BOUNDS[self.axis.scale]

    def words(self, x: float, y: float, text: str, **style: Any) -> None:
        self.axes.text(
            x, y, text, transform=self.beside, va="center", clip_on=False, fontsize=8, **style
        )

    def header(self, headers: Sequence[str]) -> None:
        for x, text in zip(self.columns, headers, strict=True):
            self.words(x, -1.0, text, ha="right", fontweight="bold")
        self.words(_WIDTH - 0.03, -1.0, "Estimate (95% CI)", ha="right", fontweight="bold")

    def row(self, y: float, row: Row) -> None:
        label = shortened(row.label)
        if row.shown is None:
            self.words(_LABEL, y, label, ha="left", fontweight="bold")
            return
        self.words(_LABEL, y, label, ha="left")
        self.beside_words(y, row.columns, row.shown)
        if row.shown.value is None:
            return
        self.whisker(y, row.shown, GREY)
        inside = min(max(row.shown.value, self.low), self.high)
        size = 14 + 70 * min(max(row.size, 0.0), 1.0)
        self.axes.scatter([self.f(inside)], [y], s=size, marker="s", color=BLUE, zorder=3)

    def beside_words(self, y: float, columns: Sequence[str], shown: Shown, **style: Any) -> None:
        for x, text in zip(self.columns, columns, strict=False):
            self.words(x, y, text, ha="right", **style)
        self.words(_WIDTH - 0.03, y, shown.text(self.axis.digits), ha="right", **style)

    def whisker(self, y: float, shown: Shown, colour: str) -> None:
        if shown.lo is None or shown.hi is None:
            return
        lo, hi = max(shown.lo, self.low), min(shown.hi, self.high)
        self.axes.plot([self.f(lo), self.f(hi)], [y, y], color=colour, lw=1.3, zorder=2)
        for end, beyond, marker in ((lo, shown.lo < lo, "<"), (hi, shown.hi > hi, ">")):
            if beyond:
                self.axes.plot([self.f(end)], [y], marker=marker, ms=4, color=colour, zorder=2)

    def pooled(self, y: float, pooled: Pooled) -> None:
        self.words(_LABEL, y, pooled.label, ha="left", fontweight="bold")
        self.beside_words(y, pooled.columns, pooled.shown, fontweight="bold")
        shown = pooled.shown
        if shown.value is None or shown.lo is None or shown.hi is None:
            return
        lo, hi = max(shown.lo, self.low), min(shown.hi, self.high)
        x = [self.f(lo), self.f(shown.value), self.f(hi), self.f(shown.value)]
        self.axes.fill(x, [y, y - 0.32, y, y + 0.32], color=VERMILION, zorder=3)
        if pooled.prediction is not None:
            y += 1
            lo, hi = (min(max(end, self.low), self.high) for end in pooled.prediction)
            self.axes.plot([self.f(lo), self.f(hi)], [y, y], color=VERMILION, ls="--", lw=1.6)
            ends = " to ".join(number(end, self.axis.digits) for end in pooled.prediction)
            self.words(_LABEL, y, "95% prediction interval", ha="left")
            self.words(_WIDTH - 0.03, y, ends, ha="right")
        if pooled.heterogeneity:
            self.words(_LABEL, y + 1, pooled.heterogeneity, ha="left", color="#57606a")

    def finish(self) -> None:
        ticks = self.ticks()
        places = [float(self.f(t)) for t in ticks]
        self.axes.set_xticks(places, [f"{t:g}".replace("-", "−") for t in ticks])
        self.axes.set_yticks([])
        self.axes.spines["left"].set_visible(False)
        self.axes.set_xlabel(self.axis.label)
        if self.axis.reference is not None:
            self.axes.axvline(self.f(self.axis.reference), color=INK, lw=0.8, ls=":", zorder=1)

    def ticks(self) -> list[float]:
        from matplotlib.ticker import MaxNLocator

        a, b = self.axes.get_xlim()
        if self.axis.scale == "linear":
            inside = [round(float(t), 6) for t in MaxNLocator(5).tick_values(a, b) if a <= t <= b]
            return [t + 0.0 for t in inside]
        ticks = [t for t in _TICKS[self.axis.scale] if a <= self.f(t) <= b]
        first = [t for t in ticks if t == self.axis.reference]
        return _spread(ticks, [float(self.f(t)) for t in ticks], b - a, first)


def _spread(
    ticks: list[float], places: list[float], width: float, first: list[float]
) -> list[float]:
    """Keep ticks that do not crowd each other; those in `first` are kept in any case."""
    kept = [places[ticks.index(t)] for t in first]
    for place in places:
        if all(abs(place - other) >= 0.16 * width for other in kept):
            kept.append(place)
    return [t for t, place in zip(ticks, places, strict=True) if place in kept]
