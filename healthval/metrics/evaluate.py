"""`evaluate`: all statistics that a report needs for one binary score, from one sort."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from healthval.errors import MetricError, SingleClassError
from healthval.metrics.calibration.measures import calibration_of
from healthval.metrics.cases import Cases, read_cases, read_probability_cases
from healthval.metrics.confusion import check_threshold, count_cells
from healthval.metrics.discrimination.auroc import auroc_of, warn_if_inverted
from healthval.metrics.discrimination.average_precision import average_precision_of
from healthval.metrics.discrimination.roc_curve import roc_points
from healthval.metrics.estimate import Estimate, Sample, check_level
from healthval.metrics.inputs import read_one_or_more
from healthval.metrics.intervals.analytic import rate
from healthval.metrics.intervals.resampling import Bootstrap
from healthval.metrics.names import named
from healthval.metrics.net_benefit import net_benefit_at, net_benefit_of
from healthval.metrics.ranking.table import RankTable
from healthval.metrics.result import CaseRows, Evaluation, ScoreHistogram, ThresholdResult
from healthval.metrics.subgroups.levels import by_level, read_groups

# False-positive rates of the ROC curve and thresholds of the decision curve.
GRID = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9)
MAX_POINTS = 20
BINS = 20


@named
def evaluate(  # noqa: PLR0913  # the last ones are keyword-only
    reference: ArrayLike,
    score: ArrayLike,
    *,
    thresholds: float | Sequence[float] = (0.5,),
    groups: Any = None,
    cluster: ArrayLike | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> Evaluation:
    """Evaluate one model's scores against the reference standard.

    A statistic that is not estimable (an empty class, a small subgroup) has a reason in place of its
    value; all others are still computed.

    Parameters
    ----------
    reference : bool or 0/1 array, shape (n_cases,)
    score : probability array, shape (n_cases,)
    thresholds : one or more pre-specified decision thresholds; subgroups are evaluated at the first
    groups : a Series or array of levels, or a dict or DataFrame of several variables
    cluster : patient of each case; required where a patient owns several cases
    level : confidence level
    seed : of the bootstrap band of the decision curve

    Raises
    ------
    MetricError
        If there is no case, or the input does not fit. The message contains no value.

    References
    ----------
    Van Calster et al. 2025 Lancet Digit Health (STRATOS TG6); TRIPOD+AI 2024 BMJ 385:e078378.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> score = rng.uniform(size=400)
    >>> result = evaluate(rng.uniform(size=400) < score, score, thresholds=(0.3, 0.5))
    >>> result.n, len(result.thresholds)
    (400, 2)
    """
    check_level(level)
    cases = replace(read_probability_cases(reference, score, cluster), level=level)
    if cases.n == 0:
        raise MetricError("there is no case to evaluate; check the cohort's inclusion steps")
    fixed = read_decision_thresholds(thresholds)
    levels = read_groups(groups, cases.n, reference, score, cluster=cluster)
    # The table of all cases is freed before those of the levels: memory bounds the number of cases.
    whole = _of_all_cases(cases, fixed, seed)
    return replace(whole, subgroups=by_level(cases, levels, fixed[0]), rows=case_rows(cases, fixed))


def case_rows(cases: Cases, thresholds: tuple[float, ...]) -> CaseRows:
    """Each case's outcome and place among thresholds and edges of the bins."""
    edges = (np.arange(1, BINS) / BINS).tolist()
    cuts = np.array(sorted({*edges, *thresholds} - {0.0}))
    above = np.searchsorted(cuts, cases.score, side="right").astype(np.uint8)
    return CaseRows(cuts=tuple(cuts.tolist()), above=above, outcome=cases.reference)


def _of_all_cases(cases: Cases, fixed: tuple[float, ...], seed: int) -> Evaluation:
    table = RankTable.from_scores(cases.reference, cases.score)
    sample, level = cases.sample, cases.level
    auc = _or_reason(lambda: auroc_of(cases, table=table, level=level), sample, "logit-delong")
    warn_if_inverted(auc, frames=5)
    ap = _or_reason(
        lambda: average_precision_of(cases, table=table, level=level), sample, "boyd logit"
    )
    plan, grid = Bootstrap(500, seed), _decision_grid(fixed)
    curve = net_benefit_of(cases, grid, plan, table=table, level=level)
    return Evaluation(
        n=cases.n,
        n_events=cases.n_events,
        auroc=auc,
        average_precision=ap,
        roc=_roc(cases, table),
        thresholds=tuple(threshold_result(cases, t) for t in fixed),
        calibration=calibration_of(cases, table=table, level=level),
        decision_curve=curve,
        histogram=histogram(table),
        subgroups=(),
    )


def read_decision_thresholds(thresholds: float | Sequence[float]) -> tuple[float, ...]:
    """Thresholds as 1 to 20 distinct probabilities."""
    fixed = tuple(read_one_or_more(thresholds, "thresholds").tolist())
    for threshold in fixed:
        check_threshold(threshold)
    if not 1 <= len(fixed) <= MAX_POINTS or len(set(fixed)) < len(fixed):
        raise MetricError(
            f"thresholds must be 1 to {MAX_POINTS} different values; got {len(fixed)}"
        )
    return fixed


def _decision_grid(fixed: tuple[float, ...]) -> np.ndarray:
    planned = [t for t in fixed if t < 1]
    free = [t for t in GRID if t not in planned][: MAX_POINTS - len(planned)]
    return np.array(sorted(planned + free))


def _or_reason(compute: Callable[[], Estimate], sample: Sample, method: str) -> Estimate:
    try:
        return compute()
    except SingleClassError as error:
        return sample.not_estimable(str(error), method)


def _roc(cases: Cases, table: RankTable) -> tuple[tuple[float, Estimate], ...]:
    try:
        return roc_points(cases, table, GRID, level=cases.level)
    except SingleClassError:
        return ()


@named
def at_threshold(
    reference: ArrayLike,
    score: ArrayLike,
    threshold: float,
    *,
    cluster: ArrayLike | None = None,
    level: float = 0.95,
) -> ThresholdResult:
    """Counts, rates and net benefit at one pre-specified threshold.

    Rates have Wilson's interval; with clusters they are ratio estimates with Wilson's interval at the
    effective size (Rao and Scott 1992 Biometrics 48:577).

    Parameters
    ----------
    reference : bool or 0/1 array, shape (n_cases,)
    score : probability array, shape (n_cases,)
    threshold : probability; positive means score >= threshold
    cluster : patient of each case
    level : confidence level

    Raises
    ------
    MetricError
        If the input does not fit.

    Examples
    --------
    >>> at_threshold([0, 1, 1], [0.2, 0.5, 0.9], 0.5).confusion
    Confusion(tp=2, fp=0, fn=0, tn=1)
    """
    check_threshold(threshold)
    check_level(level)
    cases = replace(read_probability_cases(reference, score, cluster), level=level)
    return threshold_result(cases, threshold)


def data_derived_threshold(
    reference: ArrayLike, score: ArrayLike, *, cluster: ArrayLike | None = None
) -> ThresholdResult:
    """Threshold with the largest Youden index on the same data: optimistic, marked "data-derived".

    It is the midpoint of two scores and must stay at the site; a data-derived threshold is never in
    a headline or a pooled result. The score may be any finite number.

    Raises
    ------
    SingleClassError
        If a class is empty.

    References
    ----------
    Youden 1950 Cancer 3:32.

    Examples
    --------
    >>> data_derived_threshold([0, 0, 1, 1], [0.1, 0.2, 0.6, 0.8]).origin
    'data-derived'
    """
    cases = read_cases(reference, score, cluster)
    if cases.n_events in (0, cases.n):
        raise SingleClassError(f"Youden's index needs both classes; n is {cases.n}")
    table = RankTable.from_scores(cases.reference, cases.score)
    specificity, missed = table.cum_neg / table.n_neg, table.cum_pos / table.n_pos
    best = int(np.argmax((specificity - missed)[:-1])) if table.score.size > 1 else 0
    lower, upper = (float(table.score[i]) for i in (best, min(best + 1, table.score.size - 1)))
    middle = (lower + upper) / 2
    at = middle if lower < middle <= upper else upper  # two adjacent floats have no midpoint
    found = threshold_result(cases, at, origin="data-derived")
    if table.score[0] >= 0 and table.score[-1] <= 1:
        return found
    none = cases.sample.not_estimable("the score is not a probability", "wald")
    return replace(found, net_benefit=none)


def threshold_result(
    cases: Cases,
    threshold: float,
    *,
    origin: Literal["pre-specified", "data-derived"] = "pre-specified",
) -> ThresholdResult:
    """`at_threshold` of checked cases."""
    positive, y, level = cases.score >= threshold, cases.reference, cases.level
    cells = count_cells(y, positive, cases.cluster)
    return ThresholdResult(
        threshold=threshold,
        origin=origin,
        confusion=cells,
        sensitivity=rate(positive, y, cases.cluster, level=level),
        specificity=rate(~positive, ~y, cases.cluster, level=level),
        ppv=rate(y, positive, cases.cluster, level=level),
        npv=rate(~y, ~positive, cases.cluster, level=level),
        net_benefit=net_benefit_at(cases, threshold, level=level),
    )


def histogram(table: RankTable) -> ScoreHistogram:
    """Cases and summed scores per 0.05 of score, by reference standard."""
    edges = np.arange(BINS + 1) / BINS
    tp, fp = table.counts_at(edges[:-1])
    first = np.searchsorted(table.score, edges[:-1], side="left")
    sums = np.append(0.0, np.cumsum(table.score * (table.pos + table.neg)))
    return ScoreHistogram(
        edges=tuple(edges.tolist()),
        events=tuple((-np.diff(tp, append=0)).tolist()),
        non_events=tuple((-np.diff(fp, append=0)).tolist()),
        score_sums=tuple(np.diff(sums[first], append=sums[-1]).tolist()),
    )
