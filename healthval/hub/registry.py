"""Registry: stored objects, model versions and reports."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import compress
from operator import not_
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
    report_id,
)
from healthval.errors import part
from healthval.hub import access
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
MAX_PARSED = 256
_PARSED: dict[tuple[str, str], ModelRecord] = {}


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
    is_open = [_may_read_card(backend, caller, item) for item in found]
    others = [item.key.split("#") for item in compress(found, map(not_, is_open))]
    return ModelList(
        models=tuple(_model(item.value) for item in compress(found, is_open)),
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
    start_host(backend, model(backend, name, version))
    return _set_status(backend, actor, _key(name, version), "serving")


def start_host(backend: Backend, registered: ModelRecord) -> None:
    """Start the process or endpoint of a model; its status stays."""
    try:
        backend.host.start(hosted(registered))
    except HostUnavailable:
        raise Refusal(503, "The model endpoint is still starting", retryable=True) from None
    except ModelFailed as failure:
        raise Refusal(422, "The model does not start", str(failure)) from None


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


def _model(value: Mapping[str, Any]) -> ModelRecord:
    """Read a record; the digest is that of the registration, so a record is parsed once."""
    place = (value["digest"], value["status"])
    if place not in _PARSED:
        if len(_PARSED) >= MAX_PARSED:
            _PARSED.clear()
        # strict=False: the index contains plain JSON, in which a tuple is a list
        _PARSED[place] = ModelRecord.model_validate(value, strict=False)
    return _PARSED[place]


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


def reports(backend: Backend, caller: Caller, page: Page) -> ReportList:
    """List the reports that the caller may read: all (operator) or those on its models (vendor).

    A page of a vendor may have fewer reports than its limit and still a next page.
    """
    found, cursor = page.read(backend.index, "reports")
    records = [_report(item) for item in found]
    return ReportList(
        reports=tuple(report for report in records if _may_read(caller, report)), next=cursor
    )


def _report(item: Item) -> ReportRecord:
    # strict=False: the index contains plain JSON, in which a tuple is a list and a time a text
    return ReportRecord.model_validate(item.value, strict=False)


def current_report(backend: Backend, subject: tuple[str, str, str]) -> ReportRecord | None:
    """Return the current report on a model, a version and a plan; None if there is none."""
    found = (_report(item) for item in backend.index.query("reports"))
    return next((r for r in found if r.status == "current" and r.subject == subject), None)


def report_file(backend: Backend, caller: Caller, report: str, name: str) -> bytes:
    """Return one file of a report; 404 also for a report that the caller may not read."""
    item = backend.index.get("reports", report)
    found = _report(item) if item else None
    if found is None or not _may_read(caller, found) or name not in found.files:
        raise Refusal(404, "There is no such report file")
    return stored_bytes(backend, object_key(found.files[name]))


def _may_read(caller: Caller, report: ReportRecord) -> bool:
    if caller.role in {"operator", "reporter"}:
        return True
    return caller.role == "vendor" and report.model in caller.models


def stored_bytes(backend: Backend, key: str) -> bytes:
    """Return the bytes of an object; 404 if there are none."""
    try:
        return backend.objects.get(key)
    except KeyError:
        raise Refusal(404, "There are no such bytes here") from None
