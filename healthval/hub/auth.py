"""Who is calling, and what they did.

A call carries a short-lived token, signed by the caller's key and good for this request once. A
change comes with its entry in a chain of hashes, or not at all.
"""

import hmac
import random
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

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
from healthval.contracts.base import digest
from healthval.errors import IntegrityError
from healthval.hub.ports import Backend, Conflict, Refusal, StoreUnavailable, Write

CLOCK_SKEW_SECONDS = 60
_TOKEN_ID = re.compile(r"[A-Za-z0-9_-]{16,64}")
_TEXTS = ("iss", "sub", "jti", "htm", "htu", "body_sha256")
_REQUIRED = [*_TEXTS, "aud", "iat", "exp"]

AUDIT = "audit"
CHAIN_START = "0" * 64
Answer = TypeVar("Answer")
Plan = Callable[[], tuple[Answer, Sequence[Write]]]
Role = Literal["site", "operator", "vendor"]


@dataclass(frozen=True, slots=True)
class Head:
    """A request as it arrives, before its body is read; `target` is path and query."""

    method: str
    target: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody whose key signed this very request."""

    id: str
    role: Role
    models: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Known:
    """A caller whose token fits the request's head; what it says of the body is still to check."""

    caller: Caller
    claims: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Gatekeeper:
    """Checks tokens against the keys that the hub knows; every failure is the same 401.

    In two steps, so that nobody unknown can make the hub read a large body.
    """

    backend: Backend
    operator: PublicKey
    audiences: tuple[str, ...]

    def recognise(self, head: Head) -> Known:
        """Recognise the caller by the issuer's key on file."""
        issuer = _unverified_issuer(head.token)
        if issuer == site_id(self.operator):
            return Known(Caller(issuer, "operator"), self._check(head, self.operator))
        item = self.backend.index.get("keys", issuer)
        if item is None:
            raise _unknown()
        claims = self._check(head, PublicKey(x=item.value["x"]))
        models = tuple(item.value.get("models", ()))
        return Known(Caller(issuer, item.value["role"], models), claims)

    def admit(self, known: Known, body: bytes) -> Caller:
        """Check that the body is the one signed, and that the token is fresh."""
        self._check_body(known.claims, body)
        return known.caller

    def admit_self_signed(self, head: Head, body: bytes, key: PublicKey) -> None:
        """Check a request by the key that it carries."""
        self._check_body(self._check(head, key), body)

    def remember(self, caller: Caller, name: str, head: Head, body: bytes) -> None:
        """Hold an Idempotency-Key to the request it came with first, for a day."""
        if not _TOKEN_ID.fullmatch(name):
            raise Refusal(400, "An Idempotency-Key is 16 to 64 letters, digits, - or _")
        bound = request_claims(head.method, head.target, body)
        place = (f"idempotency#{caller.id}", name)
        try:
            forget = self.backend.now + 86_400
            self.backend.index.commit([Write(*place, bound, expires=forget)])
        except Conflict:
            held = self.backend.index.get(*place)
            if held is not None and dict(held.value) != bound:
                title = "The Idempotency-Key came before with another request"
                raise Refusal(409, title, "use a new key") from None

    def _check(self, head: Head, key: PublicKey) -> Mapping[str, Any]:
        """Check signature, times, addressee, issuer, method and target."""
        claims = self._claims(head.token, key)
        now = self.backend.now
        issued, expires = claims["iat"], claims["exp"]
        if type(issued) is not int or type(expires) is not int:
            raise _unknown()
        if not issued - CLOCK_SKEW_SECONDS <= now < expires + CLOCK_SKEW_SECONDS:
            raise Refusal(401, "The token has expired or is not valid yet", "check this clock")
        if not all(isinstance(claims[name], str) for name in _TEXTS):
            raise _unknown()
        named = {claims["iss"], claims["sub"], site_id(key)}
        is_bound = (claims["htm"], claims["htu"]) == (head.method, head.target)
        if not is_bound or len(named) != 1 or not 0 < expires - issued <= TOKEN_SECONDS:
            raise _unknown()
        return claims

    def _check_body(self, claims: Mapping[str, Any], body: bytes) -> None:
        bound = request_claims(claims["htm"], claims["htu"], body)["body_sha256"]
        if not hmac.compare_digest(claims["body_sha256"].encode(), bound.encode()):
            raise _unknown()
        self._use_once(claims["iss"], claims["jti"], claims["exp"] + CLOCK_SKEW_SECONDS + 1)

    def _claims(self, token: str, key: PublicKey) -> dict[str, Any]:
        # Times are checked by our own clock, not by the one that PyJWT reads.
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
            raise _unknown() from None
        return claims

    def _use_once(self, issuer: str, token_id: str, forget: int) -> None:
        if not _TOKEN_ID.fullmatch(token_id):
            raise _unknown()
        try:
            self.backend.index.commit([Write(f"tokens#{issuer}", token_id, {}, expires=forget)])
        except Conflict:
            raise Refusal(401, "The token was used before", "sign each request anew") from None


def _unverified_issuer(token: str) -> str:
    """Read whose key to check with; nothing else is believed before the signature is."""
    try:
        issuer = jwt.decode(token, options={"verify_signature": False}).get("iss")
    except (jwt.PyJWTError, ValueError):
        raise _unknown() from None
    if not isinstance(issuer, str) or not re.fullmatch(r"site-[a-z0-9]{8}", issuer):
        raise _unknown()
    return issuer


def _unknown() -> Refusal:
    return Refusal(401, "The request is not signed by a key this hub knows")


def record(backend: Backend, actor: str, action: str, subject: str, plan: Plan[Answer]) -> Answer:
    """Commit what `plan` wants together with its audit entry; plan anew when another was first.

    Parameters
    ----------
    plan : reads, checks and returns (answer, writes); no writes means there is nothing to do

    Raises
    ------
    StoreUnavailable
        If others keep being first.
    """
    for attempt in range(30):
        answer, writes = plan()
        if not writes:
            return answer
        head = backend.index.get(AUDIT, "head")
        entry = {
            "number": head.value["number"] + 1 if head else 1,
            "at": backend.now,
            "actor": actor,
            "action": action,
            "subject": subject,
            "previous": head.value["sha256"] if head else CHAIN_START,
        }
        top = {"number": entry["number"], "sha256": digest(entry)}
        chain = [
            Write(AUDIT, f"entry#{entry['number']:012d}", entry),
            Write(AUDIT, "head", top, head.version if head else 0),
        ]
        try:
            backend.index.commit([*writes, *chain])
        except Conflict:
            time.sleep(random.uniform(0, 0.002 * 2 ** min(attempt, 6)))  # noqa: S311 - no secret
        else:
            return answer
    raise StoreUnavailable


def entries(backend: Backend) -> list[Mapping[str, Any]]:
    """Return the whole chain, oldest first."""
    return [item.value for item in backend.index.query(AUDIT, "entry#")]


def check_chain(chain: Iterable[Mapping[str, Any]], head: Mapping[str, Any] | None) -> None:
    """Refuse a chain in which an entry was changed, left out, added or cut off.

    Raises
    ------
    IntegrityError
        Naming the first entry that does not fit.
    """
    previous, number = CHAIN_START, 0
    for number, entry in enumerate(chain, 1):
        if entry["number"] != number or entry["previous"] != previous:
            raise IntegrityError(f"audit entry {number} does not follow the one before it")
        previous = digest(dict(entry))
    told = (head["number"], head["sha256"]) if head else (0, CHAIN_START)
    if told != (number, previous):
        raise IntegrityError(f"the audit chain does not end as recorded (entry {number})")
