"""The AUROC and DeLong's variance in whole numbers, from the ranks of the positives alone.

The k-th positive, k = 0, 1, ..., of rank r has r - k negatives below it, so three sums over the
positives (r, its square, r k) hold all that placements and their squares add up to. Every sum is
exact: nothing is lost when nearly equal terms cancel.
"""

from dataclasses import dataclass, field

import numpy as np

from healthval.metrics.inputs import Bools, Ints
from healthval.metrics.logistic import dot
from healthval.metrics.ranking.table import KEY_BLOCK, ONE, Keys

FEW = 16  # up to one tie in so many keys its ends are searched, all at once
_NONE = np.empty((2, 0), np.int64)
_NO_TIE = np.uint64(2)  # any step but 0 and 1


def auc_and_variance_of_keys(keys: Keys) -> tuple[float, float | None]:
    """AUROC and DeLong's variance of ascending keys of both classes.

    The variance is None when a class has a single case.

    References
    ----------
    DeLong 1988 Biometrics 44:837.
    """
    sums, ties = _Sums(), _Ties(keys)
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
    """From twice the negatives below each positive, summed, its squares, and the converse ones."""
    m, n = sizes
    auc = won / (2 * m * n)
    if min(m, n) < 2:
        return auc, None
    lost, unit = 2 * m * n - won, 4 * m**2 * n**2
    s10 = (m * won_squared - won**2) / (unit * (m - 1))
    s01 = (n * lost_squared - lost**2) / (unit * (n - 1))
    return auc, s10 + s01


@dataclass(slots=True)
class _Ties:
    """Half credit of the ties of both classes: what `of_placements` must be corrected by."""

    keys: Keys
    won: int = 0
    won_squared: int = 0
    lost_squared: int = 0
    few: list[Ints] = field(default_factory=list)

    def add(self, start: int, at: Ints, before: int) -> None:
        """Take in ties whose first positive is in the block: one `at`, `before` ones earlier."""
        steps = _steps(self.keys, start)
        if steps.min() > ONE:  # 0 is a tie within a class
            return
        tied = steps == ONE
        first = np.flatnonzero(tied)
        if first.size <= steps.size // FEW:
            self.few.append(np.array([first + start, np.searchsorted(at, first) + before]))
        else:
            begin, end = _ends_by_runs(self.keys, start, (steps, tied))
            self._credit((begin, first + start, end), np.flatnonzero(tied[at]) + before)

    def close(self) -> None:
        """Credit the ties that were too few to repay the arithmetic in their block."""
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
    """Sums over the positives so far."""

    positives: int = 0
    rank: int = 0
    rank_squared: int = 0
    rank_by_k: int = 0

    def add(self, start: int, at: Ints) -> None:
        """Take in a block: from which rank, and where positives are in it.

        Counted from the start of the block every product stays below 2**53, exact in floats.
        """
        r, k = at.astype(np.float64), np.arange(at.size, dtype=np.float64)
        size, rank, before = at.size, int(r.sum()), self.positives
        self.rank += size * start + rank
        self.rank_squared += size * start**2 + 2 * start * rank + int(dot(r, r))
        self.rank_by_k += before * (size * start + rank) + start * _sum(size) + int(dot(r, k))
        self.positives += size

    def of_placements(self, total: int) -> tuple[int, int, int]:
        """Twice the negatives below each positive, summed; its squares; and those of the converse.

        Tied negatives count as below. Positives below a negative of rank r are r - k as well, and
        over all ranks r times the positives below r is what lies above each positive, summed.
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
    """What tells each key of the block from the one before: 1 is the label alone, a tie."""
    here = keys[max(start - 1, 0) : start + KEY_BLOCK]
    steps = here[1:] ^ here[:-1]
    return steps if start else np.append(_NO_TIE, steps)


def _ends_by_runs(keys: Keys, start: int, found: tuple[Keys, Bools]) -> tuple[Ints, Ints]:
    """Where each tie of the block begins and ends: the runs of equal keys before and after it."""
    steps, tied = found
    new = np.flatnonzero(steps != 0)
    middle = np.flatnonzero(tied[new])
    before = keys.searchsorted(keys[max(start - 1, 0)])  # runs may begin before the block
    after = keys.searchsorted(keys[start + steps.size - 1], side="right")
    bounds = np.concatenate([[before], new + start, [after]])
    return bounds[middle], bounds[middle + 2]


def exact_dot(pairs: Ints, counts: Ints) -> int:
    """Digit by digit of the counts, each as wide as keeps the sum in an int64."""
    width = 63 - int(pairs.sum()).bit_length()
    digits = range(0, int(counts.max()).bit_length(), width)
    mask = (1 << width) - 1
    return sum(int(np.dot(pairs, counts >> low & mask)) << low for low in digits)
