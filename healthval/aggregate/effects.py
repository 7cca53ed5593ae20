"""Random effects over site estimates: transform, pool, back-transform, leave one out."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from healthval.aggregate.between_site_variance import Array, between_site_variance
from healthval.aggregate.meta import (
    MIN_SITES_POOLED,
    Choice,
    MetaResult,
    Pair,
    meta_analysis,
    normal_quantile,
)
from healthval.aggregate.result import (
    Excluded,
    FunnelPoint,
    LeftOut,
    PooledMeasure,
    Scale,
    SiteValue,
)
from healthval.contracts.proportions import expit, logit
from healthval.contracts.submission import Band, Cell, ReleasedEstimate

Named: TypeAlias = tuple[str, ReleasedEstimate | None]

LARGEST = 1e6  # of an effect or standard error; beyond it a client is broken or forged
NEAREST = 0.001  # distance of a mean from 0 and 1 at which the logit has a tangent
_DEFAULT = Choice("REML", "hk-truncated", 0.95)
_BLOCK = 256  # left-out sites at a time
_EXACT_UP_TO = 50  # sites; above, leave-one-out starts from the estimate with all sites


@dataclass(frozen=True, slots=True, kw_only=True)
class Transform:
    """Scale on which site estimates are close to normal, with its inverse and slope."""

    scale: Scale
    forward: Callable[[float], float]
    back: Callable[[float], float]
    slope: Callable[[float], float]
    low: float
    high: float


def _exp(x: float) -> float:
    return float(np.exp(np.clip(x, -700, 700)))


IDENTITY = Transform(
    scale="identity", forward=float, back=float, slope=lambda _: 1.0, low=-np.inf, high=np.inf
)
LOG = Transform(
    scale="log", forward=math.log, back=_exp, slope=lambda x: 1 / x, low=0.0, high=np.inf
)
LOGIT = Transform(
    scale="logit", forward=logit, back=expit, slope=lambda p: 1 / (p * (1 - p)), low=0.0, high=1.0
)
# For an area or a rate of a level with noise of the gate: the size of its error does not depend on the
# value, so that on the logit scale, which stretches the ends, a site would have the less weight the
# nearer to an end it happens to be.
NOISY_SHARE = replace(IDENTITY, back=lambda p: min(1.0, max(0.0, p)))


def tangent(values: Iterable[float]) -> Transform:
    """Logit scale as a straight line, its tangent at the mean of the values of noisy sites.

    The logit stretches the ends: a site would have the less weight the nearer to an end its noise
    happens to move it, and the mean would be too low above one half.

    Examples
    --------
    >>> scale = tangent([0.75, 0.85, 0.95])
    >>> round(scale.back(sum(map(scale.forward, (0.75, 0.85, 0.95))) / 3), 6)
    0.85
    """
    values = list(values)
    at = min(max(sum(values) / max(1, len(values)), NEAREST), 1 - NEAREST)
    slope = LOGIT.slope(at)
    return replace(
        LOGIT,
        forward=lambda p: logit(at) + (p - at) * slope,
        slope=lambda _: slope,
        low=-np.inf,
        high=np.inf,
    )


# A proportion of 0 or 1 is a quotient of counts: one half is added to each (Haldane 1956).
PROPORTION = replace(LOGIT)


def effect_of(estimate: ReleasedEstimate | None, transform: Transform) -> tuple[float, float] | str:
    """Effect and standard error on the scale of analysis, or the reason why they are missing.

    The standard error is transformed by the delta method; where it was not released, it is
    computed from the width of the transformed interval.
    """
    found = _effect(estimate, transform)
    if isinstance(found, str) or (abs(found[0]) <= LARGEST and 1 / LARGEST <= found[1] <= LARGEST):
        return found
    return "out of range"


def _effect(estimate: ReleasedEstimate | None, transform: Transform) -> tuple[float, float] | str:
    if estimate is None:
        return "not submitted"
    if estimate.value is None:
        return "suppressed" if estimate.withheld == "suppressed" else "not estimable"
    if not transform.low < estimate.value < transform.high:
        n = count(estimate.n)
        if transform is PROPORTION and n and estimate.value in (0, 1):
            a, b = n * estimate.value + 0.5, n * (1 - estimate.value) + 0.5
            return float(np.log(a / b)), float(np.sqrt(1 / a + 1 / b))
        return f"at the edge of the {transform.scale} scale"
    effect = transform.forward(estimate.value)
    if estimate.se is not None:
        se = estimate.se * transform.slope(estimate.value)
        return (effect, se) if se > 0 else "standard error rounded to zero"
    return _from_interval(effect, estimate, transform)


def _from_interval(
    effect: float, estimate: ReleasedEstimate, transform: Transform
) -> tuple[float, float] | str:
    lo, hi = estimate.lo, estimate.hi
    if lo is None or hi is None or not transform.low < lo < hi < transform.high:
        return "no standard error"
    width = transform.forward(hi) - transform.forward(lo)
    return effect, width / (2 * normal_quantile(estimate.level))


def pool_measure(
    measure: str,
    named: Sequence[Named],
    transform: Transform,
    *,
    leave_out: bool = False,
    unfit: Mapping[str, str] | None = None,
) -> PooledMeasure:
    """Pool one measure over sites by REML and truncated Hartung-Knapp.

    Every site keeps its released value; `excluded` names the sites without a usable one, and those
    with a reason in `unfit`. `leave_out` adds the mean without each site in turn.
    """
    reasons = unfit or {}
    found = [(site, reasons.get(site) or effect_of(e, transform)) for site, e in named]
    funnel = tuple(FunnelPoint(x, *e) for x, e in found if not isinstance(e, str))
    meta, reason = _pooled(funnel)
    weights = dict(zip((p.site for p in funnel), meta.weights, strict=True)) if meta else {}
    return PooledMeasure(
        measure=measure,
        scale=transform.scale,
        sites=tuple(_site_value(x, e, weights.get(x)) for x, e in named if e is not None),
        excluded=tuple(Excluded(x, e) for x, e in found if isinstance(e, str)),
        k=len(funnel),
        value=transform.back(meta.mu) if meta else None,
        ci=_back(meta.ci, transform) if meta else None,
        prediction=_back(meta.prediction, transform) if meta else None,
        meta=meta,
        leave_one_out=_leave_one_out(funnel, meta, transform) if meta and leave_out else (),
        funnel=funnel,
        reason=reason,
    )


def _pooled(funnel: Sequence[FunnelPoint]) -> tuple[MetaResult | None, str | None]:
    """The meta-analysis, None below three sites, with the reason for a missing part of it."""
    if len(funnel) < MIN_SITES_POOLED:
        return None, f"{len(funnel)} of at least {MIN_SITES_POOLED} sites: not pooled"
    meta = meta_analysis([p.effect for p in funnel], [p.se**2 for p in funnel])
    return meta, meta.reason


def _back(pair: Pair | None, transform: Transform) -> Pair | None:
    return None if pair is None else (transform.back(pair[0]), transform.back(pair[1]))


def count(cell: Cell | Band | None) -> int | None:
    """Return a released count, None where it was suppressed or is a band."""
    return int(cell) if isinstance(cell, int | np.integer) else None


def _site_value(site: str, e: ReleasedEstimate, weight: float | None) -> SiteValue:
    return SiteValue(
        site=site,
        value=e.value,
        lo=e.lo,
        hi=e.hi,
        se=e.se,
        n=count(e.n),
        n_events=count(e.n_events),
        method=e.method,
        weight=weight,
    )


def _leave_one_out(
    funnel: Sequence[FunnelPoint], meta: MetaResult, transform: Transform
) -> tuple[LeftOut, ...]:
    """Pool again without each site in turn; at least three sites must remain."""
    if len(funnel) <= MIN_SITES_POOLED:
        return ()
    y = np.array([p.effect for p in funnel])
    v = np.array([p.se**2 for p in funnel])
    without = leave_one_out(y, v, meta.tau2)
    return tuple(
        LeftOut(
            site=point.site,
            value=transform.back(mu),
            lo=transform.back(mu - half),
            hi=transform.back(mu + half),
            tau2=tau2,
            i2=i2,
        )
        for point, (mu, half, tau2, i2) in zip(funnel, without, strict=True)
    )


def leave_one_out(y: Array, v: Array, start: float) -> list[tuple[float, float, float, float]]:
    """Mean, half width, tau2 and I2 without each site, equal to `meta_analysis` of the others.

    `start` is tau2 with all sites; with many sites REML starts from it, a block at a time.
    """
    k, out = len(y), []
    quantile = _DEFAULT.quantile(k - 2)
    for first in range(0, k, _BLOCK):
        rows = np.arange(first, min(first + _BLOCK, k))
        tau2 = _reml_without(rows, y, v, start) if k > _EXACT_UP_TO else np.full(len(rows), np.nan)
        for i in np.flatnonzero(np.isnan(tau2)):
            others = np.arange(k) != rows[i]
            one = np.ones((k - 1, 1))
            tau2[i] = between_site_variance("REML", y[others], v[others], one)
        out += _summaries(rows, y, v, tau2=tau2, quantile=quantile)
    return out


def _without(rows: np.ndarray, k: int) -> Array:
    """Ones (len(rows), k) with a zero at the site of each row."""
    keep = np.ones((len(rows), k))
    keep[np.arange(len(rows)), rows] = 0.0
    return keep


def _summaries(
    rows: np.ndarray, y: Array, v: Array, *, tau2: Array, quantile: float
) -> list[tuple[float, float, float, float]]:
    """Mean, half width (truncated Hartung-Knapp), tau2 and I2, one row for each left-out site."""
    k = len(y) - 1
    keep = _without(rows, len(y))
    w = keep / (v + tau2[:, None])
    s1 = w.sum(axis=1)
    mu = (w @ y) / s1
    factor = np.maximum(1.0, np.sum(w * (y - mu[:, None]) ** 2, axis=1) / (k - 1))
    f1, f2 = keep @ (1 / v), keep @ (1 / v**2)
    i2 = 100 * tau2 / (tau2 + (k - 1) / (f1 - f2 / f1))
    columns = (mu, quantile * np.sqrt(factor / s1), tau2, i2)
    return list(zip(*(c.tolist() for c in columns), strict=True))


def _reml_without(rows: np.ndarray, y: Array, v: Array, start: float) -> Array:
    """Fisher scoring of tau2 for several left-out sites at once; NaN where it does not converge."""
    keep = _without(rows, len(y))
    t2, converged = np.full(len(rows), start), np.zeros(len(rows), bool)
    for _ in range(50):
        w = keep / (v + t2[:, None])
        w2 = w * w
        s1, s2, s3 = w.sum(1), w2.sum(1), (w2 * w).sum(1)
        r = y - ((w @ y) / s1)[:, None]
        trace_pp = s2 - 2 * s3 / s1 + (s2 / s1) ** 2
        step = (np.sum(w2 * r * r, axis=1) - (s1 - s2 / s1)) / trace_pp
        new = np.maximum(0.0, t2 + step)
        converged = np.abs(new - t2) <= 1e-11 * np.maximum(new, 1e-300)
        t2 = new
        if converged.all():
            break
    return np.where(converged, t2, np.nan)
