"""AUROC: area under the ROC curve, with DeLong's, Newcombe's or a bootstrap interval."""

import math
import warnings
from typing import Literal

from numpy.typing import ArrayLike

from healthval.metrics.cases import Cases, check_both_classes, read_cases
from healthval.metrics.estimate import Estimate, Sample
from healthval.metrics.inputs import Ints, check_choice
from healthval.metrics.intervals.resampling import Bootstrap, percentile, resampled_aucs
from healthval.metrics.logistic import dot, per_cluster
from healthval.metrics.names import named
from healthval.metrics.ranking.delong import (
    Placements,
    auc_and_variance,
    newcombe_interval,
    obuchowski_covariance,
    placements,
)
from healthval.metrics.ranking.sums import auc_and_variance_of_keys
from healthval.metrics.ranking.table import RankTable, sorted_keys

AucInterval = Literal["logit-delong", "delong", "newcombe", "bootstrap"]
SMALL_CLASS = 30


class DirectionWarning(UserWarning):
    """The score ranks the classes in the wrong direction."""


@named
def auroc(
    reference: ArrayLike,
    score: ArrayLike,
    *,
    cluster: ArrayLike | None = None,
    ci: AucInterval | Bootstrap = "logit-delong",
    level: float = 0.95,
) -> Estimate:
    """Area under the ROC curve: the probability that a case with the condition scores higher.

    Ties count one half. The default interval is DeLong's, on the logit scale. Where a class has fewer
    than 30 cases (with clusters: class sizes divided by the design effect), it is the wider of
    DeLong's and Newcombe's method 5: the latter allows for few cases, the former for the spread of
    these scores. Newcombe's also replaces DeLong's when the AUROC is 0 or 1 or its variance is 0,
    and a bootstrap that gives no width, or with a class of one case. The result contains the method.

    Parameters
    ----------
    reference : bool or 0/1 array, shape (n_cases,)
    score : array, shape (n_cases,); any finite number, higher means more likely
    cluster : patient of each case, shape (n_cases,); then Obuchowski's variance
    ci : "logit-delong", "delong" (pROC's default), "newcombe", "bootstrap", or a `Bootstrap`
    level : confidence level

    Raises
    ------
    SingleClassError
        If a class is empty.
    MissingPredictionError, MetricError
        If the input does not fit; no value is quoted.

    Warns
    -----
    DirectionWarning
        If the whole interval is below 1/2. The score is never flipped.

    References
    ----------
    DeLong 1988 Biometrics 44:837; Obuchowski 1997 Biometrics 53:567; Newcombe 2006 Stat Med 25:559.

    Examples
    --------
    >>> print(auroc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], ci="delong"))
    0.750 (95% CI 0.057 to 1.000)
    """
    estimate = auroc_of(read_cases(reference, score, cluster), ci=ci, level=level)
    warn_if_inverted(estimate)
    return estimate


def warn_if_inverted(auc: Estimate, *, frames: int = 4) -> None:
    """Warn the user that labels or score direction may be inverted.

    `frames` leads from here to the user's line: through a public function and its check of names.
    """
    if auc.hi is not None and auc.hi < 0.5:
        warnings.warn(
            "the AUROC is below 1/2 with its whole interval: labels or score direction may be "
            "inverted (the score was not flipped)",
            DirectionWarning,
            stacklevel=frames,
        )


def auroc_of(
    cases: Cases,
    *,
    ci: AucInterval | Bootstrap = "logit-delong",
    level: float = 0.95,
    table: RankTable | None = None,
) -> Estimate:
    """`auroc` of checked cases; an existing rank table saves the sort."""
    check_both_classes(cases, "AUROC")
    if not isinstance(ci, Bootstrap):
        check_choice(ci, ("logit-delong", "delong", "newcombe", "bootstrap"), "ci")
    auc, variance, effect = _point(cases, table)
    sample = Sample(cases.n, cases.n_events, level)
    se = math.sqrt(variance) if variance else None
    plan = Bootstrap() if ci == "bootstrap" else ci
    if isinstance(plan, Bootstrap) and se is not None and 0 < auc < 1:
        replicates = resampled_aucs(cases, plan)
        bounds = percentile(replicates, level)
        if bounds[0] < bounds[1]:
            deviation = float(replicates.std(ddof=1))
            unit = "" if cases.cluster is None else "patient "
            return sample.with_bounds(auc, bounds, deviation, f"{unit}bootstrap percentile")
    suffix = "" if cases.cluster is None else " (obuchowski)"
    kind: AucInterval = "newcombe" if isinstance(plan, Bootstrap) else plan
    return _analytic(sample, auc, se, (kind, effect, suffix))


def _point(cases: Cases, table: RankTable | None) -> tuple[float, float | None, float]:
    """AUROC, its variance, and the design effect that divides the class sizes."""
    if cases.cluster is None:
        return *_unclustered(cases, table), 1.0
    own = placements(cases.reference, cases.score)
    variance = obuchowski_covariance(cases.reference, cases.cluster, own, own)
    if not variance:  # the mean number of cases per patient
        return own.auc, variance, cases.n / (int(cases.cluster.max()) + 1)
    return own.auc, variance, max(1.0, _design_effect(cases, cases.cluster, own))


def _unclustered(cases: Cases, table: RankTable | None) -> tuple[float, float | None]:
    if table is not None:
        return auc_and_variance(table)
    return auc_and_variance_of_keys(sorted_keys(cases.reference, cases.score).keys)


def _design_effect(cases: Cases, cluster: Ints, own: Placements) -> float:
    """Variance between patients over variance between cases, both without K / (K - 1)."""
    parts = own.parts(cases.reference)
    totals = per_cluster(parts, cluster)
    return dot(totals, totals) / dot(parts, parts)


def _analytic(
    sample: Sample, auc: float, se: float | None, how: tuple[AucInterval, float, str]
) -> Estimate:
    ci, effect, suffix = how
    m, n = sample.n_events / effect, (sample.n - sample.n_events) / effect
    if ci == "delong" and se is not None:
        return sample.wald(auc, se, f"delong{suffix}", within=(0.0, 1.0))
    by_sizes = sample.with_bounds(
        auc, newcombe_interval(auc, m, n, sample.z), se, f"newcombe-5{suffix}"
    )
    if ci == "newcombe" or se is None or not 0 < auc < 1:
        return by_sizes
    by_spread = sample.logit(auc, se, f"logit-delong{suffix}")
    if min(m, n) < SMALL_CLASS and _width(by_sizes) > _width(by_spread):
        return by_sizes
    return by_spread


def _width(estimate: Estimate) -> float:
    return (estimate.hi or 0.0) - (estimate.lo or 0.0)
