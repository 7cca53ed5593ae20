"""One sort, and the cumulative counts per tie group that all rank and threshold metrics need."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from healthval.metrics.inputs import Bools, Floats, Ints

Keys = NDArray[np.uint64]
BLOCK = 8192  # fits the cache
KEY_BLOCK = 32768  # where little is computed per case: fits the cache still, and spares calls
_ONE = np.uint64(1)
_BITS_OF_ONE, _SIGN_BIT = 0x3FF << 52, 1 << 63
_DENORMAL = 1 << 52  # bits below are those of a denormal double


@dataclass(frozen=True, slots=True)
class RankTable:
    """Cases per distinct score, ascending.

    Attributes
    ----------
    score : float64 array, shape (n_distinct,)
    cum_pos, cum_neg : int64 arrays, shape (n_distinct,); cases at or below the score
    """

    score: Floats
    cum_pos: Ints
    cum_neg: Ints

    @classmethod
    def from_scores(cls, reference: Bools, score: Floats) -> "RankTable":
        """Sort once. Equal scores (bit for bit, with 0.0 = -0.0) form one group."""
        if not score.size:
            none = np.empty(0, np.int64)
            return cls(np.empty(0), none, none)
        keys = sorted_keys(reference, score)
        return cls.from_keys(keys) if keys is not None else cls._by_argsort(reference, score)

    @classmethod
    def from_keys(cls, keys: Keys) -> "RankTable":
        """Unpack `sorted_keys` in place, which uses them up: fresh memory costs more than sums."""
        last = _ends_of_ties(keys)
        label = (keys & _ONE).view(np.int64)
        cum_pos = np.cumsum(label, out=label)
        keys >>= _ONE
        score = keys.view(np.float64)
        if last.all():  # no ties: nothing to gather
            cum_neg = np.arange(1, keys.size + 1)
            cum_neg -= cum_pos
            return cls(score, cum_pos, cum_neg)
        ends = np.flatnonzero(last)
        return _from_ends(score[ends], cum_pos[ends], ends)

    @classmethod
    def _by_argsort(cls, reference: Bools, score: Floats) -> "RankTable":
        order = np.argsort(score, kind="stable")
        ranked, labels = score[order], reference[order]
        ends = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), score.size - 1)
        return _from_ends(ranked[ends], np.cumsum(labels, dtype=np.int64)[ends], ends)

    @property
    def pos(self) -> Ints:
        """Cases with the condition at each score."""
        return _steps(self.cum_pos)

    @property
    def neg(self) -> Ints:
        """Cases without the condition at each score."""
        return _steps(self.cum_neg)

    @property
    def n_pos(self) -> int:
        """Cases with the condition."""
        return int(self.cum_pos[-1]) if self.cum_pos.size else 0

    @property
    def n_neg(self) -> int:
        """Cases without the condition."""
        return int(self.cum_neg[-1]) if self.cum_neg.size else 0

    def counts_at(self, thresholds: Floats) -> tuple[Ints, Ints]:
        """Count true and false positives at each threshold; positive means score >= threshold."""
        below = np.searchsorted(self.score, thresholds, side="left")
        tp = self.n_pos - np.concatenate([[0], self.cum_pos])[below]
        fp = self.n_neg - np.concatenate([[0], self.cum_neg])[below]
        return tp, fp


def _steps(cumulative: Ints) -> Ints:
    steps = cumulative.copy()
    steps[1:] -= cumulative[:-1]
    return steps


def sorted_keys(reference: Bools, score: Floats) -> Keys | None:
    """Scores with their labels as integers, ascending; None where a score is negative.

    Order of non-negative doubles = order of their bits, which leave the lowest place free: the
    sign bit is 0, so shifting left loses nothing, and the label takes the low bit. One in-place
    sort then ranks scores and carries labels along. Keys are packed block by block, for arrays as
    long as the data cost more in memory than in arithmetic.
    """
    keys, low, top = np.empty(score.size, np.uint64), _SIGN_BIT, 0
    for start in range(0, score.size, KEY_BLOCK):
        here = slice(start, start + KEY_BLOCK)
        block = keys[here]
        np.add(score[here], 0.0, out=block.view(np.float64))  # -0.0 becomes 0.0
        low, top = min(low, int(block.min())), max(top, int(block.max()))
        if top >= _SIGN_BIT:
            return None
        block <<= _ONE
        block |= reference[here]
    # Such keys are bits of finite doubles, which sort faster. Not those of denormal doubles: a
    # library may have told the processor to read them as 0, and the sort would lose their labels.
    (keys.view(np.float64) if low >= _DENORMAL and top <= _BITS_OF_ONE else keys).sort()
    return keys


def _ends_of_ties(keys: Keys) -> Bools:
    last = np.ones(keys.size, np.bool_)
    for start in range(0, keys.size - 1, BLOCK):
        here = keys[start : start + BLOCK + 1]
        np.greater(here[1:] ^ here[:-1], _ONE, out=last[start : start + here.size - 1])
    return last


def _from_ends(score: Floats, cum_pos: Ints, ends: Ints) -> RankTable:
    ends += 1
    ends -= cum_pos
    return RankTable(score, cum_pos, ends)
