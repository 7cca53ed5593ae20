"""Access: a site asks with its public key, the operator decides, the grant is the credential."""

import base64
import hashlib
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from healthval.contracts.base import Line, Name, Sha256, SiteId, Version, Wire

PUBLIC_KEY_BYTES = 32


class PublicKey(Wire):
    """An Ed25519 public key as JWK (RFC 8037)."""

    kty: Literal["OKP"] = "OKP"
    crv: Literal["Ed25519"] = "Ed25519"
    x: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{43}$")]


def raw_public_key(key: PublicKey) -> bytes:
    """Decode a public key to its 32 raw bytes.

    Raises
    ------
    ValueError
        If the key does not have 32 bytes; the message quotes nothing.

    Examples
    --------
    >>> raw_public_key(PublicKey(x="11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")).hex()[:8]
    'd75a9801'
    """
    try:
        raw = base64.b64decode(key.x + "=", altchars=b"-_", validate=True)
    except ValueError:
        raw = b""
    if len(raw) != PUBLIC_KEY_BYTES:
        raise ValueError("the public key is no Ed25519 key of 32 bytes in base64url")
    return raw


def site_id(key: PublicKey) -> str:
    """Name a key holder by the key: 40 bits of the SHA-256 of its raw bytes, in base32.

    >>> site_id(PublicKey(x="11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"))
    'site-eh7ddx5b'
    """
    name = base64.b32encode(hashlib.sha256(raw_public_key(key)).digest())
    return "site-" + name.decode().lower()[:8]


TOKEN_SECONDS = 300


def request_claims(method: str, target: str, body: bytes) -> dict[str, str]:
    """Bind a token to one request, as DPoP does (RFC 9449), and to the body as well.

    Parameters
    ----------
    target : path and query as sent, percent-encoded

    Examples
    --------
    >>> request_claims("get", "/v1/reports?model=m", b"")["htm"]
    'GET'
    """
    sha = hashlib.sha256(body).hexdigest()
    return {"htm": method.upper(), "htu": target, "body_sha256": sha}


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
    reason: Line | None = None


class AccessGrant(Wire):
    """What the hub holds about a site's access to one model under one plan.

    `used_cases` counts the inputs sent to be scored, with fixed test inputs and repeated runs;
    `reason` is the operator's, given with the last decision.
    """

    site: SiteId
    label: Line
    model: Name
    version: Version
    plan_hash: Sha256
    status: AccessStatus
    not_after: datetime | None = None
    max_cases: Annotated[int, Field(ge=0, le=10_000_000)] = 0
    used_cases: Annotated[int, Field(ge=0)] = 0
    reason: Line | None = None


class AccessList(Wire):
    """Grants, as the operator lists them or as a site sees its own."""

    grants: Annotated[tuple[AccessGrant, ...], Field(max_length=10_000)] = ()


class VendorKey(Wire):
    """The operator's word that a developer's key may read the reports on these models."""

    public_key: PublicKey
    label: Line
    models: Annotated[tuple[Name, ...], Field(min_length=1, max_length=100)]
