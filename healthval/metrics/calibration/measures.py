"""Calibration measures: O:E, intercept and slope, Brier score and Spiegelhalter's test."""

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from healthval.errors import MetricError, counted
from healthval.metrics.calibration.curves import Curve, FlexibleCalibration, flexible_calibration
from healthval.metrics.cases import Cases, read_probability_cases
from healthval.metrics.estimate import NOISE, Estimate, Sample
from healthval.metrics.inputs import Floats, Ints, check_choice, read_number
from healthval.metrics.intervals.analytic import two_sided_p
from healthval.metrics.logistic import (
    Counts,
    LogisticFit,
    NotEstimable,
    Regression,
    bin_scores,
    binned_fit,
    deviance_of,
    dot,
    fit_logistic,
    logit,
    robust_covariance,
    total_variance,
)
from healthval.metrics.names import named
from healthval.metrics.ranking.table import RankTable

Method = Literal["rcs5"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Calibration of one set of cases; every statistic an `Estimate`.

    `curve` contains (predicted, observed) on a fixed grid of at most 20 probabilities, with pointwise
    intervals. `observed` and `expected` are the sums of events and of scores. `joint_test` is the
    likelihood-ratio statistic of intercept 0 and slope 1 together, `spiegelhalter` a z statistic,
    both with p-value. `n_boundary` is the number of scores of exactly 0 or 1.
    """

    oe: Estimate
    citl: Estimate
    intercept: Estimate
    slope: Estimate
    joint_test: Estimate
    brier: Estimate
    scaled_brier: Estimate
    log_loss: Estimate
    ici_rcs5: Estimate
    e50: Estimate
    e90: Estimate
    spiegelhalter: Estimate
    curve: Curve
    observed: int
    expected: float
    n_boundary: int


@named
def calibration(  # noqa: PLR0913  # two columns and four options by keyword
    reference: ArrayLike,
    score: ArrayLike,
    *,
    curve: Method | None = "rcs5",
    cluster: ArrayLike | None = None,
    clip: float | None = None,
    level: float = 0.95,
) -> Calibration:
    """Calibration in the large, intercept and slope, flexible curve and overall accuracy.

    With clusters, every interval is cluster-robust (sums over patients). Scores of exactly 0 or 1
    have no logit: intercept, slope and calibration in the large are then not estimable, unless `clip`
    moves such scores to `clip` and 1 - `clip`. The method of each estimate records the clipping. The
    curve is then fitted on the probability scale.

    Parameters
    ----------
    reference : bool or 0/1 array, shape (n_cases,)
    score : probability array, shape (n_cases,)
    curve : "rcs5", restricted cubic spline with 5 knots on the logit score; None for no curve
    cluster : patient of each case, shape (n_cases,)
    clip : probability strictly between 0 and 1/2
    level : confidence level

    Raises
    ------
    MetricError
        If the input does not fit. The message contains no value.

    References
    ----------
    Cox 1958; Steyerberg 2010 Epidemiology 21:128; Van Calster 2016 J Clin Epidemiol 74:167;
    Debray 2017 BMJ 356:i6460 (O:E); Austin and Steyerberg 2019 Stat Med 38:4051 (ICI);
    Spiegelhalter 1986 Stat Med 5:421.

    Examples
    --------
    >>> c = calibration([0, 0, 1, 0, 1, 1], [0.1, 0.4, 0.35, 0.2, 0.8, 0.6])
    >>> print(f"{c.oe.value:.3f} {c.brier.value:.3f}")
    1.224 0.139
    """
    if curve is not None:
        check_choice(curve, ("rcs5",), "curve")
    if clip is not None and not 0 < read_number(clip, "clip") < 0.5:
        raise MetricError("clip must be strictly between 0 and 0.5, for example 1e-6")
    cases = read_probability_cases(reference, score, cluster)
    return calibration_of(cases, curve=curve, clip=clip, level=level)


def calibration_of(
    cases: Cases,
    *,
    curve: Method | None = "rcs5",
    clip: float | None = None,
    table: RankTable | None = None,
    level: float = 0.95,
) -> Calibration:
    """`calibration` of checked cases; an existing rank table saves the sort."""
    sample = Sample(cases.n, cases.n_events, level)
    table = table or RankTable.from_scores(cases.reference, cases.score)
    boundary = int(np.count_nonzero((cases.score == 0) | (cases.score == 1)))
    citl, intercept, slope, joint = _recalibration(cases, table, sample, (boundary, clip))
    flexible = _flexible(cases, table, sample, curve)
    squared = (cases.reference - cases.score) ** 2
    brier = _mean(squared, cases, sample, within=(0.0, 1.0))
    scaled_brier = _scaled_brier(squared, cases, sample)
    del squared  # as long as the data
    return Calibration(
        oe=observed_to_expected(cases, level=level),
        citl=citl,
        intercept=intercept,
        slope=slope,
        joint_test=joint,
        brier=brier,
        scaled_brier=scaled_brier,
        log_loss=_log_loss(cases, sample),
        ici_rcs5=flexible.ici,
        e50=flexible.e50,
        e90=flexible.e90,
        spiegelhalter=_spiegelhalter(cases, sample),
        curve=flexible.curve,
        observed=cases.n_events,
        expected=float(cases.score.sum()),
        n_boundary=boundary,
    )


def observed_to_expected(cases: Cases, *, level: float = 0.95) -> Estimate:
    """Observed events divided by expected events, interval on the log scale.

    The variance is Debray's, (1 - O/n) / O; with clusters times the design effect.
    """
    sample = Sample(cases.n, cases.n_events, level)
    expected = float(cases.score.sum())
    if cases.n_events == 0 or expected == 0:
        return sample.not_estimable("no event observed or none expected", "log")
    ratio = cases.n_events / expected
    method = _with_cluster("log", cases)
    if _is_alone(cases):
        return sample.not_estimable("a single patient", method)
    variance = (1 - cases.n_events / cases.n) / cases.n_events * _design_effect(cases, ratio)
    if variance == 0:
        reason = "every case has the event: no interval"
        if cases.n_events < cases.n:
            reason = "all patients have the same ratio: no interval"
        return sample.without_interval(ratio, method, reason=reason)
    return sample.log(ratio, math.sqrt(variance), method)


def _design_effect(cases: Cases, ratio: float) -> float:
    """Variance of events minus expected events with patients as units, over that with cases."""
    if cases.cluster is None:
        return 1.0
    deviation = cases.reference - ratio * cases.score
    between, within = _total_variance(deviation, cases), dot(deviation, deviation)
    return between / within if between > NOISE * within else 0.0


def _total_variance(influence: Floats, cases: Cases) -> float:
    return total_variance(influence, cases.cluster)


def _is_alone(cases: Cases) -> bool:
    """Whether all cases belong to one patient, so that no variance between patients is known."""
    return cases.cluster is not None and not cases.cluster.any()


def _mean(values: Floats, cases: Cases, sample: Sample, *, within: tuple[float, float]) -> Estimate:
    if cases.n < 2:
        return sample.not_estimable("fewer than two cases", "wald")
    if _is_alone(cases):
        return sample.not_estimable("a single patient", _with_cluster("wald", cases))
    mean = float(values.mean())
    correction = cases.n / (cases.n - 1) if cases.cluster is None else 1.0
    se = math.sqrt(_total_variance(values - mean, cases) * correction) / cases.n
    return sample.wald(mean, se, _with_cluster("wald", cases), within=within)


def _with_cluster(method: str, cases: Cases) -> str:
    return method if cases.cluster is None else f"{method} (cluster-robust)"


def _scaled_brier(loss: Floats, cases: Cases, sample: Sample) -> Estimate:
    """1 - Brier / (prevalence (1 - prevalence)); variance by the delta method. Overwrites `loss`."""
    prevalence = cases.n_events / max(cases.n, 1)
    worst = prevalence * (1 - prevalence)
    if worst == 0:
        return sample.not_estimable("all cases belong to one class", "delta")
    if _is_alone(cases):
        return sample.not_estimable("a single patient", _with_cluster("delta", cases))
    brier = float(loss.mean())
    slope = brier * (1 - 2 * prevalence) / worst**2
    influence = np.where(cases.reference, slope * (1 - prevalence), -slope * prevalence)
    loss -= brier  # in place, because memory bounds the number of cases
    loss /= worst
    influence -= loss
    se = math.sqrt(_total_variance(influence, cases)) / cases.n
    method = _with_cluster("delta", cases)
    return sample.wald(1 - brier / worst, se, method, within=(-math.inf, 1.0))


def _log_loss(cases: Cases, sample: Sample) -> Estimate:
    likelihood = np.where(cases.reference, cases.score, 1 - cases.score)
    contradicted = int(np.count_nonzero(likelihood == 0))
    if contradicted:
        return sample.not_estimable(
            f"infinite: {counted(contradicted, 'case contradicts', 'cases contradict')} a score of "
            "exactly 0 or 1",
            "wald",
        )
    loss = np.log(likelihood, out=likelihood)
    return _mean(np.negative(loss, out=loss), cases, sample, within=(0.0, math.inf))


def _spiegelhalter(cases: Cases, sample: Sample) -> Estimate:
    p = cases.score
    weight = 1 - 2 * p
    deviation, method = cases.reference - p, _with_cluster("spiegelhalter z", cases)
    if _is_alone(cases):
        return sample.not_estimable("a single patient", method)
    deviation *= weight
    total = float(np.sum(deviation))
    between = None if cases.cluster is None else _total_variance(deviation, cases)
    del deviation  # as long as the data
    np.square(weight, out=weight)
    weight *= p
    weight *= 1 - p
    variance = float(np.sum(weight))
    if variance > 0 and between is not None:
        variance = between
    if variance == 0:
        return sample.not_estimable("every score is 0, 0.5 or 1", method)
    z = total / math.sqrt(variance)
    return replace(sample.without_interval(z, method, se=1.0), p=two_sided_p(z))


@dataclass(frozen=True, slots=True)
class _Logits:
    """Distinct scores on the logit scale, with their counts."""

    lp: Floats
    counts: Counts
    row: Ints | None  # row of each case; with clusters only
    binned: "_Logits | None" = None  # six points per cell in place of the scores

    @classmethod
    def of(cls, score: Floats, counts: Counts, row: Ints | None) -> "_Logits":
        """Logits of distinct ascending scores; binned too where the scores are many."""
        lp = logit(score)
        bins = bin_scores(lp, counts) if row is None else None
        return cls(lp, counts, row, bins and cls(bins[0], bins[1], None))

    def regression(self, terms: int) -> Regression:
        """Regression on the intercept alone (logit score as offset), or on intercept and slope."""
        design = np.ones((terms, self.lp.size))
        if terms == 1:
            return Regression(design, self.counts, self.lp)
        design[1] = self.lp
        return Regression(design, self.counts)

    def fit(self, cases: Cases, *start: float) -> LogisticFit:
        """Fit, with cluster-robust covariance where cases are clustered."""
        if self.binned is not None:
            found = binned_fit(self.binned.regression(len(start)), np.array(start))
            if found is not None:
                return found
        every = self.regression(len(start))
        fit = fit_logistic(every.design, self.counts, start=np.array(start), offset=every.offset)
        if self.row is None or cases.cluster is None:
            return fit
        residual = cases.reference - fit.fitted(every.design, every.offset)[self.row]
        robust = robust_covariance(
            every.design[:, self.row], residual, fit.covariance, cases.cluster
        )
        return replace(fit, covariance=robust)

    def deviance(self) -> float:
        """Minus twice the log likelihood of the scores without recalibration."""
        points = self.binned or self
        return deviance_of(points.lp, points.counts)


def _recalibration(
    cases: Cases, table: RankTable, sample: Sample, edge: tuple[int, float | None]
) -> tuple[Estimate, Estimate, Estimate, Estimate]:
    """Calibration in the large, intercept, slope, and the joint test of 0 and 1."""
    boundary, clip = edge
    method = "logistic wald" if clip is None else f"logistic wald (clip {clip:g})"
    score = table.score if clip is None else _clipped(table.score, clip)
    reason = "all cases belong to one class"
    if boundary and clip is None:
        scores = counted(boundary, "score is", "scores are")
        reason = f"{scores} exactly 0 or 1, where the logit is infinite; healthval.metrics.calibration has clip="
    if (boundary and clip is None) or cases.n_events in (0, cases.n):
        none = sample.not_estimable(reason, method)
        return none, none, none, none
    row = None if cases.cluster is None else np.searchsorted(table.score, cases.score)
    events = table.pos
    counts = (events, events + table.neg)
    if clip is not None and row is None:  # a clipped score may be beyond its neighbours
        order = np.argsort(score, kind="stable")
        score, counts = score[order], (counts[0][order], counts[1][order])
    logits = _Logits.of(score, counts, row)
    method = _with_cluster(method, cases)
    return _in_the_large(cases, logits, sample, method), *_intercept_and_slope(
        cases, logits, sample, method
    )


def _clipped(score: Floats, clip: float) -> Floats:
    """Scores with exactly 0 and 1 moved to `clip` and 1 - `clip`."""
    return np.select([score == 0, score == 1], [clip, 1 - clip], score)


def _in_the_large(cases: Cases, logits: _Logits, sample: Sample, method: str) -> Estimate:
    try:
        fit = logits.fit(cases, 0.0)
    except NotEstimable as reason:
        return sample.not_estimable(str(reason), method)
    return sample.wald(float(fit.beta[0]), math.sqrt(fit.covariance[0, 0]), method)


def _intercept_and_slope(
    cases: Cases, logits: _Logits, sample: Sample, method: str
) -> tuple[Estimate, Estimate, Estimate]:
    try:
        fit = logits.fit(cases, 0.0, 1.0)
    except NotEstimable as reason:
        none = sample.not_estimable(str(reason), method)
        return none, none, none
    intercept, slope = (
        sample.wald(float(fit.beta[i]), math.sqrt(fit.covariance[i, i]), method) for i in (0, 1)
    )
    return intercept, slope, _joint(cases, logits, fit, sample)


def _joint(cases: Cases, logits: _Logits, fit: LogisticFit, sample: Sample) -> Estimate:
    """Likelihood-ratio test; with clusters a robust Wald test, because clustered cases have no likelihood."""
    if cases.cluster is None:
        statistic = max(logits.deviance() - fit.deviance, 0.0)
        method = "likelihood ratio chi2 (2 df)"
    else:
        deviation = fit.beta - np.array([0.0, 1.0])
        statistic = float(deviation @ np.linalg.solve(fit.covariance, deviation))
        method = "robust wald chi2 (2 df)"
    return replace(sample.without_interval(statistic, method), p=math.exp(-statistic / 2))


def _flexible(
    cases: Cases, table: RankTable, sample: Sample, curve: Method | None
) -> FlexibleCalibration:
    reason = "not requested"
    if curve is not None:
        try:
            return flexible_calibration(cases, table, sample)
        except NotEstimable as obstacle:
            reason = str(obstacle)
    none = sample.not_estimable(reason, "rcs5")
    return FlexibleCalibration(none, none, none, ())
