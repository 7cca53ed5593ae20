"""Control chart of a measure over periods: a tabular CUSUM whose in-control run length is known.

References
----------
Page 1954 Biometrika 41:100 (CUSUM); Brook and Evans 1972 Biometrika 59:539 (run length by a Markov
chain); Kemp 1961 JRSS B 23:149 (two-sided run length from the two one-sided ones).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from healthval.aggregate.effects import LOG, LOGIT, PROPORTION, effect_of
from healthval.contracts.monitoring import AlarmRule
from healthval.contracts.submission import ReleasedEstimate

STATES = 250  # of the Markov chain; the run length is then exact to three digits
STEPS_PER_UNIT = 1000  # a decision limit has three decimals
_SCALES = {"auroc": LOGIT, "oe": LOG, "sensitivity": PROPORTION, "specificity": PROPORTION}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """Decision limit of a rule.

    Attributes
    ----------
    limit : an alarm is raised when a sum exceeds it
    allowance : distance from the target, in standard errors, that adds nothing to a sum
    run_length : mean number of periods until a false alarm
    false_alarm : probability of a false alarm within the plan's periods; an upper bound where both
        directions are watched
    """

    limit: float
    allowance: float
    run_length: float
    false_alarm: float


@dataclass(frozen=True, slots=True)
class ChartPoint:
    """One period of a chart.

    Attributes
    ----------
    z : standardised distance from the target; None where the period has no usable value
    fall, rise : sums after the period; None for a direction that is not watched
    """

    z: float | None
    fall: float | None
    rise: float | None
    alarm: bool


def decision_limit(rule: AlarmRule, periods: int) -> Limit:
    """Smallest limit, to three decimals, with at least the rule's run length.

    The distances of a model in control are taken as independent and standard normal.
    """
    sides = 2 if rule.direction == "both" else 1
    allowance = rule.shift / 2
    limit = _limit(allowance, rule.run_length * sides)
    return Limit(
        limit=limit,
        allowance=allowance,
        run_length=run_length(limit, allowance) / sides,
        false_alarm=min(1.0, sides * _signalled(limit, allowance, periods)),
    )


@lru_cache(maxsize=256)
def run_length(limit: float, allowance: float) -> float:
    """Mean number of periods until a one-sided CUSUM from zero exceeds its limit, in control.

    Examples
    --------
    >>> round(run_length(4.0, 0.5)), round(run_length(5.0, 0.5))
    (335, 931)
    """
    chain = _chain(limit, allowance)
    return float(np.linalg.solve(np.eye(len(chain)) - chain, np.ones(len(chain)))[0])


def _signalled(limit: float, allowance: float, periods: int) -> float:
    """Probability that a one-sided CUSUM from zero exceeds its limit within the periods."""
    chain, quiet = _chain(limit, allowance), np.eye(STATES)[0]
    for _ in range(periods):
        quiet = quiet @ chain
    return float(1 - quiet.sum())


def _chain(limit: float, allowance: float) -> np.ndarray:
    """Transition matrix between states of the sum without an alarm; state 0 is a sum of zero."""
    width = 2 * limit / (2 * STATES - 1)
    steps = np.arange(-STATES, STATES + 1) * width + allowance
    upper = np.array([_phi(step + width / 2) for step in steps])
    at = np.arange(STATES)[None, :] - np.arange(STATES)[:, None] + STATES
    chain: np.ndarray = upper[at] - upper[at - 1]
    chain[:, 0] = upper[at[:, 0]]
    return chain


def _phi(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2))


@lru_cache(maxsize=64)
def _limit(allowance: float, wanted: float) -> float:
    low, high = 0, STEPS_PER_UNIT // 4
    while run_length(high / STEPS_PER_UNIT, allowance) < wanted:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        enough = run_length(middle / STEPS_PER_UNIT, allowance) >= wanted
        low, high = (low, middle) if enough else (middle, high)
    return high / STEPS_PER_UNIT


def chart(
    rule: AlarmRule, limit: Limit, periods: Sequence[Sequence[ReleasedEstimate | None]]
) -> tuple[ChartPoint, ...]:
    """Sums of a rule over consecutive periods; a period without a usable value leaves them unchanged.

    Parameters
    ----------
    periods : for each period, the estimate of each hospital; several are combined by the inverse of
        their variances
    """
    signs = {"fall": (-1,), "rise": (1,), "both": (-1, 1)}[rule.direction]
    sums = dict.fromkeys(signs, 0.0)
    points = []
    for estimates in periods:
        z = _distance(rule, estimates)
        if z is not None:
            sums = {sign: max(0.0, s + sign * z - limit.allowance) for sign, s in sums.items()}
        alarm = z is not None and any(s > limit.limit for s in sums.values())
        points.append(ChartPoint(z, sums.get(-1), sums.get(1), alarm))
    return tuple(points)


def _distance(rule: AlarmRule, estimates: Sequence[ReleasedEstimate | None]) -> float | None:
    """Distance of the estimates from the target, divided by its standard error.

    AUROC, sensitivity and specificity are compared on the logit scale, O:E on the log scale.
    """
    scale = _SCALES[rule.measure]
    target = scale.forward(rule.target)
    effects = [effect_of(estimate, scale) for estimate in estimates]
    usable = [effect for effect in effects if not isinstance(effect, str)]
    if not usable:
        return None
    precision = sum(1 / se**2 for _, se in usable)
    return sum((value - target) / se**2 for value, se in usable) / math.sqrt(precision)
