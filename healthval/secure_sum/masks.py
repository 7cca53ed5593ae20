"""Keys, masks and seals of a site, all derived from one seed of 32 bytes.

References
----------
RFC 7748 (X25519), RFC 5869 (HKDF), RFC 8439 (ChaCha20), NIST SP 800-38D (AES-GCM).
"""

import base64
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from cryptography.hazmat.primitives.hashes import SHA256, Hash
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from healthval.errors import IntegrityError
from healthval.secure_sum.shamir import PRIME

DOMAIN: Final = b"healthval-secure-sum-v1\n"
MODULUS: Final = 2**64
# Each key below seals one plaintext or makes one mask, so that a constant nonce occurs once per key.
_NONCE_CHACHA: Final = bytes(16)
_NONCE_GCM: Final = bytes(12)


def derived(secret: bytes, *info: str, size: int = 32) -> bytes:
    """Derive bytes for one purpose from a secret."""
    about = DOMAIN + "\n".join(info).encode()
    return HKDF(SHA256(), size, salt=None, info=about).derive(secret)


def mask(key: bytes, n_cells: int) -> list[int]:
    """Return a mask: pseudorandom numbers below 2**64, one for each cell."""
    stream = Cipher(ChaCha20(key, _NONCE_CHACHA), mode=None).encryptor().update(bytes(8 * n_cells))
    return list(struct.unpack(f"<{n_cells}Q", stream))


def added(a: Sequence[int], b: Sequence[int], sign: int = 1) -> list[int]:
    """Add or subtract cell by cell, modulo 2**64."""
    return [(x + sign * y) % MODULUS for x, y in zip(a, b, strict=True)]


@dataclass(frozen=True, slots=True)
class Secrets:
    """Secrets of one site in one attempt: two private keys, the self mask and random numbers."""

    seed: bytes = field(repr=False)

    @property
    def mask_secret(self) -> bytes:
        """Private key whose agreements make the masks between two sites."""
        return derived(self.seed, "mask key")

    @property
    def share_secret(self) -> bytes:
        """Private key whose agreements seal shares."""
        return derived(self.seed, "share key")

    @property
    def self_mask(self) -> bytes:
        """Key of the site's own mask."""
        return derived(self.seed, "self mask")

    def coefficients(self, purpose: str, context: str, n: int) -> list[int]:
        """Return `n` random numbers below the prime of the shares (48 bytes each, so without bias)."""
        found = (derived(self.seed, purpose, context, str(i), size=48) for i in range(n))
        return [int.from_bytes(x, "big") % PRIME for x in found]


def public_text(secret: bytes) -> str:
    """Return the public X25519 key of a private one, in base64url without padding."""
    public = X25519PrivateKey.from_private_bytes(secret).public_key()
    return to_text(public.public_bytes(Encoding.Raw, PublicFormat.Raw))


def commitment_of(self_mask: bytes) -> str:
    """Return the hash by which a self mask is recognised after it was put together from shares."""
    whole = Hash(SHA256())
    whole.update(DOMAIN + b"commitment\n" + self_mask)
    return whole.finalize().hex()


def agreed(secret: bytes, public: str, *info: str) -> bytes:
    """Derive the key of two sites from one's private and the other's public key.

    Raises
    ------
    IntegrityError
        If the public key is of low order, so that anybody knows the result.
    """
    try:
        other = X25519PublicKey.from_public_bytes(from_text(public))
        shared = X25519PrivateKey.from_private_bytes(secret).exchange(other)
    except ValueError:
        raise IntegrityError(
            "secure sum: a public key in the roster is unusable; inform the operator"
        ) from None
    return derived(shared, *info)


def sealed(key: bytes, text: bytes) -> str:
    """Encrypt and authenticate bytes under a key that is used once."""
    return to_text(AESGCM(key).encrypt(_NONCE_GCM, text, DOMAIN))


def unsealed(key: bytes, text: str) -> bytes | None:
    """Return sealed bytes; None where they were made under another key or were changed."""
    try:
        return AESGCM(key).decrypt(_NONCE_GCM, from_text(text), DOMAIN)
    except InvalidTag:
        return None


def to_text(data: bytes) -> str:
    """Encode bytes in base64url without padding."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def from_text(text: str) -> bytes:
    """Decode base64url without padding."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
