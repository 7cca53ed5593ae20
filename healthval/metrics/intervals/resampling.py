"""Exact nonparametric bootstrap on sufficient counts: no replicate ever copies the data."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from healthval.metrics.inputs import Cases, Floats, Ints
from healthval.metrics.intervals.analytic import Bootstrap
from healthval.metrics.ranking.table import RankTable

MAX_CELLS = 1024
EXACT_UP_TO = 20_000


def canonical(owner: Ints, *columns: NDArray[Any]) -> tuple[Ints, Ints]:
    """Give an order of rows and new patient codes that depend on values alone.

    Neither the order of the rows nor the labels of patients may change what a seed draws.

    Parameters
    ----------
    owner : patient of each row, codes from 0
    columns : what the statistic knows of each row, the most important first

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
    """Give the same cases in canonical order."""
    owner = np.arange(cases.n) if cases.cluster is None else cases.cluster
    rows, patient = canonical(owner, cases.score, cases.reference)
    cluster = None if cases.cluster is None else patient
    return Cases(cases.reference[rows], cases.score[rows], cluster)


def resampled_tables(cases: Cases, plan: Bootstrap) -> Iterator[tuple[Ints, Ints]]:
    """Cumulative counts per score, ascending, of each replicate.

    Without clusters cases are drawn within their class; with clusters whole patients are drawn,
    and a replicate with one class is drawn again. Above 20 000 cases scores are first gathered in
    at most 1024 cells of equal size.
    """
    if cases.cluster is None:
        yield from _stratified(cases, plan)
    else:
        yield from _by_patient(cases, plan)


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
    """Cases drawn within their class; a drawn positive looks up how many drawn negatives lie below."""
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
    """N of n with replacement; uneven by 1e-12 at most, and a third faster than `integers`."""
    return (rng.random(n) * n).astype(np.int64)


def _stratified(cases: Cases, plan: Bootstrap) -> Iterator[tuple[Ints, Ints]]:
    table = RankTable.from_scores(cases.reference, cases.score)
    if cases.n > EXACT_UP_TO:
        table = _gathered(table, MAX_CELLS)
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


def _gathered(table: RankTable, most: int) -> RankTable:
    """At most this many cells of neighbouring scores."""
    total = table.cum_pos + table.cum_neg
    if total.size <= most:
        return table
    ends = np.unique(np.searchsorted(total, np.linspace(0, total[-1], most + 1)[1:]))
    return RankTable(table.score[ends], table.cum_pos[ends], table.cum_neg[ends])


def _by_patient(cases: Cases, plan: Bootstrap) -> Iterator[tuple[Ints, Ints]]:
    cases, rng = canonical_cases(cases), plan.rng()
    ranked, labels, owner = cases.score, cases.reference, cases.cluster
    assert owner is not None  # noqa: S101  # the caller branched on it
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


def patient_weights(rng: np.random.Generator, patients: int) -> Ints:
    """How often each patient is drawn in one replicate."""
    return np.bincount(rng.integers(patients, size=patients), minlength=patients)
