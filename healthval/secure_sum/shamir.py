"""Shamir's secret sharing of 32 bytes over a prime field.

References
----------
Shamir 1979, CACM 22:612.
"""

from collections.abc import Mapping, Sequence
from typing import Final

PRIME: Final = 2**256 + 297  # the smallest prime above 2**256
SECRET_BYTES: Final = 32
SHARE_BYTES: Final = 33


def threshold_of(n: int) -> int:
    """Return the number of shares of `n` that give a secret back: more than two thirds.

    Two sets of so many sites have more than a third of the sites in common. A hub that shows different
    survivors to different sites learns nothing, unless a third of the sites answer it twice.

    Examples
    --------
    >>> [threshold_of(n) for n in (3, 4, 5, 6, 9, 10)]
    [3, 3, 4, 5, 7, 7]
    """
    return 2 * n // 3 + 1


def split(secret: bytes, coefficients: Sequence[int], n: int) -> dict[int, int]:
    """Split a secret into `n` shares; one more than there are coefficients give it back.

    Parameters
    ----------
    secret : 32 bytes
    coefficients : random numbers below `PRIME`, of the powers 1, 2, ... of the polynomial
    """
    polynomial = [int.from_bytes(secret, "big"), *coefficients]
    return {x: _value(polynomial, x) for x in range(1, n + 1)}


def join(shares: Mapping[int, int]) -> bytes | None:
    """Return the secret from enough shares; None where they belong to no secret of 32 bytes.

    Fewer or wrong shares give another secret, or None.
    """
    secret = 0
    for x, share in shares.items():
        numerator = denominator = 1
        for other in shares:
            if other != x:
                numerator = numerator * other % PRIME
                denominator = denominator * (other - x) % PRIME
        secret = (secret + share * numerator * pow(denominator, -1, PRIME)) % PRIME
    if secret >> 8 * SECRET_BYTES:
        return None
    return secret.to_bytes(SECRET_BYTES, "big")


def _value(polynomial: Sequence[int], x: int) -> int:
    found = 0
    for coefficient in reversed(polynomial):
        found = (found * x + coefficient) % PRIME
    return found
