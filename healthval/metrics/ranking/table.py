"""One sort, and the cumulative counts per tie group that all rank and threshold metrics need."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from healthval.metrics.inputs import Bools, Floats, Ints

Keys = NDArray[np.uint64]
KEY_BLOCK = 32768  # where little is computed per case: fits the cache still, and spares calls
ONE = np.uint64(1)
_BITS_OF_ONE, _SIGN_BIT = 0x3FF << 52, 1 << 63
_DENORMAL = 1 << 52  # bits below are those of a denormal double
# Scaled so, doubles between 2**-255 and 2**255 have bits between 1 << 52 and 511 << 52: below half
# of what those of a non-negative double reach, which leaves room for the negative ones.
_SCALE, _LIMIT, _HALF = 2.0**-767, 2.0**-512, 1 << 61
_NEAR_ZERO = np.array([2 * (_HALF - _DENORMAL - 1), 2 * (_HALF + _DENORMAL + 1)], np.uint64)


@dataclass(frozen=True, slots=True)
class SortedKeys:
    """Ascending; within a tie cases without the condition come first.

    Attributes
    ----------
    keys : uint64 array, shape (n_cases,); equal scores differ in the lowest bit alone, the label
    unpack : turns the keys into scores, in place where it can: fresh memory costs more than sums
    """

    keys: Keys
    unpack: Callable[[Keys], Floats]


def sorted_keys(reference: Bools, score: Floats) -> SortedKeys:
    """Sort finite scores together with their labels."""
    return (
        _of_no_negative(reference, score)
        or _of_both_signs(reference, score)
        or _of_ranks(reference, score)
    )


def _blocks(size: int) -> list[slice]:
    return [slice(start, start + KEY_BLOCK) for start in range(0, size, KEY_BLOCK)]


def _of_no_negative(reference: Bools, score: Floats) -> SortedKeys | None:
    keys, low, top = np.empty(score.size, np.uint64), _SIGN_BIT, 0
    for here in _blocks(score.size):
        block = keys[here]
        np.add(score[here], 0.0, out=block.view(np.float64))  # -0.0 becomes 0.0
        low, top = min(low, int(block.min())), max(top, int(block.max()))
        if top >= _SIGN_BIT:
            return None
        block <<= ONE
        block |= reference[here]
    # Such keys are bits of finite doubles, which sort faster. Not those of denormal doubles: a
    # library may have told the processor to read them as 0, and the sort would lose their labels.
    (keys.view(np.float64) if low >= _DENORMAL and top <= _BITS_OF_ONE else keys).sort()
    return SortedKeys(keys, _unpack_no_negative)


def _unpack_no_negative(keys: Keys) -> Floats:
    keys >>= ONE
    return keys.view(np.float64)


def _of_both_signs(reference: Bools, score: Floats) -> SortedKeys | None:
    """Below the half the bits of negative scores inverted; None where the scale is too narrow."""
    keys = np.empty(score.size, np.uint64)
    for here in _blocks(score.size):
        block = keys[here]
        scaled = block.view(np.float64)
        np.multiply(score[here], _SCALE, out=scaled)
        scaled += 0.0  # -0.0 becomes 0.0
        if not -_LIMIT < scaled.min() <= scaled.max() < _LIMIT:
            return None
        above = block.view(np.int64) >> 63
        above += _HALF  # one less where the score is negative: all bits below the half
        block ^= above.view(np.uint64)
        block <<= ONE  # the sign drops out
        block |= reference[here]
    keys.view(np.float64).sort()  # no key is denormal or infinite
    # Denormal products may have lost digits, all of them or, rounded up, their being denormal; only
    # 0 has none to lose.
    first, end = np.searchsorted(keys, _NEAR_ZERO)
    if first < end and end - first > score.size - np.count_nonzero(score):
        return None
    return SortedKeys(keys, _unpack_both_signs)


def _unpack_both_signs(keys: Keys) -> Floats:
    score = keys.view(np.float64)
    for here in _blocks(keys.size):
        block = keys[here]
        block >>= ONE
        block -= np.uint64(_HALF)
        negative = (block.view(np.int64) >> 63).view(np.uint64)  # all bits of it, or none
        negative >>= ONE
        block ^= negative
        score[here] *= 1 / _SCALE
    return score


def _of_ranks(reference: Bools, score: Floats) -> SortedKeys:
    """For the rare scores whose sizes differ beyond all scales: two sorts, one of them slow."""
    distinct, rank = np.unique(score + 0.0, return_inverse=True)
    ranked = sorted_keys(reference, rank.astype(np.float64))
    return SortedKeys(ranked.keys, lambda keys: distinct[ranked.unpack(keys).astype(np.int64)])


BLOCK = 8192  # fits the cache


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
        ranked = sorted_keys(reference, score)
        keys = ranked.keys
        last = _ends_of_ties(keys)
        label = (keys & ONE).view(np.int64)
        cum_pos = np.cumsum(label, out=label)
        score = ranked.unpack(keys)
        if last.all():  # no ties: nothing to gather
            cum_neg = np.arange(1, keys.size + 1)
            cum_neg -= cum_pos
            return cls(score, cum_pos, cum_neg)
        ends = np.flatnonzero(last)
        return _from_ends(score[ends], cum_pos[ends], ends)

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


def _ends_of_ties(keys: Keys) -> Bools:
    last = np.ones(keys.size, np.bool_)
    for start in range(0, keys.size - 1, BLOCK):
        here = keys[start : start + BLOCK + 1]
        np.greater(here[1:] ^ here[:-1], ONE, out=last[start : start + here.size - 1])
    return last


def _from_ends(score: Floats, cum_pos: Ints, ends: Ints) -> RankTable:
    ends += 1
    ends -= cum_pos
    return RankTable(score, cum_pos, ends)
