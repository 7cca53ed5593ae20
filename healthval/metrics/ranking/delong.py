"""Variance of the AUROC: DeLong, Obuchowski (clusters) and Newcombe's method 5."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from healthval.metrics.inputs import Bools, Floats, Ints, Tallies
from healthval.metrics.logistic import dot
from healthval.metrics.ranking.sums import auc_and_variance_of_sums, exact_dot
from healthval.metrics.ranking.table import BLOCK, RankTable


@dataclass(frozen=True, slots=True)
class Placements:
    """Placement of each case in the caller's order: share of the other class it beats, ties half."""

    auc: float
    v10: Floats
    v01: Floats

    def parts(self, reference: Bools) -> Floats:
        """Influence of each case on the AUROC."""
        parts = np.empty(reference.size)
        parts[reference] = (self.v10 - self.auc) / self.v10.size
        parts[~reference] = (self.v01 - self.auc) / self.v01.size
        return parts


def auc_and_variance(table: RankTable) -> tuple[float, float | None]:
    """Mann-Whitney AUROC with half credit for ties, and DeLong's variance.

    The variance is None when a class has a single case.

    References
    ----------
    DeLong 1988 Biometrics 44:837; Sun and Xu 2014 IEEE Signal Process Lett 21:1389.
    """
    m, n = table.n_pos, table.n_neg
    won, won_squared = _summed(_blocks(table.cum_pos, table.cum_neg), (m, n))
    _, lost_squared = _summed(_blocks(table.cum_neg, table.cum_pos), (n, m))
    return auc_and_variance_of_sums((m, n), won, won_squared, lost_squared)


def _summed(blocks: Iterator[tuple[Floats, Floats]], sizes: tuple[int, int]) -> tuple[int, int]:
    """Exact weighted sums of whole numbers and of their squares."""
    total = squares = 0
    small = 4 * sizes[0] * sizes[1] ** 2 < 2**53  # then squares are exact in floats
    for weight, values in blocks:
        pairs = weight * values
        total += int(pairs.sum())
        if small:
            squares += int(np.dot(pairs, values))
        else:
            squares += exact_dot(pairs.astype(np.int64), values.astype(np.int64))
    return total, squares


def _blocks(own: Tallies, other: Tallies) -> Iterator[tuple[Floats, Floats]]:
    """Per score: cases of one class, and twice the cases of the other below it (ties once).

    In blocks, because for arrays as long as the data memory costs more than the sums.
    """
    for start in range(0, own.size, BLOCK):
        here, before = slice(start, start + BLOCK), slice(max(start - 1, 0), start + BLOCK - 1)
        cases, below = own[here].astype(np.float64), other[here].astype(np.float64)
        skip = int(start == 0)
        cases[skip:] -= own[before][: cases.size - skip]
        below[skip:] += other[before][: below.size - skip]
        yield cases, below


def placements(reference: Bools, score: Floats) -> Placements:
    """Placements: `v10` of the positives, `v01` of the negatives."""
    order = np.argsort(score)
    ranked, labels = score[order], reference[order]
    last = np.append(ranked[1:] != ranked[:-1], True)
    ends = np.flatnonzero(last)
    cum_pos = np.cumsum(labels, dtype=np.int64)[ends]
    table = RankTable(ranked[ends], cum_pos, ends + 1 - cum_pos)
    m, n = table.n_pos, table.n_neg
    group = np.empty(score.size, np.int64)
    group[order] = np.cumsum(last) - last
    v10 = (table.cum_neg - 0.5 * table.neg) / n
    v01 = (m - table.cum_pos + 0.5 * table.pos) / m
    auc = sum(dot(pos, below) for pos, below in _blocks(table.cum_pos, table.cum_neg)) / (
        2.0 * m * n
    )
    return Placements(auc, v10[group[reference]], v01[group[~reference]])


def delong_covariance(a: Placements, b: Placements) -> float | None:
    """Covariance of two AUROCs over the same cases; None when a class has a single case."""
    m, n = a.v10.size, a.v01.size
    if min(m, n) < 2:
        return None
    s10 = float(np.einsum("i,i->", a.v10 - a.auc, b.v10 - b.auc)) / (m - 1)
    s01 = float(np.einsum("i,i->", a.v01 - a.auc, b.v01 - b.auc)) / (n - 1)
    return s10 / m + s01 / n


def obuchowski_covariance(
    reference: Bools, cluster: Ints, a: Placements, b: Placements
) -> float | None:
    """Covariance of two AUROCs with clustered cases; equals DeLong's for clusters of one case.

    None when either class has fewer than two clusters.

    References
    ----------
    Obuchowski 1997 Biometrics 53:567.
    """
    size = int(cluster.max()) + 1
    in_pos, in_neg = cluster[reference], cluster[~reference]
    with_pos, with_neg = (np.bincount(codes, minlength=size) > 0 for codes in (in_pos, in_neg))
    i10, i01, i = (int(np.count_nonzero(x)) for x in (with_pos, with_neg, with_pos | with_neg))
    if min(i10, i01) < 2:
        return None
    m, n = in_pos.size, in_neg.size
    pos_a, pos_b = (np.bincount(in_pos, (x.v10 - x.auc) / m, size) for x in (a, b))
    neg_a, neg_b = (np.bincount(in_neg, (x.v01 - x.auc) / n, size) for x in (a, b))
    cross = float(pos_a @ neg_b + neg_a @ pos_b) * i / (i - 1)
    return float(pos_a @ pos_b) * i10 / (i10 - 1) + float(neg_a @ neg_b) * i01 / (i01 - 1) + cross


def newcombe_interval(auc: float, m: float, n: float, z: float) -> tuple[float, float]:
    """Newcombe's method 5: score-type inversion of the Hanley-McNeil variance.

    `m` and `n` may be effective sizes. Conservative, and of positive width at 0 and 1.

    References
    ----------
    Newcombe 2006 Stat Med 25:559.
    """
    from scipy.optimize import brentq

    half = (m + n) / 2 - 1

    def excess(theta: float) -> float:
        spread = z**2 * (1 + half * ((1 - theta) / (2 - theta) + theta / (1 + theta))) / (m * n)
        if auc == 1:  # divided by 1 - theta, because 1 is a root but not the bound
            return 1 - theta - theta * spread
        return (auc - theta) ** 2 - theta * (1 - theta) * spread

    if auc < 0.5:
        lo, hi = newcombe_interval(1 - auc, n, m, z)
        return 1 - hi, 1 - lo
    lo = float(brentq(excess, 0.0, auc, xtol=1e-15))
    return lo, 1.0 if auc == 1 else float(brentq(excess, auc, 1.0, xtol=1e-15))
