"""Bootstrap: replicates drawn as counts or weights, never as copies of the data, and intervals."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from healthval.errors import MetricError
from healthval.metrics.cases import Cases
from healthval.metrics.estimate import Estimate, Sample
from healthval.metrics.inputs import Floats, Ints, check_kind, read_count
from healthval.metrics.ranking.table import RankTable

MAX_CELLS = 1024
EXACT_UP_TO = 20_000


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """Number of replicates, and the seed."""

    reps: int = 2000
    seed: int = 0

    def __post_init__(self) -> None:
        read_count(self.seed, "seed")
        if read_count(self.reps, "reps") < 2:
            raise MetricError("reps must be at least 2")

    def rng(self) -> np.random.Generator:
        """New generator: the same seed gives the same bits."""
        return np.random.Generator(np.random.PCG64(self.seed))


def read_plan(bootstrap: Bootstrap | None, reps: int = 2000) -> Bootstrap:
    """Bootstrap of the caller, or by default one with `reps` replicates from seed 0."""
    plan = Bootstrap(reps) if bootstrap is None else bootstrap
    check_kind(plan, Bootstrap, "bootstrap")
    return plan


def quantiles(values: Floats, q: tuple[float, ...]) -> tuple[Floats, ...]:
    """Quantiles of type 7 along the last axis; one sort takes half the time of `np.quantile`."""
    ranked, last = np.sort(values, axis=-1), values.shape[-1] - 1
    found = []
    for at in (share * last for share in q):
        low, high = ranked[..., math.floor(at)], ranked[..., math.ceil(at)]
        found.append(low + (at - math.floor(at)) * (high - low))
    return tuple(found)


def percentile(replicates: Floats, level: float) -> tuple[float, float]:
    """Percentile interval of the replicates."""
    tail = (1 - level) / 2
    lo, hi = np.quantile(replicates, [tail, 1 - tail])
    return float(lo), float(hi)


def percentile_estimate(sample: Sample, value: float, replicates: Floats, method: str) -> Estimate:
    """Estimate with the percentile interval of its replicates, widened to contain the value."""
    lo, hi = percentile(replicates, sample.level)
    se = float(replicates.std(ddof=1))
    return sample.with_bounds(value, (min(lo, value), max(hi, value)), se, method)


def bias_corrected(replicates: Floats, value: float, level: float) -> tuple[float, float]:
    """Bias-corrected percentile interval, for statistics that resampling shifts to one side.

    References
    ----------
    Efron 1981 Can J Stat 9:139.
    """
    below = np.count_nonzero(replicates < value) + 0.5 * np.count_nonzero(replicates == value)
    share = min(max(below, 0.5), replicates.size - 0.5) / replicates.size
    shift, z = float(ndtri(share)), float(ndtri((1 + level) / 2))
    lo, hi = np.quantile(replicates, ndtr([2 * shift - z, 2 * shift + z]))
    return min(float(lo), value), max(float(hi), value)


def canonical(owner: Ints, *columns: NDArray[Any]) -> tuple[Ints, Ints]:
    """Canonical order of the rows, and new patient codes; both depend on values alone.

    The draws of a seed are then the same for every order of the rows and all labels of patients.

    Parameters
    ----------
    owner : patient of each row, codes from 0
    columns : the values of each row that the statistic uses, the most important first

    Returns
    -------
    rows in canonical order, and the patient of each row in that order
    """
    order = np.lexsort(columns[::-1])
    ranked = [column[order] for column in columns]
    new = np.zeros(owner.size, np.bool_)
    for column in ranked:
        new[1:] |= column[1:] != column[:-1]
    rank, patient = np.cumsum(new), canonical_patients(owner[order], np.cumsum(new))
    again = np.lexsort((patient, rank))
    return order[again], patient[again]


def canonical_patients(owner: Ints, rank: Ints) -> Ints:
    """Renumber patients: those with fewer rows first, then by the ranks of their rows."""
    ranks = rank[np.lexsort((rank, owner))]
    size = np.bincount(owner)
    start, code, done = np.cumsum(size) - size, np.zeros(size.size, np.int64), 0
    for count in np.unique(size):
        alike = np.flatnonzero(size == count)
        table = ranks[start[alike][:, None] + np.arange(count)]
        code[alike[np.lexsort(table.T[::-1])]] = done + np.arange(alike.size)
        done += alike.size
    return code[owner]


def canonical_cases(cases: Cases) -> Cases:
    """The same cases in canonical order."""
    owner = np.arange(cases.n) if cases.cluster is None else cases.cluster
    rows, patient = canonical(owner, cases.score, cases.reference)
    cluster = None if cases.cluster is None else patient
    return Cases(cases.reference[rows], cases.score[rows], cluster)


def drawn_weights(owner: Ints, plan: Bootstrap) -> Iterator[Ints]:
    """Weight of each row in each replicate: how often its patient is drawn.

    Parameters
    ----------
    owner : patient of each row, canonical codes from 0
    """
    rng, patients = plan.rng(), int(owner.max()) + 1
    for _ in range(plan.reps):
        yield patient_weights(rng, patients)[owner]


def patient_weights(rng: np.random.Generator, patients: int) -> Ints:
    """Number of times each patient is drawn in one replicate."""
    return np.bincount(rng.integers(patients, size=patients), minlength=patients)


def drawn_counts(
    counts: NDArray[Any], plan: Bootstrap, patients: tuple[Ints, Ints] | None = None
) -> NDArray[Any]:
    """Cases per cell in each replicate, shape (reps, n_cells).

    Parameters
    ----------
    counts : cases per cell
    patients : cell and patient of each case; whole patients are then drawn
    """
    if patients is None:
        total = counts.sum()
        return plan.rng().multinomial(int(total), counts / total, size=plan.reps)
    cell, cluster = patients
    rows, owner = canonical(cluster, cell)
    cell = cell[rows]
    weights = drawn_weights(owner, plan)
    return np.array([np.bincount(cell, weight, counts.size) for weight in weights])


def resampled_tables(cases: Cases, plan: Bootstrap) -> Iterator[tuple[Ints, Ints]]:
    """Cumulative counts per score, ascending, of each replicate.

    Without clusters, cases are drawn within their class. With clusters, whole patients are drawn,
    and a replicate with one class is drawn again. Above 20 000 cases, scores are first grouped into
    at most 1024 cells of equal size.
    """
    if cases.cluster is None:
        yield from _stratified(cases, plan)
    else:
        yield from _by_patient(cases, cases.cluster, plan)


def resampled_aucs(cases: Cases, plan: Bootstrap) -> Floats:
    """AUROC of each replicate."""
    if cases.cluster is None and cases.n <= EXACT_UP_TO:
        return _aucs_of_drawn_cases(cases, plan)
    aucs = np.empty(plan.reps)
    for rep, (cum_pos, cum_neg) in enumerate(resampled_tables(cases, plan)):
        pos = np.diff(cum_pos, prepend=0)
        below = 2 * cum_neg - np.diff(cum_neg, prepend=0)
        aucs[rep] = float(pos @ below) / (2.0 * float(cum_pos[-1]) * float(cum_neg[-1]))
    return aucs


def _aucs_of_drawn_cases(cases: Cases, plan: Bootstrap) -> Floats:
    """AUROC of cases drawn within their class: counts of drawn negatives below each positive."""
    negatives, positives = (np.sort(cases.score[cases.reference == y]) for y in (False, True))
    lower, upper = (np.searchsorted(negatives, positives, side) for side in ("left", "right"))
    rng, m, n = plan.rng(), positives.size, negatives.size
    aucs, cumulative = np.empty(plan.reps), np.zeros(n + 1, np.int64)
    for rep in range(plan.reps):
        np.cumsum(np.bincount(_drawn(rng, n), minlength=n), out=cumulative[1:])
        row = _drawn(rng, m)
        below = cumulative[lower[row]].sum() + cumulative[upper[row]].sum()
        aucs[rep] = below / (2.0 * m * n)
    return aucs


def _drawn(rng: np.random.Generator, n: int) -> Ints:
    """Draw n of n with replacement; uneven by at most 1e-12, a third faster than `integers`."""
    return (rng.random(n) * n).astype(np.int64)


def _stratified(cases: Cases, plan: Bootstrap) -> Iterator[tuple[Ints, Ints]]:
    table = RankTable.from_scores(cases.reference, cases.score)
    if cases.n > EXACT_UP_TO:
        table = _grouped(table, MAX_CELLS)
    rng, cells = plan.rng(), table.score.size
    classes = (table.pos, table.neg)
    if cases.n > 4 * cells:  # drawing counts costs less than drawing cases
        for _ in range(plan.reps):
            pos, neg = (rng.multinomial(c.sum(), c / c.sum()) for c in classes)
            yield np.cumsum(pos), np.cumsum(neg)
        return
    members = [np.repeat(np.arange(cells), c) for c in classes]
    for _ in range(plan.reps):
        pos, neg = (
            np.bincount(g[rng.integers(g.size, size=g.size)], minlength=cells) for g in members
        )
        yield np.cumsum(pos), np.cumsum(neg)


def _grouped(table: RankTable, most: int) -> RankTable:
    """Rank table with neighbouring scores grouped into at most `most` cells."""
    total = table.cum_pos + table.cum_neg
    if total.size <= most:
        return table
    ends = np.unique(np.searchsorted(total, np.linspace(0, total[-1], most + 1)[1:]))
    return RankTable(table.score[ends], table.cum_pos[ends], table.cum_neg[ends])


def _by_patient(cases: Cases, cluster: Ints, plan: Bootstrap) -> Iterator[tuple[Ints, Ints]]:
    rows, owner = canonical(cluster, cases.score, cases.reference)
    ranked, labels, rng = cases.score[rows], cases.reference[rows], plan.rng()
    ends = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), ranked.size - 1)
    patients = int(owner.max()) + 1
    done = 0
    while done < plan.reps:
        weight = patient_weights(rng, patients)[owner]
        cum_all = np.cumsum(weight)[ends]
        cum_pos = np.cumsum(weight * labels)[ends]
        if 0 < cum_pos[-1] < cum_all[-1]:
            done += 1
            yield cum_pos, cum_all - cum_pos
