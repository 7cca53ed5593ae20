"""Thresholds, curves and bins of a submission: on fixed grids, never a few cases between points (pure)."""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TypeAlias

import numpy as np

from healthval.contracts.proportions import wilson
from healthval.contracts.submission import (
    SUPPRESSED,
    Band,
    Cell,
    CurvePoint,
    DecisionPoint,
    ReleasedBin,
    ReleasedCalibration,
    ReleasedConfusion,
    ReleasedEstimate,
    ReleasedThreshold,
    RocPoint,
    Submission,
    band_of,
)
from healthval.disclosure.payload.noisy_estimates import effective_share
from healthval.disclosure.payload.suppression import (
    WITHHELD,
    Cut,
    Draft,
    Earlier,
    Shown,
)
from healthval.disclosure.policy import GRID_DECIMALS, is_on_grid, rounded, thinned
from healthval.errors import DisclosureRefused
from healthval.metrics.estimate import Estimate
from healthval.metrics.result import Evaluation, ThresholdResult

Pair: TypeAlias = tuple[Cell | Band, Cell | Band]
Bands: TypeAlias = tuple[Pair | None, Pair | None]  # of the events' cells, and of the non-events'
FEWEST_CUTS = 4  # (0, 0), (1, 1) and two between: fewer would draw nearly a diagonal
BAND_DECIMALS = 2  # of a rate whose counts are bands
Z_95 = 1.959963984540054  # normal quantile of a two-sided level of 95 %


def shown_cuts(submission: Submission) -> Iterator[tuple[str, float, int]]:
    """Every shown cut of a submission, class by class: ("true" or "false", at, positives)."""
    for t in submission.thresholds:
        if isinstance(t.confusion.tp, int):
            yield "true", t.threshold, t.confusion.tp
        if isinstance(t.confusion.fp, int):
            yield "false", t.threshold, t.confusion.fp
    if submission.histogram_noise is None:
        yield from _bin_cuts(submission)


def _bin_cuts(submission: Submission) -> Iterator[tuple[str, float, int]]:
    tp = fp = 0
    for b in reversed(submission.histogram):
        if not isinstance(b.events, int) or not isinstance(b.non_events, int):
            return
        tp, fp = tp + b.events, fp + b.non_events
        if b.low > 0:
            yield "true", b.low, tp
            yield "false", b.low, fp


def shown_before(draft: Draft) -> Shown:
    """Cuts that earlier releases showed of the same cases, or of fewer or more of them."""
    shown = Shown.of_classes(draft.policy, n_events=draft.n_events, n_non_events=draft.n_non_events)
    for s in draft.context.same:
        for kind, at, count in shown_cuts(s):
            (shown.tp if kind == "true" else shown.fp).setdefault(at, count)
    shown.earlier = tuple(_earlier(s) for s in draft.context.nested)
    return shown


def _earlier(s: Submission) -> Earlier:
    cuts = list(shown_cuts(s))
    events = s.n_events if isinstance(s.n_events, int) else 0
    others = s.n - events if isinstance(s.n, int) else 0
    tp = {at: count for kind, at, count in cuts if kind == "true"}
    fp = {at: count for kind, at, count in cuts if kind == "false"}
    return Earlier(events, others, tp, fp)


def released_thresholds(
    draft: Draft, evaluation: Evaluation, shown: Shown | None
) -> tuple[ReleasedThreshold, ...]:
    """Thresholds with both classes where they fit, else with one; without counts if `shown` is None."""
    found = _on_grid(draft, evaluation)
    if shown is None:
        none: Bands = (None, None)
        return tuple(_threshold(draft, t, none, events=False, non_events=False) for t in found)
    cuts = [_cut(i, t) for i, t in enumerate(found)]
    whole = {cut.key for cut in shown.chain(cuts)}
    out = []
    for cut, t in zip(cuts, found, strict=True):
        # The score totals are known, so that one class of a perturbed cut gives the other.
        alone = draft.policy.noise_scale is None
        events = cut.key in whole or (alone and shown.fits_events(cut))
        non_events = cut.key in whole or (alone and shown.fits_non_events(cut))
        bands = _bands(draft, t, events=events, non_events=non_events)
        shown.show(cut, events=events and not bands[0], non_events=non_events and not bands[1])
        shown.banded |= {cut.at} if any(bands) and events and non_events else set()
        out.append(_threshold(draft, t, bands, events=events, non_events=non_events))
    return tuple(out)


def _on_grid(draft: Draft, evaluation: Evaluation) -> list[ThresholdResult]:
    """Thresholds that can be named; a threshold found on the data is a patient's score."""
    named = []
    for t in evaluation.thresholds:
        decimals = GRID_DECIMALS if t.origin == "pre-specified" else 2
        if is_on_grid(t.threshold, decimals):
            named.append(t)
        elif t.origin == "pre-specified":
            raise DisclosureRefused(
                "thresholds",
                f"a pre-specified threshold has more than {GRID_DECIMALS} decimals",
                "state it in the plan with fewer decimals",
            )
        else:
            draft.note(
                "thresholds", "found on the data with more than 2 decimals: a patient's score"
            )
    if len({t.threshold for t in named}) < len(named):
        raise DisclosureRefused("thresholds", "a threshold is given twice", "give each once")
    return named[: draft.policy.max_points]


def _cut(key: int, t: ThresholdResult) -> Cut:
    # Pre-specified thresholds outweigh any number of others; an earlier one breaks a tie.
    weight = (1000.0 if t.origin == "pre-specified" else 1.0) - key / 1000
    return Cut(key=key, at=t.threshold, tp=t.confusion.tp, fp=t.confusion.fp, weight=weight)


def _bands(draft: Draft, t: ThresholdResult, *, events: bool, non_events: bool) -> Bands:
    """Bands of the two cells of each class where one of them may not be a number."""
    c = t.confusion
    classes = (((c.tp, c.fn), events), ((c.fp, c.tn), non_events))
    first, second = (
        bands_of(pair, draft.policy.minimum_cell)
        if shown and not all(draft.policy.shows_cell(x) for x in pair)
        else None
        for pair, shown in classes
    )
    return first, second


def bands_of(pair: tuple[int, int], floor: int) -> Pair:
    """Bands of a class's two cells, one of which is below the floor: up to the floor, and the rest.

    Examples
    --------
    >>> bands_of((4, 36), 11), bands_of((30, 8), 11)
    (('<11', '30-40'), ('28-38', '<11'))
    """
    size, most = sum(pair), floor - 1
    first, second = (
        band_of(0, most) if own <= most else band_of(size - most, size) for own in pair
    )
    return first, second


def _threshold(
    draft: Draft, t: ThresholdResult, bands: Bands, *, events: bool, non_events: bool
) -> ReleasedThreshold:
    both = events and non_events
    if not both or any(bands):
        draft.note(
            f"thresholds[{t.threshold:g}]",
            f"a cell, or its difference to a neighbouring threshold, is below "
            f"{draft.policy.minimum_cell}",
        )
    c = t.confusion
    hidden: Pair = (SUPPRESSED, SUPPRESSED)
    tp, fn = bands[0] or ((c.tp, c.fn) if events else hidden)
    fp, tn = bands[1] or ((c.fp, c.tn) if non_events else hidden)

    def rate(e: Estimate, pair: tuple[int, int], *, events: bool, others: bool) -> ReleasedEstimate:
        if (events and tp == SUPPRESSED) or (others and fp == SUPPRESSED):
            return WITHHELD
        right, size = pair[0], sum(pair)
        if (events and bands[0]) or (others and bands[1]):
            public = () if events and others else (size,)
            return draft.estimate(e, size, counts=public, most=BAND_DECIMALS)
        return draft.estimate(e, size, counts=(right, size))

    return ReleasedThreshold(
        threshold=t.threshold,
        origin=t.origin,
        confusion=ReleasedConfusion(tp=tp, fp=fp, fn=fn, tn=tn),
        sensitivity=rate(t.sensitivity, (c.tp, c.fn), events=True, others=False),
        specificity=rate(t.specificity, (c.tn, c.fp), events=False, others=True),
        ppv=rate(t.ppv, (c.tp, c.fp), events=True, others=True),
        npv=rate(t.npv, (c.tn, c.fn), events=True, others=True),
        net_benefit=_net_benefit(draft, t.net_benefit, any(bands)) if both else WITHHELD,
    )


def _net_benefit(draft: Draft, e: Estimate, banded: bool) -> ReleasedEstimate:
    most = BAND_DECIMALS if banded else draft.policy.max_decimals
    return draft.estimate(e, draft.n, counts=(draft.n_events, draft.n), most=most)


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
        model=_net_benefit(draft, model, banded),
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
