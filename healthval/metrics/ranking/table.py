"""One sort, and the cumulative counts per tie group that all rank and threshold metrics need."""

from dataclasses import dataclass

import numpy as np

from healthval.metrics.inputs import Bools, Floats, Ints
from healthval.metrics.ranking.keys import ONE, Keys, sorted_keys

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
