"""Curves and bins of a submission: on fixed grids, never a few cases between points (pure)."""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from healthval.contracts.proportions import wilson
from healthval.contracts.submission import (
    CurvePoint,
    DecisionPoint,
    ReleasedBin,
    ReleasedCalibration,
    ReleasedEstimate,
    RocPoint,
)
from healthval.disclosure.payload.noisy_estimates import effective_share
from healthval.disclosure.payload.suppression import (
    Cut,
    Draft,
    Shown,
)
from healthval.disclosure.payload.thresholds import released_net_benefit
from healthval.disclosure.policy import GRID_DECIMALS, is_on_grid, rounded, thinned
from healthval.errors import DisclosureRefused
from healthval.metrics.estimate import Estimate
from healthval.metrics.result import Evaluation

FEWEST_CUTS = 4  # (0, 0), (1, 1) and two between: fewer would draw nearly a diagonal
Z_95 = 1.959963984540054  # normal quantile of a two-sided level of 95 %


def released_calibration(draft: Draft, evaluation: Evaluation) -> ReleasedCalibration:
    """Calibration measures, rounded by the class sizes, with the curve."""
    c = evaluation.calibration
    counts = (draft.n, draft.n_events)
    m, n = draft.smaller_class, draft.n

    def one(estimate: Estimate, size: float) -> ReleasedEstimate:
        return draft.estimate(estimate, size, counts=counts)

    return ReleasedCalibration(
        observed=draft.n_events,
        expected=rounded(c.expected, 1),
        oe=one(c.oe, m),
        citl=one(c.citl, m),
        intercept=one(c.intercept, m),
        slope=one(c.slope, m),
        brier=one(c.brier, n),
        scaled_brier=one(c.scaled_brier, m),
        ici_rcs5=one(c.ici_rcs5, n),
        e50=one(c.e50, n),
        e90=one(c.e90, n),
        curve=_calibration_curve(draft, evaluation),
    )


def _calibration_curve(draft: Draft, evaluation: Evaluation) -> tuple[CurvePoint, ...]:
    """Points with enough cases on both sides, thinned to the maximum."""
    d = draft.policy.decimals(draft.n / 10)  # a point depends on about a tenth of the cases
    points = []
    for predicted, observed in evaluation.calibration.curve:
        if not _is_supported(draft, evaluation, predicted):
            continue
        value, lo, hi = (rounded(x, d) for x in (observed.value, observed.lo, observed.hi))
        if value is None or lo is None or hi is None or not is_on_grid(predicted, 3):
            continue
        points.append(
            CurvePoint(predicted=predicted, observed=_unit(value), lo=_unit(lo), hi=_unit(hi))
        )
    return tuple(thinned(points, draft.policy.max_points))


def _is_supported(draft: Draft, evaluation: Evaluation, predicted: float) -> bool:
    h = evaluation.histogram
    sizes = [e + o for e, o in zip(h.events, h.non_events, strict=True)]
    below = sum(size for size, edge in zip(sizes, h.edges[1:], strict=True) if edge <= predicted)
    above = sum(size for size, edge in zip(sizes, h.edges[:-1], strict=True) if edge >= predicted)
    return min(below, above) >= draft.policy.minimum_cell


def _unit(value: float) -> float:
    return min(1.0, max(0.0, value))


def released_decision_curve(
    draft: Draft, evaluation: Evaluation, shown: Shown
) -> tuple[DecisionPoint, ...]:
    """Points at cuts that are shown: net benefit reveals true and false positives."""
    thresholds = [float(t) for t in evaluation.decision_curve.thresholds]
    whole = {at for at, _, _ in shown.whole}
    points = [
        _decision_point(draft, evaluation, i, banded=t not in whole)
        for i, t in enumerate(thresholds)
        if t in whole | shown.banded and t < 1
    ]
    if len(points) < len(thresholds):
        draft.note("decision_curve", "points whose counts may not be shown are withheld")
    return tuple(thinned(points, draft.policy.max_points))


def _decision_point(draft: Draft, evaluation: Evaluation, i: int, *, banded: bool) -> DecisionPoint:
    curve = evaluation.decision_curve
    at = float(curve.thresholds[i])
    model = Estimate(
        value=float(curve.net_benefit[i]),
        lo=float(curve.lo[i]),
        hi=float(curve.hi[i]),
        se=float(curve.se[i]),
        level=curve.level,
        method=curve.method,
        n=curve.n,
        n_events=curve.n_events,
    )
    everyone = net_benefit(draft.n_events, draft.n_non_events, draft.n, at)
    return DecisionPoint(
        threshold=at,
        model=released_net_benefit(draft, model, banded),
        treat_all=rounded(everyone, draft.policy.decimals(draft.n)),
    )


def net_benefit(tp: float, fp: float, n: int, threshold: float) -> float:
    """Net benefit per case (Vickers and Elkin 2006)."""
    return (tp - fp * threshold / (1 - threshold)) / n


def released_histogram(
    draft: Draft, evaluation: Evaluation, shown: Shown
) -> tuple[ReleasedBin, ...]:
    """Merge adjacent bins until the counts of each class fit each other and the shown cuts."""
    h = evaluation.histogram
    if not all(is_on_grid(edge, GRID_DECIMALS) for edge in h.edges):
        raise DisclosureRefused(
            "histogram", f"a bin edge has more than {GRID_DECIMALS} decimals", "use the fixed grid"
        )
    inner = range(1, len(h.edges) - 1)
    cuts = [
        Cut(key=i, at=h.edges[i], tp=sum(h.events[i:]), fp=sum(h.non_events[i:])) for i in inner
    ]
    kept = thinned([cut.key for cut in shown.chain_of_bins(cuts)], draft.policy.max_points - 1)
    for i in kept:
        shown.show(cuts[i - 1], events=True, non_events=True)
    edges = [0, *kept, len(h.edges) - 1]
    return tuple(
        ReleasedBin(
            low=h.edges[a],
            high=h.edges[b],
            events=sum(h.events[a:b]),
            non_events=sum(h.non_events[a:b]),
            score_sum=rounded(math.fsum(h.score_sums[a:b]), 1),
        )
        for a, b in pairwise(edges)
    )


def released_roc(draft: Draft, evaluation: Evaluation, shown: Shown) -> tuple[RocPoint, ...]:
    """Draw the ROC through the shown cuts, read at the fixed false-positive rates.

    It is a function of shown counts only, so an inversion reveals no further count.
    """
    grid = [x for x, _ in evaluation.roc]
    if not all(is_on_grid(x, 2) for x in grid):
        raise DisclosureRefused(
            "roc", "a false-positive rate is off the grid of 0.01", "interpolate at the fixed grid"
        )
    if len(shown.whole) < FEWEST_CUTS:
        draft.note("roc", "too few cuts can be shown to draw a curve")
        return ()
    grid = thinned(sorted(set(grid)), draft.policy.max_points)
    return roc_through(
        shown.whole, grid, draft.policy.decimals(draft.n_events), variance=draft.variance
    )


def roc_through(
    cuts: Sequence[tuple[float, int, int]],
    grid: Sequence[float],
    decimals: int,
    *,
    variance: float = 0.0,
) -> tuple[RocPoint, ...]:
    """Sensitivity at each rate of the grid, linear between cuts.

    The interval is from Wilson's lower limit at the cut before to the upper one at the cut after:
    the site's own curve rises from one to the other in a way that the cuts do not show.

    Parameters
    ----------
    cuts : (at, tp, fp) in growing order of `at`, from all cases to none
    variance : of the noise of a count; the interval includes it
    """
    ordered = sorted(cuts, reverse=True)
    tp, fp = (np.array([cut[i] for cut in ordered], dtype=float) for i in (1, 2))
    m, n = tp[-1], fp[-1]
    reach = 2 * math.sqrt(variance)
    # At a jump the upper end counts: np.interp needs abscissae that grow.
    at = np.asarray(grid) * n
    hits = np.interp(at, fp + 1e-9 * np.arange(fp.size), tp)
    before = tp[np.maximum(np.searchsorted(fp + reach, at, side="right") - 1, 0)]
    after = tp[np.minimum(np.searchsorted(fp - reach, at, side="left"), fp.size - 1)]
    ends = zip(np.minimum(before, hits).tolist(), np.maximum(after, hits).tolist(), strict=True)
    return tuple(
        _roc_point((x, k / m), _roc_interval(pair, float(m), variance), decimals)
        for x, k, pair in zip(grid, hits.tolist(), ends, strict=True)
    )


def _roc_interval(hits: tuple[float, float], m: float, variance: float) -> tuple[float, float]:
    """Lower limit at the first number of hits, and upper limit at the second."""
    shares = [effective_share(k, m, variance) if variance else 1.0 for k in hits]
    low, high = (wilson(k * s, m * s, Z_95) for k, s in zip(hits, shares, strict=True))
    return low[0], high[1]


def _roc_point(at: tuple[float, float], interval: tuple[float, float], decimals: int) -> RocPoint:
    tpr, lo, hi = (_unit(rounded(x, decimals) or 0.0) for x in (at[1], *interval))
    return RocPoint(fpr=at[0], tpr=tpr, lo=lo, hi=hi)
