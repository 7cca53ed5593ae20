"""Value of each measure at a site, and the values that it can have where the site withheld it."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from healthval.aggregate.counts import wilson_interval
from healthval.aggregate.effects import (
    IDENTITY,
    LOG,
    LOGIT,
    PROPORTION,
    Transform,
    count,
    effect_of,
)
from healthval.contracts.submission import ReleasedEstimate, ReleasedThreshold, Submission

Pair: TypeAlias = tuple[float, float]

RATES: Mapping[str, tuple[str, str]] = {
    "sensitivity": ("tp", "fn"),
    "specificity": ("tn", "fp"),
    "ppv": ("tp", "fp"),
    "npv": ("tn", "fn"),
}
_CONDITIONAL = {"sensitivity", "specificity"}  # the two cells of the rate add up to a margin
_EVENTS = {"tp", "fn"}
_STEPS = 8  # of the grid over a withheld value
FEW = 10  # cases; a withheld count is often at most this, and a rate of them is hardly known


@dataclass(frozen=True, slots=True)
class SiteEffect:
    """A site's value on the scale of the report; effect and variance on the scale of analysis.

    `cases` are those that the value is a rate of; None if they are not counted.
    """

    value: float
    effect: float
    variance: float
    cases: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """A measure as it is read from a release.

    `own` is the site's estimate with its interval. `known` is the effect to pool, None if the site
    released none. `possible` contains the effects that a withheld value can have: empty if the site
    cannot have the measure, None if its values have no bounds.
    """

    scale: Transform
    from_counts: bool
    own: Callable[[Submission], tuple[float | None, Pair | None]]
    known: Callable[[Submission], SiteEffect | None]
    possible: Callable[[Submission], tuple[SiteEffect, ...] | None]


def reader(name: str, threshold: float | None) -> Measure:
    """Return the reader of a measure; rates and net benefit are at a pre-specified threshold."""
    if name in RATES:
        return _rate(name, threshold)
    if name == "net_benefit":
        return _net_benefit(threshold)
    return _estimate(name)


def released_at(release: Submission, threshold: float | None) -> ReleasedThreshold | None:
    """Return a site's results at a pre-specified threshold."""
    return next(
        (t for t in release.thresholds if t.threshold == threshold and t.origin == "pre-specified"),
        None,
    )


def _own(found: ReleasedEstimate | None) -> tuple[float | None, Pair | None]:
    if found is None or found.value is None:
        return None, None
    return found.value, None if found.lo is None or found.hi is None else (found.lo, found.hi)


def _read(found: ReleasedEstimate | None, scale: Transform) -> SiteEffect | None:
    effect = effect_of(found, scale)
    if isinstance(effect, str) or found is None or found.value is None:
        return None
    return SiteEffect(found.value, effect[0], effect[1] ** 2)


def _margin(s: Submission, *, events: bool) -> int | None:
    """Return the released number of cases with the condition, or without it."""
    n, n_events = count(s.n), count(s.n_events)
    if n is None or n_events is None:
        return None
    return n_events if events else n - n_events


# Measures that a site releases as an estimate.

_ON_SCALE = {"auroc": LOGIT, "oe": LOG, "citl": IDENTITY, "slope": IDENTITY, "brier": IDENTITY}


def _estimate(name: str) -> Measure:
    def released(s: Submission) -> ReleasedEstimate | None:
        return s.auroc if name == "auroc" else getattr(s.calibration, name, None)

    scale = _ON_SCALE[name]
    grids = {"auroc": _any_auroc, "oe": _any_ratio, "brier": _any_brier}
    unbounded: Callable[[Submission], None] = lambda _: None  # noqa: E731
    return Measure(
        scale=scale,
        from_counts=False,
        own=lambda s: _own(released(s)),
        known=lambda s: _read(released(s), scale),
        possible=grids.get(name, unbounded),
    )


def _any_auroc(s: Submission) -> tuple[SiteEffect, ...] | None:
    """Return AUROCs over 0 to 1 with the standard errors of Hanley & McNeil (1982)."""
    n, events = count(s.n), count(s.n_events)
    if n is None:
        return None
    if s.auroc.value is not None and events:  # at the edge of the scale
        return _aurocs([s.auroc.value], events, n - events)
    sizes = {min(FEW, n - 1), n // 2, max(n - FEW, 1)} if events is None else {events}
    values = [_expit(x) for x in _grid(-6.0, 6.0)]
    return tuple(e for m in sorted(sizes) if 0 < m < n for e in _aurocs(values, m, n - m))


def _aurocs(values: list[float], m: int, n: int) -> tuple[SiteEffect, ...]:
    least = 0.5 / (m * n + 1)
    found = []
    for value in values:
        a = min(max(value, least), 1 - least)
        q1, q2 = a / (2 - a), 2 * a * a / (1 + a)
        variance = (a * (1 - a) + (m - 1) * (q1 - a * a) + (n - 1) * (q2 - a * a)) / (m * n)
        found.append(
            SiteEffect(value, LOGIT.forward(a), max(variance, least**2) / (a * (1 - a)) ** 2)
        )
    return tuple(found)


def _any_ratio(s: Submission) -> tuple[SiteEffect, ...] | None:
    """Return O:E for each number of observed events from none to all cases."""
    n = count(s.n)
    expected = None if s.calibration is None else s.calibration.expected
    if n is None or not expected or expected <= 0:
        return None
    most = n if count(s.n_events) is None else count(s.n_events) or 0
    observed = sorted({round(x) for x in _grid(0, most)} | {min(FEW, most)})
    return tuple(
        SiteEffect(o / expected, math.log((o or 0.5) / expected), 1 / (o or 0.5)) for o in observed
    )


def _any_brier(s: Submission) -> tuple[SiteEffect, ...] | None:
    n = count(s.n)
    if not n:
        return None
    return tuple(SiteEffect(x, x, max(x * (1 - x), 1e-4) / n) for x in _grid(0.0, 1.0))


def _grid(low: float, high: float) -> Iterator[float]:
    return (low + (high - low) * i / _STEPS for i in range(_STEPS + 1))


def _expit(x: float) -> float:
    return 1 / (1 + math.exp(-x))


# Rates and net benefit, from the counts at a threshold.


def _rate(name: str, threshold: float | None) -> Measure:
    def released(s: Submission) -> ReleasedEstimate | None:
        return getattr(released_at(s, threshold), name, None)

    def cells(s: Submission) -> tuple[int | None, int | None]:
        return _cells(s, threshold, RATES[name])

    def own(s: Submission) -> tuple[float | None, Pair | None]:
        found = released(s)
        yes, no = cells(s)
        if (found is None or found.value is None) and yes is not None and no is not None:
            return (yes / (yes + no), wilson_interval(yes, yes + no)) if yes + no else (None, None)
        return _own(found)

    def known(s: Submission) -> SiteEffect | None:
        yes, no = cells(s)
        if yes is None or no is None:
            return _read(released(s), PROPORTION)
        return _proportion(yes, no, _noise(s)) if yes + no else None

    def possible(s: Submission) -> tuple[SiteEffect, ...] | None:
        return _any_rate(s, name, *cells(s))

    return Measure(scale=LOGIT, from_counts=True, own=own, known=known, possible=possible)


def _cells(
    s: Submission, threshold: float | None, names: tuple[str, str]
) -> tuple[int | None, int | None]:
    here = released_at(s, threshold)
    if here is None:
        return None, None
    first, second = (count(getattr(here.confusion, name)) for name in names)
    return first, second


def _noise(s: Submission) -> float:
    """Return the variance of the gate's noise on a count."""
    return 0.0 if s.noise is None else s.noise.variance


def _proportion(yes: int, no: int, noise: float = 0.0) -> SiteEffect:
    half = 0.0 if yes and no else 0.5
    a, b = yes + half, no + half
    odds = 1 / a + 1 / b
    return SiteEffect(yes / (yes + no), math.log(a / b), odds + noise * odds**2, yes + no)


def _any_rate(
    s: Submission, name: str, yes: int | None, no: int | None
) -> tuple[SiteEffect, ...] | None:
    """Return the rate for each split of its cases, from none to all counted for it.

    The counts are not narrowed down by other released cells: a withheld cell is between none and
    all cases with, or without, the condition.
    """
    n = count(s.n)
    if n is None:
        return None
    if name in _CONDITIONAL:
        margin = _margin(s, events=name == "sensitivity")
        sizes = {min(FEW, n), n} if margin is None else {margin}
        pairs = [(m * f, m * (1 - f)) for m in sorted(sizes) for f in _grid(0.0, 1.0)]
    else:
        a, b = (_most(s, cell, n) for cell in RATES[name])
        pairs = [
            (a * f if yes is None else yes, b * (1 - f) if no is None else no)
            for f in _grid(0.0, 1.0)
        ]
    found = [_proportion(round(a), round(b)) for a, b in pairs if round(a) + round(b)]
    return tuple(sorted(found, key=lambda e: e.effect))


def _most(s: Submission, cell: str, n: int) -> int:
    margin = _margin(s, events=cell in _EVENTS)
    return n if margin is None else margin


def _net_benefit(threshold: float | None) -> Measure:
    odds = (threshold or 0.0) / (1 - (threshold or 0.0)) if threshold != 1 else math.inf

    def effect(s: Submission, tp: float, fp: float) -> SiteEffect | None:
        n = count(s.n)
        if not n:
            return None
        value = tp / n - odds * fp / n
        variance = max(tp / n + odds**2 * fp / n - value**2, 1 / n**2) / n
        variance += _noise(s) * ((1 + odds) / n) ** 2
        return SiteEffect(value, value, variance, n)

    def known(s: Submission) -> SiteEffect | None:
        tp, fp = _cells(s, threshold, ("tp", "fp"))
        if tp is None or fp is None or count(s.n) is None:
            return _read(getattr(released_at(s, threshold), "net_benefit", None), IDENTITY)
        return effect(s, tp, fp)

    def own(s: Submission) -> tuple[float | None, Pair | None]:
        released = getattr(released_at(s, threshold), "net_benefit", None)
        found = known(s)
        if (released is not None and released.value is not None) or found is None:
            return _own(released)
        half = 1.959963984540054 * math.sqrt(found.variance)
        return found.value, (found.value - half, found.value + half)

    def possible(s: Submission) -> tuple[SiteEffect, ...] | None:
        n = count(s.n)
        if not n:
            return None
        a, b = (_most(s, cell, n) for cell in ("tp", "fp"))
        found = (effect(s, a * f, b * (1 - f)) for f in _grid(0.0, 1.0))
        return tuple(e for e in found if e is not None)

    return Measure(scale=IDENTITY, from_counts=True, own=own, known=known, possible=possible)
