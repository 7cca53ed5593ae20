"""Comparison of two AUROCs, paired or unpaired, and of two accuracies (McNemar)."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from healthval.errors import MetricError
from healthval.metrics.cases import (
    Cases,
    check_both_classes,
    check_rows,
    read_cases,
    read_cluster,
    read_reference,
)
from healthval.metrics.discrimination.auroc import auroc_of, warn_if_inverted
from healthval.metrics.estimate import Estimate, Sample
from healthval.metrics.inputs import Floats, Ints
from healthval.metrics.intervals.analytic import two_sided_p
from healthval.metrics.logistic import dot, per_cluster, total_variance
from healthval.metrics.names import named
from healthval.metrics.ranking.delong import (
    Placements,
    delong_covariance,
    obuchowski_covariance,
    placements,
)

RANGE = (-1.0, 1.0)  # of a difference between two proportions or AUROCs


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two AUROCs, their difference a - b, and the test that it is 0.

    When both scores rank the cases alike, the difference has no variance: `z` is None, `p` is 1 and
    `note` contains the reason. `df` is set where the reference distribution is t, not normal.
    """

    a: Estimate
    b: Estimate
    difference: Estimate
    z: float | None = None
    p: float | None = None
    df: float | None = None
    note: str | None = None


@named
def compare_auroc(
    reference: ArrayLike,
    score_a: ArrayLike,
    score_b: ArrayLike,
    *,
    cluster: ArrayLike | None = None,
    level: float = 0.95,
) -> Comparison:
    """Compare two scores of the same cases by their AUROC.

    Parameters
    ----------
    reference : bool or 0/1 array, shape (n_cases,)
    score_a, score_b : arrays, shape (n_cases,)
    cluster : patient of each case; then Obuchowski's covariance
    level : confidence level

    Raises
    ------
    SingleClassError
        If a class is empty.
    MetricError
        If the input does not fit.

    Warns
    -----
    DirectionWarning
        If the whole interval of a score's AUROC is below 1/2.

    References
    ----------
    DeLong 1988 Biometrics 44:837 (pROC::roc.test, paired); Obuchowski 1997 Biometrics 53:567.

    Examples
    --------
    >>> same = compare_auroc([0, 1, 0, 1], [0.1, 0.9, 0.4, 0.3], [0.2, 0.8, 0.5, 0.4])
    >>> same.p, same.note
    (1.0, 'both scores rank the cases alike')
    """
    check_rows(reference, score_a, score_b, cluster=cluster)
    cases_a = read_cases(reference, score_a, cluster)
    cases_b = read_cases(reference, score_b, cluster)
    check_both_classes(cases_a, "AUROC")
    a, b = (placements(c.reference, c.score) for c in (cases_a, cases_b))
    gap = Placements(a.auc - b.auc, a.v10 - b.v10, a.v01 - b.v01)
    sample = Sample(cases_a.n, cases_a.n_events, level)
    if cases_a.cluster is None:
        method, variance = "delong paired", delong_covariance(gap, gap)
    else:
        method = "obuchowski paired"
        variance = obuchowski_covariance(cases_a.reference, cases_a.cluster, gap, gap)
    parts = (auroc_of(cases_a, level=level), auroc_of(cases_b, level=level))
    for part in parts:
        warn_if_inverted(part)
    return _tested(parts, sample, (gap.auc, variance, method))


def _tested(
    parts: tuple[Estimate, Estimate], sample: Sample, found: tuple[float, float | None, str]
) -> Comparison:
    a, b = parts
    difference, variance, method = found
    if variance is None:
        none = sample.not_estimable("a class has a single case", method)
        return Comparison(a=a, b=b, difference=none)
    se = math.sqrt(max(variance, 0.0))
    estimate = sample.wald(difference, se, method, within=RANGE)
    if se == 0 and difference == 0:
        note = "both scores rank the cases alike"
        return Comparison(a=a, b=b, difference=estimate, p=1.0, note=note)
    if se == 0:
        note = "the difference has no variance in these cases"
        return Comparison(a=a, b=b, difference=estimate, note=note)
    z = difference / se
    return Comparison(a=a, b=b, difference=estimate, z=z, p=two_sided_p(z))


@named
def compare_auroc_unpaired(  # noqa: PLR0913  # two samples of three columns
    reference_a: ArrayLike,
    score_a: ArrayLike,
    reference_b: ArrayLike,
    score_b: ArrayLike,
    *,
    cluster_a: ArrayLike | None = None,
    cluster_b: ArrayLike | None = None,
    level: float = 0.95,
) -> Comparison:
    """Compare the AUROC between two separate groups of cases (no patient in both).

    Parameters
    ----------
    reference_a, score_a : arrays, shape (n_a,)
    reference_b, score_b : arrays, shape (n_b,)
    cluster_a, cluster_b : patient of each case of either group; then Obuchowski's variances

    Raises
    ------
    SingleClassError
        If a class of either group is empty.

    References
    ----------
    DeLong 1988; t with Welch's degrees of freedom as in pROC::roc.test(paired = FALSE), for the
    interval as well, counting patients where they own several cases; Obuchowski 1997 Biometrics
    53:567.

    Examples
    --------
    >>> y, p = [0, 1, 0, 1, 1], [0.1, 0.9, 0.4, 0.3, 0.6]
    >>> compare_auroc_unpaired(y, p, y, p).p
    1.0
    """
    found = compare_groups(
        read_cases(reference_a, score_a, cluster_a),
        read_cases(reference_b, score_b, cluster_b),
        level=level,
    )
    for part in (found.a, found.b):
        warn_if_inverted(part)
    return found


def compare_groups(a: Cases, b: Cases, *, level: float = 0.95) -> Comparison:
    """`compare_auroc_unpaired` of checked cases."""
    from scipy.special import stdtr, stdtrit

    for cases in (a, b):
        check_both_classes(cases, "AUROC")
    first, second = auroc_of(a, level=level), auroc_of(b, level=level)
    sample, name = Sample(a.n + b.n, a.n_events + b.n_events, level), "delong"
    if a.cluster is not None or b.cluster is not None:
        name = "obuchowski"
    method = f"{name} unpaired (welch t)"
    variances = [v for e, c in ((first, a), (second, b)) if (v := _variance(e, c)) is not None]
    if len(variances) < 2 or sum(variances) == 0 or first.value is None or second.value is None:
        reason = "the variance of one AUROC is unknown, or both variances are 0"
        return Comparison(a=first, b=second, difference=sample.not_estimable(reason, method))
    se, difference = math.sqrt(sum(variances)), first.value - second.value
    shares = (v**2 / (_units(c) - 1) for v, c in zip(variances, (a, b), strict=True))
    df = sum(variances) ** 2 / sum(shares)
    t = difference / se
    p = float(2 * stdtr(df, -abs(t)))
    half = float(stdtrit(df, (1 + sample.level) / 2)) * se
    estimate = sample.symmetric(difference, half, se, method, within=RANGE)
    return Comparison(a=first, b=second, difference=estimate, z=t, p=p, df=df)


def _variance(estimate: Estimate, cases: Cases) -> float | None:
    """Variance of an AUROC: 0 at 0 or 1; None where a class has a single case or patient."""
    if cases.smaller_class < 2:
        return None
    return (estimate.se or 0.0) ** 2


def _units(cases: Cases) -> int:
    return cases.n if cases.cluster is None else int(cases.cluster.max()) + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedAccuracy:
    """Cases that only one of two classifications got right, and McNemar's tests.

    `only_a`, `only_b` : cases that only a, only b, classified as the reference standard does.
    `exact_p` is None with clusters, because the cases of a patient are not independent.
    """

    only_a: int
    only_b: int
    difference: Estimate
    chi2: float | None = None
    p: float = 1.0
    exact_p: float | None = None


@named
def mcnemar(
    reference: ArrayLike,
    positive_a: ArrayLike,
    positive_b: ArrayLike,
    *,
    cluster: ArrayLike | None = None,
    level: float = 0.95,
) -> PairedAccuracy:
    """Compare the accuracy of two classifications of the same cases.

    Parameters
    ----------
    reference, positive_a, positive_b : bool or 0/1 arrays, shape (n_cases,)
    cluster : patient of each case; the gain of each patient is then one observation

    References
    ----------
    McNemar 1947 Psychometrika 12:153, without continuity correction; exact: binomial. With
    clusters: Obuchowski 1998 Stat Med 17:1495.

    Examples
    --------
    >>> mcnemar([1, 1, 0, 0], [1, 0, 0, 0], [1, 1, 0, 0]).exact_p
    1.0
    """
    check_rows(reference, positive_a, positive_b, cluster=cluster)
    columns = ((reference, "reference"), (positive_a, "a"), (positive_b, "b"))
    y, a, b = (read_reference(column, name) for column, name in columns)
    if not y.size == a.size == b.size:
        raise MetricError("reference and both classifications need one value per case")
    sample = Sample(y.size, int(y.sum()), level)
    if cluster is not None:
        gain = (a == y).astype(np.float64) - (b == y)
        return _clustered_mcnemar(gain, read_cluster(cluster, y.size), sample)
    only_a = int(np.count_nonzero((a == y) & (b != y)))
    only_b = int(np.count_nonzero((b == y) & (a != y)))
    return _mcnemar(only_a, only_b, sample)


def _mcnemar(only_a: int, only_b: int, sample: Sample) -> PairedAccuracy:
    from scipy.special import bdtr

    gap, split = _accuracy_gap(sample, only_a, only_b), only_a + only_b
    if split == 0:
        return PairedAccuracy(only_a=0, only_b=0, difference=gap, exact_p=1.0)
    chi2 = (only_a - only_b) ** 2 / split
    return PairedAccuracy(
        only_a=only_a,
        only_b=only_b,
        difference=gap,
        chi2=chi2,
        p=two_sided_p(math.sqrt(chi2)),
        exact_p=min(1.0, 2 * float(bdtr(min(only_a, only_b), split, 0.5))),
    )


def _accuracy_gap(sample: Sample, only_a: int, only_b: int) -> Estimate:
    if sample.n == 0:
        return sample.not_estimable("no case", "wald paired")
    gap = (only_a - only_b) / sample.n
    se = math.sqrt(((only_a + only_b) / sample.n - gap**2) / sample.n)
    return sample.wald(gap, se, "wald paired", within=RANGE)


def _clustered_mcnemar(gain: Floats, cluster: Ints, sample: Sample) -> PairedAccuracy:
    method = "wald paired (cluster-robust)"
    only_a, only_b = int(np.count_nonzero(gain > 0)), int(np.count_nonzero(gain < 0))
    totals = per_cluster(gain, cluster)
    if totals.size < 2:
        none = sample.not_estimable("fewer than two patients", method)
        return PairedAccuracy(only_a=only_a, only_b=only_b, difference=none)
    mean = float(gain.sum()) / gain.size
    se = math.sqrt(total_variance((gain - mean) / gain.size, cluster))
    estimate = sample.wald(mean, se, method, within=RANGE)
    spread = dot(totals, totals)
    if spread == 0:
        return PairedAccuracy(only_a=only_a, only_b=only_b, difference=estimate)
    chi2 = float(gain.sum()) ** 2 / spread
    p = two_sided_p(math.sqrt(chi2))
    return PairedAccuracy(only_a=only_a, only_b=only_b, difference=estimate, chi2=chi2, p=p)
