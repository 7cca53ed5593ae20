"""Predictions: accepted immediately, scored in the background, kept 24 h; inputs are deleted then.

A batch may be scored twice without harm (a process died, a lease ended): the same model scores
the same bytes, and the first stored answer is the one returned.
"""

import json
import logging
import secrets
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from healthval.contracts.base import canonical_json, digest, read_wire
from healthval.contracts.model import InputContract, ModelRecord
from healthval.contracts.prediction import (
    CombinedInstances,
    DicomInstances,
    Prediction,
    PredictionAnswer,
    PredictionRequest,
    TableInstances,
    check_instances,
    out_of_range,
    uploads_of,
)
from healthval.hub import access, registry
from healthval.hub.access import Subject
from healthval.hub.audit_chain import record
from healthval.hub.ports import (
    Backend,
    Conflict,
    HostUnavailable,
    Item,
    ModelFailed,
    Refusal,
    StoreUnavailable,
    Write,
)
from healthval.hub.uploads import KEEP_SECONDS, Uploads

log = logging.getLogger("healthval.hub")

LEASE_SECONDS = 10
QUICK_SECONDS = 2.0
HOST_ATTEMPTS = 6
# Folder of the object store -> partition of the index whose entries end the objects' life.
KEPT = {"requests": "predictions", "answers": "predictions", "uploads": "uploads"}


@dataclass(frozen=True, slots=True)
class _Case:
    """One case with files; `row` is its row as a table of one, empty without named inputs."""

    id: str
    uploads: Sequence[str]
    row: dict[str, Any]


@dataclass(slots=True, kw_only=True)
class Predictions:
    """Scores batches; the index lists the pending ones, so another process can take them over."""

    backend: Backend
    uploads: Uploads
    _workers: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(8))
    _running: dict[str, Future[None]] = field(default_factory=dict)
    _lock: Any = field(default_factory=threading.Lock)

    def submit(self, site: str, body: bytes, name: str | None = None) -> PredictionAnswer:
        """Accept a batch and wait up to `QUICK_SECONDS` for its answer.

        Parameters
        ----------
        name : the caller's Idempotency-Key: a repeated key is the same batch
        """
        request = read_request(body)
        access.require(self.backend, site, _subject(request))
        model = registry.serving(self.backend, request.model, request.version)
        _check(model.registration.inputs, request)
        batch = "prediction-" + digest([site, name or secrets.token_hex(16)])[:32]
        if self._accept(site, batch, request):
            self.backend.objects.put_if_absent(_request_key(site, batch), body)
        return self.poll(site, batch, QUICK_SECONDS)

    def poll(self, site: str, batch: str, seconds: float = 0) -> PredictionAnswer:
        """Return a batch's status; take the batch over if its lease has ended."""
        item = self._item(site, batch)
        if item.value["status"] == "pending":
            self._work_on(item)
            wait([work] if (work := self._running.get(batch)) else [], seconds)
            item = self._item(site, batch)
        if item.value["status"] != "done":
            return PredictionAnswer(id=batch, status=item.value["status"])
        return read_wire(PredictionAnswer, self.backend.objects.get(_answer_key(site, batch)))

    def sweep(self) -> None:
        """Delete objects whose entry in the index has expired."""
        for folder, partition in KEPT.items():
            for key in self.backend.objects.keys(f"{folder}/"):
                _, site, name = key.split("/")
                if self.backend.index.get(partition, f"{site}#{name.split('.')[0]}") is None:
                    self.backend.objects.delete(key)

    def close(self) -> None:
        """Finish running batches and start no others."""
        self._workers.shutdown(cancel_futures=True)

    def _item(self, site: str, batch: str) -> Item:
        item = self.backend.index.get("predictions", f"{site}#{batch}")
        if item is None:
            raise Refusal(404, "There is no such prediction here", "predictions are kept for a day")
        return item

    def _accept(self, site: str, batch: str, request: PredictionRequest) -> bool:
        """Store the batch and count its cases in one commit; a failed batch may be repeated."""
        key = f"{site}#{batch}"

        def plan() -> tuple[bool, list[Write]]:
            stored = self.backend.index.get("predictions", key)
            if stored is not None and stored.value["status"] != "failed":
                return stored.value["status"] == "pending", []
            if uploads := uploads_of(request.instances):
                self.uploads.check_stored(site, uploads)
            grant = access.require(self.backend, site, _subject(request))
            note = Write(
                partition="predictions",
                key=key,
                value={"status": "pending", "lease": 0},
                version=stored.version if stored else 0,
                expires=self.backend.now + KEEP_SECONDS,
            )
            return True, [note] if stored else [note, access.count(grant, len(request.cases))]

        return record(self.backend, plan, actor=site, action="prediction.accepted", subject=batch)

    def _work_on(self, item: Item) -> None:
        site, batch = item.key.split("#")
        with self._lock, suppress(Conflict):
            if batch in self._running or item.value["lease"] > self.backend.now:
                return
            value = {**item.value, "lease": self.backend.now + LEASE_SECONDS}
            self.backend.index.commit([item.updated(value)])
            work = self._running[batch] = self._workers.submit(self._run, site, batch)
            work.add_done_callback(lambda _: self._running.pop(batch, None))

    def _run(self, site: str, batch: str) -> None:
        try:
            request = read_request(self.backend.objects.get(_request_key(site, batch)))
        except KeyError:  # finished by another process, or lost before it was stored
            self._finish(site, batch, "failed")
            return
        try:
            model = registry.model(self.backend, request.model, request.version)
            scored = self._score(site, model, request)
            answer = PredictionAnswer(
                id=batch, status="done", model_digest=model.digest, predictions=tuple(scored)
            )
            data = answer.model_dump_json().encode()
            self.backend.objects.put_if_absent(_answer_key(site, batch), data)
            self._finish(site, batch, "done")
        except StoreUnavailable:
            raise  # the batch stays pending, and the next poll takes it over
        except Exception as error:
            _log_failure(error)
            self._finish(site, batch, "failed")
        self.backend.objects.delete(_request_key(site, batch))
        self.uploads.delete(site, uploads_of(request.instances))

    def _finish(self, site: str, batch: str, status: str) -> None:
        def plan() -> tuple[None, list[Write]]:
            item = self._item(site, batch)
            if item.value["status"] == "done":
                return None, []
            value = {"status": status, "lease": 0}
            return None, [item.updated(value)]

        record(self.backend, plan, actor="hub", action=f"prediction.{status}", subject=batch)

    def _score(self, site: str, model: ModelRecord, request: PredictionRequest) -> list[Prediction]:
        sent = request.instances
        outside: set[int] = set()
        if not isinstance(sent, DicomInstances):
            outside = out_of_range(model.registration.inputs, sent)
        rows = [i for i in range(len(request.cases)) if i not in outside]
        if isinstance(sent, TableInstances):
            scored = self._score_table(model, request.cases, sent, rows)
        else:
            scored = [self._score_files(site, model, _case(request.cases, sent, i)) for i in rows]
        left = iter(scored)
        return [
            Prediction(case=case, reason="input_out_of_range") if i in outside else next(left)
            for i, case in enumerate(request.cases)
        ]

    def _score_table(
        self, model: ModelRecord, cases: Sequence[str], sent: TableInstances, rows: Sequence[int]
    ) -> list[Prediction]:
        table = {"columns": sent.columns, "rows": [sent.rows[i] for i in rows]}
        scores = self._invoke(model, table) if rows else []
        if len(scores) != len(rows):
            raise ModelFailed("the host's answer has another number of scores")
        return [_prediction(cases[i], score) for i, score in zip(rows, scores, strict=True)]

    def _score_files(self, site: str, model: ModelRecord, case: _Case) -> Prediction:
        """Score one case with files; a failure is a reason for this case, not for the batch."""
        try:
            files = self.uploads.instance(site, case.uploads)
            if case.row:  # the files of one case are one instance
                files = {kind: [of_case] for kind, of_case in files.items()}
            return _prediction(case.id, self._invoke(model, case.row | files)[0])
        except (ModelFailed, KeyError, IndexError):
            return Prediction(case=case.id, reason="model_failed")

    def _invoke(self, model: ModelRecord, instances: dict[str, Any]) -> list[float | None]:
        body = canonical_json(instances)
        for attempt in range(HOST_ATTEMPTS):
            with suppress(HostUnavailable):
                answer = self.backend.host.invoke(registry.hosted(model), body)
                return _scores(answer)
            time.sleep(0.1 * 2**attempt)
        raise ModelFailed("the model host does not respond")


def _case(cases: Sequence[str], sent: DicomInstances | CombinedInstances, i: int) -> _Case:
    if isinstance(sent, DicomInstances):
        return _Case(cases[i], [sent.uploads[i]], {})
    return _Case(cases[i], sent.uploads[i], {"columns": sent.columns, "rows": [sent.rows[i]]})


def _log_failure(error: Exception) -> None:
    """Log a failure of the hub by type only: its message may contain parts of the request."""
    if not isinstance(error, ModelFailed):
        log.error("a batch failed inside the hub: %s", type(error).__name__)


def _scores(answer: bytes) -> list[float | None]:
    """Read a host's answer; anything but a list of scores from 0 to 1 is the model's failure."""
    try:
        scores = json.loads(answer)["scores"]
        if all(score is None or 0 <= score <= 1 for score in scores):
            return [None if score is None else float(score) for score in scores]
    except (ValueError, TypeError, KeyError):
        pass
    raise ModelFailed("the host's answer is no list of scores")


def read_request(body: bytes) -> PredictionRequest:
    """Parse a batch; a refusal names place and type of the first error."""
    try:
        return read_wire(PredictionRequest, body)
    except ValueError as misfit:
        raise Refusal(422, "The request does not match its contract", str(misfit)) from None


def _check(inputs: InputContract, request: PredictionRequest) -> None:
    try:
        check_instances(inputs, request)
    except ValueError as misfit:
        title = "The batch does not match the model's input contract"
        raise Refusal(422, title, str(misfit)) from None


def _prediction(case: str, score: float | None) -> Prediction:
    return Prediction(case=case, score=score, reason="model_declined" if score is None else "none")


def _subject(request: PredictionRequest) -> Subject:
    return Subject(request.model, request.version, request.plan_hash)


def _request_key(site: str, batch: str) -> str:
    return f"requests/{site}/{batch}.json"


def _answer_key(site: str, batch: str) -> str:
    return f"answers/{site}/{batch}.json"
