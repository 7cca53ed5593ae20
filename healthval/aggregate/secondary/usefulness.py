"""Net benefit against the better default, and the chance that the model is useful at a new site."""

import math
from collections.abc import Sequence

from healthval.aggregate.counts import Sites, withheld
from healthval.aggregate.effects import IDENTITY, Named, pool_measure
from healthval.aggregate.mixed.withheld import SENSITIVITY, SPECIFICITY, hits_of, rounding_variance
from healthval.aggregate.secondary.records import Usefulness
from healthval.contracts.submission import ReleasedEstimate, ReleasedThreshold, Submission

_MOST = 10**12  # cases that a release can name
_WITHHELD = ReleasedEstimate(withheld="suppressed")
_HIDDEN = _WITHHELD.model_copy(update={"method": "hidden counts"})


def usefulness(sites: Sites) -> tuple[Usefulness, ...]:
    """Pool, at each pre-specified threshold, the gain over treating all or none.

    The better default at a site is treating all where the prevalence is at least the threshold. Counts
    that a site released as bands are those of its rates. There is no gain where a site withheld counts,
    except one that withheld the sizes of its classes: it is left out.

    References
    ----------
    Wynants 2018, Stat Med 37:2034.
    """
    by_site = [
        (site, s, {t.threshold: t for t in s.thresholds if t.origin == "pre-specified"})
        for site, s in sites
    ]
    thresholds = sorted({t for *_, found in by_site for t in found if t < 1})
    return tuple(_at(t, [(x, s, f.get(t)) for x, s, f in by_site]) for t in thresholds)


def _at(
    threshold: float, rows: Sequence[tuple[str, Submission, ReleasedThreshold | None]]
) -> Usefulness:
    found = [(site, None if at is None else _released(s, at, threshold)) for site, s, at in rows]
    hidden = sum(e == _HIDDEN for _, e in found)
    named: list[Named] = [(site, _WITHHELD if e == _HIDDEN else e) for site, e in found]
    gain = pool_measure("gain", [] if hidden else named, IDENTITY)
    reason = withheld(hidden, len(rows)) if hidden else gain.reason
    chance = gain.meta.probability_between(0, math.inf) if gain.meta else None
    return Usefulness(threshold=threshold, gain=gain, p_useful=chance, reason=reason)


def _released(s: Submission, at: ReleasedThreshold, threshold: float) -> ReleasedEstimate:
    """Gain of a site; its reason tells a site that withheld counts from one that withheld the classes."""
    events, others = (hits_of(s, at, side) for side in (SENSITIVITY, SPECIFICITY))
    if events is None or others is None:
        return _WITHHELD
    (tp, m), (tn, k) = events, others
    if tp is None or tn is None:
        return _HIDDEN
    return _gain((tp, k - tn, m - tp, tn), threshold, _variance(s, at, threshold))


def _variance(s: Submission, at: ReleasedThreshold, threshold: float) -> tuple[float, float]:
    """Variance of a count's noise, and that of a sum of hits and rejections by the rounding of rates."""
    events, others = (rounding_variance(s, at, side) for side in (SENSITIVITY, SPECIFICITY))
    odds = threshold / (1 - threshold)
    return 0.0 if s.noise is None else s.noise.variance, events + odds**2 * others


def _gain(
    cells: tuple[int, int, int, int], threshold: float, variances: tuple[float, float]
) -> ReleasedEstimate:
    """Difference in net benefit to the better default, with its multinomial standard error."""
    tp, fp, fn, tn = cells
    n, odds = tp + fp + fn + tn, threshold / (1 - threshold)
    if not 0 < n <= _MOST:
        return ReleasedEstimate(withheld="not_estimable")
    treat_all = tp + fn >= threshold * n
    gained, lost, noisy = (odds * tn, fn, 2) if treat_all else (tp, odds * fp, 1)
    squares = odds**2 * tn + fn if treat_all else tp + odds**2 * fp
    value = (gained - lost) / n
    noise, rounding = variances
    variance = max(squares / n - value**2, 1 / n**2) / n
    variance += (noisy * noise * (1 + odds) ** 2 + rounding) / n**2
    return ReleasedEstimate(
        value=value, se=math.sqrt(variance), method="multinomial", n=n, n_events=tp + fn
    )
