"""Client of the hub: access, predictions, submissions, models and reports.

The credential is a key pair that the site creates and keeps; the hub has the public half only.
"""

import hashlib
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Self, TypeVar, Unpack
from urllib.parse import urlencode

import httpx
from pydantic import ValidationError

from healthval.client_transport import (
    SignedTransport,
    checked_headers,
    checked_target,
    published_keys,
)
from healthval.contracts.access import (
    AccessDecision,
    AccessGrant,
    AccessList,
    AccessRequest,
    Amendment,
    PlanSubject,
    VendorKey,
)
from healthval.contracts.audit import AuditEntry, AuditHead, AuditList
from healthval.contracts.base import Shape, Wire, canonical_json, read_wire
from healthval.contracts.keys import HubKey
from healthval.contracts.model import (
    ModelList,
    ModelRecord,
    ModelRegistration,
    ObjectOffer,
    ObjectSize,
)
from healthval.contracts.prediction import (
    PredictionAnswer,
    PredictionRequest,
    UploadRequest,
    UploadTicket,
)
from healthval.contracts.report import (
    ReportAbout,
    ReportList,
    ReportRecord,
    ReportWithdrawal,
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
    counted,
)

__all__ = ["Client", "Credential", "SiteSubmission", "published_keys", "wire_bytes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteSubmission:
    """One site's active result as the operator receives it; `payload` is the released bytes."""

    site: str
    label: str
    sha256: str
    payload: bytes
    submission: Submission
    supersedes: str | None = None


# A call of the API in Lambda has at most 6 MB in base64, 4.5 MB as bytes.
MAX_CALL_BYTES = 4 * 1024 * 1024
SUBMISSION_SECONDS = 600.0


Listing = TypeVar("Listing", AccessList, AuditList, ModelList, ReportList, SubmissionList)


class Client:
    """Calls of one hub with one credential.

    Parameters
    ----------
    url : the hub's origin; https, or http on loopback
    storage : further origins to which the hub may direct uploads; Amazon S3 needs no entry
    """

    def __init__(
        self,
        url: str,
        credential: Credential,
        *,
        storage: Iterable[str] = (),
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.credential = credential
        self.storage = tuple(storage)
        self.transport = SignedTransport(url, credential, transport=transport)

    def __repr__(self) -> str:
        return f"Client({self.transport.origin}, {self.credential!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self.transport.close()

    @property
    def site(self) -> str:
        """Name of this credential at the hub."""
        return self.credential.id

    # --- site -------------------------------------------------------------------------------

    def request_access(
        self,
        *,
        label: str,
        names: Iterable[str] = (),
        amendment: Amendment | None = None,
        **subject: Unpack[PlanSubject],
    ) -> AccessGrant:
        """Request access with the public key; a repeated request returns the current grant.

        `stamp` in the grant is the hub's countersignature of the plan's hash and the time.

        Parameters
        ----------
        label : the site's name as the operator sees it
        names : the plan's variables, levels and steps; results may contain no other name
        amendment : the plan that this plan replaces, and the reason
        subject : `model`, `version` and `plan_hash`

        Raises
        ------
        UsageError
            If the label or a name looks like an identifier, a date or an address.
        """
        try:
            asked = AccessRequest(
                public_key=self.credential.public_key,
                label=label,
                names=tuple(names),
                amendment=amendment,
                **subject,
            )
        except ValidationError as error:
            places = ".".join(map(str, error.errors(include_input=False)[0]["loc"]))
            raise UsageError(
                f"access request: '{places}' is not a plain name; leave out numbers, dates and addresses"
            ) from None
        return self._post("/v1/access-requests", asked, AccessGrant)

    def access_status(self, *, model: str, version: str, plan_hash: str) -> AccessGrant:
        """Return the status of this site's request.

        Raises
        ------
        AccessDenied
            If the site has not requested access.
        """
        wanted = (model, version, plan_hash)
        for grant in self.access_requests():
            if (grant.model, grant.version, grant.plan_hash) == wanted:
                return grant
        raise AccessDenied("access to this model under this plan is not requested yet; request it")

    def wait_for_access(
        self, *, model: str, version: str, plan_hash: str, seconds: float = 600
    ) -> AccessGrant:
        """Wait for the operator's decision and return the approved grant.

        Raises
        ------
        AccessDenied
            If the request is rejected or revoked, or is not decided in time.
        """
        end = time.monotonic() + seconds
        while True:
            grant = self.access_status(model=model, version=version, plan_hash=plan_hash)
            if grant.status == "approved":
                return grant
            if grant.status != "requested":
                raise AccessDenied(f"access is {grant.status}; ask the operator why")
            if time.monotonic() >= end:
                raise AccessDenied("the operator has not decided yet; try again later")
            time.sleep(0.5)

    def predict(self, request: PredictionRequest, *, seconds: float = 600) -> PredictionAnswer:
        """Send a batch for scoring and wait for the answer.

        The bytes sent are `wire_bytes(request)`, so a ledger can hash them beforehand.

        Raises
        ------
        PredictionError
            If the model failed on the batch or did not answer in time.
        """
        # The key makes repetitions of this call one batch, and another call another batch: the
        # same rows in two calls are scored twice, by which a changed model is noticed.
        key = {"Idempotency-Key": secrets.token_urlsafe(24)}
        body = wire_bytes(request)
        answer = self._read(
            PredictionAnswer, self.transport.send("POST", "/v1/predictions", body, headers=key)
        )
        answer = self._poll(answer, seconds)
        if answer.status == "failed":
            raise PredictionError(
                f"the model failed on a batch of {counted(len(request.cases), 'case')}; "
                "run it again, then ask the operator"
            )
        if tuple(p.case for p in answer.predictions) != request.cases:
            raise PredictionError("the answer is for other cases than requested; it is not used")
        return answer

    def _poll(self, answer: PredictionAnswer, seconds: float) -> PredictionAnswer:
        end = time.monotonic() + seconds
        wait = 0.1
        while answer.status == "pending":
            if time.monotonic() >= end:
                raise PredictionError(f"no answer within {seconds:g} s; run it again to resume")
            time.sleep(wait)
            wait = min(1.0, wait * 1.5)
            answer = self._get(f"/v1/predictions/{answer.id}", PredictionAnswer)
        return answer

    def upload(self, data: bytes, *, model: str, version: str, plan_hash: str) -> str:
        """Upload one de-identified file and return its id for a prediction request.

        Raises
        ------
        HubError
            If the hub directs the file to a foreign address, or asks for foreign headers.
        """
        asked = UploadRequest(
            model=model,
            version=version,
            plan_hash=plan_hash,
            sha256=hashlib.sha256(data).hexdigest(),
            size=len(data),
        )
        ticket = self._post("/v1/uploads", asked, UploadTicket)
        self._put(ticket.url, data, ticket.headers)
        return ticket.id

    def submit(self, payload: bytes, *, ledger_head: str | None = None) -> Receipt:
        """Submit a released result unchanged; the same bytes get the same receipt.

        Parameters
        ----------
        ledger_head : hash of the newest entry of the site's ledger; the receipt has its stamp

        Raises
        ------
        SubmissionError
            If the hub refuses the result.
        IntegrityError
            If the receipt is for other bytes.
        """
        target = "/v1/submissions" + (f"?ledger_head={ledger_head}" if ledger_head else "")
        try:
            receipt = read_wire(Receipt, self.transport.send("POST", target, payload))
            receipt = self._settled(receipt, SUBMISSION_SECONDS)
        except (AccessDenied, HubUnavailable):
            raise
        except HubError as refusal:
            raise SubmissionError(str(refusal)) from None
        if receipt.submission_sha256 != hashlib.sha256(payload).hexdigest():
            raise IntegrityError("the hub's receipt is for other bytes than were sent")
        return receipt

    def _settled(self, receipt: Receipt, seconds: float) -> Receipt:
        """Wait for the hub's check of a submission."""
        end = time.monotonic() + seconds
        ledger = receipt.ledger
        while receipt.state in {"received", "checked"}:
            if time.monotonic() >= end:
                raise SubmissionError(
                    f"the hub has the result and has not checked it within {seconds:g} s; "
                    "submit it again later: it is counted once"
                )
            time.sleep(0.5)
            receipt = self._get(f"/v1/receipts/{receipt.submission_sha256}", Receipt)
        if receipt.state == "refused":
            raise SubmissionError(f"the hub refused the result: {receipt.reason}")
        return receipt.model_copy(update={"ledger": ledger or receipt.ledger})

    # --- operator ---------------------------------------------------------------------------

    def register_model(self, registration: ModelRegistration, artefact: bytes) -> ModelRecord:
        """Upload a model's artefact and register it."""
        self._store(artefact)
        return self._post("/v1/models", registration, ModelRecord)

    def start_model(self, name: str, version: str) -> ModelRecord:
        """Start the model endpoint."""
        return self._act(f"/v1/models/{name}/{version}/start")

    def stop_model(self, name: str, version: str) -> ModelRecord:
        """Stop the model endpoint."""
        return self._act(f"/v1/models/{name}/{version}/stop")

    def _act(self, target: str) -> ModelRecord:
        return self._read(ModelRecord, self.transport.send("POST", target))

    def access_requests(self, status: str | None = None) -> tuple[AccessGrant, ...]:
        """List the grants: all for the operator; a site sees only its own."""
        pages = self._pages("/v1/access-requests", AccessList)
        grants = (grant for page in pages for grant in page.grants)
        return tuple(grant for grant in grants if status in {None, grant.status})

    def decide_access(self, grant: AccessGrant, decision: AccessDecision) -> AccessGrant:
        """Approve, reject or revoke."""
        path = f"{grant.site}/{grant.model}/{grant.version}/{grant.plan_hash}"
        return self._post(f"/v1/access-requests/{path}/decision", decision, AccessGrant)

    def enrol_vendor(self, vendor: VendorKey) -> None:
        """Allow a developer's key to read the reports on its models."""
        self.transport.send("POST", "/v1/vendors", wire_bytes(vendor))

    def submissions(
        self, *, model: str, version: str, plan_hash: str
    ) -> tuple[SiteSubmission, ...]:
        """Fetch each site's latest result, sorted by site."""
        query = urlencode({"model": model, "version": version, "plan_hash": plan_hash})
        pages = self._pages(f"/v1/submissions?{query}", SubmissionList)
        return tuple(self._fetch(entry) for page in pages for entry in page.submissions)

    def publish_report(
        self, *, files: Mapping[str, bytes], **about: Unpack[ReportAbout]
    ) -> ReportRecord:
        """Store a report's files and index it; the same files are the same report."""
        stored = {name: self._store(data) for name, data in files.items()}
        return self._post("/v1/reports", report_record(stored, **about), ReportRecord)

    def withdraw_report(self, report: str, reason: str) -> ReportRecord:
        """Withdraw a report; it stays in the list with the reason."""
        withdrawal = ReportWithdrawal(reason=reason)
        return self._post(f"/v1/reports/{report}/withdrawal", withdrawal, ReportRecord)

    # --- all keys --------------------------------------------------------------------------

    def models(self) -> tuple[ModelRecord, ...]:
        """List the models."""
        pages = self._pages("/v1/models", ModelList)
        return tuple(model for page in pages for model in page.models)

    def model(self, name: str, version: str) -> ModelRecord:
        """Return one model.

        Raises
        ------
        IntegrityError
            If the hub's record is about another model or version.
        """
        record = self._get(f"/v1/models/{name}/{version}", ModelRecord)
        card = record.registration.card
        if (card.name, card.version) != (name, version):
            raise IntegrityError("the hub's record is about another model; inform the operator")
        return record

    def reports(self) -> tuple[ReportRecord, ...]:
        """List the reports that this key may read."""
        pages = self._pages("/v1/reports", ReportList)
        return tuple(report for page in pages for report in page.reports)

    def report_file(self, report: ReportRecord, name: str) -> bytes:
        """Fetch one file of a report and check it against its hash."""
        data = self.transport.send("GET", f"/v1/reports/{report.id}/files/{name}")
        return _checked(data, report.files[name])

    def audit(self) -> tuple[tuple[AuditEntry, ...], AuditHead | None]:
        """Return the whole audit chain, oldest entry first, and its head."""
        pages = list(self._pages("/v1/audit", AuditList))
        return tuple(entry for page in pages for entry in page.entries), pages[-1].head

    def revoke_hub_key(self, kid: str) -> HubKey:
        """Revoke a key that the hub publishes."""
        return read_wire(HubKey, self.transport.send("POST", f"/v1/hub-keys/{kid}/revoke"))

    def _fetch(self, entry: SubmissionEntry) -> SiteSubmission:
        sha256 = entry.submission_sha256
        data = _checked(
            self.transport.send("GET", f"/v1/submissions/{entry.site}/{sha256}"), sha256
        )
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
        if len(data) > MAX_CALL_BYTES:
            asked = ObjectSize(size=len(data))
            offer = self._post(f"/v1/objects/{sha256}/offer", asked, ObjectOffer)
            if offer.url:
                self._put(offer.url, data, offer.headers)
                return sha256
        self.transport.send("PUT", f"/v1/objects/{sha256}", data)
        return sha256

    def _put(self, url: str, data: bytes, headers: Mapping[str, str]) -> None:
        """PUT bytes to a signed address of the hub or of its object store."""
        target = checked_target(url, self.transport.origin, self.storage)
        checked = checked_headers(headers)
        self.transport.send("PUT", target, data, headers=checked, signed=False)

    def _post(self, target: str, sent: Wire, answer: type[Shape]) -> Shape:
        return self._read(answer, self.transport.send("POST", target, wire_bytes(sent)))

    def _pages(self, target: str, answer: type[Listing]) -> Iterator[Listing]:
        page = self._get(target, answer)
        yield page
        while page.next:
            mark = "&" if "?" in target else "?"
            page = self._get(f"{target}{mark}cursor={page.next}", answer)
            yield page

    def _get(self, target: str, answer: type[Shape]) -> Shape:
        return self._read(answer, self.transport.send("GET", target))

    def _read(self, answer: type[Shape], data: bytes) -> Shape:
        try:
            return read_wire(answer, data)
        except ValueError as misfit:
            raise HubError(f"the hub's answer does not match its contract: {misfit}") from None


def wire_bytes(sent: Wire) -> bytes:
    """Return a wire shape as canonical JSON, the bytes that are sent and hashed."""
    return canonical_json(sent.model_dump(mode="json"))


def _checked(data: bytes, sha256: str) -> bytes:
    if hashlib.sha256(data).hexdigest() != sha256:
        raise IntegrityError("the bytes from the hub do not match their listed hash")
    return data
