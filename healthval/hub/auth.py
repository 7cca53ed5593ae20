"""Authentication: a request's token is checked against the keys that the hub knows.

A request carries a short-lived token, signed with the caller's key and valid once, for this
request only.
"""

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import jwt
import jwt.types
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from healthval.contracts.access import (
    TOKEN_SECONDS,
    PublicKey,
    raw_public_key,
    request_claims,
    site_id,
)
from healthval.hub.ports import Backend, Conflict, Refusal, Write

CLOCK_SKEW_SECONDS = 60
IDEMPOTENCY_SECONDS = 86_400
_TOKEN_ID = re.compile(r"[A-Za-z0-9_-]{16,64}")
_TEXTS = ("iss", "sub", "jti", "htm", "htu", "body_sha256")
_REQUIRED = [*_TEXTS, "aud", "iat", "exp"]

Role = Literal["site", "operator", "vendor"]


@dataclass(frozen=True, slots=True)
class Head:
    """Head of a request, available before its body; `target` is path and query."""

    method: str
    target: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Caller:
    """Holder of the key that signed this request."""

    id: str
    role: Role
    models: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CheckedHead:
    """A caller whose token fits the head of the request; the body is not checked yet."""

    caller: Caller
    claims: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Authenticator:
    """Checks tokens against the keys that the hub knows; every failure has status 401.

    The head is checked before the body: the hub reads the bodies of known callers only.
    """

    backend: Backend
    operator: PublicKey
    audiences: tuple[str, ...]

    def check_head(self, head: Head) -> CheckedHead:
        """Check the token against the head of the request and the issuer's registered key."""
        issuer = _unverified_issuer(head.token)
        if issuer == site_id(self.operator):
            return CheckedHead(Caller(issuer, "operator"), self._check_claims(head, self.operator))
        item = self.backend.index.get("keys", issuer)
        if item is None:
            raise _unauthenticated()
        claims = self._check_claims(head, PublicKey(x=item.value["x"]))
        models = tuple(item.value.get("models", ()))
        return CheckedHead(Caller(issuer, item.value["role"], models), claims)

    def check_body(self, checked: CheckedHead, body: bytes) -> Caller:
        """Check that the body is the signed one and that the token is used for the first time."""
        self._check_body_hash(checked.claims, body)
        return checked.caller

    def check_self_signed(self, head: Head, body: bytes, key: PublicKey) -> None:
        """Check a request against the key that it contains."""
        self._check_body_hash(self._check_claims(head, key), body)

    def bind_idempotency_key(self, caller: Caller, name: str, head: Head, body: bytes) -> None:
        """Bind an Idempotency-Key to its first request, for a day."""
        if not _TOKEN_ID.fullmatch(name):
            raise Refusal(400, "An Idempotency-Key has 16 to 64 letters, digits, - or _")
        bound = request_claims(head.method, head.target, body)
        first = Write(
            partition=f"idempotency#{caller.id}",
            key=name,
            value=bound,
            expires=self.backend.now + IDEMPOTENCY_SECONDS,
        )
        try:
            self.backend.index.commit([first])
        except Conflict:
            stored = self.backend.index.get(first.partition, first.key)
            if stored is not None and dict(stored.value) != bound:
                title = "The Idempotency-Key was used before with another request"
                raise Refusal(409, title, "use a new key") from None

    def _check_claims(self, head: Head, key: PublicKey) -> Mapping[str, Any]:
        """Check signature, times, audience, issuer, method and target."""
        claims = self._decode(head.token, key)
        now = self.backend.now
        issued, expires = claims["iat"], claims["exp"]
        if type(issued) is not int or type(expires) is not int:
            raise _unauthenticated()
        if not issued - CLOCK_SKEW_SECONDS <= now < expires + CLOCK_SKEW_SECONDS:
            raise Refusal(
                401, "The token has expired or is not valid yet", "check the clock of the sender"
            )
        if not all(isinstance(claims[name], str) for name in _TEXTS):
            raise _unauthenticated()
        named = {claims["iss"], claims["sub"], site_id(key)}
        is_bound = (claims["htm"], claims["htu"]) == (head.method, head.target)
        if not is_bound or len(named) != 1 or not 0 < expires - issued <= TOKEN_SECONDS:
            raise _unauthenticated()
        return claims

    def _check_body_hash(self, claims: Mapping[str, Any], body: bytes) -> None:
        bound = request_claims(claims["htm"], claims["htu"], body)["body_sha256"]
        if not hmac.compare_digest(claims["body_sha256"].encode(), bound.encode()):
            raise _unauthenticated()
        self._use_once(claims["iss"], claims["jti"], expires=claims["exp"] + CLOCK_SKEW_SECONDS + 1)

    def _decode(self, token: str, key: PublicKey) -> dict[str, Any]:
        # Times are checked by the clock of the backend; PyJWT reads the clock of the system.
        options: jwt.types.Options = {
            "require": _REQUIRED,
            "verify_exp": False,
            "verify_iat": False,
            "verify_nbf": False,
        }
        try:
            public = Ed25519PublicKey.from_public_bytes(raw_public_key(key))
            claims: dict[str, Any] = jwt.decode(
                token, public, algorithms=["EdDSA"], audience=self.audiences, options=options
            )
        except (jwt.PyJWTError, ValueError, TypeError):
            raise _unauthenticated() from None
        return claims

    def _use_once(self, issuer: str, token_id: str, *, expires: int) -> None:
        if not _TOKEN_ID.fullmatch(token_id):
            raise _unauthenticated()
        used = Write(partition=f"tokens#{issuer}", key=token_id, value={}, expires=expires)
        try:
            self.backend.index.commit([used])
        except Conflict:
            raise Refusal(401, "The token was used before", "sign each request anew") from None


def _unverified_issuer(token: str) -> str:
    """Read the issuer, which selects the key; the signature is not checked yet."""
    try:
        issuer = jwt.decode(token, options={"verify_signature": False}).get("iss")
    except (jwt.PyJWTError, ValueError):
        raise _unauthenticated() from None
    if not isinstance(issuer, str) or not re.fullmatch(r"site-[a-z0-9]{8}", issuer):
        raise _unauthenticated()
    return issuer


def _unauthenticated() -> Refusal:
    return Refusal(401, "The request is not signed by a key that this hub knows")
