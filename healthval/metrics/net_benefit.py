"""Net benefit of acting on the score, and the decision curve."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from healthval.errors import MetricError
from healthval.metrics.cases import Cases, read_probability_cases
from healthval.metrics.estimate import Estimate, Sample, check_level
from healthval.metrics.inputs import Floats, Ints, read_one_or_more
from healthval.metrics.intervals.resampling import Bootstrap, drawn_counts, quantiles, read_plan
from healthval.metrics.logistic import dot, per_cluster
from healthval.metrics.names import named
from healthval.metrics.ranking.table import RankTable


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class DecisionCurve:
    """Net benefit over thresholds, per case, with a pointwise bootstrap band.

    Attributes
    ----------
    thresholds, net_benefit, lo, hi, se, treat_all, treat_none : float64 arrays, shape (n_thresholds,)
    n, n_events : cases and events
    """

    thresholds: Floats
    net_benefit: Floats
    lo: Floats
    hi: Floats
    se: Floats
    treat_all: Floats
    treat_none: Floats
    n: int
    n_events: int
    level: float = 0.95
    method: str = "bootstrap percentile pointwise"

    @property
    def standardized(self) -> Floats:
        """Net benefit divided by the prevalence, the maximum of any model."""
        return self._share(self.net_benefit)

    @property
    def standardized_lo(self) -> Floats:
        """Lower end of the band of `standardized`, with the prevalence taken as known."""
        return self._share(self.lo)

    @property
    def standardized_hi(self) -> Floats:
        """Upper end of the band of `standardized`."""
        return self._share(self.hi)

    def _share(self, values: Floats) -> Floats:
        return values * (self.n / self.n_events) if self.n_events else np.array([])

    @property
    def estimates(self) -> tuple[Estimate, ...]:
        """Net benefit at each threshold as an `Estimate`."""
        sample = Sample(self.n, self.n_events, self.level)
        rows = zip(self.net_benefit, self.lo, self.hi, self.se, strict=True)
        return tuple(sample.with_bounds(nb, (lo, hi), se, self.method) for nb, lo, hi, se in rows)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, DecisionCurve):
            return NotImplemented
        return self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[Any, ...]:
        """Values that make two curves equal: counts, level and the bytes of curve and band."""
        arrays = (self.thresholds, self.net_benefit, self.lo, self.hi)
        return self.n, self.n_events, self.level, *(array.tobytes() for array in arrays)


@named
def net_benefit(  # noqa: PLR0913  # three columns and three options by keyword
    reference: ArrayLike,
    score: ArrayLike,
    thresholds: ArrayLike,
    *,
    cluster: ArrayLike | None = None,
    bootstrap: Bootstrap | None = None,
    level: float = 0.95,
) -> DecisionCurve:
    """Net benefit TP/n - FP/n * t/(1 - t) at each threshold t; positive means score >= t.

    The band is an exact nonparametric bootstrap. Between thresholds only counts matter: replicates
    are multinomial draws of counts, or of whole patients with clusters.

    Parameters
    ----------
    reference : bool or 0/1 array, shape (n_cases,)
    score : probability array, shape (n_cases,)
    thresholds : probabilities in [0, 1), ascending, within the clinically plausible range
    cluster : patient of each case
    bootstrap : replicates and seed; 500 from seed 0 by default
    level : confidence level

    Raises
    ------
    MetricError
        If the input does not fit, or a threshold is outside [0, 1).

    References
    ----------
    Vickers and Elkin 2006 Med Decis Making 26:565; Vickers 2008 (interval by bootstrap).

    Examples
    --------
    >>> curve = net_benefit([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], [0.2, 0.5])
    >>> print(curve.net_benefit, curve.treat_all)
    [0.4375 0.25  ] [0.375 0.   ]
    """
    cases = read_probability_cases(reference, score, cluster)
    plan = read_plan(bootstrap, 500)
    return net_benefit_of(cases, read_thresholds(thresholds), plan, level=level)


def read_thresholds(thresholds: ArrayLike) -> Floats:
    """Thresholds as an array: ascending, distinct, within [0, 1)."""
    values = read_one_or_more(thresholds, "thresholds")
    if not values.size or not np.all((values >= 0) & (values < 1)):
        raise MetricError("thresholds must be probabilities from 0 to below 1")
    if np.any(np.diff(values) <= 0):
        raise MetricError("thresholds must ascend without repeats")
    return values


def net_benefit_of(
    cases: Cases,
    thresholds: Floats,
    plan: Bootstrap,
    *,
    table: RankTable | None = None,
    level: float = 0.95,
) -> DecisionCurve:
    """`net_benefit` of checked cases; an existing rank table saves the sort."""
    if cases.n == 0:
        raise MetricError("net benefit needs at least one case")
    odds = thresholds / (1 - thresholds)
    counts = _cells(table, thresholds) if table else _counted(cases, thresholds)
    value = _from_cells(counts[:, None], odds)[:, 0]
    patients = None if cases.cluster is None else (_slots(cases, thresholds), cases.cluster)
    replicates = _from_cells(drawn_counts(counts, plan, patients).T, odds)
    check_level(level)
    lo, hi = quantiles(replicates, ((1 - level) / 2, (1 + level) / 2))
    prevalence = cases.n_events / cases.n
    return DecisionCurve(
        thresholds=_read_only(thresholds),
        net_benefit=_read_only(value),
        lo=_read_only(np.minimum(lo, value)),
        hi=_read_only(np.maximum(hi, value)),
        se=_read_only(replicates.std(axis=1, ddof=1)),
        treat_all=_read_only(prevalence - (1 - prevalence) * odds),
        treat_none=_read_only(np.zeros(thresholds.size)),
        level=level,
        n=cases.n,
        n_events=cases.n_events,
    )


def _read_only(array: Floats) -> Floats:
    array.flags.writeable = False
    return array


def _cells(table: RankTable, thresholds: Floats) -> Ints:
    """Counts of non-events, then of events, in the zones between thresholds, ascending."""
    tp, fp = table.counts_at(thresholds)
    return np.concatenate(
        [
            -np.diff(flagged, prepend=total, append=0)
            for flagged, total in ((fp, table.n_neg), (tp, table.n_pos))
        ]
    )


def _counted(cases: Cases, thresholds: Floats) -> Ints:
    zones = thresholds.size + 1
    return np.bincount(_slots(cases, thresholds), minlength=2 * zones)


def _slots(cases: Cases, thresholds: Floats) -> Ints:
    """Zone of each case (number of thresholds it reaches), events after non-events.

    A table of the zone at each 1024th replaces a search per case. Thresholds within the same 1024th
    are then compared with the score.
    """
    at = np.arange(1025) / 1024
    zone = np.searchsorted(thresholds, at, side="right")[(cases.score * 1024).astype(np.intp)]
    bounds = np.append(thresholds, np.inf)
    while (above := cases.score >= bounds[zone]).any():
        zone += above
    zone += (thresholds.size + 1) * cases.reference
    return zone


def _from_cells(counts: NDArray[Any], odds: Floats) -> Floats:
    """Net benefit, shape (zones - 1, reps), from counts, shape (2 zones, reps)."""
    zones = odds.size + 1
    flagged = np.ascontiguousarray(counts, np.float64)
    fp, tp = (np.cumsum(part[:0:-1], axis=0)[::-1] for part in (flagged[:zones], flagged[zones:]))
    fp *= odds[:, None]
    tp -= fp
    tp /= flagged.sum(axis=0)
    return np.asarray(tp)


def net_benefit_at(cases: Cases, threshold: float, *, level: float = 0.95) -> Estimate:
    """Net benefit at one threshold: the mean of each case's contribution, normal interval."""
    sample = Sample(cases.n, cases.n_events, level)
    if cases.n < 2 or threshold >= 1:
        return sample.not_estimable("needs two cases and a threshold below 1", "wald")
    gain = contributions(cases, threshold)
    value = float(gain.mean())
    deviation = (gain - value) / cases.n
    if cases.cluster is not None:
        deviation = per_cluster(deviation, cases.cluster)
    method = "wald" if cases.cluster is None else "wald (cluster-robust)"
    if deviation.size < 2:
        return sample.not_estimable("a single patient", method)
    se = math.sqrt(dot(deviation, deviation) * deviation.size / (deviation.size - 1))
    return sample.wald(value, se, method, within=(-threshold / (1 - threshold), 1.0))


def contributions(cases: Cases, threshold: float) -> Floats:
    """Contribution of each case to the net benefit: 1, -t/(1 - t), or 0 below the threshold t."""
    worth = np.where(cases.reference, 1.0, -threshold / (1 - threshold))
    return np.asarray(worth * (cases.score >= threshold))
