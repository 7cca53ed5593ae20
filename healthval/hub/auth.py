"""Authentication: a request's token is checked against the keys that the hub knows.

A request carries a short-lived token, signed with the caller's key and valid once, for this
request only.
"""

import base64
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal

import jwt
import jwt.types
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from healthval.contracts.access import (
    TOKEN_SECONDS,
    DashboardLink,
    PublicKey,
    raw_public_key,
    request_claims,
    site_id,
)
from healthval.contracts.keys import fingerprint
from healthval.hub.ports import Backend, Conflict, Item, Refusal, Write

CLOCK_SKEW_SECONDS = 60
IDEMPOTENCY_SECONDS = 86_400
_TOKEN_ID = re.compile(r"[A-Za-z0-9_-]{16,64}")
_TEXTS = ("iss", "sub", "jti", "htm", "htu", "body_sha256")
_REQUIRED = [*_TEXTS, "aud", "iat", "exp"]

KEYS = "keys"  # partition of the index: the keys that the hub knows, see `healthval.hub.keys`
HUB_KEYS = "hub-keys"  # partition of the index: the keys that the hub publishes

LINK_ISSUER = "hub"
LINK_READS = ("GET", "", "v1", "reports")

Role = Literal["site", "operator", "vendor", "auditor", "reporter"]


@dataclass(frozen=True, slots=True)
class Head:
    """Head of a request, available before its body; `target` is path and query."""

    method: str
    target: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Caller:
    """Holder of the key that signed this request.

    `id` is the name of the holder's first key, whichever of its keys signed.
    """

    id: str
    role: Role
    models: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CheckedHead:
    """A caller whose token fits the head of the request; the body is not checked yet."""

    caller: Caller
    claims: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Authenticator:
    """Checks tokens against the keys that the hub knows; every failure has status 401.

    The head is checked before the body: the hub reads the bodies of known callers only.
    """

    backend: Backend
    operator: PublicKey
    audiences: tuple[str, ...]
    signer: Ed25519PrivateKey | None = field(default=None, repr=False)
    reporter: PublicKey | None = None

    def link(self, vendor: str, seconds: int) -> DashboardLink:
        """Sign a link that reads the reports of one vendor.

        Raises
        ------
        Refusal
            If the key is not a valid vendor's key, or the hub has no key of its own.
        """
        if self.signer is None:
            raise Refusal(409, "This hub has no key to sign links", "the operator gives it one")
        if self._vendor(vendor) is None:
            raise Refusal(404, "There is no valid vendor's key of this name")
        end = self.backend.now + seconds
        claims = {"iss": LINK_ISSUER, "sub": vendor, "aud": self.audiences[0], "exp": end}
        token = jwt.encode({**claims, "iat": self.backend.now}, self.signer, algorithm="EdDSA")
        return DashboardLink(fragment=f"token={token}", not_after=datetime.fromtimestamp(end, UTC))

    def _vendor(self, name: str) -> Caller | None:
        item = self.backend.index.get(KEYS, name)
        if item is None or item.value["role"] != "vendor" or item.value.get("revoked"):
            return None
        return Caller(name, "vendor", tuple(item.value.get("models", ())))

    def _check_link(self, head: Head) -> CheckedHead:
        """Check a dashboard link: it reads reports, as often as needed, until it ends."""
        if self.signer is None or (head.method, *re.split(r"[/?]", head.target)[:3]) != LINK_READS:
            raise _unauthenticated()
        options: jwt.types.Options = {"verify_exp": False, "verify_iat": False}
        try:
            claims = jwt.decode(
                head.token,
                self.signer.public_key(),
                algorithms=["EdDSA"],
                audience=self.audiences,
                options=options,
            )
        except jwt.PyJWTError:
            raise _unauthenticated() from None
        if not claims["iat"] - CLOCK_SKEW_SECONDS <= self.backend.now < claims["exp"]:
            raise Refusal(401, "The link has ended", "ask for a new one")
        vendor = self._vendor(claims["sub"])
        if vendor is None:
            raise _revoked()
        return CheckedHead(vendor, {})

    def check_head(self, head: Head) -> CheckedHead:
        """Check the token against the head of the request and the issuer's registered key."""
        issuer = _unverified_issuer(head.token)
        if issuer == LINK_ISSUER:
            return self._check_link(head)
        if issuer == site_id(self.operator):
            return self._check_published(head, self.operator, "operator")
        if self.reporter is not None and issuer == site_id(self.reporter):
            return self._check_published(head, self.reporter, "reporter")
        item = self.backend.index.get(KEYS, issuer)
        if item is None:
            raise _unauthenticated()
        return self._check_known(head, item)

    def _check_published(self, head: Head, key: PublicKey, role: Role) -> CheckedHead:
        """Check a token of a key that the hub publishes for reports, unless it is revoked."""
        claims = self._check_claims(head, key, site_id(key))
        listed = self.backend.index.get(HUB_KEYS, fingerprint(key))
        if listed is not None and listed.value["revoked"] is not None:
            raise _revoked()
        return CheckedHead(Caller(site_id(key), role), claims)

    def _check_known(self, head: Head, item: Item) -> CheckedHead:
        """Check a token of a known key, which may have replaced another, ended or been revoked."""
        value, holder = item.value, item.value.get("holder", item.key)
        claims = self._check_claims(head, PublicKey(x=value["x"]), holder)
        if value.get("revoked"):
            raise _revoked()
        until = value.get("until")
        if until is not None and until <= self.backend.now:
            raise Refusal(401, "This key was replaced and has ended", "sign with the new key")
        first = item if holder == item.key else self.backend.index.get(KEYS, holder)
        models = tuple(first.value.get("models", ())) if first is not None else ()
        return CheckedHead(Caller(holder, value["role"], models), claims)

    def admit(
        self, checked: CheckedHead, body: bytes, idempotency_key: str | None = None
    ) -> Caller:
        """Check that the body is the signed one; use the token and bind the Idempotency-Key.

        The token is valid once. An Idempotency-Key belongs to its first request, for a day. Both
        become durable with the first durable commit of the request itself.

        Raises
        ------
        Refusal
            401 for another body or a used token, 400 for a malformed key, 409 for a key of another
            request.
        """
        claims = checked.claims
        if not claims:  # a dashboard link is not bound to one request
            return checked.caller
        bound = request_claims(claims["htm"], claims["htu"], body)
        if not hmac.compare_digest(claims["body_sha256"].encode(), bound["body_sha256"].encode()):
            raise _unauthenticated()
        first = [_use_of(claims)]
        if idempotency_key is not None:
            first.append(self._binding(checked.caller, idempotency_key, bound))
        try:
            self.backend.index.commit(first, durable=False)
        except Conflict:
            self._admit_repetition(first)
        return checked.caller

    def check_self_signed(self, head: Head, key: PublicKey) -> CheckedHead:
        """Check the token of a request against the key that the request contains."""
        item = self.backend.index.get(KEYS, site_id(key))
        if item is not None and item.value["x"] == key.x:
            return self._check_known(head, item)
        name = site_id(key)
        return CheckedHead(Caller(name, "site"), self._check_claims(head, key, name))

    def _binding(self, caller: Caller, name: str, bound: Mapping[str, str]) -> Write:
        if not _TOKEN_ID.fullmatch(name):
            raise Refusal(400, "An Idempotency-Key has 16 to 64 letters, digits, - or _")
        return Write(
            partition=f"idempotency#{caller.id}",
            key=name,
            value=bound,
            expires=self.backend.now + IDEMPOTENCY_SECONDS,
        )

    def _admit_repetition(self, first: list[Write]) -> None:
        """Admit a new token with a key that is bound to the same request already."""
        used, *binding = first
        try:
            self.backend.index.commit([used], durable=False)
        except Conflict:
            raise Refusal(401, "The token was used before", "sign each request anew") from None
        for wanted in binding:
            stored = self.backend.index.get(wanted.partition, wanted.key)
            if stored is not None and dict(stored.value) != wanted.value:
                title = "The Idempotency-Key was used before with another request"
                raise Refusal(409, title, "use a new key")

    def _check_claims(self, head: Head, key: PublicKey, holder: str) -> Mapping[str, Any]:
        """Check signature, times, audience, issuer, subject, method and target."""
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
        is_named = claims["iss"] == site_id(key) and claims["sub"] in {claims["iss"], holder}
        is_bound = (claims["htm"], claims["htu"]) == (head.method, head.target)
        if not is_bound or not is_named or not 0 < expires - issued <= TOKEN_SECONDS:
            raise _unauthenticated()
        return claims

    def _decode(self, token: str, key: PublicKey) -> dict[str, Any]:
        # Times are checked by the clock of the backend; PyJWT reads the clock of the system.
        options: jwt.types.Options = {
            "require": _REQUIRED,
            "verify_exp": False,
            "verify_iat": False,
            "verify_nbf": False,
        }
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                _loaded(key.x),
                algorithms=["EdDSA"],
                audience=self.audiences,
                options=options,
            )
        except jwt.InvalidAudienceError:  # the signature is valid
            title = "The token names another origin than this hub's"
            detail = "behind a TLS proxy, start the hub with --origin and the address in use"
            raise Refusal(401, title, detail) from None
        except (jwt.PyJWTError, ValueError, TypeError):
            raise _unauthenticated() from None
        return claims


def _use_of(claims: Mapping[str, Any]) -> Write:
    """Return the write that uses a token up."""
    if not _TOKEN_ID.fullmatch(claims["jti"]):
        raise _unauthenticated()
    expires = claims["exp"] + CLOCK_SKEW_SECONDS + 1
    return Write(partition=f"tokens#{claims['iss']}", key=claims["jti"], value={}, expires=expires)


@lru_cache(256)
def _loaded(x: str) -> Ed25519PublicKey:
    """Load a public key; whether it is valid is asked of the index at every call."""
    return Ed25519PublicKey.from_public_bytes(raw_public_key(PublicKey(x=x)))


def _unverified_issuer(token: str) -> str:
    """Read the issuer, which selects the key; the signature is not checked yet."""
    try:
        _, payload, _ = token.split(".")
        issuer = json.loads(base64.urlsafe_b64decode(payload + "==")).get("iss")
    except (ValueError, AttributeError, RecursionError):
        raise _unauthenticated() from None
    if not isinstance(issuer, str) or not re.fullmatch(r"site-[a-z0-9]{8}|hub", issuer):
        raise _unauthenticated()
    return issuer


def _revoked() -> Refusal:
    return Refusal(401, "This key was revoked", "ask the operator for the reason")


def _unauthenticated() -> Refusal:
    return Refusal(401, "The request is not signed by a key that this hub knows")
