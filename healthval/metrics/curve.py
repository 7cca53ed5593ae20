"""The flexible calibration curve (restricted cubic spline) and the distances it measures."""

from dataclasses import dataclass

import numpy as np

from healthval.metrics.estimate import Estimate
from healthval.metrics.inputs import Cases, Floats
from healthval.metrics.intervals import Bootstrap, Sample, bias_corrected
from healthval.metrics.logistic import (
    LogisticFit,
    NotEstimable,
    fit_logistic,
    information,
    logit,
    predictor,
    robust_covariance,
    sigmoid,
    spline_basis,
    spline_knots,
)
from healthval.metrics.resampling import patient_weights

Curve = tuple[tuple[float, Estimate], ...]
GRID = (0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99)  # fmt: skip
CELLS = 200
PLAN = Bootstrap(reps=1000)


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
    def over(cls, score: Floats) -> "_Spline":
        on_logit = bool(score.min() > 0 and score.max() < 1)
        x = logit(score) if on_logit else score
        basis = spline_basis(x, knots := spline_knots(x))
        centre = basis.mean(axis=1)
        basis -= centre[:, None]
        try:
            whiten = np.linalg.inv(
                np.linalg.cholesky(information(basis, np.full(score.size, 1 / score.size)))
            )
        except np.linalg.LinAlgError:
            raise NotEstimable("too few distinct scores for a spline") from None
        return cls(knots, centre, whiten, on_logit)

    def design(self, score: Floats) -> Floats:
        x = logit(score) if self.on_logit else score
        basis = spline_basis(x, self.knots) - self.centre[:, None]
        return np.array([np.ones(score.size), *(predictor(basis, row) for row in self.whiten)])


def flexible_calibration(cases: Cases, sample: Sample) -> FlexibleCalibration:
    """Fit the curve and measure how far it lies from the scores.

    Raises
    ------
    NotEstimable
        If the scores vary too little or separate the classes.
    """
    if cases.n_events in (0, cases.n):
        raise NotEstimable("all cases belong to one class")
    spline = _Spline.over(cases.score)
    design = spline.design(cases.score)
    fit = fit_logistic(design, cases.reference, start=np.zeros(len(design)))
    distance = np.abs(fit.fitted - cases.score)
    values = np.append(distance.mean(), np.quantile(distance, [0.5, 0.9]))
    method = "rcs5 bootstrap bc" if spline.on_logit else "rcs5 on p bootstrap bc"
    ici, e50, e90 = (
        sample.given(
            float(value),
            bias_corrected(column, float(value), sample.level),
            float(column.std(ddof=1)),
            method,
        )
        for value, column in zip(values, _replicates(cases, spline, fit.beta).T, strict=True)
    )
    covariance = fit.covariance
    if cases.cluster is not None:
        residual = cases.reference - fit.fitted
        covariance = robust_covariance(design, residual, covariance, cases.cluster)
    return FlexibleCalibration(ici, e50, e90, _on_grid(cases, sample, spline, (fit, covariance)))


def _on_grid(
    cases: Cases, sample: Sample, spline: _Spline, model: tuple[LogisticFit, Floats]
) -> Curve:
    """Grid points within the inner 98 % of the scores: outside there is nothing to see."""
    lo, hi = np.quantile(cases.score, [0.01, 0.99])
    grid = np.array([p for p in GRID if lo <= p <= hi])
    if not grid.size:
        return ()
    fit, covariance = model
    design = spline.design(grid).T
    eta = design @ fit.beta
    half = sample.z * np.sqrt(np.einsum("ij,jk,ik->i", design, covariance, design))
    fitted, lo_hi = sigmoid(eta), (sigmoid(eta - half), sigmoid(eta + half))
    return tuple(
        (
            float(p),
            sample.given(
                y, (lo_hi[0][i], lo_hi[1][i]), half[i] / sample.z * y * (1 - y), "rcs5 pointwise"
            ),
        )
        for i, (p, y) in enumerate(zip(grid, fitted, strict=True))
    )


def _replicates(cases: Cases, spline: _Spline, beta: Floats) -> Floats:
    """ICI, E50 and E90 of each bootstrap replicate, refitted on cells of neighbouring scores."""
    order = np.argsort(cases.score, kind="stable")
    cells = min(CELLS, cases.n)
    cell = np.empty(cases.n, np.int64)
    cell[order] = np.arange(cases.n) * cells // cases.n
    score = np.bincount(cell, weights=cases.score) / np.bincount(cell)
    events, totals = _drawn(cases, cell, cells)
    fitted = _refit(spline.design(score), events, totals, beta)
    return _distances(np.abs(fitted - score), totals)


def _drawn(cases: Cases, cell: np.ndarray, cells: int) -> tuple[Floats, Floats]:
    """Events and cases per cell and replicate, shape (reps, cells)."""
    rng, reps = PLAN.rng(), PLAN.reps
    slot = cell + cells * cases.reference
    if cases.cluster is None:
        share = np.bincount(slot, minlength=2 * cells) / cases.n
        counts = rng.multinomial(cases.n, share, size=reps).astype(np.float64)
    else:
        patients = int(cases.cluster.max()) + 1
        counts = np.array(
            [
                np.bincount(slot, patient_weights(rng, patients)[cases.cluster], 2 * cells)
                for _ in range(reps)
            ]
        )
    events = counts[:, cells:]
    return events, counts[:, :cells] + events


def _refit(design: Floats, events: Floats, totals: Floats, beta: Floats) -> Floats:
    """All replicates at once: Newton steps from the fit to all cases, none moving any logit far."""
    terms = len(design)
    pairs = (design[:, None, :] * design[None, :, :]).reshape(-1, design.shape[1]).T
    ridge = 1e-9 * totals.sum(axis=1)[:, None, None] * np.eye(terms)
    eta = np.tile(beta @ design, (events.shape[0], 1))
    for _ in range(25):
        fitted = sigmoid(eta)
        weight = totals * fitted * (1 - fitted)
        bend = (weight @ pairs).reshape(-1, terms, terms) + ridge
        gradient = (events - totals * fitted) @ design.T
        change = np.linalg.solve(bend, gradient[:, :, None])[:, :, 0] @ design
        furthest = np.max(np.abs(change), axis=1, keepdims=True)
        eta = np.clip(eta + change * np.minimum(1, 3 / np.maximum(furthest, 1e-300)), -30, 30)
        if np.max(furthest) < 1e-3:
            break
    return sigmoid(eta)


def _distances(distance: Floats, totals: Floats) -> Floats:
    order = np.argsort(distance, axis=1)
    ranked = np.take_along_axis(distance, order, axis=1)
    share = np.cumsum(np.take_along_axis(totals, order, axis=1), axis=1)
    share /= share[:, -1:]
    quantiles = [
        np.take_along_axis(ranked, np.argmax(share >= q, axis=1)[:, None], axis=1)[:, 0]
        for q in (0.5, 0.9)
    ]
    mean = (distance * totals).sum(axis=1) / totals.sum(axis=1)
    return np.column_stack([mean, *quantiles])
