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
from typing import Any, Self
from urllib.parse import urljoin, urlsplit

import httpx

from healthval.cohort.fhir.backend_services import BUSY, BackendServices, TokenBusyError, json_body
from healthval.cohort.fhir.bulk_files import TruncatedGzipError, unpacked
from healthval.cohort.fhir.search_pages import next_page, resources_of
from healthval.errors import CohortError, UsageError

# At INFO these libraries log addresses, and the address of a search can name a patient.
for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.WARNING)

_ATTEMPTS = 6  # at one request while the server is busy
_REDIRECTS = 6  # followed for one file
_LONGEST_PAUSE = 300.0  # seconds, where the caller has no more patience
LONGEST_SILENCE = 300.0  # seconds in which a server may be restarted


class DownloadInterruptedError(CohortError):
    """A file that did not arrive as a whole."""


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

    def __enter__(self) -> Self:
        """Open a block, at whose end the connections are closed."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self.http.close()

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
        full = _joined(self.base, url)
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
        patience: float = 0.0,
        silence: float = 0.0,
        **options: Any,
    ) -> httpx.Response:
        """Send one request with the token.

        Parameters
        ----------
        patience : seconds for which a busy server is waited for; 0 asks it six times
        silence : seconds for which a server that does not answer is asked again

        Raises
        ------
        CohortError
            If the server does not answer.
        """
        full = self.own(url)

        def send(access: dict[str, str]) -> httpx.Response:
            return self.http.request(method, full, headers={**(headers or {}), **access}, **options)

        return self._retried(send, patience=patience, silence=silence)

    def download(self, url: str, target: Path, *, with_token: bool, patience: float = 0.0) -> int:
        """Stream a file to disk, decompressed, flush it and return the status.

        A file that needs no token may be on another host. Redirects are followed; the token is sent to
        the server's own host only.

        Raises
        ------
        DownloadInterruptedError
            If the connection breaks before the announced end, or a compressed file is cut.
        """
        full = self.own(url) if with_token else self._elsewhere(url)
        for _ in range(_REDIRECTS):
            send = self._sender(full, target)
            answer = self._retried(
                send, with_token=with_token, patience=patience, silence=LONGEST_SILENCE
            )
            location = answer.headers.get("Location")
            if answer.status_code not in {301, 302, 303, 307, 308} or not location:
                return answer.status_code
            full = self._redirected(_joined(full, location))
            with_token = with_token and self._is_own(full)
        raise CohortError(
            "a file of the export is redirected in a circle; ask the server's operator"
        )

    def _sender(self, full: str, target: Path) -> Callable[[dict[str, str]], httpx.Response]:
        def send(access: dict[str, str]) -> httpx.Response:
            headers = {"Accept": "application/fhir+ndjson", "Accept-Encoding": "gzip", **access}
            with self.http.stream("GET", full, headers=headers) as answer:
                if answer.status_code == 200:
                    try:
                        _write(answer, target)
                    except (httpx.HTTPError, TruncatedGzipError):
                        raise DownloadInterruptedError(
                            "a download of the export was interrupted; run again to resume"
                        ) from None
                return answer

        return send

    def _retried(
        self,
        send: Callable[[dict[str, str]], httpx.Response],
        *,
        with_token: bool = True,
        patience: float = 0.0,
        silence: float = 0.0,
    ) -> httpx.Response:
        """Send until answered: wait while the server is busy, renew a refused token once.

        A busy server is waited for until `patience` seconds have passed, or without patience five
        times; a server that does not answer until `silence` seconds have passed.
        """
        renewed, waited, silent = False, 0.0, 0.0
        for attempt in count():
            pause = 2.0 ** min(attempt, 6)
            try:
                answer = self._answer(send, with_token=with_token)
            except (httpx.RequestError, httpx.InvalidURL) as failure:
                if silent >= silence or not isinstance(failure, httpx.TransportError):
                    raise CohortError(self._unanswered(failure)) from None
                silent += pause
            else:
                if answer.status_code == 401 and with_token and self.auth and not renewed:
                    renewed = True
                    self.auth.forget()
                    continue
                may_wait = waited < patience if patience else attempt < _ATTEMPTS - 1
                if answer.status_code not in BUSY or not may_wait:
                    return answer
                pause = self.pause(answer, pause, longest=patience or _LONGEST_PAUSE)
                waited += pause
            self.sleep(pause)
        raise AssertionError  # pragma: no cover - the loop has no end

    def _answer(
        self, send: Callable[[dict[str, str]], httpx.Response], *, with_token: bool
    ) -> httpx.Response:
        if not with_token or self.auth is None:
            return send({})
        try:
            token = self.auth.token(self.http, self.now())
        except TokenBusyError as busy:
            return busy.answer
        return send({"Authorization": f"Bearer {token}"})

    def _unanswered(self, failure: Exception) -> str:
        request = failure.request if isinstance(failure, httpx.RequestError) else None
        at_token = request is not None and self.auth and request.url == self.auth.token_url
        who = "token endpoint" if at_token else "FHIR server"
        return f"the {who} does not answer; check address and network"

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
        full = _joined(self.base, url)
        return full if _is_private(full) else self.own(full)

    def pause(self, answer: httpx.Response, default: float, *, longest: float) -> float:
        """Seconds that ``Retry-After`` asks for, as a number or a date; from one to `longest`.

        A date is compared with the server's own clock, where its answer has it.
        """
        text = answer.headers.get("Retry-After", "")
        try:
            now = _seconds(answer.headers["Date"]) if "Date" in answer.headers else self.now()
            wanted = float(text) if text.strip().isdigit() else _seconds(text) - now
        except (TypeError, ValueError):
            wanted = default
        return min(max(wanted, 1.0), longest)


def _joined(base: str, url: str) -> str:
    try:
        full = urljoin(base, url)
        urlsplit(full).port  # noqa: B018 - also refuses a port that is no number
    except ValueError:
        raise CohortError(
            "the FHIR server gives an address that cannot be read; ask the server's operator"
        ) from None
    return full


def _is_private(url: str) -> bool:
    """Whether an address is read over https, or on this computer."""
    parts = urlsplit(url)
    local = parts.hostname in {"127.0.0.1", "localhost", "::1"}
    return parts.scheme == "https" or (parts.scheme == "http" and local)


def _write(answer: httpx.Response, target: Path) -> None:
    is_gzip = answer.headers.get("Content-Encoding", "").strip().lower() in {"gzip", "x-gzip"}
    with target.open("wb") as file:
        # httpx would take a cut gzip stream for a whole one.
        for block in unpacked(answer.iter_raw() if is_gzip else answer.iter_bytes()):
            file.write(block)
        file.flush()
        os.fsync(file.fileno())


def _seconds(text: str) -> float:
    return parsedate_to_datetime(text).timestamp()


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
