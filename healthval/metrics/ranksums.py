"""The AUROC and DeLong's variance in whole numbers, from the ranks of the positives alone.

The k-th positive, k = 0, 1, ..., of rank r has r - k negatives below it, so three sums over the
positives (r, its square, r k) hold all that placements and their squares add up to. Every sum is
exact: nothing is lost when nearly equal terms cancel.
"""

from dataclasses import dataclass

import numpy as np

from healthval.metrics.inputs import Ints
from healthval.metrics.logistic import dot
from healthval.metrics.ranktable import KEY_BLOCK, Keys

FEW = 16  # one tie in so many keys; more of them are better gathered in a rank table


def auc_and_variance_of_keys(keys: Keys) -> tuple[float, float | None] | None:
    """AUROC and DeLong's variance of ascending keys of both classes; None where ties are many.

    The variance is None when a class has a single case.

    References
    ----------
    DeLong 1988 Biometrics 44:837.
    """
    sums, ties, found = _Sums(), [], 0
    for start in range(0, keys.size, KEY_BLOCK):
        ties.append(sums.add(keys[start : start + KEY_BLOCK + 1]))
        found += ties[-1].shape[1]
        if found > keys.size // FEW:
            return None
    m, n = sums.positives, keys.size - sums.positives
    credit = _half_credit(keys, *np.concatenate(ties, axis=1)) if found else (0, 0, 0)
    won, won_squared, lost_squared = (
        x + y for x, y in zip(sums.of_placements(), credit, strict=True)
    )
    return auc_and_variance_of_sums((m, n), won, won_squared, lost_squared)


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
class _Sums:
    """Sums over the positives so far; `keys` have passed."""

    keys: int = 0
    positives: int = 0
    rank: int = 0
    rank_squared: int = 0
    rank_by_k: int = 0

    def add(self, keys: Keys) -> Ints:
        """Take in one block and the key after it; where a negative ties with the next positive.

        Counted from the start of the block every product stays below 2**53, exact in floats.

        Returns
        -------
        array, shape (2, n_ties) : rank of the negative, positives below it
        """
        block = keys[:KEY_BLOCK]
        at = np.flatnonzero((block.astype(np.uint8) & np.uint8(1)).view(np.bool_))
        tied = _ties(keys)
        ties = np.array([tied + self.keys, np.searchsorted(at, tied) + self.positives])
        r, k = at.astype(np.float64), np.arange(at.size, dtype=np.float64)
        size, rank = at.size, int(r.sum())
        start, before = self.keys, self.positives
        self.rank += size * start + rank
        self.rank_squared += size * start**2 + 2 * start * rank + int(dot(r, r))
        self.rank_by_k += before * (size * start + rank) + start * _sum(size) + int(dot(r, k))
        self.keys, self.positives = start + block.size, before + size
        return ties

    def of_placements(self) -> tuple[int, int, int]:
        """Twice the negatives below each positive, summed; its squares; and those of the converse.

        Tied negatives count as below. Positives below a negative of rank r are r - k as well, and
        over all ranks r times the positives below r is what lies above each positive, summed.
        """
        m, total = self.positives, self.keys
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


def _ties(keys: Keys) -> Ints:
    apart = keys[1:] ^ keys[:-1]  # 1: same score, other label; equal keys are ties within a class
    if not apart.size or apart.min() > 1:
        return np.empty(0, np.int64)
    return np.flatnonzero(apart == 1)


def _half_credit(keys: Keys, at: Ints, positives: Ints) -> tuple[int, int, int]:
    """Add half of the ties: the corrections to `of_placements`, from each tie of both classes."""
    first, end = np.searchsorted(keys, keys[at]), np.searchsorted(keys, keys[at + 1], side="right")
    negatives, tied_negatives, tied_positives = first - positives, at + 1 - first, end - at - 1
    pairs = tied_negatives * tied_positives
    less = exact_dot(pairs, 4 * negatives + 3 * tied_negatives)
    more = exact_dot(pairs, 4 * positives + tied_positives)
    return -int(pairs.sum()), -less, more


def exact_dot(pairs: Ints, counts: Ints) -> int:
    """Byte by byte of the counts: twice the pairs add up to less than 2**53, and fit an int64."""
    bits = range(0, int(counts.max()).bit_length(), 8)
    return sum(int(np.dot(pairs, counts >> low & 255)) << low for low in bits)
