"""Meta-regression of site estimates on one characteristic of the sites."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from healthval.aggregate.between_site_variance import (
    Array,
    between_site_variance,
    fit_at,
    typical_variance,
)
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
from healthval.errors import MetricError, counted

MIN_SITES = 4
ENOUGH_SITES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class MetaRegression:
    """Line through site estimates against one site covariate, on the scale of the estimates.

    `tau2` and `i2` (percent) are the unexplained heterogeneity, `r2` (percent) is the share of tau2
    that the covariate explains (None where tau2 without it is zero). `q`, `q_p` test the
    unexplained part.
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

    The reference is metafor's ``rma(y, v, mods = ~ x, test = ...)``; ``hk`` is its ``knha``,
    ``hk-truncated`` its ``adhoc``, both with t(k - 2). A covariate of sites is not one of patients:
    a slope over sites is no evidence about patients within them.

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
        raise MetricError(
            f"{counted(y.size, 'estimate')} but {counted(x.size, 'covariate')}; give one per site"
        )
    refuse_rows(~np.isfinite(x), "covariates missing or infinite", "leave these sites out")
    if len(y) < MIN_SITES:
        raise MetricError(f"{len(y)} of at least {MIN_SITES} sites for a meta-regression")
    centre, spread = float(x.mean()), float(x.std())
    if spread <= 1e-12 * max(abs(centre), 1e-300):
        raise MetricError("covariate: the same at every site, so it cannot explain differences")
    X = np.column_stack([np.ones_like(x), (x - centre) / spread])
    back = np.array([[1.0, -centre / spread], [0.0, 1 / spread]])  # to the covariate's unit
    return finite(lambda: _regression(y, v, X, back=back, choice=choice))


def _regression(y: Array, v: Array, X: Array, *, back: Array, choice: Choice) -> MetaRegression:
    from scipy.stats import chi2, norm, t

    k, df = len(y), len(y) - 2
    tau2 = between_site_variance("REML", y, v, X)
    fit = fit_at(tau2, y, v, X)
    intercept, slope = (back @ fit.beta).tolist()
    se = np.sqrt(np.diag(back @ fit.cov @ back.T) * inflation(fit, choice))
    half = (choice.quantile(df) * se).tolist()
    z = abs(slope / float(se[1])) if se[1] else np.inf
    q = fit_at(0.0, y, v, X).q
    return MetaRegression(
        intercept=intercept,
        intercept_se=float(se[0]),
        intercept_ci=(intercept - half[0], intercept + half[0]),
        slope=slope,
        slope_se=float(se[1]),
        slope_ci=(slope - half[1], slope + half[1]),
        p=2 * float(norm.sf(z) if choice.test == "z" else t.sf(z, df)),
        tau2=tau2,
        i2=100 * tau2 / (tau2 + typical_variance(v, X)),
        r2=_explained(tau2, y, v),
        q=q,
        q_p=float(chi2.sf(q, df)),
        k=k,
        test=choice.test,
        level=choice.level,
        reason=None
        if k >= ENOUGH_SITES
        else f"{k} sites: fewer than {ENOUGH_SITES}, weak evidence",
    )


def _explained(tau2: float, y: Array, v: Array) -> float | None:
    alone = between_site_variance("REML", y, v, np.ones((len(y), 1)))
    return 100 * max(0.0, (alone - tau2) / alone) if alone > 0 else None


def regress_on(
    measure: PooledMeasure, covariate: Mapping[str, float], *, test: Test = "hk-truncated"
) -> MetaRegression:
    """Meta-regression of a pooled measure's sites on a covariate given by site label.

    Raises
    ------
    MetricError
        In the cases of `meta_regression`, and if a pooled site has no covariate.
    """
    absent = [p.site for p in measure.funnel if p.site not in covariate]
    if absent:
        raise MetricError(
            f"covariate: missing for {counted(len(absent), 'site')} (first: {absent[0]})"
        )
    return meta_regression(
        [p.effect for p in measure.funnel],
        [p.se**2 for p in measure.funnel],
        [covariate[p.site] for p in measure.funnel],
        test=test,
    )
