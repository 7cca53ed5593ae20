"""Agreement of readers of the reference standard: Cohen's kappa for two, Fleiss' for more."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import norm

from healthval.errors import MetricError
from healthval.metrics.columns import check_rows, is_missing, label_key, read_array
from healthval.metrics.comparison import cohen_kappa
from healthval.metrics.estimate import Estimate, not_estimable
from healthval.metrics.inputs import Floats, read_cluster
from healthval.metrics.intervals.analytic import check_level
from healthval.metrics.logistic import total_variance


def reader_agreement(
    ratings: Any, *, cluster: ArrayLike | None = None, level: float = 0.95
) -> Estimate:
    """Estimate kappa with a large-sample interval; cases that a reader has not rated are left out.

    Parameters
    ----------
    ratings : array or DataFrame, shape (n_cases, n_readers); any labels, missing where not read;
        1 and 1.0 are one label, "1" is another
    cluster : patient of each case, shape (n_cases,)
    level : of the interval

    Returns
    -------
    Estimate with `n` the cases that all readers rated. Not estimable when all agree on one
    category, for then chance explains everything.

    Raises
    ------
    MetricError
        If there are fewer than two readers or two cases.

    References
    ----------
    `cohen_kappa` for two readers; Fleiss 1971, Psychol Bull 76:378, for more. The interval for more
    readers is the delta method (each case's influence), as it is for two.

    Examples
    --------
    >>> a = ["yes"] * 25 + ["no"] * 25
    >>> b = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    >>> round(reader_agreement(np.array([a, b]).T).value, 3)
    0.4
    """
    check_level(level)
    check_rows(ratings, cluster=cluster)
    table = read_array(ratings, "ratings")
    if table.ndim != 2 or table.shape[1] < 2:
        raise MetricError("kappa needs at least two readers, one column each")
    complete = np.array([not any(map(is_missing, row)) for row in table], np.bool_)
    patient = None if cluster is None else read_cluster(cluster, len(table))[complete]
    labels = [[label_key(r) for r in row] for row in table[complete]]
    n, n_readers = len(labels), table.shape[1]
    if n < 2:
        raise MetricError(f"kappa needs at least two cases that all readers rated, there are {n}")
    table = np.array(labels)
    categories, codes = np.unique(table, return_inverse=True)
    agreed = int((table == table[:, :1]).all(axis=1).sum())
    if categories.size == 1:
        reason = "all readers gave all cases the same category"
        return not_estimable(reason, method="kappa", n=n, n_events=agreed, level=level)
    if n_readers == 2:
        return cohen_kappa(*codes.reshape(table.shape).T, cluster=patient, level=level)
    counts = np.array([(table == c).sum(axis=1) for c in categories], dtype=float)
    value, influence = _fleiss(counts, n_readers)
    owner = None if patient is None else np.unique(patient, return_inverse=True)[1]
    se = float(np.sqrt(total_variance(influence / n, owner)))
    half = float(norm.ppf((1 + level) / 2)) * se
    lo, hi = max(-1.0, value - half), min(1.0, value + half)
    method = "fleiss kappa, delta" + ("" if patient is None else " (cluster-robust)")
    return Estimate(value, lo, hi, se, level, method, n, agreed)


def _fleiss(counts: Floats, r: int) -> tuple[float, Floats]:
    """Kappa, and each case's influence on it; `counts` has shape (n_categories, n_cases)."""
    share = counts.mean(axis=1) / r
    chance = float(share @ share)
    chance_of_case = 2 * (share @ counts / r - chance)
    agreement = ((counts**2).sum(axis=0) - r) / (r * (r - 1))
    observed = float(agreement.mean())
    slope = (agreement - observed) * (1 - chance) - (1 - observed) * chance_of_case
    return (observed - chance) / (1 - chance), slope / (1 - chance) ** 2
