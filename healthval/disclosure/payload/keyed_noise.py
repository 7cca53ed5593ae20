"""Noise as a function of the site's secret and of the facts that a number depends on (pure).

The same number about the same cases always has the same noise, under any name of a model, variable
or folder; a number about other cases, scores or outcomes, or of another deviation, has independent
noise: one number with the same draw at two deviations is two equations. Cell-key method:
Thompson, Broadfoot and Elazar 2013 (Australian census); used for the census of England and Wales 2021.
"""

import hashlib
import hmac
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from healthval.contracts.base import canonical_json


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyedNoise:
    """Noise for the counts of one cohort.

    Attributes
    ----------
    secret : the site's noise secret; it never leaves
    about : digest of the cases and their scores
    sd : standard deviation of the noise on a count
    multiple : counts are rounded to multiples of this
    """

    secret: bytes
    about: str
    sd: float
    multiple: int = 1

    def rounded(self, count: float) -> int:
        """Round a count to the nearest multiple."""
        return self.multiple * math.floor(count / self.multiple + 0.5)

    def count(self, true: int, *facts: object, times: float = 1.0) -> int:
        """Perturb a count of at least 0; `facts` name the set of cases that it counts."""
        shift = float(self.normals(1, "count", true, times, *facts)[0])
        return max(0, self.rounded(true + times * self.sd * shift))

    def normals(self, n: int, *facts: object) -> NDArray[np.float64]:
        """Independent standard normal numbers, a function of secret, cases, deviation and facts."""
        named = (self.about, self.sd, self.multiple, *facts)
        message = canonical_json([str(fact) for fact in named])
        key = hmac.digest(self.secret, message, "sha256")
        blocks = b"".join(hashlib.sha256(key + i.to_bytes(4, "big")).digest()[:8] for i in range(n))
        whole = np.frombuffer(blocks, dtype=">u8").astype(np.float64)
        found: NDArray[np.float64] = ndtri((whole + 0.5) / 2.0**64)
        return np.clip(found, -8.0, 8.0)


def digest_of(members: bytes | None) -> str:
    """Digest of a set of cases; the same cases have the same digest under any name."""
    return "none" if members is None else hashlib.sha256(members).hexdigest()


def level_times(variables: int) -> float:
    """Deviation of the noise on a level's count, in those of a count at a cut.

    All variables share one part of the noise: each further one makes it larger.
    """
    return 1.4 * math.sqrt(max(1, variables))


def count_variance(scale: float, multiple: int) -> float:
    """Variance of a perturbed count: of its noise, and of rounding to a multiple.

    Examples
    --------
    >>> count_variance(1.8, 1), count_variance(1.8, 5)
    (3.323, 5.323)
    """
    return round(scale**2 + max(1, multiple**2) / 12, 3)
