"""Plots of curves, subgroups and scores, from points on fixed grids and counts only."""

import io
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from healthval.errors import UsageError
from healthval.metrics.estimate import Estimate
from healthval.metrics.net_benefit import DecisionCurve

BLUE, GREY = "#0072B2", "#777777"
Curve = Iterable[tuple[float, Estimate]]


def plot_roc(ax: Any, roc: Curve, *, label: str, thresholds: Iterable[tuple[float, float]]) -> Any:
    """Plot sensitivity at the grid of false-positive rates, with its pointwise band.

    `thresholds` are (1 - specificity, sensitivity) at each decision threshold, marked with a cross.
    """
    ax = _band(ax, roc, label)
    for false_positive_rate, sensitivity in thresholds:
        ax.plot(false_positive_rate, sensitivity, "k+", markersize=10)
    return _finished(ax, "1 - specificity", "Sensitivity", legend="lower right")


def plot_calibration(ax: Any, curve: Curve, *, label: str) -> Any:
    """Plot observed against predicted probability on the grid, with its pointwise band."""
    ax = _band(ax, curve, label)
    return _finished(ax, "Predicted probability", "Observed proportion", legend="upper left")


def plot_decision_curve(ax: Any, curve: DecisionCurve) -> Any:
    """Plot net benefit over thresholds with its band, beside treating all and treating none."""
    ax = ax or _new_axes()
    x = curve.thresholds
    ax.plot(x, curve.net_benefit, color=BLUE, label="model")
    ax.fill_between(x, curve.lo, curve.hi, color=BLUE, alpha=0.2, label="pointwise 95 % CI")
    ax.plot(x, curve.treat_all, color=GREY, linestyle="--", label="treat all")
    ax.plot(x, curve.treat_none, color="black", linewidth=0.8, label="treat none")
    highest = max(0.05, float(np.nanmax(curve.hi, initial=0.0)))
    ax.set(xlim=(0, 1), ylim=(-0.2 * highest, 1.1 * highest))
    ax.set(xlabel="Threshold probability", ylabel="Net benefit")
    ax.legend(loc="upper right")
    return ax


def plot_forest(ax: Any, rows: Sequence[tuple[str, Estimate]], *, label: str) -> Any:
    """Plot estimates with their intervals, the first at the top; one without a value has no mark."""
    ax = ax or _new_axes()
    for place, (_, estimate) in enumerate(rows):
        if estimate.value is None:
            continue
        if estimate.lo is not None and estimate.hi is not None:
            ax.plot([estimate.lo, estimate.hi], [place, place], color=BLUE)
        ax.plot(estimate.value, place, "s", color=BLUE)
    ax.set_yticks(range(len(rows)), [name for name, _ in rows])
    ax.set(xlabel=f"{label} with 95 % CI", ylim=(len(rows) - 0.5, -0.5))
    return ax


def plot_scores(
    ax: Any, edges: Sequence[float], events: Sequence[int], non_events: Sequence[int]
) -> Any:
    """Plot the numbers of cases in each bin of scores, those with the condition above the line."""
    ax = ax or _new_axes()
    middles = [(a + b) / 2 for a, b in pairwise(edges)]
    width = edges[1] - edges[0]
    ax.bar(middles, events, width, color=BLUE, label="with the condition")
    ax.bar(middles, [-n for n in non_events], width, color=GREY, label="without it")
    ax.axhline(0, color="black", linewidth=0.8)
    ax.set(xlim=(0, 1), xlabel="Score", ylabel="Cases (without the condition: below 0)")
    ax.legend(loc="upper right")
    return ax


def _band(ax: Any, curve: Curve, label: str) -> Any:
    ax = ax or _new_axes()
    ax.plot([0, 1], [0, 1], color=GREY, linewidth=0.8)
    points = [(x, e) for x, e in curve if e.value is not None]
    x = [at for at, _ in points]
    ax.plot(x, [e.value for _, e in points], color=BLUE, label=label)
    lower = np.array([e.lo for _, e in points], float)  # NaN without an interval
    upper = np.array([e.hi for _, e in points], float)
    ax.fill_between(x, lower, upper, color=BLUE, alpha=0.2, label="pointwise 95 % CI")
    return ax


def _finished(ax: Any, x_label: str, y_label: str, *, legend: str) -> Any:
    ax.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", xlabel=x_label, ylabel=y_label)
    ax.legend(loc=legend)
    return ax


def _new_axes() -> Any:
    """Axes of a new figure; a notebook shows them as SVG with every matplotlib backend."""
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        raise UsageError("a plot needs matplotlib: pip install matplotlib") from None

    ax: Any = Figure(figsize=(5, 5), layout="constrained").subplots()
    ax._repr_svg_ = partial(_svg, ax.figure)
    return ax


def _svg(figure: Any) -> str:
    """SVG text of a figure; equal figures give equal bytes."""
    from matplotlib import rc_context

    page = io.StringIO()
    with rc_context({"svg.hashsalt": "healthval", "svg.fonttype": "path"}):
        figure.savefig(page, format="svg", metadata={"Date": None})
    return page.getvalue()
