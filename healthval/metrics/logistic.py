"""Logistic regression: Newton steps, robust covariance, splines, and fits to binned scores.

Logit and its inverse are numpy versions here: those of scipy differ in the last digit.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from healthval.metrics.inputs import Floats, Ints, Tallies

Counts = tuple[NDArray[Any], NDArray[Any]]  # events and cases of each group: whole, or weights
BLOCK = 8192  # fits the cache, and OpenBLAS keeps such products in one thread
MAX_STEPS = 50
TOO_STEEP = 1e3


class NotEstimable(Exception):
    """A fit has no finite solution; the text is the `reason` of the estimate."""


@dataclass(frozen=True, slots=True)
class LogisticFit:
    """Coefficients, their covariance, and the deviance."""

    beta: Floats
    covariance: Floats
    deviance: float

    def fitted(self, design: Floats, offset: Floats | None = None) -> Floats:
        """Fitted probabilities at each column of the design."""
        eta = predictor(design, self.beta)
        return sigmoid(eta if offset is None else eta + offset)


def fit_logistic(
    design: Floats,
    counts: Counts,
    *,
    start: Floats,
    offset: Floats | None = None,
    coarse: bool = True,
) -> LogisticFit:
    """Maximum likelihood by Newton-Raphson with step-halving.

    Parameters
    ----------
    design : array, shape (n_terms, n_groups), with a constant row; neighbouring groups are similar
    counts : events and cases of each group (cases with equal terms)
    start : array, shape (n_terms,)
    offset : array, shape (n_groups,)
    coarse : whether a fit to cells of neighbouring groups comes first, as a start for many groups

    Raises
    ------
    NotEstimable
        If the classes are separated or the design is singular.
    """
    beta = start.astype(np.float64)
    if design.shape[1] > 4 * BLOCK and coarse:
        beta = _coarse(design, counts, beta, offset)
    deviance, gradient, curvature = _pass(design, counts, beta, offset)
    for _ in range(MAX_STEPS):
        covariance = _inverse(curvature)
        if covariance is None:
            break
        step = covariance @ gradient
        if np.max(np.abs(step)) <= 1e-10 * (1 + np.max(np.abs(beta))):
            return LogisticFit(beta + step, covariance, deviance)
        before = deviance
        for _ in range(30):  # the longest of step, step / 2, step / 4 ... that does not fit worse
            deviance, gradient, curvature = _pass(design, counts, beta + step, offset)
            if deviance <= before + 1e-9 * (1 + abs(before)):
                break
            step = step / 2
        beta = beta + step
        if np.max(np.abs(beta)) > TOO_STEEP:
            break
    if _is_singular(design, counts[1]):
        raise NotEstimable("the scores vary too little for the model")
    raise NotEstimable("the score separates the classes completely, or nearly so")


def _is_singular(design: Floats, cases: Floats) -> bool:
    """Whether a term is a combination of the others, so that no classes would give a fit."""
    cross = information(design, cases)
    scale = np.sqrt(np.diag(cross))
    if not np.all(np.isfinite(scale) & (scale > 0)):
        return True
    return bool(np.linalg.eigvalsh(cross / np.outer(scale, scale))[0] < 1e-12)


def _coarse(design: Floats, counts: Counts, start: Floats, offset: Floats | None) -> Floats:
    """Coefficients of a fit to 1000 cells of neighbours: a start that saves half of the passes."""
    events, cases = counts
    starts = np.arange(0, cases.size, cases.size // 1000)
    size = np.add.reduceat(cases, starts)
    means = [np.add.reduceat(row * cases, starts) / size for row in design]
    fixed = None if offset is None else np.add.reduceat(offset * cases, starts) / size
    total = (np.add.reduceat(events, starts), size)
    return fit_logistic(np.array(means), total, start=start, offset=fixed).beta


def _pass(
    design: Floats, counts: Counts, beta: Floats, offset: Floats | None
) -> tuple[float, Floats, Floats]:
    """Deviance, gradient and curvature, block by block: blocks that fit the cache cost half."""
    terms = len(design)
    deviance, gradient, curvature = 0.0, np.zeros(terms), np.zeros((terms, terms))
    for start in range(0, design.shape[1], BLOCK):
        here = slice(start, start + BLOCK)
        rows, events, cases = design[:, here], counts[0][here], counts[1][here]
        eta = predictor(rows, beta)
        if offset is not None:
            eta += offset[here]
        fitted, part = _likelihood(eta, (events, cases))
        deviance += part
        expected = cases * fitted
        gradient += [dot(row, events - expected) for row in rows]
        curvature += information(rows, expected * (1 - fitted))
    return deviance, gradient, curvature


def predictor(design: Floats, beta: Floats) -> Floats:
    """Linear predictor; without BLAS, because its idle threads cost more than they save."""
    eta: Floats = design[0] * beta[0]
    for row, coefficient in zip(design[1:], beta[1:], strict=True):
        eta += row * coefficient
    return eta


def dot(a: Floats, b: Floats) -> float:
    """Sum of products, in blocks too small for BLAS to divide among threads."""
    starts = range(0, a.size, BLOCK)
    return sum(float(np.dot(a[i : i + BLOCK], b[i : i + BLOCK])) for i in starts)


def information(design: Floats, weight: Floats) -> Floats:
    """Weighted cross products of the terms, shape (n_terms, n_terms)."""
    matrix = (design * weight) @ design.T
    return np.asarray(matrix + matrix.T) / 2


def _likelihood(eta: Floats, counts: Counts) -> tuple[Floats, float]:
    """Fitted probabilities and deviance from one exponential; no overflow."""
    events, cases = counts
    small = np.exp(-np.abs(eta))
    larger = 1.0 / (1.0 + small)
    fitted = np.where(eta >= 0, larger, small * larger)
    softplus = np.maximum(eta, 0) - np.log(larger)
    return fitted, 2 * (dot(cases, softplus) - dot(events, eta))


def _inverse(information: Floats) -> Floats | None:
    """Inverse of the information; None where it is singular or no covariance."""
    try:
        inverse = np.linalg.inv(information)
    except np.linalg.LinAlgError:
        return None
    if not np.all(np.isfinite(inverse)) or np.any(np.diag(inverse) <= 0):
        return None
    return np.asarray(inverse, np.float64)


def sigmoid(eta: Floats) -> Floats:
    """Inverse logit of an array, without overflow."""
    clipped: Floats = np.maximum(eta, -700.0)
    return 1.0 / (1.0 + np.exp(-clipped))


def logit(p: Floats) -> Floats:
    """Logit of an array; infinite at 0 and 1."""
    with np.errstate(divide="ignore"):
        odds: Floats = 1 - p  # in place, because memory bounds the number of cases
        np.divide(p, odds, out=odds)
        return np.log(odds, out=odds)


def deviance_of(eta: Floats, counts: Counts) -> float:
    """Minus twice the log likelihood of events per group."""
    blocks = (slice(start, start + BLOCK) for start in range(0, eta.size, BLOCK))
    return sum(_likelihood(eta[b], (counts[0][b], counts[1][b]))[1] for b in blocks)


def per_cluster(values: Floats, cluster: Ints) -> Floats:
    """Sum of the values in each cluster."""
    return np.bincount(cluster, weights=values).astype(np.float64)


def total_variance(parts: Floats, cluster: Ints | None) -> float:
    """Variance of a sum of parts with mean zero; with clusters, parts are summed per patient first."""
    if cluster is None:
        return dot(parts, parts)
    totals = per_cluster(parts, cluster)
    return dot(totals, totals) * totals.size / max(totals.size - 1, 1)


def robust_covariance(design: Floats, residual: Floats, bread: Floats, cluster: Ints) -> Floats:
    """Cluster-robust (sandwich) covariance of the coefficients (Liang and Zeger 1986).

    Raises
    ------
    NotEstimable
        If there are too few clusters for the number of coefficients.
    """
    scores = np.column_stack([per_cluster(residual * row, cluster) for row in design])
    groups = scores.shape[0]
    spread = np.linalg.eigvalsh(scores.T @ scores)
    if groups <= len(design) or spread[0] <= 1e-10 * spread[-1]:
        raise NotEstimable("too few patients for a variance between them")
    meat = bread @ (scores.T @ scores) @ bread
    return np.asarray((meat + meat.T) / 2 * (groups / (groups - 1)), np.float64)


def spline_knots(values: Floats, cases: Tallies, count: int = 5) -> Floats:
    """Knots of a restricted cubic spline, equal to those of R's Hmisc.

    Five knots are the quantiles (type 7) .05, .275, .5, .725, .95. With fewer than 100 cases the
    outer knots are the fifth smallest and fifth largest value. A tied extreme (at least 5 % of cases,
    and no such tie inside) is set aside first. Few distinct values are the knots themselves.

    Parameters
    ----------
    values : distinct, ascending
    cases : number of cases with each value

    Raises
    ------
    NotEstimable
        With fewer than 6 cases, 5 cases between tied extremes, or 3 knots.

    References
    ----------
    Harrell 2015 Regression Modeling Strategies, 2nd ed., 2.4.6.
    """
    if cases.sum() < 6 or values.size < 5:
        raise NotEstimable("too few distinct scores for a spline")
    if values.size - 2 <= count:
        return values[1:-1]
    inner, ends = _without_tied_ends(values, cases)
    if (left := int(inner[1].sum())) < 5:
        raise NotEstimable("too few distinct scores for a spline")
    wanted = count - sum(end is not None for end in ends)
    at = np.linspace(0.05, 0.95, wanted) if wanted > 2 else np.linspace(0.5, 0.95, wanted)
    knots = grouped_quantile(*inner, at)
    if np.unique(knots).size < min(wanted, 3):
        knots = grouped_quantile(*inner, np.linspace(0.05, 0.95, 2 * wanted))
    if left < 100:
        fifth = order_statistics(*inner, np.array([4, left - 5]))
        knots[0] = fifth[0] if ends[0] is None else knots[0]
        knots[wanted - 1] = fifth[1] if ends[1] is None else knots[wanted - 1]
    knots = np.unique(np.append(knots, [end for end in ends if end is not None]))
    if knots.size < 3:
        raise NotEstimable("too few distinct scores for a spline")
    return knots


def _without_tied_ends(
    values: Floats, cases: Tallies
) -> tuple[tuple[Floats, Tallies], tuple[float | None, float | None]]:
    first = last = None
    many = 0.05 * cases.sum()
    if cases[1:-1].max() < many:
        inner = slice(2 if cases[0] >= many else 0, -2 if cases[-1] >= many else None)
        first = float(values[1]) if cases[0] >= many else None
        last = float(values[-2]) if cases[-1] >= many else None
        values, cases = values[inner], cases[inner]
    return (values, cases), (first, last)


def order_statistics(values: Floats, cases: Tallies, position: NDArray[Any]) -> Floats:
    """Values at these positions (from 0) of the cases in ascending order."""
    below = np.cumsum(cases, dtype=cases.dtype)
    return values[np.searchsorted(below, position.astype(below.dtype), side="right")]


def grouped_quantile(values: Floats, cases: Tallies, q: Floats) -> Floats:
    """Quantiles of type 7 from distinct ascending values and the number of cases with each."""
    at = (int(cases.sum()) - 1) * np.asarray(q)
    below = np.floor(at).astype(np.int64)
    lower = order_statistics(values, cases, below)
    upper = order_statistics(values, cases, np.ceil(at).astype(np.int64))
    return lower + (at - below) * (upper - lower)


def spline_basis(x: Floats, knots: Floats) -> Floats:
    """Terms of a restricted cubic spline, linear in the tails: x and one term per inner knot.

    Returns
    -------
    array, shape (n_knots - 1, n_cases)

    References
    ----------
    Harrell 2015, equation 2.25, divided by the squared range of the knots.
    """
    last, before = knots[-1], knots[-2]
    scale = (last - knots[0]) ** 2
    tail, inner = _cubed(x - last), _cubed(x - before)
    rows = [x]
    for knot in knots[:-2]:
        bend = (last - knot) * inner - (before - knot) * tail
        rows.append((_cubed(x - knot) - bend / (last - before)) / scale)
    return np.array(rows)


def _cubed(x: Floats) -> Floats:
    """Cube of the positive part; as a product, because powers cost ten times as much."""
    positive = np.maximum(x, 0.0)
    return positive * positive * positive


# Binned fits. Within a cell 1/32 wide on the logit scale, a smooth function equals the polynomial
# through six of its points to about 14 digits. A sum of the function over the scores of the cell is
# then a weighted sum over the six points. The weights follow from the moments of the scores and may
# be negative.
CELLS_PER_UNIT = 32
CELLS_BETWEEN_KNOTS = 128
NO_KNOTS = np.empty(0)
NARROWEST = 1e-12  # half width of a cell between a knot and an adjacent edge
CASES_PER_CELL = 8
SCORES_AT_ONCE = 1 << 18
WORTHWHILE = 4 * BLOCK  # a fit to fewer scores is faster without bins
NODES = np.cos(np.pi * (np.arange(6) + 0.5) / 6)  # Chebyshev's, on -1 to 1
WEIGHTS_OF_MOMENTS = np.linalg.inv(NODES ** np.arange(6)[:, None])


@dataclass(frozen=True, slots=True)
class Regression:
    """Terms, events and cases of each point, and the offset of the predictor."""

    design: Floats
    counts: Counts
    offset: Floats | None = None


def binned_fit(bins: Regression, start: Floats) -> LogisticFit | None:
    """Fit to the points of `bin_scores`; None where the fit fails or is too steep for the cells.

    The predictor may change by at most 1/16 within a cell, as with slope 2.
    """
    beta = start
    try:
        with np.errstate(all="ignore"):  # a failed fit raises NotEstimable
            for _ in range(2):  # refit once so that the covariance is evaluated at the optimum
                fit = fit_logistic(
                    bins.design, bins.counts, start=beta, offset=bins.offset, coarse=False
                )
                beta = fit.beta
    except NotEstimable:
        return None
    eta = predictor(bins.design, fit.beta)
    if bins.offset is not None:
        eta += bins.offset
    change = np.ptp(eta.reshape(NODES.size, -1), axis=0)
    return fit if change.max() <= 2 / CELLS_PER_UNIT else None


def bin_scores(x: Floats, counts: Counts, knots: Floats = NO_KNOTS) -> tuple[Floats, Counts] | None:
    """Six points per cell in place of ascending scores, with their weights in events and cases.

    None when bins would not save time: at most 4 * BLOCK scores, or too few scores per cell.

    Knots of a spline are edges of cells, because the spline is smooth only between them. Cells are
    narrow relative to the range of the knots, because the curvature scales with that range. The
    points are in six rows, each with one point of every cell.
    """
    density = float(CELLS_PER_UNIT)
    if knots.size:
        density = max(density, CELLS_BETWEEN_KNOTS / float(knots[-1] - knots[0]))
    if x.size <= WORTHWHILE or float(x[-1] - x[0]) * density > x.size / CASES_PER_CELL:
        return None
    edges = np.arange(math.floor(x[0] * density), math.ceil(x[-1] * density) + 1) / density
    edges = np.union1d(edges, knots)
    ends = np.searchsorted(x, edges[1:], side="right").astype(np.int64)
    ends[-1] = x.size  # the last edge may be rounded down
    filled = np.flatnonzero(np.diff(ends, prepend=0))
    ends, middle = ends[filled], (edges[filled + 1] + edges[filled]) / 2
    starts, half = np.append(0, ends[:-1]), np.maximum(edges[filled + 1] - middle, NARROWEST)
    events, cases = (np.empty((NODES.size, starts.size)) for _ in counts)
    # Some cells at a time, because arrays as long as the data bound the number of cases.
    first = 0
    while first < starts.size:
        end = max(first + 1, int(np.searchsorted(ends, starts[first] + SCORES_AT_ONCE, "right")))
        here, at = slice(first, end), slice(int(starts[first]), int(ends[end - 1]))
        size = ends[here] - starts[here]
        u = np.repeat(middle[here], size)
        np.subtract(x[at], u, out=u)
        u *= np.repeat(1 / half[here], size)
        for moments, count in zip((events, cases), counts, strict=True):
            own = count[at].astype(np.float64)
            moments[:, here] = _moments(u, own, starts[here] - starts[first])
        first = end
    points = (middle + half * NODES[:, None]).ravel()
    return points, (_weights(events), _weights(cases))


def _moments(u: Floats, count: Floats, starts: Ints) -> Floats:
    """Moments of `u` (-1 to 1 in the cell) in each cell, shape (6, n_cells)."""
    moments, term = [np.add.reduceat(count, starts)], count
    for _ in NODES[1:]:
        term *= u
        moments.append(np.add.reduceat(term, starts))
    return np.array(moments)


def _weights(moments: Floats) -> Floats:
    """Weights of the six points of each cell."""
    return np.asarray(np.einsum("ij,jk->ik", WEIGHTS_OF_MOMENTS, moments).ravel())
