"""Recalibration of the score to one site, with its gain corrected for optimism."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from healthval.errors import MetricError, counted
from healthval.metrics.cases import Cases, check_probabilities, read_probability_cases, read_scores
from healthval.metrics.estimate import Estimate, Sample
from healthval.metrics.inputs import Bools, Floats, check_choice
from healthval.metrics.intervals.resampling import (
    Bootstrap,
    canonical_cases,
    drawn_weights,
    percentile_estimate,
    read_plan,
)
from healthval.metrics.logistic import NotEstimable, fit_logistic, logit, sigmoid

Method = Literal["in-the-large", "logistic", "isotonic"]
BINS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """A recalibration: new logit = intercept + slope * logit(score), or a step function.

    `steps` (isotonic only) is the updated probability in each 0.05 of score. `brier_gain` is the
    Brier score before minus after, corrected for optimism (fit and test on the same data);
    `apparent_gain` is not corrected.
    """

    method: str
    intercept: float | None
    slope: float | None
    steps: tuple[float, ...]
    apparent_gain: float
    brier_gain: Estimate

    def apply(self, score: ArrayLike) -> Floats:
        """Updated scores of new cases.

        Parameters
        ----------
        score : probability array, shape (n_cases,), without missing values

        Raises
        ------
        MetricError
            If a score is missing or outside 0 to 1.
        """
        values = read_scores(score)
        check_probabilities(values)
        return _Fit(self.intercept, self.slope, self.steps).updated(values)


@dataclass(frozen=True, slots=True)
class _Fit:
    """Coefficients of a logistic recalibration, or steps of an isotonic one."""

    intercept: float | None
    slope: float | None
    steps: tuple[float, ...] = ()

    def updated(self, score: Floats) -> Floats:
        if self.intercept is None or self.slope is None:
            return np.array(self.steps)[np.minimum((score * BINS).astype(np.int64), BINS - 1)]
        with np.errstate(divide="ignore"):  # the logit of exactly 0 or 1 is infinite
            return sigmoid(self.intercept + self.slope * logit(score))

    def gain(self, reference: Bools, score: Floats) -> float:
        """Brier score before minus after."""
        after = np.mean((reference - self.updated(score)) ** 2)
        return float(np.mean((reference - score) ** 2) - after)


def recalibrate(
    reference: ArrayLike,
    score: ArrayLike,
    *,
    method: Method = "logistic",
    cluster: ArrayLike | None = None,
    bootstrap: Bootstrap | None = None,
) -> Update:
    """Recalibration fitted to the cases, and its gain after correction for optimism.

    Parameters
    ----------
    reference : bool or 0/1 array, shape (n_cases,)
    score : probability array strictly between 0 and 1 (isotonic: 0 and 1 included)
    method : "in-the-large" (intercept), "logistic" (intercept and slope) or "isotonic"
    cluster : patient of each case; patients are then resampled
    bootstrap : replicates and seed; 200 from seed 0 by default

    Raises
    ------
    MetricError
        If the input does not fit or the model cannot be fitted.

    References
    ----------
    Steyerberg 2019 Clinical Prediction Models, ch. 20; optimism: Harrell, Lee and Mark 1996.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> p = rng.uniform(0.05, 0.95, size=2000)
    >>> update = recalibrate(rng.uniform(size=2000) < p**2, p)
    >>> update.brier_gain.lo > 0
    True
    """
    check_choice(method, ("in-the-large", "logistic", "isotonic"), "method")
    cases = canonical_cases(read_probability_cases(reference, score, cluster))
    _check(cases, method)
    try:
        fit = _fit(cases.reference, cases.score, method)
    except NotEstimable as reason:
        raise MetricError(f"recalibration cannot be fitted: {reason}") from None
    gain = fit.gain(cases.reference, cases.score)
    optimism, corrected = _optimism(cases, method, read_plan(bootstrap, 200))
    sample, name = Sample(cases.n, cases.n_events), "bootstrap optimism-corrected"
    return Update(
        method=method,
        intercept=fit.intercept,
        slope=fit.slope,
        steps=fit.steps,
        apparent_gain=gain,
        brier_gain=percentile_estimate(sample, gain - optimism, corrected, name),
    )


def _check(cases: Cases, method: Method) -> None:
    if cases.n_events in (0, cases.n):
        raise MetricError(
            f"recalibration needs both classes; got {counted(cases.n_events, 'event')} in "
            f"{counted(cases.n, 'case')}"
        )
    boundary = int(np.count_nonzero((cases.score == 0) | (cases.score == 1)))
    if boundary and method != "isotonic":
        raise MetricError(
            f"{counted(boundary, 'score is', 'scores are')} exactly 0 or 1, where the logit is "
            "infinite; use 'isotonic'"
        )


def _fit(reference: Bools, score: Floats, method: Method) -> _Fit:
    if method == "isotonic":
        return _Fit(None, None, _isotonic(reference, score))
    lp, ones = logit(score), np.ones(score.size)
    counts = (reference.astype(np.float64), ones)
    if method == "in-the-large":
        large = fit_logistic(ones[None], counts, start=np.zeros(1), offset=lp)
        return _Fit(float(large.beta[0]), 1.0)
    both = fit_logistic(np.array([ones, lp]), counts, start=np.array([0.0, 1.0]))
    return _Fit(float(both.beta[0]), float(both.beta[1]))


def _isotonic(reference: Bools, score: Floats) -> tuple[float, ...]:
    """Pool adjacent violators over 20 fixed bins; steps at patients' scores would reveal scores."""
    code = np.minimum((score * BINS).astype(np.int64), BINS - 1)
    cases = np.bincount(code, minlength=BINS)
    events = np.bincount(code[reference], minlength=BINS)
    blocks: list[list[float]] = []  # events, cases, bins
    for e, n in zip(events.tolist(), cases.tolist(), strict=True):
        blocks.append([e, n, 1])
        while len(blocks) > 1 and _violates(blocks[-2], blocks[-1]):
            last = blocks.pop()
            blocks[-1] = [a + b for a, b in zip(blocks[-1], last, strict=True)]
    return tuple(e / n for e, n, bins in blocks for _ in range(int(bins)))


def _violates(before: list[float], after: list[float]) -> bool:
    """Whether two blocks must be merged: a falling rate or an empty block."""
    empty = before[1] == 0 or after[1] == 0
    return empty or before[0] * after[1] >= after[0] * before[1]


def _optimism(cases: Cases, method: Method, plan: Bootstrap) -> tuple[float, Floats]:
    """Mean optimism over replicates, and the apparent gain of each replicate minus that mean.

    The optimism of a replicate is its gain on the drawn cases, to which it was fitted, minus its
    gain on all cases.
    """
    optimism, apparent = [], []
    owner = np.arange(cases.n) if cases.cluster is None else cases.cluster
    for weight in drawn_weights(owner, plan):
        rows = np.repeat(np.arange(cases.n), weight)
        y, p = cases.reference[rows], cases.score[rows]
        try:
            fit = _fit(y, p, method)
        except NotEstimable:
            continue
        gain = fit.gain(y, p)
        optimism.append(gain - fit.gain(cases.reference, cases.score))
        apparent.append(gain)
    if len(optimism) < plan.reps / 2:
        raise MetricError("too few cases: most bootstrap replicates have no fit")
    return float(np.mean(optimism)), np.array(apparent) - float(np.mean(optimism))
