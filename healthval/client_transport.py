"""Signed HTTP: tokens, repeated attempts, and errors of the hub's responses.

Every request has a new token, bound to method, path and body. All calls are safe to
repeat: the hub gives a repeated request the answer of the first one.
"""

import ipaddress
import secrets
import time
from collections.abc import Mapping
from random import SystemRandom
from typing import Final

import httpx

from healthval.contracts.base import Problem, read_wire
from healthval.credential import Credential
from healthval.errors import AccessDenied, HubError, HubUnavailable, UsageError, counted

ATTEMPTS: Final = 6
FIRST_WAIT_SECONDS: Final = 0.2
LONGEST_WAIT_SECONDS: Final = 8.0
# No further attempt after so long.
BUDGET_SECONDS: Final = 180.0
RETRYABLE: Final = frozenset({429, 502, 503, 504, 507})
TIMEOUT: Final = httpx.Timeout(65.0, connect=5.0)


class SignedTransport:
    """Connections to one hub; signs each request with one credential.

    Parameters
    ----------
    url : the hub's origin; https, or http on loopback
    transport : replaces the network in tests
    """

    def __init__(
        self, url: str, credential: Credential, *, transport: httpx.BaseTransport | None = None
    ) -> None:
        self.origin = checked_origin(url)
        self._credential = credential
        # trust_env=False: a proxy or .netrc of the machine must not see or change signed requests
        self._http = httpx.Client(
            base_url=self.origin, timeout=TIMEOUT, transport=transport, trust_env=False
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def send(
        self,
        method: str,
        target: str,
        body: bytes = b"",
        *,
        headers: Mapping[str, str] | None = None,
        signed: bool = True,
    ) -> bytes:
        """Send one request and return the body of its answer; each attempt has a new token.

        Raises
        ------
        HubUnavailable
            If no attempt had an answer, or the hub was unavailable at each.
        HubError
            If the hub refuses; AccessDenied if the key or its rights are the reason.
        """
        sent: dict[str, str] = {}
        if method == "POST":  # one key for all attempts: the hub acts once
            sent = {
                "Content-Type": "application/json",
                "Idempotency-Key": secrets.token_urlsafe(24),
            }
        sent |= headers or {}
        end = time.monotonic() + BUDGET_SECONDS
        for attempt in range(ATTEMPTS):
            if signed:
                token = self._credential.sign(method, self.origin, target, body)
                sent["Authorization"] = f"Bearer {token}"
            response = self._attempt(method, target, body, sent)
            if response is not None and response.status_code not in RETRYABLE:
                return _content(response)
            if time.monotonic() >= end:
                break
            if attempt < ATTEMPTS - 1:
                time.sleep(_wait_seconds(attempt, response))
        raise self._unavailable(response, attempt + 1)

    def _attempt(
        self, method: str, target: str, body: bytes, headers: dict[str, str]
    ) -> httpx.Response | None:
        try:
            return self._http.request(method, target, content=body, headers=headers)
        except (httpx.NetworkError, httpx.RemoteProtocolError, httpx.TimeoutException):
            return None  # not connected, cut off or too slow: a repetition is safe
        except httpx.HTTPError:
            raise HubError("the hub's answer is not HTTP; check its address") from None

    def _unavailable(self, response: httpx.Response | None, attempts: int) -> HubUnavailable:
        if response is None:
            return HubUnavailable(f"no response from {self.origin}; is the hub running?")
        return HubUnavailable(
            f"the hub is still unavailable after {counted(attempts, 'attempt')} ({_title(response)}); "
            "try again later"
        )


def _wait_seconds(attempt: int, response: httpx.Response | None) -> float:
    """Return a random wait (full jitter, Brooker 2015), at least the hub's Retry-After."""
    longest = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2**attempt)
    asked = response.headers.get("Retry-After", "0") if response is not None else "0"
    least = min(float(asked), LONGEST_WAIT_SECONDS) if asked.isdigit() else 0.0
    return max(least, SystemRandom().uniform(0, longest))


def _content(response: httpx.Response) -> bytes:
    if response.is_success:
        return response.content
    kind = AccessDenied if response.status_code in {401, 403} else HubError
    raise kind(f"the hub refused: {_title(response)}")


def _title(response: httpx.Response) -> str:
    try:
        problem = read_wire(Problem, response.content)
    except ValueError:
        return f"status {response.status_code}"
    return f"{problem.title}; {problem.detail}" if problem.detail else problem.title


def checked_origin(url: str) -> str:
    """Reduce a URL to its origin.

    Raises
    ------
    UsageError
        If it is no origin, or is plain HTTP beyond loopback, where others could read.
    """
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        raise UsageError("the hub's address is not a URL") from None
    if parsed.path not in {"", "/"} or parsed.query or parsed.userinfo or not parsed.host:
        raise UsageError("the hub's address is an origin, like https://hub.example.org")
    if parsed.scheme != "https" and not (parsed.scheme == "http" and _is_loopback(parsed.host)):
        raise UsageError("the hub's address must begin with https:// (http:// only on loopback)")
    return f"{parsed.scheme}://{parsed.netloc.decode('ascii')}"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
