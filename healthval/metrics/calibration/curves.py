"""Calibration curve (restricted cubic spline) with ICI, E50 and E90; calibration in bins."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtrc

from healthval.errors import MetricError
from healthval.metrics.cases import Cases, read_probability_cases
from healthval.metrics.estimate import Estimate, Sample
from healthval.metrics.inputs import Floats, Tallies, read_count
from healthval.metrics.intervals.resampling import (
    Bootstrap,
    bias_corrected,
    percentile_estimate,
    quantiles,
)
from healthval.metrics.logistic import (
    BLOCK,
    Counts,
    LogisticFit,
    NotEstimable,
    Regression,
    bin_scores,
    binned_fit,
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
from healthval.metrics.names import named
from healthval.metrics.ranking.table import RankTable

Curve = tuple[tuple[float, Estimate], ...]
_LOW = (0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4)
_HIGH = (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99)
GRID = _LOW + _HIGH
CELLS = 200
PLAN = Bootstrap(reps=500)


@dataclass(frozen=True, slots=True)
class FlexibleCalibration:
    """Mean, median and 90th percentile of |curve - score|; the curve on a fixed grid."""

    ici: Estimate
    e50: Estimate
    e90: Estimate
    curve: Curve


@dataclass(frozen=True, slots=True)
class _Spline:
    """Knots of the spline, and the whitening that keeps its normal equations well conditioned."""

    knots: Floats
    centre: Floats
    whiten: Floats
    on_logit: bool

    @classmethod
    def over(cls, score: Floats, cases: Tallies) -> "_Spline":
        """Spline with knots for distinct ascending scores; whitened on at most a few thousand."""
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
        """Terms at each score, constant first."""
        return self.terms(logit(score) if self.on_logit else score)

    def terms(self, x: Floats) -> Floats:
        """Terms at values on the scale of the knots, computed block by block."""
        terms = np.ones((len(self.whiten) + 1, x.size))
        for start in range(0, x.size, BLOCK):
            here = slice(start, start + BLOCK)
            basis = spline_basis(x[here], self.knots) - self.centre[:, None]
            for i, row in enumerate(self.whiten, start=1):  # lower triangular
                terms[i, here] = predictor(basis[:i], row[:i])
        return terms

    def fitted(self, score: Floats, beta: Floats) -> Floats:
        """Fitted probability at each score, without an array of all terms."""
        fitted = np.empty(score.size)
        for start in range(0, score.size, BLOCK):
            here = slice(start, start + BLOCK)
            fitted[here] = sigmoid(predictor(self.design(score[here]), beta))
        return fitted

    def binned(self, score: Floats, counts: Counts) -> Regression | None:
        """Regression on binned scores; None where bins would not save time."""
        bins = bin_scores(logit(score), counts, self.knots) if self.on_logit else None
        return bins and Regression(self.terms(bins[0]), bins[1])

    def identity(self) -> Floats:
        """Coefficients of perfect calibration (fitted = score), the start of the fit."""
        if not self.on_logit:
            return np.zeros(len(self.whiten) + 1)
        return np.append(
            self.centre[0], np.linalg.solve(self.whiten.T, np.eye(len(self.whiten))[0])
        )


def flexible_calibration(cases: Cases, table: RankTable, sample: Sample) -> FlexibleCalibration:
    """Calibration curve, and its distance from the scores.

    Raises
    ------
    NotEstimable
        If the scores vary too little or separate the classes.
    """
    if cases.n_events in (0, cases.n):
        raise NotEstimable("all cases belong to one class")
    totals = table.pos + table.neg
    spline = _Spline.over(table.score, totals)
    del totals  # arrays as long as the data bound the number of cases
    fit = _fitted_spline(spline, table)
    fitted, covariance = spline.fitted(table.score, fit.beta), fit.covariance
    if cases.cluster is not None:
        row = np.searchsorted(table.score, cases.score)
        design, residual = spline.design(table.score), cases.reference - fitted[row]
        covariance = robust_covariance(design[:, row], residual, covariance, cases.cluster)
    model = (spline, fit, covariance)
    distance = fitted
    distance -= table.score
    np.abs(distance, out=distance)
    totals = table.pos + table.neg
    if distance.size < cases.n:
        distance = np.repeat(distance, totals)
    values = np.array([distance.mean(), *quantiles(distance, (0.5, 0.9))])
    del distance, fitted
    replicates = _simulated(table, totals, model)
    method = "rcs5 bootstrap bc" if spline.on_logit else "rcs5 on p bootstrap bc"
    ici, e50, e90 = (
        sample.with_bounds(v, bias_corrected(column, v, sample.level), column.std(ddof=1), method)
        for v, column in zip(values.tolist(), replicates.T, strict=True)
    )
    return FlexibleCalibration(ici, e50, e90, _on_grid(table, totals, sample, model))


def _fitted_spline(spline: _Spline, table: RankTable) -> LogisticFit:
    events = table.pos
    counts = (events, events + table.neg)
    bins = spline.binned(table.score, counts)
    fit = None if bins is None else binned_fit(bins, spline.identity())
    return fit or fit_logistic(spline.design(table.score), counts, start=spline.identity())


_Model = tuple[_Spline, LogisticFit, Floats]


def _on_grid(table: RankTable, totals: Tallies, sample: Sample, model: _Model) -> Curve:
    """Curve at the grid points within the inner 98 % of the scores."""
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
        (float(p), sample.with_bounds(y, bounds, s, "rcs5 pointwise"))
        for p, y, bounds, s in zip(grid, observed, zip(lower, upper, strict=True), se, strict=True)
    )


def _simulated(table: RankTable, totals: Tallies, model: _Model) -> Floats:
    """ICI, E50 and E90 of a parametric bootstrap: coefficients drawn from their distribution.

    The curves are evaluated on at most 200 cells of neighbouring scores; the cost is independent of n.
    """
    spline, fit, covariance = model
    total = int(totals.sum())
    cell = np.cumsum(totals)
    cell -= 1
    cell *= min(CELLS, total)
    cell //= total
    starts = np.flatnonzero(np.append(True, cell[1:] != cell[:-1]))
    del cell
    size = np.add.reduceat(totals, starts)
    score = np.add.reduceat(totals * table.score, starts) / size
    root = np.linalg.cholesky(covariance)
    draws = PLAN.rng().standard_normal((PLAN.reps, fit.beta.size)) @ root.T + fit.beta
    # Without BLAS, because its idle threads cost more than the sums.
    curves = sigmoid(np.einsum("ij,jk->ik", draws, spline.design(score)))
    return _distances(np.abs(curves - score), size)


def _distances(distance: Floats, totals: Tallies) -> Floats:
    """Mean, median and 90th percentile (type 7) of each row; `totals` are the cases per column."""
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


MOST_BINS = 1000


@named
def expected_calibration_error(
    reference: ArrayLike, score: ArrayLike, *, bins: int = 10, cluster: ArrayLike | None = None
) -> Estimate:
    """Mean distance between event rate and mean score over equal-width bins; biased upwards.

    It depends on the bins and is positive even for a perfect model, so it is secondary to ICI.

    Parameters
    ----------
    reference : bool or 0/1 array, shape (n_cases,)
    score : probability array, shape (n_cases,)
    bins : number of bins [k/bins, (k+1)/bins), the last one closed
    cluster : patient of each case

    Raises
    ------
    MetricError
        If the input does not fit or there is no case.

    References
    ----------
    Naeini 2015 AAAI; Kumar 2019 NeurIPS (bias).

    Examples
    --------
    >>> round(expected_calibration_error([0, 0, 1, 1], [0.1, 0.2, 0.7, 0.8]).value, 3)
    0.2
    """
    cases = read_probability_cases(reference, score, cluster)
    bins = read_count(bins, "bins")
    if not 1 <= bins <= MOST_BINS or cases.n == 0:
        raise MetricError(f"ECE needs 1 to {MOST_BINS} bins and at least one case")
    code = np.minimum((cases.score * bins).astype(np.int64), bins - 1)
    # Products such as 0.29 * 100 are below their edge in floats; compare with the edges.
    edges = np.arange(bins + 1) / bins
    code += (code + 1 < bins) & (cases.score >= edges[np.minimum(code + 1, bins)])
    code -= cases.score < edges[code]
    error = cases.reference - cases.score
    sums = np.bincount(code, weights=error, minlength=bins).astype(np.float64)
    value = float(np.abs(sums).sum()) / cases.n
    reps = np.abs(_resampled_sums(cases, (code, error, sums))).sum(axis=1) / cases.n
    unit = "" if cases.cluster is None else " of patients"
    method = f"normal simulation{unit} ({bins} bins)"
    return percentile_estimate(Sample(cases.n, cases.n_events), value, reps, method)


def _resampled_sums(cases: Cases, what: tuple[NDArray[np.int64], Floats, Floats]) -> Floats:
    """Sums per bin drawn from the limit distribution of resampled cases (or patients)."""
    code, error, sums = what
    if cases.cluster is None:
        units = cases.n
        spread = np.diag(np.bincount(code, weights=error**2, minlength=sums.size))
    else:
        units = int(cases.cluster.max()) + 1
        slot = cases.cluster * sums.size + code
        table = np.bincount(slot, weights=error, minlength=units * sums.size)
        table = table.reshape(units, sums.size)
        spread = table.T @ table
    covariance = spread - np.outer(sums, sums) / units
    return Bootstrap().rng().multivariate_normal(sums, covariance, size=2000, method="eigh")


@dataclass(frozen=True, slots=True)
class HosmerLemeshow:
    """Chi-square over groups of neighbouring scores; df = groups, as for external data."""

    chi2: float
    df: int
    p: float
    groups: int


@named
def hosmer_lemeshow(
    reference: ArrayLike, score: ArrayLike, *, groups: int = 10, cluster: ArrayLike | None = None
) -> HosmerLemeshow:
    """Test of calibration in quantile groups of the score; secondary, its power depends on n.

    Heavily tied scores merge groups; the result contains the number used.

    Parameters
    ----------
    reference : bool or 0/1 array, shape (n_cases,)
    score : probability array, shape (n_cases,)
    groups : requested number of quantile groups
    cluster : patient of each case; patients with several cases are refused

    Raises
    ------
    MetricError
        If the input does not fit, a group expects no event or no non-event, or a patient owns
        several cases.

    References
    ----------
    Hosmer and Lemeshow 1980; external validation: df = groups, not groups - 2.

    Examples
    --------
    >>> p = (np.arange(100) + 0.5) / 100
    >>> hosmer_lemeshow(p > 0.5, p, groups=5).df
    5
    """
    cases = read_probability_cases(reference, score, cluster)
    groups = read_count(groups, "groups")
    if cases.cluster is not None and np.unique(cases.cluster).size < cases.n:
        raise MetricError(
            "Hosmer-Lemeshow assumes independent cases, but some patients have several; use the "
            "joint test of calibration(..., cluster=...)"
        )
    if groups < 2 or cases.n < groups:
        raise MetricError("Hosmer-Lemeshow needs at least 2 groups, with at least one case in each")
    cuts = np.unique(np.quantile(cases.score, np.arange(groups + 1) / groups))[1:-1]
    code = np.unique(np.searchsorted(cuts, cases.score, side="left"), return_inverse=True)[1]
    size = np.bincount(code)
    observed = np.bincount(code, weights=cases.reference)
    expected = np.bincount(code, weights=cases.score)
    spread = expected * (1 - expected / size)
    if np.any(spread <= 0):
        raise MetricError("a group has no expected events, or only events; use fewer groups")
    chi2 = float(((observed - expected) ** 2 / spread).sum())
    return HosmerLemeshow(chi2, size.size, float(chdtrc(size.size, chi2)), size.size)
