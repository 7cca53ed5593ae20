"""FHIR R4 server of a hospital: requests with a token, retries while busy, search page by page.

Source: FHIR R4, "RESTful API" and "Search".
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx

from healthval.cohort.fhir.backend_services import BackendServices, json_body
from healthval.cohort.fhir.search_pages import next_page, resources_of
from healthval.errors import CohortError, UsageError

# At INFO these libraries log addresses, and the address of a search can name a patient.
for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.WARNING)

_BUSY = frozenset({429, 502, 503, 504})
_ATTEMPTS = 6  # at one request while the server is busy
_REDIRECTS = 6  # followed for one file
_LONGEST_PAUSE = 300.0  # seconds


@dataclass(kw_only=True)
class FhirServer:
    """One R4 server; error messages quote neither addresses nor contents.

    Parameters
    ----------
    base : address, ``https`` unless the host is this computer
    auth : access with a token; None for an open server
    now, sleep : the clock, in seconds
    """

    base: str = field(kw_only=False)
    auth: BackendServices | None = field(default=None, kw_only=False)
    http: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=60.0), repr=False)
    now: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep

    def __post_init__(self) -> None:
        for url in (self.base, self.auth.token_url if self.auth else self.base):
            if not _is_private(url):
                raise UsageError("the FHIR server must be reached by https; correct its address")
        self.base = self.base.rstrip("/") + "/"

    def check_version(self) -> None:
        """Refuse a server of another release than R4."""
        statement = self.get_json("metadata")
        version = statement.get("fhirVersion")
        if not isinstance(version, str) or not version.startswith("4.0"):
            raise CohortError("the FHIR server is not R4 (4.0.1); ask for its R4 endpoint")

    def search(
        self, resource: str, params: Mapping[str, str] | None = None
    ) -> Iterator[dict[str, Any]]:
        """Yield the matches of a search, page by page; one page is in memory at a time.

        Raises
        ------
        CohortError
            If the server refuses, or if its chain of pages is broken, circular or leads to another
            host.
        """
        page = self.get_json(resource, params=dict(params or {}))
        seen: set[str] = set()
        number = 1
        while True:
            yield from resources_of(page, resource, number)
            following = next_page(page)
            if following is None:
                return
            url = self.own(following)
            if url in seen:
                raise CohortError(
                    f"search page {number}: the next page is an earlier one; try again"
                )
            seen.add(url)
            number += 1
            page = self.get_json(url)

    def own(self, url: str) -> str:
        """Resolve an address of this server; refuse another host, which must not get the token."""
        full = urljoin(self.base, url)
        if not self._is_own(full):
            raise CohortError(
                "the FHIR server points to another host, which is not contacted; "
                "ask the server's operator"
            )
        return full

    def get_json(self, url: str, **options: Any) -> dict[str, Any]:
        """GET a JSON object.

        Raises
        ------
        CohortError
            If the server refuses, or if the answer is anything else.
        """
        answer = self.request("GET", url, headers={"Accept": "application/fhir+json"}, **options)
        body = json_body(answer)
        if answer.status_code != 200 or not isinstance(body, dict):
            raise CohortError(refusal(answer))
        if body.get("resourceType") == "OperationOutcome":
            raise CohortError(
                "the FHIR server answered with an error; look it up in the server's log"
            )
        return body

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        once: bool = False,
        patience: float = 0.0,
        **options: Any,
    ) -> httpx.Response:
        """Send one request with the token; see `_retried`. `once` returns a busy answer at once."""
        full = self.own(url)

        def send(access: dict[str, str]) -> httpx.Response:
            try:
                return self.http.request(
                    method, full, headers={**(headers or {}), **access}, **options
                )
            except httpx.HTTPError:
                raise CohortError(
                    "the FHIR server does not answer; check address and network"
                ) from None

        return self._retried(send, attempts=1 if once else _ATTEMPTS, patience=patience)

    def download(self, url: str, target: Path, *, with_token: bool, patience: float = 0.0) -> int:
        """Stream a file to disk, flush it and return the status.

        A file that needs no token may be on another host. Redirects are followed; the token is sent to
        the server's own host only.

        Raises
        ------
        CohortError
            If the connection breaks before the announced end.
        """
        full = self.own(url) if with_token else self._elsewhere(url)
        for _ in range(_REDIRECTS):
            send = self._sender(full, target)
            answer = self._retried(send, with_token=with_token, patience=patience)
            location = answer.headers.get("Location")
            if answer.status_code not in {301, 302, 303, 307, 308} or not location:
                return answer.status_code
            full = self._redirected(urljoin(full, location))
            with_token = with_token and self._is_own(full)
        raise CohortError(
            "a file of the export is redirected in a circle; ask the server's operator"
        )

    def _sender(self, full: str, target: Path) -> Callable[[dict[str, str]], httpx.Response]:
        def send(access: dict[str, str]) -> httpx.Response:
            headers = {"Accept": "application/fhir+ndjson", **access}
            try:
                with self.http.stream("GET", full, headers=headers) as answer:
                    if answer.status_code == 200:
                        _write(answer, target)
                    return answer
            except httpx.HTTPError:
                raise CohortError(
                    "a download of the export was interrupted; run again to resume"
                ) from None

        return send

    def _retried(
        self,
        send: Callable[[dict[str, str]], httpx.Response],
        *,
        with_token: bool = True,
        attempts: int = _ATTEMPTS,
        patience: float = 0.0,
    ) -> httpx.Response:
        """Send until answered: wait while the server is busy, renew a refused token once.

        A busy server is waited for `attempts` times, and at least `patience` seconds.
        """
        renewed, waited = False, 0.0
        for attempt in count():
            answer = send(self._authorization() if with_token else {})
            if answer.status_code == 401 and with_token and self.auth and not renewed:
                renewed = True
                self.auth.forget()
            elif answer.status_code in _BUSY and (attempt < attempts - 1 or waited < patience):
                pause = self.pause(answer, 2.0 ** min(attempt, 6))
                waited += max(pause, 1.0)
                self.sleep(pause)
            else:
                return answer
        raise AssertionError  # pragma: no cover - the loop has no end

    def _is_own(self, full: str) -> bool:
        theirs, ours = urlsplit(full), urlsplit(self.base)
        return (theirs.scheme, theirs.netloc) == (ours.scheme, ours.netloc)

    def _redirected(self, full: str) -> str:
        if not (self._is_own(full) or _is_private(full)):
            raise CohortError(
                "a file of the export is redirected to an address without https, which is not "
                "contacted; ask the server's operator"
            )
        return full

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
            wanted = float(text) if text.strip().isdigit() else _seconds_until(text, self.now())
        except (TypeError, ValueError):
            wanted = default
        return min(max(wanted, 0.0), _LONGEST_PAUSE)


def _is_private(url: str) -> bool:
    """Whether an address is read over https, or on this computer."""
    parts = urlsplit(url)
    local = parts.hostname in {"127.0.0.1", "localhost", "::1"}
    return parts.scheme == "https" or (parts.scheme == "http" and local)


def _write(answer: httpx.Response, target: Path) -> None:
    with target.open("wb") as file:
        for block in answer.iter_bytes():
            file.write(block)
        file.flush()
        os.fsync(file.fileno())


def _seconds_until(text: str, now: float) -> float:
    return parsedate_to_datetime(text).timestamp() - now


def refusal(answer: httpx.Response) -> str:
    """Explain a status for an error message; the body may hold patient data and is not quoted."""
    advice = {
        401: "the server does not accept the token; check client id, key and scope",
        403: "the scope does not include this; ask for system/*.rs",
        404: "the address does not exist; check it and the resource type",
        410: "the export no longer exists; start it again",
        429: "the server is still busy; try later",
    }.get(answer.status_code, "look it up in the server's log")
    return f"the FHIR server answered {answer.status_code}; {advice}"
