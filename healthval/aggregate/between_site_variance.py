"""Between-site variance tau2 and its interval: REML, Paule-Mandel or DerSimonian-Laird.

For the mean (design of ones) and for a meta-regression (one covariate more). Symbols follow
Viechtbauer 2005 (J Educ Behav Stat 30:261): y effects, v sampling variances, X design,
W = diag(1 / (v + tau2)), P = W - W X (X'WX)^-1 X'W.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]
TauMethod: TypeAlias = Literal["REML", "PM", "DL", "FE"]
_GRID = 65  # points at which the sign of the REML score is read; its roots are then refined


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """Weighted least squares at one tau2.

    `w` (k,) weights; `beta` (p,); `cov` (p, p) = (X'WX)^-1; `r` (k,) residuals.
    """

    tau2: float
    w: Array
    beta: Array
    cov: Array
    r: Array
    X: Array

    @property
    def q(self) -> float:
        """Generalised Q: the weighted sum of squared residuals."""
        return float(np.sum(self.w * self.r**2))

    @property
    def loglik(self) -> float:
        """Restricted log-likelihood, constants left out."""
        _, logdet = np.linalg.slogdet(self.cov)
        return float(0.5 * (np.sum(np.log(self.w)) + logdet - self.q))


def fit_at(tau2: float, y: Array, v: Array, X: Array) -> Fit:
    """Fit the mean or the line by weighted least squares with the given tau2."""
    w = 1.0 / (v + tau2)
    cov = np.asarray(np.linalg.inv((X * w[:, None]).T @ X), float)
    beta = cov @ (X.T @ (w * y))
    r = y - X @ beta
    return Fit(tau2=tau2, w=w, beta=beta, cov=cov, r=r, X=X)


def reml_scores(tau2: Array, y: Array, v: Array, X: Array) -> Array:
    """Twice the derivative of the restricted log-likelihood at each tau2: y'PPy - tr P."""
    w = 1.0 / (v + tau2[:, None])
    cov = np.linalg.inv(np.einsum("tk,ki,kj->tij", w, X, X))
    beta = np.einsum("tij,tj->ti", cov, (w * y) @ X)
    wr = w * (y - beta @ X.T)
    m2 = np.einsum("tk,ki,kj->tij", w**2, X, X)
    trace = w.sum(axis=1) - np.einsum("tij,tji->t", cov, m2)
    return np.asarray(np.sum(wr**2, axis=1) - trace)


def _least_squares(y: Array, X: Array) -> float:
    """Residual sum of squares without weights; bounds every root from above."""
    beta, *_ = np.linalg.lstsq(X, y, rcond=None)
    return float(np.sum((y - X @ beta) ** 2))


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    from scipy.optimize import brentq

    return float(brentq(function, low, high, xtol=1e-300, rtol=4 * np.finfo(float).eps))


def _reml(y: Array, v: Array, X: Array) -> float:
    """Find the global maximum of the restricted likelihood over tau2 >= 0.

    Above c + sqrt(c max v), with c = SS / (k - p), the score is negative: y'PPy <= max(w)^2 SS
    and tr P >= (k - p) min(w). Below, every change of its sign from + to - is a local maximum.
    """
    c = _least_squares(y, X) / (len(y) - X.shape[1])
    top = (c + np.sqrt(c * v.max())) * 1.0001
    if top <= np.finfo(float).tiny:
        return 0.0

    def score(t: float) -> float:
        return float(reml_scores(np.array([t]), y, v, X)[0])

    grid = np.concatenate([[0.0], np.geomspace(top * 1e-12, top, _GRID)])
    signs = reml_scores(grid, y, v, X)
    falls = np.flatnonzero((signs[:-1] > 0) & (signs[1:] <= 0))
    candidates = [0.0] if signs[0] <= 0 else []
    candidates += [_root(score, grid[i], grid[i + 1]) for i in falls]
    return max(candidates, key=lambda t: (fit_at(t, y, v, X).loglik, -t))


def tau2_where_q_is(target: float, y: Array, v: Array, X: Array) -> float:
    """Solve Q(tau2) = target; 0.0 where Q(0) is already below it. Q decreases with tau2."""

    def excess(t: float) -> float:
        return fit_at(t, y, v, X).q - target

    if excess(0.0) <= 0:
        return 0.0
    top = _least_squares(y, X) / target  # Q(t) <= SS / (min v + t)
    return _root(excess, 0.0, top) if excess(top) < 0 else top


def _dersimonian_laird(y: Array, v: Array, X: Array) -> float:
    """Solve the moment equation with fixed-effect weights (DerSimonian & Laird 1986)."""
    fixed = fit_at(0.0, y, v, X)
    m2 = (X * fixed.w[:, None] ** 2).T @ X
    trace = np.sum(fixed.w) - np.trace(fixed.cov @ m2)
    return max(0.0, float((fixed.q - (len(y) - X.shape[1])) / trace))


def between_site_variance(method: TauMethod, y: Array, v: Array, X: Array) -> float:
    """Estimate tau2; it is never negative, and exactly 0.0 at the boundary."""
    if method == "FE" or len(y) <= X.shape[1]:
        return 0.0
    if method == "DL":
        return _dersimonian_laird(y, v, X)
    if method == "PM":
        return tau2_where_q_is(len(y) - X.shape[1], y, v, X)
    return _reml(y, v, X)


def typical_variance(v: Array, X: Array) -> float:
    """Sampling variance of a typical site, for I2 (Higgins & Thompson 2002, eq. 9)."""
    w = 1.0 / v
    m2 = (X * w[:, None] ** 2).T @ X
    cov = np.linalg.inv((X * w[:, None]).T @ X)
    return float((len(v) - X.shape[1]) / (np.sum(w) - np.trace(cov @ m2)))


def q_profile(y: Array, v: Array, X: Array, level: float) -> tuple[float, float]:
    """Interval for tau2 by inverting the generalised Q statistic.

    References
    ----------
    Viechtbauer 2007, Stat Med 26:37.
    """
    from scipy.stats import chi2

    df = len(y) - X.shape[1]
    upper, lower = chi2.ppf([(1 + level) / 2, (1 - level) / 2], df)
    return tau2_where_q_is(float(upper), y, v, X), tau2_where_q_is(float(lower), y, v, X)
