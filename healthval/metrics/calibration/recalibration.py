"""Recalibrating the score to one site: numbers a vendor may adopt, with an honest gain."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from healthval.errors import MetricError
from healthval.metrics.estimate import Estimate, Sample
from healthval.metrics.inputs import (
    Bools,
    Cases,
    Floats,
    Ints,
    check_choice,
    check_probabilities,
    read_probability_cases,
    read_scores,
)
from healthval.metrics.intervals.resampling import (
    Bootstrap,
    canonical_cases,
    patient_weights,
    percentile,
    read_plan,
)
from healthval.metrics.logistic import NotEstimable, fit_logistic, logit, sigmoid

Method = Literal["in-the-large", "logistic", "isotonic"]
BINS = 20


@dataclass(frozen=True, slots=True)
class Update:
    """A recalibration: new logit = intercept + slope * logit(score), or a step function.

    `steps` (isotonic only) is the updated probability in each 0.05 of score. `brier_gain` is the
    Brier score before minus after, corrected for being judged on the data it was fitted to;
    `apparent_gain` is not corrected.
    """

    method: str
    intercept: float | None
    slope: float | None
    steps: tuple[float, ...]
    apparent_gain: float
    brier_gain: Estimate

    def apply(self, score: ArrayLike) -> Floats:
        """Update scores of new cases: probabilities, none of them missing.

        Raises
        ------
        MetricError
            If a score is missing or outside 0 to 1.
        """
        values = read_scores(score)
        check_probabilities(values)
        return self._updated(values)

    def _updated(self, values: Floats) -> Floats:
        if self.intercept is None or self.slope is None:
            return np.array(self.steps)[np.minimum((values * BINS).astype(np.int64), BINS - 1)]
        with np.errstate(divide="ignore"):  # the logit of exactly 0 or 1 is infinite
            return sigmoid(self.intercept + self.slope * logit(values))


def recalibrate(
    reference: ArrayLike,
    score: ArrayLike,
    *,
    method: Method = "logistic",
    cluster: ArrayLike | None = None,
    bootstrap: Bootstrap | None = None,
) -> Update:
    """Fit a recalibration and what it gains after correction for optimism.

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
    if cases.n_events in (0, cases.n):
        raise MetricError(f"recalibration needs both classes; {cases.n_events} of {cases.n} events")
    boundary = int(np.count_nonzero((cases.score == 0) | (cases.score == 1)))
    if boundary and method != "isotonic":
        raise MetricError(
            f"{boundary} scores are exactly 0 or 1, where the logit is infinite; use 'isotonic'"
        )
    try:
        fitted = _fit(cases.reference, cases.score, method)
    except NotEstimable as reason:
        raise MetricError(f"recalibration cannot be fitted: {reason}") from None
    gain = _gain(fitted, cases.reference, cases.score)
    optimism, spread = _optimism(cases, method, read_plan(bootstrap, 200))
    sample = Sample(cases.n, cases.n_events)
    lo, hi = percentile(spread, sample.level)
    corrected = gain - float(optimism.mean())
    estimate = sample.given(
        corrected,
        (min(lo, corrected), max(hi, corrected)),
        float(spread.std(ddof=1)),
        "bootstrap optimism-corrected",
    )
    return Update(method, *fitted, gain, estimate)


Fitted = tuple[float | None, float | None, tuple[float, ...]]


def _fit(reference: Bools, score: Floats, method: Method) -> Fitted:
    if method == "isotonic":
        return None, None, _isotonic(reference, score)
    lp, ones = logit(score), np.ones(score.size)
    counts = (reference.astype(np.float64), ones)
    if method == "in-the-large":
        large = fit_logistic(ones[None], counts, start=np.zeros(1), offset=lp)
        return float(large.beta[0]), 1.0, ()
    both = fit_logistic(np.array([ones, lp]), counts, start=np.array([0.0, 1.0]))
    return float(both.beta[0]), float(both.beta[1]), ()


def _isotonic(reference: Bools, score: Floats) -> tuple[float, ...]:
    """Pool adjacent violators over 20 fixed bins: steps at scores of patients would tell on them."""
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
    """Rates that fall, and empty bins, join their neighbour."""
    empty = before[1] == 0 or after[1] == 0
    return empty or before[0] * after[1] >= after[0] * before[1]


def _gain(fitted: Fitted, reference: Bools, score: Floats) -> float:
    updated = Update("", *fitted, math.nan, _NO_ESTIMATE)._updated(score)
    return float(np.mean((reference - score) ** 2) - np.mean((reference - updated) ** 2))


_NO_ESTIMATE = Sample(0, 0).none("not judged", "none")


def _optimism(cases: Cases, method: Method, plan: Bootstrap) -> tuple[Floats, Floats]:
    """Gain where fitted minus gain on all cases, per replicate; and the latter's spread."""
    rng, optimism, tested = plan.rng(), [], []
    owner = np.arange(cases.n) if cases.cluster is None else cases.cluster
    for _ in range(plan.reps):
        rows = _rows(rng, owner)
        y, p = cases.reference[rows], cases.score[rows]
        try:
            fitted = _fit(y, p, method)
        except NotEstimable:
            continue
        again = _gain(fitted, cases.reference, cases.score)
        within = _gain(fitted, y, p)
        optimism.append(within - again)
        tested.append(within)
    if len(optimism) < plan.reps / 2:
        raise MetricError("too few cases: most replicates cannot be fitted")
    correction = float(np.mean(optimism))
    return np.array(optimism), np.array(tested) - correction


def _rows(rng: np.random.Generator, owner: Ints) -> Ints:
    return np.repeat(np.arange(owner.size), patient_weights(rng, int(owner.max()) + 1)[owner])
