"""Calibration intercept and slope pooled jointly, and the calibration curve over sites from them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from healthval.aggregate.between_site_variance import Array
from healthval.aggregate.counts import Sites
from healthval.aggregate.effects import IDENTITY, effect_of
from healthval.aggregate.meta import MIN_SITES_PREDICTION, Pair
from healthval.aggregate.mixed.bivariate import MIN_SITES_TOGETHER, correlation, fit_normal
from healthval.aggregate.mixed.glmm import MixedFit
from healthval.aggregate.secondary.records import CurveAt, JointCalibration
from healthval.aggregate.values import Excluded
from healthval.contracts.proportions import expit, logit
from healthval.contracts.submission import ReleasedCalibration
from healthval.errors import MetricError

_MOST = 0.999  # correlation of intercept and slope within a site
_LEVEL = 0.95
_GRID = (0.01, 0.02, 0.05, *(i / 20 for i in range(2, 20)), 0.98, 0.99)


@dataclass(frozen=True, slots=True)
class _Site:
    """Intercept, slope, their covariance, and the range of scores of the released curve."""

    y: Array
    cov: Array
    low: float
    high: float


def joint_calibration(sites: Sites) -> JointCalibration:
    """Pool intercept and slope by a bivariate normal model with Hartung and Knapp's factor.

    The covariance of the two within a site is not released. It follows from the standard errors:
    without correlation the intercept with the slope fixed would be as uncertain as with it free.

    References
    ----------
    Jackson & Riley 2014, Stat Med 33:541 (small-sample factor); Debray 2019, Stat Methods Med Res
    28:2768.
    """
    found = [(site, _read(s.calibration)) for site, s in sites]
    used = [x for _, x in found if isinstance(x, _Site)]
    excluded = tuple(Excluded(site, x) for site, x in found if isinstance(x, str))
    if len(used) < MIN_SITES_TOGETHER:
        why = f"{len(used)} of at least {MIN_SITES_TOGETHER} sites for intercept and slope together"
        return _none(len(used), excluded, why)
    try:
        fit = fit_normal(np.array([x.y for x in used]), np.array([x.cov for x in used]))
    except (MetricError, np.linalg.LinAlgError):
        return _none(len(used), excluded, "no maximum of the likelihood for these estimates")
    return _result(used, fit, excluded)


def _read(c: ReleasedCalibration | None) -> _Site | str:
    if c is None:
        return "not submitted"
    found = []
    for estimate in (c.intercept, c.slope, c.citl):
        effect = effect_of(estimate, IDENTITY)
        if isinstance(effect, str):
            return effect
        found.append(effect)
    (a, se_a), (b, se_b), (_, se_fixed) = found
    shared = min(_MOST, math.sqrt(max(0.0, 1 - (se_fixed / se_a) ** 2))) * se_a * se_b
    if _mean_score(c) > 0.5:  # positive where most logits are below 0, the place of the intercept
        shared = -shared
    predicted = [p.predicted for p in c.curve]
    return _Site(
        np.array([a, b]),
        np.array([[se_a**2, shared], [shared, se_b**2]]),
        min(predicted, default=1.0),
        max(predicted, default=0.0),
    )


def _mean_score(c: ReleasedCalibration) -> float:
    n = c.oe.n
    return 0.0 if c.expected is None or not isinstance(n, int) or not n else c.expected / n


def _none(k: int, excluded: tuple[Excluded, ...], why: str) -> JointCalibration:
    return JointCalibration(
        intercept=None,
        intercept_ci=None,
        slope=None,
        slope_ci=None,
        cov=None,
        tau=None,
        rho=None,
        p=None,
        curve=(),
        k=k,
        excluded=excluded,
        reason=why,
    )


def _result(
    used: Sequence[_Site], fit: MixedFit, excluded: tuple[Excluded, ...]
) -> JointCalibration:
    from scipy.stats import f

    k, cov = len(used), fit.cov * _factor(used, fit)
    away = fit.mu - np.array([0.0, 1.0])
    statistic = float(away @ np.linalg.solve(cov, away)) / 2
    line = _Line(fit.mu, cov, fit.between, k)
    a, b = line.at(np.array([1.0, 0.0])), line.at(np.array([0.0, 1.0]))
    (c00, c01), (c10, c11) = cov.tolist()
    tau = np.sqrt(np.diag(fit.between)).tolist()
    return JointCalibration(
        intercept=a[0],
        intercept_ci=a[1],
        slope=b[0],
        slope_ci=b[1],
        cov=((c00, c01), (c10, c11)),
        tau=(tau[0], tau[1]),
        rho=correlation(fit.between),
        p=float(f.sf(statistic, 2, k - 1)),
        curve=_curve(used, line),
        k=k,
        excluded=excluded,
        reason=None,
    )


def _factor(used: Sequence[_Site], fit: MixedFit) -> float:
    """Hartung and Knapp's factor for two outcomes, never below 1."""
    away = [x.y - fit.mu for x in used]
    spread = [np.linalg.solve(x.cov + fit.between, r) for x, r in zip(used, away, strict=True)]
    q = sum(float(r @ s) for r, s in zip(away, spread, strict=True))
    return max(1.0, q / (2 * (len(used) - 1)))


@dataclass(frozen=True, slots=True)
class _Line:
    mu: Array
    cov: Array
    between: Array
    k: int

    def at(self, x: Array) -> tuple[float, Pair, Pair | None]:
        """Combination `x` of intercept and slope, with the intervals of mean and new site."""
        from scipy.stats import t

        value, near = float(x @ self.mu), float(x @ self.cov @ x)
        t_mean, t_new = t.ppf((1 + _LEVEL) / 2, [self.k - 1, self.k - 2]).tolist()
        half = t_mean * math.sqrt(near)
        ci = value - half, value + half
        if self.k < MIN_SITES_PREDICTION:
            return value, ci, None
        far = t_new * math.sqrt(near + float(x @ self.between @ x))
        return value, ci, (value - far, value + far)


def _curve(used: Sequence[_Site], line: _Line) -> tuple[CurveAt, ...]:
    low, high = max(x.low for x in used), min(x.high for x in used)
    return tuple(_point(p, line) for p in _GRID if low <= p <= high)


def _point(predicted: float, line: _Line) -> CurveAt:
    value, ci, prediction = line.at(np.array([1.0, logit(predicted)]))
    return CurveAt(
        predicted=predicted,
        observed=expit(value),
        ci=(expit(ci[0]), expit(ci[1])),
        prediction=None if prediction is None else (expit(prediction[0]), expit(prediction[1])),
    )
