"""Attacks on estimates: rounding by class size, intervals, and rational reconstruction (pure).

Sensitivity, specificity and PPV at 3 decimals with known n leave one table out of thousands, so a
hidden cell beside a shown rate is revealed. Rational reconstruction lists, for each threshold with
a hidden cell, the whole-number tables that fit the shown rates.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from healthval.contracts.proportions import logit, wilson
from healthval.contracts.submission import (
    SUPPRESSED,
    Band,
    Cell,
    ReleasedEstimate,
    ReleasedThreshold,
    Submission,
    band_limits,
)
from healthval.disclosure.payload.curves import Z_95
from healthval.disclosure.payload.thresholds import BAND_DECIMALS
from healthval.disclosure.policy import Policy, is_on_grid
from healthval.errors import DisclosureRefused

Ints: TypeAlias = NDArray[np.int64]
Bools: TypeAlias = NDArray[np.bool_]

RATES = ("sensitivity", "specificity", "ppv", "npv", "net_benefit")
CALIBRATION = (
    "oe",
    "citl",
    "intercept",
    "slope",
    "brier",
    "scaled_brier",
    "ici_rcs5",
    "e50",
    "e90",
)
OVER_ALL = ("brier", "ici_rcs5", "e50", "e90", "net_benefit", "model")
UNBOUNDED = ("citl", "intercept", "slope", "net_benefit", "model")
RANGES = {
    **dict.fromkeys(UNBOUNDED, (-math.inf, math.inf)),
    "scaled_brier": (-math.inf, 1.0),
    "oe": (0.0, math.inf),
}  # of all others: 0 to 1
LARGEST = 4_000_000  # tables tried; beyond, rates of one class are used alone


def estimates(submission: Submission) -> Iterator[tuple[str, ReleasedEstimate]]:
    """Every estimate of a submission with its path."""
    yield "auroc", submission.auroc
    if submission.average_precision is not None:
        yield "average_precision", submission.average_precision
    for i, t in enumerate(submission.thresholds):
        for name in RATES:
            yield f"thresholds[{i}].{name}", getattr(t, name)
    if submission.calibration is not None:
        for name in CALIBRATION:
            yield f"calibration.{name}", getattr(submission.calibration, name)
    for i, point in enumerate(submission.decision_curve):
        yield f"decision_curve[{i}].model", point.model
    for i, s in enumerate(submission.subgroups):
        for name in ("auroc", "oe", "sensitivity", "specificity"):
            yield f"subgroups[{i}].{name}", getattr(s, name)


def check_classes(submission: Submission, policy: Policy) -> int:
    """Statistics require that both classes may be shown; discrimination requires large classes."""
    n, m = submission.n, submission.n_events
    if isinstance(n, int) and isinstance(m, int):
        is_one_class = policy.noise_scale is not None and m in (0, n)
        if is_one_class or not (policy.shows(m) and policy.shows(n - m)):
            raise DisclosureRefused(
                "n_events", "events or non-events are too few to be shown", "suppress it"
            )
    paths = [path for path, e in estimates(submission) if e.withheld == "none"]
    if paths and not isinstance(m, int):
        raise DisclosureRefused(
            paths[0], "a statistic although the events are too few", "withhold it"
        )
    derived = (submission.calibration, submission.decision_curve, submission.histogram)
    if any(derived) and not isinstance(m, int):
        raise DisclosureRefused(
            "calibration", "curves although the events are too few", "leave them out"
        )
    _check_discrimination(submission, policy, paths)
    return len(paths)


def _check_discrimination(submission: Submission, policy: Policy, paths: list[str]) -> None:
    shown = [path for path in paths if path in ("auroc", "average_precision")]
    shown += ["roc"] if submission.roc else []
    if shown and not _is_large(submission.n, submission.n_events, policy):
        raise DisclosureRefused(
            shown[0], f"fewer than {policy.minimum_class} events or non-events", "withhold it"
        )
    for i, s in enumerate(submission.subgroups):
        if s.auroc.withheld == "none" and not _is_large(s.n, s.n_events, policy):
            raise DisclosureRefused(
                f"subgroups[{i}].auroc", "too few events or non-events", "withhold it"
            )


def _is_large(n: Cell, n_events: Cell, policy: Policy) -> bool:
    """Whether both classes are shown and large enough for a discrimination measure."""
    if not isinstance(n, int) or not isinstance(n_events, int):
        return False
    return min(n_events, n - n_events) >= policy.minimum_class


def check_estimates(submission: Submission, policy: Policy) -> int:
    """Each estimate is withheld whole, or rounded by its class size, ordered and within its range."""
    n, m = submission.n, submission.n_events
    if not isinstance(n, int):
        raise DisclosureRefused("n", "the number of cases is missing", "release a larger cohort")
    seen = 0
    for path, e in estimates(submission):
        seen += 1
        numbers = (e.value, e.lo, e.hi, e.se)
        if e.withheld != "none" and any(x is not None for x in numbers):
            raise DisclosureRefused(path, "withheld, yet with numbers", "leave its numbers out")
        if e.withheld == "none" and e.value is None:
            raise DisclosureRefused(path, "neither a value nor a reason", "give the reason")
        if e.withheld == "none":
            _check_numbers(path, e, _most_decimals(path, submission, policy))
        over_all = path.startswith(("auroc", "average_precision", "calibration"))
        if over_all and not {e.n, e.n_events} <= {SUPPRESSED, n, m}:
            raise DisclosureRefused(
                path, "its counts are released nowhere else", "repeat released counts only"
            )
    return seen


def _most_decimals(path: str, submission: Submission, policy: Policy) -> int:
    most = policy.decimals(_size(path, submission))
    if not path.startswith(("thresholds", "decision_curve")):
        return most
    index = int(path[path.find("[") + 1 : path.find("]")])
    at = getattr(submission, path.partition("[")[0])[index].threshold
    cells = [t.confusion for t in submission.thresholds if t.threshold == at]
    name = path.rpartition(".")[2]
    about = {"sensitivity": ("tp",), "specificity": ("fp",)}.get(name, ("tp", "fp"))
    banded = any(band_limits(getattr(c, cell)) for c in cells for cell in about)
    return min(most, BAND_DECIMALS) if banded else most


def _size(path: str, submission: Submission) -> int:
    """Number of cases behind an estimate; 0, hence no decimals, where the classes are hidden."""
    index = int(path[path.find("[") + 1 : path.find("]")]) if "[" in path else 0
    name = path.rpartition(".")[2]
    about = submission.subgroups[index] if path.startswith("subgroups") else submission
    n, m = about.n, about.n_events
    if not isinstance(submission.n_events, int) or not isinstance(n, int) or not isinstance(m, int):
        return 0
    if path.startswith("thresholds") and name in ("ppv", "npv"):
        c = submission.thresholds[index].confusion
        pair = (c.tp, c.fp) if name == "ppv" else (c.fn, c.tn)
        limits = [(x, x) if isinstance(x, int) else band_limits(x) for x in pair]
        return sum(high for _, high in filter(None, limits)) if SUPPRESSED not in pair else 0
    by_class = {"sensitivity": m, "specificity": n - m}
    return by_class.get(name, n if name in OVER_ALL else min(m, n - m))


def _check_numbers(path: str, e: ReleasedEstimate, decimals: int) -> None:
    value = 0.0 if e.value is None else e.value
    lo = value if e.lo is None else e.lo
    hi = value if e.hi is None else e.hi
    name = path.rpartition(".")[2]
    if not all(is_on_grid(x, decimals) for x in (value, lo, hi)) or (
        e.se is not None and not is_on_grid(e.se, decimals + 1)
    ):
        raise DisclosureRefused(
            path, "more decimals than its class size allows", f"round to {decimals} decimals"
        )
    if not lo <= value <= hi or (e.se is not None and e.se < 0):
        raise DisclosureRefused(
            path, "value and interval contradict each other", "compute it again"
        )
    low, high = _range(name)
    if not low <= value <= high:
        raise DisclosureRefused(path, "outside the range of the statistic", "compute it again")


def _range(name: str) -> tuple[float, float]:
    return RANGES.get(name, (0.0, 1.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Interval:
    """A value with its bounds; `unit` is the step of the last decimal that they show.

    `low` and `high` are the ends of the statistic's range, where an interval is cut.
    """

    value: float
    lo: float
    hi: float
    unit: float
    low: float
    high: float


def check_intervals(submission: Submission, _policy: Policy) -> int:
    """Value, standard error and interval fit each other on the scale of the method.

    An interval with two free ends could carry two numbers.
    """
    seen = 0
    for path, e in estimates(submission):
        if e.value is None or e.lo is None or e.hi is None:
            continue
        seen += 1
        numbers = (e.value, e.lo, e.hi)
        decimals = next(d for d in range(7) if all(is_on_grid(x, d) for x in numbers))
        low, high = _range(path.rpartition(".")[2])
        found = _Interval(
            value=e.value, lo=e.lo, hi=e.hi, unit=float(10.0**-decimals), low=low, high=high
        )
        if not _fits_method(e, found):
            raise DisclosureRefused(
                path, "the interval is not that of its method", "compute it again"
            )
    return seen


def _fits_method(e: ReleasedEstimate, found: _Interval) -> bool:
    words = e.method.split()
    z = float(ndtri((1 + e.level) / 2))
    if words[0] == "wilson" and len(words) == 1 and e.se is not None:
        return _is_wilson(e, found, z)
    if "wald" in words or words[0] == "delta":
        return _is_symmetric(found, e.se, z)
    if words[0] == "log":
        return _is_centred(found, math.log, lambda x: x)
    if words[0] in ("logit-delong", "logit"):
        return _is_centred(found, logit, lambda x: x * (1 - x))
    if words[0] in ("bootstrap", "patient") and e.se is not None and e.se > found.unit:
        return 0.3 < (found.hi - found.lo + found.unit) / (2 * z * e.se) < 3
    return True


def _is_wilson(e: ReleasedEstimate, found: _Interval, z: float) -> bool:
    """Whether the interval is Wilson's for the proportion `n_events` of `n`."""
    if not isinstance(e.n, int) or not isinstance(e.n_events, int) or e.n == 0 or e.se is None:
        return False
    p = e.n_events / e.n
    lo, hi = wilson(e.n_events, e.n, z)
    fits = abs(found.lo - lo) < 0.51 * found.unit and abs(found.hi - hi) < 0.51 * found.unit
    return fits and abs(e.se - math.sqrt(p * (1 - p) / e.n)) < 0.06 * found.unit


def _is_symmetric(found: _Interval, se: float | None, z: float) -> bool:
    """Whether the ends are `z` standard errors from the value, or cut at the statistic's range."""
    below, above = found.value - found.lo, found.hi - found.value
    is_cut = (found.lo <= found.low, found.hi >= found.high)
    if not any(is_cut):
        half = (below + above) / 2
        centred = abs(below - above) < 2.01 * found.unit
        return centred and (se is None or abs(half - z * se) < 0.7 * found.unit)
    reach, slack = (max(below, above), 2.01) if se is None else (z * se, 1.2)
    value_is_cut = found.value <= found.low or found.value >= found.high
    return all(
        distance - reach < slack * found.unit
        and (cut or value_is_cut or reach - distance < slack * found.unit)
        for distance, cut in zip((below, above), is_cut, strict=True)
    )


def _is_centred(
    found: _Interval, transform: Callable[[float], float], width: Callable[[float], float]
) -> bool:
    """Whether the value is the middle of the interval on a scale; `width` is 1 / its slope."""
    numbers = (found.lo, found.value, found.hi)
    if not all(width(x) > 2 * found.unit for x in numbers):
        return True  # too near an end of the scale for a decision
    lo, middle, hi = map(transform, numbers)
    slack = found.unit * sum(w / width(x) for w, x in zip((0.7, 1.4, 0.7), numbers, strict=True))
    return abs(lo + hi - 2 * middle) < slack


def consistent_tables(
    t: ReleasedThreshold, n: int, n_events: int, *, decimals: int = 3
) -> tuple[Ints, Ints]:
    """Find all (tp, fp) that fit the cells, rates and intervals shown at a threshold.

    Parameters
    ----------
    n, n_events : cases, and those with the condition
    decimals : smallest number of decimals of the rates, where trailing zeros hide them

    Returns
    -------
    tp, fp : int arrays, shape (n_tables,)
        Where the two classes have too many tables to try together, each table's fp is -1.
    """
    c, others = t.confusion, n - n_events
    tp = _fitting(n_events, (c.tp, c.fn), t.sensitivity, decimals)
    fp = others - _fitting(others, (c.tn, c.fp), t.specificity, decimals)
    if tp.size * fp.size > LARGEST:
        return tp, np.full(tp.size, -1)
    a, b = (grid.ravel() for grid in np.meshgrid(tp, fp, indexing="ij"))
    fits = _fits_share(t.ppv, a, a + b, decimals)
    fits &= _fits_share(t.npv, others - b, n - a - b, decimals)
    if t.threshold < 1:
        benefit = (a - b * t.threshold / (1 - t.threshold)) / n
        fits &= _rounds_to(t.net_benefit.value, benefit, decimals)
    return a[fits], b[fits]


def _fitting(
    size: int, cells: tuple[Cell | Band, Cell | Band], rate: ReleasedEstimate, decimals: int
) -> Ints:
    """Counts of a class of `size` cases that fit its two cells and its rate."""
    right, wrong = cells
    k = np.arange(size + 1)
    if isinstance(right, int):
        k = k[k == right]
    if isinstance(wrong, int):
        k = k[k == size - wrong]
    return k[_fits_share(rate, k, np.full(k.size, size), decimals)]


def _fits_share(e: ReleasedEstimate, k: Ints, n: Ints, decimals: int) -> Bools:
    """Whether each count has the shown share and the shown ends of Wilson's interval."""
    with np.errstate(divide="ignore", invalid="ignore"):
        fits = _rounds_to(e.value, k / n, decimals)
    if (e.lo is None and e.hi is None) or e.method != "wilson" or e.level != 0.95:
        return fits
    fits &= n > 0
    pairs = zip(k[fits].tolist(), n[fits].tolist(), strict=True)
    ends = np.array([wilson(a, b, Z_95) for a, b in pairs], dtype=float).reshape(-1, 2)
    fits[fits] = _rounds_to(e.lo, ends[:, 0], decimals) & _rounds_to(e.hi, ends[:, 1], decimals)
    return fits


def _rounds_to(shown: float | None, values: NDArray[np.float64], decimals: int) -> Bools:
    if shown is None:
        return np.ones(values.shape, dtype=bool)
    finest = max(decimals, next(d for d in range(18) if round(shown, d) == shown))
    return np.abs(values - shown) <= 0.5 * 10.0**-finest + 1e-9


def check_reconstruction(submission: Submission, policy: Policy) -> int:
    """Refuse a threshold whose rates leave few values for a hidden cell."""
    n, m = submission.n, submission.n_events
    if not isinstance(n, int) or not isinstance(m, int):
        return 0
    tried = 0
    for i, t in enumerate(submission.thresholds):
        c = t.confusion
        if SUPPRESSED not in (c.tp, c.fp, c.fn, c.tn):
            continue
        tp, fp = consistent_tables(t, n, m, decimals=policy.decimals(min(m, n - m)))
        tried += 1
        for hidden, values in ((c.tp, tp), (c.fp, fp)):
            left = np.unique(values[values >= 0]).size
            if hidden == SUPPRESSED and 0 < left < policy.minimum_cell:
                raise DisclosureRefused(
                    f"thresholds[{i}]",
                    "its rates reveal the suppressed cells",
                    "withhold them with the cells, or drop this threshold",
                )
    return tried
