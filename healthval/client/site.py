"""Calls of a site: access, predictions, uploads, submissions."""

import hashlib
import secrets
import time
from collections.abc import Iterable
from typing import Unpack

from pydantic import ValidationError

from healthval.call_limit import place_at
from healthval.client.calls import Calls, wire_bytes
from healthval.contracts.access import AccessGrant, AccessRequest, Amendment, PlanSubject
from healthval.contracts.base import read_wire
from healthval.contracts.prediction import (
    PredictionAnswer,
    PredictionRequest,
    UploadRequest,
    UploadTicket,
)
from healthval.contracts.stamp import LedgerHead
from healthval.contracts.submission import Receipt
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
from healthval.secure_sum.messages import SumMessage, SumState

SUBMISSION_SECONDS = 600.0


class SiteCalls(Calls):
    """Calls of a site."""

    def request_access(
        self,
        *,
        label: str,
        names: Iterable[str] = (),
        title: str | None = None,
        amendment: Amendment | None = None,
        **subject: Unpack[PlanSubject],
    ) -> AccessGrant:
        """Request access with the public key; a repeated request returns the current grant.

        `stamp` in the grant is the hub's countersignature of the plan's hash and the time.

        Parameters
        ----------
        label : the site's name as the operator sees it
        names : the plan's variables, levels and steps; results may contain no other name
        title : the plan's, by which the operator tells plans apart
        amendment : the plan that this plan replaces, and the reason
        subject : `model`, `version` and `plan_hash`

        Raises
        ------
        UsageError
            If the label, the title or a name looks like an identifier, a date or an address.
        """
        try:
            asked = AccessRequest(
                public_key=self.credential.public_key,
                label=label,
                names=tuple(names),
                title=title,
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

    def predict(
        self, request: PredictionRequest, *, seconds: float = 600, key: str | None = None
    ) -> PredictionAnswer:
        """Send a batch for scoring and wait for the answer.

        The bytes sent are `wire_bytes(request)`, so a ledger can hash them beforehand.

        Parameters
        ----------
        key : random name of this call; a call that is repeated under it is scored once

        Raises
        ------
        PredictionError
            If the model failed on the batch or did not answer in time.
        """
        # The key makes repetitions of this call one batch, and another call another batch: the
        # same rows in two calls are scored twice, by which a changed model is noticed.
        headers = {"Idempotency-Key": key or secrets.token_urlsafe(24)}
        body = wire_bytes(request)
        with place_at(f"{self.transport.origin} {request.model} {request.version}"):
            answer = self._read(
                PredictionAnswer,
                self.transport.send("POST", "/v1/predictions", body, headers=headers),
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

    def send_to_sum(self, message: SumMessage) -> SumState:
        """Send the site's message of the open round of a secure sum; return the state after it."""
        return self._post("/v1/sums", message, SumState)

    def ledger_head(self) -> str | None:
        """Return the head of this site's ledger that came with its newest submission."""
        return self._get("/v1/ledger-head", LedgerHead).sha256

    def _settled(self, receipt: Receipt, seconds: float) -> Receipt:
        """Wait for the hub's check of a submission."""
        end = time.monotonic() + seconds
        first = receipt
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
        kept = {"ledger": first.ledger or receipt.ledger, "repeated": first.repeated}
        return receipt.model_copy(update=kept)
