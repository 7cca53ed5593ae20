"""`local_report`: one page about labels and scores, for the hospital itself; nothing is sent."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from healthval.errors import ReportError, UsageError
from healthval.files import write_durably
from healthval.metrics import evaluate
from healthval.report.render import render_pdf

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from healthval.metrics import Evaluation

STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a}"
    "table{border-collapse:collapse;margin:1rem 0}caption{text-align:left;font-weight:600}"
    "th,td{text-align:left;padding:.25rem .7rem;border-bottom:1px solid #ccc}"
    "figure{margin:1rem 0}svg{max-width:100%;height:auto}"
)
NOTE = (
    "For this hospital only: numbers are unrounded and small groups are visible. Nothing was sent."
    " A result for others passes the disclosure gate first."
)


def local_report(  # noqa: PLR0913  # two columns and what evaluate takes
    reference: ArrayLike,
    score: ArrayLike,
    *,
    path: str | Path = "report.html",
    title: str = "Model performance",
    thresholds: float | Sequence[float] = (0.5,),
    groups: Any = None,
    cluster: ArrayLike | None = None,
) -> Path:
    """Write a page with tables and plots about labels and scores: no plan, no hub, nothing sent.

    Parameters
    ----------
    reference, score, thresholds, groups, cluster : as in `healthval.metrics.evaluate`
    path : file for the page, ending in ``.html``, or ``.pdf`` for a PDF (extra ``pdf``)

    Returns
    -------
    Path
        The file.

    Raises
    ------
    MetricError
        If the input does not fit.
    UsageError
        If matplotlib is not installed, or the file has another ending.
    ReportError
        If the file cannot be written, or a PDF cannot be made.
    """
    target = Path(path)
    ending = target.suffix.lower()
    if ending not in (".html", ".htm", ".pdf"):
        raise UsageError(
            f"local_report writes .html or .pdf; give {target.name} one of these endings"
        )
    result = evaluate(reference, score, thresholds=thresholds, groups=groups, cluster=cluster)
    page = local_page(result, title)
    content = render_pdf(page) if ending == ".pdf" else page.encode()
    try:
        write_durably(target, content)  # readable by its owner only
    except OSError:
        raise ReportError(
            f"{target.name} cannot be written in {target.absolute().parent}; check the folder"
        ) from None
    return target


def local_page(result: Evaluation, title: str) -> str:
    """Return the page of a result; it loads nothing."""
    plots = [
        ("ROC curve: sensitivity over the false-positive rate", result.plot_roc()),
        ("Calibration: observed over predicted probability", result.plot_calibration()),
        ("Decision curve: net benefit over thresholds", result.plot_decision_curve()),
        ("Numbers of cases by score", result.plot_scores()),
    ]
    if result.subgroups:
        plots.insert(3, ("AUROC of each subgroup", result.plot_subgroups()))
    figures = "".join(_figure(caption, ax) for caption, ax in plots)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{STYLE}</style></head><body><main><h1>{escape(title)}</h1><p>{NOTE}</p>"
        f"{result._repr_html_()}{figures}</main></body></html>\n"
    )


def _figure(caption: str, ax: Any) -> str:
    text = escape(caption)
    svg = ax._repr_svg_()
    image = svg[svg.index("<svg") :].replace("<svg", f'<svg role="img" aria-label="{text}"', 1)
    return f"<figure>{image}<figcaption>{text}</figcaption></figure>"
