"""Logistic regression by Newton steps, restricted cubic splines, robust covariance."""

from dataclasses import dataclass

import numpy as np

from healthval.metrics.inputs import Bools, Floats, Ints

MAX_STEPS = 50
TOO_STEEP = 1e3


class NotEstimable(Exception):
    """A fit has no finite answer; the text is the reason a reader gets."""


@dataclass(frozen=True, slots=True)
class LogisticFit:
    """Coefficients, their model-based covariance, fitted probabilities and deviance."""

    beta: Floats
    covariance: Floats
    fitted: Floats
    deviance: float


def fit_logistic(
    design: Floats, event: Bools, *, start: Floats, offset: Floats | float = 0.0
) -> LogisticFit:
    """Maximum likelihood by Newton-Raphson with step-halving.

    Parameters
    ----------
    design : array, shape (n_terms, n_cases), with its constant row
    event : bool array, shape (n_cases,)
    start : array, shape (n_terms,)

    Raises
    ------
    NotEstimable
        If the classes are separated or the design is singular.
    """
    beta, y = start.astype(np.float64), event.astype(np.float64)
    eta = predictor(design, beta) + offset
    deviance = deviance_of(eta, y)
    for _ in range(MAX_STEPS):
        fitted = sigmoid(eta)
        covariance = _inverse(information(design, fitted * (1 - fitted)))
        residual = y - fitted
        step = covariance @ np.array([dot(row, residual) for row in design])
        if np.max(np.abs(step)) <= 1e-10 * (1 + np.max(np.abs(beta))):
            return LogisticFit(beta + step, covariance, fitted, deviance)
        beta, eta, deviance = _halved(design, y, (beta, step, deviance), offset)
        if np.max(np.abs(beta)) > TOO_STEEP:
            break
    raise NotEstimable("the score separates the classes completely, or nearly so")


def predictor(design: Floats, beta: Floats) -> Floats:
    """Linear predictor; no BLAS, whose threads change sums and cost more than they save."""
    eta: Floats = design[0] * beta[0]
    for row, coefficient in zip(design[1:], beta[1:], strict=True):
        eta += row * coefficient
    return eta


def dot(a: Floats, b: Floats) -> float:
    """Sum of products in one thread, the same on every machine size."""
    return float(np.einsum("i,i->", a, b))


def information(design: Floats, weight: Floats) -> Floats:
    """Weighted cross products of the terms, shape (n_terms, n_terms)."""
    terms = len(design)
    matrix = np.empty((terms, terms))
    for i in range(terms):
        weighted = design[i] * weight
        for j in range(i, terms):
            matrix[i, j] = matrix[j, i] = dot(weighted, design[j])
    return matrix


def _halved(
    design: Floats, y: Floats, state: tuple[Floats, Floats, float], offset: Floats | float
) -> tuple[Floats, Floats, float]:
    """Take the step, or the longest half, quarter ... of it that does not worsen the fit."""
    beta, step, before = state
    for _ in range(30):
        eta = predictor(design, beta + step) + offset
        deviance = deviance_of(eta, y)
        if deviance <= before + 1e-9 * (1 + abs(before)):
            break
        step = step / 2
    return beta + step, eta, deviance


def _inverse(information: Floats) -> Floats:
    try:
        inverse = np.linalg.inv(information)
    except np.linalg.LinAlgError:
        raise NotEstimable("the scores vary too little for the model") from None
    if not np.all(np.isfinite(inverse)) or np.any(np.diag(inverse) <= 0):
        raise NotEstimable("the scores vary too little for the model")
    return np.asarray(inverse, np.float64)


def sigmoid(eta: Floats) -> Floats:
    """Inverse logit of an array, without overflow."""
    clipped: Floats = np.maximum(eta, -700.0)
    return 1.0 / (1.0 + np.exp(-clipped))


def logit(p: Floats) -> Floats:
    """Log odds; infinite at 0 and 1."""
    with np.errstate(divide="ignore"):
        odds: Floats = np.log(p / (1 - p))
    return odds


def deviance_of(eta: Floats, y: Floats) -> float:
    """Minus twice the log likelihood."""
    softplus = np.maximum(eta, 0) + np.log(1 + np.exp(-np.abs(eta)))
    return 2 * (float(softplus.sum()) - dot(y, eta))


def per_cluster(values: Floats, cluster: Ints) -> Floats:
    """Sum of the values in each cluster."""
    return np.bincount(cluster, weights=values).astype(np.float64)


def robust_covariance(design: Floats, residual: Floats, bread: Floats, cluster: Ints) -> Floats:
    """Cluster-robust (sandwich) covariance of the coefficients (Liang and Zeger 1986)."""
    scores = np.column_stack([per_cluster(residual * row, cluster) for row in design])
    groups = scores.shape[0]
    meat = bread @ (scores.T @ scores) @ bread
    return np.asarray(meat * (groups / max(groups - 1, 1)), np.float64)


def spline_knots(x: Floats, count: int = 5) -> Floats:
    """Place knots of a restricted cubic spline where R's Hmisc places them.

    Quantiles (type 7) .05, .275, .5, .725, .95 for five; the fifth smallest and fifth largest
    value outside when there are fewer than 100 cases; a tied extreme (at least 5 % of cases, and
    no such tie inside) is set aside first; few distinct values become the knots themselves.

    Raises
    ------
    NotEstimable
        With fewer than 6 cases or 3 knots.

    References
    ----------
    Harrell 2015 Regression Modeling Strategies, 2nd ed., 2.4.6.
    """
    ordered = np.sort(x)
    values, counts = np.unique(ordered, return_counts=True)
    if ordered.size < 6 or values.size < 5:
        raise NotEstimable("too few distinct scores for a spline")
    if values.size - 2 <= count:
        return values[1:-1]
    inner, ends = _without_tied_ends(ordered, values, counts / ordered.size)
    wanted = count - sum(end is not None for end in ends)
    at = np.linspace(0.05, 0.95, wanted) if wanted > 2 else np.linspace(0.5, 0.95, wanted)
    knots = np.quantile(inner, at)
    if np.unique(knots).size < min(wanted, 3):
        knots = np.quantile(inner, np.linspace(0.05, 0.95, 2 * wanted))
    if inner.size < 100:
        knots[0] = inner[4] if ends[0] is None else knots[0]
        knots[wanted - 1] = inner[-5] if ends[1] is None else knots[wanted - 1]
    knots = np.unique(np.append(knots, [end for end in ends if end is not None]))
    if knots.size < 3:
        raise NotEstimable("too few distinct scores for a spline")
    return knots


def _without_tied_ends(
    ordered: Floats, values: Floats, share: Floats
) -> tuple[Floats, tuple[float | None, float | None]]:
    first = last = None
    if share[1:-1].max() < 0.05:
        if share[0] >= 0.05:
            first = float(values[1])
            ordered = ordered[ordered > first]
        if share[-1] >= 0.05:
            last = float(ordered[ordered < ordered[-1]][-1])
            ordered = ordered[ordered < last]
    return ordered, (first, last)


def spline_basis(x: Floats, knots: Floats) -> Floats:
    """Terms of a restricted cubic spline: x itself and one per inner knot; linear in the tails.

    Returns
    -------
    array, shape (n_knots - 1, n_cases)

    References
    ----------
    Harrell 2015, equation 2.25, divided by the squared range of the knots.
    """
    last, before = knots[-1], knots[-2]
    scale = (last - knots[0]) ** 2
    tail, inner = np.maximum(x - last, 0) ** 3, np.maximum(x - before, 0) ** 3
    rows = [x]
    for knot in knots[:-2]:
        cubic = np.maximum(x - knot, 0) ** 3
        bend = (last - knot) * inner - (before - knot) * tail
        rows.append((cubic - bend / (last - before)) / scale)
    return np.array(rows)
