"""Proportions: logit, its inverse and Wilson's interval, of single numbers (standard library only)."""

import math


def logit(p: float) -> float:
    """Log-odds of a probability strictly between 0 and 1.

    >>> logit(0.5)
    0.0
    """
    return math.log(p / (1 - p))


def expit(x: float) -> float:
    """Inverse logit without overflow; any finite or infinite number is accepted.

    >>> expit(0.0), expit(1000.0), expit(-1000.0)
    (0.5, 1.0, 0.0)
    """
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def wilson(k: float, n: float, z: float) -> tuple[float, float]:
    """Score interval of the proportion k / n, n > 0 (Wilson 1927 J Am Stat Assoc 22:209).

    Parameters
    ----------
    k, n : counts, or effective sizes, 0 <= k <= n
    z : normal quantile of the two-sided level, for example 1.96 for 95%

    Returns
    -------
    (lower bound, upper bound), within 0 to 1

    Examples
    --------
    >>> [round(bound, 3) for bound in wilson(201, 212, 1.96)]
    [0.909, 0.971]
    """
    p = k / n
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    if k < n / 2:  # as product / upper bound: a difference would cancel digits
        return p**2 / (1 + z**2 / n) / (centre + half), centre + half
    return centre - half, 1.0 if k == n else centre + half
