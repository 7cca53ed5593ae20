"""Time-to-event outcome: concordance, and AUC, Brier score and O:E of a risk at a horizon."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, overload

import numpy as np
from numpy.typing import ArrayLike

from healthval.errors import MetricError
from healthval.metrics.cases import (
    check_probabilities,
    check_rows,
    read_cluster,
    read_reference,
    read_scores,
)
from healthval.metrics.estimate import Estimate, Sample, check_level
from healthval.metrics.inputs import (
    Bools,
    Floats,
    Ints,
    affected,
    check_choice,
    is_missing,
    label_key,
    read_array,
    read_column,
    read_number,
    read_numbers,
)
from healthval.metrics.intervals.resampling import (
    Bootstrap,
    canonical,
    drawn_weights,
    percentile_estimate,
    read_plan,
)
from healthval.metrics.logistic import per_cluster


@dataclass(frozen=True, slots=True, kw_only=True)
class SurvivalMetrics:
    """Performance of a predicted risk of an event by one horizon, with right censoring."""

    horizon: float
    harrell_c: Estimate
    uno_c: Estimate
    auc: Estimate
    brier: Estimate
    scaled_brier: Estimate
    oe: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class _FollowUp:
    """Cases in order of time; at equal times, events before censored cases."""

    time: Floats
    event: Bools
    risk: Floats
    owner: Ints
    level: float

    @property
    def sample(self) -> Sample:
        return Sample(self.time.size, int(self.event.sum()), self.level)


@overload
def survival(
    time: ArrayLike,
    event: ArrayLike,
    risk: ArrayLike,
    *,
    horizon: float,
    cluster: ArrayLike | None = None,
    bootstrap: Bootstrap | None = None,
    level: float = 0.95,
) -> SurvivalMetrics: ...
@overload
def survival(
    time: ArrayLike,
    event: ArrayLike,
    risk: ArrayLike,
    *,
    horizon: Sequence[float],
    cluster: ArrayLike | None = None,
    bootstrap: Bootstrap | None = None,
    level: float = 0.95,
) -> tuple[SurvivalMetrics, ...]: ...
def survival(  # noqa: PLR0913  # time, event, risk and horizon are one outcome
    time: ArrayLike,
    event: ArrayLike,
    risk: ArrayLike,
    *,
    horizon: float | Sequence[float],
    cluster: ArrayLike | None = None,
    bootstrap: Bootstrap | None = None,
    level: float = 0.95,
) -> SurvivalMetrics | tuple[SurvivalMetrics, ...]:
    """Discrimination, accuracy and calibration of a predicted risk at one horizon or several.

    Censoring is handled by inverse probability of censoring weights (Kaplan-Meier of the censoring
    times). Uno's C uses events up to the horizon. Intervals at the horizon are a bootstrap of cases,
    or of patients with clusters. Competing events (a death that makes the event impossible) are not
    censoring and are refused: with them, one minus Kaplan-Meier is not the observed risk.

    Parameters
    ----------
    time : follow-up in any unit, at least 0, shape (n_cases,)
    event : bool or 0/1, whether follow-up ended with the event, shape (n_cases,); 0 is censored
    risk : probability of the event by the horizon, shape (n_cases,), or one column per horizon; a
        single column is used for all horizons, and O:E then shows its error at each
    horizon : in the unit of `time`; several horizons have one result each, in the same order
    cluster : patient of each case
    bootstrap : replicates and seed; 500 from seed 0 by default
    level : confidence level

    Raises
    ------
    MetricError
        If the input does not fit, no case is followed beyond the horizon, or no event is before it.

    References
    ----------
    Harrell 1982; Uno 2011 Stat Med 30:1105; Blanche 2013 Stat Med 32:5381 (time-dependent AUC);
    Graf 1999 Stat Med 18:2529 (Brier); McLernon 2023 Ann Intern Med 176:105 (O:E);
    Andersen 2012 Int J Epidemiol 41:861 (competing events).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> risk = rng.uniform(0.05, 0.95, size=500)
    >>> time = rng.exponential(-5 / np.log(1 - risk))
    >>> found = survival(np.minimum(time, 8), time < 8, risk, horizon=5)
    >>> 0.9 < found.oe.value < 1.1
    True
    """
    plan = read_plan(bootstrap, 500)
    if read_array(horizon, "horizon").ndim == 0:
        at = read_number(horizon, "horizon")
        return _judged(_read(time, event, risk, cluster, level=level), at, plan, cluster)
    horizons = read_numbers(horizon, "horizon")
    if np.isnan(horizons).any():
        raise MetricError("every horizon must be a number")
    check_rows(time, event, risk, cluster=cluster)
    risks = read_array(risk, "risk")
    columns = risks.T if risks.ndim == 2 else [risk] * horizons.size
    if not horizons.size or len(columns) != horizons.size:
        raise MetricError("several horizons need one column of risk, or one column each")
    return tuple(
        _judged(_read(time, event, column, cluster, level=level), at, plan, cluster)
        for column, at in zip(columns, horizons.tolist(), strict=True)
    )


def _judged(
    data: _FollowUp, horizon: float, plan: Bootstrap, cluster: ArrayLike | None
) -> SurvivalMetrics:
    check_probabilities(data.risk)
    sample = data.sample
    if not np.any(data.event & (data.time <= horizon)) or not np.any(data.time > horizon):
        raise MetricError(
            "the horizon needs events before it and cases followed beyond it; choose another"
        )
    codes = np.searchsorted(np.unique(data.risk), data.risk)
    measure = partial(_at_horizon, data, horizon, codes)
    names = ("auc", "brier", "scaled_brier", "oe")
    values = dict(zip(names, measure(np.ones(data.time.size)), strict=True))
    weights = (weight.astype(np.float64) for weight in drawn_weights(data.owner, plan))
    reps = dict(zip(names, np.array([measure(w) for w in weights]).T, strict=True))
    estimates = {name: _from_replicates(sample, values[name], reps[name]) for name in names}
    if cluster is None:
        estimates["oe"] = _observed_to_expected(data, horizon, sample)
    return SurvivalMetrics(
        horizon=horizon,
        harrell_c=_concordance(data, None, "harrell", sample),
        uno_c=_concordance(data, horizon, "uno", sample),
        **estimates,
    )


def _from_replicates(sample: Sample, value: float, reps: Floats) -> Estimate:
    known = reps[np.isfinite(reps)]
    method = "ipcw bootstrap percentile"
    if known.size < 100:
        return sample.not_estimable("too few replicates are estimable at the horizon", method)
    if np.ptp(known) < 1e-12:  # a perfect score, or a single patient
        return sample.without_interval(
            value, method, reason="all replicates are equal: no interval"
        )
    return percentile_estimate(sample, value, known, method)


def concordance(  # noqa: PLR0913  # time, event and score are one outcome
    time: ArrayLike,
    event: ArrayLike,
    score: ArrayLike,
    *,
    method: Literal["harrell", "uno"] = "harrell",
    tau: float | None = None,
    cluster: ArrayLike | None = None,
    level: float = 0.95,
) -> Estimate:
    """Proportion of comparable pairs in which the case with the earlier event scores higher.

    Parameters
    ----------
    time, event : follow-up and whether it ended with the event, shape (n_cases,)
    score : any finite number, higher means earlier, shape (n_cases,)
    method : "harrell", or "uno" with weights 1 / G(t)^2, which is independent of the censoring
    tau : time after which events are not used
    cluster : patient of each case
    level : confidence level

    Raises
    ------
    MetricError
        If the input does not fit.

    References
    ----------
    Harrell 1982; Uno 2011 Stat Med 30:1105; variance: infinitesimal jackknife, as
    survival::concordance.

    Examples
    --------
    >>> concordance([1, 2, 3, 4], [1, 1, 0, 1], [0.9, 0.4, 0.5, 0.1]).value
    0.8
    """
    check_choice(method, ("harrell", "uno"), "method")
    tau = None if tau is None else read_number(tau, "tau")
    data = _read(time, event, score, cluster, level=level)
    return _concordance(data, tau, method, data.sample)


def _read(
    time: ArrayLike,
    event: ArrayLike,
    risk: ArrayLike,
    cluster: ArrayLike | None,
    *,
    level: float,
) -> _FollowUp:
    check_level(level)
    check_rows(time, event, risk, cluster=cluster)
    _refuse_competing_events(event)
    t, e, r = read_scores(time), read_reference(event, "event"), read_scores(risk)
    if not t.size == e.size == r.size or t.size < 2:
        raise MetricError("time, event and risk need one value per case, with at least two cases")
    if t.min() < 0:
        found = affected(np.flatnonzero(t < 0), t.size, "time", "are negative")
        raise MetricError(f"{found}; give follow-up times from 0")
    owner = np.arange(t.size) if cluster is None else read_cluster(cluster, t.size)
    order, owner = canonical(owner, t, ~e, r)
    return _FollowUp(time=t[order], event=e[order], risk=r[order], owner=owner, level=level)


def _refuse_competing_events(event: ArrayLike) -> None:
    """Refuse more than two outcomes; a competing event is not a censored case."""
    array = read_column(event, "event")
    if array.dtype == np.bool_:
        return
    if array.dtype.kind not in "iu":
        array = np.array([label_key(x) for x in array if not is_missing(x)])
    outcomes = np.unique(array).size
    if outcomes > 2:
        raise MetricError(
            f"event has {outcomes} different outcomes: competing events are not supported, and to "
            "count them as censored makes right risks look too low. Evaluate the time to the first "
            "event of any kind with a risk of it or, where every case is followed to the horizon or "
            "to an event, 'the event by the horizon' with metrics.evaluate"
        )


def _concordance(data: _FollowUp, tau: float | None, method: str, sample: Sample) -> Estimate:
    name = f"{method} jackknife"
    weight = data.event.astype(np.float64)
    if tau is not None:
        weight[data.time > tau] = 0
    if method == "uno":
        before = _censoring(data, np.ones(data.time.size))[0]
        weight = np.divide(weight, before**2, out=np.zeros_like(weight), where=weight > 0)
    rank = np.searchsorted(np.unique(data.risk), data.risk)
    for_event, for_other = _pair_scores(data, rank, weight)
    pairs = float(for_event[1].sum())
    if pairs == 0:
        return sample.not_estimable("no pair of cases is comparable", name)
    somers = float(for_event[0].sum()) / pairs
    own = (for_event[0] + for_other[0]) / pairs - somers / pairs * (for_event[1] + for_other[1])
    totals = per_cluster(own, data.owner)
    se = math.sqrt(float(np.sum(totals**2))) / 2
    value = (somers + 1) / 2
    if np.unique(data.owner[weight > 0]).size < 2:
        return sample.without_interval(
            value, name, reason="a single case or patient has events: no interval"
        )
    if se == 0 or not 0 < value < 1:
        reason = "exactly 0 or 1, or without variance in these cases: no interval"
        return sample.without_interval(value, name, reason=reason)
    return sample.logit(value, se, f"{name} logit")


def _pair_scores(
    data: _FollowUp, rank: Ints, weight: Floats
) -> tuple[tuple[Floats, Floats], tuple[Floats, Floats]]:
    """Per case, with the event and as partner: concordant minus discordant pairs, and all pairs."""
    n = data.time.size
    last_event = np.searchsorted(data.time, data.time, side="left") + per_cluster(
        data.event.astype(np.float64), _time_codes(data.time)
    )[_time_codes(data.time)].astype(np.int64)
    ones, start = np.ones(n), np.where(weight > 0, last_event, n)
    lower = weight_below(rank, ones, start, rank)
    not_above = weight_below(rank, ones, start, rank + 1)
    every = (n - start).astype(np.float64)
    as_event = (weight * (lower - (every - not_above)), weight * every)
    # As partner: events whose risk set begins at or before this case.
    order = np.argsort(-start, kind="stable")
    first = n - np.searchsorted(np.sort(start), np.arange(n), side="right")
    below = weight_below(rank[order], weight[order], first, rank)
    up_to = weight_below(rank[order], weight[order], first, rank + 1)
    total = weight_below(rank[order], weight[order], first, np.full(n, n + 1))
    return as_event, ((total - up_to) - below, total)


def _time_codes(time: Floats) -> Ints:
    return np.unique(time, return_inverse=True)[1].reshape(-1)


def weight_below(rank: Ints, weight: Floats, start: Ints, limit: Ints) -> Floats:
    """Sum of weights at positions >= start whose rank is < limit, for each query.

    Merge tree: at each level, blocks of 2^level positions are sorted by rank, and a suffix consists
    of at most one block per level. O(n log^2 n), without an n x n matrix.
    """
    levels = max(int(rank.size).bit_length(), 1)
    size, top = 1 << levels, int(max(rank.max(), limit.max())) + 2
    ranks, weights = np.full(size, top - 1), np.zeros(size)
    ranks[1 : rank.size + 1], weights[1 : rank.size + 1] = rank, weight  # position 0 is unused
    found, at = np.zeros(start.size), start + 1
    for level in range(levels):
        key = (np.arange(size) >> level) * top + ranks
        order = np.argsort(key, kind="stable")
        key, cumulative = key[order], np.append(0.0, np.cumsum(weights[order]))
        used = np.flatnonzero((at >> level & 1 == 1) & (at < size))
        block = at[used] >> level
        upper = np.searchsorted(key, block * top + limit[used], side="left")
        found[used] += cumulative[upper] - cumulative[block << level]
        at[used] += 1 << level
    return found


def _censoring(data: _FollowUp, weight: Floats) -> tuple[Floats, Floats]:
    """Kaplan-Meier of the censoring just before and at each time; events leave the risk set first."""
    return _kaplan_meier(data.time, ~data.event, weight, after=data.event)


def _kaplan_meier(
    time: Floats, ends: Bools, weight: Floats, *, after: Bools | None = None
) -> tuple[Floats, Floats]:
    """Survival just before and at each case's time; cases in `after` leave the risk set first."""
    code = _time_codes(time)
    ending, leaving = per_cluster(weight * ends, code), per_cluster(weight, code)
    at_risk = leaving.sum() - np.cumsum(leaving) + leaving
    if after is not None:
        at_risk = at_risk - per_cluster(weight * after, code)
    share = np.divide(ending, at_risk, out=np.zeros_like(ending), where=at_risk > 0)
    at = np.cumprod(1 - share)
    before = np.append(1.0, at[:-1])
    return before[code], at[code]


def _at_horizon(
    data: _FollowUp, horizon: float, codes: Ints, weight: Floats
) -> tuple[float, float, float, float]:
    """Time-dependent AUC, Brier, scaled Brier and O:E with censoring weights; NaN when undefined."""
    early, late = data.event & (data.time <= horizon), data.time > horizon
    before, at = _censoring(data, weight)
    stay = at[data.time <= horizon]
    g = stay[-1] if stay.size else 1.0
    case = np.divide(weight * early, before, out=np.zeros_like(weight), where=early & (before > 0))
    control = weight * late / g if g > 0 else np.zeros_like(weight)
    cases, controls = float(case.sum()), float(control.sum())
    if cases == 0 or controls == 0:
        return math.nan, math.nan, math.nan, math.nan
    per_code = np.bincount(codes, weights=control)
    below = np.cumsum(per_code) - per_code / 2
    auc = float(np.sum(case * below[codes])) / (cases * controls)
    n = float(weight.sum())
    brier = float(np.sum(case * (1 - data.risk) ** 2 + control * data.risk**2)) / n
    incidence = 1 - _survival_at(data, weight, horizon)
    null = (cases * (1 - incidence) ** 2 + controls * incidence**2) / n
    expected = float(np.sum(weight * data.risk)) / n
    scaled = 1 - brier / null if null > 0 else math.nan
    return auc, brier, scaled, incidence / expected if expected > 0 else math.nan


def _survival_at(data: _FollowUp, weight: Floats, horizon: float) -> float:
    at = _kaplan_meier(data.time, data.event, weight)[1][data.time <= horizon]
    return float(at[-1]) if at.size else 1.0


def _observed_to_expected(data: _FollowUp, horizon: float, sample: Sample) -> Estimate:
    """Kaplan-Meier incidence over mean risk, with Greenwood's variance."""
    survived = _survival_at(data, np.ones(data.time.size), horizon)
    incidence, expected = 1 - survived, float(data.risk.mean())
    code = _time_codes(data.time)
    leaving = np.bincount(code)
    at_risk = (data.time.size - np.cumsum(leaving) + leaving)[code]
    deaths = np.bincount(code, weights=data.event)[code]
    counted = data.event & (data.time <= horizon)
    if survived == 0 or expected == 0:
        return sample.not_estimable("no case survives, or no event is expected", "log greenwood")
    terms = 1 / (at_risk[counted] * (at_risk - deaths)[counted])
    se = survived * math.sqrt(float(terms.sum()))
    return sample.log(incidence / expected, se / incidence, "log greenwood")
