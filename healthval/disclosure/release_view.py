"""Readable view of a release: its numbers, what is withheld and why, what changed since the last one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from healthval.contracts.submission import SUPPRESSED, Cell, ReleasedEstimate, Submission
from healthval.errors import counted

if TYPE_CHECKING:
    from healthval.disclosure.gate import Release

HIDDEN = "withheld"
REMEDIES = (
    ("subgroups[", "merge the level with another one, or give the plan a rule for small 'levels'"),
    ("table_one[", "merge the level with another one, or give the plan a rule for small 'levels'"),
    ("flow[", "combine the steps of 'eligibility' that exclude few cases"),
    ("thresholds[", "drop the threshold, or evaluate more cases"),
    ("thresholds", "state the threshold in the plan, before its cases are known"),
    ("n_indeterminate", "nothing: a small number of excluded cases is never shown"),
    ("n_missing_reference", "nothing: a small number of excluded cases is never shown"),
)
MORE_CASES = "evaluate more cases"
Row = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """One table of the view."""

    title: str
    rows: tuple[Row, ...]


def view(release: Release, before: Submission | None = None) -> list[Part]:
    """Return the tables of a release; with `before`, also what changed since that submission."""
    sent = release.submission
    parts = [
        Part("What would leave", tuple(_head(release))),
        Part("Thresholds", tuple(_thresholds(sent))),
        Part("Subgroups", tuple(_subgroups(sent))),
        Part("Withheld, and what would show it", tuple(_withheld(release))),
    ]
    if before is not None:
        parts.append(Part("Changes since the last release", tuple(_changes(before, sent))))
    return [part for part in parts if part.rows]


def lines(release: Release, before: Submission | None = None) -> list[str]:
    """Return the view as lines of text with aligned columns."""
    out = []
    for part in view(release, before):
        out += ["", part.title]
        widths = [max(map(len, column)) for column in zip(*_even(part.rows), strict=True)]
        for row in part.rows:
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=False))
            out.append("  " + "  ".join(cells).rstrip())
    return out[1:]


def html(release: Release, before: Submission | None = None) -> str:
    """Return the view as HTML tables."""
    tables = []
    for part in view(release, before):
        body = "".join(
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>"
            for row in part.rows
        )
        tables.append(f"<table><caption>{escape(part.title)}</caption>{body}</table>")
    return "".join(tables)


def headline(sent: Submission) -> str:
    """Return the main numbers of a result in one line."""
    events = f"{_cell(sent.n_events)} with the target condition"
    return f"AUROC {_estimate(sent.auroc)}; cases {_cell(sent.n)}, {events}"


def _even(rows: Sequence[Row]) -> list[Row]:
    most = max(map(len, rows))
    return [row + ("",) * (most - len(row)) for row in rows]


def _head(release: Release) -> Iterator[Row]:
    sent = release.submission
    yield ("model", f"{sent.model} {sent.version}")
    yield ("plan", sent.plan_hash[:16] + (" (amended)" if sent.plan_amended else ""))
    yield ("sha256", release.sha256)
    yield ("bytes", str(len(release.payload)))
    yield ("cases", f"{_cell(sent.n)}, {_cell(sent.n_events)} with the target condition")
    yield ("AUROC", _estimate(sent.auroc))
    if sent.calibration is not None:
        yield ("calibration O:E", _estimate(sent.calibration.oe))
        yield ("calibration slope", _estimate(sent.calibration.slope))
        yield ("Brier score", _estimate(sent.calibration.brier))
    yield ("flow", ", ".join(f"{step.step} {_cell(step.n)}" for step in sent.flow))
    yield ("also", _also(sent))
    if sent.noise is not None:
        yield (
            "noise",
            f"counts have keyed noise with a standard deviation of {sent.noise.scale:g}",
        )


def _also(sent: Submission) -> str:
    points = counted(len(sent.roc), "point") + " of the ROC curve"
    curve = sent.calibration.curve if sent.calibration is not None else ()
    calibrated = counted(len(curve), "point") + " of the calibration curve"
    decided = counted(len(sent.decision_curve), "point") + " of the decision curve"
    bins = counted(len(sent.histogram), "bin") + " of scores"
    rows = counted(len(sent.table_one), "row") + " of Table 1"
    return ", ".join((points, calibrated, decided, bins, rows))


def _thresholds(sent: Submission) -> Iterator[Row]:
    if sent.thresholds:
        yield ("threshold", "sensitivity", "specificity", "PPV", "NPV")
    for at in sent.thresholds:
        rates = (at.sensitivity, at.specificity, at.ppv, at.npv)
        yield (f"{at.threshold:g}", *map(_estimate, rates))


def _subgroups(sent: Submission) -> Iterator[Row]:
    if sent.subgroups:
        yield ("variable", "level", "cases", "events", "AUROC", "O:E")
    for row in sent.subgroups:
        level = "levels withheld" if row.level == SUPPRESSED else row.level
        numbers = (_cell(row.n), _cell(row.n_events), _estimate(row.auroc), _estimate(row.oe))
        yield (row.variable, level, *numbers)


def _withheld(release: Release) -> Iterator[Row]:
    known = {(note.field, note.reason) for note in release.withheld}
    variables = {f.partition("[")[2].partition(".")[0].rstrip("]") for f, _ in known}
    hidden = {row.variable for row in release.submission.subgroups if row.level == SUPPRESSED}
    hidden |= {row.variable for row in release.submission.table_one if row.level == SUPPRESSED}
    for variable in hidden - variables:
        reason = "few cases in a level, or a level that would show another one by subtraction"
        known.add((f"table_one[{variable}]", reason))
    if not known:
        yield ("nothing",)
    for field, reason in sorted(known):
        yield (field, reason, _remedy(field))


def _remedy(field: str) -> str:
    return next((remedy for start, remedy in REMEDIES if field.startswith(start)), MORE_CASES)


def _changes(before: Submission, now: Submission) -> Iterator[Row]:
    old, new = dict(_numbers(before)), dict(_numbers(now))
    for name in dict.fromkeys((*old, *new)):
        was, is_now = old.get(name, "absent"), new.get(name, "absent")
        if was != is_now:
            yield (name, was, "->", is_now)
    if old == new:
        yield ("no number of this table changed",)


def _numbers(sent: Submission) -> Iterator[tuple[str, str]]:
    yield ("model version", sent.version)
    yield ("plan", sent.plan_hash[:16])
    yield ("cases", _cell(sent.n))
    yield ("events", _cell(sent.n_events))
    yield ("AUROC", _estimate(sent.auroc))
    for step in sent.flow:
        yield (f"flow {step.step}", _cell(step.n))
    for at in sent.thresholds:
        yield (f"sensitivity at {at.threshold:g}", _estimate(at.sensitivity))
        yield (f"specificity at {at.threshold:g}", _estimate(at.specificity))
    for row in sent.subgroups:
        if row.level != SUPPRESSED:
            yield (f"{row.variable} {row.level}: cases", _cell(row.n))
            yield (f"{row.variable} {row.level}: AUROC", _estimate(row.auroc))


def _cell(count: Cell) -> str:
    return HIDDEN if count == SUPPRESSED else str(count)


def _estimate(estimate: ReleasedEstimate) -> str:
    if estimate.value is None:
        return "not estimable" if estimate.withheld == "not_estimable" else HIDDEN
    if estimate.lo is None or estimate.hi is None:
        return f"{estimate.value:.3g}"
    return f"{estimate.value:.2f} ({estimate.lo:.2f} to {estimate.hi:.2f})"
