"""Access: public keys, requests of sites, decisions of the operator, grants."""

import base64
import hashlib
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Literal, TypedDict

from pydantic import AfterValidator, Field

from healthval.contracts.base import (
    Column,
    Cursor,
    Line,
    Name,
    Paragraph,
    Sha256,
    SiteId,
    Version,
    Wire,
)
from healthval.contracts.stamp import Stamp
from healthval.contracts.text import looks_like_identifier

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
        raise ValueError("the public key is not an Ed25519 key of 32 bytes in base64url")
    return raw


def site_id(key: PublicKey) -> str:
    """Return the name of a key's holder: 40 bits of the SHA-256 of the raw key, in base32.

    >>> site_id(PublicKey(x="11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"))
    'site-eh7ddx5b'
    """
    return _site_id(key.x)


@lru_cache(256)
def _site_id(x: str) -> str:
    name = base64.b32encode(hashlib.sha256(raw_public_key(PublicKey(x=x))).digest())
    return "site-" + name.decode().lower()[:8]


TOKEN_SECONDS = 300


def request_claims(method: str, target: str, body: bytes) -> dict[str, str]:
    """Return the claims that bind a token to one request, as in DPoP (RFC 9449), and to its body.

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


class Amendment(Wire):
    """Hash of the plan that this plan replaces, and the reason."""

    of: Sha256
    reason: Annotated[Paragraph, Field(min_length=1)]


def _is_no_identifier(text: str) -> str:
    if looks_like_identifier(text):
        raise ValueError("it looks like an identifier, a date or an address")
    return text


Label = Annotated[Line, AfterValidator(_is_no_identifier)]
PlanName = Annotated[Column, AfterValidator(_is_no_identifier)]


class PlanSubject(TypedDict):
    """Subject of an access request: one model version under one plan."""

    model: str
    version: str
    plan_hash: str


class AccessRequest(Wire):
    """Request for access; signed with the key that it contains.

    `names` are the plan's variables, levels and steps: a result may contain no other name.
    `title` is the plan's.
    """

    public_key: PublicKey
    label: Label
    model: Name
    version: Version
    plan_hash: Sha256
    amendment: Amendment | None = None
    names: Annotated[tuple[PlanName, ...], Field(max_length=4000)] = ()
    title: Label | None = None


# The operator's decision, and the access that follows from it now: see `healthval.hub.access.STEPS`.
AccessStatus = Literal["requested", "approved", "rejected", "suspended", "revoked"]
AccessState = Literal[
    "requested", "approved", "active", "rejected", "suspended", "expired", "revoked"
]


class AccessDecision(Wire):
    """Decision of the operator on a request."""

    status: Literal["approved", "rejected", "suspended", "revoked"]
    valid_days: Annotated[int, Field(ge=1, le=366)] = 90
    max_cases: Annotated[int, Field(ge=1, le=10_000_000)] = 100_000
    reason: Line | None = None


class AccessGrant(Wire):
    """A site's access to one model under one plan, as the hub records it.

    `status` is the last decision, `state` its effect now: an approved grant is active once a case
    was sent, and expired after its end.
    `used_cases` counts the inputs sent to be scored, with fixed test inputs and repeated runs;
    `reason` is the operator's, given with the last decision.
    `stamp` is the hub's countersignature of the plan's hash at the time of the first request.
    `title` is the plan's, `requested` the time of the first request, `first_prediction` that of the
    first batch of cases.
    """

    site: SiteId
    label: Line
    model: Name
    version: Version
    plan_hash: Sha256
    status: AccessStatus
    state: AccessState | None = None
    not_after: datetime | None = None
    max_cases: Annotated[int, Field(ge=0, le=10_000_000)] = 0
    amendment: Amendment | None = None
    stamp: Stamp | None = None
    used_cases: Annotated[int, Field(ge=0)] = 0
    reason: Line | None = None
    title: Line | None = None
    requested: datetime | None = None
    first_prediction: datetime | None = None


class AccessList(Wire):
    """One page of grants: all for the operator; a site sees only its own."""

    grants: Annotated[tuple[AccessGrant, ...], Field(max_length=1000)] = ()
    next: Cursor | None = None


class VendorKey(Wire):
    """Permission of a developer's key to read the reports on these models."""

    public_key: PublicKey
    label: Line
    models: Annotated[tuple[Name, ...], Field(min_length=1, max_length=100)]


class AuditorKey(Wire):
    """Permission of an auditor's key to read the audit chain, grants, models and keys."""

    public_key: PublicKey
    label: Line


KeyRole = Literal["site", "vendor", "auditor"]
KeyState = Literal["valid", "ending", "ended", "revoked"]


class KeyRotation(Wire):
    """A new key for the holder of the key that signs the request.

    `proof` is the new key's signature over `rotation_bytes`; the old key is valid for
    `overlap_days` more.
    """

    public_key: PublicKey
    proof: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{86}$")]
    overlap_days: Annotated[int, Field(ge=0, le=30)] = 7


def rotation_bytes(holder: str, key: PublicKey) -> bytes:
    """Return the bytes that the new key signs: its holder and itself.

    >>> rotation_bytes("site-eh7ddx5b", PublicKey(x="A" * 43))[:39]
    b'healthval-key-rotation-v1 site-eh7ddx5b'
    """
    return f"healthval-key-rotation-v1 {holder} {key.x}".encode()


class KeyRecord(Wire):
    """A key that the hub knows: its name, holder, role and state.

    `holder` is the name of the holder's first key, under which grants and results are kept.
    """

    name: SiteId
    holder: SiteId
    role: KeyRole
    label: Line | None = None
    models: Annotated[tuple[Name, ...], Field(max_length=100)] = ()
    state: KeyState
    until: datetime | None = None
    revoked: datetime | None = None


LINK_SECONDS = 8 * 3600


class LinkRequest(Wire):
    """Request for a dashboard link of one vendor; a vendor asks for its own."""

    vendor: SiteId
    seconds: Annotated[int, Field(ge=60, le=LINK_SECONDS)] = LINK_SECONDS


class DashboardLink(Wire):
    """A link that reads one vendor's reports until it ends.

    `fragment` belongs after the # of the dashboard's address, which a browser sends to no server.
    """

    fragment: Annotated[str, Field(pattern=r"^token=[A-Za-z0-9_.-]{1,2000}$")]
    not_after: datetime


class KeyList(Wire):
    """One page of the keys that the hub knows."""

    keys: Annotated[tuple[KeyRecord, ...], Field(max_length=1000)] = ()
    next: Cursor | None = None
