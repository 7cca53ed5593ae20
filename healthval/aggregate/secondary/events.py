"""Mean O:E over sites by a Poisson model: sites without events count, and withheld events are bounded."""

import math

import numpy as np

from healthval.aggregate.between_site_variance import Array
from healthval.aggregate.counts import Sites
from healthval.aggregate.effects import LARGEST, count
from healthval.aggregate.meta import MIN_SITES_POOLED, MIN_SITES_PREDICTION, Pair
from healthval.aggregate.mixed.censored import CensoredFit, Count, padded, pieces_of, profile_fit
from healthval.aggregate.secondary.records import EventRatio
from healthval.aggregate.values import Excluded
from healthval.contracts.submission import Submission

_WIDEST = 100.0  # ratio of the ends of an interval; a wider one is not an estimate


def event_ratio(sites: Sites) -> EventRatio:
    """Pool O:E by a Poisson model with a random effect on the log scale.

    A site without events has no O:E on the log scale, but its zero is informative. Of withheld
    events, or of the other cases, there are fewer than the minimum cell.

    References
    ----------
    Stijnen, Hamza & Ozdemir 2010, Stat Med 29:3046.
    """
    found = [(site, _expected(s), _events(s)) for site, s in sites]
    used = [(s, e, events) for (_, s), (_, e, events) in zip(sites, found, strict=True) if e]
    excluded = tuple(Excluded(x, "no expected number of events") for x, e, _ in found if not e)
    if len(used) < MIN_SITES_POOLED:
        why = f"{len(used)} of at least {MIN_SITES_POOLED} sites: not pooled"
        return _ratio([o for *_, o in used], None, excluded, why)
    rows = [
        (i, [(e, *piece)]) for i, (s, e, events) in enumerate(used) for piece in _pieces(s, events)
    ]
    total = sum(o or 0 for *_, o in used) + 0.5
    start = min(10.0, max(-10.0, math.log(total / sum(e for _, e, _ in used))))
    fit = profile_fit(padded(rows, poisson=True), [start])
    wide = not fit.ci[1] - fit.ci[0] <= math.log(_WIDEST)
    reason = "the interval is too wide for an estimate" if wide else None
    return _ratio([o for *_, o in used], None if wide else fit, excluded, reason)


def _expected(s: Submission) -> float | None:
    expected = None if s.calibration is None else s.calibration.expected
    return expected if expected is not None and 1 / LARGEST < expected < LARGEST**2 else None


def _events(s: Submission) -> int | None:
    return None if s.calibration is None else count(s.calibration.observed)


def _pieces(s: Submission, events: int | None) -> list[tuple[Array, Array]]:
    """Possible events of a site, up to its cases."""
    n = count(s.n)
    if events is None:
        return [(values, np.zeros(len(values))) for values in _withheld(n, s)]
    noise = 0.0 if s.noise is None else s.noise.variance
    return pieces_of(Count(n=events * 2 + 100 if n is None else n, value=events, variance=noise))


def _withheld(n: int | None, s: Submission) -> list[Array]:
    """Events, or non-events, below the minimum cell."""
    few = np.arange(float(s.certificate.minimum_cell))
    if n is None:
        return [few]
    if n < 2 * len(few):
        return [np.arange(n + 1.0)]
    return [few, n - few[::-1]]


def _ratio(
    events: list[int | None],
    fit: CensoredFit | None,
    excluded: tuple[Excluded, ...],
    reason: str | None,
) -> EventRatio:
    return EventRatio(
        value=None if fit is None else math.exp(fit.mu),
        ci=None if fit is None else (math.exp(fit.ci[0]), math.exp(fit.ci[1])),
        prediction=None if fit is None else _prediction(fit),
        tau=None if fit is None else fit.tau,
        k=len(events),
        no_events=sum(o == 0 for o in events),
        withheld=sum(o is None for o in events),
        excluded=excluded,
        reason=reason,
    )


def _prediction(fit: CensoredFit) -> Pair | None:
    from scipy.stats import t

    if fit.k < MIN_SITES_PREDICTION:
        return None
    half = float(t.ppf((1 + fit.level) / 2, fit.k - 2)) * math.sqrt(fit.variance + fit.tau**2)
    return math.exp(min(fit.mu - half, fit.ci[0])), math.exp(max(fit.mu + half, fit.ci[1]))
