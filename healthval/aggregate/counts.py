"""Confusion counts summed over sites, and the rates and net benefit of the sums.

A suppressed cell is never taken as zero: it widens the bounds of a total and of every rate from it.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from typing import Any, TypeAlias

import numpy as np

from healthval.aggregate.effects import count
from healthval.aggregate.meta import Pair, normal_quantile
from healthval.aggregate.result import Excluded, PooledCounts, Rate, Total
from healthval.contracts.proportions import wilson
from healthval.contracts.submission import SUPPRESSED, Cell, Submission, band_limits
from healthval.errors import MetricError, counted

CELLS = ("tp", "fp", "fn", "tn")
WITHHELD_CELLS = "suppressed cells"  # reason why a site is not in a sum
_NOISY = {(0, 1): 1}  # cells of a rate with independent noise; TP + FP is known exactly
WIDE = 0.1  # bounds of a rate beyond which its middle is not an estimate
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
    lows_highs = list(bounds) if bounds is not None else [bounds_of(c) for c in cells]
    highs = [high for _, high in lows_highs]
    return Total(
        lower=sum(low for low, _ in lows_highs),
        upper=None if None in highs else sum(high for high in highs if high is not None),
        n_sites=len(given),
        n_suppressed=len(cells) - len(given),
    )


def bounds_of(cell: Cell) -> Bounds:
    """Least and most that a cell can be."""
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
        return SUPPRESSED if cell == SUPPRESSED or band_limits(cell) else None
    whole = isinstance(cell, int | np.integer) and not isinstance(cell, bool)
    return int(cell) if whole and cell >= 0 else None


def wilson_interval(successes: int, n: int, level: float = 0.95) -> Pair | None:
    """Score interval of a proportion (Wilson 1927); None without cases."""
    return wilson(successes, n, normal_quantile(level)) if n else None


@dataclass(frozen=True, slots=True)
class _Precision:
    """Level of the intervals, and the variance of the noise on the sum of a cell."""

    level: float
    noise: float

    def interval(self, hits: int, n: int, cells: int) -> Pair | None:
        """Wilson's interval at the size that noise on this number of `cells` leaves."""
        if not n:
            return None
        smooth = (hits + 1) / (n + 2)
        sampling = smooth * (1 - smooth) / n
        share = sampling / (sampling + cells * self.noise / n**2)
        return wilson(hits * share, n * share, normal_quantile(self.level))


def _rate(
    rows: Sequence[tuple[Cell, Cell]],
    totals: tuple[Total, Total],
    precision: _Precision,
    noisy_cells: int,
) -> Rate:
    """Proportion of hits over all sites, from each site's hits and misses and the totals of both."""
    pairs = [(a, b) for a, b in rows if not isinstance(a, str) and not isinstance(b, str)]
    hits, n = sum(a for a, _ in pairs), sum(a + b for a, b in pairs)
    given = Rate(
        value=hits / n if n else None,
        ci=precision.interval(hits, n, noisy_cells),
        numerator=hits,
        denominator=n,
        method="wilson perturbed" if precision.noise else "wilson",
        k=len(pairs),
    )
    return given if len(pairs) == len(rows) else _bounded(given, totals, len(rows), precision.level)


def _bounded(given: Rate, totals: tuple[Total, Total], k: int, level: float) -> Rate:
    """The rate over all `k` sites where some withheld counts: from the least to the most it can be."""
    hits, misses = totals
    if hits.upper is None or misses.upper is None:
        why = f"{withheld(k - given.k, k)}; the rate over all sites is unknown"
        return replace(given, value=None, ci=None, method="bounds", reason=why)
    least, most = hits.lower + misses.upper, hits.upper + misses.lower
    low = hits.lower / least if least else 0.0
    high = hits.upper / most if most else 1.0
    found = replace(given, value=None, ci=None, method="bounds", bounds=(low, high))
    if high - low > WIDE:
        why = f"{withheld(k - given.k, k)}; over all sites the rate is {low:.3f} to {high:.3f}"
        return replace(found, reason=why)
    z = normal_quantile(level)
    ci = wilson(hits.lower, least, z)[0], wilson(hits.upper, most, z)[1]
    return replace(found, value=(low + high) / 2, ci=ci)


def withheld(sites: int, k: int) -> str:
    """Text with the number of sites that withheld counts.

    >>> withheld(1, 10)
    '1 of 10 sites withheld counts'
    """
    return f"{sites} of {counted(k, 'site')} withheld counts"


def pool_counts(
    counts: Sequence[Any],
    *,
    sites: Sequence[str] | None = None,
    margins: Sequence[tuple[Cell, Cell]] | None = None,
    noise: Sequence[float] | None = None,
    level: float = 0.95,
) -> PooledCounts:
    """Sum confusion counts over sites, and bound the rates where some sites withheld cells.

    Parameters
    ----------
    counts : per site an object or mapping with tp, fp, fn, tn, or four cells in this order;
        a cell is a whole number or ``"suppressed"``.
    sites : labels, by default ``row 0``, ``row 1`` ...
    margins : per site (n, n_events) where known; they bound suppressed cells in `totals`.
    noise : per site the variance of the noise on a count; the intervals of the rates include it.

    Examples
    --------
    >>> pooled = pool_counts([(30, 5, 10, 55), (20, "suppressed", "suppressed", 70)])
    >>> pooled.tp, pooled.k, pooled.totals[0].lower, pooled.excluded[0].reason
    (30, 1, 50, 'suppressed cells')
    """
    rows = [cells_of(c, i) for i, c in enumerate(counts)]
    labels = _labels(sites, len(rows))
    known = list(margins) if margins is not None else [(SUPPRESSED, SUPPRESSED)] * len(rows)
    whole = [SUPPRESSED not in row for row in rows]
    complete = list(compress(rows, whole))
    tp, fp, fn, tn = (sum(int(row[cell]) for row in complete) for cell in range(4))
    totals = _cell_totals(rows, known)
    precision = _Precision(level, math.fsum(noise or ()))
    return PooledCounts(
        tp=tp,
        fp=fp,
        fn=fn,
        tn=tn,
        k=sum(whole),
        sites=tuple(compress(labels, whole)),
        excluded=_withholding(labels, whole),
        totals=totals,
        sensitivity=_of_cells(rows, totals, (0, 2), precision),
        specificity=_of_cells(rows, totals, (3, 1), precision),
        ppv=_of_cells(rows, totals, (0, 1), precision),
        npv=_of_cells(rows, totals, (3, 2), precision),
        prevalence=_prevalence(rows, known, precision),
    )


def _labels(sites: Sequence[str] | None, k: int) -> list[str]:
    labels = list(sites) if sites is not None else [f"row {i}" for i in range(k)]
    if len(labels) != k:
        raise MetricError(
            f"{counted(k, 'table')} of counts but {counted(len(labels), 'site label')}; "
            "give one label per table"
        )
    return labels


def _withholding(labels: Sequence[str], whole: Sequence[bool]) -> tuple[Excluded, ...]:
    found = zip(labels, whole, strict=True)
    return tuple(Excluded(label, WITHHELD_CELLS) for label, is_whole in found if not is_whole)


def _of_cells(
    rows: Sequence[Cells], totals: Sequence[Total], which: tuple[int, int], precision: _Precision
) -> Rate:
    yes, no = which
    cells = [(row[yes], row[no]) for row in rows]
    return _rate(cells, (totals[yes], totals[no]), precision, _NOISY.get(which, 2))


def _prevalence(
    rows: Sequence[Cells], margins: Sequence[tuple[Cell, Cell]], precision: _Precision
) -> Rate:
    """Events over cases, from the cells or the margins of each site."""
    pairs = [
        _class_sizes(row, n, n_events) for row, (n, n_events) in zip(rows, margins, strict=True)
    ]
    sizes = [SUPPRESSED if isinstance(n, str) else int(n) for n, _ in margins]
    bounds: list[list[Bounds]] = [
        [
            (0, count(size)) if isinstance(pair[side], str) else bounds_of(pair[side])
            for pair, size in zip(pairs, sizes, strict=True)
        ]
        for side in (0, 1)
    ]
    events, others = (total([p[i] for p in pairs], bounds[i]) for i in (0, 1))
    return _rate(pairs, (events, others), precision, 1)


def _class_sizes(row: Cells, n: Cell, n_events: Cell) -> tuple[Cell, Cell]:
    """Events and non-events of a site; both suppressed where one is unknown or they contradict."""
    tp, fp, fn, tn = row
    if not isinstance(n, str) and not isinstance(n_events, str):
        return (n_events, n - n_events) if n_events <= n else (SUPPRESSED, SUPPRESSED)
    if isinstance(tp, str) or isinstance(fp, str) or isinstance(fn, str) or isinstance(tn, str):
        return SUPPRESSED, SUPPRESSED
    return tp + fn, fp + tn


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
        (0, _margin(cell, n, n_events)) if isinstance(row[cell], str) else bounds_of(row[cell])
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


def net_benefit(
    counts: PooledCounts,
    threshold: float,
    level: float = 0.95,
    *,
    n_all: int | None = None,
    noise: float = 0.0,
) -> Rate | None:
    """Net benefit of all cases together, TP/n - FP/n * t/(1 - t), with its multinomial interval.

    Parameters
    ----------
    n_all : cases of all sites; without it, of the sites with all four counts
    noise : variance of the noise on the sum of the true positives

    Where sites withheld true or false positives, only bounds over all sites are given.

    References
    ----------
    Vickers & Elkin 2006, Med Decis Making 26:565; variance: Marsh, Janes & Pepe 2020, Biometrics 76:843.
    """
    complete = counts.tp + counts.fp + counts.fn + counts.tn
    n = n_all or (0 if counts.excluded else complete)
    if threshold >= 1 or not complete + (n_all or 0):
        return None
    odds, (tp, fp, *_) = threshold / (1 - threshold), counts.totals
    if not n or tp.n_suppressed or fp.n_suppressed:
        return _bounded_net_benefit(counts, odds, n)
    value = (tp.lower - odds * fp.lower) / n
    variance = max(0.0, (tp.lower + odds**2 * fp.lower) / n - value**2) / n
    variance += noise * ((1 + odds) / n) ** 2
    return Rate(
        value=value,
        ci=symmetric(value, normal_quantile(level) * math.sqrt(variance)),
        numerator=None,
        denominator=n,
        method="multinomial perturbed" if noise else "multinomial",
        k=tp.n_sites,
    )


def _bounded_net_benefit(counts: PooledCounts, odds: float, n: int) -> Rate:
    tp, fp, *_ = counts.totals
    bounds = None
    if n and tp.upper is not None and fp.upper is not None:
        bounds = (tp.lower - odds * fp.upper) / n, (tp.upper - odds * fp.lower) / n
    sites = counts.k + len(counts.excluded)
    return Rate(
        value=None,
        ci=None,
        numerator=None,
        denominator=n,
        method="bounds",
        k=min(tp.n_sites, fp.n_sites),
        bounds=bounds,
        reason=withheld(len(counts.excluded), sites),
    )


def symmetric(value: float, half: float) -> Pair | None:
    """Interval around the value; None without a width."""
    return (value - half, value + half) if half > 0 else None
