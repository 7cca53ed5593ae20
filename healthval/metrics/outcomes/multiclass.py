"""Scores for several classes: Hand and Till's M, one class against the rest, agreement."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from healthval.errors import MetricError, SingleClassError
from healthval.metrics.agreement import kappa_of
from healthval.metrics.auroc import auroc_of, warn_if_inverted
from healthval.metrics.estimate import Estimate, Sample
from healthval.metrics.inputs import (
    Cases,
    Floats,
    Ints,
    check_probabilities,
    check_rows,
    read_array,
    read_cluster,
    read_column,
    read_scores,
)
from healthval.metrics.intervals.analytic import clustered_proportion, proportion
from healthval.metrics.ranking.delong import placements


@dataclass(frozen=True, slots=True)
class Multiclass:
    """Discrimination and agreement over several classes.

    `one_vs_rest` is in the order of the classes; `confusion[i][j]` counts cases of class i whose
    highest score is j.
    """

    hand_till: Estimate
    one_vs_rest: tuple[Estimate, ...]
    macro: Estimate
    weighted: Estimate
    accuracy: Estimate
    kappa: Estimate
    kappa_quadratic: Estimate
    brier: Estimate
    log_loss: Estimate
    confusion: tuple[tuple[int, ...], ...]


def multiclass(
    labels: ArrayLike,
    scores: ArrayLike,
    *,
    classes: Sequence[Any] | None = None,
    cluster: ArrayLike | None = None,
) -> Multiclass:
    """Judge class probabilities against class labels.

    Parameters
    ----------
    labels : array, shape (n_cases,); codes 0, 1, ... unless `classes` names them
    scores : probability array, shape (n_cases, n_classes)
    classes : label of each column, in order; ordered classes give quadratic kappa its meaning
    cluster : patient of each case; variances then sum over patients

    Raises
    ------
    SingleClassError
        If a class has no case.
    MetricError
        If labels, scores or classes do not fit together.

    Warns
    -----
    DirectionWarning
        If the whole interval of a class against the rest lies below 1/2.

    References
    ----------
    Hand and Till 2001 Mach Learn 45:171; variances by placement values as in DeLong 1988.

    Examples
    --------
    >>> p = np.eye(3)[[0, 1, 2, 0, 1, 2]] * 0.6 + 0.4 / 3
    >>> multiclass([0, 1, 2, 0, 1, 2], p).hand_till.value
    1.0
    """
    check_rows(labels, scores, cluster=cluster)
    matrix = _read_matrix(scores)
    codes = _read_codes(labels, matrix.shape, classes)
    owner = np.arange(codes.size) if cluster is None else read_cluster(cluster, codes.size)
    sample = Sample(codes.size, codes.size)
    each = tuple(
        _against_rest(codes, matrix, k, None if cluster is None else owner)
        for k in range(matrix.shape[1])
    )
    for one in each:
        warn_if_inverted(one)
    shares = np.bincount(codes, minlength=len(each)) / codes.size
    cell = codes * len(each) + matrix.argmax(axis=1)
    table = np.bincount(cell, minlength=len(each) ** 2).reshape(len(each), len(each))
    patients = None if cluster is None else (cell, owner)
    hit = matrix.argmax(axis=1) == codes
    right = np.eye(len(each))[codes]
    return Multiclass(
        hand_till=_hand_till(codes, matrix, owner, sample),
        one_vs_rest=each,
        macro=_averaged(codes, matrix, (owner, np.full(len(each), 1 / len(each))), sample),
        weighted=_averaged(codes, matrix, (owner, shares), sample),
        accuracy=proportion(int(hit.sum()), hit.size)
        if cluster is None
        else clustered_proportion(hit, owner),
        kappa=kappa_of(table, quadratic=False, patients=patients),
        kappa_quadratic=kappa_of(table, quadratic=True, patients=patients),
        brier=_mean(((matrix - right) ** 2).sum(axis=1), owner, sample),
        log_loss=_log_loss(matrix[np.arange(codes.size), codes], owner, sample),
        confusion=tuple(tuple(int(x) for x in row) for row in table),
    )


def _read_matrix(scores: ArrayLike) -> Floats:
    matrix = read_array(scores, "scores")
    if matrix.ndim != 2 or matrix.shape[1] < 2:
        raise MetricError("scores need one row per case and one column per class (at least 2)")
    columns = [read_scores(column) for column in matrix.T]
    for column in columns:
        check_probabilities(column)
    matrix = np.column_stack(columns)
    off = np.flatnonzero(np.abs(matrix.sum(axis=1) - 1) > 1e-3)
    if off.size:
        raise MetricError(
            f"the scores of {off.size} of {len(matrix)} cases do not sum to 1 (first at row "
            f"{off[0]}); give the probability of every class"
        )
    return matrix


def _read_codes(
    labels: ArrayLike, shape: tuple[int, ...], classes: Sequence[Any] | None
) -> NDArray[np.int64]:
    given = read_column(labels, "labels")
    if given.size != shape[0]:
        raise MetricError(f"labels need one value for each of {shape[0]} cases")
    names = list(range(shape[1])) if classes is None else read_column(classes, "classes").tolist()
    if len(names) != shape[1]:
        raise MetricError(f"{len(names)} classes are named but scores have {shape[1]} columns")
    try:
        place = {name: code for code, name in enumerate(names)}
        codes = np.array([place.get(label, -1) for label in given.tolist()], np.int64)
    except TypeError:
        raise MetricError("labels and classes must be plain texts or numbers") from None
    if len(place) < len(names):
        raise MetricError(f"{len(names) - len(place)} classes are named twice")
    if (codes < 0).any():
        row = int(np.flatnonzero(codes < 0)[0])
        raise MetricError(
            f"{int((codes < 0).sum())} of {codes.size} labels are none of the {len(names)} classes "
            f"(first at row {row}); name every class in classes="
        )
    empty = int((np.bincount(codes, minlength=len(names)) == 0).sum())
    if empty:
        raise SingleClassError(f"{empty} of {len(names)} classes have no case")
    return codes


def _against_rest(codes: NDArray[np.int64], matrix: Floats, k: int, owner: Ints | None) -> Estimate:
    return auroc_of(Cases(codes == k, matrix[:, k], owner))


def _hand_till(codes: NDArray[np.int64], matrix: Floats, owner: Ints, sample: Sample) -> Estimate:
    """Mean over pairs of classes of the AUROC of either column between the two."""
    influence, total = np.zeros(codes.size), 0.0
    pairs = list(combinations(range(matrix.shape[1]), 2))
    for i, j in pairs:
        rows = np.flatnonzero((codes == i) | (codes == j))
        for k in (i, j):
            one = codes[rows] == k
            found = placements(one, matrix[rows, k])
            total += found.auc
            influence[rows] += found.parts(one)
    scale = 1 / (2 * len(pairs))
    return _from_influence(total * scale, influence * scale, (codes, owner), sample)


def _averaged(
    codes: NDArray[np.int64], matrix: Floats, how: tuple[Ints, Floats], sample: Sample
) -> Estimate:
    owner, weights = how
    influence, total = np.zeros(codes.size), 0.0
    for k, weight in enumerate(weights):
        found = placements(codes == k, matrix[:, k])
        total += weight * found.auc
        influence += weight * found.parts(codes == k)
    return _from_influence(total, influence, (codes, owner), sample)


def _from_influence(
    value: float, influence: Floats, who: tuple[NDArray[np.int64], Ints], sample: Sample
) -> Estimate:
    codes, owner = who
    totals = np.bincount(owner, weights=influence)
    variance = float(np.sum(totals**2)) * totals.size / max(totals.size - 1, 1)
    if min(np.unique(owner[codes == k]).size for k in np.unique(codes)) < 2:
        reason = "a class has a single case or patient: no interval"
        return sample.bare(value, "placements", reason=reason)
    if variance == 0 or not 0 < value < 1:
        reason = "at 0 or 1, or without variation in these cases: no interval"
        return sample.bare(value, "placements", reason=reason)
    return sample.logit(value, math.sqrt(variance), "placements logit")


def _mean(values: Floats, owner: Ints, sample: Sample) -> Estimate:
    mean = float(values.mean())
    totals = np.bincount(owner, weights=(values - mean) / values.size)
    if totals.size < 2:
        return sample.none("a single patient", "wald")
    variance = float(np.sum(totals**2)) * totals.size / max(totals.size - 1, 1)
    return sample.wald(mean, math.sqrt(variance), "wald")


def _log_loss(given: Floats, owner: Ints, sample: Sample) -> Estimate:
    contradicted = int(np.count_nonzero(given == 0))
    if contradicted:
        reason = f"infinite: {contradicted} cases contradict a score of exactly 0"
        return sample.none(reason, "wald")
    return _mean(-np.log(given), owner, sample)
