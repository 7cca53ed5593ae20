"""Predictive values at a stated prevalence, from the pooled sensitivity and specificity."""

import math
from dataclasses import dataclass

from healthval.aggregate.meta import Pair
from healthval.aggregate.result import BivariateResult
from healthval.contracts.proportions import expit, logit
from healthval.errors import MetricError


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictiveValues:
    """Predictive values where this share of the cases has the target condition."""

    prevalence: float
    ppv: float
    ppv_ci: Pair
    npv: float
    npv_ci: Pair
    k: int


def predictive_values(pooled: BivariateResult, prevalence: float) -> PredictiveValues:
    """Return PPV and NPV at a prevalence, with intervals for the mean over sites.

    Raises
    ------
    MetricError
        If the prevalence is not between 0 and 1, or the pooled means have no variance.

    References
    ----------
    Mercaldo 2007, Stat Med 26:2170 (logit intervals); t with k - 1 as for the means.
    """
    from scipy.stats import t

    if not 0 < prevalence < 1:
        raise MetricError("prevalence: must be between 0 and 1")
    if pooled.cov is None:
        raise MetricError("pooled: no variance of the means; PPV and NPV are not estimable")
    a, b = pooled.sensitivity, pooled.specificity
    odds = logit(prevalence)
    spread = pooled.k / (pooled.k - 1) if pooled.method == "binomial" else 1.0
    (va, c), (_, vb) = pooled.cov
    quantile = float(t.ppf((1 + pooled.level) / 2, pooled.k - 1)) * math.sqrt(spread)

    def value(center: float, da: float, db: float) -> tuple[float, Pair]:
        half = quantile * math.sqrt(da**2 * va + db**2 * vb + 2 * da * db * c)
        return expit(center), (expit(center - half), expit(center + half))

    # On the logit scale, with slopes of log(a), log(1 - b), log(1 - a) and log(b).
    ppv, ppv_ci = value(odds + math.log(a / (1 - b)), 1 - a, b)
    npv, npv_ci = value(-odds + math.log(b / (1 - a)), a, 1 - b)
    return PredictiveValues(
        prevalence=prevalence, ppv=ppv, ppv_ci=ppv_ci, npv=npv, npv_ci=npv_ci, k=pooled.k
    )
