"""One sort for scores and labels: each case as a whole number, in the order of score, then label.

Order of non-negative doubles = order of their bits, which leave the lowest place free for the
label: the sign bit is 0, so shifting left loses nothing. Keys are packed block by block, for
arrays as long as the data cost more in memory than in arithmetic.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from healthval.metrics.inputs import Bools, Floats

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
