"""Meta-regression: does one characteristic of the sites explain how the model does there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from healthval.aggregate import tau
from healthval.aggregate.meta import (
    Choice,
    Pair,
    Test,
    as_floats,
    checked,
    finite,
    inflation,
    refuse_rows,
)
from healthval.aggregate.result import PooledMeasure
from healthval.errors import MetricError

MIN_SITES = 4
ENOUGH_SITES = 10


@dataclass(frozen=True, slots=True)
class MetaRegression:
    """Line through site estimates against one site covariate, on the scale of the estimates.

    `tau2` and `i2` (percent) are what the covariate leaves unexplained, `r2` (percent) the share
    of tau2 it explains (None where there was none to explain). `q`, `q_p` test what is left.
    """

    intercept: float
    intercept_se: float
    intercept_ci: Pair
    slope: float
    slope_se: float
    slope_ci: Pair
    p: float
    tau2: float
    i2: float
    r2: float | None
    q: float
    q_p: float
    k: int
    test: str
    level: float
    reason: str | None = None


def meta_regression(
    estimates: Sequence[float],
    variances: Sequence[float],
    covariate: Sequence[float],
    *,
    test: Test = "hk-truncated",
    level: float = 0.95,
) -> MetaRegression:
    """Regress site estimates on one site covariate, mixed effects by REML.

    As metafor's ``rma(y, v, mods = ~ x, test = ...)``; ``hk`` is its ``knha``, ``hk-truncated``
    its ``adhoc``, both with t(k - 2). A covariate of sites is not one of patients: a slope over
    sites says nothing about patients within them.

    Raises
    ------
    MetricError
        If there are fewer than four sites, a number is missing or infinite, a variance is not
        above zero, or the covariate is the same everywhere.

    References
    ----------
    Knapp & Hartung 2003, Stat Med 22:2693. Fewer than ten sites: Cochrane Handbook 10.11.5.1.
    """
    choice = Choice("REML", test, level)
    y, v = checked(estimates, variances)
    x = as_floats(covariate, "covariate")
    if x.shape != y.shape:
        raise MetricError(f"{y.size} estimates but {x.size} covariates; give one a site")
    refuse_rows(~np.isfinite(x), "covariates are missing or infinite", "leave these sites out")
    if len(y) < MIN_SITES:
        raise MetricError(f"{len(y)} of at least {MIN_SITES} sites for a meta-regression")
    centre, spread = float(x.mean()), float(x.std())
    if spread <= 1e-12 * max(abs(centre), 1e-300):
        raise MetricError("covariate: the same at every site; it can explain no difference")
    X = np.column_stack([np.ones_like(x), (x - centre) / spread])
    back = np.array([[1.0, -centre / spread], [0.0, 1 / spread]])  # to the covariate's own unit
    return finite(lambda: _report(y, v, X, back, choice))


def _report(
    y: tau.Array, v: tau.Array, X: tau.Array, back: tau.Array, choice: Choice
) -> MetaRegression:
    from scipy.stats import chi2, norm, t

    k, df = len(y), len(y) - 2
    tau2 = tau.between_site_variance("REML", y, v, X)
    fit = tau.fit_at(tau2, y, v, X)
    beta = back @ fit.beta
    se = np.sqrt(np.diag(back @ fit.cov @ back.T) * inflation(fit, choice))
    half = choice.quantile(df) * se
    z = abs(float(beta[1] / se[1])) if se[1] else np.inf
    typical = tau.typical_variance(v, X)
    q = tau.fit_at(0.0, y, v, X).q
    return MetaRegression(
        float(beta[0]), float(se[0]), (float(beta[0] - half[0]), float(beta[0] + half[0])),
        float(beta[1]), float(se[1]), (float(beta[1] - half[1]), float(beta[1] + half[1])),
        2 * float(norm.sf(z) if choice.test == "z" else t.sf(z, df)),
        tau2, 100 * tau2 / (tau2 + typical), _explained(tau2, y, v), q, float(chi2.sf(q, df)),
        k, choice.test, choice.level,
        None if k >= ENOUGH_SITES else f"{k} sites: fewer than {ENOUGH_SITES} say little",
    )  # fmt: skip


def _explained(tau2: float, y: tau.Array, v: tau.Array) -> float | None:
    alone = tau.between_site_variance("REML", y, v, np.ones((len(y), 1)))
    return 100 * max(0.0, (alone - tau2) / alone) if alone > 0 else None


def regress_on(
    measure: PooledMeasure, covariate: Mapping[str, float], *, test: Test = "hk-truncated"
) -> MetaRegression:
    """Meta-regression of a pooled measure's sites on a covariate given by site label.

    Raises
    ------
    MetricError
        As `meta_regression`, and if a pooled site has no covariate.
    """
    absent = [p.site for p in measure.funnel if p.site not in covariate]
    if absent:
        raise MetricError(f"covariate: missing for {len(absent)} sites (first: {absent[0]})")
    return meta_regression(
        [p.effect for p in measure.funnel],
        [p.se**2 for p in measure.funnel],
        [covariate[p.site] for p in measure.funnel],
        test=test,
    )
