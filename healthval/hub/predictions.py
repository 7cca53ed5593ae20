"""Predictions: accepted at once, run aside, kept for a day; inputs go as soon as they are scored.

The work for one batch may be done twice (a process died, a lease ran out) without harm: the same
model scores the same bytes, and the first answer stored is the answer.
"""

import base64
import hashlib
import hmac
import json
import logging
import secrets
import threading
import time
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from healthval.contracts.base import canonical_json, digest, read_wire
from healthval.contracts.model import InputContract, ModelRecord
from healthval.contracts.prediction import (
    MAX_INLINE_BYTES,
    CombinedInstances,
    DicomInstances,
    Prediction,
    PredictionAnswer,
    PredictionRequest,
    UploadRequest,
    UploadTicket,
    check_instances,
    out_of_range,
    uploads_of,
)
from healthval.hub import access, registry
from healthval.hub.access import Subject
from healthval.hub.auth import record
from healthval.hub.ports import (
    Backend,
    Conflict,
    HostUnavailable,
    Item,
    ModelFailed,
    Offer,
    Refusal,
    StoreUnavailable,
    Write,
)

log = logging.getLogger("healthval.hub")

LEASE_SECONDS = 10
KEEP_SECONDS = 86_400
TICKET_SECONDS = 300
QUICK_SECONDS = 2.0
ROW_BYTES = 64 * 1024  # left for a case's row beside its files
HOST_ATTEMPTS = 6
# Folder of the object store -> partition of the index that says how long its objects are kept.
KEPT = {"requests": "predictions", "answers": "predictions", "uploads": "uploads"}


@dataclass(frozen=True, slots=True)
class Place:
    """Where one file of known size and hash may be put."""

    key: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Uploads:
    """Hands out signed, short-lived places for one file each; `secret` never leaves the hub."""

    backend: Backend
    secret: bytes

    def offer(self, site: str, asked: UploadRequest) -> UploadTicket:
        """Sign a place for a file of exactly this size and hash."""
        access.require(self.backend, site, Subject(asked.model, asked.version, asked.plan_hash))
        end = self.backend.now + TICKET_SECONDS
        upload = f"upload-{secrets.token_hex(16)}"
        forget = self.backend.now + KEEP_SECONDS
        self.backend.index.commit([Write("uploads", f"{site}#{upload}", {}, expires=forget)])
        terms = f"{site}.{asked.size}.{asked.sha256}.{end}"
        own = f"/v1/uploads/{upload}?terms={terms}&signature={self._sign(upload, terms)}"
        offer = self.backend.objects.offer(
            _upload_key(site, upload), asked.size, asked.sha256, TICKET_SECONDS
        ) or Offer(own, {})
        until = datetime.fromtimestamp(end, UTC)
        return UploadTicket(id=upload, url=offer.url, headers=dict(offer.headers), not_after=until)

    def place(self, upload: str, terms: str, signature: str) -> Place:
        """Read an address, before any byte of the file: ours, and not too old."""
        if not hmac.compare_digest(self._sign(upload, terms).encode(), signature.encode()):
            raise Refusal(403, "The upload address is not one this hub signed")
        site, size, sha256, end = terms.split(".")
        if int(end) <= self.backend.now:
            raise Refusal(403, "The upload address has expired", "ask for a new one")
        return Place(_upload_key(site, upload), int(size), sha256)

    def take(self, place: Place, data: bytes) -> None:
        """Keep the file that an address was made for, and no other."""
        if len(data) != place.size or hashlib.sha256(data).hexdigest() != place.sha256:
            raise Refusal(422, "The file is not the one the address was made for", "ask again")
        self.backend.objects.put_if_absent(place.key, data)

    def instance(self, site: str, uploads: Iterable[str]) -> dict[str, Any]:
        """Hand files to the model host: in the call when they fit, else by their addresses."""
        keys = [_upload_key(site, upload) for upload in uploads]
        files: list[bytes] = []
        size = 0
        for key in keys:
            data = self.backend.objects.get(key)
            if data[128:132] != b"DICM":
                raise ModelFailed("a file is not DICOM")
            size += len(data)
            # What is too large for the call is looked at and let go: a study may be large.
            files = [*files, data] if size <= MAX_INLINE_BYTES - ROW_BYTES else []
        if size > MAX_INLINE_BYTES - ROW_BYTES:
            return {"addresses": [self.backend.objects.address(key) for key in keys]}
        return {"files": [base64.b64encode(data).decode() for data in files]}

    def check_held(self, site: str, uploads: Iterable[str]) -> None:
        """Refuse uploads that this site has not made."""
        held = set(self.backend.objects.keys(f"uploads/{site}/"))
        lost = [i for i, upload in enumerate(uploads) if _upload_key(site, upload) not in held]
        if lost:
            title = f"{len(lost)} uploads are not held here"
            raise Refusal(422, title, f"first at {lost[0]}; upload the files again")

    def remove(self, site: str, uploads: Iterable[str]) -> None:
        """Delete files that have been scored."""
        for upload in uploads:
            self.backend.objects.delete(_upload_key(site, upload))

    def _sign(self, upload: str, terms: str) -> str:
        return hmac.new(self.secret, f"{upload}?{terms}".encode(), hashlib.sha256).hexdigest()


@dataclass(slots=True)
class Predictions:
    """Runs batches; the index says which are pending, so another process can take them over."""

    backend: Backend
    uploads: Uploads
    _workers: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(8))
    _running: dict[str, Future[None]] = field(default_factory=dict)
    _lock: Any = field(default_factory=threading.Lock)

    def ask(self, site: str, body: bytes, name: str | None = None) -> PredictionAnswer:
        """Accept a batch and wait a moment for its answer.

        Parameters
        ----------
        name : the caller's Idempotency-Key: what comes under it again is the same batch
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
        """Tell how a batch stands, taking it over when nobody works on it."""
        item = self._item(site, batch)
        if item.value["status"] == "pending":
            self._work_on(item)
            wait([work] if (work := self._running.get(batch)) else [], seconds)
            item = self._item(site, batch)
        if item.value["status"] != "done":
            return PredictionAnswer(id=batch, status=item.value["status"])
        return read_wire(PredictionAnswer, self.backend.objects.get(_answer_key(site, batch)))

    def sweep(self) -> None:
        """Delete objects whose day is over."""
        for folder, partition in KEPT.items():
            for key in self.backend.objects.keys(f"{folder}/"):
                _, site, name = key.split("/")
                if self.backend.index.get(partition, f"{site}#{name.split('.')[0]}") is None:
                    self.backend.objects.delete(key)

    def close(self) -> None:
        """Finish what runs, start nothing more."""
        self._workers.shutdown(cancel_futures=True)

    def _item(self, site: str, batch: str) -> Item:
        item = self.backend.index.get("predictions", f"{site}#{batch}")
        if item is None:
            raise Refusal(404, "There is no such prediction here", "it is kept for a day")
        return item

    def _accept(self, site: str, batch: str, request: PredictionRequest) -> bool:
        """Note the batch and count its cases in one commit; a failed one may be tried again."""
        key = f"{site}#{batch}"

        def plan() -> tuple[bool, list[Write]]:
            held = self.backend.index.get("predictions", key)
            if held is not None and held.value["status"] != "failed":
                return held.value["status"] == "pending", []
            if uploads := uploads_of(request.instances):
                self.uploads.check_held(site, uploads)
            grant = access.require(self.backend, site, _subject(request))
            note = Write(
                "predictions",
                key,
                {"status": "pending", "lease": 0},
                held.version if held else 0,
                self.backend.now + KEEP_SECONDS,
            )
            return True, [note] if held else [note, access.count(grant, len(request.cases))]

        return record(self.backend, site, "prediction.accepted", batch, plan)

    def _work_on(self, item: Item) -> None:
        site, batch = item.key.split("#")
        with self._lock, suppress(Conflict):
            if batch in self._running or item.value["lease"] > self.backend.now:
                return
            value = {**item.value, "lease": self.backend.now + LEASE_SECONDS}
            self.backend.index.commit(
                [Write(item.partition, item.key, value, item.version, item.expires)]
            )
            work = self._running[batch] = self._workers.submit(self._run, site, batch)
            work.add_done_callback(lambda _: self._running.pop(batch, None))

    def _run(self, site: str, batch: str) -> None:
        try:
            request = read_request(self.backend.objects.get(_request_key(site, batch)))
        except KeyError:  # finished elsewhere, or lost before it was stored: then ask again
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
            raise  # the batch stays pending, and the next poll takes it up
        except Exception as error:
            _note(error)
            self._finish(site, batch, "failed")
        self.backend.objects.delete(_request_key(site, batch))
        self.uploads.remove(site, uploads_of(request.instances))

    def _finish(self, site: str, batch: str, status: str) -> None:
        def plan() -> tuple[None, list[Write]]:
            item = self._item(site, batch)
            if item.value["status"] == "done":
                return None, []
            value = {"status": status, "lease": 0}
            return None, [Write(item.partition, item.key, value, item.version, item.expires)]

        record(self.backend, "hub", f"prediction.{status}", batch, plan)

    def _score(self, site: str, model: ModelRecord, request: PredictionRequest) -> list[Prediction]:
        sent = request.instances
        if isinstance(sent, DicomInstances):
            files = zip(request.cases, sent.uploads, strict=True)
            return [self._score_case(site, model, case, {}, [upload]) for case, upload in files]
        outside = out_of_range(model.registration.inputs, sent)
        rows = [i for i in range(len(sent.rows)) if i not in outside]
        if isinstance(sent, CombinedInstances):
            scored = [
                self._score_case(
                    site,
                    model,
                    request.cases[i],
                    {"columns": sent.columns, "rows": [sent.rows[i]]},
                    sent.uploads[i],
                )
                for i in rows
            ]
        else:
            table = {"columns": sent.columns, "rows": [sent.rows[i] for i in rows]}
            scores = self._invoke(model, table) if rows else []
            if len(scores) != len(rows):
                raise ModelFailed("the host gave another number of scores")
            scored = [
                _prediction(request.cases[i], score) for i, score in zip(rows, scores, strict=True)
            ]
        left = iter(scored)
        return [
            Prediction(case=case, reason="input_out_of_range") if i in outside else next(left)
            for i, case in enumerate(request.cases)
        ]

    def _score_case(
        self, site: str, model: ModelRecord, case: str, row: dict[str, Any], uploads: Iterable[str]
    ) -> Prediction:
        """Score one case with files; one that fails does not take the batch with it."""
        try:
            files = self.uploads.instance(site, uploads)
            if row:  # the files of one case are one instance
                files = {kind: [held] for kind, held in files.items()}
            return _prediction(case, self._invoke(model, row | files)[0])
        except (ModelFailed, KeyError, IndexError):
            return Prediction(case=case, reason="model_failed")

    def _invoke(self, model: ModelRecord, instances: dict[str, Any]) -> list[float | None]:
        body = canonical_json(instances)
        for attempt in range(HOST_ATTEMPTS):
            with suppress(HostUnavailable):
                answer = self.backend.host.invoke(registry.hosted(model), body)
                return _scores(answer)
            time.sleep(0.1 * 2**attempt)
        raise ModelFailed("the model host is out of reach")


def _note(error: Exception) -> None:
    """Log a failure of our own by kind: its words may hold what was sent."""
    if not isinstance(error, ModelFailed):
        log.error("a batch failed inside the hub: %s", type(error).__name__)


def _scores(answer: bytes) -> list[float | None]:
    """Read a host's answer; what is no list of scores within 0 to 1 is the model's failure."""
    try:
        scores = json.loads(answer)["scores"]
        if all(score is None or 0 <= score <= 1 for score in scores):
            return [None if score is None else float(score) for score in scores]
    except (ValueError, TypeError, KeyError):
        pass
    raise ModelFailed("the host's answer is no list of scores")


def read_request(body: bytes) -> PredictionRequest:
    """Parse a batch; a misfit is told by place and kind."""
    try:
        return read_wire(PredictionRequest, body)
    except ValueError as misfit:
        raise Refusal(422, "The request is not as the contract says", str(misfit)) from None


def _check(inputs: InputContract, request: PredictionRequest) -> None:
    try:
        check_instances(inputs, request)
    except ValueError as misfit:
        title = "The batch is not as the model's input contract says"
        raise Refusal(422, title, str(misfit)) from None


def _prediction(case: str, score: float | None) -> Prediction:
    return Prediction(case=case, score=score, reason="model_declined" if score is None else "none")


def _subject(request: PredictionRequest) -> Subject:
    return Subject(request.model, request.version, request.plan_hash)


def _request_key(site: str, batch: str) -> str:
    return f"requests/{site}/{batch}.json"


def _answer_key(site: str, batch: str) -> str:
    return f"answers/{site}/{batch}.json"


def _upload_key(site: str, upload: str) -> str:
    return f"uploads/{site}/{upload}.dcm"
