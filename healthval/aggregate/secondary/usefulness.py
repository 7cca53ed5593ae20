"""Net benefit against the better default, and the chance that the model is useful at a new site."""

import math
from collections.abc import Sequence

from healthval.aggregate.counts import Cells, Sites, cells_of, withheld
from healthval.aggregate.effects import IDENTITY, Named, pool_measure
from healthval.aggregate.secondary.records import Usefulness
from healthval.contracts.submission import SUPPRESSED, ReleasedEstimate, ReleasedThreshold

_MOST = 10**12  # cases that a release can name


def usefulness(sites: Sites) -> tuple[Usefulness, ...]:
    """Pool, at each pre-specified threshold, the gain over treating all or none.

    The better default at a site is treating all where the prevalence is at least the threshold.

    References
    ----------
    Wynants 2018, Stat Med 37:2034.
    """
    by_site = [
        (site, s, {t.threshold: t for t in s.thresholds if t.origin == "pre-specified"})
        for site, s in sites
    ]
    thresholds = sorted({t for *_, found in by_site for t in found if t < 1})
    return tuple(
        _at(t, [(x, 0.0 if s.noise is None else s.noise.variance, f.get(t)) for x, s, f in by_site])
        for t in thresholds
    )


def _at(
    threshold: float, rows: Sequence[tuple[str, float, ReleasedThreshold | None]]
) -> Usefulness:
    named: list[Named] = []
    hidden = 0
    for i, (site, noise, at) in enumerate(rows):
        cells = None if at is None else cells_of(at.confusion, i)
        if cells is not None and SUPPRESSED in cells:
            hidden += 1
            named.append((site, ReleasedEstimate(withheld="suppressed")))
        else:
            named.append((site, None if cells is None else _gain(cells, threshold, noise)))
    gain = pool_measure("gain", [] if hidden else named, IDENTITY)
    reason = withheld(hidden, len(rows)) if hidden else gain.reason
    chance = gain.meta.probability_between(0, math.inf) if gain.meta else None
    return Usefulness(threshold=threshold, gain=gain, p_useful=chance, reason=reason)


def _gain(cells: Cells, threshold: float, noise: float) -> ReleasedEstimate:
    """Difference in net benefit to the better default, with its multinomial standard error."""
    tp, fp, fn, tn = (int(c) for c in cells)
    n, odds = tp + fp + fn + tn, threshold / (1 - threshold)
    if not 0 < n <= _MOST:
        return ReleasedEstimate(withheld="not_estimable")
    treat_all = tp + fn >= threshold * n
    gained, lost, noisy = (odds * tn, fn, 2) if treat_all else (tp, odds * fp, 1)
    squares = odds**2 * tn + fn if treat_all else tp + odds**2 * fp
    value = (gained - lost) / n
    variance = max(squares / n - value**2, 1 / n**2) / n + noisy * noise * ((1 + odds) / n) ** 2
    return ReleasedEstimate(
        value=value, se=math.sqrt(variance), method="multinomial", n=n, n_events=tp + fn
    )
