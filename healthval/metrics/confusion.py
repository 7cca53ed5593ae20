"""Counts of TP, FP, FN and TN at a threshold, and the rates and ratios computed from them."""

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from healthval.contracts.proportions import expit
from healthval.errors import MetricError
from healthval.metrics.cases import read_probability_cases
from healthval.metrics.estimate import Estimate, Sample
from healthval.metrics.inputs import Floats, Ints, check_choice, check_kind, read_count, read_number
from healthval.metrics.intervals.analytic import Interval, proportion, ratio
from healthval.metrics.names import named


@dataclass(frozen=True, slots=True)
class Patients:
    """Distribution of the four cells (TP, FP, FN, TN) over patients who own several cases.

    `products[i][j]` is the sum over patients of their cases in cell i times those in cell j;
    `with_cells[mask]` is the number of patients with cases in exactly the cells of the bit mask.
    """

    products: tuple[tuple[int, ...], ...]
    with_cells: tuple[int, ...]

    @property
    def number(self) -> int:
        """Number of patients."""
        return sum(self.with_cells)

    def number_in(self, among: Floats) -> int:
        """Number of patients with a case in one of these cells."""
        wanted = sum(1 << cell for cell in np.flatnonzero(among).tolist())
        return sum(n for mask, n in enumerate(self.with_cells) if mask & wanted)


@dataclass(frozen=True, slots=True, kw_only=True)
class Confusion:
    """Cases counted by reference standard and prediction; each rate an `Estimate` (Wilson 95 %).

    With `patients` (from `confusion_at(..., cluster=)`) every statistic of the cells accounts for
    several cases per patient: rates by the ratio estimator, ratios by the delta method.
    """

    tp: int
    fp: int
    fn: int
    tn: int
    patients: Patients | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        for name in ("tp", "fp", "fn", "tn"):
            object.__setattr__(self, name, read_count(getattr(self, name), name))
        if self.patients is not None:
            check_kind(self.patients, Patients, "patients")

    @property
    def n(self) -> int:
        """Number of cases."""
        return self.tp + self.fp + self.fn + self.tn

    @property
    def n_events(self) -> int:
        """Number of cases with the target condition."""
        return self.tp + self.fn

    @property
    def prevalence(self) -> Estimate:
        """(TP + FN) / n."""
        return self.rate("prevalence")

    @property
    def sensitivity(self) -> Estimate:
        """TP / (TP + FN)."""
        return self.rate("sensitivity")

    @property
    def specificity(self) -> Estimate:
        """TN / (TN + FP)."""
        return self.rate("specificity")

    @property
    def ppv(self) -> Estimate:
        """TP / (TP + FP)."""
        return self.rate("ppv")

    @property
    def npv(self) -> Estimate:
        """TN / (TN + FN)."""
        return self.rate("npv")

    @property
    def accuracy(self) -> Estimate:
        """(TP + TN) / n; for an appendix, never for a headline."""
        return self.rate("accuracy")

    def rate(self, name: str, *, ci: Interval = "wilson", level: float = 0.95) -> Estimate:
        """Rate by name, with the chosen interval and level.

        Examples
        --------
        >>> cells = Confusion(tp=201, fp=130, fn=11, tn=227)
        >>> print(cells.rate("npv", ci="clopper-pearson"))
        0.954 (95% CI 0.919 to 0.977)
        """
        check_choice(name, _RATES, "rate")
        hit, among = _RATES[name]
        k, n = (int(self.cells @ which) for which in (hit, among))
        if self.patients is None or n == 0:
            return proportion(k, n, ci=ci, level=level)
        if ci != "wilson":
            raise MetricError("with clusters a rate has Wilson's interval; omit ci=")
        slope = (hit - k / n * among) / n
        units = self.patients.number_in(among)
        return ratio(Sample(n, k, level), self.spread(slope), units)

    @property
    def cells(self) -> Floats:
        """TP, FP, FN and TN as an array."""
        return np.array([self.tp, self.fp, self.fn, self.tn], np.float64)

    def spread(self, slope: Floats, half: float = 0.0) -> float:
        """Delta-method variance of a statistic, summed per patient (per case without patients).

        Parameters
        ----------
        slope : derivative of the statistic with respect to each cell
        half : continuity correction added to each cell
        """
        if self.patients is None:
            return float(slope**2 @ (self.cells + half))
        products = np.array(self.patients.products, np.float64) + half * np.eye(4)
        return max(float(slope @ products @ slope), 0.0)


_TP, _FP, _FN, _TN = np.eye(4)
_RATES = {  # cells of the numerator, cells of the denominator
    "prevalence": (_TP + _FN, np.ones(4)),
    "sensitivity": (_TP, _TP + _FN),
    "specificity": (_TN, _TN + _FP),
    "ppv": (_TP, _TP + _FP),
    "npv": (_TN, _TN + _FN),
    "accuracy": (_TP + _TN, np.ones(4)),
}


@named
def confusion_at(
    reference: ArrayLike,
    score: ArrayLike,
    threshold: float,
    *,
    cluster: ArrayLike | None = None,
) -> Confusion:
    """Count cases at one pre-specified threshold; positive means score >= threshold.

    Parameters
    ----------
    reference : bool or 0/1 array, shape (n_cases,)
    score : probability array, shape (n_cases,)
    threshold : probability, 0 to 1
    cluster : patient of each case; intervals of rates, likelihood ratios and predictive values then
        account for it

    Raises
    ------
    MetricError
        If a score is missing or outside 0 to 1, or the threshold is.

    References
    ----------
    STARD 2015, item 12a; Rao and Scott 1992 Biometrics 48:577 (clusters).

    Examples
    --------
    >>> confusion_at([True, False], [0.5, 0.4], threshold=0.5)
    Confusion(tp=1, fp=0, fn=0, tn=1)
    """
    check_threshold(threshold)
    cases = read_probability_cases(reference, score, cluster)
    return count_cells(cases.reference, cases.score >= threshold, cases.cluster)


def count_cells(
    reference: np.ndarray, positive: np.ndarray, cluster: Ints | None = None
) -> Confusion:
    """Confusion of two checked bool arrays."""
    tp = int(np.count_nonzero(reference & positive))
    flagged, events = int(np.count_nonzero(positive)), int(np.count_nonzero(reference))
    return Confusion(
        tp=tp,
        fp=flagged - tp,
        fn=events - tp,
        tn=reference.size - flagged - events + tp,
        patients=None if cluster is None else _patients(reference, positive, cluster),
    )


def _patients(reference: np.ndarray, positive: np.ndarray, cluster: Ints) -> Patients:
    cell = np.where(reference, np.where(positive, 0, 2), np.where(positive, 1, 3))
    rows = np.bincount(4 * cluster + cell, minlength=4 * int(cluster.max(initial=-1) + 1))
    rows = rows.reshape(-1, 4)
    masks = np.bincount((rows > 0) @ (1 << np.arange(4)), minlength=16)
    products = (rows.T @ rows).tolist()
    return Patients(tuple(tuple(row) for row in products), tuple(masks.tolist()))


def check_threshold(threshold: float) -> None:
    """Refuse a threshold outside 0 to 1."""
    if not 0 <= read_number(threshold, "threshold") <= 1:
        raise MetricError("threshold must be a probability, 0 to 1")


@dataclass(frozen=True, slots=True)
class LikelihoodRatios:
    """Likelihood ratios of a positive and a negative result, and the diagnostic odds ratio."""

    positive: Estimate
    negative: Estimate
    diagnostic_odds_ratio: Estimate


def likelihood_ratios(cells: Confusion, *, level: float = 0.95) -> LikelihoodRatios:
    """Positive and negative likelihood ratio and diagnostic odds ratio, log intervals.

    When a cell of the ratio is 0, 1/2 is added to all four cells, and the method records it.

    References
    ----------
    Simel 1991 J Clin Epidemiol 44:763; Haldane 1956 for the 1/2. With clusters: delta method over
    patients.

    Examples
    --------
    >>> print(likelihood_ratios(Confusion(tp=201, fp=130, fn=11, tn=227)).positive)
    2.604 (95% CI 2.262 to 2.997)
    """
    check_kind(cells, Confusion, "cells")
    sample = Sample(cells.n, cells.n_events, level)
    if not (cells.tp + cells.fn and cells.fp + cells.tn):
        none = sample.not_estimable("needs cases with and without the condition", "simel")
        return LikelihoodRatios(none, none, none)
    return LikelihoodRatios(
        _likelihood_ratio(sample, cells, _TP + _FP),
        _likelihood_ratio(sample, cells, _FN + _TN),
        _odds_ratio(sample, cells),
    )


def _likelihood_ratio(sample: Sample, cells: Confusion, hit: Floats) -> Estimate:
    half = 0.5 if 0 in cells.cells[hit > 0] else 0.0
    value, slope = _log_ratio(cells, hit, half)
    return _on_log(sample, cells, (value, slope, half), "simel")


def _log_ratio(cells: Confusion, hit: Floats, half: float) -> tuple[float, Floats]:
    """Likelihood ratio of a result (`hit` cells), and the slope of its logarithm in each cell."""
    counts, with_condition = cells.cells + half, _TP + _FN
    m, n = counts @ with_condition, counts @ (1 - with_condition)
    a, b = counts @ (hit * with_condition), counts @ (hit * (1 - with_condition))
    slope = np.where(with_condition > 0, hit / a - 1 / m, 1 / n - hit / b)
    return float(a / m / (b / n)), slope


def _odds_ratio(sample: Sample, cells: Confusion) -> Estimate:
    half = 0.5 if 0 in cells.cells else 0.0
    tp, fp, fn, tn = counts = cells.cells + half
    slope = np.array([1, -1, -1, 1]) / counts
    return _on_log(sample, cells, (float(tp * tn / (fp * fn)), slope, half), "woolf")


def _on_log(
    sample: Sample, cells: Confusion, found: tuple[float, Floats, float], method: str
) -> Estimate:
    value, slope, half = found
    se_log, method = _se(cells, slope, half), _named(method, cells, half)
    if se_log is None:
        return sample.not_estimable("a single patient", method)
    return sample.log(value, se_log, method)


def _se(cells: Confusion, slope: Floats, half: float) -> float | None:
    """Standard error by the delta method; None when all cases belong to one patient."""
    if cells.patients is None:
        return math.sqrt(cells.spread(slope, half))
    units = cells.patients.number
    return math.sqrt(cells.spread(slope, half) * units / (units - 1)) if units > 1 else None


def _named(method: str, cells: Confusion, half: float) -> str:
    clustered = "" if cells.patients is None else " (cluster-robust)"
    return method + (" (haldane 1/2)" if half else "") + clustered


def predictive_values(
    cells: Confusion, prevalence: float, *, level: float = 0.95
) -> tuple[Estimate, Estimate]:
    """PPV and NPV at another prevalence, logit intervals.

    Parameters
    ----------
    cells : Confusion
    prevalence : probability strictly between 0 and 1

    References
    ----------
    Mercaldo, Lau and Zhou 2007 Stat Med 26:2170.

    Examples
    --------
    >>> print(predictive_values(Confusion(tp=201, fp=130, fn=11, tn=227), 0.05)[0])
    0.121 (95% CI 0.106 to 0.136)
    """
    check_kind(cells, Confusion, "cells")
    prevalence = read_number(prevalence, "prevalence")
    if not 0 < prevalence < 1:
        raise MetricError("prevalence must be strictly between 0 and 1")
    sample = Sample(cells.n, cells.n_events, level)
    if not (cells.tp + cells.fn and cells.fp + cells.tn):
        none = sample.not_estimable("needs cases with and without the condition", "mercaldo")
        return none, none
    half, odds = 0.5 if 0 in cells.cells else 0.0, prevalence / (1 - prevalence)
    method = _named("mercaldo", cells, half)
    found = []
    for hit, sign in ((_TP + _FP, 1), (_FN + _TN, -1)):
        factor, slope = _log_ratio(cells, hit, half)  # odds after = odds before * likelihood ratio
        value = expit(sign * math.log(odds * factor))
        se = _se(cells, slope, half)
        found.append(
            sample.not_estimable("a single patient", method)
            if se is None
            else sample.logit(value, se * value * (1 - value), method)
        )
    return found[0], found[1]
