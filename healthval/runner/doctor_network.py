"""Checks of what a study reaches: its hub and credential, its PACS and its FHIR server."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Final

import httpx

from healthval.client import AnyCredential, Client, load_credential
from healthval.client_transport import checked_origin
from healthval.contracts.access import AccessGrant
from healthval.errors import HealthvalError, counted
from healthval.plan_file import load_plan

_NO_STUDY: Final = "2.25.0"
_TIMEOUT_SECONDS: Final = 10.0
_MAX_SKEW_SECONDS: Final = 60  # a token is admitted within a minute of skew
_IN_EFFECT: Final = ("approved", "active")


@dataclass(frozen=True, slots=True)
class Finding:
    """Result of one check; `healthval doctor` fails if a required one is missing."""

    what: str
    ok: bool
    detail: str
    required: bool = True


def hub_findings(url: str | None, key: Path | None) -> Iterator[Finding]:
    """Check whether a hub answers, whether the two clocks agree, and what the key may do there."""
    if url is not None:
        try:
            yield from _hub(checked_origin(url))
        except HealthvalError as problem:
            yield Finding("hub", False, str(problem))
            return
    if key is not None:
        try:
            yield _credential(load_credential(key), url)
        except HealthvalError as problem:
            yield Finding("credential", False, str(problem))


def pacs_findings(plan: Path | None) -> Iterator[Finding]:
    """Search the PACS of a plan for a study that does not exist."""
    images = load_plan(plan).images if plan is not None else None
    if images is None or images.pacs is None:
        return
    from healthval.cohort.dicom.pacs import open_pacs

    try:
        answers = list(open_pacs(images.pacs).search({"StudyInstanceUID": _NO_STUDY}))
        detail = "answers" if not answers else "ignores the filters of a search"
        yield Finding("PACS", not answers, detail)
    except HealthvalError as problem:
        yield Finding("PACS", False, str(problem))


def fhir_findings(url: str | None) -> Iterator[Finding]:
    """Read a FHIR server's capability statement."""
    if url is None:
        return
    from healthval.cohort.fhir.server import FhirServer

    try:
        with httpx.Client(timeout=_TIMEOUT_SECONDS) as http:
            FhirServer(url, http=http).check_version()
        yield Finding("FHIR server", True, "answers, R4")
    except HealthvalError as problem:
        yield Finding("FHIR server", False, str(problem))


def _hub(origin: str) -> Iterator[Finding]:
    try:
        answer = httpx.get(f"{origin}/v1/health", timeout=_TIMEOUT_SECONDS, trust_env=False)
    except httpx.HTTPError:
        yield Finding("hub", False, "does not answer; check the address and that it is running")
        return
    if answer.status_code != 200:
        yield Finding("hub", False, "answers, but its store does not; ask the operator")
        return
    yield Finding("hub", True, "answers")
    try:
        skew = time.time() - parsedate_to_datetime(answer.headers["Date"]).timestamp()
    except (KeyError, ValueError):
        return
    agrees = abs(skew) <= _MAX_SKEW_SECONDS
    remedy = f"differ by {abs(skew):.0f} s: set this one; a request is refused beyond a minute"
    yield Finding("hub's and own clock", agrees, "agree" if agrees else remedy)


def _credential(credential: AnyCredential, url: str | None) -> Finding:
    if url is None:
        return Finding("credential", True, "readable; add --hub to see what it may do")
    with Client(url, credential) as client:
        grants = client.access_requests()
    held = [grant for grant in grants if grant.state in _IN_EFFECT]
    if not held:
        return Finding(
            "credential", False, "no access is in effect; `healthval access request` asks for it"
        )
    return Finding("credential", True, f"{counted(len(held), 'grant')} in effect{_first_end(held)}")


def _first_end(held: list[AccessGrant]) -> str:
    ends = [grant.not_after for grant in held if grant.not_after is not None]
    if not ends:
        return ", without an end"
    days = (min(ends) - datetime.now(UTC)).days
    return f"; the first ends on {min(ends):%Y-%m-%d}, in {counted(days, 'day')}"
