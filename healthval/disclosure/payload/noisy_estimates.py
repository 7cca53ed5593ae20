"""Statistics of a protected table, and intervals that include the noise (pure).

A statistic that is not a function of the table carries normal noise of at least one outcome's influence.
Its interval is that of synthetic cases with the table's counts: an exact standard error would be one
more equation about the outcomes.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, ndtri

from healthval.contracts.proportions import wilson
from healthval.disclosure.payload.keyed_noise import KeyedNoise, level_times
from healthval.metrics.estimate import Estimate

PERTURBED = "wilson perturbed"
NEAREST = 1e-4  # distance of a shown probability from 0 and 1
LEVEL_PARTS = ("auroc", "oe", "sensitivity", "specificity")
USUAL_SD = 2.0  # deviation of the noise on a count to which `TIMES` belong
# Deviations of the noise, in influences of one outcome.
TIMES = {"auroc": 1.1, "average precision": 1.5, "slope": 1.5, "brier": 2.0, "level auroc": 2.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Protection:
    """Noise, the perturbed class sizes, and the public scores that every statistic refers to.

    `variables` is the number of variables whose levels are counted: they share one part of the noise,
    and so do the `numbers` of Table 1.
    `groupings` is a digest of all their levels, of the outcomes and of the threshold of their rates.
    `patients` is the factor of an interval where patients have several cases.
    """

    noise: KeyedNoise
    n: int
    n_events: int
    scores: NDArray[np.float64]
    variables: int = 1
    numbers: int = 1
    groupings: str = ""
    patients: float = 1.0

    @property
    def one(self) -> float:
        """Largest effect of one outcome on a share of pairs of an event and a non-event."""
        m = max(1, self.n_events)
        return 1 / m + 1 / max(1, self.n - m)

    @property
    def counts(self) -> dict[str, Any]:
        """Number of cases and of events, as fields of an estimate."""
        return {"n": self.n, "n_events": self.n_events}

    @property
    def of_levels(self) -> KeyedNoise:
        """Noise of the levels: all of it is new where one case changes its level or its outcome.

        Else the levels whose numbers changed between two releases would be those of that case.
        """
        return replace(self.noise, about=f"{self.noise.about} {self.groupings}")

    @property
    def level_times(self) -> float:
        """Deviation of the noise on a level's count, in those of a count at a cut."""
        return level_times(self.variables)

    def deviation(self, name: str, influence: float) -> float:
        """Standard deviation of the noise on a statistic with this influence of one outcome."""
        return TIMES[name] * influence * self.noise.sd / USUAL_SD

    def perturbed(self, e: Estimate, like: Estimate, influence: float, name: str) -> Estimate:
        """Add noise to an estimate; interval and method are those of the synthetic cases, widened.

        Whether there is a value, and by which method, depends on the synthetic cases alone: those of
        the true cases would state whether they are separated.
        """
        if like.value is None or not math.isfinite(influence):
            return replace(like, value=None, lo=None, hi=None, se=None, **self.counts)
        sd = self.deviation(name, influence)
        z = float(self.noise.normals(1, name, sd, repr(e.value), *self.counts.values())[0])
        delta = sd * z + (0.0 if e.value is None else e.value - like.value)
        of_table = widened(like, self.patients)
        if _is_logit(like.method.split()) and is_at_an_end(like.value + delta, sd):
            of_table = as_wald(of_table)
            delta = inside(like.value + delta, sd) - like.value
        found = moved(of_table, delta, sd)
        unit = " (cluster-robust)" if self.patients > 1 else ""
        return replace(found, method=f"{found.method}{unit}", **self.counts)


def precision_reach(value: float, n_events: int) -> float:
    """Largest change of an average precision by one outcome: a first non-event that becomes an event.

    The precision at the k-th event rises by 1 / (k + 1) at most.

    Examples
    --------
    >>> round(precision_reach(1.0, 1), 3), round(precision_reach(0.8, 40), 3)
    (0.25, 0.085)
    """
    harmonic = sum(1 / k for k in range(1, n_events + 2))
    return (harmonic - value) / (n_events + 1)


def is_at_an_end(value: float, sd: float) -> bool:
    """Whether noise moved an area to less than one deviation from 0 or 1.

    On the logit scale its interval would be 0 to 1.

    Examples
    --------
    >>> is_at_an_end(1.02, 0.04), is_at_an_end(0.9, 0.04)
    (True, False)
    """
    edge = min(max(sd, NEAREST), 0.25)
    return not edge <= value <= 1 - edge


def inside(value: float, sd: float) -> float:
    """Keep an area a quarter of a deviation from 0 and 1, which have no place on the logit scale.

    To keep it a whole one away makes the mean of areas of .94 and 40 events .008 too low.

    Examples
    --------
    >>> inside(1.02, 0.04), inside(0.9, 0.04)
    (0.99, 0.9)
    """
    edge = min(max(sd / 4, NEAREST), 0.25)
    return min(max(value, edge), 1 - edge)


def as_wald(e: Estimate) -> Estimate:
    """The estimate with an interval that is symmetric on its own scale.

    Examples
    --------
    >>> e = Estimate(
    ...     value=0.5, lo=0.2, hi=0.8, se=0.1, level=0.95, method="logit delong", n=9, n_events=4
    ... )
    >>> found = as_wald(e)
    >>> round(found.hi, 3), found.method
    (0.696, 'wald delong')
    """
    method = e.method.replace("logit-", "wald ").replace("logit", "wald")
    if e.value is None or e.se is None:
        return replace(e, lo=None, hi=None, method=method)
    half = float(ndtri((1 + e.level) / 2)) * e.se
    return replace(e, lo=e.value - half, hi=e.value + half, method=method)


def patients_factor(cohort: Iterable[str]) -> float:
    """Factor of an interval where patients have several cases, rounded up to a half.

    It is the largest one, of equal outcomes within each patient: the standard errors of the true
    cases, and even their ratio in steps, would be an equation about the outcomes.

    Parameters
    ----------
    cohort : digests of the cases, as ``patient:case``

    References
    ----------
    Kish 1965, Survey Sampling (design effect of clusters).

    Examples
    --------
    >>> patients_factor(["a:1", "b:1", "c:1"]), patients_factor(["a:1", "a:2", "b:1", "b:2"])
    (1.0, 1.5)
    """
    sizes = Counter(case.partition(":")[0] for case in cohort).values()
    effect = sum(size**2 for size in sizes) / max(1, sum(sizes))
    return max(1.0, math.ceil(2 * math.sqrt(effect) - 1e-9) / 2)


def widened(e: Estimate, factor: float) -> Estimate:
    """Estimate with its standard error and interval times a factor."""
    if factor == 1.0 or e.value is None or e.lo is None or e.hi is None or e.se is None:
        return e
    to, back, _ = _scale(e)
    lo, hi = (back(to(e.value) + factor * (to(x) - to(e.value))) for x in (e.lo, e.hi))
    return replace(e, lo=lo, hi=hi, se=factor * e.se)


def moved(e: Estimate, delta: float, sd: float) -> Estimate:
    """Shift an estimate by its noise and widen its interval by the noise's deviation.

    Examples
    --------
    >>> e = Estimate(
    ...     value=1.0, lo=0.5, hi=1.5, se=0.25, level=0.95, method="logistic wald", n=9, n_events=4
    ... )
    >>> round(moved(e, 0.25, 0.25).hi, 2)
    1.95
    """
    if e.value is None:
        return e
    to, back, slope = _scale(e)
    value = back(to(e.value + delta))
    noise = float(ndtri((1 + e.level) / 2)) * sd * slope(value)
    reach = [None if bound is None else abs(to(bound) - to(e.value)) for bound in (e.lo, e.hi)]
    if _is_symmetric(e):  # the shorter side is cut at the end of the range
        reach = [max((x for x in reach if x is not None), default=None)] * 2
    lo, hi = (
        None if x is None else float(back(to(value) + side * math.hypot(x, noise)))
        for x, side in zip(reach, (-1, 1), strict=True)
    )
    se = None if e.se is None else math.hypot(e.se, sd)
    return replace(e, value=value, lo=lo, hi=hi, se=se)


def _is_symmetric(e: Estimate) -> bool:
    """Whether the interval of this method is symmetric on its scale."""
    words = e.method.split()
    return "wald" in words or words[:1] == ["log"] or words[:1] == ["delta"] or _is_logit(words)


def _is_logit(words: list[str]) -> bool:
    return any(word.startswith("logit") for word in words)


def _scale(e: Estimate) -> tuple[Any, Any, Any]:
    """Scale on which an estimate's interval is symmetric: to it, back, and its slope."""
    words = e.method.split()
    if _is_logit(words):
        return _to_logit, expit_float, lambda v: 1 / (v * (1 - v))
    if words and words[0] == "log":
        return (lambda v: math.log(max(v, NEAREST))), math.exp, lambda v: 1 / v
    return float, float, lambda _: 1.0


def _to_logit(value: float) -> float:
    return float(logit(min(max(value, NEAREST), 1 - NEAREST)))


def expit_float(value: float) -> float:
    """Inverse of the logit, as a float."""
    return float(expit(value))


def within(e: Estimate, low: float = 0.0, high: float = 1.0) -> Estimate:
    """Keep value and interval within a range."""
    ends: dict[str, Any] = {
        name: None if (x := getattr(e, name)) is None else min(high, max(low, x))
        for name in ("value", "lo", "hi")
    }
    return replace(e, **ends)


def perturbed_rate(
    k: int, n: int, variance: float, *, level: float = 0.95, factor: float = 1.0
) -> Estimate:
    """A proportion of perturbed counts; Wilson's interval at the size that the noise leaves.

    Parameters
    ----------
    variance : of the noise of `k`
    factor : of the interval, for patients with several cases
    """
    shared: dict[str, Any] = {"level": level, "method": PERTURBED, "n": n, "n_events": k}
    if n <= 0:
        return Estimate(value=None, lo=None, hi=None, se=None, reason="no case", **shared)
    size = effective_share(k, n, variance) / factor**2
    lo, hi = wilson(k * size, n * size, float(ndtri((1 + level) / 2)))
    p = k / n
    se = math.sqrt(factor**2 * p * (1 - p) / n + variance / n**2)
    return Estimate(value=p, lo=min(lo, p), hi=max(hi, p), se=se, **shared)


def effective_share(k: float, n: float, variance: float) -> float:
    """Share of the sampling variance in the variance of a perturbed proportion."""
    p = (k + 1) / (n + 2)
    sampling = p * (1 - p) / n
    return float(sampling / (sampling + variance / n**2))


def hanley_mcneil(value: float, m: int, n: int) -> float:
    """Standard error of an AUROC from its value and the classes' sizes (1982 Radiology 143:29)."""
    a = min(max(value, NEAREST), 1 - NEAREST)
    q1, q2 = a / (2 - a), 2 * a**2 / (1 + a)
    spread = a * (1 - a) + (m - 1) * (q1 - a**2) + (n - 1) * (q2 - a**2)
    return math.sqrt(spread / (m * n))


def solved_intercept(score: NDArray[np.float64], slope: float, n_events: int) -> float:
    """Intercept with which the recalibrated scores add up to the events."""
    x = slope * logit(np.clip(score, NEAREST, 1 - NEAREST))
    low, high = -50.0, 50.0
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if expit(middle + x).sum() < n_events else (low, middle)
    return (low + high) / 2


def net_benefit_of(cells: tuple[int, int], n: int, threshold: float, variance: float) -> Any:
    """Net benefit and its standard error from perturbed true and false positives."""
    weight = threshold / (1 - threshold)
    tp, fp = cells
    value = (tp - fp * weight) / n
    spread = max(0.0, (tp + fp * weight**2) / n - value**2)
    noise = variance / ((1 - threshold) * n) ** 2
    return value, math.sqrt(spread / max(1, n - 1) + noise)


def curve_at(
    points: Mapping[float, float], score: NDArray[np.float64], tilt: tuple[float, float]
) -> NDArray[np.float64]:
    """Calibration curve at the scores: between its points on the logit scale, and tilted."""
    x = logit(np.clip(score, NEAREST, 1 - NEAREST))
    knots = np.array(sorted(points))
    heights = np.array([_to_logit(points[k]) for k in knots.tolist()])
    return np.asarray(expit(np.interp(x, logit(knots), heights) + tilt[0] + tilt[1] * x))
