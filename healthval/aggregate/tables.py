"""Totals over sites: cases and Table 1.

A suppressed count is never taken as zero, and a level without a row only where it is zero.
"""

import math
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from healthval.aggregate.counts import Bounds, Sites, bounds_of, total
from healthval.aggregate.effects import LARGEST, count
from healthval.aggregate.result import TableOneTotal, Total
from healthval.contracts.submission import FOLDED, SUPPRESSED, Cell, Submission, TableOneRow

# Rows for several levels of a variable: withheld ones, and small ones that the plan folds.
UNNAMED_LEVELS = frozenset({"suppressed", FOLDED})
Level: TypeAlias = tuple[str, str]  # a variable and one of its levels
Rows: TypeAlias = Mapping[Level, TableOneRow]


def study_totals(sites: Sites) -> tuple[Total, Total, Total, Total]:
    """Cases, events, indeterminate cases and cases without a reference standard."""
    submissions = [s for _, s in sites]
    events = (_at_most(s.n_events, s.n) for s in submissions)
    return (
        total(s.n for s in submissions),
        total((s.n_events for s in submissions), events),
        total(s.n_indeterminate for s in submissions),
        total(s.n_missing_reference for s in submissions),
    )


def _at_most(cell: Cell, whole: Cell) -> Bounds:
    known = count(cell)
    return (0, count(whole)) if known is None else (known, known)


def table_one_totals(sites: Sites) -> tuple[TableOneTotal, ...]:
    """Sum the counts, and combine means and SDs, of each row of Table 1 over sites with the variable.

    A level without a row is zero at a site that released all levels, and between zero and the cases
    of no released level at a site with a row for withheld or folded levels.
    """
    by_site = [({(r.variable, r.level): r for r in s.table_one}, s) for _, s in sites]
    keys = dict.fromkeys(key for rows, _ in by_site for key in rows)
    return tuple(_table_one(key, by_site) for key in keys)


def hidden(key: Level, sizes: Mapping[Level, Cell | None], s: Submission) -> tuple[Cell, Bounds]:
    """Count of a level that a site with these levels did not name, with its bounds."""
    of_variable = {level: size for (variable, level), size in sizes.items() if variable == key[0]}
    if not UNNAMED_LEVELS & of_variable.keys():
        return 0, (0, 0)
    n = count(s.n)
    shown = sum(count(size) or 0 for x, size in of_variable.items() if x not in UNNAMED_LEVELS)
    return SUPPRESSED, (0, None if n is None else max(n - shown, 0))


def _table_one(key: tuple[str, str], by_site: Sequence[tuple[Rows, Submission]]) -> TableOneTotal:
    among = [(f, s) for f, s in by_site if any(variable == key[0] for variable, _ in f)]
    rows = [(found[key], s) for found, s in among if key in found]

    def summed(name: str) -> Total | None:
        cells: list[tuple[Cell, Bounds]] = []
        for found, s in among:
            if key not in found:
                cells.append(hidden(key, {x: row.overall for x, row in found.items()}, s))
            elif (cell := getattr(found[key], name)) is not None:
                cells.append((cell, bounds_of(cell)))
        given = any(getattr(r, name) is not None for r, _ in rows)
        return total((c for c, _ in cells), (b for _, b in cells)) if given else None

    mean, sd = _moments([moments for r, s in rows if (moments := _moments_at(r, s)) is not None])
    return TableOneTotal(
        variable=key[0],
        level=key[1],
        overall=summed("overall"),
        events=summed("events"),
        non_events=summed("non_events"),
        mean=mean,
        sd=sd,
        k=len(among),
    )


def _moments_at(row: TableOneRow, s: Submission) -> tuple[int, float, float | None] | None:
    """Cases, mean and SD of one site; None where one is not released or too large to be summed."""
    n = count(s.n if row.overall is None else row.overall)
    if n is None or row.mean is None or max(abs(row.mean), abs(row.sd or 0)) > LARGEST**2:
        return None
    return n, row.mean, row.sd


def _moments(rows: list[tuple[int, float, float | None]]) -> tuple[float | None, float | None]:
    """Mean and SD of all cases together from each site's n, mean and SD."""
    n = sum(size for size, _, _ in rows)
    if not n:
        return None, None
    mean = sum(size * m for size, m, _ in rows) / n
    if n < 2 or any(sd is None for _, _, sd in rows):
        return mean, None
    squares = sum(
        (size - 1) * sd**2 + size * (m - mean) ** 2 for size, m, sd in rows if sd is not None
    )
    return mean, math.sqrt(squares / (n - 1))
