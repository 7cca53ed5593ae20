"""Agreement of classifications beyond chance: kappa of two readers (Cohen) or more (Fleiss)."""

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from healthval.errors import MetricError
from healthval.metrics.cases import check_rows, read_cluster
from healthval.metrics.estimate import Estimate, Sample, check_level
from healthval.metrics.inputs import (
    Floats,
    Ints,
    is_missing,
    label_key,
    read_array,
    read_flag,
    read_whole,
)
from healthval.metrics.logistic import total_variance

MAX_CODE = 1000
RANGE = (-1.0, 1.0)


def reader_agreement(
    ratings: Any, *, cluster: ArrayLike | None = None, level: float = 0.95
) -> Estimate:
    """Kappa with a large-sample interval, over the cases that all readers rated.

    Parameters
    ----------
    ratings : array or DataFrame, shape (n_cases, n_readers); any labels, missing where a reader
        gave no rating; 1 and 1.0 are the same label, "1" is another
    cluster : patient of each case, shape (n_cases,)
    level : of the interval

    Returns
    -------
    Estimate
        `n` is the number of cases that all readers rated. Not estimable when all ratings are the
        same category, because expected agreement is then 1.

    Raises
    ------
    MetricError
        If there are fewer than two readers or two cases.

    References
    ----------
    `cohen_kappa` for two readers; Fleiss 1971, Psychol Bull 76:378, for more. The interval for more
    readers is by the delta method (influence of each case), as for two.

    Examples
    --------
    >>> a = ["yes"] * 25 + ["no"] * 25
    >>> b = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    >>> round(reader_agreement(np.array([a, b]).T).value, 3)
    0.4
    """
    check_level(level)
    table, patient = _complete_ratings(ratings, cluster)
    n, n_readers = table.shape
    categories, codes = np.unique(table, return_inverse=True)
    agreed = int((table == table[:, :1]).all(axis=1).sum())
    sample = Sample(n, agreed, level)
    if categories.size == 1:
        return sample.not_estimable("all readers gave all cases the same category", "kappa")
    if n_readers == 2:
        a, b = codes.reshape(table.shape).T
        return cohen_kappa(a, b, cluster=patient, level=level)
    counts = np.array([(table == c).sum(axis=1) for c in categories], dtype=float)
    value, influence = _fleiss(counts, n_readers)
    owner = None if patient is None else np.unique(patient, return_inverse=True)[1]
    se = math.sqrt(total_variance(influence / n, owner))
    method = "fleiss kappa, delta" + ("" if patient is None else " (cluster-robust)")
    return sample.wald(value, se, method, within=RANGE)


def _complete_ratings(ratings: Any, cluster: ArrayLike | None) -> tuple[np.ndarray, Ints | None]:
    """Label keys of the cases that all readers rated, and the patients of these cases."""
    check_rows(ratings, cluster=cluster)
    table = read_array(ratings, "ratings")
    if table.ndim != 2 or table.shape[1] < 2:
        raise MetricError("kappa needs at least two readers, one column each")
    complete = np.array([not any(map(is_missing, row)) for row in table], np.bool_)
    patient = None if cluster is None else read_cluster(cluster, len(table))[complete]
    labels = [[label_key(r) for r in row] for row in table[complete]]
    if len(labels) < 2:
        raise MetricError(f"kappa needs at least two cases rated by all readers; got {len(labels)}")
    return np.array(labels), patient


def _fleiss(counts: Floats, r: int) -> tuple[float, Floats]:
    """Kappa of r readers, and the influence of each case; counts of shape (n_categories, n_cases)."""
    share = counts.mean(axis=1) / r
    chance = float(share @ share)
    chance_of_case = 2 * (share @ counts / r - chance)
    agreement = ((counts**2).sum(axis=0) - r) / (r * (r - 1))
    observed = float(agreement.mean())
    slope = (agreement - observed) * (1 - chance) - (1 - observed) * chance_of_case
    return (observed - chance) / (1 - chance), slope / (1 - chance) ** 2


def cohen_kappa(
    a: ArrayLike,
    b: ArrayLike,
    *,
    quadratic: bool = False,
    cluster: ArrayLike | None = None,
    level: float = 0.95,
) -> Estimate:
    """Agreement of two classifications beyond chance; quadratic weights for ordered classes.

    Parameters
    ----------
    a, b : class codes 0, 1, 2, ..., shape (n_cases,)
    quadratic : weight disagreement by the squared distance of the codes
    cluster : patient of each case

    Raises
    ------
    MetricError
        If the codes are not whole numbers from 0, or the lengths differ.

    References
    ----------
    Cohen 1960, 1968; standard error of Fleiss, Cohen and Everitt 1969 Psychol Bull 72:323, summed
    per patient with clusters.

    Examples
    --------
    >>> print(f"{cohen_kappa([0, 0, 1, 1], [0, 1, 1, 1]).value:.2f}")
    0.50
    """
    quadratic = read_flag(quadratic, "quadratic")
    check_rows(a, b, cluster=cluster)
    cell, size = _agreement_cells(a, b)
    table = np.bincount(cell, minlength=size * size).reshape(size, size)
    patients = None if cluster is None else (cell, read_cluster(cluster, cell.size))
    return kappa_of(table, quadratic=quadratic, level=level, patients=patients)


def _agreement_cells(a: ArrayLike, b: ArrayLike) -> tuple[Ints, int]:
    """Cell of each case in the table of a (rows) by b (columns), and the number of classes."""
    first, second = read_whole(a, "a"), read_whole(b, "b")
    if first.size != second.size or first.size == 0:
        raise MetricError("give two equally long lists of class codes 0, 1, 2, ...")
    if min(first.min(), second.min()) < 0 or max(first.max(), second.max()) > MAX_CODE:
        raise MetricError(f"class codes must be whole numbers from 0 to {MAX_CODE}")
    size = int(max(first.max(), second.max())) + 1
    return first * size + second, size


def kappa_of(
    table: Ints, *, quadratic: bool, level: float = 0.95, patients: tuple[Ints, Ints] | None = None
) -> Estimate:
    """`cohen_kappa` of a table of counts; `patients` is the cell and the patient of each case."""
    n, size = int(table.sum()), len(table)
    sample = Sample(n, n, level)
    distance = np.subtract.outer(np.arange(size), np.arange(size))
    w = 1 - (distance / max(size - 1, 1)) ** 2 if quadratic else (distance == 0).astype(float)
    p = table / n
    rows, columns = p.sum(axis=1), p.sum(axis=0)
    observed, chance = float((w * p).sum()), float((w * np.outer(rows, columns)).sum())
    method = "fleiss quadratic" if quadratic else "fleiss"
    if chance == 1:
        return sample.not_estimable("both readers use a single class", method)
    kappa = (observed - chance) / (1 - chance)
    expected = (w @ columns)[:, None] + (rows @ w)[None, :]
    parts, mean = w - expected * (1 - kappa), kappa - chance * (1 - kappa)
    square = float((p * parts**2).sum())
    spread = square - mean**2
    variance = spread / (n * (1 - chance) ** 2) if spread > 1e-13 * square else 0.0
    if patients is not None:
        cell, cluster = patients
        method = f"{method} (cluster-robust)"
        if np.unique(cluster).size < 2:
            return sample.not_estimable("fewer than two patients", method)
        scaled = (parts - mean).ravel() / (n * (1 - chance))
        variance = total_variance(scaled[cell], cluster)
    return sample.wald(kappa, math.sqrt(variance), method, within=RANGE)
