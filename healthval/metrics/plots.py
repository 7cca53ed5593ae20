"""Plots of the ROC curve and of the calibration curve, from points on fixed grids only."""

import io
from collections.abc import Iterable
from functools import partial
from typing import Any

import numpy as np

from healthval.metrics.estimate import Estimate

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
    from matplotlib.figure import Figure

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
