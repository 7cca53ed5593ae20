"""Agreement of readers beyond chance: Cohen's kappa for two, Fleiss' for more."""

from typing import Any

import numpy as np
from scipy.stats import norm

from healthval.errors import MetricError
from healthval.metrics.estimate import Estimate, not_estimable
from healthval.metrics.inputs import Floats, is_missing


def kappa(ratings: Any, *, level: float = 0.95) -> Estimate:
    """Estimate kappa with a large-sample interval; cases that a reader has not rated are left out.

    Parameters
    ----------
    ratings : array or DataFrame, shape (n_cases, n_readers); any labels, missing where not read
    level : of the interval

    Returns
    -------
    Estimate with `n` the cases that all readers rated and `n_events` those they agree on. Not
    estimable when all agree on one category, for then chance explains everything.

    Raises
    ------
    MetricError
        If there are fewer than two readers or two cases.

    References
    ----------
    Cohen 1960, Educ Psychol Meas 20:37; Fleiss, Cohen and Everitt 1969, Psychol Bull 72:323 (the
    interval for two readers); Fleiss 1971, Psychol Bull 76:378. The interval for more readers is
    the same delta method applied to Fleiss' kappa.

    Examples
    --------
    >>> a = ["yes"] * 25 + ["no"] * 25
    >>> b = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    >>> round(kappa(np.array([a, b]).T).value, 3)
    0.4
    """
    table = np.asarray(ratings, dtype=object)
    if table.ndim != 2 or table.shape[1] < 2:
        raise MetricError("kappa needs at least two readers, one column each")
    complete = np.array([not any(is_missing(r) for r in row) for row in table], dtype=bool)
    table = table[complete].astype(str)
    n, n_readers = table.shape
    if n < 2:
        raise MetricError(f"kappa needs at least two cases that all readers rated, there are {n}")
    method = "cohen kappa, delta" if n_readers == 2 else "fleiss kappa, delta"
    agreed = int((table == table[:, :1]).all(axis=1).sum())
    categories = np.unique(table)
    if categories.size == 1:
        reason = "all readers gave all cases the same category"
        return not_estimable(reason, method=method, n=n, n_events=agreed, level=level)
    chosen = np.array([table == c for c in categories], dtype=float)  # category, case, reader
    value, influence = _cohen(chosen) if n_readers == 2 else _fleiss(chosen)
    se = float(np.sqrt(np.sum(influence**2)) / n)
    half = float(norm.ppf((1 + level) / 2)) * se
    lo, hi = max(-1.0, value - half), min(1.0, value + half)
    return Estimate(value, lo, hi, se, level, method, n, agreed)


def _cohen(chosen: Floats) -> tuple[float, Floats]:
    first, second = chosen[:, :, 0], chosen[:, :, 1]
    p, q = first.mean(axis=1), second.mean(axis=1)
    chance_of_case = q @ first + p @ second - 2 * float(p @ q)
    return _kappa((first * second).sum(axis=0), float(p @ q), chance_of_case)


def _fleiss(chosen: Floats) -> tuple[float, Floats]:
    r = chosen.shape[2]
    counts = chosen.sum(axis=2)
    share = counts.mean(axis=1) / r
    chance = float(share @ share)
    agreement = ((counts**2).sum(axis=0) - r) / (r * (r - 1))
    return _kappa(agreement, chance, 2 * (share @ counts / r - chance))


def _kappa(agreement: Floats, chance: float, chance_of_case: Floats) -> tuple[float, Floats]:
    """Kappa, and each case's influence on it."""
    observed = float(agreement.mean())
    slope = (agreement - observed) * (1 - chance) - (1 - observed) * chance_of_case
    return (observed - chance) / (1 - chance), slope / (1 - chance) ** 2
