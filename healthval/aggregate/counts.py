"""Exact sums of counts over sites; a suppressed cell never becomes zero."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from healthval.aggregate.result import Excluded, Pair, PooledCounts, Rate, Total
from healthval.contracts.submission import SUPPRESSED, Cell
from healthval.errors import MetricError

CELLS = ("tp", "fp", "fn", "tn")
Cells: TypeAlias = tuple[Cell, Cell, Cell, Cell]
Bounds: TypeAlias = tuple[int, int | None]


def total(cells: Iterable[Cell], bounds: Iterable[Bounds] | None = None) -> Total:
    """Sum cells; a suppressed one adds its bounds, by default from 0 to unknown.

    >>> total([12, "suppressed", 30], [(12, 12), (0, 40), (30, 30)])
    Total(lower=42, upper=82, n_sites=2, n_suppressed=1)
    """
    cells = list(cells)
    given = [c for c in cells if c != SUPPRESSED]
    lows_highs = list(bounds) if bounds is not None else [_own_bounds(c) for c in cells]
    highs = [high for _, high in lows_highs]
    return Total(
        lower=sum(low for low, _ in lows_highs),
        upper=None if None in highs else sum(high for high in highs if high is not None),
        n_sites=len(given),
        n_suppressed=len(cells) - len(given),
    )


def _own_bounds(cell: Cell) -> Bounds:
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
    """Give a checked cell; None for anything that is not one."""
    if isinstance(cell, str):
        return SUPPRESSED if cell == SUPPRESSED else None
    whole = isinstance(cell, int | np.integer) and not isinstance(cell, bool)
    return int(cell) if whole and cell >= 0 else None


def wilson(successes: int, n: int, level: float = 0.95) -> Pair | None:
    """Score interval of a proportion (Wilson 1927); None without cases."""
    from scipy.stats import norm

    if not n:
        return None
    z = float(norm.ppf((1 + level) / 2))
    p, z2 = successes / n, z * z
    middle, half = p + z2 / (2 * n), z * np.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    low, high = (middle - half) / (1 + z2 / n), (middle + half) / (1 + z2 / n)
    return (0.0 if successes == 0 else float(low)), (1.0 if successes == n else float(high))


def _rate(rows: Sequence[Cells], yes: int, no: int, level: float) -> Rate:
    """Proportion with its Wilson interval over the sites that released both cells."""
    pairs = [
        (a, b)
        for row in rows
        if not isinstance(a := row[yes], str) and not isinstance(b := row[no], str)
    ]
    hits, n = sum(a for a, _ in pairs), sum(a + b for a, b in pairs)
    return Rate(hits / n if n else None, wilson(hits, n, level), hits, n, "wilson", len(pairs))


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
        raise MetricError(f"{len(rows)} tables of counts but {len(labels)} site labels")
    known = list(margins) if margins is not None else [(SUPPRESSED, SUPPRESSED)] * len(rows)
    complete = [row for row in rows if SUPPRESSED not in row]
    tp, fp, fn, tn = (sum(int(row[cell]) for row in complete) for cell in range(4))
    by_cell = [_cell_total(c, rows, known) for c in range(4)]
    n, k = tp + fp + fn + tn, len(complete)
    cases = wilson(tp + fn, n, level)
    return PooledCounts(
        tp, fp, fn, tn, k,
        tuple(label for label, row in zip(labels, rows, strict=True) if SUPPRESSED not in row),
        tuple(
            Excluded(label, "suppressed cells")
            for label, row in zip(labels, rows, strict=True)
            if SUPPRESSED in row
        ),
        (by_cell[0], by_cell[1], by_cell[2], by_cell[3]),
        _rate(rows, 0, 2, level), _rate(rows, 3, 1, level),
        _rate(complete, 0, 1, level), _rate(complete, 3, 2, level),
        Rate((tp + fn) / n if n else None, cases, tp + fn, n, "wilson", k),
    )  # fmt: skip


def _cell_total(cell: int, rows: Sequence[Cells], margins: Sequence[tuple[Cell, Cell]]) -> Total:
    """Sum one cell over sites; a suppressed one lies between 0 and its margin.

    The other cells of its site are not subtracted from the margin: that would undo what the site
    suppressed.
    """
    given = sum(c for row in rows if not isinstance(c := row[cell], str))
    hidden = [
        _margin(cell, *margin)
        for row, margin in zip(rows, margins, strict=True)
        if isinstance(row[cell], str)
    ]
    known = [upper for upper in hidden if upper is not None]
    upper = given + sum(known) if len(known) == len(hidden) else None
    return Total(given, upper, len(rows) - len(hidden), len(hidden))


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
    from scipy.stats import norm

    n = counts.tp + counts.fp + counts.fn + counts.tn
    if not n or threshold >= 1:
        return None
    odds, tp, fp = threshold / (1 - threshold), counts.tp / n, counts.fp / n
    value = tp - odds * fp
    variance = max(0.0, tp + odds**2 * fp - value**2) / n
    half = float(norm.ppf((1 + level) / 2) * np.sqrt(variance))
    return Rate(value, (value - half, value + half), None, n, "multinomial", counts.k)
