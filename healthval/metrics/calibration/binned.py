"""Calibration in bins, secondary to the curve: ECE and Hosmer-Lemeshow."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtrc

from healthval.errors import MetricError
from healthval.metrics.estimate import Estimate
from healthval.metrics.inputs import Cases, Floats, read_probability_cases
from healthval.metrics.intervals.analytic import Bootstrap, Sample, percentile
from healthval.metrics.parameters import read_count

MOST_BINS = 1000


def expected_calibration_error(
    reference: ArrayLike, score: ArrayLike, *, bins: int = 10, cluster: ArrayLike | None = None
) -> Estimate:
    """Mean distance of event rate and mean score over equal-width bins; biased upwards.

    Depends on the bins and is positive even for a perfect model, so it is secondary to ICI.

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
        raise MetricError(f"ECE needs one to {MOST_BINS} bins, and a case")
    code = np.minimum((cases.score * bins).astype(np.int64), bins - 1)
    # Decimals such as 0.3 * 10 fall below their edge; compare with the edges themselves.
    edges = np.arange(bins + 1) / bins
    code += (code + 1 < bins) & (cases.score >= edges[np.minimum(code + 1, bins)])
    code -= cases.score < edges[code]
    error = cases.reference - cases.score
    sums = np.bincount(code, weights=error, minlength=bins).astype(np.float64)
    value = float(np.abs(sums).sum()) / cases.n
    reps = np.abs(_resampled_sums(cases, (code, error, sums))).sum(axis=1) / cases.n
    lo, hi = percentile(reps, 0.95)
    sample = Sample(cases.n, cases.n_events)
    whose = "" if cases.cluster is None else " of patients"
    method = f"normal simulation{whose} ({bins} bins)"
    return sample.given(value, (min(lo, value), max(hi, value)), float(reps.std(ddof=1)), method)


def _resampled_sums(cases: Cases, what: tuple[NDArray[np.int64], Floats, Floats]) -> Floats:
    """Draw the sums per bin as resampling cases (or patients) would spread them, in the limit."""
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
    """Chi-square over groups of neighbouring scores; on external data df = groups."""

    chi2: float
    df: int
    p: float
    groups: int


def hosmer_lemeshow(
    reference: ArrayLike, score: ArrayLike, *, groups: int = 10, cluster: ArrayLike | None = None
) -> HosmerLemeshow:
    """Test calibration in quantile groups of the score; secondary, its power depends on n.

    Heavily tied scores merge groups; the number really used is in the result.

    Parameters
    ----------
    reference : bool or 0/1 array, shape (n_cases,)
    score : probability array, shape (n_cases,)
    groups : number of quantile groups asked for
    cluster : patient of each case; the test has no version for patients with several

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
            "Hosmer-Lemeshow counts every case as independent, and patients own several; use the "
            "joint test of calibration(..., cluster=...)"
        )
    if groups < 2 or cases.n < groups:
        raise MetricError("Hosmer-Lemeshow needs 2 or more groups and at least a case in each")
    cuts = np.unique(np.quantile(cases.score, np.arange(groups + 1) / groups))[1:-1]
    code = np.unique(np.searchsorted(cuts, cases.score, side="left"), return_inverse=True)[1]
    size = np.bincount(code)
    observed = np.bincount(code, weights=cases.reference)
    expected = np.bincount(code, weights=cases.score)
    spread = expected * (1 - expected / size)
    if np.any(spread <= 0):
        raise MetricError("a group expects no event, or nothing but events; use fewer groups")
    chi2 = float(((observed - expected) ** 2 / spread).sum())
    return HosmerLemeshow(chi2, size.size, float(chdtrc(size.size, chi2)), size.size)
