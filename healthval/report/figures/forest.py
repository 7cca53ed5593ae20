"""Forest plot: one row per site or subgroup, pooled diamond, prediction interval."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from healthval.aggregate.result import PooledMeasure, SiteValue
from healthval.report.document import Figure, NumberedFigure
from healthval.report.figures.style import BLUE, GREY, INK, MUTED, VERMILION, board
from healthval.report.findings import Findings, as_released, pooled
from healthval.report.markup import Shown, as_shown, count, number, percent, table
from healthval.report.wording.language import localized, many, mark, say

Scale = Literal["linear", "log", "logit"]
ROWS_PER_FIGURE = 36
LABEL_LENGTH = 30  # characters
FEWEST_TICKS = 2  # of the usual ones; a narrower axis has ticks of its own

# Inches: a full text column wide, one line per row.
_WIDTH, _LINE, _TOP, _BOTTOM, _LABEL = 6.9, 0.215, 0.34, 0.5, 0.03

_COLUMN, _GAP = 0.58, 0.08  # inches: least step of the columns of text, and their distance
_LETTER, _BOLD_LETTER = 0.0625, 0.072  # inches

# An interval beyond these ends in an arrow: on a logit axis 0 and 1 are at infinity.
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


AUROC = Axis(mark("AUROC (logit scale)"), "logit", digits=3)


@dataclass(frozen=True, slots=True)
class Pooled:
    """Summary under the rows: the pooled estimate and the prediction interval for a new site."""

    label: str
    shown: Shown
    prediction: tuple[float, float] | None = None
    heterogeneity: str = ""


def site_forest(findings: Findings, measure: PooledMeasure, axis: Axis, name: str) -> list[Figure]:
    """Draw one row per site, in several figures if there are many, and the pooled result last."""
    heaviest = max((site.weight or 0 for site in measure.sites), default=0) or 1
    values = {site.site: site for site in measure.sites}
    reasons = {left.site: left.reason for left in measure.excluded}
    rows = []
    for site, release in findings.released.items():
        value = values.get(site)
        columns = (count(release.n), count(release.n_events))
        size = (value.weight or 0) / heaviest if value else 0.0
        rows.append(Row(site, _site_value(value, reasons.get(site)), columns, size))
    return forest_figures(rows, axis, name, summary=_summary(measure))


def _site_value(value: SiteValue | None, reason: str | None) -> Shown:
    if value is not None and value.value is not None:
        return as_released(value.value, value.lo, value.hi)
    printed = {"suppressed": mark("withheld"), "not submitted": mark("not released")}
    return as_shown(None, why=printed.get(reason or "", reason or "withheld"))


def _summary(measure: PooledMeasure) -> Pooled | None:
    if measure.value is None:
        return None
    shown, _ = pooled(measure)
    text = say("{k} pooled", k=many(measure.k, "site"))
    if measure.meta is not None:
        text += f"; τ² = {number(measure.meta.tau2)}, I² = {percent(measure.meta.i2)}"
    return Pooled(say("Random-effects mean"), shown, measure.prediction, text)


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
    caption = caption or say(_SQUARES)
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
    with board(_WIDTH, _TOP + _BOTTOM + _LINE * lines, layout=None) as drawn:
        plot = _Plot(drawn.figure, axis, lines, len(headers), step=_step(rows, headers))
        plot.limits(rows, summary)
        plot.header(headers)
        for y, row in enumerate(rows):
            plot.row(y, row)
        if summary:
            plot.summary(len(rows) + 0.2, summary)
        plot.finish()
    return drawn.svg


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
    """Axes of the estimates, between columns of text at fixed positions in inches."""

    def __init__(self, figure: Any, axis: Axis, lines: float, n_columns: int, step: float) -> None:
        from matplotlib.transforms import blended_transform_factory

        left = 2.0 + step * n_columns
        right = _WIDTH - 1.6
        width, height = figure.get_size_inches()
        place = (left / width, _BOTTOM / height, (right - left) / width, lines * _LINE / height)
        self.axes, self.axis = figure.add_axes(place), axis
        self.axes.set_ylim(lines - 0.5, -0.5)
        self.transform = _transform(axis.scale)
        self.low, self.high = _BOUNDS[axis.scale]
        # x in inches from the left edge of the figure, y in rows of the plot
        self.beside = blended_transform_factory(figure.dpi_scale_trans, self.axes.transData)
        self.columns = [1.85 + step * i for i in range(1, n_columns + 1)]

    def limits(self, rows: Sequence[Row], summary: Pooled | None) -> None:
        ends: list[float] = [] if self.axis.reference is None else [self.axis.reference]
        for shown in [*(row.shown for row in rows), summary.shown if summary else None]:
            if shown is not None and shown.value is not None:
                ends += [x for x in (shown.value, shown.lo, shown.hi) if x is not None]
        ends += list(summary.prediction or ()) if summary else []
        inside = np.clip(ends or [self.low, self.high], *_BOUNDS[self.axis.scale])
        a, b = float(self.transform(inside.min())), float(self.transform(inside.max()))
        pad = 0.06 * (b - a) or 0.5
        self.axes.set_xlim(a - pad, b + pad)
        self.low, self.high = float(inside.min()), float(inside.max())
        if a == b:
            self.low, self.high = _BOUNDS[self.axis.scale]

    def words(self, x: float, y: float, text: str, **style: Any) -> None:
        self.axes.text(
            x, y, text, transform=self.beside, va="center", clip_on=False, fontsize=8, **style
        )

    def place(self, value: float) -> float:
        """Return the position on the axis; a value beyond its ends is drawn at the end."""
        return float(self.transform(min(max(value, self.low), self.high)))

    def header(self, headers: Sequence[str]) -> None:
        for x, text in zip(self.columns, headers, strict=True):
            self.words(x, -1.0, text, ha="right", fontweight="bold")
        self.words(_WIDTH - 0.03, -1.0, say("Estimate (95% CI)"), ha="right", fontweight="bold")

    def row(self, y: float, row: Row) -> None:
        label = shortened(row.label)
        if row.shown is None:
            self.words(_LABEL, y, label, ha="left", fontweight="bold")
            return
        indent = 0.06 * (len(label) - len(label.lstrip(" ")))
        self.words(_LABEL + indent, y, label.lstrip(" "), ha="left")
        self.beside_words(y, row.columns, row.shown)
        if row.shown.value is None:
            return
        self.whisker(y, row.shown, GREY)
        size = 14 + 70 * min(max(row.size, 0.0), 1.0)
        x = [self.place(row.shown.value)]
        marker = "<" if row.shown.value < self.low else ">" if row.shown.value > self.high else "s"
        self.axes.scatter(x, [y], s=size, marker=marker, color=BLUE, zorder=3)

    def beside_words(self, y: float, columns: Sequence[str], shown: Shown, **style: Any) -> None:
        for x, text in zip(self.columns, columns, strict=False):
            self.words(x, y, text, ha="right", **style)
        self.words(_WIDTH - 0.03, y, shown.text(self.axis.digits), ha="right", **style)

    def whisker(self, y: float, shown: Shown, colour: str) -> None:
        if shown.lo is None or shown.hi is None:
            return
        x = [self.place(shown.lo), self.place(shown.hi)]
        self.axes.plot(x, [y, y], color=colour, lw=1.3, zorder=2)
        beyond = (shown.lo < self.low, shown.hi > self.high)
        for end, is_beyond, marker in zip(x, beyond, "<>", strict=True):
            if is_beyond:
                self.axes.plot([end], [y], marker=marker, ms=4, color=colour, zorder=2)

    def summary(self, y: float, summary: Pooled) -> None:
        shown = summary.shown
        self.words(_LABEL, y, summary.label, ha="left", fontweight="bold")
        self.beside_words(y, (), shown, fontweight="bold")
        if shown.value is None or shown.lo is None or shown.hi is None:
            return
        x = [self.place(end) for end in (shown.lo, shown.value, shown.hi, shown.value)]
        self.axes.fill(x, [y, y - 0.32, y, y + 0.32], color=VERMILION, zorder=3)
        if summary.prediction is not None:
            y += 1
            self.prediction(y, summary.prediction)
        if summary.heterogeneity:
            self.words(_LABEL, y + 1, summary.heterogeneity, ha="left", color=MUTED)

    def prediction(self, y: float, ends: tuple[float, float]) -> None:
        self.axes.plot([self.place(end) for end in ends], [y, y], color=VERMILION, ls="--", lw=1.6)
        self.words(_LABEL, y, say("95% prediction interval"), ha="left")
        low, high = (number(end, self.axis.digits) for end in ends)
        text = say("{low} to {high}", low=low, high=high)
        self.words(_WIDTH - 0.03, y, text, ha="right")

    def finish(self) -> None:
        with np.errstate(divide="ignore"):  # 0 and 1 have no place on a logit axis
            placed = [(float(self.transform(t)), t) for t in self.ticks()]
        placed = [(place, t) for place, t in placed if np.isfinite(place)]
        labels = [localized(f"{t:g}".replace("-", "−")) for _, t in placed]
        self.axes.set_xticks([place for place, _ in placed], labels)
        self.axes.set_yticks([])
        self.axes.spines["left"].set_visible(False)
        self.axes.set_xlabel(say(self.axis.label))
        if self.axis.reference is not None:
            self.axes.axvline(self.place(self.axis.reference), color=INK, lw=0.8, ls=":", zorder=1)

    def ticks(self) -> list[float]:
        from matplotlib.ticker import MaxNLocator

        a, b = self.axes.get_xlim()
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
