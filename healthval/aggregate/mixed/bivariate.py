"""Sensitivity and specificity pooled jointly over sites, at one common threshold."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from healthval.aggregate.between_site_variance import Array
from healthval.aggregate.counts import cells_of
from healthval.aggregate.effects import LOGIT
from healthval.aggregate.meta import (
    MIN_SITES_POOLED,
    MIN_SITES_PREDICTION,
    Choice,
    Pair,
    meta_analysis,
    refuse_rows,
)
from healthval.aggregate.mixed.censored import noisy_pieces
from healthval.aggregate.mixed.glmm import MixedFit, differences, fit_mixed, maximise, unpack
from healthval.aggregate.result import BivariateResult
from healthval.contracts.submission import SUPPRESSED
from healthval.errors import MetricError, counted

MIN_SITES_TOGETHER = 4
_EDGE = 0.99  # a correlation beyond it is not identified


def bivariate(
    counts: Sequence[Any],
    method: Literal["binomial", "normal"] = "binomial",
    *,
    nodes: int = 15,
    level: float = 0.95,
    noise: Sequence[float] | None = None,
) -> BivariateResult:
    """Pool sensitivity and specificity with their between-site correlation.

    The intervals of the means have t quantiles with k - 1 degrees of freedom, because the variance
    between sites is itself uncertain. Maximum likelihood (``binomial``) takes it too small; the
    variance of the mean is multiplied by k / (k - 1). Where ``normal`` pools the two rates
    separately, their standard errors are Hartung and Knapp's. `cov` is without these allowances.

    Below four sites, and where the correlation approaches its limit (beyond 0.99), the two are
    pooled separately, and `fallback` is the reason.

    Parameters
    ----------
    counts : per site an object or mapping with tp, fp, fn, tn, or four counts in this order.
    method : ``binomial`` is Chu & Cole's mixed model; ``normal`` Reitsma's REML on logits, with
        one half added to the cells of the sites that have an empty one.
    nodes : quadrature nodes per dimension; 1 is Laplace, as ``lme4::glmer``.
    noise : per site the variance of the noise on a count, 0 without noise.

    Raises
    ------
    MetricError
        If a cell is suppressed, a site has no events or no non-events, there are fewer than three
        sites, a rate is 0 or 1 at every site, or a variance has no end.

    References
    ----------
    Chu & Cole 2006, J Clin Epidemiol 59:1331; Reitsma 2005, J Clin Epidemiol 58:982; Hartung &
    Knapp 2001, Stat Med 20:3875; Partlett & Riley 2017, Stat Med 36:301 (few sites).
    """
    _check_options(method, nodes, level)
    yes, n = _checked(counts)
    known = _Known(yes, n, _noise(noise, yes, n))
    how = _How(len(yes), method, nodes if method == "binomial" else 0, level)
    if len(yes) < MIN_SITES_TOGETHER:
        few = f"{len(yes)} of at least {MIN_SITES_TOGETHER} sites for a correlation"
        return _result(_separate(known, how), how, fallback=few)
    fit = known.fit(nodes) if method == "binomial" else _reitsma(known)
    rho = correlation(fit.between)
    if rho is None or abs(rho) > _EDGE:
        return _result(_separate(known, how), how, fallback="correlation not identified")
    return _result(fit, how, rho=rho)


def _check_options(method: Any, nodes: Any, level: Any) -> None:
    if method not in ("binomial", "normal"):
        raise MetricError("method: unknown; use binomial or normal")
    if not isinstance(nodes, int | np.integer) or not 1 <= nodes <= 51:
        raise MetricError("nodes: must be a whole number from 1 to 51")
    Choice("REML", "z", level)  # refuses a level outside 0 to 1


@dataclass(frozen=True, slots=True)
class _How:
    """Number of sites, method, quadrature nodes per dimension (0 for ``normal``), level."""

    k: int
    method: str
    nodes: int
    level: float


def _checked(counts: Sequence[Any]) -> tuple[Array, Array]:
    """True positives and negatives (k, 2), with the numbers of events and non-events (k, 2)."""
    rows = [cells_of(c, i) for i, c in enumerate(counts)]
    refuse_rows(
        np.array([SUPPRESSED in row for row in rows], bool),
        "sites with suppressed cells",
        "leave them out, and report it",
    )
    if len(rows) < MIN_SITES_POOLED:
        raise MetricError(f"{len(rows)} of at least {MIN_SITES_POOLED} sites: not pooled")
    tp, fp, fn, tn = np.array(rows, float).T
    refuse_rows(tp + fn == 0, "sites without events", "leave them out")
    refuse_rows(tn + fp == 0, "sites without non-events", "leave them out")
    yes, n = np.column_stack([tp, tn]), np.column_stack([tp + fn, tn + fp])
    for j, name in enumerate(("sensitivity", "specificity")):
        if yes[:, j].sum() in (0, n[:, j].sum()):
            raise MetricError(f"{name}: 0 or 1 at every site; see the summed counts instead")
    return yes, n


def correlation(between: Array) -> float | None:
    """Correlation between sites; None where one of the two does not vary."""
    sd = np.sqrt(np.diag(between))
    return float(between[0, 1] / (sd[0] * sd[1])) if sd.min() > 1e-3 else None


@dataclass(frozen=True, slots=True)
class _Known:
    """True positives and negatives, the sizes of both classes, and the noise variances, (k, 2)."""

    yes: Array
    n: Array
    noise: Array

    def fit(self, nodes: int, sides: Sequence[int] = (0, 1)) -> MixedFit:
        """Fit the binomial model to one side or both."""
        yes, n, noise = (x[:, list(sides)] for x in (self.yes, self.n, self.noise))
        pieces = noisy_pieces(yes, n, noise) if noise.any() else None
        return fit_mixed(yes, n, nodes, pieces)

    def logits(self) -> tuple[Array, Array]:
        """Empirical logits and variances; one half is added to the cells of a site with an empty one."""
        half = 0.5 * np.any((self.yes == 0) | (self.yes == self.n), axis=1, keepdims=True)
        a, b = self.yes + half, self.n - self.yes + half
        return np.log(a / b), 1 / a + 1 / b + self.noise * (1 / a + 1 / b) ** 2


def _noise(noise: Sequence[float] | None, yes: Array, n: Array) -> Array:
    """Variance of each count's noise; that of the class size is part of it."""
    if noise is None:
        return np.zeros_like(yes)
    given = np.array(noise, float)
    if len(given) != len(yes):
        raise MetricError(f"noise: {counted(len(given), 'value')} for {counted(len(yes), 'site')}")
    refuse_rows(~(given >= 0), "variances of the noise that are not 0 or more", "correct them")
    positive = np.column_stack([yes[:, 0], n[:, 1] - yes[:, 1]]) / n
    return np.asarray(given[:, None] * (1 + positive**2))


def _reitsma(known: _Known) -> MixedFit:
    y, v = known.logits()
    return fit_normal(y, np.einsum("kj,ij->kij", v, np.eye(2)))


def fit_normal(y: Array, within: Array) -> MixedFit:
    """Fit two normal outcomes (k, 2) with covariances `within` (k, 2, 2) by REML."""

    def solve(theta: Array) -> tuple[float, Array, Array, Array]:
        _, L = unpack(np.concatenate([[0.0, 0.0], theta]), 2)
        between = L @ L.T
        W = np.linalg.inv(between + within)
        cov = np.linalg.inv(W.sum(axis=0))
        mu = cov @ np.einsum("kij,kj->i", W, y)
        q = np.einsum("ki,kij,kj->", y - mu, W, y - mu)
        logdet = np.linalg.slogdet(W)[1].sum() + np.linalg.slogdet(cov)[1]
        return 0.5 * float(logdet - q), mu, cov, between

    def climb(theta: Array) -> tuple[float, Array]:
        return solve(theta)[0], differences(lambda t: solve(t)[0], theta)

    own = np.diagonal(within, axis1=1, axis2=2).mean(axis=0)
    sd = np.sqrt(np.maximum(y.var(axis=0) - own, 0.01))
    best = maximise(climb, np.array([sd[0], 0.0, sd[1]]), 3)
    loglik, mu, cov, between = solve(best.theta)
    return MixedFit(mu, cov, between, loglik)


def _separate(known: _Known, how: _How) -> MixedFit:
    """Pool the two separately."""
    if how.method == "binomial":
        fits = [known.fit(how.nodes, (j,)) for j in range(2)]
        mu = [float(f.mu.ravel()[0]) for f in fits]
        var = [float(f.cov.ravel()[0]) for f in fits]
        tau2 = [float(f.between.ravel()[0]) for f in fits]
        loglik = sum(f.loglik for f in fits)
    else:
        y, v = known.logits()
        each = [meta_analysis(list(y[:, j]), list(v[:, j])) for j in range(2)]
        mu, var, tau2 = [r.mu for r in each], [r.se**2 for r in each], [r.tau2 for r in each]
        loglik = float("nan")
    return MixedFit(np.array(mu), np.diag(var), np.diag(tau2), loglik)


def _result(
    fit: MixedFit, how: _How, *, rho: float | None = None, fallback: str | None = None
) -> BivariateResult:
    if not np.isfinite([*fit.mu, *fit.cov.flat, *fit.between.flat]).all():
        raise MetricError("the interval is too wide for an estimate")
    (a, b), (c, d) = fit.cov.tolist()
    mu, tau2 = fit.mu.tolist(), np.diag(fit.between).tolist()
    sensitivity, specificity = _side(mu[0], a, tau2[0], how), _side(mu[1], d, tau2[1], how)
    return BivariateResult(
        sensitivity=sensitivity[0],
        sensitivity_ci=sensitivity[1],
        sensitivity_prediction=sensitivity[2],
        specificity=specificity[0],
        specificity_ci=specificity[1],
        specificity_prediction=specificity[2],
        mu=(mu[0], mu[1]),
        cov=((a, b), (c, d)),
        tau=(float(np.sqrt(tau2[0])), float(np.sqrt(tau2[1]))),
        rho=rho,
        loglik=float(fit.loglik) if np.isfinite(fit.loglik) else None,
        k=how.k,
        method=how.method,
        nodes=how.nodes,
        level=how.level,
        fallback=fallback,
    )


def _side(mu: float, var: float, tau2: float, how: _How) -> tuple[float, Pair, Pair | None]:
    """Rate, its interval (t with k - 1), and the prediction interval of a new site (t with k - 2)."""
    from scipy.stats import t

    var *= how.k / (how.k - 1) if how.method == "binomial" else 1.0
    quantile, further = t.ppf((1 + how.level) / 2, [how.k - 1, how.k - 2]).tolist()
    near = _span(mu, quantile * math.sqrt(var))
    if how.k < MIN_SITES_PREDICTION:
        return LOGIT.back(mu), near, None
    return LOGIT.back(mu), near, _span(mu, further * math.sqrt(var + tau2))


def _span(mu: float, half: float) -> Pair:
    return LOGIT.back(mu - half), LOGIT.back(mu + half)
