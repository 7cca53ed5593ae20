"""Session: sends batches of de-identified cases, each recorded in the ledger before it leaves."""

import hashlib
import secrets
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from healthval.client import Client, load_credential, wire_bytes
from healthval.cluster import outcomes
from healthval.contracts.base import read_wire
from healthval.contracts.model import ModelRecord
from healthval.contracts.prediction import (
    DicomInstances,
    Instances,
    Prediction,
    PredictionAnswer,
    PredictionRequest,
    ProbeInstances,
    TableInstances,
)
from healthval.disclosure import Ledger
from healthval.errors import PredictionError, UsageError, counted
from healthval.predict.answer_cache import AnswerCache

UPLOADS_AT_ONCE = 4
CALLS_AHEAD: Final = 16  # batches that a cluster has at a time: a hub keeps uploads for a day only
Key = TypeVar("Key")


@dataclass(frozen=True, kw_only=True)
class Session:
    """Access to a hosted model for one plan: hub client, ledger and cache of answers.

    Each payload is recorded in the ledger before it is sent. With a `scheduler`, the workers of a Dask
    cluster send the batches; ledger and cache are written by this process.
    """

    client: Client
    ledger: Ledger
    cache: AnswerCache
    plan_hash: str
    scheduler: str | None = None

    def ask(
        self, model: ModelRecord, cases: Sequence[str], instances: Instances
    ) -> dict[str, Prediction]:
        """Send one batch of de-identified cases and return the answers by case id."""
        request = self._recorded(model, cases, instances)
        return self._answers(model, cases, self.client.predict(request))

    def ask_each(
        self, model: ModelRecord, requests: Iterable[tuple[Key, Sequence[str], Instances]]
    ) -> Iterator[tuple[Key, dict[str, Prediction]]]:
        """Send batches of de-identified cases; yield each batch's key with its answers.

        Without a cluster, one after the other.
        """
        if self.scheduler is None:
            for key, cases, instances in requests:
                yield key, self.ask(model, cases, instances)
            return
        waiting: dict[str, tuple[Key, Sequence[str]]] = {}

        def calls() -> Iterator[tuple[str, _Call]]:
            for key, cases, instances in requests:
                request = self._recorded(model, cases, instances)
                name = secrets.token_urlsafe(24)
                waiting[name] = (key, cases)
                yield name, self._call(request, name)

        for name, answer in outcomes(self.scheduler, _ask_there, calls(), ahead=CALLS_AHEAD):
            key, cases = waiting.pop(name)
            if answer is None:
                raise PredictionError(
                    f"several Dask workers ended during a batch of {counted(len(cases), 'case')}; "
                    "look for lack of memory, then run again: answered cases are kept"
                )
            yield key, self._answers(model, cases, read_wire(PredictionAnswer, answer))

    def _call(self, request: PredictionRequest, name: str) -> "_Call":
        path = self.client.credential.path
        if path is None:
            raise UsageError("a cluster needs the file of the key; load the key from its file")
        return _Call(
            hub=self.client.transport.origin,
            key=path.absolute(),
            request=wire_bytes(request),
            name=name,
        )

    def _recorded(
        self, model: ModelRecord, cases: Sequence[str], instances: Instances
    ) -> PredictionRequest:
        card = model.registration.card
        request = PredictionRequest(
            model=card.name,
            version=card.version,
            plan_hash=self.plan_hash,
            cases=tuple(cases),
            instances=instances,
        )
        self._record(wire_bytes(request), model, len(cases), _fields(instances))
        return request

    def _answers(
        self, model: ModelRecord, cases: Sequence[str], answer: PredictionAnswer
    ) -> dict[str, Prediction]:
        if answer.status != "done":
            raise PredictionError(
                f"the model failed on a batch of {counted(len(cases), 'case')}; run again, "
                "answered cases are kept"
            )
        if answer.model_digest != model.digest:
            raise PredictionError(
                "the answers are from another model version than the one in the plan; "
                "ask the operator"
            )
        return _pair(cases, answer.predictions)

    def upload(self, files: Sequence[Path], model: ModelRecord) -> list[str]:
        """Send de-identified files and return their upload ids in the same order."""
        card = model.registration.card
        send = partial(
            self.client.upload, model=card.name, version=card.version, plan_hash=self.plan_hash
        )
        ids: list[str] = []
        with ThreadPoolExecutor(UPLOADS_AT_ONCE) as pool:
            # A few files at a time, because a study may be larger than memory.
            for start in range(0, len(files), UPLOADS_AT_ONCE):
                chunk = [file.read_bytes() for file in files[start : start + UPLOADS_AT_ONCE]]
                for data in chunk:
                    self._record(data, model, 1, ("DICOM file",))
                ids += pool.map(send, chunk)
        return ids

    def _record(
        self, payload: bytes, model: ModelRecord, n_cases: int, fields: Sequence[str]
    ) -> None:
        card = model.registration.card
        self.ledger.record_payload(
            sha256=hashlib.sha256(payload).hexdigest(),
            n_bytes=len(payload),
            n_cases=n_cases,
            model=card.name,
            version=card.version,
            fields=fields,
        )


def _fields(instances: Instances) -> tuple[str, ...]:
    """Names of what a request has for each case, for the ledger."""
    if isinstance(instances, ProbeInstances):
        return ("registered probes",)
    columns = () if isinstance(instances, DicomInstances) else instances.columns
    uploads = () if isinstance(instances, TableInstances) else ("names of uploads",)
    return (*columns, *uploads)


@dataclass(frozen=True, slots=True, repr=False)
class _Call:
    """A request for a worker of a cluster, which reads the key from its file.

    `name` makes a repetition by another worker the same call, so that the model is asked once.
    """

    hub: str
    key: Path
    request: bytes
    name: str


def _ask_there(call: _Call) -> bytes:
    """Send a request from a Dask worker and return the answer as JSON."""
    with Client(call.hub, load_credential(call.key)) as client:
        request = read_wire(PredictionRequest, call.request)
        answer = client.predict(request, key=call.name)
    return wire_bytes(answer)


def _pair(cases: Sequence[str], predictions: Sequence[Prediction]) -> dict[str, Prediction]:
    answers = {p.case: p for p in predictions}
    missing = len(set(cases) - set(answers))
    surplus = len(predictions) - len(set(cases) & set(answers))
    if missing or surplus:
        surplus_answers = (
            "answer is a duplicate or matches no case",
            "answers are duplicates or match no case",
        )
        raise PredictionError(
            f"{counted(len(cases), 'case')} sent, {missing} without an answer, and "
            f"{counted(surplus, *surplus_answers)}; ask the model's developer"
        )
    return answers
