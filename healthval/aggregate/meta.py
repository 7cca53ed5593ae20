"""Random-effects meta-analysis of site estimates, with metafor's ``rma`` as the reference.

Conventions, where packages differ:

- `i2` is in percent and uses the typical sampling variance (metafor, Higgins & Thompson 2002);
- ``hk`` is metafor's ``test="knha"``, ``hk-truncated`` its ``test="adhoc"`` (Knapp & Hartung 2003:
  the variance is never made smaller than that of ``z``), both with t(k - 1);
- the prediction interval uses t(k - 2) (Higgins 2009) with the standard error of the chosen test;
  metafor itself takes t(k - 1) with ``knha`` and the normal with ``z``.
"""

from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from functools import cache
from numbers import Real
from typing import Any, Literal, TypeAlias, TypeVar, get_args

import numpy as np

from healthval.aggregate.between_site_variance import (
    Array,
    Fit,
    TauMethod,
    between_site_variance,
    fit_at,
    q_profile,
    typical_variance,
)
from healthval.errors import MetricError, counted

Test: TypeAlias = Literal["z", "hk", "hk-truncated"]
Pair: TypeAlias = tuple[float, float]
Result = TypeVar("Result", bound=Any)

LARGEST = 1e50  # of an effect or variance: beyond it, squares leave the range of floats
MIN_SITES_POOLED = 3
MIN_SITES_PREDICTION = 5


@cache
def normal_quantile(level: float) -> float:
    """Normal quantile of a two-sided level: 1.96 for 95 %."""
    from scipy.stats import norm

    return float(norm.ppf((1 + level) / 2))


@dataclass(frozen=True, slots=True)
class Choice:
    """Estimation method of a pooled mean, test of its interval, and level; refuses unknown ones."""

    method: TauMethod
    test: Test
    level: float

    def __post_init__(self) -> None:
        if self.method not in get_args(TauMethod):
            raise MetricError(f"method: unknown; use one of {', '.join(get_args(TauMethod))}")
        if self.test not in get_args(Test):
            raise MetricError(f"test: unknown; use one of {', '.join(get_args(Test))}")
        number = isinstance(self.level, Real) and not isinstance(self.level, bool)
        if not number or not 0 < self.level < 1:
            raise MetricError("level: must be between 0 and 1, for example 0.95")

    def quantile(self, df: int) -> float:
        """Two-sided quantile: normal for ``z``, else t with `df`."""
        from scipy.stats import t

        if self.test == "z":
            return normal_quantile(self.level)
        return float(t.ppf((1 + self.level) / 2, df))


@dataclass(frozen=True, slots=True, kw_only=True)
class MetaResult:
    """A pooled mean with its heterogeneity, on the scale of the estimates.

    `ci` is None below 3 sites and `prediction` below 5 (and for ``FE``); `reason` is then the
    reason. A `mu` without `ci` is not a pooled result, and `pool` omits it.
    `weights` are in percent, in the order of the input. `i2` and `i2_ci` are in percent.
    """

    mu: float
    se: float
    ci: Pair | None
    prediction: Pair | None
    tau2: float
    tau2_ci: Pair | None
    i2: float
    i2_ci: Pair | None
    q: float
    q_p: float
    k: int
    weights: tuple[float, ...]
    method: str
    test: str
    level: float
    reason: str | None = None

    def probability_between(self, low: float, high: float) -> float | None:
        """Chance that a new site's true value is in [low, high]; None below 5 sites.

        The predictive distribution is that of the prediction interval, t(k - 2).
        """
        if self.prediction is None:
            return None
        from scipy.stats import t

        sd = float(np.hypot(np.sqrt(self.tau2), self.se))
        if sd == 0:
            return float(low <= self.mu <= high)
        tail = t.cdf((np.array([low, high]) - self.mu) / sd, self.k - 2)
        return float(tail[1] - tail[0])


def checked(estimates: Sequence[float], variances: Sequence[float]) -> tuple[Array, Array]:
    """Return effects and variances as arrays; refuse numbers that cannot be pooled.

    Raises
    ------
    MetricError
        If lengths differ, nothing is given, or a number is missing, infinite, beyond 1e50 in size
        or, for a variance, not above zero or below 1e-50.
    """
    y, v = as_floats(estimates, "estimates"), as_floats(variances, "variances")
    if y.shape != v.shape:
        raise MetricError(
            f"{counted(y.size, 'estimate')} but {counted(v.size, 'variance')}; "
            "give one variance per site"
        )
    if not y.size:
        raise MetricError("no site to pool; give at least one estimate with its variance")
    refuse_rows(~np.isfinite(y), "estimates missing or infinite", "leave these sites out")
    refuse_rows(~np.isfinite(v), "variances missing or infinite", "leave these sites out")
    refuse_rows(v <= 0, "variances not above zero", "give the squared standard error")
    refuse_rows(np.abs(y) > LARGEST, "estimates beyond 1e50", "check their scale")
    beyond = (v > LARGEST) | (v < 1 / LARGEST)
    refuse_rows(beyond, "variances beyond 1e50 or below 1e-50", "check their scale")
    return y, v


def as_floats(values: Sequence[float], name: str) -> Array:
    """One-dimensional float64 array; other input is refused without being quoted."""
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise MetricError(f"{name}: not all are numbers; give one number per site") from None
    if array.ndim != 1:
        raise MetricError(f"{name}: {counted(array.ndim, 'dimension')}; give one number per site")
    return array


def refuse_rows(bad: np.ndarray, what: str, remedy: str) -> None:
    """Raise with the count and the first position of the bad rows; never a value."""
    rows = np.flatnonzero(bad)
    if rows.size:
        raise MetricError(f"{rows.size} of {bad.size} {what} (first at row {rows[0]}); {remedy}")


def meta_analysis(
    estimates: Sequence[float],
    variances: Sequence[float],
    *,
    method: TauMethod = "REML",
    test: Test = "hk-truncated",
    level: float = 0.95,
) -> MetaResult:
    """Pool site estimates with random effects.

    Parameters
    ----------
    estimates, variances : shape (k,), one per site, on a scale where they are close to normal
        (logit AUC, log O:E, slope, CITL, net benefit); variances are squared standard errors.
    method : how tau2 is estimated; ``FE`` sets it to zero.
    test : kind of interval of the mean.

    Raises
    ------
    MetricError
        If a number is missing or infinite, or a variance is not above zero, or the numbers are too
        far apart to be pooled.

    References
    ----------
    Viechtbauer 2005; Knapp & Hartung 2003, Stat Med 22:2693; Röver 2015, BMC Med Res Methodol
    15:99; Higgins 2009, JRSS A 172:137.

    Examples
    --------
    >>> r = meta_analysis([0.1, 0.3, 0.35, 0.65], [0.03, 0.03, 0.05, 0.01])
    >>> round(r.mu, 4), r.prediction
    (0.3772, None)
    """
    choice = Choice(method, test, level)
    y, v = checked(estimates, variances)
    return finite(lambda: _pooled(y, v, choice))


def finite(compute: Callable[[], Result]) -> Result:
    """Return a finite result; refuse numbers so far apart that floats give NaN or infinity."""
    too_far = MetricError(
        "estimates or variances are too far apart to be pooled; check their scale"
    )
    try:
        with np.errstate(all="ignore"):
            found = compute()
    except (ArithmeticError, RuntimeError, ValueError):  # LinAlgError, brentq without an end
        raise too_far from None
    numbers = np.hstack([x for x in astuple(found) if isinstance(x, float | tuple)])
    if not np.all(np.isfinite(numbers)):
        raise too_far
    return found


def _pooled(y: Array, v: Array, choice: Choice) -> MetaResult:
    # Sorted, with the middle effect subtracted: the result does not depend on the order of the
    # sites, and equal effects leave residuals of exactly zero.
    order = np.lexsort((v, y))
    middle = float(y[order[len(y) // 2]])
    ys, vs, X = y[order] - middle, v[order], np.ones((len(y), 1))
    tau2 = between_site_variance(choice.method, ys, vs, X)
    fit = fit_at(tau2, ys, vs, X)
    mu, se = middle + float(fit.beta[0]), _standard_error(fit, choice)
    ci, prediction = _intervals(mu, se, fit, choice)
    spread = _heterogeneity(fit, ys, vs, choice)
    w = 1.0 / (v + tau2)
    return MetaResult(
        mu=mu,
        se=se,
        ci=ci,
        prediction=prediction,
        tau2=tau2,
        tau2_ci=spread.tau2_ci,
        i2=spread.i2,
        i2_ci=spread.i2_ci,
        q=spread.q,
        q_p=spread.q_p,
        k=len(y),
        weights=tuple(float(x) for x in 100 * w / w.sum()),
        method=choice.method,
        test=choice.test,
        level=choice.level,
        reason=_reason(len(y), choice.method),
    )


def _standard_error(fit: Fit, choice: Choice) -> float:
    return float(np.sqrt(fit.cov[0, 0] * inflation(fit, choice)))


def inflation(fit: Fit, choice: Choice) -> float:
    """Knapp and Hartung's factor for the variance; 1 for ``z`` and for a single site."""
    df = len(fit.w) - len(fit.beta)
    if choice.test == "z" or df < 1:
        return 1.0
    return max(1.0, fit.q / df) if choice.test == "hk-truncated" else fit.q / df


def _intervals(mu: float, se: float, fit: Fit, choice: Choice) -> tuple[Pair | None, Pair | None]:
    from scipy.stats import t

    k = len(fit.w)
    if k < MIN_SITES_POOLED:
        return None, None
    half = choice.quantile(k - 1) * se
    ci = (mu - half, mu + half)
    if k < MIN_SITES_PREDICTION or choice.method == "FE":
        return ci, None
    half = float(t.ppf((1 + choice.level) / 2, k - 2) * np.hypot(np.sqrt(fit.tau2), se))
    return ci, (mu - half, mu + half)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Heterogeneity:
    tau2_ci: Pair | None
    i2: float
    i2_ci: Pair | None
    q: float
    q_p: float


def _heterogeneity(fit: Fit, y: Array, v: Array, choice: Choice) -> _Heterogeneity:
    from scipy.stats import chi2

    k, X = len(y), fit.X
    if k == 1:
        return _Heterogeneity(tau2_ci=None, i2=0.0, i2_ci=None, q=0.0, q_p=1.0)
    q = fit_at(0.0, y, v, X).q
    q_p = float(chi2.sf(q, k - 1))
    if choice.method == "FE":  # no tau2: I2 as Higgins & Thompson 2002, eq. 10
        i2 = 100 * max(0.0, (q - (k - 1)) / q) if q else 0.0
        return _Heterogeneity(tau2_ci=None, i2=i2, i2_ci=None, q=q, q_p=q_p)
    typical = typical_variance(v, X)
    tau2_ci = q_profile(y, v, X, choice.level)
    i2, low, high = (100 * t2 / (t2 + typical) for t2 in (fit.tau2, *tau2_ci))
    return _Heterogeneity(tau2_ci=tau2_ci, i2=i2, i2_ci=(low, high), q=q, q_p=q_p)


def _reason(k: int, method: str) -> str | None:
    if k < MIN_SITES_POOLED:
        return f"{k} of at least {MIN_SITES_POOLED} sites: no interval of the pooled mean"
    if k < MIN_SITES_PREDICTION and method != "FE":
        return f"{k} of at least {MIN_SITES_PREDICTION} sites: no prediction interval"
    return None
