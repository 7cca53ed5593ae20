"""Calls of the operator: models, decisions, keys, submissions, reports."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Unpack
from urllib.parse import urlencode

from healthval.client.calls import Calls, checked_bytes, wire_bytes
from healthval.contracts.access import (
    AccessDecision,
    AccessGrant,
    AuditorKey,
    KeyRecord,
    OperatorRole,
    VendorKey,
)
from healthval.contracts.base import read_wire
from healthval.contracts.keys import HubKey
from healthval.contracts.model import ModelRecord, ModelRegistration, ObjectOffer, ObjectSize
from healthval.contracts.report import (
    ReportAbout,
    ReportOrder,
    ReportOrderAbout,
    ReportOrderList,
    ReportOrderRecord,
    ReportRecord,
    ReportWithdrawal,
    SubmissionEntry,
    SubmissionList,
    report_record,
)
from healthval.contracts.submission import Submission
from healthval.secure_sum.messages import Round, SumClosing, SumState

# A call of the API in Lambda has at most 6 MB in base64, 4.5 MB as bytes.
MAX_CALL_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteSubmission:
    """One site's active result as the operator receives it; `payload` is the released bytes."""

    site: str
    label: str
    sha256: str
    payload: bytes
    submission: Submission
    supersedes: str | None = None
    received: datetime | None = None


class OperatorCalls(Calls):
    """Calls of the operator."""

    def register_model(
        self, registration: ModelRegistration, artefact: bytes, files: Sequence[bytes] = ()
    ) -> ModelRecord:
        """Upload a model's artefact and the files of its probes, and register it."""
        for data in (artefact, *files):
            self._store(data)
        return self._post("/v1/models", registration, ModelRecord)

    def start_model(self, name: str, version: str, *, tried: bool = False) -> ModelRecord:
        """Start the model endpoint; with `tried`, only a model that answers a trial call and its probes.

        Raises
        ------
        HubError
            If the model does not start or answer; gives the reason.
        """
        query = "?tried=true" if tried else ""
        return self._act(f"/v1/models/{name}/{version}/start{query}")

    def stop_model(self, name: str, version: str) -> ModelRecord:
        """Stop the model endpoint."""
        return self._act(f"/v1/models/{name}/{version}/stop")

    def _act(self, target: str) -> ModelRecord:
        return self._read(ModelRecord, self.transport.send("POST", target))

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

    def order_reports(
        self,
        plan: bytes,
        **about: Unpack[ReportOrderAbout],
    ) -> ReportOrderRecord:
        """Give or cancel the standing order of a new report after each result that counts.

        `plan` is the content of the plan's file.
        """
        order = ReportOrder(plan=self._store(plan), **about)
        return self._post("/v1/report-orders", order, ReportOrderRecord)

    def report_orders(self) -> tuple[ReportOrderRecord, ...]:
        """List the standing orders, and what became of them."""
        pages = self._pages("/v1/report-orders", ReportOrderList)
        return tuple(order for page in pages for order in page.orders)

    def close_sum_round(self, state: SumState, round_: Round) -> SumState:
        """End a round of a secure sum without the sites that have not sent a message."""
        path = f"{state.model}/{state.version}/{state.plan_hash}"
        closing = SumClosing(attempt=state.attempt, round=round_)
        return self._post(f"/v1/sums/{path}/closing", closing, SumState)

    def withdraw_report(self, report: str, reason: str) -> ReportRecord:
        """Withdraw a report; it stays in the list with the reason."""
        withdrawal = ReportWithdrawal(reason=reason)
        return self._post(f"/v1/reports/{report}/withdrawal", withdrawal, ReportRecord)

    def revoke_hub_key(self, kid: str) -> HubKey:
        """Revoke a key that the hub publishes."""
        return read_wire(HubKey, self.transport.send("POST", f"/v1/hub-keys/{kid}/revoke"))

    def enrol_auditor(self, auditor: AuditorKey) -> None:
        """Allow an auditor's key to read the audit chain, grants, models and keys."""
        self.transport.send("POST", "/v1/auditors", wire_bytes(auditor))

    def enrol_operator(self, operator: OperatorRole) -> None:
        """Let an AWS role make the operator's calls; only the operator's key enrols one."""
        self.transport.send("POST", "/v1/operators", wire_bytes(operator))

    def revoke_key(self, name: str) -> KeyRecord:
        """Revoke a site's, vendor's or auditor's key; its calls are refused from then on."""
        return self._read(KeyRecord, self.transport.send("POST", f"/v1/keys/{name}/revoke"))

    def _fetch(self, entry: SubmissionEntry) -> SiteSubmission:
        sha256 = entry.submission_sha256
        data = checked_bytes(
            self.transport.send("GET", f"/v1/submissions/{entry.site}/{sha256}"), sha256
        )
        return SiteSubmission(
            site=entry.site,
            label=entry.label,
            sha256=sha256,
            payload=data,
            submission=read_wire(Submission, data),
            supersedes=entry.supersedes,
            received=entry.received,
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
