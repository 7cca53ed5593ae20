"""Curves and bins of a submission: on fixed grids, and no few cases between two points (pure)."""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from healthval.contracts.proportions import wilson
from healthval.contracts.submission import CurvePoint, DecisionPoint, ReleasedBin, RocPoint
from healthval.disclosure.payload.context import GRID_DECIMALS, Draft, is_on_grid, rounded, thinned
from healthval.disclosure.payload.suppression import Cut, Shown, longest_chain
from healthval.errors import DisclosureRefused
from healthval.metrics.result import Evaluation

FEWEST_CUTS = 4  # (0, 0), (1, 1) and two between: fewer would draw nearly a diagonal


def released_curve(draft: Draft, evaluation: Evaluation) -> tuple[CurvePoint, ...]:
    """Points with enough cases on either side, thinned to the maximum."""
    d = draft.policy.decimals(draft.n / 10)  # a point leans on about a tenth of the cases
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
    """Points at cuts whose counts are shown: net benefit gives true and false positives away."""
    curve = evaluation.decision_curve
    known = {at: (tp, fp) for at, tp, fp in shown.whole}
    points = [
        DecisionPoint(
            threshold=float(t),
            model=draft.estimate(estimate, draft.n, counts=(draft.n, draft.n_events)),
            treat_all=rounded(
                net_benefit(draft.n_events, draft.n_non_events, draft.n, float(t)),
                draft.policy.decimals(draft.n),
            ),
        )
        for t, estimate in zip(curve.thresholds, curve.estimates, strict=True)
        if float(t) in known and t < 1
    ]
    if len(points) < len(curve.thresholds):
        draft.note("decision_curve", "points at which counts may not be known are left out")
    return tuple(thinned(points, draft.policy.max_points))


def net_benefit(tp: int, fp: int, n: int, threshold: float) -> float:
    """Net benefit per case (Vickers and Elkin 2006)."""
    return (tp - fp * threshold / (1 - threshold)) / n


def released_histogram(
    draft: Draft, evaluation: Evaluation, shown: Shown
) -> tuple[ReleasedBin, ...]:
    """Merge adjacent bins until each class has no case or enough, and neighbours of cuts too."""
    h = evaluation.histogram
    if not all(is_on_grid(edge, GRID_DECIMALS) for edge in h.edges):
        raise DisclosureRefused(
            "histogram", f"a bin edge has more than {GRID_DECIMALS} decimals", "use the fixed grid"
        )
    inner = range(1, len(h.edges) - 1)
    cuts = [Cut(i, h.edges[i], sum(h.events[i:]), sum(h.non_events[i:])) for i in inner]
    chosen = longest_chain([c for c in cuts if _fits_both(shown, c)], draft.policy)
    kept = thinned([cut.key for cut in chosen], draft.policy.max_points - 1)
    shown.admit([cuts[i - 1] for i in kept])
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


def _fits_both(shown: Shown, cut: Cut) -> bool:
    return shown.fits_events(cut) and shown.fits_non_events(cut)


def released_roc(draft: Draft, evaluation: Evaluation, shown: Shown) -> tuple[RocPoint, ...]:
    """Draw the ROC through the cuts that are shown, read at the fixed false-positive rates.

    It is a function of counts shown already, so that it cannot be inverted to anything else.
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
    return roc_through(shown.whole, grid, draft.policy.decimals(draft.n_events))


def roc_through(
    cuts: Sequence[tuple[float, int, int]], grid: Sequence[float], decimals: int
) -> tuple[RocPoint, ...]:
    """Sensitivity at each rate of the grid, linear between cuts, with Wilson's interval.

    Parameters
    ----------
    cuts : (at, tp, fp) in growing order of `at`, from all cases to none
    """
    ordered = sorted(cuts, reverse=True)
    tp, fp = (np.array([cut[i] for cut in ordered], dtype=float) for i in (1, 2))
    m, n = tp[-1], fp[-1]
    # At a jump the upper end counts: np.interp needs abscissae that grow.
    hits = np.interp(np.asarray(grid) * n, fp + 1e-9 * np.arange(fp.size), tp)
    return tuple(_roc_point(x, k, m, decimals) for x, k in zip(grid, hits, strict=True))


def _roc_point(fpr: float, hits: float, m: float, decimals: int) -> RocPoint:
    lo, hi = wilson(hits, m, 1.959963984540054)
    tpr, lo, hi = (_unit(rounded(x, decimals) or 0.0) for x in (hits / m, lo, hi))
    return RocPoint(fpr=fpr, tpr=tpr, lo=lo, hi=hi)
