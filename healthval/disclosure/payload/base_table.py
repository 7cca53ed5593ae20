"""Base table of a release: events above each cut, with noise (pure).

The noise of k cumulative counts is drawn for a square root of the summation matrix: one outcome then
enters all of them with a norm of about log k instead of k.

References
----------
Fichtenberger, Henzinger and Upadhyay 2023 ICML (square root of the summation matrix); Dong, Roth
and Su 2022 JRSS-B 84:3 (Gaussian differential privacy).
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import toeplitz
from scipy.special import expit, logit

from healthval.disclosure.payload.keyed_noise import KeyedNoise

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
NEAREST = 1e-4  # distance of a probability from 0 and 1 on the logit scale


def square_root(k: int) -> Floats:
    """Lower triangular matrix whose square sums up to each position.

    Examples
    --------
    >>> (square_root(3) @ square_root(3)).tolist()
    [[1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [1.0, 1.0, 1.0]]
    """
    steps = np.arange(1, k)
    column = np.append(1.0, np.cumprod((2 * steps - 1) / (2 * steps)))
    return np.asarray(toeplitz(column, np.zeros(k)), dtype=np.float64)


def privacy_loss(k: int, sd: float) -> float:
    """Largest effect of one outcome on k cumulative counts, in deviations of their noise.

    It is mu of Gaussian differential privacy, for noise of deviation `sd` on the largest count.

    Examples
    --------
    >>> round(privacy_loss(4, 2.0), 2), round(privacy_loss(23, 2.0), 2)
    (0.74, 1.03)
    """
    return float(np.sum(square_root(k)[:, 0] ** 2)) / sd


def noisy_cumulative(
    true: Mapping[float, int], noise: KeyedNoise, *facts: object
) -> dict[float, int]:
    """Perturb the events above each cut; the largest count, of all events, has the full noise."""
    cuts = sorted(true, reverse=True)
    root = square_root(len(cuts))
    z = noise.normals(len(cuts), "events", *facts, *(true[at] for at in cuts))
    shift = root @ z * noise.sd / float(np.linalg.norm(root[:, 0]))
    return {at: round(true[at] + x) for at, x in zip(cuts, shift.tolist(), strict=True)}


def within_gaps(
    wanted: Sequence[int], ends: tuple[int, int], gaps: Sequence[tuple[int, int]]
) -> list[int]:
    """Fit falling counts between two ends, so that each step down is within its limits.

    A pass from the top pulls counts down, and one from the bottom pulls them up: their middle is not
    biased, and it is within the limits since both passes are.

    Parameters
    ----------
    wanted : counts before the fit, in falling order up to noise
    ends : the count before the first and the one after the last
    gaps : least and greatest step; one more than counts

    Examples
    --------
    >>> within_gaps([41, 30], (40, 0), [(1, 10), (1, 20), (1, 35)])
    [39, 30]
    """
    least, most = np.array(gaps).T
    low = np.maximum(ends[0] - np.cumsum(most)[:-1], ends[1] + np.cumsum(least[::-1])[::-1][1:])
    high = np.minimum(ends[0] - np.cumsum(least)[:-1], ends[1] + np.cumsum(most[::-1])[::-1][1:])
    down, up, before, after = [], [], ends[0], ends[1]
    for i, x in enumerate(wanted):
        before = int(min(max(x, low[i], before - most[i]), high[i], before - least[i]))
        down.append(before)
    for i, x in reversed(list(enumerate(wanted))):
        after = int(max(min(x, high[i], after + most[i + 1]), low[i], after + least[i + 1]))
        up.append(after)
    return [(a + b) // 2 for a, b in zip(down, reversed(up), strict=True)]


def synthetic(rising: Floats, table: Mapping[float, tuple[int, int]]) -> tuple[Floats, Bools]:
    """Scores and outcomes of synthetic cases with the given counts (tp, fp) at each cut.

    Between two cuts the cases have the scores there, and the outcomes are spread as the scores expect
    them, moved to the given number of events. Every statistic of these cases is a function of the
    table and of the scores, which the reader knows.
    """
    cuts = [*sorted(table), np.inf]
    ends = [*np.searchsorted(rising, cuts[:-1]).tolist(), rising.size]
    score: list[Floats] = []
    outcome: list[Bools] = []
    for (low, high), (start, end) in zip(pairwise(cuts), pairwise(ends), strict=True):
        e, o = np.subtract(table[low], table.get(high, (0, 0))).tolist()
        i, n = np.arange(e + o), max(1, e + o)
        middle = np.array([(low + min(high, 1.0)) / 2])
        inside = rising[start:end] if end > start else middle
        score.append(inside[((2 * i + 1) * inside.size) // (2 * n)])
        so_far = np.floor(np.cumsum(_chances(score[-1], e)) + 0.5)
        outcome.append(np.diff(so_far, prepend=0.0) > 0)
    return np.concatenate(score), np.concatenate(outcome)


def _chances(score: Floats, events: int) -> Floats:
    """Scores, moved on the logit scale until they add up to the events."""
    if events in (0, score.size):
        return np.full(score.size, float(events > 0))
    x, low, high = logit(np.clip(score, NEAREST, 1 - NEAREST)), -50.0, 50.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if expit(x + middle).sum() < events else (low, middle)
    return np.asarray(expit(x + middle), dtype=np.float64)
