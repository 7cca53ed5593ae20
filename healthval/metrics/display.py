"""How an evaluation shows itself in a notebook: from its aggregates only."""

import io
import json
from dataclasses import asdict
from functools import partial
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from healthval.metrics.estimate import Estimate

if TYPE_CHECKING:
    from healthval.metrics.result import Evaluation

BLUE, GREY = "#0072B2", "#777777"
FEWEST_SUMMED = 3  # the smallest minimum cell of any policy


def to_html(result: "Evaluation") -> str:
    """Table of the headline numbers, thresholds and subgroups, each with interval and method."""
    prevalence = result.n_events / result.n
    caption = f"{result.n} cases, {result.n_events} with the condition ({prevalence:.1%})"
    parts = [_table(caption, ("Statistic", "Value", "95 % CI", "Method"), _headline(result))]
    parts += [
        _table(
            f"Positive: score at or above {row.threshold:g} ({row.origin}); "
            f"TP {row.confusion.tp}, FP {row.confusion.fp}, FN {row.confusion.fn}, TN {row.confusion.tn}",
            ("Statistic", "Value", "95 % CI", "Method"),
            [
                _row("Sensitivity", row.sensitivity),
                _row("Specificity", row.specificity),
                _row("PPV", row.ppv),
                _row("NPV", row.npv),
                _row("Net benefit", row.net_benefit),
            ],
        )
        for row in result.thresholds
    ]
    if result.subgroups:
        parts.append(_subgroups(result))
    return "<div class='healthval-evaluation'>" + "".join(parts) + "</div>"


def _headline(result: "Evaluation") -> list[tuple[str, ...]]:
    c = result.calibration
    return [
        _row("AUROC", result.auroc),
        _row(f"Average precision (prevalence {result.n_events / result.n:.3f})", result.average_precision),
        _row("O:E", c.oe),
        _row("Calibration in the large", c.citl),
        _row("Calibration slope", c.slope),
        _row("ICI (rcs5)", c.ici_rcs5),
        _row("Brier score", c.brier),
        _row("Scaled Brier score", c.scaled_brier),
    ]  # fmt: skip


def _subgroups(result: "Evaluation") -> str:
    head = ("Subgroup", "n", "Events", "AUROC", "O:E", "Sensitivity", "Specificity")
    rows = [
        (
            f"{s.variable}: {s.level}", str(s.n), str(s.n_events),
            *(_short(e) for e in (s.auroc, s.oe, s.sensitivity, s.specificity)),
        )
        for s in result.subgroups
    ]  # fmt: skip
    return _table("Subgroups (exploratory, unadjusted)", head, rows)


def _short(estimate: Estimate) -> str:
    if estimate.value is None:
        return f"not estimable ({estimate.reason})"
    return f"{estimate.value:.3f} ({_interval(estimate)})"


def _interval(estimate: Estimate) -> str:
    if estimate.lo is None or estimate.hi is None:
        return "none"
    return f"{estimate.lo:.3f} to {estimate.hi:.3f}"


def _row(name: str, estimate: Estimate) -> tuple[str, ...]:
    if estimate.value is None:
        return name, "not estimable", str(estimate.reason), estimate.method
    return name, f"{estimate.value:.3f}", _interval(estimate), estimate.method


def _table(caption: str, head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    top = "".join(f"<th scope='col'>{escape(cell)}</th>" for cell in head)
    body = "".join(
        f"<tr><th scope='row'>{escape(row[0])}</th>"
        + "".join(f"<td>{escape(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for row in rows
    )
    return (
        f"<table><caption>{escape(caption)}</caption><thead><tr>{top}</tr></thead>"
        f"<tbody>{body}</tbody></table>"
    )


def to_json(result: "Evaluation") -> str:
    """Every number exact, keys sorted, never NaN; sums of fewer than 3 scores are left out."""
    values = asdict(result)
    values["histogram"]["score_sums"] = result.histogram.shown_sums
    if result.n < FEWEST_SUMMED:
        values["calibration"]["expected"] = None
    return json.dumps(values, default=_plain, sort_keys=True, allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} has no place in an evaluation")


def plot_roc(result: "Evaluation", ax: Any = None) -> Any:
    """Sensitivity on the fixed grid of false-positive rates, with its pointwise band."""
    ax = ax or _axes()
    ax.plot([0, 1], [0, 1], color=GREY, linewidth=0.8)
    points = [(fpr, e) for fpr, e in result.roc if e.value is not None]
    x = [fpr for fpr, _ in points]
    ax.plot(x, [e.value for _, e in points], color=BLUE, label=f"AUROC {_short(result.auroc)}")
    ax.fill_between(x, [e.lo for _, e in points], [e.hi for _, e in points], color=BLUE, alpha=0.2, label="pointwise 95 % CI")  # fmt: skip
    for row in result.thresholds:
        if row.sensitivity.value is not None and row.specificity.value is not None:
            ax.plot(1 - row.specificity.value, row.sensitivity.value, "k+", markersize=10)
    ax.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", xlabel="1 - specificity", ylabel="Sensitivity")
    ax.legend(loc="lower right")
    return ax


def plot_calibration(result: "Evaluation", ax: Any = None) -> Any:
    """Observed against predicted probability on the fixed grid, with its pointwise band."""
    ax = ax or _axes()
    ax.plot([0, 1], [0, 1], color=GREY, linewidth=0.8)
    points = result.calibration.curve
    x = [p for p, _ in points]
    ax.plot(
        x,
        [e.value for _, e in points],
        color=BLUE,
        label=f"slope {_short(result.calibration.slope)}",
    )
    ax.fill_between(x, [e.lo for _, e in points], [e.hi for _, e in points], color=BLUE, alpha=0.2, label="pointwise 95 % CI")  # fmt: skip
    ax.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", xlabel="Predicted probability", ylabel="Observed proportion")  # fmt: skip
    ax.legend(loc="upper left")
    return ax


def _axes() -> Any:
    """Axes of a figure of their own that a notebook shows as a picture, whatever its backend."""
    from matplotlib.figure import Figure

    ax: Any = Figure(figsize=(5, 5), layout="constrained").subplots()
    ax._repr_svg_ = partial(_svg, ax.figure)
    return ax


def _svg(figure: Any) -> str:
    """Draw with equal bytes each time."""
    from matplotlib import rc_context

    page = io.StringIO()
    with rc_context({"svg.hashsalt": "healthval", "svg.fonttype": "path"}):
        figure.savefig(page, format="svg", metadata={"Date": None})
    return page.getvalue()
