"""Exact sums over sites: confusion counts, totals, patient flow, Table 1, O:E and Brier score.

A suppressed cell is never taken as zero: it widens the bounds of a total or excludes its site.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from healthval.aggregate.effects import LARGEST, count
from healthval.aggregate.meta import Pair, normal_quantile
from healthval.aggregate.result import (
    ExactCalibration,
    Excluded,
    PooledCounts,
    Rate,
    TableOneTotal,
    Total,
)
from healthval.contracts.proportions import wilson
from healthval.contracts.submission import SUPPRESSED, Cell, Submission, TableOneRow
from healthval.errors import MetricError, counted

CELLS = ("tp", "fp", "fn", "tn")
Cells: TypeAlias = tuple[Cell, Cell, Cell, Cell]
Bounds: TypeAlias = tuple[int, int | None]
Sites: TypeAlias = Sequence[tuple[str, Submission]]  # a label with its active submission


def total(cells: Iterable[Cell], bounds: Iterable[Bounds] | None = None) -> Total:
    """Sum cells; a suppressed one adds its bounds, by default from 0 to unknown.

    >>> total([12, "suppressed", 30], [(12, 12), (0, 40), (30, 30)])
    Total(lower=42, upper=82, n_sites=2, n_suppressed=1)
    """
    cells = list(cells)
    given = [c for c in cells if c != SUPPRESSED]
    lows_highs = list(bounds) if bounds is not None else [_bounds_of(c) for c in cells]
    highs = [high for _, high in lows_highs]
    return Total(
        lower=sum(low for low, _ in lows_highs),
        upper=None if None in highs else sum(high for high in highs if high is not None),
        n_sites=len(given),
        n_suppressed=len(cells) - len(given),
    )


def _bounds_of(cell: Cell) -> Bounds:
    return (0, None) if cell == SUPPRESSED else (int(cell), int(cell))


def cells_of(counts: Any, row: int) -> Cells:
    """Read (tp, fp, fn, tn) from an object or mapping with these names, or four in this order."""
    if hasattr(counts, "tp"):
        found = [getattr(counts, name, None) for name in CELLS]
    elif isinstance(counts, Mapping):
        found = [counts.get(name) for name in CELLS]
    else:
        found = list(counts) if isinstance(counts, Sequence | np.ndarray) else []
    cells = [_cell(cell) for cell in found]
    if len(cells) != 4 or None in cells:
        raise MetricError(
            f"counts at row {row}: need tp, fp, fn, tn, each a whole number from 0 or 'suppressed'"
        )
    tp, fp, fn, tn = (cell for cell in cells if cell is not None)
    return tp, fp, fn, tn


def _cell(cell: Any) -> Cell | None:
    """Return a checked cell; None for anything else."""
    if isinstance(cell, str):
        return SUPPRESSED if cell == SUPPRESSED else None
    whole = isinstance(cell, int | np.integer) and not isinstance(cell, bool)
    return int(cell) if whole and cell >= 0 else None


def wilson_interval(successes: int, n: int, level: float = 0.95) -> Pair | None:
    """Score interval of a proportion (Wilson 1927); None without cases."""
    return wilson(successes, n, normal_quantile(level)) if n else None


def _rate(rows: Sequence[Cells], yes: int, no: int, level: float) -> Rate:
    """Proportion with its Wilson interval over the sites that released both cells."""
    pairs = [
        (a, b)
        for row in rows
        if not isinstance(a := row[yes], str) and not isinstance(b := row[no], str)
    ]
    hits = sum(a for a, _ in pairs)
    return _proportion(hits, hits + sum(b for _, b in pairs), level, k=len(pairs))


def _proportion(hits: int, n: int, level: float, *, k: int) -> Rate:
    return Rate(
        value=hits / n if n else None,
        ci=wilson_interval(hits, n, level),
        numerator=hits,
        denominator=n,
        method="wilson",
        k=k,
    )


def pool_counts(
    counts: Sequence[Any],
    *,
    sites: Sequence[str] | None = None,
    margins: Sequence[tuple[Cell, Cell]] | None = None,
    level: float = 0.95,
) -> PooledCounts:
    """Sum confusion counts over the sites that released them.

    Parameters
    ----------
    counts : per site an object or mapping with tp, fp, fn, tn, or four cells in this order;
        a cell is a whole number or ``"suppressed"``.
    sites : labels, by default ``row 0``, ``row 1`` ...
    margins : per site (n, n_events) where known; they bound suppressed cells in `totals`.

    Examples
    --------
    >>> pooled = pool_counts([(30, 5, 10, 55), (20, "suppressed", "suppressed", 70)])
    >>> pooled.tp, pooled.k, pooled.totals[0].lower, pooled.excluded[0].reason
    (30, 1, 50, 'suppressed cells')
    """
    rows = [cells_of(c, i) for i, c in enumerate(counts)]
    labels = list(sites) if sites is not None else [f"row {i}" for i in range(len(rows))]
    if len(labels) != len(rows):
        raise MetricError(
            f"{counted(len(rows), 'table')} of counts but {counted(len(labels), 'site label')}"
        )
    known = list(margins) if margins is not None else [(SUPPRESSED, SUPPRESSED)] * len(rows)
    complete = [row for row in rows if SUPPRESSED not in row]
    excluded = [label for label, row in zip(labels, rows, strict=True) if SUPPRESSED in row]
    tp, fp, fn, tn = (sum(int(row[cell]) for row in complete) for cell in range(4))
    return PooledCounts(
        tp=tp,
        fp=fp,
        fn=fn,
        tn=tn,
        k=len(complete),
        sites=tuple(x for x, row in zip(labels, rows, strict=True) if SUPPRESSED not in row),
        excluded=tuple(Excluded(label, "suppressed cells") for label in excluded),
        totals=_cell_totals(rows, known),
        sensitivity=_rate(rows, 0, 2, level),
        specificity=_rate(rows, 3, 1, level),
        ppv=_rate(complete, 0, 1, level),
        npv=_rate(complete, 3, 2, level),
        prevalence=_proportion(tp + fn, tp + fp + fn + tn, level, k=len(complete)),
    )


def _cell_totals(
    rows: Sequence[Cells], margins: Sequence[tuple[Cell, Cell]]
) -> tuple[Total, Total, Total, Total]:
    tp, fp, fn, tn = (_cell_total(cell, rows, margins) for cell in range(4))
    return tp, fp, fn, tn


def _cell_total(cell: int, rows: Sequence[Cells], margins: Sequence[tuple[Cell, Cell]]) -> Total:
    """Sum one cell over sites; a suppressed one is between 0 and its margin.

    The other cells of its site are not subtracted from the margin: that would undo the site's
    suppression.
    """
    bounds = [
        (0, _margin(cell, n, n_events)) if isinstance(row[cell], str) else _bounds_of(row[cell])
        for row, (n, n_events) in zip(rows, margins, strict=True)
    ]
    return total([row[cell] for row in rows], bounds)


def _margin(cell: int, n: Cell, n_events: Cell) -> int | None:
    """Events for tp and fn, non-events for fp and tn; else all cases, where released."""
    if isinstance(n, str):
        return None if isinstance(n_events, str) or cell in (1, 3) else n_events
    if isinstance(n_events, str):
        return n
    return n_events if cell in (0, 2) else n - n_events


def net_benefit(counts: PooledCounts, threshold: float, level: float = 0.95) -> Rate | None:
    """Net benefit of all cases together, TP/n - FP/n * t/(1 - t), with its multinomial interval.

    References
    ----------
    Vickers & Elkin 2006, Med Decis Making 26:565; variance: Marsh, Janes & Pepe 2020, Biometrics 76:843.
    """
    n = counts.tp + counts.fp + counts.fn + counts.tn
    if not n or threshold >= 1:
        return None
    odds, tp, fp = threshold / (1 - threshold), counts.tp / n, counts.fp / n
    value = tp - odds * fp
    variance = max(0.0, tp + odds**2 * fp - value**2) / n
    half = normal_quantile(level) * math.sqrt(variance)
    return Rate(
        value=value,
        ci=(value - half, value + half),
        numerator=None,
        denominator=n,
        method="multinomial",
        k=counts.k,
    )


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
    """Sum the counts and combine the means and SDs of each row of Table 1."""
    by_site = [({(r.variable, r.level): r for r in s.table_one}, s) for _, s in sites]
    keys = dict.fromkeys(key for rows, _ in by_site for key in rows)
    return tuple(
        _table_one(key, [(rows[key], s) for rows, s in by_site if key in rows]) for key in keys
    )


def _table_one(key: tuple[str, str], rows: list[tuple[TableOneRow, Submission]]) -> TableOneTotal:
    def summed(name: str) -> Total | None:
        cells = [c for r, _ in rows if (c := getattr(r, name)) is not None]
        return total(cells) if cells else None

    moments = [
        (n, r.mean, r.sd)
        for r, s in rows
        if r.mean is not None
        and max(abs(r.mean), abs(r.sd or 0)) <= LARGEST**2
        and (n := count(s.n if r.overall is None else r.overall)) is not None
    ]
    mean, sd = _moments(moments)
    return TableOneTotal(
        variable=key[0],
        level=key[1],
        overall=summed("overall"),
        events=summed("events"),
        non_events=summed("non_events"),
        mean=mean,
        sd=sd,
        k=len(rows),
    )


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


def exact_calibration(sites: Sites, level: float = 0.95) -> ExactCalibration:
    """Add up events, expected events and Brier sums of the sites that released them.

    References
    ----------
    Variance of log O:E, (1 - O/n) / O: Debray 2017, BMJ 356:i6460.
    """
    sums, missing = _expected_sums(sites)
    briers = [
        (n, s.calibration.brier.value, s.calibration.brier.se)
        for _, s in sites
        if s.calibration is not None
        and s.calibration.brier.value is not None
        and (n := count(s.n)) is not None
    ]
    n = sum(size for size, _, _ in sums)
    o, e = sum(x for _, x, _ in sums), sum(x for _, _, x in sums)
    oe = o / e if e > 0 else None
    half = normal_quantile(level) * math.sqrt((1 - o / n) / o) if o else None
    oe_ci = None if oe is None or half is None else (oe * math.exp(-half), oe * math.exp(half))
    brier, brier_ci = weighted(briers, level)
    return ExactCalibration(
        observed=o if sums else None,
        expected=e if sums else None,
        oe=oe,
        oe_ci=oe_ci,
        oe_k=len(sums),
        brier=brier,
        brier_ci=brier_ci,
        brier_k=len(briers),
        excluded=tuple(missing),
    )


def _expected_sums(sites: Sites) -> tuple[list[tuple[int, int, float]], list[Excluded]]:
    """Cases, observed and expected events of each site, and the sites without usable ones."""
    sums, missing = [], []
    for site, s in sites:
        c, n = s.calibration, count(s.n)
        observed = None if c is None else count(c.observed)
        if c is None or n is None or observed is None or c.expected is None:
            missing.append(Excluded(site, "observed or expected events not released"))
        elif not (observed <= n and 1 / LARGEST <= c.expected <= n):
            missing.append(Excluded(site, "observed or expected events exceed the cases"))
        else:
            sums.append((n, observed, c.expected))
    return sums, missing


def weighted(
    rows: Sequence[tuple[int, float, float | None]], level: float
) -> tuple[float | None, Pair | None]:
    """Mean weighted by size, with the interval for these very sites; absurd values are ignored."""
    rows = [row for row in rows if abs(row[1]) <= LARGEST]
    n = sum(size for size, _, _ in rows)
    if not n:
        return None, None
    mean = sum(size * value for size, value, _ in rows) / n
    spreads = [size * se for size, _, se in rows if se is not None and 0 <= se <= LARGEST]
    if len(spreads) < len(rows):
        return mean, None
    half = normal_quantile(level) * math.hypot(*spreads) / n
    return mean, (mean - half, mean + half)


def within_site(sites: Sites, level: float = 0.95) -> tuple[Rate | None, int]:
    """AUC of an event against a non-event of the same site, weighted by the sites' pairs."""
    rows = []
    for _, s in sites:
        n, events = count(s.n), count(s.n_events)
        if s.auroc.value is not None and n is not None and events is not None and events < n:
            rows.append((events * (n - events), s.auroc.value, s.auroc.se))
    value, ci = weighted(rows, level)
    if value is None:
        return None, 0
    pairs = sum(size for size, _, _ in rows)
    rate = Rate(
        value=value,
        ci=ci,
        numerator=None,
        denominator=pairs,
        method="pair-weighted",
        k=len(rows),
    )
    return rate, len(rows)
