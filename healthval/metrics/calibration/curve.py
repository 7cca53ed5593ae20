"""The flexible calibration curve (restricted cubic spline) and the distances it measures."""

import math
from dataclasses import dataclass

import numpy as np

from healthval.metrics.calibration.binned_fits import Regression, condense, condensed_fit
from healthval.metrics.estimate import Estimate
from healthval.metrics.inputs import Cases, Floats, Ints
from healthval.metrics.intervals.analytic import Bootstrap, Sample, bias_corrected, quantiles
from healthval.metrics.logistic import (
    BLOCK,
    Counts,
    LogisticFit,
    NotEstimable,
    fit_logistic,
    grouped_quantile,
    information,
    logit,
    predictor,
    robust_covariance,
    sigmoid,
    spline_basis,
    spline_knots,
)
from healthval.metrics.ranking.table import RankTable

Curve = tuple[tuple[float, Estimate], ...]
GRID = (0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99)  # fmt: skip
CELLS = 200
PLAN = Bootstrap(reps=500)


@dataclass(frozen=True, slots=True)
class FlexibleCalibration:
    """Mean, median and 90th percentile of |curve - score|, and the curve on a fixed grid."""

    ici: Estimate
    e50: Estimate
    e90: Estimate
    curve: Curve


@dataclass(frozen=True, slots=True)
class _Spline:
    """Knots, and the whitening that keeps the normal equations well conditioned."""

    knots: Floats
    centre: Floats
    whiten: Floats
    on_logit: bool

    @classmethod
    def over(cls, score: Floats, cases: Ints) -> "_Spline":
        """Place the knots over distinct ascending scores; a few thousand suffice to whiten."""
        on_logit = bool(score[0] > 0 and score[-1] < 1)
        x = logit(score) if on_logit else score
        knots = spline_knots(x, cases)
        thin = slice(None, None, score.size // BLOCK + 1)
        basis, share = spline_basis(x[thin], knots), cases[thin] / cases[thin].sum()
        centre = np.einsum("ij,j->i", basis, share)
        basis -= centre[:, None]
        try:
            whiten = np.linalg.inv(np.linalg.cholesky(information(basis, share)))
        except np.linalg.LinAlgError:
            raise NotEstimable("too few distinct scores for a spline") from None
        return cls(knots, centre, whiten, on_logit)

    def design(self, score: Floats) -> Floats:
        """Give the terms at each score, constant first."""
        return self.terms(logit(score) if self.on_logit else score)

    def terms(self, x: Floats) -> Floats:
        """As `design`, at places on the scale of the knots; filled block by block."""
        terms = np.ones((len(self.whiten) + 1, x.size))
        for start in range(0, x.size, BLOCK):
            here = slice(start, start + BLOCK)
            basis = spline_basis(x[here], self.knots) - self.centre[:, None]
            for i, row in enumerate(self.whiten, start=1):  # lower triangular
                terms[i, here] = predictor(basis[:i], row[:i])
        return terms

    def predictor(self, score: Floats, beta: Floats) -> Floats:
        """The terms at each score times their coefficients, without an array of all terms."""
        blocks = (score[start : start + BLOCK] for start in range(0, score.size, BLOCK))
        return np.concatenate([predictor(self.design(block), beta) for block in blocks])

    def few(self, score: Floats, counts: Counts) -> Regression | None:
        """Few points in place of many scores."""
        condensed = condense(logit(score), counts, self.knots) if self.on_logit else None
        return condensed and Regression(self.terms(condensed[0]), condensed[1])

    def identity(self) -> Floats:
        """Coefficients that give every score back: where the fit starts."""
        if not self.on_logit:
            return np.zeros(len(self.whiten) + 1)
        return np.append(
            self.centre[0], np.linalg.solve(self.whiten.T, np.eye(len(self.whiten))[0])
        )


def flexible_calibration(cases: Cases, table: RankTable, sample: Sample) -> FlexibleCalibration:
    """Fit the curve and measure how far it lies from the scores.

    Raises
    ------
    NotEstimable
        If the scores vary too little or separate the classes.
    """
    if cases.n_events in (0, cases.n):
        raise NotEstimable("all cases belong to one class")
    totals = table.pos + table.neg
    spline = _Spline.over(table.score, totals)
    fit = _fitted_spline(
        spline, table.score, (table.pos.astype(np.float64), totals.astype(np.float64))
    )
    fitted, covariance = sigmoid(spline.predictor(table.score, fit.beta)), fit.covariance
    if cases.cluster is not None:
        row = np.searchsorted(table.score, cases.score)
        design, residual = spline.design(table.score), cases.reference - fitted[row]
        covariance = robust_covariance(design[:, row], residual, covariance, cases.cluster)
    model = (spline, fit, covariance)
    distance = np.repeat(np.abs(fitted - table.score), totals)
    values = np.array([distance.mean(), *quantiles(distance, (0.5, 0.9))])
    replicates = _simulated(table, totals, model)
    method = "rcs5 bootstrap bc" if spline.on_logit else "rcs5 on p bootstrap bc"
    ici, e50, e90 = (
        sample.given(v, bias_corrected(column, v, sample.level), column.std(ddof=1), method)
        for v, column in zip(values.tolist(), replicates.T, strict=True)
    )
    return FlexibleCalibration(ici, e50, e90, _on_grid(table, totals, sample, model))


def _fitted_spline(spline: _Spline, score: Floats, counts: Counts) -> LogisticFit:
    few = spline.few(score, counts)
    fit = None if few is None else condensed_fit(few, spline.identity())
    return fit or fit_logistic(spline.design(score), counts, start=spline.identity())


_Model = tuple[_Spline, LogisticFit, Floats]


def _on_grid(table: RankTable, totals: Ints, sample: Sample, model: _Model) -> Curve:
    """Grid points within the inner 98 % of the scores: outside there is nothing to see."""
    lo, hi = grouped_quantile(table.score, totals, np.array([0.01, 0.99]))
    grid = np.array([p for p in GRID if lo <= p <= hi])
    if not grid.size:
        return ()
    spline, fit, covariance = model
    design = spline.design(grid).T
    eta = design @ fit.beta
    half = sample.z * np.sqrt(np.einsum("ij,jk,ik->i", design, covariance, design))
    observed, lower, upper = sigmoid(eta), sigmoid(eta - half), sigmoid(eta + half)
    se = half / sample.z * observed * (1 - observed)
    return tuple(
        (float(p), sample.given(y, (a, b), s, "rcs5 pointwise"))
        for p, y, a, b, s in zip(grid, observed, lower, upper, se, strict=True)
    )


def _simulated(table: RankTable, totals: Ints, model: _Model) -> Floats:
    """ICI, E50 and E90 of a parametric bootstrap: curves from the coefficients' distribution.

    Judged on at most 200 cells of neighbouring scores, so that the cost does not grow with n.
    """
    spline, fit, covariance = model
    total = int(totals.sum())
    cell = (np.cumsum(totals) - 1) * min(CELLS, total) // total
    starts = np.flatnonzero(np.append(True, cell[1:] != cell[:-1]))
    size = np.add.reduceat(totals, starts)
    score = np.add.reduceat(totals * table.score, starts) / size
    root = np.linalg.cholesky(covariance)
    draws = PLAN.rng().standard_normal((PLAN.reps, fit.beta.size)) @ root.T + fit.beta
    # No BLAS: its idle threads would cost more than the sums.
    curves = sigmoid(np.einsum("ij,jk->ik", draws, spline.design(score)))
    return _distances(np.abs(curves - score), size)


def _distances(distance: Floats, totals: Ints) -> Floats:
    """Mean, median and 90th percentile (type 7) of each row, values occurring `totals` times."""
    order, n = np.argsort(distance, axis=1), int(totals.sum())
    ranked, counted = np.take_along_axis(distance, order, axis=1), np.cumsum(totals[order], axis=1)
    columns = [(distance * totals).sum(axis=1) / n]
    for at in ((n - 1) * 0.5, (n - 1) * 0.9):
        low, high = (
            np.take_along_axis(ranked, np.argmax(counted > place, axis=1)[:, None], axis=1)[:, 0]
            for place in (math.floor(at), math.ceil(at))
        )
        columns.append(low + (at - math.floor(at)) * (high - low))
    return np.column_stack(columns)
