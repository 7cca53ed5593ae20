"""Random effects over site estimates: transform, pool, transform back, leave one out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from healthval.aggregate import tau
from healthval.aggregate.meta import MIN_SITES_POOLED, Choice, MetaResult, Pair, meta_analysis
from healthval.aggregate.result import (
    Excluded,
    FunnelPoint,
    LeftOut,
    PooledMeasure,
    Scale,
    SiteValue,
)
from healthval.aggregate.tau import Array
from healthval.contracts.submission import SUPPRESSED, Cell, ReleasedEstimate

Named: TypeAlias = tuple[str, ReleasedEstimate | None]

LARGEST = 1e6  # of an effect or standard error; beyond it a client is broken or forged
_DEFAULT = Choice("REML", "hk-truncated", 0.95)
_BLOCK = 256  # left-out sites at a time
_EXACT_UP_TO = 50  # sites; above, leave-one-out starts from the estimate with all sites


@dataclass(frozen=True, slots=True)
class Transform:
    """Scale on which site estimates are close to normal, and the way back."""

    scale: Scale
    forward: Callable[[float], float]
    back: Callable[[float], float]
    slope: Callable[[float], float]
    low: float
    high: float


def _logit(p: float) -> float:
    return float(np.log(p / (1 - p)))


def _expit(x: float) -> float:
    tail = float(np.exp(-min(abs(x), 700.0)))
    return 1 / (1 + tail) if x >= 0 else tail / (1 + tail)


IDENTITY = Transform("identity", float, float, lambda _: 1.0, -np.inf, np.inf)
LOG = Transform("log", lambda x: float(np.log(x)), lambda x: float(np.exp(np.clip(x, -700, 700))), lambda x: 1 / x, 0.0, np.inf)  # fmt: skip
LOGIT = Transform("logit", _logit, _expit, lambda p: 1 / (p * (1 - p)), 0.0, 1.0)
# A proportion of 0 or 1 has counts behind it: one half is added to each (Haldane 1956).
PROPORTION = replace(LOGIT)


def effect_of(estimate: ReleasedEstimate | None, transform: Transform) -> tuple[float, float] | str:
    """Effect and standard error on the scale of analysis, or the reason there is none.

    The standard error goes through the delta method; where it was not released, the interval is
    transformed and its width taken.
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
    from scipy.stats import norm

    z = float(norm.ppf((1 + estimate.level) / 2))
    return effect, (transform.forward(hi) - transform.forward(lo)) / (2 * z)


def pool_measure(
    measure: str,
    named: Sequence[Named],
    transform: Transform,
    *,
    leave_out: bool = False,
    unfit: Mapping[str, str] | None = None,
) -> PooledMeasure:
    """Pool one measure over sites by REML and truncated Hartung-Knapp.

    Every site keeps its released value; sites without a usable one are named in `excluded`, and so
    are those that `unfit` gives a reason for. `leave_out` adds the mean without each site in turn.
    """
    reasons = unfit or {}
    found = [(site, reasons.get(site) or effect_of(e, transform)) for site, e in named]
    used = [(site, e) for site, e in found if not isinstance(e, str)]
    excluded = tuple(Excluded(site, e) for site, e in found if isinstance(e, str))
    funnel = tuple(FunnelPoint(site, e[0], e[1]) for site, e in used)
    k = len(used)
    reason: str | None = f"{k} of at least {MIN_SITES_POOLED} sites: not pooled"
    meta: MetaResult | None = None
    left_out: tuple[LeftOut, ...] = ()
    if k >= MIN_SITES_POOLED:
        effects, variances = [p.effect for p in funnel], [p.se**2 for p in funnel]
        meta = meta_analysis(effects, variances)
        reason = meta.reason
        left_out = _leave_one_out(funnel, meta, transform) if leave_out else ()
    weights = dict(zip((p.site for p in funnel), meta.weights, strict=True)) if meta else {}
    return PooledMeasure(
        measure, transform.scale,
        tuple(_site_value(site, e, weights.get(site)) for site, e in named if e is not None),
        excluded, k,
        transform.back(meta.mu) if meta else None,
        _back(meta.ci, transform) if meta else None,
        _back(meta.prediction, transform) if meta else None,
        meta, left_out, funnel, reason,
    )  # fmt: skip


def _back(pair: Pair | None, transform: Transform) -> Pair | None:
    return None if pair is None else (transform.back(pair[0]), transform.back(pair[1]))


def count(cell: Cell | None) -> int | None:
    """Give a released count, None where it was suppressed."""
    return None if cell is None or cell == SUPPRESSED else int(cell)


def _site_value(site: str, e: ReleasedEstimate, weight: float | None) -> SiteValue:
    return SiteValue(
        site, e.value, e.lo, e.hi, e.se, count(e.n), count(e.n_events), e.method, weight
    )


def _leave_one_out(
    funnel: Sequence[FunnelPoint], meta: MetaResult, transform: Transform
) -> tuple[LeftOut, ...]:
    """Pool again without each site in turn; needs three sites to remain."""
    if len(funnel) <= MIN_SITES_POOLED:
        return ()
    y = np.array([p.effect for p in funnel])
    v = np.array([p.se**2 for p in funnel])
    without = leave_one_out(y, v, meta.tau2)
    return tuple(
        LeftOut(
            point.site, transform.back(mu), transform.back(mu - half), transform.back(mu + half),
            tau2, i2,
        )
        for point, (mu, half, tau2, i2) in zip(funnel, without, strict=True)
    )  # fmt: skip


def leave_one_out(y: Array, v: Array, start: float) -> list[tuple[float, float, float, float]]:
    """Mean, half width, tau2 and I2 without each site: as `meta_analysis` of the others.

    `start` is tau2 with all sites; with many sites REML starts from there, a block at a time.
    """
    k, out = len(y), []
    quantile = _DEFAULT.quantile(k - 2)
    for first in range(0, k, _BLOCK):
        rows = np.arange(first, min(first + _BLOCK, k))
        tau2 = _reml_without(rows, y, v, start) if k > _EXACT_UP_TO else np.full(len(rows), np.nan)
        for i in np.flatnonzero(np.isnan(tau2)):
            others = np.arange(k) != rows[i]
            one = np.ones((k - 1, 1))
            tau2[i] = tau.between_site_variance("REML", y[others], v[others], one)
        out += _summaries(rows, y, v, tau2, quantile)
    return out


def _without(rows: np.ndarray, k: int) -> Array:
    """Ones (len(rows), k) with a zero at each row's own site."""
    keep = np.ones((len(rows), k))
    keep[np.arange(len(rows)), rows] = 0.0
    return keep


def _summaries(
    rows: np.ndarray, y: Array, v: Array, tau2: Array, quantile: float
) -> list[tuple[float, float, float, float]]:
    """Mean, half width of the truncated Hartung-Knapp interval, tau2 and I2, a row a left-out site."""
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
    """Fisher scoring of tau2 for several left-out sites at once; NaN where it does not settle."""
    keep = _without(rows, len(y))
    t2, settled = np.full(len(rows), start), np.zeros(len(rows), bool)
    for _ in range(50):
        w = keep / (v + t2[:, None])
        w2 = w * w
        s1, s2, s3 = w.sum(1), w2.sum(1), (w2 * w).sum(1)
        r = y - ((w @ y) / s1)[:, None]
        trace_pp = s2 - 2 * s3 / s1 + (s2 / s1) ** 2
        step = (np.sum(w2 * r * r, axis=1) - (s1 - s2 / s1)) / trace_pp
        new = np.maximum(0.0, t2 + step)
        settled = np.abs(new - t2) <= 1e-11 * np.maximum(new, 1e-300)
        t2 = new
        if settled.all():
            break
    return np.where(settled, t2, np.nan)
