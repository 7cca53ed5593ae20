"""Thresholds of a submission: counts, bands below the floor, and rates (pure)."""

from collections.abc import Iterator
from typing import TypeAlias

from healthval.contracts.submission import (
    SUPPRESSED,
    Band,
    Cell,
    ReleasedConfusion,
    ReleasedEstimate,
    ReleasedThreshold,
    Submission,
    band_of,
)
from healthval.disclosure.payload.suppression import (
    WITHHELD,
    Cut,
    Draft,
    Earlier,
    Shown,
)
from healthval.disclosure.policy import GRID_DECIMALS, is_on_grid
from healthval.errors import DisclosureRefused
from healthval.metrics.estimate import Estimate
from healthval.metrics.result import Evaluation, ThresholdResult

Pair: TypeAlias = tuple[Cell | Band, Cell | Band]
Bands: TypeAlias = tuple[Pair | None, Pair | None]  # of the events' cells, and of the non-events'
BAND_DECIMALS = 2  # of a rate whose counts are bands


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
    """Thresholds with both classes where they fit, else with none; without counts if `shown` is None."""
    found = _on_grid(draft, evaluation)
    if shown is None:
        none: Bands = (None, None)
        return tuple(_threshold(draft, t, none, events=False, non_events=False) for t in found)
    cuts = [_cut(i, t) for i, t in enumerate(found)]
    whole = {cut.key for cut in shown.chain(cuts)}
    out = []
    for cut, t in zip(cuts, found, strict=True):
        # The score totals are known, so that one class of a cut gives the other.
        both = cut.key in whole
        bands = _bands(draft, t, events=both, non_events=both)
        shown.show(cut, events=both and not bands[0], non_events=both and not bands[1])
        shown.banded |= {cut.at} if any(bands) and both else set()
        out.append(_threshold(draft, t, bands, events=both, non_events=both))
    return tuple(out)


def _on_grid(draft: Draft, evaluation: Evaluation) -> list[ThresholdResult]:
    """Thresholds of the plan; one found on the data states the outcomes of the cases beside it."""
    named = [t for t in evaluation.thresholds if t.origin == "pre-specified"]
    if not all(is_on_grid(t.threshold, GRID_DECIMALS) for t in named):
        raise DisclosureRefused(
            "thresholds",
            f"a pre-specified threshold has more than {GRID_DECIMALS} decimals",
            "state it in the plan with fewer decimals",
        )
    if len(named) < len(evaluation.thresholds):
        draft.note("thresholds", "found on the data: it states the outcomes of the cases beside it")
    if len({t.threshold for t in named}) < len(named):
        raise DisclosureRefused("thresholds", "a threshold is given twice", "give each once")
    return named[: draft.policy.max_points]


def _cut(key: int, t: ThresholdResult) -> Cut:
    # An earlier threshold of the plan breaks a tie.
    c = t.confusion
    return Cut(key=key, at=t.threshold, tp=c.tp, fp=c.fp, weight=1.0 - key / 1000)


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
        net_benefit=released_net_benefit(draft, t.net_benefit, any(bands)) if both else WITHHELD,
    )


def released_net_benefit(draft: Draft, e: Estimate, banded: bool) -> ReleasedEstimate:
    """Round a net benefit; to few decimals where its counts are bands."""
    most = BAND_DECIMALS if banded else draft.policy.max_decimals
    return draft.estimate(e, draft.n, counts=(draft.n_events, draft.n), most=most)
