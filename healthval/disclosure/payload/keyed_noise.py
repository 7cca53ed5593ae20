"""Noise as a function of the site's secret and of the facts that a number depends on (pure).

The same number about the same cases always has the same noise, under any name of a model, variable
or folder; a number about other cases has independent noise. Cell-key method: Thompson, Broadfoot
and Elazar 2013 (Australian census); used for the census of England and Wales 2021.
"""

import hashlib
import hmac
import math
from dataclasses import dataclass

from scipy.special import ndtri

from healthval.contracts.base import canonical_json


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyedNoise:
    """Noise for the counts and statistics of one cohort.

    Attributes
    ----------
    secret : the site's noise secret; it never leaves
    cohort : digest of the keyed digests of the cases
    scale : of discrete Laplace noise on counts
    multiple : counts are rounded to multiples of this
    """

    secret: bytes
    cohort: str
    scale: float
    multiple: int = 1

    @property
    def variance(self) -> float:
        """Variance of a perturbed count."""
        return count_variance(self.scale, self.multiple)

    def rounded(self, count: float) -> int:
        """Round a count to the nearest multiple."""
        return self.multiple * math.floor(count / self.multiple + 0.5)

    def count(self, true: int, *facts: object) -> int:
        """Add discrete Laplace noise to a count; `facts` name the set of cases that it counts."""
        size, side = self._uniforms("count", true, *facts)
        a = math.exp(-1 / self.scale)
        # The magnitude is at least k with probability 2 a^k / (1 + a), for k of at least 1.
        steps = math.log(size * (1 + a) / 2) / math.log(a)
        magnitude = max(0, math.floor(steps))
        return true + (magnitude if side < 0.5 else -magnitude)

    def shift(self, influence: float, *facts: object) -> float:
        """Normal noise with one case's influence as its standard deviation."""
        size, _ = self._uniforms("statistic", *facts)
        return influence * float(ndtri(size))

    def _uniforms(self, *facts: object) -> tuple[float, float]:
        message = canonical_json([self.cohort, *(str(fact) for fact in facts)])
        found = hmac.new(self.secret, message, hashlib.sha256).digest()
        first, second = (int.from_bytes(found[i : i + 8], "big") for i in (0, 8))
        return (first + 0.5) / 2**64, (second + 0.5) / 2**64


def count_variance(scale: float, multiple: int) -> float:
    """Variance of discrete Laplace noise of this scale, and of rounding to a multiple.

    Examples
    --------
    >>> count_variance(1.5, 1)
    4.337
    """
    a = math.exp(-1 / scale)
    return round(2 * a / (1 - a) ** 2 + (multiple**2 - 1) / 12, 3)
