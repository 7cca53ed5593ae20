"""Few points with the likelihood of many, for logistic fits to many scores.

Between neighbouring edges 1/32 apart on the logit scale a smooth function is its polynomial
through six points, to some 14 digits. Sums of it over scores are then sums over the six points,
with weights that follow from the moments of the scores; they may be negative.
"""

import math
from dataclasses import dataclass

import numpy as np

from healthval.metrics.inputs import Floats, Ints
from healthval.metrics.logistic import (
    BLOCK,
    Counts,
    LogisticFit,
    NotEstimable,
    fit_logistic,
    predictor,
)

CELLS_PER_UNIT = 32
CELLS_BETWEEN_KNOTS = 128
NO_KNOTS = np.empty(0)
NARROWEST = 1e-12  # half of a cell between a knot and the edge beside it
CASES_PER_CELL = 8
WORTHWHILE = 4 * BLOCK  # fewer scores are fitted faster as they are
NODES = np.cos(np.pi * (np.arange(6) + 0.5) / 6)  # Chebyshev's, on -1 to 1
WEIGHTS_OF_MOMENTS = np.linalg.inv(NODES ** np.arange(6)[:, None])


@dataclass(frozen=True, slots=True)
class Regression:
    """Terms, events and cases of each point, and what is added to the predictor."""

    design: Floats
    counts: Counts
    offset: Floats | None = None


def condensed_fit(few: Regression, start: Floats) -> LogisticFit | None:
    """Fit to the points of `condense`; None where the predictor is too steep for them, or no fit.

    Over a cell it may change by 1/16, as it does where the slope is 2.
    """
    beta = start
    try:
        with np.errstate(all="ignore"):  # of a fit that fails only its failure matters
            for _ in range(2):  # the second time for the covariance at the very end
                fit = fit_logistic(
                    few.design, few.counts, start=beta, offset=few.offset, coarse=False
                )
                beta = fit.beta
    except NotEstimable:
        return None
    eta = predictor(few.design, fit.beta)
    if few.offset is not None:
        eta += few.offset
    change = np.ptp(eta.reshape(NODES.size, -1), axis=0)
    return fit if change.max() <= 2 / CELLS_PER_UNIT else None


def condense(x: Floats, counts: Counts, knots: Floats = NO_KNOTS) -> tuple[Floats, Counts] | None:
    """Points in place of ascending scores, with the events and cases each stands for.

    None where they would not be few: scores below 4 * BLOCK, or far apart beside the cells.

    Cells are cut at the knots of a spline, for between them it is smooth, and are narrow beside
    their range, for its bends scale with that. The points come in six rows, one of each cell.
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
    size = ends - starts
    u = np.repeat(middle, size)
    np.subtract(x, u, out=u)
    u *= np.repeat(1 / half, size)
    events, cases = (_weights(u, count, starts) for count in counts)
    return (middle + half * NODES[:, None]).ravel(), (events, cases)


def _weights(u: Floats, count: Floats, starts: Ints) -> Floats:
    """Weights of the six points of each cell, from the moments of `u` (-1 to 1 in the cell)."""
    moments, term = [np.add.reduceat(count, starts)], count.copy()
    for _ in NODES[1:]:
        term *= u
        moments.append(np.add.reduceat(term, starts))
    return np.asarray(np.einsum("ij,jk->ik", WEIGHTS_OF_MOMENTS, np.array(moments)).ravel())
