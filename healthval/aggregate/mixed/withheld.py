"""Sensitivity and specificity over all sites, of which some withheld their counts."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from healthval.aggregate.counts import withheld
from healthval.aggregate.effects import LOGIT, count
from healthval.aggregate.meta import (
    MIN_SITES_POOLED,
    MIN_SITES_PREDICTION,
    Pair,
    normal_quantile,
)
from healthval.aggregate.mixed.censored import (
    NODES,
    CensoredFit,
    Count,
    chance_withheld,
    fit_censored,
    hidden_moments,
    shifts_of,
)
from healthval.aggregate.result import BivariateResult, PooledCounts, Rate
from healthval.contracts.submission import (
    SUPPRESSED,
    ReleasedConfusion,
    ReleasedThreshold,
    Submission,
    band_limits,
)

METHOD = "interval-censored"
CUT = "noise was cut at none or all of a class"
BAND_DECIMALS = 2  # of a rate beside a band
WIDEST = 0.5  # an interval beyond it is not an estimate
_ROUNDS = 2  # in which each class takes the other one as a possible reason for withholding
Row: TypeAlias = tuple[str, Submission, ReleasedThreshold]


@dataclass(frozen=True, slots=True)
class Side:
    """The cells of a rate, in the order hits and misses; `positive` is the one above the cut."""

    hits: str
    misses: str
    positive: str
    events: bool


SENSITIVITY = Side("tp", "fn", "tp", True)
SPECIFICITY = Side("tn", "fp", "fp", False)


def with_withheld(
    rows: Sequence[Row], counts: PooledCounts, level: float = 0.95
) -> tuple[PooledCounts, BivariateResult | None, str | None]:
    """Estimate both rates over all sites from released and withheld counts.

    The means leave out sites that withheld the sizes of their classes: that depends on the number of
    events and not on the rates. The rates of all cases are estimated where there is no such site.

    Returns
    -------
    counts with these rates, the means over sites or None, and the reason for None. A rate whose
    interval is wider than half of the range keeps its bounds.
    """
    hidden = withheld(len(counts.excluded), len(rows)) if counts.excluded else CUT
    every, rows = rows, [row for row in rows if hits_of(row[1], row[2], SENSITIVITY) is not None]
    known = [_known(rows, side) for side in (SENSITIVITY, SPECIFICITY)]
    if min(map(len, known)) < MIN_SITES_POOLED:
        return counts, None, f"{hidden}, or the number of cases that the counts are of"
    fits = _fits(known[0], known[1], level)
    known, (sens, spec) = _with_other_class(rows, known, fits, level)
    if max(_width(sens), _width(spec)) > WIDEST:
        means, reason = None, f"{hidden}: an interval of a mean is wider than {WIDEST}"
    else:
        means, reason = _means(sens, spec, hidden + _left_out(every, rows)), None
    if len(rows) < len(every):
        return counts, means, reason
    above = _cut_sizes(rows)
    counts = replace(
        counts,
        sensitivity=_rate(counts.sensitivity, known[0], sens, hidden),
        specificity=_rate(counts.specificity, known[1], spec, hidden),
    )
    if above is not None:
        counts = replace(
            counts,
            ppv=_rate(counts.ppv, known[0], sens, hidden, of=above[0]),
            npv=_rate(counts.npv, known[1], spec, hidden, of=above[1]),
        )
    return counts, means, reason


def _left_out(every: Sequence[Row], rows: Sequence[Row]) -> str:
    """Text with the sites that are not part of the means."""
    kept = {site for site, *_ in rows}
    left = [site for site, *_ in every if site not in kept]
    return f", without {', '.join(left)} (sizes of the classes withheld)" if left else ""


def _with_other_class(
    rows: Sequence[Row],
    known: list[list[Count]],
    fits: tuple[CensoredFit, CensoredFit],
    level: float,
) -> tuple[list[list[Count]], tuple[CensoredFit, CensoredFit]]:
    """Fit a class again where the noise of the other one was cut.

    The number of cases above a cut has no noise: the noise of both classes is one number, and where
    it is cut in one class its mean in the other is not 0. The class with the cut gives its probabilities.
    """
    sides = (SENSITIVITY, SPECIFICITY)
    cut = [sum(_cut_at(s, at, side) is not None for _, s, at in rows) for side in sides]
    if cut[0] == cut[1] or any(len(side) < len(rows) for side in known):
        return known, fits
    a = int(cut[1] > cut[0])  # the class with the cut, and b the other one
    b, shown = 1 - a, [hits_of(s, at, sides[a]) for _, s, at in rows]
    informed = [
        own
        if own.value is None or given is None or given[0] is None
        else replace(own, shifts=shifts_of(other, given[0], fits[a]))
        for own, other, given in zip(known[b], known[a], shown, strict=True)
    ]
    found = fit_censored(informed, level=level)
    both = [known[a], informed] if a == 0 else [informed, known[a]]
    return both, (fits[0], found) if a == 0 else (found, fits[1])


def _cut_sizes(rows: Sequence[Row]) -> tuple[int, int] | None:
    """Cases above and below the cut at all sites; None where a site's are not known."""
    above = below = 0
    for _, s, at in rows:
        events, others = (hits_of(s, at, side) for side in (SENSITIVITY, SPECIFICITY))
        if events is None or others is None or None in (events[0], others[0]):
            return None
        tp, tn = int(events[0] or 0), int(others[0] or 0)
        above += tp + others[1] - tn
        below += tn + events[1] - tp
    return above, below


def _known(rows: Sequence[Row], side: Side) -> list[Count]:
    """Each site's hits, as far as they are known; a site without cases of the class has none."""
    given = [(s, at, hits_of(s, at, side)) for _, s, at in rows]
    return [
        _count(s, at, side, size=found[1], hits=found[0])
        for s, at, found in given
        if found is not None and found[1]
    ]


def hits_of(s: Submission, at: ReleasedThreshold, side: Side) -> tuple[int | None, int] | None:
    """Hits of a class where they are known, and its size; None where that is withheld.

    Hits that a site released as a band are those of its rate.
    """
    hits, misses = (count(getattr(at.confusion, name)) for name in (side.hits, side.misses))
    if hits is not None and misses is not None:
        return hits, hits + misses
    n, events = count(s.n), count(s.n_events)
    if n is None or events is None:
        return None
    size = events if side.events else n - events
    return _from_rate(at, side, size), size


def _from_rate(at: ReleasedThreshold, side: Side, size: int) -> int | None:
    """Hits by the rate that a site released beside a band of them."""
    rate = (at.sensitivity if side.events else at.specificity).value
    is_band = band_limits(getattr(at.confusion, side.hits)) is not None
    return round(rate * size) if is_band and rate is not None else None


def rounding_variance(s: Submission, at: ReleasedThreshold, side: Side) -> float:
    """Variance that the rounding of a rate adds to hits that were released as a band."""
    given = hits_of(s, at, side)
    is_band = band_limits(getattr(at.confusion, side.hits)) is not None
    return (given[1] * 10.0**-BAND_DECIMALS) ** 2 / 12 if is_band and given else 0.0


def _count(
    s: Submission, at: ReleasedThreshold, side: Side, *, size: int, hits: int | None
) -> Count:
    other = [
        value
        for cut in s.thresholds
        if cut is not at and (value := count(getattr(cut.confusion, side.hits))) is not None
    ]
    noise = 0.0 if s.noise is None else s.noise.variance
    positive = 0.5 if hits is None else (hits if side.hits == side.positive else size - hits) / size
    ends = None if hits is None else _cut_noise(s, hits, size)
    return Count(
        n=size,
        value=hits if ends is None else None,
        floor=s.certificate.minimum_cell,
        variance=noise * (1 + positive**2),
        near=tuple(other),
        elsewhere=1.0 if _all_hidden(at.confusion) else 0.0,
        band=band_limits(getattr(at.confusion, side.hits)) if ends is None else ends,
    )


def _cut_noise(s: Submission, hits: int, size: int) -> tuple[int, int] | None:
    """Run of counts, at none or all of a class, within which its noise was cut; else None."""
    unit = 0 if s.noise is None else s.noise.multiple
    if unit and size - hits <= unit:
        return hits, size
    return (0, hits) if unit and hits <= unit else None


def is_cut(s: Submission, at: ReleasedThreshold) -> bool:
    """Whether the noise of a released count was cut at none or all of its class."""
    return any(_cut_at(s, at, side) is not None for side in (SENSITIVITY, SPECIFICITY))


def _cut_at(s: Submission, at: ReleasedThreshold, side: Side) -> tuple[int, int] | None:
    given = hits_of(s, at, side)
    return None if given is None or given[0] is None else _cut_noise(s, given[0], given[1])


def _all_hidden(cells: ReleasedConfusion) -> bool:
    return all(getattr(cells, name) == SUPPRESSED for name in ("tp", "fp", "fn", "tn"))


def _fits(
    sens: Sequence[Count], spec: Sequence[Count], level: float
) -> tuple[CensoredFit, CensoredFit]:
    """Fit both; where all four counts are withheld, either class can be the reason."""
    found = [
        fit_censored([replace(c, elsewhere=0.0) for c in side], level=level)
        for side in (sens, spec)
    ]
    if not any(c.elsewhere for c in (*sens, *spec)):
        return found[0], found[1]
    for _ in range(_ROUNDS):
        chances = [
            [chance_withheld(replace(c, elsewhere=0.0), fit) for c in side]
            for side, fit in zip((spec, sens), reversed(found), strict=True)
        ]
        found = [
            fit_censored(
                [replace(c, elsewhere=q * c.elsewhere) for c, q in zip(side, other, strict=True)],
                level=level,
            )
            for side, other in zip((sens, spec), chances, strict=True)
        ]
    return found[0], found[1]


def _rate(
    given: Rate, known: Sequence[Count], fit: CensoredFit, hidden: str, *, of: int | None = None
) -> Rate:
    """The rate over the cases of all sites: released hits and the expected number of withheld ones.

    The interval is of the cases as a sample, at the ends of the mean's interval.

    Parameters
    ----------
    of : number of cases that the hits are a share of; by default the cases of the class
    """
    if given.value is not None and all(c.value is not None and not c.shifts for c in known):
        return given
    n = sum(c.n for c in known) if of is None else of
    low, value, high = (
        _hits(known, mu, tau, n) for mu, tau in (fit.ends[0], (fit.mu, fit.tau), fit.ends[1])
    )
    z = normal_quantile(fit.level)
    ci = max(0.0, low[0] - z * low[1]), min(1.0, high[0] + z * high[1])
    if given.bounds is not None:
        outer = given.bounds[0] - z * low[1], given.bounds[1] + z * high[1]
        ci = max(ci[0], outer[0]), min(ci[1], outer[1])
    if ci[1] - ci[0] > WIDEST:
        why = f"{hidden}; the interval of the rate is wider than {WIDEST}"
        return replace(given, value=None, ci=None, method=METHOD, reason=why)
    return replace(given, value=value[0], ci=ci, method=METHOD, reason=None)


def _hits(known: Sequence[Count], mu: float, tau: float, n: int) -> Pair:
    """Rate over all cases and its standard error, under one mean and SD over sites."""
    moments = [
        hidden_moments(c, mu, tau)
        if c.value is None or c.variance or c.shifts
        else (float(c.value), 0.0)
        for c in known
    ]
    hits = sum(mean for mean, _ in moments)
    rate = min(1.0, max(0.0, hits / n))
    smooth = (rate * n + 1) / (n + 2)
    noise = sum(spread for _, spread in moments)
    return rate, math.sqrt(smooth * (1 - smooth) / n + noise / n**2)


def _width(fit: CensoredFit) -> float:
    return LOGIT.back(fit.ci[1]) - LOGIT.back(fit.ci[0])


def _means(sens: CensoredFit, spec: CensoredFit, hidden: str) -> BivariateResult:
    variances = sens.variance, spec.variance
    is_known = all(map(math.isfinite, variances))
    return BivariateResult(
        sensitivity=LOGIT.back(sens.mu),
        sensitivity_ci=_back(sens.ci),
        sensitivity_prediction=_prediction(sens),
        specificity=LOGIT.back(spec.mu),
        specificity_ci=_back(spec.ci),
        specificity_prediction=_prediction(spec),
        mu=(sens.mu, spec.mu),
        cov=((variances[0], 0.0), (0.0, variances[1])) if is_known else None,
        tau=(sens.tau, spec.tau),
        rho=None,
        loglik=sens.loglik + spec.loglik,
        k=sens.k,
        method=METHOD,
        nodes=NODES,
        level=sens.level,
        fallback=f"{hidden}: pooled separately, by the likelihood of what is known",
    )


def _prediction(fit: CensoredFit) -> Pair | None:
    """Interval of a new site, with t(k - 2); it contains the interval of the mean."""
    from scipy.stats import t

    if fit.k < MIN_SITES_PREDICTION:
        return None
    half = float(t.ppf((1 + fit.level) / 2, fit.k - 2)) * math.sqrt(fit.variance + fit.tau**2)
    low, high = min(fit.mu - half, fit.ci[0]), max(fit.mu + half, fit.ci[1])
    return LOGIT.back(low), LOGIT.back(high)


def _back(pair: Pair) -> Pair:
    return LOGIT.back(pair[0]), LOGIT.back(pair[1])
