"""Statistics with noise of at least one case's influence, and intervals that include it (pure)."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import expit, logit, ndtri

from healthval.contracts.proportions import wilson
from healthval.disclosure.payload.keyed_noise import KeyedNoise
from healthval.metrics.calibration.measures import Calibration
from healthval.metrics.confusion import Confusion
from healthval.metrics.estimate import Estimate
from healthval.metrics.net_benefit import DecisionCurve
from healthval.metrics.result import Evaluation, SubgroupResult, TableOne, ThresholdResult

PERTURBED = "wilson perturbed"
NEAREST = 1e-4  # distance of a shown probability from 0 and 1
CURVE_PARAMETERS = 5  # of the flexible calibration curve: a case moves a point by about this / n
Z_LIMIT = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Protection:
    """Noise, and the perturbed class sizes that every statistic refers to."""

    noise: KeyedNoise
    n: int
    n_events: int
    scores: tuple[float, ...]

    @property
    def smaller_class(self) -> int:
        """Size of the smaller class, at least 1."""
        return max(1, min(self.n_events, self.n - self.n_events))

    def move(self, e: Estimate, influence: float, name: str) -> Estimate:
        """Add noise to an estimate and to its interval."""
        counts: dict[str, Any] = {"n": self.n, "n_events": self.n_events}
        if e.value is None or not math.isfinite(influence):
            return replace(e, value=None, lo=None, hi=None, se=None, **counts)
        delta = self.noise.shift(influence, name, repr(e.value), *counts.values())
        return replace(moved(e, delta, influence), **counts)


def moved(e: Estimate, delta: float, sd: float) -> Estimate:
    """Shift an estimate by its noise and widen its interval by the noise's deviation.

    Examples
    --------
    >>> e = Estimate(
    ...     value=1.0, lo=0.5, hi=1.5, se=0.25, level=0.95, method="logistic wald", n=9, n_events=4
    ... )
    >>> round(moved(e, 0.25, 0.25).hi, 2)
    1.95
    """
    if e.value is None:
        return e
    to, back, slope = _scale(e)
    value = back(to(e.value + delta))
    noise = float(ndtri((1 + e.level) / 2)) * sd * slope(value)

    def end(bound: float | None, side: int) -> float | None:
        if bound is None:
            return None
        return float(back(to(value) + side * math.hypot(to(bound) - to(e.value or 0.0), noise)))

    se = None if e.se is None else math.hypot(e.se, sd)
    return replace(e, value=value, lo=end(e.lo, -1), hi=end(e.hi, 1), se=se)


def _scale(e: Estimate) -> tuple[Any, Any, Any]:
    """Scale on which an estimate's interval is symmetric: to it, back, and its slope."""
    words = e.method.split()
    if any(word.startswith("logit") for word in words):
        return _to_logit, expit_float, lambda v: 1 / (v * (1 - v))
    if words and words[0] == "log":
        return (lambda v: math.log(max(v, NEAREST))), math.exp, lambda v: 1 / v
    return float, float, lambda _: 1.0


def _to_logit(value: float) -> float:
    return float(logit(min(max(value, NEAREST), 1 - NEAREST)))


def expit_float(value: float) -> float:
    """Inverse of the logit, as a float."""
    return float(expit(value))


def perturbed_rate(k: int, n: int, variance: float, *, level: float = 0.95) -> Estimate:
    """A proportion of perturbed counts; Wilson's interval at the size that the noise leaves.

    Parameters
    ----------
    variance : of the noise of `k`
    """
    shared: dict[str, Any] = {"level": level, "method": PERTURBED, "n": n, "n_events": k}
    if n <= 0:
        return Estimate(value=None, lo=None, hi=None, se=None, reason="no case", **shared)
    size = effective_share(k, n, variance)
    lo, hi = wilson(k * size, n * size, float(ndtri((1 + level) / 2)))
    p = k / n
    se = math.sqrt(p * (1 - p) / n + variance / n**2)
    return Estimate(value=p, lo=min(lo, p), hi=max(hi, p), se=se, **shared)


def effective_share(k: float, n: float, variance: float) -> float:
    """Share of the sampling variance in the variance of a perturbed proportion."""
    p = (k + 1) / (n + 2)
    sampling = p * (1 - p) / n
    return float(sampling / (sampling + variance / n**2))


def noisy_threshold(
    t: ThresholdResult, about: Protection, counts: tuple[int, int]
) -> ThresholdResult:
    """Rates and net benefit of the perturbed table at a threshold."""
    tp, fp = counts
    fn, tn = about.n_events - tp, about.n - about.n_events - fp
    v, level = about.noise.variance, t.sensitivity.level
    benefit, at = t.net_benefit, t.threshold
    if at < 1 and benefit.value is not None:
        sd = math.sqrt(v) / ((1 - at) * about.n)
        value = (tp - fp * at / (1 - at)) / about.n
        benefit = moved(benefit, value - benefit.value, sd)
        benefit = replace(benefit, n=about.n, n_events=about.n_events)
    return replace(
        t,
        confusion=Confusion(tp=tp, fp=fp, fn=fn, tn=tn),
        sensitivity=perturbed_rate(tp, tp + fn, v, level=level),
        specificity=perturbed_rate(tn, tn + fp, v, level=level),
        ppv=perturbed_rate(tp, tp + fp, v, level=level),
        npv=perturbed_rate(tn, tn + fn, v, level=level),
        net_benefit=benefit,
    )


def noisy_curve(
    curve: DecisionCurve, about: Protection, tp: Mapping[float, int], fp: Mapping[float, int]
) -> DecisionCurve:
    """Net benefit of the perturbed table; NaN at thresholds that are no cut of it."""
    out: dict[str, Any] = {
        name: np.full(len(curve.thresholds), np.nan) for name in ("net_benefit", "lo", "hi")
    }
    se = np.full(len(curve.thresholds), np.nan)
    z = float(ndtri((1 + curve.level) / 2))
    for i, t in enumerate(curve.thresholds.tolist()):
        if t not in tp or t >= 1:
            continue
        value = (tp[t] - fp[t] * t / (1 - t)) / about.n
        sd = math.sqrt(about.noise.variance) / ((1 - t) * about.n)
        before = float(curve.net_benefit[i])
        out["net_benefit"][i] = value
        out["lo"][i] = value - math.hypot(before - float(curve.lo[i]), z * sd)
        out["hi"][i] = value + math.hypot(float(curve.hi[i]) - before, z * sd)
        se[i] = math.hypot(float(curve.se[i]), sd)
    return replace(curve, **out, se=se, n=about.n, n_events=about.n_events)


def noisy_discrimination(ev: Evaluation, about: Protection) -> dict[str, Any]:
    """AUROC and average precision with noise."""
    auroc = 0.5 if ev.auroc.value is None else ev.auroc.value
    one = max(auroc, 1 - auroc) / about.smaller_class
    return {
        "auroc": _within(about.move(ev.auroc, one, "auroc")),
        "average_precision": _within(
            about.move(ev.average_precision, 1 / max(1, about.n_events), "average precision")
        ),
    }


def noisy_calibration(ev: Evaluation, about: Protection, expected: float) -> Calibration:
    """Calibration with noise; O:E and calibration in the large follow from the perturbed events."""
    c, m, n = ev.calibration, about.n_events, about.n
    s = np.asarray(about.scores, dtype=float)
    sd = math.sqrt(about.noise.variance)
    brier = float(max(np.abs(1 - 2 * s).max(initial=0), 2 * np.ptp(s) if s.size else 0)) / n
    spread = max(m * (n - m) / n**2, 1 / n)
    noisy_brier = _within(about.move(c.brier, brier, "brier"))
    intercept, slope = _coefficient_influence(c, s)
    held: dict[str, Any] = {"n": n, "n_events": m}
    rise = (m - ev.n_events) / max(float((s * (1 - s)).sum()), Z_LIMIT)
    steep = 1 / max(float((s * (1 - s)).sum()), Z_LIMIT)
    oe = c.oe
    if oe.value is not None and expected > 0:
        oe = moved(oe, m / expected - oe.value, sd / expected)
    return replace(
        c,
        observed=m,
        expected=expected,
        oe=replace(oe, **held),
        citl=replace(moved(c.citl, rise, sd * steep), **held),
        intercept=about.move(c.intercept, intercept, "intercept"),
        slope=about.move(c.slope, slope, "slope"),
        brier=noisy_brier,
        scaled_brier=replace(_scaled_brier(c, noisy_brier, (brier, spread)), **held),
        ici_rcs5=_within(about.move(c.ici_rcs5, 2 / n, "ici")),
        e50=_within(about.move(c.e50, CURVE_PARAMETERS / n, "e50")),
        e90=_within(about.move(c.e90, CURVE_PARAMETERS / n, "e90")),
        curve=tuple(
            (x, _within(about.move(y, CURVE_PARAMETERS / n, f"curve {x!r}"))) for x, y in c.curve
        ),
    )


def _scaled_brier(c: Calibration, brier: Estimate, influence: tuple[float, float]) -> Estimate:
    """Scaled Brier score of the perturbed Brier score and classes, without noise of its own."""
    one, spread = influence
    if c.scaled_brier.value is None or brier.value is None:
        return replace(c.scaled_brier, value=None, lo=None, hi=None, se=None)
    delta = 1 - brier.value / spread - c.scaled_brier.value
    return moved(c.scaled_brier, delta, one / spread)


def _coefficient_influence(c: Calibration, s: Any) -> tuple[float, float]:
    """Largest change of intercept and slope when one outcome changes."""
    inside = s[(s > 0) & (s < 1)]
    if c.slope.value is None or c.intercept.value is None or inside.size < 2:
        return math.inf, math.inf
    x = logit(inside)
    p = expit(c.intercept.value + c.slope.value * x)
    w = np.maximum(p * (1 - p), Z_LIMIT)
    centre = float((w * x).sum() / w.sum())
    around = x - centre
    spread = float((w * around**2).sum())
    if spread <= Z_LIMIT:
        return math.inf, math.inf
    slope = around / spread
    return float(np.abs(1 / w.sum() - centre * slope).max()), float(np.abs(slope).max())


def _within(e: Estimate) -> Estimate:
    """Keep value and interval within 0 to 1."""
    ends: dict[str, Any] = {
        name: None if (x := getattr(e, name)) is None else min(1.0, max(0.0, x))
        for name in ("value", "lo", "hi")
    }
    return replace(e, **ends)


def noisy_level(
    s: SubgroupResult, about: Protection, counts: tuple[int, int | None]
) -> SubgroupResult:
    """Performance in a level, from its perturbed counts."""
    n, m = counts[0], counts[1] or 0
    v = about.noise.variance
    inner = replace(about, n=n, n_events=m)
    oe = s.oe
    if oe.value and n:
        expected = s.n_events / oe.value
        oe = moved(oe, m / expected - oe.value, math.sqrt(v) / expected)
    auroc = 0.5 if s.auroc.value is None else s.auroc.value
    one = max(auroc, 1 - auroc) / inner.smaller_class
    return replace(
        s,
        n=n,
        n_events=m,
        auroc=_within(inner.move(s.auroc, one, "level auroc")),
        oe=replace(oe, n=n, n_events=m),
        sensitivity=_level_rate(s.sensitivity, inner, m, s.n_events),
        specificity=_level_rate(s.specificity, inner, n - m, s.n - s.n_events),
    )


def _level_rate(e: Estimate, about: Protection, size: int, size_then: int) -> Estimate:
    if e.value is None:
        return replace(e, n=size)
    hits = about.noise.count(round(e.value * size_then), "level hits", size_then)
    hits = about.noise.rounded(min(max(0, hits), size))
    return perturbed_rate(min(hits, size), size, about.noise.variance, level=e.level)


def noisy_mean(row: TableOne, about: Protection) -> TableOne:
    """Mean and SD with noise of one case's reach; both are withheld where one case dominates."""
    if row.mean is None or row.sd is None:
        return row
    n = max(1, row.overall or about.n)
    reach = row.sd * math.sqrt(n) if row.reach is None else row.reach
    if row.dominated:
        return replace(row, sd=0.0)  # the gate withholds a mean without a spread
    mean = row.mean + about.noise.shift(reach / n, "mean", repr(row.mean), n)
    one = reach**2 / (2 * n * row.sd) if row.sd > 0 else 0.0
    sd = abs(row.sd + about.noise.shift(one, "sd", repr(row.sd), n)) if row.sd > 0 else 0.0
    return replace(row, mean=mean, sd=sd)
