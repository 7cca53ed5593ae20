"""SMART Backend Services: a signed assertion is exchanged for a short-lived token.

Source: SMART App Launch 2.x, "Backend Services".
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

import httpx

from healthval.errors import CohortError, UsageError

_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_ASSERTION_SECONDS = 240
_RENEWAL = 30.0  # seconds before its expiry in which a token is renewed
BUSY = frozenset({429, 502, 503, 504})


class TokenBusyError(CohortError):
    """The token endpoint is busy; `answer` is what it sent."""

    def __init__(self, answer: httpx.Response) -> None:
        super().__init__("the FHIR server's token endpoint is busy; try later")
        self.answer = answer


@dataclass(kw_only=True)
class BackendServices:
    """SMART Backend Services: exchange a signed assertion for a short-lived token.

    Parameters
    ----------
    client_id : as registered with the server
    private_key : PEM; an elliptic P-384 key signs ES384, an RSA key RS384
    token_url : the server's token endpoint
    key_id : `kid` of the registered public key
    """

    client_id: str = field(kw_only=False)
    private_key: bytes = field(kw_only=False, repr=False)
    token_url: str
    scope: str = "system/*.rs"
    key_id: str | None = None
    _token: str | None = field(default=None, init=False, repr=False)
    _expiry: float = field(default=0.0, init=False, repr=False)

    def token(self, http: httpx.Client, now: float) -> str:
        """Return the current token; request a new one shortly before it expires."""
        if self._token is None or now >= self._expiry - _RENEWAL:
            answer = http.post(
                self.token_url,
                data={
                    "grant_type": "client_credentials",
                    "scope": self.scope,
                    "client_assertion_type": _ASSERTION,
                    "client_assertion": self._assertion(now),
                },
            )
            if answer.status_code in BUSY:
                raise TokenBusyError(answer)
            grant = json_body(answer) if answer.status_code == 200 else None
            if not isinstance(grant, dict) or not isinstance(grant.get("access_token"), str):
                raise CohortError(
                    f"the FHIR server's token endpoint refused the key ({answer.status_code}); "
                    "check client id, registered public key and scope"
                )
            lifetime = grant.get("expires_in", 300)
            self._expiry = now + (float(lifetime) if isinstance(lifetime, (int, float)) else 300.0)
            self._token = grant["access_token"]
        return self._token

    def forget(self) -> None:
        """Drop a token that the server no longer accepts."""
        self._token = None

    def _assertion(self, now: float) -> str:
        import jwt

        claims = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": self.token_url,
            "jti": str(uuid.uuid4()),
            "iat": int(now),
            "exp": int(now) + _ASSERTION_SECONDS,
        }
        headers = {"kid": self.key_id} if self.key_id else None
        return jwt.encode(claims, self._key(), algorithm=self._algorithm(), headers=headers)

    def _key(self) -> Any:
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        try:
            return load_pem_private_key(self.private_key, None)
        except (ValueError, TypeError):
            raise UsageError("the private key is not an unencrypted PEM; make a new one") from None

    def _algorithm(self) -> str:
        from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

        key = self._key()
        if isinstance(key, EllipticCurvePrivateKey) and key.curve.name == "secp384r1":
            return "ES384"
        if isinstance(key, RSAPrivateKey) and key.key_size >= 2048:
            return "RS384"
        raise UsageError("the private key must be elliptic P-384 or RSA of at least 2048 bits")


def json_body(answer: httpx.Response) -> Any:
    """Return the parsed body; None where it is not JSON."""
    try:
        return answer.json()
    except ValueError:
        return None
