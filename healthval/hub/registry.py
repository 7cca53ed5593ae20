"""What is registered: artefacts and models, submissions exactly once, reports for ever."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from healthval.contracts.base import digest, read_wire
from healthval.contracts.model import ModelList, ModelRecord, ModelRegistration, ModelStatus
from healthval.contracts.report import (
    ReportList,
    ReportRecord,
    SubmissionEntry,
    SubmissionList,
    report_id,
)
from healthval.contracts.submission import Receipt, Submission
from healthval.disclosure import DisclosureRefused, Policy, check_arrival
from healthval.hub import access
from healthval.hub.access import Subject
from healthval.hub.auth import Caller, record
from healthval.hub.ports import (
    Backend,
    HostedModel,
    HostUnavailable,
    Item,
    ModelFailed,
    Refusal,
    Write,
)


def object_key(sha256: str) -> str:
    """Where the bytes with this hash lie."""
    return f"objects/{sha256}.bin"


def store(backend: Backend, sha256: str, data: bytes) -> None:
    """Keep bytes under their hash; keeping them twice is keeping them once."""
    if hashlib.sha256(data).hexdigest() != sha256:
        raise Refusal(422, "The bytes do not have the hash in the address", "send them again")
    backend.objects.put_if_absent(object_key(sha256), data)


def is_stored(backend: Backend, sha256: str) -> bool:
    """Tell whether bytes with this hash are held."""
    return backend.objects.keys(object_key(sha256)) != []


def register(backend: Backend, actor: Caller, registration: ModelRegistration) -> ModelRecord:
    """Register a model version, once; its artefact must be stored already."""
    key = _key(registration.card.name, registration.card.version)
    if not is_stored(backend, registration.artefact_sha256):
        raise Refusal(422, "The artefact is not stored here", "PUT it to /v1/objects first")
    value = {
        "registration": registration.model_dump(mode="json"),
        "digest": digest(registration),
        "status": "registered",
    }

    def plan() -> tuple[ModelRecord, list[Write]]:
        held = backend.index.get("models", key)
        if held is None:
            return _model(value), [Write("models", key, value)]
        if held.value["digest"] != value["digest"]:
            title = "This model version is registered with other content"
            raise Refusal(409, title, "register a new version")
        return _model(held.value), []

    return record(backend, actor.id, "model.registered", key, plan)


def model(backend: Backend, name: str, version: str) -> ModelRecord:
    """Return a registered model."""
    return _model(_held(backend, name, version).value)


def all_models(backend: Backend) -> ModelList:
    """List the registered models."""
    return ModelList(models=tuple(_model(item.value) for item in backend.index.query("models")))


def start(backend: Backend, actor: Caller, name: str, version: str) -> ModelRecord:
    """Bring the model's endpoint up."""
    wanted = hosted(model(backend, name, version))
    try:
        backend.host.start(wanted)
    except HostUnavailable:
        raise Refusal(503, "The model endpoint is not up yet", retryable=True) from None
    except ModelFailed as failure:
        raise Refusal(422, "The model does not start", str(failure)) from None
    return _turn(backend, actor, _key(name, version), "serving")


def stop(backend: Backend, actor: Caller, name: str, version: str) -> ModelRecord:
    """Take the model's endpoint down."""
    stopped = _turn(backend, actor, _key(name, version), "stopped")
    backend.host.stop(hosted(stopped))
    return stopped


def serving(backend: Backend, name: str, version: str) -> ModelRecord:
    """Return a model that may be asked; 409 unless the operator has started it."""
    found = model(backend, name, version)
    if found.status != "serving":
        raise Refusal(409, f"The model is {found.status}, not serving", "the operator starts it")
    return found


def hosted(registered: ModelRecord) -> HostedModel:
    """Tell a host what to serve."""
    registration = registered.registration
    return HostedModel(
        registration.card.name,
        registration.card.version,
        registration.artefact_sha256,
        registration.memory_mb,
        registration.max_concurrency,
    )


def _turn(backend: Backend, actor: Caller, key: str, status: ModelStatus) -> ModelRecord:
    def plan() -> tuple[ModelRecord, list[Write]]:
        held = _held(backend, *key.split("#"))
        value = {**held.value, "status": status}
        is_same = held.value["status"] == status
        return _model(value), [] if is_same else [Write("models", key, value, held.version)]

    return record(backend, actor.id, f"model.{status}", key, plan)


def _key(name: str, version: str) -> str:
    return f"{name}#{version}"


def _held(backend: Backend, name: str, version: str) -> Item:
    held = backend.index.get("models", _key(name, version))
    if held is None:
        raise Refusal(404, "There is no such model version here")
    return held


def _model(value: object) -> ModelRecord:
    # strict=False: the index holds plain JSON, in which a tuple is a list
    return ModelRecord.model_validate(value, strict=False)


def submit(backend: Backend, policy: Policy, site: str, payload: bytes) -> Receipt:
    """Hold a site's released result, checked again. The same bytes again get the same receipt.

    Another payload for the same model version and plan takes the place of the one before, whose
    bytes stay in the store.
    """
    submission = _check(payload, policy)
    subject = Subject(submission.model, submission.version, submission.plan_hash)
    access.require(backend, site, subject)
    if model(backend, subject.model, subject.version).digest != submission.model_digest:
        raise Refusal(409, "The result is about another build of the model", "evaluate it again")
    sha256 = hashlib.sha256(payload).hexdigest()
    backend.objects.put_if_absent(_payload_key(site, sha256), payload)

    def plan() -> tuple[Receipt, list[Write]]:
        known = backend.index.get(f"receipts#{site}", sha256)
        if known is not None:
            return _receipt(site, sha256, known.value["supersedes"], repeated=True), []
        held = backend.index.get(_shelf(subject), site)
        before = held.value["sha256"] if held else None
        value = {"sha256": sha256, "supersedes": before, "received": backend.now}
        writes = [
            Write(f"receipts#{site}", sha256, {"supersedes": before}),
            Write(_shelf(subject), site, value, held.version if held else 0),
        ]
        return _receipt(site, sha256, before, repeated=False), writes

    return record(backend, site, "result.submitted", sha256, plan)


def submissions(backend: Backend, subject: Subject) -> SubmissionList:
    """List each site's latest submission for a model version under a plan."""
    found = backend.index.query(_shelf(subject))
    return SubmissionList(
        submissions=tuple(_entry(backend, item.key, subject, item.value) for item in found)
    )


def payload_of(backend: Backend, site: str, sha256: str) -> bytes:
    """Return a submission as it was sent."""
    return _bytes(backend, _payload_key(site, sha256))


def publish(backend: Backend, actor: Caller, report: ReportRecord) -> ReportRecord:
    """Index a report whose files are stored; its name is its content, so it never changes."""
    if report.id != report_id(report):
        raise Refusal(422, "The report's id does not fit its content")
    missing = [sha for sha in report.files.values() if not is_stored(backend, sha)]
    if missing:
        title = f"{len(missing)} of {len(report.files)} files are not stored here"
        raise Refusal(422, title, "PUT them to /v1/objects first")
    model(backend, report.model, report.version)
    value = report.model_dump(mode="json")

    def plan() -> tuple[ReportRecord, list[Write]]:
        held = backend.index.get("reports", report.id)
        if held is None:
            return report, [Write("reports", report.id, value)]
        if dict(held.value) != value:
            raise Refusal(409, "Another report has this id")
        return report, []

    return record(backend, actor.id, "report.published", report.id, plan)


def reports(backend: Backend, caller: Caller) -> ReportList:
    """List the reports that the caller may read: the operator all, a vendor its own models'."""
    found = [ReportRecord.model_validate(item.value) for item in backend.index.query("reports")]
    return ReportList(reports=tuple(report for report in found if _may_read(caller, report)))


def report_file(backend: Backend, caller: Caller, report: str, name: str) -> bytes:
    """Return one file of a report; one that is not the caller's is not there."""
    item = backend.index.get("reports", report)
    found = ReportRecord.model_validate(item.value) if item else None
    if found is None or not _may_read(caller, found) or name not in found.files:
        raise Refusal(404, "There is no such report file")
    return _bytes(backend, object_key(found.files[name]))


def _may_read(caller: Caller, report: ReportRecord) -> bool:
    return caller.role == "operator" or (caller.role == "vendor" and report.model in caller.models)


def _check(payload: bytes, policy: Policy) -> Submission:
    """Trust neither the site's shape nor its gate."""
    try:
        return check_arrival(read_wire(Submission, payload), policy)
    except ValueError as misfit:
        raise Refusal(422, "The submission is not as the contract says", str(misfit)) from None
    except DisclosureRefused as refused:
        raise Refusal(422, "The submission says too much", str(refused)) from None


def _receipt(site: str, sha256: str, supersedes: str | None, *, repeated: bool) -> Receipt:
    return Receipt(site=site, submission_sha256=sha256, supersedes=supersedes, repeated=repeated)


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


def _shelf(subject: Subject) -> str:
    return f"results#{subject.model}#{subject.version}#{subject.plan_hash}"


def _payload_key(site: str, sha256: str) -> str:
    return f"submissions/{site}/{sha256}.json"


def _bytes(backend: Backend, key: str) -> bytes:
    try:
        return backend.objects.get(key)
    except KeyError:
        raise Refusal(404, "There are no such bytes here") from None
