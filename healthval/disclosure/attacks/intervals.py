"""An interval must be the one that its method gives: no room for two numbers of one's own (pure)."""

import math
from collections.abc import Callable

from scipy.special import ndtri

from healthval.contracts.proportions import wilson
from healthval.contracts.submission import ReleasedEstimate, Submission
from healthval.disclosure.attacks.checks import estimates, refused
from healthval.disclosure.payload.context import is_on_grid
from healthval.disclosure.policy import Policy


def check_intervals(submission: Submission, _policy: Policy) -> int:
    """Value, standard error and interval fit each other on the scale of the method."""
    seen = 0
    for path, e in estimates(submission):
        if e.value is None or e.lo is None or e.hi is None:
            continue
        seen += 1
        unit = _unit(e)
        z = float(ndtri((1 + e.level) / 2))
        if not _fits(e, e.value, (e.lo, e.hi), z, unit):
            raise refused(path, "the interval is not that of its method", "compute it again")
    return seen


def _unit(e: ReleasedEstimate) -> float:
    """Step of the last decimal that value and interval show."""
    numbers = [x for x in (e.value, e.lo, e.hi) if x is not None]
    return float(10.0 ** -next(d for d in range(7) if all(is_on_grid(x, d) for x in numbers)))


def _fits(
    e: ReleasedEstimate, value: float, ends: tuple[float, float], z: float, unit: float
) -> bool:
    words = e.method.split()
    if words[0] == "wilson" and len(words) == 1 and e.se is not None:
        return _is_wilson(e, ends, z, unit)
    if "wald" in words or words[0] == "delta":
        return _is_symmetric(value, ends, e.se, z, unit)
    if words[0] == "log":
        return _is_centred(value, ends, unit, (math.log, lambda x: x))
    if words[0] == "logit-delong":
        return _is_centred(value, ends, unit, (_logit, lambda x: x * (1 - x)))
    if words[0] in ("bootstrap", "patient") and e.se is not None and e.se > unit:
        return 0.3 < (ends[1] - ends[0] + unit) / (2 * z * e.se) < 3
    return True


def _logit(x: float) -> float:
    return math.log(x / (1 - x))


def _is_wilson(e: ReleasedEstimate, ends: tuple[float, float], z: float, unit: float) -> bool:
    """Wilson's interval of a proportion: `n_events` of `n`."""
    if not isinstance(e.n, int) or not isinstance(e.n_events, int) or e.n == 0 or e.se is None:
        return False
    p = e.n_events / e.n
    exact = wilson(e.n_events, e.n, z)
    fits = all(abs(a - b) < 0.51 * unit for a, b in zip(ends, exact, strict=True))
    return fits and abs(e.se - math.sqrt(p * (1 - p) / e.n)) < 0.06 * unit


def _is_symmetric(
    value: float, ends: tuple[float, float], se: float | None, z: float, unit: float
) -> bool:
    centred = abs(ends[0] + ends[1] - 2 * value) < 2.01 * unit
    return centred and (se is None or abs((ends[1] - ends[0]) / 2 - z * se) < 0.7 * unit)


def _is_centred(
    value: float,
    ends: tuple[float, float],
    unit: float,
    scale: tuple[Callable[[float], float], Callable[[float], float]],
) -> bool:
    """Whether the value is the middle on a scale; `scale` is the transform and 1 / its slope."""
    transform, width = scale
    numbers = (ends[0], value, ends[1])
    if not all(width(x) > 2 * unit for x in numbers):
        return True  # too near an end of the scale to tell
    lo, middle, hi = map(transform, numbers)
    slack = unit * sum(w / width(x) for w, x in zip((0.7, 1.4, 0.7), numbers, strict=True))
    return abs(lo + hi - 2 * middle) < slack
