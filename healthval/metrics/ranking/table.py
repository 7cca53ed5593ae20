"""Sort of scores with their labels, and the rank table: cumulative counts per distinct score.

Each case is sorted as one whole number, the key, in the order of score, then label. Non-negative
doubles have the order of their bits. Their sign bit is 0, so a left shift loses nothing and leaves
the lowest bit for the label. Keys are packed block by block, because for arrays as long as the data
memory costs more than arithmetic.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from healthval.metrics.inputs import Bools, Floats, Ints, Tallies

Keys = NDArray[np.uint64]
KEY_BLOCK = 32768  # for little arithmetic per case: fits the cache, with few calls
ONE = np.uint64(1)
_BITS_OF_ONE, _SIGN_BIT = 0x3FF << 52, 1 << 63
_DENORMAL = 1 << 52  # denormal doubles have smaller bits
# With this scale, doubles between 2**-255 and 2**255 have bits between 1 << 52 and 511 << 52, in the
# lower half of the bits of non-negative doubles. The other half is free for the negative scores.
_SCALE, _LIMIT, _HALF = 2.0**-767, 2.0**-512, 1 << 61
_NEAR_ZERO = np.array([2 * (_HALF - _DENORMAL - 1), 2 * (_HALF + _DENORMAL + 1)], np.uint64)


@dataclass(frozen=True, slots=True)
class SortedKeys:
    """Ascending keys; within a tie, cases without the condition are first.

    Attributes
    ----------
    keys : uint64 array, shape (n_cases,); the lowest bit is the label, the other bits are the score
    unpack : function from keys to scores; overwrites the keys where possible, to save memory
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
    # Keys that are bits of finite doubles are sorted as doubles, which is faster. Denormal doubles are
    # excluded: a library may have set the processor to read them as 0, and labels would be lost.
    (keys.view(np.float64) if low >= _DENORMAL and top <= _BITS_OF_ONE else keys).sort()
    return SortedKeys(keys, _unpack_no_negative)


def _unpack_no_negative(keys: Keys) -> Floats:
    keys >>= ONE
    return keys.view(np.float64)


def _of_both_signs(reference: Bools, score: Floats) -> SortedKeys | None:
    """Keys with inverted bits for negative scores; None where the scores exceed the scale."""
    keys = np.empty(score.size, np.uint64)
    for here in _blocks(score.size):
        block = keys[here]
        scaled = block.view(np.float64)
        np.multiply(score[here], _SCALE, out=scaled)
        scaled += 0.0  # -0.0 becomes 0.0
        if not -_LIMIT < scaled.min() <= scaled.max() < _LIMIT:
            return None
        above = block.view(np.int64) >> 63
        above += _HALF  # minus 1 where the score is negative, which sets all bits below the half
        block ^= above.view(np.uint64)
        block <<= ONE  # drops the sign bit
        block |= reference[here]
    keys.view(np.float64).sort()  # no key is denormal or infinite
    # Denormal products may have lost digits (some or all, or been rounded up to a normal double).
    # Only products of 0 are exact.
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
        negative = (block.view(np.int64) >> 63).view(np.uint64)  # all bits set, or none
        negative >>= ONE
        block ^= negative
        score[here] *= 1 / _SCALE
    return score


def _of_ranks(reference: Bools, score: Floats) -> SortedKeys:
    """Keys of ranks, for scores of extremely different size: two sorts, one of them slow."""
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
    cum_pos, cum_neg : int32 arrays (int64 from 2**31 cases on), shape (n_distinct,); cases at or
        below the score. A product of two counts is formed in float64 or Python's whole numbers
    """

    score: Floats
    cum_pos: Tallies
    cum_neg: Tallies

    @classmethod
    def from_scores(cls, reference: Bools, score: Floats) -> "RankTable":
        """Rank table from one sort. Equal scores (bit for bit, with 0.0 = -0.0) form one group."""
        if not score.size:
            none = np.empty(0, np.int64)
            return cls(np.empty(0), none, none)
        ranked = sorted_keys(reference, score)
        keys = ranked.keys
        last = _ends_of_ties(keys)
        kind = _kind(keys.size)
        cum_pos: Tallies = (keys & ONE).astype(kind)
        np.cumsum(cum_pos, dtype=kind, out=cum_pos)
        score = ranked.unpack(keys)
        if last.all():  # no ties
            cum_neg: Tallies = np.arange(1, keys.size + 1, dtype=kind)
            cum_neg -= cum_pos
            return cls(score, cum_pos, cum_neg)
        ends = np.flatnonzero(last)
        score, cum_pos = score[ends], cum_pos[ends]
        cum_neg = ends.astype(kind)
        cum_neg += 1
        cum_neg -= cum_pos
        return cls(score, cum_pos, cum_neg)

    @property
    def pos(self) -> Tallies:
        """Number of cases with the condition at each score."""
        return _steps(self.cum_pos)

    @property
    def neg(self) -> Tallies:
        """Number of cases without the condition at each score."""
        return _steps(self.cum_neg)

    @property
    def n_pos(self) -> int:
        """Number of cases with the condition."""
        return int(self.cum_pos[-1]) if self.cum_pos.size else 0

    @property
    def n_neg(self) -> int:
        """Number of cases without the condition."""
        return int(self.cum_neg[-1]) if self.cum_neg.size else 0

    def counts_at(self, thresholds: Floats) -> tuple[Ints, Ints]:
        """True and false positives at each threshold; positive means score >= threshold."""
        below = np.searchsorted(self.score, thresholds, side="left")
        tp = self.n_pos - np.concatenate([[0], self.cum_pos])[below]
        fp = self.n_neg - np.concatenate([[0], self.cum_neg])[below]
        return tp, fp


def _kind(largest: int) -> np.dtype[np.signedinteger[Any]]:
    return np.dtype(np.int32 if largest < 2**31 else np.int64)


def _steps(cumulative: Tallies) -> Tallies:
    steps = cumulative.copy()
    steps[1:] -= cumulative[:-1]
    return steps


def _ends_of_ties(keys: Keys) -> Bools:
    last = np.ones(keys.size, np.bool_)
    for start in range(0, keys.size - 1, BLOCK):
        here = keys[start : start + BLOCK + 1]
        np.greater(here[1:] ^ here[:-1], ONE, out=last[start : start + here.size - 1])
    return last
