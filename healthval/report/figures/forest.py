"""Forest plot: one row per site or subgroup, pooled diamond, prediction interval."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from healthval.aggregate.result import PooledMeasure, SiteValue
from healthval.report.document import Block, Figure, NumberedFigure
from healthval.report.figures.drawing import Drawing, Letters, Stroke
from healthval.report.figures.style import BLUE, GREY, INK, MUTED, VERMILION
from healthval.report.findings import Findings, as_released
from healthval.report.markup import Shown, as_shown, count, number, paragraphs, percent, table
from healthval.report.wording.language import localized, many, mark, say

Scale = Literal["linear", "log", "logit"]
_LINE_AT = mark(" On the dotted line, at {reference}, prediction and observation agree.")
ROWS_PER_FIGURE = 36
LABEL_LENGTH = 30  # characters
FEWEST_TICKS = 2  # of the usual ones; a narrower axis has ticks of its own

# Inches: a full text column wide, one line per row.
_WIDTH, _LINE, _TOP, _BOTTOM = 6.9, 0.215, 0.34, 0.5

_COLUMN, _GAP = 0.58, 0.08  # inches: least step of the columns of text, and their distance
_INCH = 72.0  # points
_HALF_LETTER, _TICK, _ARROW, _INDENT = 2.9, 3.5, 4.0, 4.3  # points
_LABEL, _LAST = 2.0, _WIDTH * _INCH - 2.0  # points: left end of labels, right end of estimates
_AXIS = Stroke(INK, 0.8)
_PLAIN, _RIGHT = Letters(INK), Letters(INK, "end")
_BOLD, _BOLD_RIGHT = Letters(INK, bold=True), Letters(INK, "end", bold=True)
_LETTER, _BOLD_LETTER = 0.0625, 0.072  # inches

# An interval beyond these ends in an arrow: on a logit axis 0 and 1 are at infinity.
_BOUNDS: dict[Scale, tuple[float, float]] = {
    "linear": (-4.0, 6.0),
    "log": (0.01, 100.0),
    "logit": (0.05, 0.995),
}
_TICKS: dict[Scale, tuple[float, ...]] = {
    "linear": (),
    "log": (0.01, 0.02, 0.05, 0.1, 0.2, 0.33, 0.5, 0.67, 0.8, 1, 1.25, 1.5, 2, 3, 5, 10, 100),
    "logit": (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99),
}


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the plot; a row without an estimate is a heading.

    `columns` are the texts between label and plot, such as n and events. `size` is the weight that
    the area of the square shows, 0 to 1.
    """

    label: str
    shown: Shown | None = None
    columns: tuple[str, ...] = ()
    size: float = 0.3


@dataclass(frozen=True, slots=True)
class Axis:
    """Label and scale of the plot; `reference` is the value without effect or the overall value."""

    label: str
    scale: Scale
    reference: float | None = None
    digits: int = 2

    @property
    def line(self) -> str:
        """Explain the dotted line of a calibration measure."""
        at = None if self.reference is None else localized(f"{self.reference:g}")
        return say(_LINE_AT, reference=at) if at else ""


AUROC = Axis(mark("AUROC (logit scale)"), "logit", digits=3)


@dataclass(frozen=True, slots=True)
class Pooled:
    """Summary under the rows: the pooled estimate and the prediction interval for a new site."""

    label: str
    shown: Shown
    prediction: tuple[float, float] | None = None
    heterogeneity: str = ""


def site_forest(findings: Findings, measure: PooledMeasure, axis: Axis, name: str) -> list[Block]:
    """Draw one row per site, in several figures if there are many, and the pooled result last."""
    if all(site.value is None for site in measure.sites):
        return [paragraphs(say("{name}: not released by any site.", name=name))]
    heaviest = max((site.weight or 0 for site in measure.sites), default=0) or 1
    values = {site.site: site for site in measure.sites}
    reasons = {left.site: left.reason for left in measure.excluded}
    rows = []
    for site, release in findings.released.items():
        value = values.get(site)
        columns = (count(release.n), count(release.n_events))
        size = (value.weight or 0) / heaviest if value else 0.0
        rows.append(Row(site, _site_value(value, reasons.get(site)), columns, size))
    return [*forest_figures(rows, axis, name, summary=_summary(findings, measure))]


def _site_value(value: SiteValue | None, reason: str | None) -> Shown:
    if value is not None and value.value is not None:
        return as_released(value.value, value.lo, value.hi)
    printed = {"suppressed": mark("withheld"), "not submitted": mark("not released")}
    return as_shown(None, why=printed.get(reason or "", reason or "withheld"))


def _summary(findings: Findings, measure: PooledMeasure) -> Pooled | None:
    mean = findings.mean(measure.measure)
    if measure.value is None or mean.value is None:
        return None
    text = say("{k} pooled", k=many(measure.k, "site"))
    if measure.meta is not None:
        text += f"; τ² = {number(measure.meta.tau2)}, I² = {percent(measure.meta.i2)}"
    return Pooled(say("Random-effects mean"), mean.shown(), mean.prediction, text)


_ESTIMATES = mark("estimate and 95% CI.")
_SQUARES = mark("estimate and 95% CI; the area of a square shows the weight of the site.")


def forest_figures(
    rows: Sequence[Row],
    axis: Axis,
    name: str,
    *,
    caption: str = "",
    summary: Pooled | None = None,
) -> list[Figure]:
    """Draw a forest plot in as many figures as the rows need, the summary in the last one."""
    parts = [rows[i : i + ROWS_PER_FIGURE] for i in range(0, len(rows), ROWS_PER_FIGURE)]
    figures = [_figure(part, axis, name, caption=caption) for part in parts[:-1]]
    return [*figures, _figure(parts[-1], axis, name, caption=caption, summary=summary)]


def _figure(
    rows: Sequence[Row], axis: Axis, name: str, *, caption: str, summary: Pooled | None = None
) -> Figure:
    if not caption:  # of sites: a site has a weight only in a mean
        caption = (say(_SQUARES) if summary else say(_ESTIMATES)) + axis.line
    if summary and summary.prediction:
        caption += say(" The dashed bar is the prediction interval for a new site.")
    elif summary:
        caption += say(" With fewer than five sites there is no prediction interval.")
    cells = [
        [row.label, *row.columns, row.shown.text(axis.digits) if row.shown else ""] for row in rows
    ]
    if summary:
        cells.append([summary.label, "", "", summary.shown.text(axis.digits)])
    return NumberedFigure(
        forest(rows, axis, headers=("n", say("Events")), summary=summary),
        _alt(rows, axis, name, summary),
        f"{name}: {caption}",
        table(name, ["", "n", say("Events"), say("Estimate (95% CI)")], cells),
    )


def _alt(rows: Sequence[Row], axis: Axis, name: str, summary: Pooled | None) -> str:
    given = [row.shown for row in rows if row.shown is not None]
    known = [shown.value for shown in given if shown.value is not None]
    alt = say("Forest plot of {name}: {given}", name=name, given=many(len(given), "row"))
    if known:
        lowest, highest = number(min(known), axis.digits), number(max(known), axis.digits)
        alt += say(", estimates from {lowest} to {highest}", lowest=lowest, highest=highest)
    if summary:
        alt += say("; random-effects mean {shown}", shown=summary.shown.text(axis.digits))
    return f"{alt}."


def forest(
    rows: Sequence[Row], axis: Axis, *, headers: Sequence[str] = (), summary: Pooled | None = None
) -> str:
    """Draw the rows from top to bottom in the given order; a missing value is replaced by its reason.

    Returns
    -------
    str
        SVG.
    """
    lines = len(rows) + (_lines(summary) if summary else 0)
    plot = _Plot(axis, lines, len(headers), step=_step(rows, headers))
    plot.limits(rows, summary)
    plot.header(headers)
    for y, row in enumerate(rows):
        plot.row(y, row)
    if summary:
        plot.summary(len(rows) + 0.2, summary)
    plot.finish()
    return plot.drawing.svg()


def _step(rows: Sequence[Row], headers: Sequence[str]) -> float:
    """Return the inches from one column of text to the next one."""
    longest = max((len(text) for row in rows for text in row.columns), default=0)
    widest = max(_LETTER * longest, _BOLD_LETTER * max(map(len, headers), default=0))
    return max(_COLUMN, widest + _GAP)


def shortened(label: str) -> str:
    """Shorten a label to its column; the table of the figure contains the whole label."""
    return label if len(label) <= LABEL_LENGTH else f"{label[: LABEL_LENGTH - 1].rstrip()}…"


def _lines(summary: Pooled) -> float:
    return 1.3 + bool(summary.prediction) + bool(summary.heterogeneity)


def _transform(scale: Scale) -> Callable[[Any], Any]:
    if scale == "log":
        return np.log
    if scale == "logit":
        return lambda x: np.log(x / (1 - np.asarray(x)))
    return lambda x: np.asarray(x, dtype=float)


class _Plot:
    """Axis of the estimates, between columns of text; x in points, y in rows."""

    def __init__(self, axis: Axis, lines: float, n_columns: int, step: float) -> None:
        self.drawing = Drawing(_WIDTH * _INCH, (_TOP + _BOTTOM + _LINE * lines) * _INCH)
        self.left, self.right = (2.0 + step * n_columns) * _INCH, (_WIDTH - 1.6) * _INCH
        self.lines, self.axis = lines, axis
        self.transform = _transform(axis.scale)
        self.low, self.high = _BOUNDS[axis.scale]
        self.ends = (0.0, 1.0)  # of the axis, on its scale
        self.columns = [(1.85 + step * i) * _INCH for i in range(1, n_columns + 1)]

    def limits(self, rows: Sequence[Row], summary: Pooled | None) -> None:
        ends: list[float] = [] if self.axis.reference is None else [self.axis.reference]
        for shown in [*(row.shown for row in rows), summary.shown if summary else None]:
            if shown is not None and shown.value is not None:
                ends += [x for x in (shown.value, shown.lo, shown.hi) if x is not None]
        ends += list(summary.prediction or ()) if summary else []
        inside = np.clip(ends or [self.low, self.high], *_BOUNDS[self.axis.scale])
        a, b = float(self.transform(inside.min())), float(self.transform(inside.max()))
        pad = 0.06 * (b - a) or 0.5
        self.ends = (a - pad, b + pad)
        self.low, self.high = float(inside.min()), float(inside.max())
        if a == b:
            self.low, self.high = _BOUNDS[self.axis.scale]

    def height(self, y: float) -> float:
        """Return the middle of a row in points."""
        return (_TOP + _LINE * (y + 0.5)) * _INCH

    def along(self, position: float) -> float:
        """Return a position on the scale of the axis in points."""
        a, b = self.ends
        return self.left + (self.right - self.left) * (position - a) / (b - a)

    def place(self, value: float) -> float:
        """Return the position of a value in points; a value beyond the ends is drawn at the end."""
        return self.along(float(self.transform(min(max(value, self.low), self.high))))

    def words(self, x: float, y: float, text: str, letters: Letters) -> None:
        self.drawing.text((x, self.height(y) + _HALF_LETTER), text, letters)

    def header(self, headers: Sequence[str]) -> None:
        for x, text in zip(self.columns, headers, strict=True):
            self.words(x, -1.0, text, _BOLD_RIGHT)
        self.words(_LAST, -1.0, say("Estimate (95% CI)"), _BOLD_RIGHT)

    def row(self, y: float, row: Row) -> None:
        label = shortened(row.label)
        if row.shown is None:
            self.words(_LABEL, y, label, _BOLD)
            return
        indent = _INDENT * (len(label) - len(label.lstrip(" ")))
        self.words(_LABEL + indent, y, label.lstrip(" "), _PLAIN)
        self.beside_words(y, row.columns, row.shown, _RIGHT)
        if row.shown.value is None:
            return
        self.whisker(y, row.shown, GREY)
        side = math.sqrt(14 + 70 * min(max(row.size, 0.0), 1.0)) + 1
        x = self.place(row.shown.value)
        if row.shown.value < self.low:
            self.arrow(x, y, -side, BLUE)
        elif row.shown.value > self.high:
            self.arrow(x, y, side, BLUE)
        else:
            self.square(x, y, side, BLUE)

    def beside_words(
        self, y: float, columns: Sequence[str], shown: Shown, letters: Letters
    ) -> None:
        for x, text in zip(self.columns, columns, strict=False):
            self.words(x, y, text, letters)
        self.words(_LAST, y, shown.text(self.axis.digits), letters)

    def square(self, x: float, y: float, side: float, colour: str) -> None:
        middle, half = self.height(y), side / 2
        a, b, top, bottom = x - half, x + half, middle - half, middle + half
        self.drawing.shape(((a, top), (b, top), (b, bottom), (a, bottom)), colour)

    def arrow(self, x: float, y: float, length: float, colour: str) -> None:
        """Point to the right, or to the left by a negative length, with the middle at x."""
        middle, half = self.height(y), length / 2
        corners = ((x - half, middle - half), (x - half, middle + half), (x + half, middle))
        self.drawing.shape(corners, colour)

    def whisker(self, y: float, shown: Shown, colour: str) -> None:
        if shown.lo is None or shown.hi is None:
            return
        low, high, middle = self.place(shown.lo), self.place(shown.hi), self.height(y)
        self.drawing.line((low, middle), (high, middle), Stroke(colour, 1.3))
        value = (
            self.low if shown.value is None else shown.value
        )  # beyond an end it has its own arrow
        if shown.lo < self.low <= value:
            self.arrow(low, y, -_ARROW, colour)
        if shown.hi > self.high >= value:
            self.arrow(high, y, _ARROW, colour)

    def summary(self, y: float, summary: Pooled) -> None:
        shown = summary.shown
        self.words(_LABEL, y, summary.label, _BOLD)
        self.beside_words(y, (), shown, _BOLD_RIGHT)
        if shown.value is None or shown.lo is None or shown.hi is None:
            return
        left, middle, right = (self.place(end) for end in (shown.lo, shown.value, shown.hi))
        top, centre, bottom = (self.height(y + step) for step in (-0.32, 0, 0.32))
        diamond = ((left, centre), (middle, top), (right, centre), (middle, bottom))
        self.drawing.shape(diamond, VERMILION)
        if summary.prediction is not None:
            y += 1
            self.prediction(y, summary.prediction)
        if summary.heterogeneity:
            self.words(_LABEL, y + 1, summary.heterogeneity, Letters(MUTED))

    def prediction(self, y: float, ends: tuple[float, float]) -> None:
        left, right = ((self.place(end), self.height(y)) for end in ends)
        self.drawing.line(left, right, Stroke(VERMILION, 1.6, "5.9 2.6"))
        self.words(_LABEL, y, say("95% prediction interval"), _PLAIN)
        low, high = (number(end, self.axis.digits) for end in ends)
        text = say("{low} to {high}", low=low, high=high)
        self.words(_LAST, y, text, _RIGHT)

    def finish(self) -> None:
        with np.errstate(divide="ignore"):  # 0 and 1 have no place on a logit axis
            placed = [(float(self.transform(t)), t) for t in self.ticks()]
        bottom = self.height(self.lines - 0.5)
        self.drawing.line((self.left, bottom), (self.right, bottom), _AXIS)
        for position, tick in placed:
            if not np.isfinite(position):
                continue
            x = self.along(position)
            self.drawing.line((x, bottom), (x, bottom + _TICK), _AXIS)
            label = localized(f"{tick:g}".replace("-", "−"))
            self.drawing.text((x, bottom + 13), label, Letters(INK, "middle"))
        middle = ((self.left + self.right) / 2, bottom + 26)
        self.drawing.text(middle, say(self.axis.label), Letters(INK, "middle", 9))
        if self.axis.reference is not None:
            x = self.place(self.axis.reference)
            ends = ((x, self.height(-0.5)), (x, bottom))
            self.drawing.line(*ends, Stroke(INK, 0.8, "0.8 1.3", back=True))

    def ticks(self) -> list[float]:
        from matplotlib.ticker import MaxNLocator

        a, b = self.ends
        if self.axis.scale == "linear":
            inside = [round(float(t), 6) for t in MaxNLocator(5).tick_values(a, b) if a <= t <= b]
            return [t + 0.0 for t in inside]
        ticks = [t for t in _TICKS[self.axis.scale] if a <= self.transform(t) <= b]
        if len(ticks) < FEWEST_TICKS:
            between = [float(t) for t in MaxNLocator(4).tick_values(self.low, self.high)]
            ticks = [t for t in between if self.low <= t <= self.high]
        first = [t for t in ticks if t == self.axis.reference]
        return _spread(ticks, [float(self.transform(t)) for t in ticks], b - a, first)


def _spread(
    ticks: list[float], places: list[float], width: float, first: list[float]
) -> list[float]:
    """Drop ticks that are too close to another one; ticks in `first` are always kept."""
    kept = [places[ticks.index(t)] for t in first]
    for place in places:
        if all(abs(place - other) >= 0.16 * width for other in kept):
            kept.append(place)
    return [t for t, place in zip(ticks, places, strict=True) if place in kept]
