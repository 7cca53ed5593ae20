"""Segmentation and detection: overlap and surface distance of masks, and the FROC curve."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from healthval.errors import MetricError, counted
from healthval.metrics.estimate import Estimate, Sample
from healthval.metrics.inputs import (
    Bools,
    Floats,
    Ints,
    check_kind,
    check_rows,
    read_array,
    read_cluster,
    read_column,
    read_number,
    read_numbers,
    read_scores,
    read_whole,
)
from healthval.metrics.intervals.resampling import (
    Bootstrap,
    canonical,
    drawn_weights,
    percentile_estimate,
)

FALSE_ALARMS = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentedCase:
    """Agreement of two masks of one case; None where the metric is undefined.

    Both masks empty (correctly): Dice, IoU and NSD are 1, HD95 is 0. One mask empty: Dice, IoU and
    NSD are 0, HD95 is None.
    """

    dice: float
    iou: float
    hd95: float | None
    nsd: float
    reference_empty: bool
    prediction_empty: bool


def segment_case(
    reference: ArrayLike,
    prediction: ArrayLike,
    *,
    spacing: Sequence[float],
    tolerance: float,
) -> SegmentedCase:
    """Agreement of two masks of one case.

    Parameters
    ----------
    reference, prediction : bool or 0/1 arrays of the same 2-D or 3-D shape
    spacing : size of a voxel along each axis, mm
    tolerance : distance up to which surfaces agree (NSD), mm

    Raises
    ------
    MetricError
        If shapes, spacing or tolerance do not fit, or a mask has values other than 0 and 1.

    References
    ----------
    Maier-Hein 2024 Nat Methods 21:195 (Metrics Reloaded); Nikolov 2021 J Med Internet Res 23:e26151.

    Examples
    --------
    >>> a = np.zeros((6, 6), bool); a[1:4, 1:4] = True
    >>> segment_case(a, a, spacing=(1, 1), tolerance=1).dice
    1.0
    """
    a, b = _read_mask(reference, "reference"), _read_mask(prediction, "prediction")
    sizes, tolerance = read_numbers(spacing, "spacing"), read_number(tolerance, "tolerance")
    if a.shape != b.shape or a.ndim not in (2, 3):
        raise MetricError("both masks need the same 2-D or 3-D shape")
    if sizes.shape != (a.ndim,) or not np.all(np.isfinite(sizes) & (sizes > 0)):
        raise MetricError(f"spacing needs {a.ndim} positive numbers, one per axis")
    if not tolerance >= 0:
        raise MetricError("tolerance must not be negative")
    both, total = int(np.count_nonzero(a & b)), int(np.count_nonzero(a)) + int(np.count_nonzero(b))
    dice = 2 * both / total if total else 1.0
    iou = both / (total - both) if total else 1.0
    hd95, nsd = _surfaces(a, b, sizes, tolerance)
    return SegmentedCase(
        dice=dice,
        iou=iou,
        hd95=hd95,
        nsd=nsd,
        reference_empty=not a.any(),
        prediction_empty=not b.any(),
    )


def _read_mask(mask: ArrayLike, name: str) -> Bools:
    array = read_array(mask, f"{name} mask")
    if array.dtype == np.bool_:
        return array
    if array.dtype.kind not in "iuf" or not np.all((array == 0) | (array == 1)):
        raise MetricError(f"{name} mask has values other than 0 and 1; binarize it first")
    return array.astype(np.bool_)


def _surfaces(a: Bools, b: Bools, sizes: Floats, tolerance: float) -> tuple[float | None, float]:
    """95th percentile of surface distances (the larger direction), and normalised surface Dice."""
    if not a.any() or not b.any():
        agree = not a.any() and not b.any()
        return (0.0 if agree else None), float(agree)
    to_b, to_a = _distances(a, b, sizes), _distances(b, a, sizes)
    within = tolerance * (1 + 1e-9)  # a distance of one voxel is within a tolerance of one voxel
    near = np.count_nonzero(to_b <= within) + np.count_nonzero(to_a <= within)
    hd95 = max(float(np.quantile(to_b, 0.95)), float(np.quantile(to_a, 0.95)))
    return hd95, near / (to_a.size + to_b.size)


def _distances(source: Bools, target: Bools, sizes: Floats) -> Floats:
    """Distance of each surface voxel of the source to the surface of the target, mm."""
    from scipy.ndimage import distance_transform_edt

    distance = distance_transform_edt(~_surface(target), sampling=sizes)
    return np.asarray(distance[_surface(source)], np.float64)


def _surface(mask: Bools) -> Bools:
    """Voxels of the mask with a face neighbour outside the mask or outside the image."""
    inner = np.pad(mask, 1)
    core = inner.copy()
    for axis in range(mask.ndim):
        core &= np.roll(inner, 1, axis) & np.roll(inner, -1, axis)
    return np.asarray(mask & ~core[tuple(slice(1, -1) for _ in range(mask.ndim))])


@dataclass(frozen=True, slots=True, kw_only=True)
class Segmentation:
    """Means over cases (HD95: median over cases with HD95), and counts of empty masks.

    `n_missed` and `n_invented` are cases where only the prediction, or only the reference, is empty.
    """

    dice: Estimate
    iou: Estimate
    hd95: Estimate
    nsd: Estimate
    n: int
    n_reference_empty: int
    n_missed: int
    n_invented: int


def segmentation(
    cases: Sequence[SegmentedCase], *, cluster: ArrayLike | None = None
) -> Segmentation:
    """Summary over cases: means, and the median of HD95.

    Parameters
    ----------
    cases : one `segment_case` per case
    cluster : patient of each case; patients are then resampled

    Raises
    ------
    MetricError
        If there are fewer than two cases.

    Examples
    --------
    >>> a = np.zeros((6, 6), bool); a[1:4, 1:4] = True
    >>> b = np.roll(a, 1, axis=0)
    >>> one, other = (segment_case(a, x, spacing=(1, 1), tolerance=1) for x in (a, b))
    >>> round(segmentation([one, other, one]).dice.value, 3)
    0.889
    """
    check_rows(cases, cluster=cluster)
    cases = read_column(cases, "cases").tolist()
    for case in cases:
        check_kind(case, SegmentedCase, "every case")
    if len(cases) < 2:
        raise MetricError("a summary needs at least two cases")
    owner = np.arange(len(cases)) if cluster is None else read_cluster(cluster, len(cases))
    outlined = [i for i, c in enumerate(cases) if c.hd95 is not None]
    hd95 = np.array([cases[i].hd95 for i in outlined], np.float64)
    return Segmentation(
        dice=_summary(np.array([c.dice for c in cases]), owner, np.mean),
        iou=_summary(np.array([c.iou for c in cases]), owner, np.mean),
        hd95=_summary(hd95, owner[outlined], np.median),
        nsd=_summary(np.array([c.nsd for c in cases]), owner, np.mean),
        n=len(cases),
        n_reference_empty=sum(c.reference_empty for c in cases),
        n_missed=sum(c.prediction_empty and not c.reference_empty for c in cases),
        n_invented=sum(c.reference_empty and not c.prediction_empty for c in cases),
    )


def _summary(values: Floats, owner: Ints, summarise: Callable[[Floats], Any]) -> Estimate:
    sample, method = Sample(values.size, values.size), "patient bootstrap percentile"
    if np.unique(owner).size < 2:
        return sample.not_estimable("fewer than two patients", method)
    rows, owner = canonical(np.unique(owner, return_inverse=True)[1], values)
    values = values[rows]
    samples = (np.repeat(values, weight) for weight in drawn_weights(owner, Bootstrap()))
    replicates = np.array([summarise(drawn) for drawn in samples if drawn.size])
    return percentile_estimate(sample, float(summarise(values)), replicates, method)


def froc(  # noqa: PLR0913  # three columns of candidates, two of cases
    score: ArrayLike,
    lesion: ArrayLike,
    case: ArrayLike,
    *,
    lesions_per_case: Sequence[int],
    false_alarms: Sequence[float] = FALSE_ALARMS,
    cluster: ArrayLike | None = None,
) -> tuple[tuple[float, Estimate], ...]:
    """Sensitivity for lesions at given mean numbers of false alarms per case (FROC).

    Parameters
    ----------
    score : confidence of each candidate detection, shape (n_candidates,)
    lesion : number (0, 1, ...) of the lesion hit within its case, -1 for a false alarm; a lesion hit
        by several candidates counts once, at the best score
    case : number (0, 1, ...) of the case of each candidate
    lesions_per_case : lesions of the reference standard in every case, also without candidates
    false_alarms : mean numbers of false alarms per case
    cluster : patient of each case, shape (n_cases,); patients are then resampled

    Returns
    -------
    tuple of (false alarms per case, Estimate of sensitivity), intervals by resampling cases

    Raises
    ------
    MetricError
        If the input does not fit or there is no lesion.

    References
    ----------
    Chakraborty 2017 Observer Performance Methods; rates 1/8 to 8 as in LUNA16.

    Examples
    --------
    >>> found = froc([0.9, 0.8, 0.3], [0, -1, 0], [0, 1, 1], lesions_per_case=[1, 1], false_alarms=[0.5])
    >>> found[0][1].value
    1.0
    """
    check_rows(score, lesion, cluster=case)
    check_rows(lesions_per_case, cluster=cluster)
    total = read_whole(lesions_per_case, "lesions_per_case")
    found, raised = _hits_and_alarms(*_read_candidates(score, lesion, case, total))
    rates = read_numbers(false_alarms, "false_alarms")
    if not np.all(rates >= 0):
        raise MetricError("false_alarms must be numbers from 0")
    value = _sensitivity(found, raised, (total, np.ones(total.size)), rates)
    owner, plan = _patients(total, (found, raised), cluster), Bootstrap(1000)
    weights = (weight.astype(np.float64) for weight in drawn_weights(owner, plan))
    reps = np.array([_sensitivity(found, raised, (total, w), rates) for w in weights])
    reps = reps[np.isfinite(reps).all(axis=1)]
    sample = Sample(total.size, int(total.sum()))
    method = f"{'case' if cluster is None else 'patient'} bootstrap percentile"
    return tuple(
        (rate, percentile_estimate(sample, v, column, method))
        for rate, v, column in zip(rates.tolist(), value.tolist(), reps.T, strict=True)
    )


def _read_candidates(
    score: ArrayLike, lesion: ArrayLike, case: ArrayLike, total: Ints
) -> tuple[Floats, Ints, Ints]:
    values, which, where = (
        read_scores(score),
        read_whole(lesion, "lesion"),
        read_whole(case, "case"),
    )
    if not values.shape == which.shape == where.shape:
        raise MetricError("score, lesion and case need one value per candidate")
    if total.size < 2 or total.min() < 0 or total.sum() == 0:
        raise MetricError("lesions_per_case needs a count per case, with two cases and one lesion")
    if values.size and (where.min() < 0 or where.max() >= total.size):
        raise MetricError("case must contain positions in lesions_per_case, from 0")
    if values.size and np.any((which < -1) | (which >= total[where])):
        bad = np.flatnonzero((which < -1) | (which >= total[where]))
        candidates = counted(bad.size, "candidate has", "candidates have")
        raise MetricError(
            f"{candidates} a lesion number that does not exist in the case (first at row {bad[0]}); "
            "number the lesions of each case from 0"
        )
    return values, which, where


def _best_hits(values: Floats, which: Ints, where: Ints) -> Ints:
    """Positions of the best-scoring candidate of every lesion hit."""
    hits = np.flatnonzero(which >= 0)
    ranked = hits[np.lexsort((-values[hits], which[hits], where[hits]))]
    same = (where[ranked][1:] == where[ranked][:-1]) & (which[ranked][1:] == which[ranked][:-1])
    return ranked[np.append(True, ~same)] if ranked.size else ranked


@dataclass(frozen=True, slots=True)
class _Counts:
    """Position of each candidate in the distinct scores, descending, and its case."""

    position: Ints
    case: Ints
    length: int


def _hits_and_alarms(values: Floats, which: Ints, where: Ints) -> tuple[_Counts, _Counts]:
    """Best candidate of every lesion hit, and all false alarms."""
    hits, alarms = _best_hits(values, which, where), np.flatnonzero(which < 0)
    order = np.unique(values)[::-1]
    found, raised = (
        _Counts(np.searchsorted(-order, -values[rows]), where[rows], order.size)
        for rows in (hits, alarms)
    )
    return found, raised


def _patients(total: Ints, candidates: tuple[_Counts, _Counts], cluster: ArrayLike | None) -> Ints:
    """Patient of each case, with canonical codes that depend on their cases and candidates."""
    owner = np.arange(total.size) if cluster is None else read_cluster(cluster, total.size)
    parts = [(total, owner), *((c.position, owner[c.case]) for c in candidates)]
    kind = np.repeat(np.arange(3), [part.size for part, _ in parts])
    value, row_owner = (np.concatenate(column) for column in zip(*parts, strict=True))
    rows, patient = canonical(row_owner, kind, value)
    code = np.empty(int(owner.max()) + 1, np.int64)
    code[row_owner[rows]] = patient
    return code[owner]


def _sensitivity(
    found: _Counts, raised: _Counts, weights: tuple[Ints, Floats], rates: Floats
) -> Floats:
    """Sensitivity at the lowest threshold that keeps false alarms within each rate."""
    total, weight = weights
    lesions = float(np.sum(total * weight))
    if lesions == 0:
        return np.full(rates.size, math.nan)
    hits, alarms = (
        np.append(0.0, np.cumsum(np.bincount(c.position, weight[c.case], c.length)))
        for c in (found, raised)
    )
    within = np.searchsorted(alarms / weight.sum(), rates * (1 + 1e-12), side="right") - 1
    return np.asarray(hits[within] / lesions)
