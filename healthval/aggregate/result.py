"""Records of a pooled study: a tree of frozen values with all numbers that a report shows.

Undefined is None, with a `reason` beside it. A suppressed cell stays suppressed: it widens the
bounds of a `Total` or excludes its site from an exact sum, and both are recorded.
"""

from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from healthval.aggregate.meta import Pair
from healthval.aggregate.secondary.records import Secondary, SecureTotal
from healthval.aggregate.values import (
    Excluded,
    FunnelPoint,
    LeftOut,
    PooledMeasure,
    Rate,
    Scale,
    SiteValue,
    Total,
)

__all__ = [
    "Excluded",
    "FunnelPoint",
    "LeftOut",
    "PooledMeasure",
    "Rate",
    "Scale",
    "SiteValue",
    "StudyResult",
    "Total",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class PooledCounts:
    """Confusion counts summed over the `k` sites that released all four; `excluded` are the rest.

    `totals` are bounds of (tp, fp, fn, tn) over all sites, suppressed cells included. The rates are
    about all sites: which sites withhold a cell depends on the rate itself, so that the others are no
    random sample.
    """

    tp: int
    fp: int
    fn: int
    tn: int
    k: int
    sites: tuple[str, ...]
    excluded: tuple[Excluded, ...]
    totals: tuple[Total, Total, Total, Total]
    sensitivity: Rate
    specificity: Rate
    ppv: Rate
    npv: Rate
    prevalence: Rate


@dataclass(frozen=True, slots=True, kw_only=True)
class BivariateResult:
    """Sensitivity and specificity pooled jointly over sites.

    `mu` and `cov` are on the logit scale, sensitivity first (`cov` is None where the likelihood is
    flat); `tau` are between-site SDs and `rho` their correlation (None in the univariate fallback).
    `prediction_*` are for a new site.
    """

    sensitivity: float
    sensitivity_ci: Pair
    sensitivity_prediction: Pair | None
    specificity: float
    specificity_ci: Pair
    specificity_prediction: Pair | None
    mu: Pair
    cov: tuple[Pair, Pair] | None
    tau: Pair
    rho: float | None
    loglik: float | None
    k: int
    method: str
    nodes: int
    level: float
    fallback: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdPool:
    """Pooled counts, net benefit and rates at one pre-specified threshold.

    `net_benefit` is exact from summed counts (all patients as one), `net_benefit_sites` the
    random-effects mean. `bivariate` and `bivariate_normal` are None with `bivariate_reason`.
    """

    threshold: float
    counts: PooledCounts
    net_benefit: Rate | None
    treat_all: float | None
    net_benefit_sites: PooledMeasure
    bivariate: BivariateResult | None
    bivariate_normal: BivariateResult | None
    bivariate_reason: str | None


@dataclass(frozen=True, slots=True)
class DecisionTotal:
    """Net benefit of the model and of treating all, over all cases of all sites.

    Both are None where a site did not release the point; `net_benefit.reason` is then the reason.
    """

    threshold: float
    net_benefit: Rate
    treat_all: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RocBound:
    """The pooled ROC at one threshold; bounds are exact, values their middles.

    `threshold` is None for the first point, above every score.
    """

    threshold: float | None
    fpr: float
    fpr_bounds: Pair
    tpr: float
    tpr_bounds: Pair


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationBin:
    """Scores in [low, high) of all sites together: cases, events, mean score, observed rate."""

    low: float
    high: float
    n: int
    events: int
    mean_score: float | None
    observed: float | None
    ci: Pair | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PooledDisplay:
    """ROC and calibration from the sites' histograms on the shared grid.

    The AUC of all cases together is certainly within `bound` of `auc`. `ece` is computed for
    `bins` and depends on them; with fewer than four it is None, with `ece_reason`.
    """

    auc: float | None
    bound: float | None
    curve: tuple[RocBound, ...]
    bins: tuple[CalibrationBin, ...]
    ece: float | None
    k: int
    excluded: tuple[Excluded, ...]
    reason: str | None
    ece_reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimands:
    """Three AUCs over hospitals, each for another question.

    `mixture`: a random event against a random non-event, hospitals mixed; the true value is within
    `mixture_bound`. `within_site`: both from one hospital, weighted by its pairs. `between_sites`:
    the mean over hospitals, each counted as one of many; the headline.
    """

    mixture: float | None
    mixture_bound: float | None
    within_site: Rate | None
    within_site_k: int
    between_sites: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExactCalibration:
    """Sums over all sites that released them: O:E and the Brier score of all cases together."""

    observed: int | None
    expected: float | None
    oe: float | None
    oe_ci: Pair | None
    oe_k: int
    brier: float | None
    brier_ci: Pair | None
    brier_k: int
    excluded: tuple[Excluded, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SubgroupPool:
    """One level of one subgroup variable, pooled by random effects (>= 11 events per site)."""

    variable: str
    level: str
    n: Total
    n_events: Total
    auroc: PooledMeasure
    oe: PooledMeasure
    sensitivity: PooledMeasure
    specificity: PooledMeasure


@dataclass(frozen=True, slots=True)
class FlowTotal:
    """Cases left after one step, over sites."""

    step: str
    total: Total


@dataclass(frozen=True, slots=True, kw_only=True)
class TableOneTotal:
    """A level's counts, or a number's mean and SD, over the `k` sites with the variable.

    Means are weighted by site size.
    """

    variable: str
    level: str
    overall: Total | None
    events: Total | None
    non_events: Total | None
    mean: float | None
    sd: float | None
    k: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSite:
    """Expected performance at a hospital that is not among the sites; None below five sites.

    Prediction intervals with t(k - 2) are approximate up to ten sites. `p_slope` is the chance
    of a calibration slope between 0.8 and 1.2 there.
    """

    auroc: Pair | None
    oe: Pair | None
    slope: Pair | None
    citl: Pair | None
    p_slope: float | None
    k: int
    approximate: bool
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteSummary:
    """Counts, versions and release policy of one site."""

    site: str
    n: int | None
    n_events: int | None
    n_indeterminate: int | None
    n_missing_reference: int | None
    plan_amended: bool
    dates: str
    pixel_sign_off: bool
    canary: str
    healthval_version: str
    policy: str
    policy_version: int
    minimum_cell: int
    submission_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyResult:
    """Pooled results of one model version at several sites under one plan.

    `secure_sum` is None under a plan without a secure sum.
    """

    model: str
    version: str
    model_digest: str
    plan_hash: str
    k: int
    sites: tuple[SiteSummary, ...]
    n: Total
    n_events: Total
    n_indeterminate: Total
    n_missing_reference: Total
    flow: tuple[FlowTotal, ...]
    table_one: tuple[TableOneTotal, ...]
    auroc: PooledMeasure
    oe: PooledMeasure
    citl: PooledMeasure
    slope: PooledMeasure
    estimands: Estimands
    calibration: ExactCalibration
    display: PooledDisplay
    thresholds: tuple[ThresholdPool, ...]
    decision_curve: tuple[DecisionTotal, ...]
    subgroups: tuple[SubgroupPool, ...]
    new_site: NewSite
    secondary: Secondary
    notes: tuple[str, ...]
    secure_sum: SecureTotal | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, equal bit for bit to the values read back from their JSON."""
        plain: dict[str, Any] = as_plain(self)
        return plain


def as_plain(value: Any) -> Any:
    """Convert dataclasses to dictionaries and tuples to lists, recursively."""
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: as_plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, tuple | list):
        return [as_plain(item) for item in value]
    return value
