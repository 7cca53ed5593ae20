"""Segmentation and detection: overlap and surface distance of masks, and the FROC curve."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from healthval.contracts.proportions import wilson
from healthval.errors import MetricError, counted
from healthval.metrics.cases import check_rows, read_cluster, read_scores
from healthval.metrics.estimate import Estimate, Sample
from healthval.metrics.inputs import (
    Bools,
    Floats,
    Ints,
    check_kind,
    read_array,
    read_column,
    read_number,
    read_numbers,
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

    Both masks empty: all four are None. One mask empty: Dice, IoU and NSD are 0, HD95 is None.
    `diagonal` is that of the image in mm, the largest distance possible in it.
    """

    dice: float | None
    iou: float | None
    hd95: float | None
    nsd: float | None
    diagonal: float
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
        raise MetricError(f"spacing needs {counted(a.ndim, 'positive number')}, one per axis")
    if not tolerance >= 0:
        raise MetricError("tolerance must not be negative")
    both, total = int(np.count_nonzero(a & b)), int(np.count_nonzero(a)) + int(np.count_nonzero(b))
    dice = 2 * both / total if total else None
    iou = both / (total - both) if total else None
    hd95, nsd = _surfaces(a, b, sizes, tolerance)
    return SegmentedCase(
        dice=dice,
        iou=iou,
        hd95=hd95,
        nsd=nsd,
        diagonal=math.hypot(*(sizes * a.shape).tolist()),
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


def _surfaces(
    a: Bools, b: Bools, sizes: Floats, tolerance: float
) -> tuple[float | None, float | None]:
    """95th percentile of surface distances (the larger direction), and normalised surface Dice."""
    if not a.any() or not b.any():
        return None, None if not a.any() and not b.any() else 0.0
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
    """Means over cases with a mask (HD95: their median), and counts of empty masks.

    `n_both_empty` cases have neither mask and are not part of the four summaries. `n_missed` and
    `n_invented` are cases where only the prediction, or only the reference, is empty: their Dice,
    IoU and NSD are 0, and their HD95 is the worst distance.
    """

    dice: Estimate
    iou: Estimate
    hd95: Estimate
    nsd: Estimate
    n: int
    n_reference_empty: int
    n_both_empty: int
    n_missed: int
    n_invented: int


def segmentation(
    cases: Sequence[SegmentedCase],
    *,
    cluster: ArrayLike | None = None,
    worst: float | None = None,
    level: float = 0.95,
) -> Segmentation:
    """Summary over cases: means, and the median of HD95; intervals by resampling.

    Cases with both masks empty have no overlap and no distance: they are counted and left out. Cases
    with one mask empty are failures of the model and count as the worst value of every metric.

    Parameters
    ----------
    cases : one `segment_case` per case
    cluster : patient of each case; patients are then resampled
    worst : HD95 of a case with one mask empty, mm, at least the largest measured; by default the
        diagonal of the case's image
    level : of the intervals

    Raises
    ------
    MetricError
        If there are fewer than two cases, or a measured HD95 is larger than `worst`.

    References
    ----------
    Maier-Hein 2024 Nat Methods 21:195 (Metrics Reloaded: missing values count as the worst).

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
    shown = [i for i, c in enumerate(cases) if not (c.reference_empty and c.prediction_empty)]
    unit = "case" if cluster is None else "patient"
    mean = _Summary(owner[shown], np.mean, unit, level)
    marked = [cases[i] for i in shown]
    return Segmentation(
        dice=mean.of([c.dice for c in marked]),
        iou=mean.of([c.iou for c in marked]),
        hd95=replace(mean, summarise=np.median).of(_distances_or_worst(marked, worst)),
        nsd=mean.of([c.nsd for c in marked]),
        n=len(cases),
        n_reference_empty=sum(c.reference_empty for c in cases),
        n_both_empty=len(cases) - len(marked),
        n_missed=sum(c.prediction_empty and not c.reference_empty for c in cases),
        n_invented=sum(c.reference_empty and not c.prediction_empty for c in cases),
    )


def _distances_or_worst(cases: Sequence[SegmentedCase], worst: float | None) -> list[float]:
    """HD95 of each case, the worst distance where one mask is empty."""
    if worst is not None:
        limit = read_number(worst, "worst")
        beyond = sum(c.hd95 is not None and c.hd95 > limit for c in cases)
        if beyond or not 0 < limit < math.inf:
            raise MetricError(
                f"worst: {counted(beyond, 'case has', 'cases have')} a larger HD95; give a finite "
                "distance in mm that is not exceeded, or omit it for the diagonal of each image"
            )
    edge = [c.diagonal if worst is None else float(worst) for c in cases]
    return [e if c.hd95 is None else c.hd95 for c, e in zip(cases, edge, strict=True)]


@dataclass(frozen=True, slots=True)
class _Summary:
    """Summary of one value per case, with a bootstrap interval over the cases or their patients."""

    owner: Ints
    summarise: Callable[[Floats], Any]
    unit: str
    level: float

    def of(self, column: Sequence[float | None]) -> Estimate:
        values, method = np.array(column, np.float64), f"{self.unit} bootstrap percentile"
        sample = Sample(values.size, values.size, self.level)
        if np.unique(self.owner).size < 2:
            return sample.not_estimable(f"fewer than two {self.unit}s with a mask", method)
        rows, owner = canonical(np.unique(self.owner, return_inverse=True)[1], values)
        values = values[rows]
        samples = (np.repeat(values, weight) for weight in drawn_weights(owner, Bootstrap()))
        replicates = np.array([self.summarise(drawn) for drawn in samples if drawn.size])
        return percentile_estimate(sample, float(self.summarise(values)), replicates, method)


def froc(  # noqa: PLR0913  # three columns of candidates, two of cases
    score: ArrayLike,
    lesion: ArrayLike,
    case: ArrayLike,
    *,
    lesions_per_case: Sequence[int],
    false_alarms: Sequence[float] = FALSE_ALARMS,
    cluster: ArrayLike | None = None,
    level: float = 0.95,
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
    level : of the intervals

    Returns
    -------
    tuple of (false alarms per case, Estimate of sensitivity), intervals by resampling cases;
    Wilson's, over the cases (or patients) with a lesion, where that has no width

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
    sample = Sample(total.size, int(total.sum()), level)
    method = f"{'case' if cluster is None else 'patient'} bootstrap percentile"
    units = int(np.unique(owner[total > 0]).size)  # cases or patients with a lesion
    return tuple(
        (rate, _detection(sample, v, column, (units, method)))
        for rate, v, column in zip(rates.tolist(), value.tolist(), reps.T, strict=True)
    )


def _detection(sample: Sample, value: float, replicates: Floats, how: tuple[int, str]) -> Estimate:
    """Sensitivity with its bootstrap interval; Wilson's where that has no width."""
    units, method = how
    found = percentile_estimate(sample, value, replicates, method)
    if found.lo is not None:
        return found
    bounds = wilson(value * units, units, sample.z)
    return sample.with_bounds(value, bounds, None, f"wilson ({method.split()[0]}s)")


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
