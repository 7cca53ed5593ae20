"""Continuous outcome: errors, limits of agreement and correlations of a predicted quantity."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtrit

from healthval.errors import MetricError
from healthval.metrics.cases import check_rows, read_cluster, read_scores
from healthval.metrics.estimate import NO_SPREAD, NOISE, Estimate, Sample
from healthval.metrics.inputs import Floats, Ints
from healthval.metrics.intervals.resampling import (
    Bootstrap,
    canonical,
    drawn_weights,
    percentile_estimate,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Continuous:
    """Agreement of prediction and measurement; errors are predicted minus measured.

    `lower_limit` and `upper_limit` are Bland and Altman's limits of agreement. `slope` and
    `intercept` are from the regression of the measured on the predicted value (1 and 0 when
    calibrated).
    """

    mae: Estimate
    median_absolute_error: Estimate
    rmse: Estimate
    bias: Estimate
    lower_limit: Estimate
    upper_limit: Estimate
    r2: Estimate
    pearson: Estimate
    spearman: Estimate
    ccc: Estimate
    intercept: Estimate
    slope: Estimate


def continuous(
    reference: ArrayLike,
    prediction: ArrayLike,
    *,
    cluster: ArrayLike | None = None,
    level: float = 0.95,
) -> Continuous:
    """Agreement of a predicted quantity with the measured one.

    With clusters, every interval is a patient-level bootstrap.

    Parameters
    ----------
    reference, prediction : float arrays in the same unit, shape (n_cases,)
    cluster : patient of each case

    Raises
    ------
    MetricError
        If the input does not fit, has fewer than 4 cases, or does not vary.

    References
    ----------
    Bland and Altman 1999 Stat Methods Med Res 8:135; Lin 1989 Biometrics 45:255 (as epiR::epi.ccc).

    Examples
    --------
    >>> found = continuous([1.0, 2.0, 3.0, 4.0, 5.0], [1.1, 1.9, 3.2, 3.8, 5.0])
    >>> round(found.mae.value, 3)
    0.12
    """
    check_rows(reference, prediction, cluster=cluster)
    y, x = read_scores(reference), read_scores(prediction)
    if y.size != x.size or y.size < 4:
        raise MetricError("reference and prediction need one value per case, with at least 4 cases")
    if np.ptp(y) == 0 or np.ptp(x) == 0:
        raise MetricError("reference or prediction has the same value in all cases")
    sample = Sample(y.size, y.size, level)
    found = _errors(y, x, sample) | _agreement(y, x, sample)
    if cluster is not None:
        found = _resampled(y, x, read_cluster(cluster, y.size), found)
    return Continuous(**found)


def _errors(y: Floats, x: Floats, sample: Sample) -> dict[str, Estimate]:
    n, error = y.size, x - y
    t = float(stdtrit(n - 1, (1 + sample.level) / 2))
    sd, mean = float(error.std(ddof=1)), float(error.mean())
    mse = float(np.mean(error**2))
    mse_se = float(np.std(error**2, ddof=1)) / math.sqrt(n)
    rmse = math.sqrt(mse)
    half = t * sd / math.sqrt(n)
    absolute = np.abs(error)
    z = 1.959963984540054
    limit_se = sd * math.sqrt(1 / n + z**2 / (2 * (n - 1)))
    return {
        "mae": sample.wald(
            float(absolute.mean()),
            float(absolute.std(ddof=1)) / math.sqrt(n),
            "wald",
            within=(0.0, math.inf),
        ),
        "median_absolute_error": _median(absolute, sample),
        "rmse": _rmse(rmse, mse_se / (2 * mse) if mse > 0 else 0.0, sample),
        "bias": sample.symmetric(mean, half, sd / math.sqrt(n), "t"),
        "lower_limit": sample.wald(mean - z * sd, limit_se, "bland-altman"),
        "upper_limit": sample.wald(mean + z * sd, limit_se, "bland-altman"),
    }


def _median(values: Floats, sample: Sample) -> Estimate:
    """Median with a binomial order-statistic interval, for any distribution."""
    ranked, n = np.sort(values), values.size
    half = sample.z * math.sqrt(n) / 2
    lo, hi = max(math.floor((n - 1) / 2 - half), 0), min(math.ceil((n - 1) / 2 + half), n - 1)
    return sample.with_bounds(
        float(np.median(values)), (ranked[lo], ranked[hi]), None, "order statistic"
    )


def _agreement(y: Floats, x: Floats, sample: Sample) -> dict[str, Estimate]:
    n, r = y.size, _correlation(y, x)
    sxx = float(np.sum((x - x.mean()) ** 2))
    slope = float(np.sum((x - x.mean()) * (y - y.mean()))) / sxx
    intercept = float(y.mean() - slope * x.mean())
    s2 = float(np.sum((y - intercept - slope * x) ** 2)) / (n - 2)
    t = float(stdtrit(n - 2, (1 + sample.level) / 2))
    slope_se = math.sqrt(s2 / sxx)
    intercept_se = math.sqrt(s2 * (1 / n + float(x.mean()) ** 2 / sxx))
    ranks = _correlation(_ranks(y), _ranks(x))
    return {
        "r2": _r2(y, x, sample),
        "pearson": _fisher(r, 1 / math.sqrt(n - 3), sample, "fisher z"),
        "spearman": _fisher(
            ranks, math.sqrt((1 + ranks**2 / 2) / (n - 3)), sample, "bonett-wright z"
        ),
        "ccc": _ccc(y, x, r, sample),
        "slope": sample.symmetric(slope, t * slope_se, slope_se, "t"),
        "intercept": sample.symmetric(intercept, t * intercept_se, intercept_se, "t"),
    }


def _correlation(y: Floats, x: Floats) -> float:
    a, b = y - y.mean(), x - x.mean()
    return float(np.sum(a * b) / math.sqrt(float(np.sum(a * a)) * float(np.sum(b * b))))


def _ranks(values: Floats) -> Floats:
    """Mid-ranks."""
    _, group, counts = np.unique(values, return_inverse=True, return_counts=True)
    upper = np.cumsum(counts)
    return np.asarray((upper - (counts - 1) / 2)[group.reshape(-1)], np.float64)


def _fisher(r: float, se_z: float, sample: Sample, method: str) -> Estimate:
    if abs(r) >= 1 - NOISE:
        return sample.without_interval(r, method, reason=NO_SPREAD)
    centre, half = math.atanh(r), sample.z * se_z
    bounds = (math.tanh(centre - half), math.tanh(centre + half))
    return sample.with_bounds(r, bounds, se_z * (1 - r**2), method)


def _r2(y: Floats, x: Floats, sample: Sample) -> Estimate:
    """1 - residual over total sum of squares; variance by the delta method."""
    total, left = (y - y.mean()) ** 2, (y - x) ** 2
    ratio = float(left.sum() / total.sum())
    part = (left - ratio * total) / float(total.sum())
    se = math.sqrt(float(np.sum(part**2)))
    return sample.wald(1 - ratio, se, "delta", within=(-math.inf, 1.0))


def _ccc(y: Floats, x: Floats, r: float, sample: Sample) -> Estimate:
    n = y.size
    vy, vx = float(y.var()), float(x.var())
    shift2 = float(y.mean() - x.mean()) ** 2
    p = 2 * r * math.sqrt(vy * vx) / (vy + vx + shift2)
    if r == 0 or abs(p) >= 1:
        return sample.without_interval(p, "lin z", reason=NO_SPREAD)
    u2 = shift2 / math.sqrt(vy * vx)
    variance = (1 - r**2) * p**2 * (1 - p**2) / r**2
    variance += 2 * p**3 * (1 - p) * u2 / r - 0.5 * p**4 * u2**2 / r**2
    se = math.sqrt(max(variance, 0.0) / (n - 2))
    return _fisher(p, se / (1 - p**2), sample, "lin z")


def _rmse(rmse: float, se_log: float, sample: Sample) -> Estimate:
    return (
        sample.log(rmse, se_log, "log")
        if rmse > 0
        else sample.not_estimable("all errors are 0", "log")
    )


def _point_estimates(y: Floats, x: Floats) -> dict[str, float]:
    sample = Sample(y.size, y.size)
    found = _errors(y, x, sample) | _agreement(y, x, sample)
    return {name: math.nan if e.value is None else e.value for name, e in found.items()}


def _resampled(
    y: Floats, x: Floats, owner: Ints, found: dict[str, Estimate]
) -> dict[str, Estimate]:
    rows, owner = canonical(owner, x, y)
    y, x = y[rows], x[rows]
    replicates = []
    for weight in drawn_weights(owner, Bootstrap(1000)):
        drawn = np.repeat(np.arange(y.size), weight)
        if drawn.size >= 4 and np.ptp(y[drawn]) > 0 and np.ptp(x[drawn]) > 0:
            replicates.append(_point_estimates(y[drawn], x[drawn]))
    return {
        name: _with_bootstrap(estimate, np.array([r[name] for r in replicates]))
        for name, estimate in found.items()
    }


def _with_bootstrap(estimate: Estimate, replicates: Floats) -> Estimate:
    """The estimate with a bootstrap interval in place of the given one."""
    if estimate.value is None:
        return estimate
    known, method = replicates[~np.isnan(replicates)], "patient bootstrap percentile"
    sample = Sample(estimate.n, estimate.n_events, estimate.level)
    if known.size < 100:
        return sample.not_estimable("too few patients to resample", method)
    return percentile_estimate(sample, estimate.value, known, method)
