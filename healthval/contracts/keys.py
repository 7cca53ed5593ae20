"""Public keys that sign reports: as a hub publishes them, and as a user pins them.

References
----------
RFC 7517 (JWK Set), RFC 8037 (Ed25519 in JOSE), RFC 8615 (well-known addresses).
"""

import hashlib
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, ConfigDict, Field, field_validator, model_validator

from healthval.contracts.access import PublicKey, raw_public_key
from healthval.contracts.base import Line, Name, Sha256, Version, Wire

WELL_KNOWN = "/.well-known/healthval-keys.json"


def fingerprint(key: PublicKey) -> str:
    """Return the fingerprint of a key: SHA-256 of its 32 raw bytes, as 64 hexadecimal digits.

    Examples
    --------
    >>> fingerprint(PublicKey(x="11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"))[:16]
    '21fe31dfa154a261'
    """
    return hashlib.sha256(raw_public_key(key)).hexdigest()


class HubKey(Wire):
    """One member of a JWK Set: an Ed25519 key with its purpose and its period of validity.

    A key that was replaced has `valid_until`: its earlier signatures stay valid. A key that may be
    compromised has `revoked`: none of its signatures is valid, because a forger chooses the time.
    """

    kid: Sha256
    kty: Literal["OKP"] = "OKP"
    crv: Literal["Ed25519"] = "Ed25519"
    x: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{43}$")]
    purpose: Literal["report", "registration"]
    valid_from: AwareDatetime
    valid_until: AwareDatetime | None = None
    revoked: AwareDatetime | None = None

    @model_validator(mode="after")
    def _kid_is_the_fingerprint(self) -> Self:
        if self.kid != fingerprint(self.public_key):
            raise ValueError("kid is not the fingerprint of the key")
        return self

    @property
    def public_key(self) -> PublicKey:
        """The key alone."""
        return PublicKey(x=self.x)

    def is_valid_at(self, moment: datetime) -> bool:
        """Return whether a signature of this moment is to be accepted."""
        ended = self.valid_until is not None and moment >= self.valid_until
        return self.revoked is None and self.valid_from <= moment and not ended

    def signs_reports_at(self, moment: datetime) -> bool:
        """Return whether a report signed at this moment is to be accepted."""
        return self.purpose == "report" and self.is_valid_at(moment)


class HubKeys(Wire):
    """Content of ``/.well-known/healthval-keys.json``."""

    keys: Annotated[tuple[HubKey, ...], Field(max_length=100)]

    @field_validator("keys")
    @classmethod
    def _one_entry_per_key(cls, keys: tuple[HubKey, ...]) -> tuple[HubKey, ...]:
        if len({key.kid for key in keys}) != len(keys):
            raise ValueError("a key is listed twice")
        return keys


class PinnedKey(Wire):
    """A key that a user trusts for reports, with the user's name for its holder."""

    label: Line
    public_key: PublicKey
    added: AwareDatetime

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the key."""
        return fingerprint(self.public_key)


class PinnedKeys(Wire):
    """The trusted keys of one user, as stored in the configuration folder."""

    keys: Annotated[tuple[PinnedKey, ...], Field(max_length=1000)] = ()


class Predicate(Wire):
    """Signed facts about a report besides the digests of its files.

    Unknown fields are ignored, as in-toto asks for; the known ones have closed patterns, so that
    a foreign statement can print no control characters.
    """

    model_config = ConfigDict(extra="ignore")

    model: Name | None = None
    version: Version | None = None
    model_digest: Sha256 | None = None
    plan_hash: Sha256 | None = None
    record: Name | None = None
    policy_digest: Sha256 | None = None
    signed_at: AwareDatetime | None = None
    signer: PublicKey | None = None
