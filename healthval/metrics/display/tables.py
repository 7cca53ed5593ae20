"""Tables of a result: the same rows as aligned text for a terminal and as HTML for a notebook."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from healthval.errors import counted

if TYPE_CHECKING:
    from healthval.metrics.estimate import Estimate
    from healthval.metrics.result import Evaluation, SubgroupResult, ThresholdResult

Row = tuple[str, ...]
COLUMNS = ("Statistic", "Value", "95 % CI", "Method")
LEVELS = ("Subgroup", "n", "Events", "AUROC", "O:E", "Sensitivity", "Specificity")


@dataclass(frozen=True, slots=True)
class Table:
    """Caption, head and rows of text; the first cell of a row is its name."""

    caption: str
    head: Row
    rows: tuple[Row, ...]


def tables_of(result: Evaluation) -> list[Table]:
    """Return the headline numbers, a table for each threshold, and the subgroups if there are any."""
    events = f"{result.n_events} with the condition ({result.n_events / result.n:.1%})"
    found = [Table(f"{counted(result.n, 'case')}, {events}", COLUMNS, _headline(result))]
    found += [_at_threshold(at) for at in result.thresholds]
    if result.subgroups:
        rows = tuple(_level(level) for level in result.subgroups)
        found.append(Table("Subgroups (exploratory, unadjusted)", LEVELS, rows))
    return found


def as_text(tables: Iterable[Table]) -> str:
    """Return the tables as lines whose columns are aligned, with an empty line between two tables."""
    return "\n\n".join(_text(table) for table in tables)


def as_html(tables: Iterable[Table]) -> str:
    """Return the tables as HTML; every cell is escaped."""
    return "".join(_html(table) for table in tables)


def short(estimate: Estimate) -> str:
    """Return value and interval, as a plot's legend has room for."""
    if estimate.value is None:
        return "not estimable"
    return f"{estimate.value:.3f} ({_interval(estimate)})"


def _headline(result: Evaluation) -> tuple[Row, ...]:
    c, prevalence = result.calibration, result.n_events / result.n
    return (
        _row("AUROC", result.auroc),
        _row(f"Average precision (prevalence {prevalence:.3f})", result.average_precision),
        _row("O:E", c.oe),
        _row("Calibration in the large", c.citl),
        _row("Calibration slope", c.slope),
        _row("ICI (rcs5)", c.ici_rcs5),
        _row("Brier score", c.brier),
        _row("Scaled Brier score", c.scaled_brier),
    )


def _at_threshold(result: ThresholdResult) -> Table:
    cells = result.confusion
    caption = (
        f"Positive: score at or above {result.threshold:g} ({result.origin}); "
        f"TP {cells.tp}, FP {cells.fp}, FN {cells.fn}, TN {cells.tn}"
    )
    rows = (
        _row("Sensitivity", result.sensitivity),
        _row("Specificity", result.specificity),
        _row("PPV", result.ppv),
        _row("NPV", result.npv),
        _row("Net benefit", result.net_benefit),
    )
    return Table(caption, COLUMNS, rows)


def _level(level: SubgroupResult) -> Row:
    estimates = (level.auroc, level.oe, level.sensitivity, level.specificity)
    cells = [short(e) if e.value is not None else f"not estimable ({e.reason})" for e in estimates]
    # A reason that all four share is given once: the line stays readable in a terminal.
    if all(e.value is None and e.reason == level.auroc.reason for e in estimates):
        cells[1:] = ["not estimable"] * 3
    return (f"{level.variable}: {level.level}", str(level.n), str(level.n_events), *cells)


def _row(name: str, estimate: Estimate) -> Row:
    if estimate.value is None:
        return name, "not estimable", str(estimate.reason), estimate.method
    return name, f"{estimate.value:.3f}", _interval(estimate), estimate.method


def _interval(estimate: Estimate) -> str:
    if estimate.lo is None or estimate.hi is None:
        return "none"
    return f"{estimate.lo:.3f} to {estimate.hi:.3f}"


def _text(table: Table) -> str:
    lines = (table.head, *table.rows)
    widths = [max(len(line[i]) for line in lines) for i in range(len(table.head))]
    cells = (
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
    return "\n".join((table.caption, *cells))


def _html(table: Table) -> str:
    top = "".join(f"<th scope='col'>{escape(cell)}</th>" for cell in table.head)
    body = "".join(
        f"<tr><th scope='row'>{escape(row[0])}</th>"
        + "".join(f"<td>{escape(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for row in table.rows
    )
    return (
        f"<table><caption>{escape(table.caption)}</caption><thead><tr>{top}</tr></thead>"
        f"<tbody>{body}</tbody></table>"
    )
