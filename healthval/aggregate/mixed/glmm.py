"""Binomial- or Poisson-normal mixed model by adaptive Gauss-Hermite quadrature, one or two outcomes.

Counts are binomial given a site's logits; these are normal over sites: eta = mu + L z, z ~ N(0, I).
L is lower triangular, so a between-site SD of zero is an inner point, not an edge. With one node
the integral is Laplace's, as in ``lme4::glmer``. A count may be known exactly, up to noise, or only
as withheld: its likelihood is then the sum over the values that it can have.

References
----------
Chu & Cole 2006, J Clin Epidemiol 59:1331; Pinheiro & Bates 1995, J Comput Graph Stat 4:12.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from healthval.aggregate.between_site_variance import Array
from healthval.errors import MetricError

_FINE = 7  # number of nodes from which the quadrature's gradient is that of the exact likelihood
_FLAT = 1e-8  # differences of the gradient resolve no smaller curvature; an SD of 10,000 logits


@dataclass(frozen=True, slots=True)
class Optimum:
    """Parameters at the highest likelihood, and the covariance of the first `d` of them."""

    theta: Array
    cov: Array
    loglik: float


@dataclass(frozen=True, slots=True)
class MixedFit:
    """Means (d,) and their covariance (d, d) on the logit scale; between-site covariance (d, d)."""

    mu: Array
    cov: Array
    between: Array
    loglik: float


def unpack(theta: Array, d: int) -> tuple[Array, Array]:
    """Means (d,) and lower triangle L (d, d) from one vector."""
    L = np.zeros((d, d))
    L[np.tril_indices(d)] = theta[d:]
    return theta[:d], L


@dataclass(frozen=True, slots=True, kw_only=True)
class Pieces:
    """Values that counts can have: a site's likelihood is the sum over its pieces.

    Each piece is log-concave, so that it has one mode. Arrays are padded with weight zero.

    Attributes
    ----------
    y, logw : (pieces, d, values); possible counts and the log-probability of the release given each
    n : (pieces, d), cases that a count is of; the expected counts of the Poisson model
    poisson : whether counts are Poisson with mean n exp(eta)
    site : (pieces,), index of the piece's site, in growing order
    """

    y: Array
    logw: Array
    n: Array
    site: NDArray[np.int64]
    poisson: bool = False

    @classmethod
    def exact(cls, yes: Array, n: Array) -> "Pieces":
        """One piece per site with known counts, both (k, d)."""
        y = np.asarray(yes, float)[..., None]
        return cls(
            y=y,
            logw=np.zeros_like(y),
            n=np.asarray(n, float),
            site=np.arange(len(y), dtype=np.int64),
        )


class Model:
    """Log-likelihood of the sites' counts, known exactly or as a distribution, and its gradient."""

    def __init__(self, pieces: Pieces, nodes: int) -> None:
        from scipy.special import gammaln, xlogy

        self.pieces, self.nodes = pieces, nodes
        self.d = pieces.n.shape[1]
        x, w = np.polynomial.hermite.hermgauss(nodes)
        grid = np.meshgrid(*[x] * self.d, indexing="ij")
        self.x = np.column_stack([g.ravel() for g in grid])  # (nodes^d, d)
        logs = np.meshgrid(*[np.log(w) + x**2 - 0.5 * np.log(np.pi)] * self.d, indexing="ij")
        self.logw = sum(g.ravel() for g in logs)
        n, y = pieces.n[..., None], pieces.y
        if pieces.poisson:
            choose = xlogy(y, n) - gammaln(y + 1)
        else:
            choose = gammaln(n + 1) - gammaln(y + 1) - gammaln(n - y + 1)
        self._values = (choose + pieces.logw)[:, None]
        self._starts = np.flatnonzero(np.diff(pieces.site, prepend=-1))
        self._mode = np.zeros((len(y), self.d))

    def _terms(self, z: Array, mu: Array, L: Array) -> tuple[Array, Array, Array]:
        """Joint log-density, residuals and information of the logits at z (..., d)."""
        eta, n, y = mu + z @ L.T, self.pieces.n[:, None], self.pieces.y[:, None]
        lost, expected, information = self._family(eta, n)
        logs = self._values + y * eta[..., None]
        top = logs.max(axis=-1, keepdims=True)
        mass = np.exp(logs - top)
        total = mass.sum(axis=-1)
        mean = (mass * y).sum(axis=-1) / total
        spread = (mass * (y - mean[..., None]) ** 2).sum(axis=-1) / total
        density = np.sum(np.log(total) + top[..., 0] - lost, axis=-1)
        density -= 0.5 * np.sum(z**2, axis=-1)
        return density, mean - expected, np.maximum(information - spread, 0)

    def _family(self, eta: Array, n: Array) -> tuple[Array, Array, Array]:
        """Cumulant at eta, expected count and its variance."""
        if self.pieces.poisson:
            mean = n * np.exp(np.clip(eta, -700, 700))
            return mean, mean, mean
        p = 1 / (1 + np.exp(-np.clip(eta, -700, 700)))
        return n * np.logaddexp(0, eta), n * p, n * p * (1 - p)

    def _find_modes(self, mu: Array, L: Array) -> tuple[Array, Array]:
        """Newton steps to each site's mode, halved where the density would decrease; curvature there."""
        z = self._mode[:, None, :]
        density, residual, weight = self._terms(z, mu, L)
        for _ in range(100):
            hessian = np.eye(self.d) + np.einsum("ja,kj,jb->kab", L, weight[:, 0], L)
            slope = residual[:, 0] @ L - z[:, 0]
            step = np.linalg.solve(hessian, slope[..., None])[:, None, :, 0]
            trial = z + step
            new = self._terms(trial, mu, L)
            for _ in range(30):
                worse = (new[0] < density - 1e-9 * (1 + np.abs(density)))[:, 0]
                if not worse.any():
                    break
                step[worse] /= 2
                trial = z + step
                new = self._terms(trial, mu, L)
            z, (density, residual, weight) = trial, new
            if np.max(np.abs(step)) < 1e-11:
                break
        self._mode = z[:, 0]
        return z[:, 0], np.eye(self.d) + np.einsum("ja,kj,jb->kab", L, weight[:, 0], L)

    def loglik_and_gradient(self, theta: Array) -> tuple[float, Array]:
        """Marginal log-likelihood and, by Fisher's identity, its gradient."""
        mu, L = unpack(theta, self.d)
        mode, hessian = self._find_modes(mu, L)
        root = np.linalg.inv(np.linalg.cholesky(hessian)).transpose(0, 2, 1)
        z = mode[:, None, :] + np.sqrt(2) * np.einsum("kab,qb->kqa", root, self.x)
        density, residual, _ = self._terms(z, mu, L)
        logs = density + self.logw - 0.5 * np.linalg.slogdet(hessian)[1][:, None]
        tops = np.maximum.reduceat(logs.max(axis=1), self._starts)
        mass = np.exp(logs - tops[self.pieces.site][:, None])
        total = np.add.reduceat(mass.sum(axis=1), self._starts)
        mean = mass / total[self.pieces.site][:, None]
        slope = np.einsum("kq,kqj->j", mean, residual)
        cross = np.einsum("kq,kqj,kqm->jm", mean, residual, z)
        value = float(np.sum(np.log(total) + tops))
        return value, np.concatenate([slope, cross[np.tril_indices(self.d)]])

    def loglik(self, theta: Array) -> float:
        """Marginal log-likelihood."""
        return self.loglik_and_gradient(theta)[0]


def fit_mixed(yes: Array, n: Array, nodes: int, pieces: Pieces | None = None) -> MixedFit:
    """Maximise the likelihood of counts `yes` of `n`, both (k, d) with d = 1 or 2.

    `pieces` are what is known of the counts where they carry noise.
    """
    model, d = Model(Pieces.exact(yes, n) if pieces is None else pieces, nodes), yes.shape[1]
    logit = np.log((yes + 0.5) / (n - yes + 0.5))
    spread = np.maximum(logit.std(axis=0), 0.1)
    start = np.concatenate([np.median(logit, axis=0), np.diag(spread)[np.tril_indices(d)]])
    if nodes >= _FINE:
        best = maximise(model.loglik_and_gradient, start, d)
    else:
        best = maximise(lambda t: (model.loglik(t), differences(model.loglik, t)), start, d)
    mu, L = unpack(best.theta, d)
    return MixedFit(mu, best.cov, L @ L.T, best.loglik)


def differences(f: Callable[[Array], float], theta: Array, h: float = 1e-4) -> Array:
    """Central differences of fourth order, error about h^4."""
    out = np.empty_like(theta)
    for i in range(len(theta)):
        e = np.zeros_like(theta)
        e[i] = h * 10
        out[i] = (8 * (f(theta + e) - f(theta - e)) - (f(theta + 2 * e) - f(theta - 2 * e))) / (
            120 * h
        )
    return out


def maximise(f: Callable[[Array], tuple[float, Array]], start: Array, d: int) -> Optimum:
    """Maximise by BFGS, refine by Newton, and invert the curvature.

    Raises
    ------
    MetricError
        If no maximum is found.
    """
    from scipy.optimize import minimize

    def down(theta: Array) -> tuple[float, Array]:
        value, slope = f(theta)
        return -value, -slope

    found = minimize(down, start, jac=True, method="BFGS", options={"gtol": 1e-6, "maxiter": 500})
    theta, value = np.asarray(found.x, float), -float(found.fun)
    curvature = _curvature(f, theta)
    for _ in range(4):
        step = _newton_step(curvature, f(theta)[1])
        trial, _ = f(theta + step)
        if not trial >= value - 1e-10 * (1 + abs(value)):
            break
        theta, value = theta + step, trial
        curvature = _curvature(f, theta)
    covariance = _invert(curvature, d) if np.all(np.isfinite(curvature)) else None
    if covariance is None or not np.all(np.isfinite(theta)) or not np.isfinite(value):
        raise MetricError("bivariate model: no maximum of the likelihood for these counts")
    return Optimum(theta, covariance, value)


def covariance(f: Callable[[Array], tuple[float, Array]], theta: Array, d: int) -> Array | None:
    """Covariance of the first `d` parameters, from the curvature at the maximum.

    None if the likelihood is flat in a direction of these parameters.
    """
    return _invert(_curvature(f, theta), d)


def _curvature(f: Callable[[Array], tuple[float, Array]], theta: Array) -> Array:
    """Negative second derivatives, from differences of the gradient."""
    h, rows = 1e-4, []
    for i in range(len(theta)):
        e = np.zeros_like(theta)
        e[i] = h
        rows.append((f(theta - e)[1] - f(theta + e)[1]) / (2 * h))
    matrix = np.array(rows)
    return np.asarray((matrix + matrix.T) / 2)


def _newton_step(curvature: Array, slope: Array) -> Array:
    values, vectors = np.linalg.eigh(curvature)
    good = values > 1e-6 * max(values.max(), 1e-300)
    return np.asarray(vectors[:, good] @ ((vectors[:, good].T @ slope) / values[good]))


def _invert(curvature: Array, d: int) -> Array | None:
    """Inverse curvature of the means; at an edge of the between-site part, that part is fixed."""
    values = np.linalg.eigvalsh(curvature)
    if values.min() > max(1e-6 * values.max(), _FLAT):
        return np.asarray(np.linalg.inv(curvature)[:d, :d])
    means = curvature[:d, :d]
    if np.linalg.eigvalsh(means).min() <= _FLAT:
        return None
    return np.asarray(np.linalg.inv(means))
