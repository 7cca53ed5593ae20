"""Two-by-two counts at a threshold, and everything that follows from four cells."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from healthval.errors import MetricError
from healthval.metrics.estimate import Estimate
from healthval.metrics.inputs import read_probability_cases
from healthval.metrics.intervals import Interval, Sample, proportion
from healthval.metrics.parameters import check_choice, check_kind, read_count, read_number


@dataclass(frozen=True, slots=True)
class Confusion:
    """Cases counted by reference standard and prediction; each rate an `Estimate` (Wilson 95 %)."""

    tp: int
    fp: int
    fn: int
    tn: int

    def __post_init__(self) -> None:
        for name in ("tp", "fp", "fn", "tn"):
            object.__setattr__(self, name, read_count(getattr(self, name), name))

    @property
    def n(self) -> int:
        """All cases."""
        return self.tp + self.fp + self.fn + self.tn

    @property
    def n_events(self) -> int:
        """Cases with the target condition."""
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

    def rate(self, name: str, *, interval: Interval = "wilson", level: float = 0.95) -> Estimate:
        """Give one rate with the interval and level asked for.

        Examples
        --------
        >>> print(Confusion(201, 130, 11, 227).rate("npv", interval="clopper-pearson"))
        0.954 (95% CI 0.919 to 0.977)
        """
        counts = {
            "prevalence": (self.tp + self.fn, self.n),
            "sensitivity": (self.tp, self.tp + self.fn),
            "specificity": (self.tn, self.tn + self.fp),
            "ppv": (self.tp, self.tp + self.fp),
            "npv": (self.tn, self.tn + self.fn),
            "accuracy": (self.tp + self.tn, self.n),
        }
        check_choice(name, counts, "rate")
        return proportion(*counts[name], interval=interval, level=level)


def confusion_at(reference: ArrayLike, score: ArrayLike, threshold: float) -> Confusion:
    """Count cases at one pre-specified threshold; positive means score >= threshold.

    Parameters
    ----------
    reference : bool or 0/1 array, shape (n_cases,)
    score : probability array, shape (n_cases,)
    threshold : probability, 0 to 1

    Raises
    ------
    MetricError
        If a score is missing or outside 0 to 1, or the threshold is.

    References
    ----------
    STARD 2015, item 12a.

    Examples
    --------
    >>> confusion_at([True, False], [0.5, 0.4], threshold=0.5)
    Confusion(tp=1, fp=0, fn=0, tn=1)
    """
    check_threshold(threshold)
    cases = read_probability_cases(reference, score)
    return count_cells(cases.reference, cases.score >= threshold)


def count_cells(reference: np.ndarray, positive: np.ndarray) -> Confusion:
    """Count the four cells of two checked bool arrays."""
    tp = int(np.count_nonzero(reference & positive))
    flagged, events = int(np.count_nonzero(positive)), int(np.count_nonzero(reference))
    return Confusion(tp, flagged - tp, events - tp, reference.size - flagged - events + tp)


def check_threshold(threshold: float) -> None:
    """Refuse a threshold outside 0 to 1."""
    if not 0 <= read_number(threshold, "threshold") <= 1:
        raise MetricError("a threshold is a probability between 0 and 1")


@dataclass(frozen=True, slots=True)
class LikelihoodRatios:
    """How a result shifts the odds of the target condition."""

    positive: Estimate
    negative: Estimate
    diagnostic_odds_ratio: Estimate


def likelihood_ratios(cells: Confusion, *, level: float = 0.95) -> LikelihoodRatios:
    """Positive and negative likelihood ratio and diagnostic odds ratio, log intervals.

    Only where a needed cell is 0 is 1/2 added to all four, and the method then says so.

    References
    ----------
    Simel 1991 J Clin Epidemiol 44:763; Haldane 1956 for the 1/2.

    Examples
    --------
    >>> print(likelihood_ratios(Confusion(201, 130, 11, 227)).positive)
    2.604 (95% CI 2.262 to 2.997)
    """
    check_kind(cells, Confusion, "cells")
    sample = Sample(cells.n, cells.n_events, level)
    if not (cells.tp + cells.fn and cells.fp + cells.tn):
        none = sample.none("needs cases with and without the condition", "simel")
        return LikelihoodRatios(none, none, none)
    return LikelihoodRatios(
        _likelihood_ratio(sample, cells, (cells.tp, cells.fp)),
        _likelihood_ratio(sample, cells, (cells.fn, cells.tn)),
        _odds_ratio(sample, cells),
    )


def _likelihood_ratio(sample: Sample, cells: Confusion, hits: tuple[int, int]) -> Estimate:
    half = 0.0 if all(hits) else 0.5
    a, b = hits[0] + half, hits[1] + half
    m, n = cells.tp + cells.fn + 2 * half, cells.fp + cells.tn + 2 * half
    se_log = math.sqrt(1 / a - 1 / m + 1 / b - 1 / n)
    return sample.log((a / m) / (b / n), se_log, _with_half("simel", half))


def _odds_ratio(sample: Sample, cells: Confusion) -> Estimate:
    counts = (cells.tp, cells.fp, cells.fn, cells.tn)
    half = 0.0 if all(counts) else 0.5
    tp, fp, fn, tn = (count + half for count in counts)
    se_log = math.sqrt(1 / tp + 1 / fp + 1 / fn + 1 / tn)
    return sample.log(tp * tn / (fp * fn), se_log, _with_half("woolf", half))


def _with_half(method: str, half: float) -> str:
    return f"{method} (haldane 1/2)" if half else method


def predictive_values(
    cells: Confusion, prevalence: float, *, level: float = 0.95
) -> tuple[Estimate, Estimate]:
    """PPV and NPV as they would be at another prevalence, logit intervals.

    Parameters
    ----------
    cells : Confusion
    prevalence : probability strictly between 0 and 1

    References
    ----------
    Mercaldo, Lau and Zhou 2007 Stat Med 26:2170.

    Examples
    --------
    >>> print(predictive_values(Confusion(201, 130, 11, 227), 0.05)[0])
    0.121 (95% CI 0.106 to 0.136)
    """
    check_kind(cells, Confusion, "cells")
    if not 0 < read_number(prevalence, "prevalence") < 1:
        raise MetricError("prevalence must lie strictly between 0 and 1")
    sample = Sample(cells.n, cells.n_events, level)
    if not (cells.tp + cells.fn and cells.fp + cells.tn):
        none = sample.none("needs cases with and without the condition", "mercaldo")
        return none, none
    half = 0.0 if all((cells.tp, cells.fp, cells.fn, cells.tn)) else 0.5
    m, n = cells.tp + cells.fn + 2 * half, cells.fp + cells.tn + 2 * half
    se, sp = (cells.tp + half) / m, (cells.tn + half) / n
    ppv = se * prevalence / (se * prevalence + (1 - sp) * (1 - prevalence))
    npv = sp * (1 - prevalence) / (sp * (1 - prevalence) + (1 - se) * prevalence)
    deviations = (
        math.sqrt((1 - se) / se / m + sp / (1 - sp) / n),
        math.sqrt(se / (1 - se) / m + (1 - sp) / sp / n),
    )
    first, second = (
        sample.logit(value, dev * value * (1 - value), _with_half("mercaldo", half))
        for value, dev in zip((ppv, npv), deviations, strict=True)
    )
    return first, second
