"""Outlines and detections: overlap and surface distance per case, lesions per false alarm."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from healthval.errors import MetricError
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
from healthval.metrics.intervals.resampling import Bootstrap, canonical, patient_weights, percentile

FALSE_ALARMS = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)


@dataclass(frozen=True, slots=True)
class SegmentedCase:
    """One case; None where the metric is undefined.

    Both masks empty: Dice, IoU and NSD are 1, HD95 is 0 (correctly nothing). One mask empty: Dice,
    IoU and NSD are 0, HD95 undefined.
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
    """Compare two masks of one case.

    Parameters
    ----------
    reference, prediction : bool or 0/1 arrays of the same 2-D or 3-D shape
    spacing : size of a voxel along each axis, mm
    tolerance : distance up to which surfaces agree (NSD), mm

    Raises
    ------
    MetricError
        If shapes, spacing or tolerance do not fit, or a mask holds other values than 0 and 1.

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
    return SegmentedCase(dice, iou, hd95, nsd, not a.any(), not b.any())


def _read_mask(mask: ArrayLike, name: str) -> Bools:
    array = read_array(mask, f"{name} mask")
    if array.dtype == np.bool_:
        return array
    if array.dtype.kind not in "iuf" or not np.all((array == 0) | (array == 1)):
        raise MetricError(f"{name} mask holds values other than 0 and 1; binarize it first")
    return array.astype(np.bool_)


def _surfaces(a: Bools, b: Bools, sizes: Floats, tolerance: float) -> tuple[float | None, float]:
    """95th percentile of surface distances (the larger direction), and surface Dice."""
    if not a.any() or not b.any():
        agree = not a.any() and not b.any()
        return (0.0 if agree else None), float(agree)
    to_b, to_a = _distances(a, b, sizes), _distances(b, a, sizes)
    within = tolerance * (1 + 1e-9)  # one voxel away is within a tolerance of one spacing
    near = np.count_nonzero(to_b <= within) + np.count_nonzero(to_a <= within)
    hd95 = max(float(np.quantile(to_b, 0.95)), float(np.quantile(to_a, 0.95)))
    return hd95, near / (to_a.size + to_b.size)


def _distances(source: Bools, target: Bools, sizes: Floats) -> Floats:
    """Distance of each surface voxel of the source to the surface of the target, mm."""
    from scipy.ndimage import distance_transform_edt

    away = distance_transform_edt(~_surface(target), sampling=sizes)
    return np.asarray(away[_surface(source)], np.float64)


def _surface(mask: Bools) -> Bools:
    """Voxels of the mask with a face neighbour outside it; outside the image counts as outside."""
    inner = np.pad(mask, 1)
    core = inner.copy()
    for axis in range(mask.ndim):
        core &= np.roll(inner, 1, axis) & np.roll(inner, -1, axis)
    return np.asarray(mask & ~core[tuple(slice(1, -1) for _ in range(mask.ndim))])


@dataclass(frozen=True, slots=True)
class Segmentation:
    """Means over cases (HD95: median over cases with both outlines), with the empty ones counted."""

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
    """Summarise cases; only means and quantiles leave the site.

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
    >>> one, other = SegmentedCase(0.8, 0.7, 2.0, 0.9, False, False), SegmentedCase(0.6, 0.4, 5.0, 0.7, False, False)
    >>> round(segmentation([one, other, one]).dice.value, 3)
    0.733
    """
    check_rows(cases, cluster=cluster)
    cases = read_column(cases, "cases").tolist()
    for case in cases:
        check_kind(case, SegmentedCase, "every case")
    if len(cases) < 2:
        raise MetricError("a summary needs at least two cases")
    owner = np.arange(len(cases)) if cluster is None else read_cluster(cluster, len(cases))
    missed = sum(c.prediction_empty and not c.reference_empty for c in cases)
    invented = sum(c.reference_empty and not c.prediction_empty for c in cases)
    outlined = [i for i, c in enumerate(cases) if c.hd95 is not None]
    return Segmentation(
        dice=_summary(np.array([c.dice for c in cases]), owner, np.mean),
        iou=_summary(np.array([c.iou for c in cases]), owner, np.mean),
        hd95=_summary(np.array([cases[i].hd95 for i in outlined], np.float64), owner[outlined], np.median),
        nsd=_summary(np.array([c.nsd for c in cases]), owner, np.mean),
        n=len(cases),
        n_reference_empty=sum(c.reference_empty for c in cases),
        n_missed=missed,
        n_invented=invented,
    )  # fmt: skip


def _summary(values: Floats, owner: Ints, summarise: Callable[[Floats], Any]) -> Estimate:
    sample, method = Sample(values.size, values.size), "patient bootstrap percentile"
    if np.unique(owner).size < 2:
        return sample.none("fewer than two patients", method)
    rows, owner = canonical(np.unique(owner, return_inverse=True)[1], values)
    values = values[rows]
    plan, patients = Bootstrap(), int(owner.max()) + 1
    rng = plan.rng()
    reps = [
        summarise(drawn)
        for _ in range(plan.reps)
        if (drawn := np.repeat(values, patient_weights(rng, patients)[owner])).size
    ]
    value = float(summarise(values))
    lo, hi = percentile(np.array(reps), sample.level)
    return sample.given(
        value, (min(lo, value), max(hi, value)), float(np.std(reps, ddof=1)), method
    )


def froc(  # noqa: PLR0913  # three columns of candidates, the cases, and whose they are
    score: ArrayLike,
    lesion: ArrayLike,
    case: ArrayLike,
    *,
    lesions_per_case: Sequence[int],
    false_alarms: Sequence[float] = FALSE_ALARMS,
    cluster: ArrayLike | None = None,
) -> tuple[tuple[float, Estimate], ...]:
    """Share of lesions found at given mean numbers of false alarms per case.

    Parameters
    ----------
    score : confidence of each candidate detection, shape (n_candidates,)
    lesion : number (0, 1, ...) of the lesion it hits within its case, -1 for a false alarm; several
        candidates may hit one lesion, which counts once, at its best score
    case : number (0, 1, ...) of the case of each candidate
    lesions_per_case : lesions of the reference standard in every case, with or without candidates
    false_alarms : mean false alarms per case to report at
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
    values, which, where = _read_candidates(score, lesion, case, total)
    hits = _best_hits(values, which, where)
    alarms = which < 0
    order = np.unique(values)[::-1]
    found = _ordered(values[hits], where[hits], order)
    raised = _ordered(values[alarms], where[alarms], order)
    rates = read_numbers(false_alarms, "false_alarms")
    if not np.all(rates >= 0):
        raise MetricError("false_alarms must be numbers from 0")
    ones = np.ones(total.size)
    value = _sensitivity(found, raised, (total, ones), rates)
    plan = Bootstrap(1000)
    rng, owner = plan.rng(), _patients(total, (found, raised), cluster)
    drawn = (patient_weights(rng, int(owner.max()) + 1)[owner] for _ in range(plan.reps))
    weights = (w.astype(np.float64) for w in drawn)
    reps = np.array([_sensitivity(found, raised, (total, w), rates) for w in weights])
    reps = reps[np.isfinite(reps).all(axis=1)]
    sample = Sample(total.size, int(total.sum()))
    points, unit = [], "case" if cluster is None else "patient"
    for rate, v, column in zip(rates.tolist(), value.tolist(), reps.T, strict=True):
        lo, hi = percentile(column, sample.level)
        se = float(column.std(ddof=1)) if column.size > 1 else math.nan
        points.append(
            (rate, sample.given(v, (min(lo, v), max(hi, v)), se, f"{unit} bootstrap percentile"))
        )
    return tuple(points)


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
        raise MetricError("lesions_per_case needs a count per case, two cases and one lesion")
    if values.size and (where.min() < 0 or where.max() >= total.size):
        raise MetricError("case numbers must point into lesions_per_case")
    if values.size and np.any((which < -1) | (which >= total[where])):
        bad = np.flatnonzero((which < -1) | (which >= total[where]))
        raise MetricError(
            f"{bad.size} candidates name a lesion their case does not have (first at row {bad[0]})"
        )
    return values, which, where


def _best_hits(values: Floats, which: Ints, where: Ints) -> Ints:
    """Keep the best-scoring candidate of every lesion hit."""
    hits = np.flatnonzero(which >= 0)
    ranked = hits[np.lexsort((-values[hits], which[hits], where[hits]))]
    same = (where[ranked][1:] == where[ranked][:-1]) & (which[ranked][1:] == which[ranked][:-1])
    return ranked[np.append(True, ~same)] if ranked.size else ranked


@dataclass(frozen=True, slots=True)
class _Counts:
    """Position of each candidate on the descending score axis, and its case."""

    position: Ints
    case: Ints
    length: int


def _ordered(values: Floats, where: Ints, order: Floats) -> _Counts:
    return _Counts(np.searchsorted(-order, -values), where, order.size)


def _patients(total: Ints, candidates: tuple[_Counts, _Counts], cluster: ArrayLike | None) -> Ints:
    """Patient of each case, numbered by what cases and candidates they own."""
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
    """Lesions found at the most lenient threshold that keeps false alarms within each rate."""
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
