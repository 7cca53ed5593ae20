"""Access: a site asks with its public key, the operator decides, the grant is the credential."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from healthval.contracts.base import Line, Name, Sha256, SiteId, Version, Wire


class PublicKey(Wire):
    """An Ed25519 public key as JWK (RFC 8037)."""

    kty: Literal["OKP"] = "OKP"
    crv: Literal["Ed25519"] = "Ed25519"
    x: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{43}$")]


class AccessRequest(Wire):
    """What a site sends once; signed with the very key it carries."""

    public_key: PublicKey
    label: Line
    model: Name
    version: Version
    plan_hash: Sha256


AccessStatus = Literal["requested", "approved", "rejected", "revoked"]


class AccessDecision(Wire):
    """The operator's word on a request."""

    status: Literal["approved", "rejected", "revoked"]
    valid_days: Annotated[int, Field(ge=1, le=366)] = 90
    max_cases: Annotated[int, Field(ge=1, le=10_000_000)] = 100_000


class AccessGrant(Wire):
    """What the hub holds about a site's access to one model under one plan."""

    site: SiteId
    label: Line
    model: Name
    version: Version
    plan_hash: Sha256
    status: AccessStatus
    not_after: datetime | None = None
    max_cases: Annotated[int, Field(ge=0, le=10_000_000)] = 0
