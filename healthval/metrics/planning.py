"""Sample size of a validation study, precision reached, and expected number of suppressed cells."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import bdtr

from healthval.errors import MetricError
from healthval.metrics.estimate import Estimate
from healthval.metrics.inputs import check_kind, read_count, read_flag, read_number, read_numbers
from healthval.metrics.logistic import sigmoid
from healthval.metrics.result import Evaluation

Z = 1.96  # as printed by Riley et al., so that published sample sizes are reproduced
NODES = 200
NARROWEST = 1e-9  # no sample size reaches a smaller width


@dataclass(frozen=True, slots=True)
class Precision:
    """Width of the 95 % interval of each statistic; None where not required or not known."""

    oe: float | None = 0.2
    slope: float | None = 0.2
    c_statistic: float | None = 0.1
    net_benefit: float | None = None


@dataclass(frozen=True, slots=True)
class Action:
    """A decision threshold with its expected sensitivity and specificity."""

    threshold: float
    sensitivity: float
    specificity: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleSize:
    """Cases required by each criterion (unrounded), and the smallest `n` that meets all criteria."""

    n: int
    n_events: int
    oe: float | None
    slope: float | None
    c_statistic: float | None
    net_benefit: float | None


def required_sample_size(  # noqa: PLR0913  # the assumptions of Riley et al.
    prevalence: float,
    c_statistic: float,
    *,
    lp_mean: float,
    lp_sd: float,
    precision: Precision | None = None,
    action: Action | None = None,
) -> SampleSize:
    """Number of cases that O:E, slope, c-statistic and net benefit require for a given precision.

    Parameters
    ----------
    prevalence, c_statistic : expected values
    lp_mean, lp_sd : of the linear predictor (logit score), which is assumed to be normal
    precision : widths of the 95 % intervals; by default O:E 0.2, slope 0.2, c-statistic 0.1
    action : required with a width of the (standardised) net benefit

    Raises
    ------
    MetricError
        If an assumption is missing or outside its range, or no sample size reaches a width.

    References
    ----------
    Riley et al. 2021 Stat Med 40:4230; the information on the slope is computed by Gauss-Hermite
    quadrature in place of their simulation.

    Examples
    --------
    >>> size = required_sample_size(0.018, 0.8, lp_mean=-5, lp_sd=2.5, precision=Precision(oe=1))
    >>> round(size.oe, 2), round(size.c_statistic, 1), round(size.slope, 1), size.n
    (905.06, 4251.4, 4553.9, 4554)
    """
    want = Precision() if precision is None else precision
    _check(prevalence, c_statistic, (lp_mean, lp_sd), want)
    if action is not None:
        _check_action(action)
    if want.net_benefit is not None and action is None:
        raise MetricError("a width for the net benefit needs action=Action(...)")
    sizes = {
        "oe": _for_oe(prevalence, want.oe),
        "slope": _for_slope(lp_mean, lp_sd, want.slope),
        "c_statistic": _for_c(prevalence, c_statistic, want.c_statistic),
        "net_benefit": _for_net_benefit(prevalence, action, want.net_benefit),
    }
    known = [size for size in sizes.values() if size is not None]
    if not known:
        raise MetricError("precision must have at least one width")
    if not math.isfinite(max(known)):
        raise MetricError("no sample size reaches a width in precision; give a larger width")
    n = math.ceil(max(known))
    events = math.ceil(n * prevalence * (1 - 1e-14))  # 300 * 0.07 is slightly above 21 in floats
    return SampleSize(n=n, n_events=events, **sizes)


def _check(prevalence: float, c_statistic: float, lp: tuple[float, float], want: Precision) -> None:
    if not 0 < read_number(prevalence, "prevalence") < 1:
        raise MetricError("prevalence must be strictly between 0 and 1")
    if not 0.5 < read_number(c_statistic, "c_statistic") < 1:
        raise MetricError("c_statistic must be strictly between 0.5 and 1")
    if not math.isfinite(read_number(lp[0], "lp_mean")):
        raise MetricError("lp_mean must be finite")
    if not 0 < read_number(lp[1], "lp_sd") < math.inf:
        raise MetricError("lp_sd must be positive and finite")
    check_kind(want, Precision, "precision")
    for name in ("oe", "slope", "c_statistic", "net_benefit"):
        width = getattr(want, name)
        if (
            width is not None
            and not NARROWEST <= read_number(width, f"precision.{name}") < math.inf
        ):
            raise MetricError(f"precision.{name} must be finite and at least {NARROWEST}")
    if want.c_statistic is not None and want.c_statistic >= 1:
        raise MetricError("precision.c_statistic must be below 1, the width of the whole scale")


def _check_action(action: Action) -> None:
    check_kind(action, Action, "action")
    for name in ("threshold", "sensitivity", "specificity"):
        if not 0 <= read_number(getattr(action, name), f"action.{name}") <= 1:
            raise MetricError(f"action.{name} must be a probability")
    if action.threshold in (0, 1):
        raise MetricError("action.threshold must be strictly between 0 and 1")


def _for_oe(prevalence: float, width: float | None) -> float | None:
    if width is None:
        return None
    return (1 - prevalence) / prevalence / (math.asinh(width / 2) / Z) ** 2


def _for_slope(lp_mean: float, lp_sd: float, width: float | None) -> float | None:
    if width is None:
        return None
    return _slope_variance_per_case(lp_mean, lp_sd) / (width / (2 * Z)) ** 2


def _slope_variance_per_case(lp_mean: float, lp_sd: float) -> float:
    """Variance of the calibration slope times n, when the model is well calibrated."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    lp = lp_mean + lp_sd * nodes
    p = sigmoid(lp)
    w = weights / weights.sum() * p * (1 - p)
    a, ab, b = float(w.sum()), float((w * lp).sum()), float((w * lp**2).sum())
    if not 0 < a * b - ab**2 < math.inf:
        raise MetricError(
            "with this lp_mean and lp_sd no event or no non-event is expected; check both"
        )
    return a / (a * b - ab**2)


def _for_c(prevalence: float, c: float, width: float | None) -> float | None:
    """Sample size for a width of the c-statistic, from Newcombe's standard error."""
    from scipy.optimize import brentq

    if width is None:
        return None

    def excess(n: float) -> float:
        half = n / 2 - 1
        spread = 1 + half * ((1 - c) / (2 - c) + c / (1 + c))
        variance = c * (1 - c) * spread / (n**2 * prevalence * (1 - prevalence))
        return variance - (width / (2 * Z)) ** 2

    if excess(2.0) <= 0:
        return 2.0
    if excess(1e12) > 0:
        raise MetricError("no sample size reaches precision.c_statistic; give a larger width")
    return float(brentq(excess, 2.0, 1e12, xtol=1e-9, rtol=1e-13))


def _for_net_benefit(prevalence: float, action: Action | None, width: float | None) -> float | None:
    if width is None or action is None:
        return None
    se, sp = action.sensitivity, action.specificity
    w = (1 - prevalence) / prevalence * action.threshold / (1 - action.threshold)
    variance = se * (1 - se) / prevalence + w**2 * sp * (1 - sp) / (1 - prevalence)
    variance += w**2 * (1 - sp) ** 2 / (prevalence * (1 - prevalence))
    return variance / (width / (2 * Z)) ** 2


def achieved_precision(result: Evaluation) -> Precision:
    """Widths of the intervals of an evaluation, for comparison with the planned widths.

    The net benefit is at the first threshold, standardised as in `required_sample_size`.

    Examples
    --------
    >>> from healthval.metrics.evaluate import evaluate
    >>> rng = np.random.default_rng(1)
    >>> p = rng.uniform(size=500)
    >>> round(achieved_precision(evaluate(rng.uniform(size=500) < p, p)).c_statistic, 2)
    0.07
    """
    check_kind(result, Evaluation, "result")
    benefit = _width(result.thresholds[0].net_benefit)
    prevalence = result.n_events / result.n
    return Precision(
        oe=_width(result.calibration.oe),
        slope=_width(result.calibration.slope),
        c_statistic=_width(result.auroc),
        net_benefit=None if benefit is None or prevalence == 0 else benefit / prevalence,
    )


def _width(estimate: Estimate) -> float | None:
    if estimate.lo is None or estimate.hi is None:
        return None
    return estimate.hi - estimate.lo


def expected_suppressed_cells(
    n: int, shares: Sequence[float], *, minimum_cell: int = 11, zero_is_sensitive: bool = False
) -> float:
    """Expected number of planned table cells that are too small to leave the site.

    Parameters
    ----------
    n : cases
    shares : expected share of all cases in each cell, each 0 to 1
    minimum_cell : counts from 1 to minimum_cell - 1 are suppressed
    zero_is_sensitive : whether an empty cell is suppressed too

    Raises
    ------
    MetricError
        If a share is outside 0 to 1 or n is negative.

    Examples
    --------
    >>> round(expected_suppressed_cells(200, [0.05, 0.4, 0.01, 0.54]), 2)
    1.45
    """
    p = read_numbers(shares, "shares")
    n, minimum_cell = read_count(n, "n"), read_count(minimum_cell, "minimum_cell")
    zero_is_sensitive = read_flag(zero_is_sensitive, "zero_is_sensitive")
    if minimum_cell < 1 or not np.all((p >= 0) & (p <= 1)):
        raise MetricError("minimum_cell must be at least 1, and shares must be within 0 to 1")
    small = bdtr(min(minimum_cell - 1, n), n, p)
    empty = np.zeros(p.size) if zero_is_sensitive else (1 - p) ** n
    return float(np.sum(small - empty))
