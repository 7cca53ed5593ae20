"""Signed HTTP: tokens, repeated attempts, and errors of the hub's responses.

Every request has a new token, bound to method, path and body. All calls are safe to
repeat: the hub gives a repeated request the answer of the first one.
"""

import ipaddress
import os
import re
import secrets
import ssl
import time
from collections.abc import Iterable, Mapping
from functools import lru_cache
from random import SystemRandom
from typing import Final

import httpx

from healthval.contracts.base import Problem, read_wire
from healthval.contracts.keys import WELL_KNOWN, HubKeys
from healthval.credential import AnyCredential, RoleCredential
from healthval.errors import AccessDenied, HubError, HubUnavailable, UsageError, counted

ATTEMPTS: Final = 6
FIRST_WAIT_SECONDS: Final = 0.2
LONGEST_WAIT_SECONDS: Final = 8.0
# No further attempt after so long.
BUDGET_SECONDS: Final = 180.0
RETRYABLE: Final = frozenset({429, 502, 503, 504, 507})
TIMEOUT: Final = httpx.Timeout(65.0, connect=5.0)
LONGEST_ANSWER_SECONDS: Final = 300.0  # from the request to the last byte of one answer
LARGEST_ANSWER_BYTES: Final = 32 * 1024 * 1024
PLAIN: Final = {"Accept-Encoding": "identity"}  # a compressed answer could be of any size
S3_HOST: Final = re.compile(r"[a-z0-9][a-z0-9.-]*\.s3[.-][a-z0-9.-]+\.amazonaws\.com(\.cn)?")
UPLOAD_HEADERS: Final = re.compile(r"content-type|if-none-match|x-amz-[a-z0-9-]+")


class SignedTransport:
    """Connections to one hub; signs each request with one credential.

    Parameters
    ----------
    url : the hub's origin; https, or http on loopback
    transport : replaces the network in tests
    """

    def __init__(
        self, url: str, credential: AnyCredential, *, transport: httpx.BaseTransport | None = None
    ) -> None:
        self.origin = checked_origin(url)
        self._credential = credential
        # trust_env=False: a proxy or .netrc of the machine must not see or change signed requests
        self._http = httpx.Client(
            base_url=self.origin,
            timeout=TIMEOUT,
            transport=transport,
            trust_env=False,
            verify=trusted(),
            headers=PLAIN,
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
            address, all_headers = target, sent
            if signed:
                address, all_headers = self._credential.authorize(
                    method, self.origin, target, body, headers=sent
                )
            response = self._attempt(method, address, body, all_headers)
            if response is not None and response.status_code not in RETRYABLE:
                return _content(response, by_role=isinstance(self._credential, RoleCredential))
            if time.monotonic() >= end:
                break
            if attempt < ATTEMPTS - 1:
                time.sleep(_wait_seconds(attempt, response))
        raise self._unavailable(response, attempt + 1)

    def _attempt(
        self, method: str, target: str, body: bytes, headers: dict[str, str]
    ) -> httpx.Response | None:
        try:
            with self._http.stream(method, target, content=body, headers=headers) as response:
                return read_answer(response)
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


def trusted() -> ssl.SSLContext:
    """Return the certificate authorities that this machine trusts.

    They are those of the package certifi and of the system; SSL_CERT_FILE and SSL_CERT_DIR replace
    the system's, for a hospital with an authority of its own.
    """
    return _trusted(*(os.environ.get(name) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR")))


@lru_cache(maxsize=4)
def _trusted(*_: str | None) -> ssl.SSLContext:
    context = httpx.create_ssl_context(trust_env=False)
    context.load_default_certs()
    return context


def read_answer(response: httpx.Response) -> httpx.Response:
    """Read the body of a streamed answer, up to a size and within a time.

    Raises
    ------
    HubError
        If the answer is compressed, too large or too slow.
    """
    end = time.monotonic() + LONGEST_ANSWER_SECONDS
    body = bytearray()
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise HubError("the hub's answer is compressed, which was not asked for")
    for part in response.iter_bytes(1 << 16):
        body += part
        if len(body) > LARGEST_ANSWER_BYTES:
            most = LARGEST_ANSWER_BYTES >> 20
            raise HubError(f"the hub's answer has more than {most} MB and was cut off")
        if time.monotonic() > end:
            raise HubError(f"the hub's answer took more than {LONGEST_ANSWER_SECONDS:g} s")
    return httpx.Response(response.status_code, headers=response.headers, content=bytes(body))


def checked_target(url: str, origin: str, storage: Iterable[str]) -> str:
    """Return the address of an upload, if it belongs to the hub or to its storage.

    Storage is Amazon S3 by https, and each origin that the site declares.

    Raises
    ------
    HubError
        If it is another address: a hub must not direct requests to services beside it.
    """
    if url.startswith("/") and not url.startswith("//"):
        return url
    found = _origin_of(url)
    s3 = found.startswith("https://") and S3_HOST.fullmatch(found.removeprefix("https://"))
    if not (s3 or found in {origin, *map(checked_origin, storage)}):
        raise HubError(
            "the hub directs an upload to an address that is neither its own nor declared storage; "
            "nothing was sent; if it is right, declare it: Client(..., storage=[...])"
        )
    return url


def _origin_of(url: str) -> str:
    """Origin of an address, or an empty text where it has none or has credentials."""
    try:
        parsed = httpx.URL(url)
        origin = checked_origin(f"{parsed.scheme}://{parsed.netloc.decode('ascii')}")
    except (httpx.InvalidURL, UsageError):
        return ""
    return "" if parsed.userinfo else origin


def checked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of an upload; the hub chooses only those that storage needs."""
    if foreign := [name for name in headers if not UPLOAD_HEADERS.fullmatch(name.lower())]:
        raise HubError(
            f"the hub asks for {counted(len(foreign), 'header')} that an upload does not need; "
            "nothing was sent; inform the operator"
        )
    return dict(headers)


def _wait_seconds(attempt: int, response: httpx.Response | None) -> float:
    """Return a random wait (full jitter, Brooker 2015), at least the hub's Retry-After."""
    longest = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2**attempt)
    asked = response.headers.get("Retry-After", "0") if response is not None else "0"
    least = min(float(asked), LONGEST_WAIT_SECONDS) if asked.isdigit() else 0.0
    return max(least, SystemRandom().uniform(0, longest))


def _content(response: httpx.Response, *, by_role: bool = False) -> bytes:
    if response.is_success:
        return response.content
    if response.status_code not in {401, 403}:
        raise HubError(f"the hub refused: {_title(response)}")
    if by_role and response.headers.get("Content-Type", "") != "application/problem+json":
        raise AccessDenied(
            "AWS refused the role's signature: check the profile, the clock of this machine, and"
            " that the role has the policy ApiCallers of the hub's stack"
        )
    raise AccessDenied(f"the hub refused: {_title(response)}")


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
        If it is not an origin, or is plain HTTP beyond loopback, where others could read.
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


def published_keys(hub_url: str) -> HubKeys:
    """Fetch the keys that a hub publishes, by TLS or on loopback; no credential is needed.

    Raises
    ------
    UsageError
        If the address is neither https nor loopback.
    HubUnavailable
        If the hub does not respond.
    HubError
        If the hub publishes no keys or a malformed list.
    """
    origin = checked_origin(hub_url)
    try:
        with (
            httpx.Client(timeout=TIMEOUT, trust_env=False, verify=trusted(), headers=PLAIN) as http,
            http.stream("GET", origin + WELL_KNOWN) as streamed,
        ):
            response = read_answer(streamed)
    except httpx.HTTPError:
        raise HubUnavailable(f"no response from {origin}; check its address") from None
    if response.status_code != httpx.codes.OK:
        raise HubError(
            f"{origin} publishes no keys (status {response.status_code}); ask its operator for "
            "the public key and give it with --key"
        )
    try:
        return read_wire(HubKeys, response.content)
    except ValueError as misfit:
        raise HubError(f"the list of keys at {origin} is malformed: {misfit}") from None
