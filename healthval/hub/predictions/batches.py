"""Predictions: accepted immediately, scored in the background, kept 24 h.

A batch that is answered at once is never stored: its rows stay in memory. One that is answered with
"pending" is stored first. The inputs of a batch are deleted before it counts as done or failed. A batch
may be scored twice without harm (a process died): the same model scores the same bytes, and the first
stored answer is the one returned.
"""

import json
import logging
import secrets
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import InitVar, dataclass, field

from healthval.contracts.base import digest, read_wire
from healthval.contracts.model import ModelRegistration
from healthval.contracts.prediction import (
    PredictionAnswer,
    PredictionRequest,
    check_instances,
    uploads_of,
)
from healthval.hub import access, registry
from healthval.hub.access import Subject
from healthval.hub.audit_chain import note, record
from healthval.hub.ports import Backend, Item, ModelFailed, Refusal, StoreUnavailable, Write
from healthval.hub.predictions.leases import LEASE_SECONDS, Leases
from healthval.hub.predictions.scoring import Closing, Scoring
from healthval.hub.predictions.uploads import KEEP_SECONDS, Uploads

log = logging.getLogger("healthval.hub")

QUICK_SECONDS = 2.0
SMALL_ANSWER_BYTES = 64 * 1024
# Folder of the object store -> partition of the index whose entries end the objects' life.
KEPT = {"requests": "predictions", "answers": "predictions", "uploads": "uploads"}


@dataclass(slots=True, kw_only=True)
class Predictions:
    """Scores batches; the index lists the pending ones, so another process can take them over."""

    backend: Backend
    uploads: Uploads
    leases: InitVar[Leases | None] = None
    _leases: Leases = field(init=False)
    _scoring: Scoring = field(init=False)
    _stored: set[str] = field(default_factory=set)

    def __post_init__(self, leases: Leases | None) -> None:
        self._leases = leases or Leases(backend=self.backend)
        self._scoring = Scoring(self.backend, self.uploads, self._leases.closing)

    @property
    def threads(self) -> ThreadPoolExecutor:
        """Threads of the calls that bring batches."""
        return self._leases.threads

    def submit(self, site: str, body: bytes, name: str | None = None) -> PredictionAnswer:
        """Accept a batch and wait up to `QUICK_SECONDS` for its answer; see `accept`."""
        batch, work = self.accept(site, body, name)
        wait([work] if work else [], QUICK_SECONDS)
        return self.answer(site, batch, body)

    def accept(
        self, site: str, body: bytes, name: str | None = None, *, here: bool = False
    ) -> tuple[str, Future[bytes] | None]:
        """Accept a batch and queue its work; return its id and the work in this process.

        The work returns the answer as JSON, or nothing if the batch has failed.

        Parameters
        ----------
        name : the caller's Idempotency-Key: a repeated key is the same batch
        here : the work may be an `OwnWork`, which the caller then runs in its thread
        """
        request = read_request(body)
        access.require(self.backend, site, _subject(request))
        model = registry.serving(self.backend, request.model, request.version)
        _check(model.registration, request)
        batch = "prediction-" + digest([site, name or secrets.token_hex(16)])[:32]
        hosted = registry.hosted(model)
        place = ("predictions", f"{site}#{batch}")

        def work() -> bytes:
            return self._run(site, batch, request)

        is_new = self._accept(site, batch, request)
        if not self._leases.in_process:
            self._store(site, batch, body)
        if is_new:
            # of a batch under the same name that has expired
            self.backend.objects.delete(_answer_key(site, batch))
            return batch, self._leases.begin(place, hosted, work, here=here)
        if (item := self._item(site, batch)).value["status"] == "pending":
            self._leases.take(item, hosted, work)
        return batch, self._leases.running(place)

    def answer(self, site: str, batch: str, body: bytes) -> PredictionAnswer:
        """Return a batch's status; a batch that is still pending is stored, so that it survives."""
        found = self.poll(site, batch)
        if found.status == "pending":
            self._store(site, batch, body)
            self.backend.index.flush()
        return found

    def finish(self, site: str, batch: str) -> None:
        """Score a batch in this thread, unless it is done already."""
        with suppress(Refusal):  # the entry has expired, and its objects with it
            if self._item(site, batch).value["status"] == "pending":
                self._run(site, batch, None)

    def poll(self, site: str, batch: str) -> PredictionAnswer:
        """Return a batch's status; take the batch over if its lease has ended."""
        item = self._item(site, batch)
        subject = Subject(*(item.value[name] for name in ("model", "version", "plan_hash")))
        access.check_not_revoked(self.backend, site, subject)
        self._take(site, item)
        if item.value["status"] != "done":
            return PredictionAnswer(id=batch, status=item.value["status"])
        if "answer" in item.value:
            return PredictionAnswer.model_validate(item.value["answer"], strict=False)
        return read_wire(PredictionAnswer, self.backend.objects.get(_answer_key(site, batch)))

    def _take(self, site: str, item: Item) -> None:
        """Queue the work on a pending batch unless a living process has it."""
        if item.value["status"] == "pending":
            model = registry.model(self.backend, item.value["model"], item.value["version"])
            batch = item.key.rpartition("#")[2]
            self._leases.take(item, registry.hosted(model), lambda: self._run(site, batch, None))

    def sweep(self) -> None:
        """Delete objects whose entry has expired, and inputs that a killed process left."""
        for folder, partition in KEPT.items():
            for key in self.backend.objects.keys(f"{folder}/"):
                _, site, name = key.split("/")
                subject = name.split(".")[0]
                item = self.backend.index.get(partition, f"{site}#{subject}")
                is_over = folder == "requests" and item and item.value["status"] != "pending"
                if item is None or is_over:
                    self.backend.objects.delete(key)
                    if folder != "answers":
                        note(self.backend, actor="hub", action="deleted", subject=subject)

    def close(self) -> None:
        """Finish the batches inside a model; the others stay pending."""
        self._leases.close()

    def _item(self, site: str, batch: str) -> Item:
        item = self.backend.index.get("predictions", f"{site}#{batch}")
        if item is None:
            raise Refusal(404, "There is no such prediction here", "predictions are kept for a day")
        return item

    def _store(self, site: str, batch: str, body: bytes) -> None:
        """Store the request; a repetition that arrives after scoring leaves nothing behind."""
        key = _request_key(site, batch)
        self._stored.add(batch)
        self.backend.objects.put_if_absent(key, body)
        if self._item(site, batch).value["status"] != "pending":
            self.backend.objects.delete(key)

    def _accept(self, site: str, batch: str, request: PredictionRequest) -> bool:
        """Enter and lease the batch and count its cases in one commit; return whether it is new.

        A failed batch may be repeated. The commit is durable before an answer: with the commit that
        finishes the batch, or with the flush after its request is stored.
        """
        key = f"{site}#{batch}"
        asked = request.model_dump(include={"model", "version", "plan_hash"})

        def plan() -> tuple[bool, list[Write]]:
            stored = self.backend.index.get("predictions", key)
            if stored is not None and stored.value["status"] != "failed":
                return False, []
            if uploads := uploads_of(request.instances):
                self.uploads.check_stored(site, uploads)
            grant = access.require(self.backend, site, _subject(request))
            entry = Write(
                partition="predictions",
                key=key,
                value={**asked, "status": "pending", "lease": self.backend.now + LEASE_SECONDS},
                version=stored.version if stored else 0,
                expires=self.backend.now + KEEP_SECONDS,
            )
            if stored:
                return True, [entry]
            return True, [entry, access.count(grant, len(request.cases), self.backend.now)]

        action = "prediction.accepted"
        return record(self.backend.undurable, plan, actor=site, action=action, subject=batch)

    def _run(self, site: str, batch: str, sent: PredictionRequest | None) -> bytes:
        """Score a batch, delete its inputs, and finish it; without a request it is read.

        The answer is stored before files are deleted: a killed process leaves one or the other.
        """
        key = _request_key(site, batch)
        request = sent or self._stored_request(key)
        uploads = uploads_of(request.instances) if request else ()
        status, data = self._stored_answer(site, batch) if uploads or sent is None else ("", b"")
        is_answered = bool(data)
        if not is_answered and request is not None:
            status, data = self._score(site, batch, request)
        is_stored = bool(uploads) or sent is None or batch in self._stored
        is_small = not is_stored and len(data) <= SMALL_ANSWER_BYTES
        if data and not is_answered and not is_small:
            self.backend.objects.put_if_absent(_answer_key(site, batch), data)
        self.uploads.delete(site, uploads)
        self.backend.objects.delete(key)
        self._finish(site, batch, status, data if is_small else b"")
        self.backend.objects.delete(key)  # of a repetition that was stored meanwhile
        self._stored.discard(batch)
        return data

    def _stored_request(self, key: str) -> PredictionRequest | None:
        """Read a stored request; None if it was scored already, or lost before it was stored."""
        with suppress(KeyError):
            return read_request(self.backend.objects.get(key))
        return None

    def _stored_answer(self, site: str, batch: str) -> tuple[str, bytes]:
        """Return the answer that a killed process has stored, as `_score` does; failed without one."""
        with suppress(KeyError):
            return "done", self.backend.objects.get(_answer_key(site, batch))
        return "failed", b""

    def _score(self, site: str, batch: str, request: PredictionRequest) -> tuple[str, bytes]:
        """Score a batch; return its new status and its answer."""
        try:
            model = registry.model(self.backend, request.model, request.version)
            scored = self._scoring.score(site, model, request)
            answer = PredictionAnswer(
                id=batch, status="done", model_digest=model.digest, predictions=tuple(scored)
            )
        except (StoreUnavailable, Closing):
            raise  # the batch stays pending, and the next poll takes it over
        except Exception as error:
            _log_failure(error)
            return "failed", b""
        return "done", answer.model_dump_json().encode()

    def _finish(self, site: str, batch: str, status: str, answer: bytes = b"") -> None:
        """Commit the new status of a batch whose inputs are deleted, with a small answer."""
        inline = {"answer": json.loads(answer)} if answer else {}

        def plan() -> tuple[None, list[Write]]:
            item = self._item(site, batch)
            if item.value["status"] != "pending":
                return None, []
            value = {**item.value, "status": status, "lease": 0, **inline}
            return None, [item.updated(value)]

        actions = ("deleted", f"prediction.{status}")
        record(self.backend, plan, actor="hub", action=actions, subject=batch)


def _log_failure(error: Exception) -> None:
    """Log a failure of the hub by type only: its message may contain parts of the request."""
    if not isinstance(error, ModelFailed):
        log.error("a batch failed inside the hub: %s", type(error).__name__)


def read_request(body: bytes) -> PredictionRequest:
    """Parse a batch; a refusal names place and type of the first error."""
    try:
        return read_wire(PredictionRequest, body)
    except ValueError as misfit:
        raise Refusal(422, "The request does not match its contract", str(misfit)) from None


def _check(registration: ModelRegistration, request: PredictionRequest) -> None:
    try:
        check_instances(registration, request)
    except ValueError as misfit:
        title = "The batch does not match the model's input contract"
        raise Refusal(422, title, str(misfit)) from None


def _subject(request: PredictionRequest) -> Subject:
    return Subject(request.model, request.version, request.plan_hash)


def _request_key(site: str, batch: str) -> str:
    return f"requests/{site}/{batch}.json"


def _answer_key(site: str, batch: str) -> str:
    return f"answers/{site}/{batch}.json"
