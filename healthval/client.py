"""Signed HTTP to the hub: access, predictions, submissions, reports.

The credential is a key pair that the site makes and keeps; the hub holds the public half only.
Every request carries a token of its own, bound to method, path and body. The calls are safe to
repeat: the hub answers a repetition with what it answered before.
"""

import hashlib
import ipaddress
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from random import SystemRandom
from typing import Self
from urllib.parse import urlencode

import httpx

from healthval.contracts.access import (
    AccessDecision,
    AccessGrant,
    AccessList,
    AccessRequest,
    VendorKey,
)
from healthval.contracts.base import Problem, Shape, Wire, canonical_json, read_wire
from healthval.contracts.model import ModelList, ModelRecord, ModelRegistration
from healthval.contracts.prediction import (
    PredictionAnswer,
    PredictionRequest,
    UploadRequest,
    UploadTicket,
)
from healthval.contracts.report import (
    ReportList,
    ReportRecord,
    SubmissionEntry,
    SubmissionList,
    report_record,
)
from healthval.contracts.submission import Receipt, Submission
from healthval.credential import Credential
from healthval.errors import (
    AccessDenied,
    HubError,
    HubUnavailable,
    IntegrityError,
    PredictionError,
    SubmissionError,
    UsageError,
)

__all__ = ["Client", "Credential", "SiteSubmission", "wire_bytes"]

ATTEMPTS = 6
FIRST_WAIT_SECONDS = 0.2
LONGEST_WAIT_SECONDS = 8.0
RETRYABLE = frozenset({429, 502, 503, 504})
TIMEOUT = httpx.Timeout(65.0, connect=5.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteSubmission:
    """One site's active result as the operator receives it: the very bytes that were released."""

    site: str
    label: str
    sha256: str
    payload: bytes
    submission: Submission
    supersedes: str | None = None


class Client:
    """Talks to one hub with one credential.

    Parameters
    ----------
    url : the hub's origin; https, or http on loopback
    """

    def __init__(
        self, url: str, credential: Credential, *, transport: httpx.BaseTransport | None = None
    ) -> None:
        self._origin = _checked_origin(url)
        self.credential = credential
        # trust_env=False: a proxy or .netrc of the machine must not see or change what is signed
        self._http = httpx.Client(
            base_url=self._origin, timeout=TIMEOUT, transport=transport, trust_env=False
        )

    def __repr__(self) -> str:
        return f"Client({self._origin}, {self.credential!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    @property
    def site(self) -> str:
        """The name that the hub knows this credential by."""
        return self.credential.id

    # --- site -------------------------------------------------------------------------------

    def request_access(
        self, *, label: str, model: str, version: str, plan_hash: str
    ) -> AccessGrant:
        """Ask for access with the public key; asking again returns how the request stands."""
        asked = AccessRequest(
            public_key=self.credential.public_key,
            label=label,
            model=model,
            version=version,
            plan_hash=plan_hash,
        )
        return self._post("/v1/access-requests", asked, AccessGrant)

    def access_status(self, *, model: str, version: str, plan_hash: str) -> AccessGrant:
        """Return how this site's request stands.

        Raises
        ------
        AccessDenied
            If it has never asked.
        """
        wanted = (model, version, plan_hash)
        for grant in self._get("/v1/access-requests", AccessList).grants:
            if (grant.model, grant.version, grant.plan_hash) == wanted:
                return grant
        raise AccessDenied("no access was requested for this model and plan; request it")

    def wait_for_access(
        self, *, model: str, version: str, plan_hash: str, seconds: float = 600
    ) -> AccessGrant:
        """Wait until the operator has decided; returns an approved grant.

        Raises
        ------
        AccessDenied
            If the request was declined, or nobody decided in time.
        """
        end = time.monotonic() + seconds
        while True:
            grant = self.access_status(model=model, version=version, plan_hash=plan_hash)
            if grant.status == "approved":
                return grant
            if grant.status != "requested":
                raise AccessDenied(f"access is {grant.status}; ask the operator why")
            if time.monotonic() >= end:
                raise AccessDenied("the operator has not decided yet; come back later")
            time.sleep(0.5)

    def predict(self, request: PredictionRequest, *, seconds: float = 600) -> PredictionAnswer:
        """Have a batch scored and wait for the answer.

        What is sent is `wire_bytes(request)`, so a ledger can hash it beforehand.

        Raises
        ------
        PredictionError
            If the model failed on the batch or gave no answer in time.
        """
        # The key makes repetitions of this call one batch, and another call another batch: the
        # same rows asked twice are scored twice, which is how a changed model is noticed.
        key = {"Idempotency-Key": secrets.token_urlsafe(24)}
        answer = self._read(
            PredictionAnswer,
            self._send("POST", "/v1/predictions", wire_bytes(request), headers=key),
        )
        end = time.monotonic() + seconds
        wait = 0.1
        while answer.status == "pending":
            if time.monotonic() >= end:
                raise PredictionError(f"no answer within {seconds:g} s; run it again to resume")
            time.sleep(wait)
            wait = min(1.0, wait * 1.5)
            answer = self._get(f"/v1/predictions/{answer.id}", PredictionAnswer)
        if answer.status == "failed":
            raise PredictionError(
                f"the model failed on a batch of {len(request.cases)} cases; run it again, then "
                "ask the operator"
            )
        if tuple(p.case for p in answer.predictions) != request.cases:
            raise PredictionError(
                "the answer is about other cases than were asked; nothing is used"
            )
        return answer

    def upload(self, data: bytes, *, model: str, version: str, plan_hash: str) -> str:
        """Upload one de-identified file; returns the id to predict it by."""
        asked = UploadRequest(
            model=model,
            version=version,
            plan_hash=plan_hash,
            sha256=hashlib.sha256(data).hexdigest(),
            size=len(data),
        )
        ticket = self._post("/v1/uploads", asked, UploadTicket)
        if not ticket.url.startswith("/"):
            parsed = httpx.URL(ticket.url)
            _checked_origin(f"{parsed.scheme}://{parsed.netloc.decode('ascii')}")
        self._send("PUT", ticket.url, data, headers=ticket.headers, signed=False)
        return ticket.id

    def submit(self, payload: bytes) -> Receipt:
        """Hand in a released result, as it is; the same bytes again get the same receipt.

        Raises
        ------
        SubmissionError
            If the hub declines it.
        """
        try:
            receipt = read_wire(Receipt, self._send("POST", "/v1/submissions", payload))
        except (AccessDenied, HubUnavailable):
            raise
        except HubError as refusal:
            raise SubmissionError(str(refusal)) from None
        if receipt.submission_sha256 != hashlib.sha256(payload).hexdigest():
            raise IntegrityError("the hub's receipt is for other bytes than were sent")
        return receipt

    # --- operator ---------------------------------------------------------------------------

    def register_model(self, registration: ModelRegistration, artefact: bytes) -> ModelRecord:
        """Upload a model's artefact and register it."""
        self._store(artefact)
        return self._post("/v1/models", registration, ModelRecord)

    def start_model(self, name: str, version: str) -> ModelRecord:
        """Bring the model endpoint up."""
        return read_wire(ModelRecord, self._send("POST", f"/v1/models/{name}/{version}/start"))

    def stop_model(self, name: str, version: str) -> ModelRecord:
        """Take the model endpoint down."""
        return read_wire(ModelRecord, self._send("POST", f"/v1/models/{name}/{version}/stop"))

    def access_requests(self, status: str | None = None) -> tuple[AccessGrant, ...]:
        """List the grants: all for the operator, the own ones for a site."""
        grants = self._get("/v1/access-requests", AccessList).grants
        return tuple(grant for grant in grants if status in {None, grant.status})

    def decide_access(self, grant: AccessGrant, decision: AccessDecision) -> AccessGrant:
        """Approve, reject or revoke."""
        path = f"{grant.site}/{grant.model}/{grant.version}/{grant.plan_hash}"
        return self._post(f"/v1/access-requests/{path}/decision", decision, AccessGrant)

    def enrol_vendor(self, vendor: VendorKey) -> None:
        """Let a developer's key read the reports on its models."""
        self._send("POST", "/v1/vendors", wire_bytes(vendor))

    def submissions(
        self, *, model: str, version: str, plan_hash: str
    ) -> tuple[SiteSubmission, ...]:
        """Fetch each site's latest result, sorted by site."""
        query = urlencode({"model": model, "version": version, "plan_hash": plan_hash})
        found = self._get(f"/v1/submissions?{query}", SubmissionList).submissions
        return tuple(self._fetch(entry) for entry in found)

    def publish_report(
        self, *, model: str, version: str, plan_hash: str, n_sites: int, files: Mapping[str, bytes]
    ) -> ReportRecord:
        """Store a report's files and index it; the same files are the same report."""
        report = report_record(
            model=model,
            version=version,
            plan_hash=plan_hash,
            n_sites=n_sites,
            files={name: self._store(data) for name, data in files.items()},
        )
        return self._post("/v1/reports", report, ReportRecord)

    # --- everybody --------------------------------------------------------------------------

    def models(self) -> tuple[ModelRecord, ...]:
        """List the models."""
        return self._get("/v1/models", ModelList).models

    def model(self, name: str, version: str) -> ModelRecord:
        """Return one model."""
        return self._get(f"/v1/models/{name}/{version}", ModelRecord)

    def reports(self) -> tuple[ReportRecord, ...]:
        """List the reports this key may read."""
        return self._get("/v1/reports", ReportList).reports

    def report_file(self, report: ReportRecord, name: str) -> bytes:
        """Fetch one file of a report and check it against its hash."""
        data = self._send("GET", f"/v1/reports/{report.id}/files/{name}")
        return _checked(data, report.files[name])

    def _fetch(self, entry: SubmissionEntry) -> SiteSubmission:
        sha256 = entry.submission_sha256
        data = _checked(self._send("GET", f"/v1/submissions/{entry.site}/{sha256}"), sha256)
        return SiteSubmission(
            site=entry.site,
            label=entry.label,
            sha256=sha256,
            payload=data,
            submission=read_wire(Submission, data),
            supersedes=entry.supersedes,
        )

    def _store(self, data: bytes) -> str:
        sha256 = hashlib.sha256(data).hexdigest()
        self._send("PUT", f"/v1/objects/{sha256}", data)
        return sha256

    def _post(self, target: str, sent: Wire, answer: type[Shape]) -> Shape:
        return self._read(answer, self._send("POST", target, wire_bytes(sent)))

    def _get(self, target: str, answer: type[Shape]) -> Shape:
        return self._read(answer, self._send("GET", target))

    def _read(self, answer: type[Shape], data: bytes) -> Shape:
        try:
            return read_wire(answer, data)
        except ValueError as misfit:
            raise HubError(f"the hub's answer is not as the contract says: {misfit}") from None

    def _send(
        self,
        method: str,
        target: str,
        body: bytes = b"",
        *,
        headers: Mapping[str, str] | None = None,
        signed: bool = True,
    ) -> bytes:
        """Send one request, again while that may help; each time with a fresh token."""
        sent = {"Content-Type": "application/json"} if method == "POST" else {}
        sent |= headers or {}
        for attempt in range(ATTEMPTS):
            if signed:
                token = self.credential.sign(method, self._origin, target, body)
                sent["Authorization"] = f"Bearer {token}"
            response = self._once(method, target, body, sent)
            if response is not None and response.status_code not in RETRYABLE:
                return _answer(response)
            if attempt < ATTEMPTS - 1:
                time.sleep(_wait(attempt, response))
        if response is None:
            raise HubUnavailable(f"nobody answers at {self._origin}; is the hub running?")
        raise HubUnavailable(f"the hub stays out of service ({_title(response)}); try again later")

    def _once(
        self, method: str, target: str, body: bytes, headers: dict[str, str]
    ) -> httpx.Response | None:
        try:
            return self._http.request(method, target, content=body, headers=headers)
        except (httpx.NetworkError, httpx.RemoteProtocolError, httpx.ConnectTimeout):
            return None  # not connected, or cut off: repeating is safe here
        except httpx.TimeoutException:
            raise HubUnavailable("the hub took too long to answer; try again later") from None
        except httpx.HTTPError:
            raise HubError("the hub's answer is not HTTP; check its address") from None


def wire_bytes(sent: Wire) -> bytes:
    """Return the bytes that a wire shape travels as: canonical JSON."""
    return canonical_json(sent.model_dump(mode="json"))


def _wait(attempt: int, response: httpx.Response | None) -> float:
    """Full jitter (Brooker 2015); at least what the hub asks for."""
    longest = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2**attempt)
    asked = response.headers.get("Retry-After", "0") if response is not None else "0"
    least = min(float(asked), LONGEST_WAIT_SECONDS) if asked.isdigit() else 0.0
    return max(least, SystemRandom().uniform(0, longest))


def _answer(response: httpx.Response) -> bytes:
    if response.is_success:
        return response.content
    kind = AccessDenied if response.status_code in {401, 403} else HubError
    raise kind(f"the hub refused: {_title(response)}")


def _title(response: httpx.Response) -> str:
    try:
        told = read_wire(Problem, response.content)
    except ValueError:
        return f"status {response.status_code}"
    return f"{told.title}; {told.detail}" if told.detail else told.title


def _checked(data: bytes, sha256: str) -> bytes:
    if hashlib.sha256(data).hexdigest() != sha256:
        raise IntegrityError("the bytes from the hub do not have the hash they are listed under")
    return data


def _checked_origin(url: str) -> str:
    """Reduce a URL to its origin; plain HTTP only where nobody can listen."""
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
