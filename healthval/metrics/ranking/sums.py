"""AUROC and DeLong's variance in exact whole numbers, from the ranks of the positives alone.

The k-th positive, k = 0, 1, ..., of rank r has r - k negatives below it. Three sums over the
positives (r, r squared, r times k) therefore determine the sums of placements and of their squares.
Every sum is exact, so cancellation of nearly equal terms loses no digit.
"""

from dataclasses import dataclass, field

import numpy as np

from healthval.metrics.inputs import Bools, Ints
from healthval.metrics.logistic import dot
from healthval.metrics.ranking.table import KEY_BLOCK, ONE, Keys

FEW = 16  # with at most one tie per 16 keys, the ends of ties are found by search
_NONE = np.empty((2, 0), np.int64)
_NO_TIE = np.uint64(2)  # any step other than 0 and 1


def auc_and_variance_of_keys(keys: Keys) -> tuple[float, float | None]:
    """AUROC and DeLong's variance from ascending keys of both classes.

    The variance is None when a class has a single case.

    References
    ----------
    DeLong 1988 Biometrics 44:837.
    """
    sums, ties = _Sums(), _Ties(keys=keys)
    for start in range(0, keys.size, KEY_BLOCK):
        at = _positives(keys[start : start + KEY_BLOCK])
        ties.add(start, at, sums.positives)
        sums.add(start, at)
    ties.close()
    won, won_squared, lost_squared = sums.of_placements(keys.size)
    return auc_and_variance_of_sums(
        (sums.positives, keys.size - sums.positives),
        won + ties.won,
        won_squared + ties.won_squared,
        lost_squared + ties.lost_squared,
    )


def auc_and_variance_of_sums(
    sizes: tuple[int, int], won: int, won_squared: int, lost_squared: int
) -> tuple[float, float | None]:
    """AUROC and DeLong's variance from sums over placements.

    Parameters
    ----------
    sizes : number of positives, number of negatives
    won : sum over positives of twice the negatives below each (ties count once)
    won_squared : sum of the squares of the same terms
    lost_squared : sum over negatives of the square of twice the positives below each
    """
    m, n = sizes
    auc = won / (2 * m * n)
    if min(m, n) < 2:
        return auc, None
    lost, unit = 2 * m * n - won, 4 * m**2 * n**2
    s10 = (m * won_squared - won**2) / (unit * (m - 1))
    s01 = (n * lost_squared - lost**2) / (unit * (n - 1))
    return auc, s10 + s01


@dataclass(slots=True, kw_only=True)
class _Ties:
    """Half credit for ties between the classes: the corrections to `of_placements`."""

    keys: Keys
    won: int = 0
    won_squared: int = 0
    lost_squared: int = 0
    few: list[Ints] = field(default_factory=list)

    def add(self, start: int, at: Ints, before: int) -> None:
        """Add the ties whose first positive is in the block.

        Parameters
        ----------
        start : rank of the first key of the block
        at : positions of the positives in the block
        before : number of positives before the block
        """
        steps = _steps(self.keys, start)
        if steps.min() > ONE:  # a step of 0 is a tie within a class
            return
        tied = steps == ONE
        first = np.flatnonzero(tied)
        if first.size <= steps.size // FEW:
            self.few.append(np.array([first + start, np.searchsorted(at, first) + before]))
        else:
            begin, end = _ends_by_runs(self.keys, start, (steps, tied))
            self._credit((begin, first + start, end), np.flatnonzero(tied[at]) + before)

    def close(self) -> None:
        """Credit the ties of blocks with few ties, all at once."""
        middle, before = np.concatenate([_NONE, *self.few], axis=1)
        if middle.size:
            keys = self.keys
            begin = keys.searchsorted(keys[middle - 1])
            end = keys.searchsorted(keys[middle], side="right")
            self._credit((begin, middle, end), before)

    def _credit(self, bounds: tuple[Ints, Ints, Ints], positives: Ints) -> None:
        begin, middle, end = bounds
        tied_negatives, tied_positives = middle - begin, end - middle
        pairs = tied_negatives * tied_positives
        self.won -= int(pairs.sum())
        self.won_squared -= exact_dot(pairs, 4 * (begin - positives) + 3 * tied_negatives)
        self.lost_squared += exact_dot(pairs, 4 * positives + tied_positives)


@dataclass(slots=True)
class _Sums:
    """Sums over the positives of all blocks added."""

    positives: int = 0
    rank: int = 0
    rank_squared: int = 0
    rank_by_k: int = 0

    def add(self, start: int, at: Ints) -> None:
        """Add a block: rank of its first key, and positions of its positives.

        Positions are relative to the block, so that every product is below 2**53 and exact in floats.
        """
        r, k = at.astype(np.float64), np.arange(at.size, dtype=np.float64)
        size, rank, before = at.size, int(r.sum()), self.positives
        self.rank += size * start + rank
        self.rank_squared += size * start**2 + 2 * start * rank + int(dot(r, r))
        self.rank_by_k += before * (size * start + rank) + start * _sum(size) + int(dot(r, k))
        self.positives += size

    def of_placements(self, total: int) -> tuple[int, int, int]:
        """`won`, `won_squared` and `lost_squared` of `auc_and_variance_of_sums`, ties not halved.

        Tied negatives count as below. The j-th negative, j = 0, 1, ..., of rank r has r - j
        positives below it. Sums over negatives are sums over all ranks minus sums over positives;
        the sum over all ranks r of r times the positives below r is the sum, over positives, of the
        ranks above each.
        """
        m = self.positives
        won = self.rank - _sum(m)
        won_squared = self.rank_squared - 2 * self.rank_by_k + _sum_of_squares(m)
        lost_squared = (
            m * total * (total - 1)
            - self.rank
            - 2 * self.rank_by_k
            + _sum_of_squares(total - m)
            - _sum_of_squares(total)
        )
        return 2 * won, 4 * won_squared, 4 * lost_squared


def _sum(count: int) -> int:
    return count * (count - 1) // 2  # of 0, 1, ..., count - 1


def _sum_of_squares(count: int) -> int:
    return (count - 1) * count * (2 * count - 1) // 6


def _positives(block: Keys) -> Ints:
    return np.flatnonzero((block.astype(np.uint8) & np.uint8(1)).view(np.bool_))


def _steps(keys: Keys, start: int) -> Keys:
    """Bits in which each key of the block differs from the one before: 1 is a tie (label only)."""
    here = keys[max(start - 1, 0) : start + KEY_BLOCK]
    steps = here[1:] ^ here[:-1]
    return steps if start else np.append(_NO_TIE, steps)


def _ends_by_runs(keys: Keys, start: int, found: tuple[Keys, Bools]) -> tuple[Ints, Ints]:
    """Begin and end of each tie in the block, from the runs of equal keys before and after it."""
    steps, tied = found
    new = np.flatnonzero(steps != 0)
    middle = np.flatnonzero(tied[new])
    before = keys.searchsorted(keys[max(start - 1, 0)])  # runs may begin before the block
    after = keys.searchsorted(keys[start + steps.size - 1], side="right")
    bounds = np.concatenate([[before], new + start, [after]])
    return bounds[middle], bounds[middle + 2]


def exact_dot(pairs: Ints, counts: Ints) -> int:
    """Exact sum of products: one int64 product per digit of `counts`, in digits of maximal width."""
    width = 63 - int(pairs.sum()).bit_length()
    digits = range(0, int(counts.max()).bit_length(), width)
    mask = (1 << width) - 1
    return sum(int(np.dot(pairs, counts >> low & mask)) << low for low in digits)
