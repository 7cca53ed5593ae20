"""A hospital's FHIR R4 server: SMART Backend Services, patient retries, search page by page.

Sources: SMART App Launch 2.x, "Backend Services"; FHIR R4, "RESTful API" and "Search".
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx

from healthval.cohort.fhir.resources import check_r4
from healthval.errors import CohortError, UsageError

# At INFO these write addresses into the log, and a search's address can name a patient.
for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.WARNING)

_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_BUSY = frozenset({429, 502, 503, 504})
_PATIENCE = 6  # attempts at one request while the server is busy
_LONGEST_PAUSE = 300.0  # seconds
_ASSERTION_SECONDS = 240
_EARLY = 30.0  # seconds before its end that a token is renewed


@dataclass
class BackendServices:
    """Access of a system to a system: a signed assertion buys a short token.

    Parameters
    ----------
    client_id : as registered with the server
    private_key : PEM; an elliptic P-384 key signs ES384, an RSA key RS384
    token_url : the server's token endpoint
    key_id : `kid` of the registered public key
    """

    client_id: str
    private_key: bytes = field(repr=False)
    token_url: str
    scope: str = "system/*.rs"
    key_id: str | None = None
    _token: str | None = field(default=None, init=False, repr=False)
    _until: float = field(default=0.0, init=False, repr=False)

    def token(self, http: httpx.Client, now: float) -> str:
        """Return the current token, or buy one when it is about to end."""
        if self._token is None or now >= self._until - _EARLY:
            answer = http.post(
                self.token_url,
                data={
                    "grant_type": "client_credentials",
                    "scope": self.scope,
                    "client_assertion_type": _ASSERTION,
                    "client_assertion": self._assertion(now),
                },
            )
            grant = _json(answer) if answer.status_code == 200 else None
            if not isinstance(grant, dict) or not isinstance(grant.get("access_token"), str):
                raise CohortError(
                    f"the FHIR server's token endpoint refused the key ({answer.status_code}); "
                    "check client id, registered public key and scope"
                )
            lifetime = grant.get("expires_in", 300)
            self._until = now + (float(lifetime) if isinstance(lifetime, (int, float)) else 300.0)
            self._token = grant["access_token"]
        return self._token

    def forget(self) -> None:
        """Drop a token that the server no longer takes."""
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


@dataclass
class FhirServer:
    """One R4 server. `now` and `sleep` are the clock; messages quote no address and no content."""

    base: str
    auth: BackendServices | None = None
    http: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=60.0), repr=False)
    now: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep

    def __post_init__(self) -> None:
        for url in (self.base, self.auth.token_url if self.auth else self.base):
            parts = urlsplit(url)
            local = parts.hostname in {"127.0.0.1", "localhost", "::1"}
            if parts.scheme != "https" and not (parts.scheme == "http" and local):
                raise UsageError("the FHIR server must be reached by https; correct its address")
        self.base = self.base.rstrip("/") + "/"

    def check_version(self) -> None:
        """Refuse a server that does not speak R4."""
        statement = self.get_json("metadata")
        version = statement.get("fhirVersion")
        if not isinstance(version, str) or not version.startswith("4.0"):
            raise CohortError("the FHIR server does not speak R4 (4.0.1); ask for an R4 endpoint")

    def search(
        self, resource: str, params: Mapping[str, str] | None = None
    ) -> Iterator[dict[str, Any]]:
        """Yield the matches of a search, page after page; one page is held at a time.

        Raises
        ------
        CohortError
            If the server refuses, or its chain of pages is broken, circular or leads elsewhere.
        """
        page = self.get_json(resource, params=dict(params or {}))
        seen: set[str] = set()
        number = 1
        while True:
            yield from _matches(page, resource, number)
            following = _link(page)
            if following is None:
                return
            url = self.own(following)
            if url in seen:
                raise CohortError(
                    f"search page {number}: the next page was there before; try again"
                )
            seen.add(url)
            number += 1
            page = self.get_json(url)

    def own(self, url: str) -> str:
        """Resolve an address of this server; a token is never sent to another host."""
        full = urljoin(self.base, url)
        theirs, ours = urlsplit(full), urlsplit(self.base)
        if (theirs.scheme, theirs.netloc) != (ours.scheme, ours.netloc):
            raise CohortError("the FHIR server points to another host; nothing is asked there")
        return full

    def get_json(self, url: str, **options: Any) -> dict[str, Any]:
        """GET a JSON object.

        Raises
        ------
        CohortError
            If the server refuses, or answers something else.
        """
        answer = self.request("GET", url, headers={"Accept": "application/fhir+json"}, **options)
        body = _json(answer)
        if answer.status_code != 200 or not isinstance(body, dict):
            raise CohortError(refusal(answer))
        if body.get("resourceType") == "OperationOutcome":
            raise CohortError(
                "the FHIR server answered with an error; look it up in the server's log"
            )
        return body

    def request(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, **options: Any
    ) -> httpx.Response:
        """Send with a token; wait while the server is busy, renew the token once if it is refused."""
        full = self.own(url)
        renewed = False
        for attempt in range(_PATIENCE):
            send = {**(headers or {}), **self._authorization()}
            try:
                answer = self.http.request(method, full, headers=send, **options)
            except httpx.HTTPError:
                raise CohortError(
                    "the FHIR server does not answer; check address and network"
                ) from None
            if answer.status_code == 401 and self.auth and not renewed:
                renewed = True
                self.auth.forget()
            elif answer.status_code in _BUSY and attempt < _PATIENCE - 1:
                self.sleep(self.pause(answer, 2.0**attempt))
            else:
                return answer
        return answer

    def download(self, url: str, target: Path, with_token: bool) -> int:
        """Stream a file to disk and return the status; files without token may lie elsewhere.

        Raises
        ------
        CohortError
            If the connection breaks before the announced end.
        """
        full = self.own(url) if with_token else self._elsewhere(url)
        for attempt in range(_PATIENCE):
            headers = {"Accept": "application/fhir+ndjson"} | (
                self._authorization() if with_token else {}
            )
            try:
                with self.http.stream("GET", full, headers=headers) as answer:
                    if answer.status_code == 200:
                        with target.open("wb") as file:
                            for block in answer.iter_bytes():
                                file.write(block)
                        return 200
                    status = answer.status_code
            except httpx.HTTPError:
                raise CohortError(
                    "a download of the export broke off; run again to resume"
                ) from None
            if status == 401 and with_token and self.auth and attempt == 0:
                self.auth.forget()
            elif status in _BUSY and attempt < _PATIENCE - 1:
                self.sleep(self.pause(answer, 2.0**attempt))
            else:
                return status
        return status

    def _elsewhere(self, url: str) -> str:
        full = urljoin(self.base, url)
        if urlsplit(full).scheme != "https":
            return self.own(full)
        return full

    def _authorization(self) -> dict[str, str]:
        if self.auth is None:
            return {}
        try:
            return {"Authorization": f"Bearer {self.auth.token(self.http, self.now())}"}
        except httpx.HTTPError:
            raise CohortError(
                "the token endpoint does not answer; check address and network"
            ) from None

    def pause(self, answer: httpx.Response, default: float) -> float:
        """Seconds that ``Retry-After`` asks for, as a number or a date."""
        text = answer.headers.get("Retry-After", "")
        try:
            wanted = float(text) if text.strip().isdigit() else _until(text, self.now())
        except (TypeError, ValueError):
            wanted = default
        return min(max(wanted, 0.0), _LONGEST_PAUSE)


def _until(text: str, now: float) -> float:
    return parsedate_to_datetime(text).timestamp() - now


def _json(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        return None


def refusal(answer: httpx.Response) -> str:
    """Say what a status means; the body may hold patient data and is not quoted."""
    advice = {
        401: "the server does not take the token; check client id, key and scope",
        403: "the scope does not cover this; ask for system/*.rs",
        404: "nothing there; check address and resource type",
        410: "the export is gone; start it again",
        429: "the server stays busy; try later",
    }.get(answer.status_code, "look it up in the server's log")
    return f"the FHIR server answered {answer.status_code}; {advice}"


def _matches(page: dict[str, Any], resource: str, number: int) -> Iterator[dict[str, Any]]:
    if page.get("resourceType") != "Bundle" or page.get("type", "searchset") != "searchset":
        raise CohortError(f"search page {number} is not a search set; the chain of pages is broken")
    for at, entry in enumerate(page.get("entry") or [], 1):
        found = entry.get("resource") if isinstance(entry, dict) else None
        if isinstance(found, dict) and found.get("resourceType") == "OperationOutcome":
            continue  # a remark of the server on the search itself
        mode = (
            (entry.get("search") or {}).get("mode", "match") if isinstance(entry, dict) else "match"
        )
        checked = check_r4(found, f"search page {number}, entry {at}")
        if mode != "match" or checked["resourceType"] == resource:
            yield checked


def _link(page: dict[str, Any]) -> str | None:
    for link in page.get("link") or []:
        if isinstance(link, dict) and link.get("relation") == "next":
            if not isinstance(link.get("url"), str):
                raise CohortError("the next search page has no address; the chain is broken")
            return str(link["url"])
    return None
