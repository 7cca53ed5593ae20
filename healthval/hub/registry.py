"""Registry: stored objects, model versions, submissions (each exactly once) and reports."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from healthval.contracts.base import canonical_json, digest
from healthval.contracts.model import (
    ModelList,
    ModelName,
    ModelRecord,
    ModelRegistration,
    ModelStatus,
    ObjectOffer,
)
from healthval.contracts.report import (
    STATE,
    ReportList,
    ReportRecord,
    ReportWithdrawal,
    SubmissionEntry,
    SubmissionList,
    report_id,
)
from healthval.contracts.submission import Receipt, Submission, foreign_names
from healthval.errors import counted, part
from healthval.hub import access
from healthval.hub.access import Subject
from healthval.hub.arrivals import ArrivalCheck
from healthval.hub.audit_chain import record
from healthval.hub.auth import Caller
from healthval.hub.pages import Page
from healthval.hub.ports import (
    MAX_ITEM_BYTES,
    Backend,
    HostedModel,
    HostUnavailable,
    Item,
    ModelFailed,
    Refusal,
    Write,
)

OFFER_SECONDS = 900


def object_key(sha256: str) -> str:
    """Return the key of the bytes with this hash."""
    return f"objects/{sha256}.bin"


def store(backend: Backend, sha256: str, data: bytes) -> None:
    """Store bytes under their hash; storing them again changes nothing."""
    if hashlib.sha256(data).hexdigest() != sha256:
        raise Refusal(422, "The bytes do not have the hash in the address", "send them again")
    backend.objects.put_if_absent(object_key(sha256), data)


def offer(backend: Backend, sha256: str, size: int) -> ObjectOffer:
    """Sign an address of the object store for bytes of this hash and size, if it offers one."""
    signed = backend.objects.offer(object_key(sha256), size, sha256, OFFER_SECONDS)
    return ObjectOffer(url=signed.url, headers=dict(signed.headers)) if signed else ObjectOffer()


def is_stored(backend: Backend, sha256: str) -> bool:
    """Return whether bytes with this hash are stored."""
    return backend.objects.keys(object_key(sha256)) != []


def register(backend: Backend, actor: Caller, registration: ModelRegistration) -> ModelRecord:
    """Register a model version once; its artefact must be stored before."""
    key = _key(registration.card.name, registration.card.version)
    if not is_stored(backend, registration.artefact_sha256):
        raise Refusal(422, "The artefact is not stored here", "PUT it to /v1/objects first")
    value = {
        "registration": registration.model_dump(mode="json"),
        "digest": digest(registration),
        "status": "registered",
    }
    if len(canonical_json(value)) > MAX_ITEM_BYTES:
        limit = f"card and input contract have at most {MAX_ITEM_BYTES} bytes together"
        raise Refusal(413, "The registration is too large", limit)

    def plan() -> tuple[ModelRecord, list[Write]]:
        stored = backend.index.get("models", key)
        if stored is None:
            return _model(value), [Write(partition="models", key=key, value=value)]
        if stored.value["digest"] != value["digest"]:
            title = "This model version is registered with other content"
            raise Refusal(409, title, "register a new version")
        return _model(stored.value), []

    return record(backend, plan, actor=actor.id, action="model.registered", subject=key)


def model(backend: Backend, name: str, version: str) -> ModelRecord:
    """Return a registered model."""
    return _model(_model_item(backend, name, version).value)


def models(backend: Backend, caller: Caller, page: Page) -> ModelList:
    """List the registered models, page by page; a card only to those who may read it."""
    found, cursor = page.read(backend.index, "models")
    readable = [_model(item.value) for item in found if _may_read_card(backend, caller, item)]
    others = [item.key.split("#") for item in found if not _may_read_card(backend, caller, item)]
    return ModelList(
        models=tuple(readable),
        others=tuple(ModelName(name=name, version=version) for name, version in others),
        next=cursor,
    )


def model_for(backend: Backend, caller: Caller, name: str, version: str) -> ModelRecord:
    """Return a registered model to a caller who may read its card."""
    item = _model_item(backend, name, version)
    if not _may_read_card(backend, caller, item):
        raise Refusal(403, "The model's card is not open to this key", "request access first")
    return _model(item.value)


def _may_read_card(backend: Backend, caller: Caller, item: Item) -> bool:
    return access.may_read_card(backend, caller, *item.key.split("#"))


def start(backend: Backend, actor: Caller, name: str, version: str) -> ModelRecord:
    """Start the model's endpoint."""
    wanted = hosted(model(backend, name, version))
    try:
        backend.host.start(wanted)
    except HostUnavailable:
        raise Refusal(503, "The model endpoint is still starting", retryable=True) from None
    except ModelFailed as failure:
        raise Refusal(422, "The model does not start", str(failure)) from None
    return _set_status(backend, actor, _key(name, version), "serving")


def stop(backend: Backend, actor: Caller, name: str, version: str) -> ModelRecord:
    """Stop the model's endpoint."""
    stopped = _set_status(backend, actor, _key(name, version), "stopped")
    backend.host.stop(hosted(stopped))
    return stopped


def serving(backend: Backend, name: str, version: str) -> ModelRecord:
    """Return a model that is serving; 409 unless the operator has started it."""
    found = model(backend, name, version)
    if found.status != "serving":
        raise Refusal(409, f"The model is {found.status}, not serving", "the operator starts it")
    return found


def hosted(registered: ModelRecord) -> HostedModel:
    """Return a registered model as its host serves it."""
    registration = registered.registration
    return HostedModel(
        name=registration.card.name,
        version=registration.card.version,
        artefact=registration.artefact_sha256,
        memory_mb=registration.memory_mb,
        max_concurrency=registration.max_concurrency,
    )


def _set_status(backend: Backend, actor: Caller, key: str, status: ModelStatus) -> ModelRecord:
    def plan() -> tuple[ModelRecord, list[Write]]:
        stored = _model_item(backend, *key.split("#"))
        value = {**stored.value, "status": status}
        if stored.value["status"] == status:
            return _model(value), []
        return _model(value), [stored.updated(value)]

    return record(backend, plan, actor=actor.id, action=f"model.{status}", subject=key)


def _key(name: str, version: str) -> str:
    return f"{name}#{version}"


def _model_item(backend: Backend, name: str, version: str) -> Item:
    stored = backend.index.get("models", _key(name, version))
    if stored is None:
        raise Refusal(404, "There is no such model version here")
    return stored


def _model(value: object) -> ModelRecord:
    # strict=False: the index contains plain JSON, in which a tuple is a list
    return ModelRecord.model_validate(value, strict=False)


def submit(backend: Backend, check: ArrivalCheck, site: str, payload: bytes) -> Receipt:
    """Store a site's released result after a new check; the same bytes get the same receipt.

    Another payload for the same model version and plan supersedes the earlier one, whose bytes
    stay in the store.
    """
    submission = check(payload)
    subject = Subject(submission.model, submission.version, submission.plan_hash)
    grant = access.require(backend, site, subject)
    _check_names(submission, grant)
    if model(backend, subject.model, subject.version).digest != submission.model_digest:
        raise Refusal(409, "The result is for another build of the model", "evaluate it again")
    sha256 = hashlib.sha256(payload).hexdigest()
    backend.objects.put_if_absent(_payload_key(site, sha256), payload)

    def plan() -> tuple[Receipt, list[Write]]:
        known = backend.index.get(f"receipts#{site}", sha256)
        active = backend.index.get(_results(subject), site)
        before = active.value["sha256"] if active else None
        if known is not None:
            receipt = _receipt(site, sha256, known.value["supersedes"])
            return receipt.model_copy(update={"active": before or sha256, "repeated": True}), []
        value = {"sha256": sha256, "supersedes": before, "received": backend.now}
        first = Write(partition=_results(subject), key=site, value=value)
        writes = [
            Write(partition=f"receipts#{site}", key=sha256, value={"supersedes": before}),
            active.updated(value) if active else first,
        ]
        return _receipt(site, sha256, before), writes

    return record(backend, plan, actor=site, action="result.submitted", subject=sha256)


def submissions(backend: Backend, subject: Subject) -> SubmissionList:
    """List each site's latest submission for a model version under a plan."""
    found = backend.index.query(_results(subject))
    return SubmissionList(
        submissions=tuple(_entry(backend, item.key, subject, item.value) for item in found)
    )


def payload_of(backend: Backend, site: str, sha256: str) -> bytes:
    """Return the bytes of a submission, as sent."""
    return _bytes(backend, _payload_key(site, sha256))


def publish(backend: Backend, actor: Caller, report: ReportRecord) -> ReportRecord:
    """Index a report whose files are stored; its id is a hash of its content, so it never changes.

    It supersedes the current report on the same model version under the same plan. A withdrawn
    report is not published again.
    """
    if report.id != report_id(report):
        raise Refusal(422, "The report's id does not fit its content")
    missing = [sha for sha in report.files.values() if not is_stored(backend, sha)]
    if missing:
        title = part(len(missing), len(report.files), "file", "are not stored here")
        raise Refusal(422, title, "PUT them to /v1/objects first")
    model(backend, report.model, report.version)

    def plan() -> tuple[ReportRecord, list[Write]]:
        stored = backend.index.get("reports", report.id)
        if stored is not None:
            known = _report(stored)
            if known.status == "withdrawn":
                raise Refusal(409, "This report was withdrawn", "it is not published again")
            return known, []
        published = datetime.fromtimestamp(backend.now, UTC)
        new = ReportRecord(**{**_content(report), "published": published})
        first = Write(partition="reports", key=new.id, value=new.model_dump(mode="json"))
        return new, [first, *_superseding(backend, new)]

    return record(backend, plan, actor=actor.id, action="report.published", subject=report.id)


def _content(report: ReportRecord) -> dict[str, Any]:
    return {name: getattr(report, name) for name in ReportRecord.model_fields if name not in STATE}


def _superseding(backend: Backend, new: ReportRecord) -> list[Write]:
    """Mark the current reports on the same subject as superseded by the new one."""
    writes = []
    for item in backend.index.query("reports"):
        old = _report(item)
        if old.status == "current" and old.subject == new.subject:
            after = old.model_copy(update={"status": "superseded", "superseded_by": new.id})
            writes.append(item.updated(after.model_dump(mode="json")))
    return writes


def withdraw(
    backend: Backend, actor: Caller, report: str, withdrawal: ReportWithdrawal
) -> ReportRecord:
    """Mark a report as withdrawn, with the operator's reason; it stays in the index."""

    def plan() -> tuple[ReportRecord, list[Write]]:
        item = backend.index.get("reports", report)
        if item is None:
            raise Refusal(404, "There is no such report")
        known = _report(item)
        if known.status == "withdrawn":
            if known.reason != withdrawal.reason:
                raise Refusal(409, "The report was withdrawn for another reason")
            return known, []
        update = {"status": "withdrawn", "reason": withdrawal.reason}
        after = known.model_copy(update=update)
        return after, [item.updated(after.model_dump(mode="json"))]

    return record(backend, plan, actor=actor.id, action="report.withdrawn", subject=report)


def reports(backend: Backend, caller: Caller) -> ReportList:
    """List the reports that the caller may read: all (operator) or those on its models (vendor)."""
    found = [_report(item) for item in backend.index.query("reports")]
    return ReportList(reports=tuple(report for report in found if _may_read(caller, report)))


def _report(item: Item) -> ReportRecord:
    # strict=False: the index contains plain JSON, in which a tuple is a list and a time a text
    return ReportRecord.model_validate(item.value, strict=False)


def report_file(backend: Backend, caller: Caller, report: str, name: str) -> bytes:
    """Return one file of a report; 404 also for a report that the caller may not read."""
    item = backend.index.get("reports", report)
    found = _report(item) if item else None
    if found is None or not _may_read(caller, found) or name not in found.files:
        raise Refusal(404, "There is no such report file")
    return _bytes(backend, object_key(found.files[name]))


def _may_read(caller: Caller, report: ReportRecord) -> bool:
    return caller.role == "operator" or (caller.role == "vendor" and report.model in caller.models)


def _check_names(submission: Submission, grant: Item) -> None:
    """Refuse names of variables, levels or steps that the access request did not list."""
    if found := foreign_names(submission, grant.value.get("names", ())):
        raise Refusal(
            422,
            "The submission has names that its plan does not have",
            f"{counted(len(found), 'name')} of variables, levels or steps; request access with the"
            " plan whose names they are, and release again",
        )


def _receipt(site: str, sha256: str, supersedes: str | None) -> Receipt:
    return Receipt(site=site, submission_sha256=sha256, active=sha256, supersedes=supersedes)


def _entry(
    backend: Backend, site: str, subject: Subject, value: Mapping[str, Any]
) -> SubmissionEntry:
    grant = backend.index.get("grants", subject.key(site))
    return SubmissionEntry(
        site=site,
        label=grant.value["label"] if grant else site,
        submission_sha256=value["sha256"],
        supersedes=value["supersedes"],
        received=datetime.fromtimestamp(value["received"], UTC),
    )


def _results(subject: Subject) -> str:
    return f"results#{subject.model}#{subject.version}#{subject.plan_hash}"


def _payload_key(site: str, sha256: str) -> str:
    return f"submissions/{site}/{sha256}.json"


def _bytes(backend: Backend, key: str) -> bytes:
    try:
        return backend.objects.get(key)
    except KeyError:
        raise Refusal(404, "There are no such bytes here") from None
