"""Multiclass outcome: Hand and Till's M, AUROC of one class against the rest, and agreement."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from healthval.errors import MetricError, SingleClassError, counted
from healthval.metrics.agreement import kappa_of
from healthval.metrics.cases import (
    Cases,
    check_probabilities,
    check_rows,
    read_cluster,
    read_scores,
)
from healthval.metrics.discrimination.auroc import auroc_of, warn_if_inverted
from healthval.metrics.estimate import Estimate, Sample
from healthval.metrics.inputs import Floats, Ints, affected, read_array, read_column
from healthval.metrics.intervals.analytic import rate
from healthval.metrics.ranking.delong import placements


@dataclass(frozen=True, slots=True, kw_only=True)
class Multiclass:
    """Discrimination and agreement over several classes.

    `one_vs_rest` is in the order of the classes; `confusion[i][j]` is the number of cases of class i
    whose highest score is that of class j.
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
    level: float = 0.95,
) -> Multiclass:
    """Discrimination and agreement of class probabilities with class labels.

    Parameters
    ----------
    labels : array, shape (n_cases,); codes 0, 1, ..., or labels that are listed in `classes`
    scores : probability array, shape (n_cases, n_classes)
    classes : label of each column, in order; quadratic kappa needs ordered classes
    cluster : patient of each case; variances are then sums over patients
    level : confidence level

    Raises
    ------
    SingleClassError
        If a class has no case.
    MetricError
        If labels, scores or classes do not fit together.

    Warns
    -----
    DirectionWarning
        If the whole interval of a class against the rest is below 1/2.

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
    codes, size = _read_codes(labels, matrix.shape, classes), matrix.shape[1]
    patient = None if cluster is None else read_cluster(cluster, codes.size)
    owner = np.arange(codes.size) if patient is None else patient
    one_vs_rest = tuple(
        auroc_of(Cases(codes == k, matrix[:, k], patient), level=level) for k in range(size)
    )
    for estimate in one_vs_rest:
        warn_if_inverted(estimate, frames=3)
    sample, predicted = Sample(codes.size, codes.size, level), matrix.argmax(axis=1)
    cell = codes * size + predicted
    table = np.bincount(cell, minlength=size**2).reshape(size, size)
    patients = None if patient is None else (cell, patient)
    equal, shares = np.full(size, 1 / size), np.bincount(codes, minlength=size) / codes.size
    return Multiclass(
        hand_till=_hand_till(codes, matrix, owner, sample),
        one_vs_rest=one_vs_rest,
        macro=_averaged(codes, matrix, (owner, equal), sample),
        weighted=_averaged(codes, matrix, (owner, shares), sample),
        accuracy=rate(predicted == codes, np.ones(codes.size, np.bool_), patient, level=level),
        kappa=kappa_of(table, quadratic=False, patients=patients, level=level),
        kappa_quadratic=kappa_of(table, quadratic=True, patients=patients, level=level),
        brier=_mean(_squared_error(matrix, codes), owner, sample, worst=2.0),
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
            f"the scores of {off.size} of {counted(len(matrix), 'case')} do not sum to 1 (first at "
            f"row {off[0]}); give the probability of every class"
        )
    return matrix


def _read_codes(
    labels: ArrayLike, shape: tuple[int, ...], classes: Sequence[Any] | None
) -> NDArray[np.int64]:
    """Class code of each case: the column of its label."""
    column = read_column(labels, "labels")
    if column.size != shape[0]:
        cases = counted(shape[0], "case")
        raise MetricError(f"labels need one value for each of {cases}; got {column.size}")
    columns = _read_classes(classes, shape[1])
    try:
        codes = np.array([columns.get(label, -1) for label in column.tolist()], np.int64)
    except TypeError:
        raise MetricError("labels and classes must be plain texts or numbers") from None
    if (codes < 0).any():
        unknown = affected(
            np.flatnonzero(codes < 0), codes.size, "label", "are none of the classes"
        )
        raise MetricError(f"{unknown}; list every class in classes=")
    empty = int((np.bincount(codes, minlength=len(columns)) == 0).sum())
    if empty:
        verb = "has" if empty == 1 else "have"
        raise SingleClassError(f"{empty} of {counted(len(columns), 'class')} {verb} no case")
    return codes


def _read_classes(classes: Sequence[Any] | None, n_columns: int) -> dict[Any, int]:
    """Column of each class label."""
    if classes is None:
        return {code: code for code in range(n_columns)}
    names = read_column(classes, "classes").tolist()
    if len(names) != n_columns:
        raise MetricError(
            f"got {counted(len(names), 'class')} for {counted(n_columns, 'column')} of scores; give "
            "one class per column"
        )
    try:
        columns = {name: code for code, name in enumerate(names)}
    except TypeError:
        raise MetricError("labels and classes must be plain texts or numbers") from None
    repeated = len(names) - len(columns)
    if repeated:
        verb = counted(repeated, "class is", "classes are")
        raise MetricError(f"{verb} repeated; give each class once")
    return columns


def _hand_till(codes: NDArray[np.int64], matrix: Floats, owner: Ints, sample: Sample) -> Estimate:
    """Mean of the AUROCs between two classes, over all pairs and both of their columns."""
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
    codes: NDArray[np.int64], matrix: Floats, averaging: tuple[Ints, Floats], sample: Sample
) -> Estimate:
    owner, weights = averaging
    influence, total = np.zeros(codes.size), 0.0
    for k, weight in enumerate(weights):
        found = placements(codes == k, matrix[:, k])
        total += weight * found.auc
        influence += weight * found.parts(codes == k)
    return _from_influence(total, influence, (codes, owner), sample)


def _from_influence(
    value: float, influence: Floats, groups: tuple[NDArray[np.int64], Ints], sample: Sample
) -> Estimate:
    codes, owner = groups
    totals = np.bincount(owner, weights=influence)
    variance = float(np.sum(totals**2)) * totals.size / max(totals.size - 1, 1)
    if min(np.unique(owner[codes == k]).size for k in np.unique(codes)) < 2:
        reason = "a class has a single case or patient: no interval"
        return sample.without_interval(value, "placements", reason=reason)
    if variance == 0 or not 0 < value < 1:
        reason = "exactly 0 or 1, or without variance in these cases: no interval"
        return sample.without_interval(value, "placements", reason=reason)
    return sample.logit(value, math.sqrt(variance), "placements logit")


def _squared_error(matrix: Floats, codes: NDArray[np.int64]) -> Floats:
    """Sum over classes of the squared distance of score and label, 0 to 2 for each case."""
    error: Floats = (matrix - np.eye(matrix.shape[1])[codes]) ** 2
    return np.asarray(error.sum(axis=1))


def _mean(values: Floats, owner: Ints, sample: Sample, *, worst: float) -> Estimate:
    mean = float(values.mean())
    totals = np.bincount(owner, weights=(values - mean) / values.size)
    if totals.size < 2:
        return sample.not_estimable("a single patient", "wald")
    variance = float(np.sum(totals**2)) * totals.size / max(totals.size - 1, 1)
    return sample.wald(mean, math.sqrt(variance), "wald", within=(0.0, worst))


def _log_loss(likelihood: Floats, owner: Ints, sample: Sample) -> Estimate:
    contradicted = int(np.count_nonzero(likelihood == 0))
    if contradicted:
        cases = counted(contradicted, "case contradicts", "cases contradict")
        reason = f"infinite: {cases} a score of exactly 0"
        return sample.not_estimable(reason, "wald")
    return _mean(-np.log(likelihood), owner, sample, worst=math.inf)
