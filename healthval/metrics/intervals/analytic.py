"""Intervals of proportions, and p-values of normal statistics, by formula."""

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, ndtr

from healthval.contracts.proportions import wilson
from healthval.errors import MetricError
from healthval.metrics.estimate import Estimate, Sample
from healthval.metrics.inputs import Ints, check_choice, read_count

Interval = Literal["wilson", "clopper-pearson"]
RATIO = "wilson (ratio estimator)"


def two_sided_p(z: float) -> float:
    """P-value of a standard normal statistic, from the tail (never 1 - cdf)."""
    return float(2 * ndtr(-abs(z)))


def clopper_pearson(k: int, n: int, level: float) -> tuple[float, float]:
    """Exact interval of a proportion (Clopper and Pearson 1934)."""
    tail = (1 - level) / 2
    lo = float(betaincinv(k, n - k + 1, tail)) if k else 0.0
    hi = float(betaincinv(k + 1, n - k, 1 - tail)) if k < n else 1.0
    return lo, hi


def proportion(k: int, n: int, *, ci: Interval = "wilson", level: float = 0.95) -> Estimate:
    """Proportion k / n, with an interval within 0 to 1.

    Parameters
    ----------
    k, n : counts, 0 <= k <= n
    ci : "wilson" or "clopper-pearson"

    Returns
    -------
    Estimate
        `n` is the denominator and `n_events` is k; not estimable when n is 0.

    References
    ----------
    Wilson 1927 J Am Stat Assoc 22:209; Newcombe 1998 Stat Med 17:857; Clopper and Pearson 1934.

    Examples
    --------
    >>> print(proportion(201, 212))
    0.948 (95% CI 0.909 to 0.971)
    """
    k, n = read_count(k, "k"), read_count(n, "n")
    if k > n:
        raise MetricError("a proportion needs counts 0 <= k <= n")
    sample = Sample(n, k, level)
    check_choice(ci, ("wilson", "clopper-pearson"), "ci")
    if n == 0:
        return sample.not_estimable("no case in the denominator", ci)
    bounds = wilson(k, n, sample.z) if ci == "wilson" else clopper_pearson(k, n, level)
    return sample.with_bounds(k / n, bounds, math.sqrt(k / n * (1 - k / n) / n), ci)


def rate(
    hit: NDArray[np.bool_], among: NDArray[np.bool_], cluster: Ints | None, *, level: float = 0.95
) -> Estimate:
    """Proportion of hits among some cases; with clusters by the ratio estimator.

    Parameters
    ----------
    hit, among : bool arrays, shape (n_cases,)
    cluster : int array, shape (n_cases,), codes; or None
    """
    if cluster is None:
        k, n = int(np.count_nonzero(hit & among)), int(np.count_nonzero(among))
        return proportion(k, n, level=level)
    return clustered_proportion(hit[among], cluster[among], level=level)


def clustered_proportion(hit: NDArray[np.bool_], cluster: Ints, *, level: float = 0.95) -> Estimate:
    """Proportion of cases within clusters: ratio estimator, Wilson at the effective size.

    Parameters
    ----------
    hit : bool array, shape (n_cases,)
    cluster : int array, shape (n_cases,), codes

    References
    ----------
    Rao and Scott 1992 Biometrics 48:577.
    """
    n, k = hit.size, int(np.count_nonzero(hit))
    sample = Sample(n, k, level)
    if n == 0:
        return sample.not_estimable("no case in the denominator", RATIO)
    sizes = np.bincount(cluster)
    hits = np.bincount(cluster, weights=hit, minlength=sizes.size)
    n_clusters = int(np.count_nonzero(sizes))
    return ratio(sample, float(np.sum((hits - k / n * sizes) ** 2)) / n**2, n_clusters)


def ratio(sample: Sample, spread: float, n_clusters: int) -> Estimate:
    """`clustered_proportion` from counts alone.

    Parameters
    ----------
    sample : the denominator is its `n`, the hits are its `n_events`
    spread : sum over clusters of the squared influence on the proportion
    """
    if n_clusters < 2:
        return sample.not_estimable("a single cluster", RATIO)
    p = sample.n_events / sample.n
    noise = 1e-12 * p * (1 - p) / sample.n  # rounding error when all clusters are alike
    variance = n_clusters / (n_clusters - 1) * spread if spread > noise else 0.0
    effective = p * (1 - p) / variance if variance > 0 else float(n_clusters)
    bounds = wilson(p * effective, effective, sample.z)
    return sample.with_bounds(p, bounds, math.sqrt(variance), RATIO)
