"""What is exact over sites: totals, Table 1, O:E and Brier sums, shared-grid displays."""

import math
from collections.abc import Sequence

from healthval.aggregate.counts import Bounds, total
from healthval.aggregate.effects import LARGEST, count
from healthval.aggregate.result import (
    ExactCalibration,
    Excluded,
    Pair,
    PooledDisplay,
    Rate,
    TableOneTotal,
    Total,
)
from healthval.aggregate.roc import (
    bins_of,
    calibration_bins,
    expected_calibration_error,
    roc_of,
    summed,
)
from healthval.aggregate.selection import Sites
from healthval.contracts.submission import SUPPRESSED, Cell, Submission, TableOneRow
from healthval.errors import MetricError


def _z(level: float) -> float:
    from scipy.stats import norm

    return float(norm.ppf((1 + level) / 2))


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
    """Sum counts, and put means and SDs together, for each row of Table 1."""
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
    return TableOneTotal(
        *key,
        summed("overall"),
        summed("events"),
        summed("non_events"),
        *_moments(moments),
        len(rows),
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
    sums, briers, missing = [], [], []
    for site, s in sites:
        c, n = s.calibration, count(s.n)
        observed = None if c is None else count(c.observed)
        if c is None or n is None or observed is None or c.expected is None:
            missing.append(Excluded(site, "observed or expected events not released"))
        elif not (observed <= n and 1 / LARGEST <= c.expected <= n):
            missing.append(Excluded(site, "observed or expected events exceed the cases"))
        else:
            sums.append((n, observed, c.expected))
        if c is not None and n is not None and c.brier.value is not None:
            briers.append((n, c.brier.value, c.brier.se))
    n = sum(size for size, _, _ in sums)
    o, e = sum(x for _, x, _ in sums), sum(x for _, _, x in sums)
    oe = o / e if e > 0 else None
    half = _z(level) * math.sqrt((1 - o / n) / o) if o else None
    oe_ci = None if oe is None or half is None else (oe * math.exp(-half), oe * math.exp(half))
    return ExactCalibration(
        o if sums else None, e if sums else None, oe, oe_ci, len(sums),
        *weighted(briers, level), len(briers), tuple(missing),
    )  # fmt: skip


def weighted(
    rows: Sequence[tuple[int, float, float | None]], level: float
) -> tuple[float | None, Pair | None]:
    """Mean weighted by size, with the interval for these very sites; absurd values stay out."""
    rows = [row for row in rows if abs(row[1]) <= LARGEST]
    n = sum(size for size, _, _ in rows)
    if not n:
        return None, None
    mean = sum(size * value for size, value, _ in rows) / n
    spreads = [size * se for size, _, se in rows if se is not None and 0 <= se <= LARGEST]
    if len(spreads) < len(rows):
        return mean, None
    half = _z(level) * math.hypot(*spreads) / n
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
    return Rate(value, ci, None, pairs, "pair-weighted", len(rows)), len(rows)


def display(sites: Sites) -> PooledDisplay:
    """Pooled ROC and calibration bins from the sites whose histogram is complete."""
    used, excluded = [], []
    for site, s in sites:
        try:
            used.append(bins_of(s.histogram))
        except MetricError:
            cells = [c for b in s.histogram for c in (b.events, b.non_events)]
            malformed = "suppressed cells" if SUPPRESSED in cells else "bins do not follow"
            excluded.append(Excluded(site, malformed if cells else "no histogram"))
    table = summed(used) if used else None
    if table is None or not table.events.any() or not table.non_events.any():
        reason = "no histogram with events and non-events"
        return PooledDisplay(None, None, (), (), None, len(used), tuple(excluded), reason)
    bins = calibration_bins(table)
    ece = expected_calibration_error(bins)
    return PooledDisplay(*roc_of(table), bins, ece, len(used), tuple(excluded), None)
