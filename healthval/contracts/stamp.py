"""Stamps: the hub's signature over a hash and a time, so that neither side can change them later.

A stamp of a plan proves that the plan was fixed by then; a stamp of a ledger's head proves which
entries the site's ledger had by then.
"""

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from healthval.contracts.base import Sha256, SiteId, Wire, canonical_json

DOMAIN = b"healthval-stamp-v1\n"
StampKind = Literal["plan", "ledger"]


class Stamp(Wire):
    """Countersignature of a hub.

    Attributes
    ----------
    kind : what has the hash: a plan, or the head of a site's ledger
    site : the site that sent the hash
    sha256 : the hash
    at : time of the hub's clock
    kid : fingerprint of the hub's key, listed in ``/.well-known/healthval-keys.json``
    signature : Ed25519 over `stamped_bytes`, in base64url; checked by `healthval.credential.check_stamp`
    """

    kind: StampKind
    site: SiteId
    sha256: Sha256
    at: AwareDatetime
    kid: Sha256
    signature: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{86}$")]


class LedgerHead(Wire):
    """Head of a site's ledger that came with its newest submission; None before the first."""

    sha256: Sha256 | None = None


def stamped_bytes(stamp: Stamp) -> bytes:
    """Return the bytes that the signature covers: all fields but the signature."""
    return DOMAIN + canonical_json(stamp.model_dump(mode="json", exclude={"signature"}))
