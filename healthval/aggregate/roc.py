"""ROC and calibration of all cases together, from the histograms that sites released.

Each site merges bins until they meet the floor, so sites rarely share all edges. A pair of an
event and a non-event is decided where their bins do not overlap, and counts one half where they
do; each such pair scores in [0, 1], hence the exact bound: half the share of undecided pairs. With
equal bins this is 1/2 sum p_k q_k / (m n).
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from healthval.aggregate.between_site_variance import Array
from healthval.aggregate.counts import Sites, wilson_interval
from healthval.aggregate.result import CalibrationBin, Excluded, PooledDisplay, RocBound
from healthval.contracts.submission import SUPPRESSED
from healthval.errors import MetricError

FEWEST_BINS = 4  # with fewer, the ECE is close to the error of the mean score, whatever the model


class PooledRoc(NamedTuple):
    """The mixture AUC, the largest distance of the true one from it, and the curve with its bounds."""

    auc: float
    bound: float
    curve: tuple[RocBound, ...]


class Bins(NamedTuple):
    """Bins of one or more sites: edges, counts by reference standard and sums of scores."""

    low: Array
    high: Array
    events: Array
    non_events: Array
    score_sum: Array


Histogram: TypeAlias = Any  # a sequence of ReleasedBin, or an object with edges and counts


def bins_of(histogram: Histogram, row: int = 0) -> Bins:
    """Read a histogram: bins with low, high, events, non_events, or edges with counts.

    Raises
    ------
    MetricError
        If a cell is suppressed, bins overlap, or an edge is outside 0 to 1.
    """
    try:
        columns = _columns(histogram)
    except (TypeError, ValueError, AttributeError):
        raise MetricError(
            f"histogram at row {row}: need bins, or edges with one count fewer than edges"
        ) from None
    return _checked(columns, row)


def _columns(histogram: Histogram) -> list[tuple[Any, ...]]:
    if not hasattr(histogram, "edges"):
        return [(b.low, b.high, b.events, b.non_events, b.score_sum) for b in histogram]
    edges = list(histogram.edges)
    sums = getattr(histogram, "score_sums", None) or [None] * (len(edges) - 1)
    counts = zip(histogram.events, histogram.non_events, sums, strict=True)
    return [(a, b, *row) for (a, b), row in zip(pairwise(edges), counts, strict=True)]


def _checked(columns: list[tuple[Any, ...]], row: int) -> Bins:
    if not columns:
        raise MetricError(f"histogram at row {row}: no bins; leave this site out")
    if any(c == SUPPRESSED for column in columns for c in column[2:4]):
        raise MetricError(f"histogram at row {row}: suppressed cells; leave this site out")
    try:
        table = np.array(
            [[np.nan if x is None else x for x in column] for column in columns], float
        )
    except (TypeError, ValueError, OverflowError):
        raise MetricError(f"histogram at row {row}: not a number in a bin") from None
    bins = Bins(*table[np.argsort(table[:, 0])].T)
    ordered = np.all(bins.low < bins.high) and np.all(bins.high[:-1] <= bins.low[1:])
    counts = np.concatenate([bins.events, bins.non_events])
    if not ordered or not (bins.low[0] >= 0 and bins.high[-1] <= 1):
        raise MetricError(f"histogram at row {row}: bins must follow one another within 0 to 1")
    if not np.all(np.isfinite(counts) & (counts >= 0) & (counts == np.floor(counts))):
        raise MetricError(f"histogram at row {row}: counts must be whole numbers from 0")
    return bins


def together(histograms: Sequence[Histogram]) -> Bins:
    """Combine the histograms of all sites in one table of bins."""
    if not len(histograms):
        raise MetricError("no histogram to pool; give at least one site's bins")
    return summed([bins_of(h, i) for i, h in enumerate(histograms)])


def summed(parts: Sequence[Bins]) -> Bins:
    """Sum equal bins of several tables."""
    low, high, *sums = (np.concatenate(column) for column in zip(*parts, strict=True))
    edges, where = np.unique(np.column_stack([low, high]), axis=0, return_inverse=True)
    where = where.ravel()
    totals = [np.bincount(where, weights=s, minlength=len(edges)) for s in sums]
    events, non_events, score_sum = (np.asarray(t, float) for t in totals)
    return Bins(
        low=edges[:, 0],
        high=edges[:, 1],
        events=events,
        non_events=non_events,
        score_sum=score_sum,
    )


def pooled_roc(histograms: Sequence[Histogram]) -> PooledRoc:
    """Bound the ROC of all sites' cases together.

    Parameters
    ----------
    histograms : per site its bins (`low`, `high`, `events`, `non_events`), or an object with
        `edges`, `events`, `non_events`; bins are [low, high), the last one closed.

    Returns
    -------
    (auc, bound, curve)
        The AUC of the raw scores is within `bound` of `auc` in every case. The curve has one point
        at each edge of any site.

    Raises
    ------
    MetricError
        If a histogram is malformed, or there is no event or no non-event.
    """
    return roc_of(together(histograms))


def roc_of(bins: Bins) -> PooledRoc:
    """`pooled_roc` from one table of all sites' bins."""
    m, n = float(bins.events.sum()), float(bins.non_events.sum())
    if not m or not n:
        raise MetricError("pooled ROC: no events or no non-events; add sites with both")
    below = _mass_before(bins.low, bins.high, bins.non_events)
    not_above = n - _mass_from(bins.high, bins.low, bins.non_events)
    undecided = float(np.sum(bins.events * (not_above - below)))
    wins = float(np.sum(bins.events * below))
    return PooledRoc((wins + undecided / 2) / (m * n), undecided / 2 / (m * n), _curve(bins))


def _mass_before(at: Array, high: Array, mass: Array) -> Array:
    """Sum the mass of bins that end at or before each `at`."""
    order = np.argsort(high)
    cumulative = np.concatenate([[0.0], np.cumsum(mass[order])])
    return np.asarray(cumulative[np.searchsorted(high[order], at, side="right")])


def _mass_from(at: Array, low: Array, mass: Array) -> Array:
    """Sum the mass of bins that begin at or after each `at`."""
    order = np.argsort(low)
    cumulative = np.concatenate([[0.0], np.cumsum(mass[order])])
    return np.asarray(cumulative[-1] - cumulative[np.searchsorted(low[order], at, side="left")])


def _curve(bins: Bins) -> tuple[RocBound, ...]:
    """One point for each edge, from above every score (0, 0) down to the lowest edge (1, 1)."""
    edges = np.unique(np.concatenate([bins.low, bins.high]))[::-1]
    columns = []
    for mass in (bins.non_events, bins.events):
        whole = mass.sum()
        columns.append(_mass_from(edges, bins.low, mass) / whole)
        columns.append((whole - _mass_before(edges, bins.high, mass)) / whole)
    rows = np.column_stack(columns).tolist()
    return tuple(
        # The highest bin is closed: no case is positive only above its edge.
        RocBound(
            threshold=None if i == 0 else edge,
            fpr=(f0 + f1) / 2,
            fpr_bounds=(f0, f1),
            tpr=(t0 + t1) / 2,
            tpr_bounds=(t0, t1),
        )
        for i, (edge, (f0, f1, t0, t1)) in enumerate(zip(edges.tolist(), rows, strict=True))
    )


def calibration_bins(bins: Bins, level: float = 0.95) -> tuple[CalibrationBin, ...]:
    """Sum cases, events and scores between the edges that all sites share; exact."""
    edges = np.unique(np.concatenate([bins.low, bins.high]))
    begun = np.searchsorted(np.sort(bins.low), edges, side="left")
    ended = np.searchsorted(np.sort(bins.high), edges, side="right")
    edges = edges[begun == ended]  # no site's bin crosses these
    where = np.searchsorted(edges, bins.low, side="right") - 1
    return tuple(
        _bin((low, high), bins, where == i, level)
        for i, (low, high) in enumerate(pairwise(edges.tolist()))
    )


def _bin(edges: tuple[float, float], bins: Bins, here: np.ndarray, level: float) -> CalibrationBin:
    events = int(bins.events[here].sum())
    n = events + int(bins.non_events[here].sum())
    score = float(bins.score_sum[here].sum())
    return CalibrationBin(
        low=edges[0],
        high=edges[1],
        n=n,
        events=events,
        mean_score=score / n if n and 0 <= score <= n else None,  # a sum not released, or absurd
        observed=events / n if n else None,
        ci=wilson_interval(events, n, level),
    )


def expected_calibration_error(bins: Sequence[CalibrationBin]) -> float | None:
    """Mean distance of observed rate and mean score over bins, weighted by cases (Naeini 2015)."""
    n = sum(b.n for b in bins)
    if not n or any(b.n and b.mean_score is None for b in bins):
        return None
    gaps = (
        b.n * abs(b.observed - b.mean_score)
        for b in bins
        if b.n and b.observed is not None and b.mean_score is not None
    )
    return sum(gaps) / n


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
    roc: PooledRoc | None = None
    bins: tuple[CalibrationBin, ...] = ()
    if table is not None and table.events.any() and table.non_events.any():
        roc, bins = roc_of(table), calibration_bins(table)
    return PooledDisplay(
        auc=roc.auc if roc else None,
        bound=roc.bound if roc else None,
        curve=roc.curve if roc else (),
        bins=bins,
        ece=expected_calibration_error(bins) if len(bins) >= FEWEST_BINS else None,
        k=len(used),
        excluded=tuple(excluded),
        reason=None if roc else "no histogram with events and non-events",
        ece_reason=f"{len(bins)} of at least {FEWEST_BINS} bins shared by all sites"
        if len(bins) < FEWEST_BINS
        else None,
    )
