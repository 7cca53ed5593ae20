"""Scoring: sends the instances of a batch to a model host and turns its answers into predictions."""

import json
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from healthval.contracts.base import canonical_json
from healthval.contracts.model import InputContract, InputField, ModelRecord, Value
from healthval.contracts.prediction import (
    CombinedInstances,
    DicomInstances,
    Prediction,
    PredictionRequest,
    ProbeInstances,
    TableInstances,
    out_of_range,
)
from healthval.errors import counted
from healthval.hub import registry
from healthval.hub.auth import Caller
from healthval.hub.ports import Backend, HostUnavailable, ModelFailed, Refusal
from healthval.hub.predictions.probes import check_scores, probe_scores
from healthval.hub.predictions.uploads import Uploads

# Longest wait for a host that is busy, starting or out of reach; the batch is pending meanwhile.
HOST_SECONDS = 3600.0
PAUSE_SECONDS = 1.0
N_TRIED = 2  # cases of a trial call


class Closing(Exception):
    """The hub stops; the batch stays pending and another process takes it over."""


@dataclass(frozen=True, slots=True)
class _Case:
    """One case with files; `row` is its row as a table of one, empty without named inputs."""

    id: str
    uploads: Sequence[str]
    row: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Scoring:
    """Scores batches; ends with `Closing` at the next pause once `closing` is set."""

    backend: Backend
    uploads: Uploads
    closing: threading.Event

    def score(self, site: str, model: ModelRecord, request: PredictionRequest) -> list[Prediction]:
        """Return one prediction for each case of a batch."""
        sent = request.instances
        if isinstance(sent, ProbeInstances):
            scores = probe_scores(self.backend, model, partial(self._invoke, model))
            return [_prediction(case, x) for case, x in zip(request.cases, scores, strict=True)]
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
        """Score one case with files; a failure is a reason for this case, not for the batch.

        Raises
        ------
        KeyError
            If a file is no longer stored: another batch with it was scored.
        """
        try:
            files = self.uploads.instance(site, case.uploads)
            if case.row:  # the files of one case are one instance
                files = {kind: [of_case] for kind, of_case in files.items()}
            return _prediction(case.id, self._invoke(model, case.row | files)[0])
        except (ModelFailed, IndexError):
            return Prediction(case=case.id, reason="model_failed")

    def _invoke(self, model: ModelRecord, instances: dict[str, Any]) -> list[float | None]:
        """Invoke the model; a host that is busy, starting or out of reach is asked again."""
        body, end, pause = canonical_json(instances), time.monotonic() + HOST_SECONDS, 0.05
        while True:
            with suppress(HostUnavailable):
                return read_scores(self.backend.host.invoke(registry.hosted(model), body))
            if time.monotonic() > end:
                raise ModelFailed("the model host does not respond")
            if self.closing.wait(pause):
                raise Closing
            pause = min(2 * pause, PAUSE_SECONDS)


def _case(cases: Sequence[str], sent: DicomInstances | CombinedInstances, i: int) -> _Case:
    if isinstance(sent, DicomInstances):
        return _Case(cases[i], [sent.uploads[i]], {})
    return _Case(cases[i], sent.uploads[i], {"columns": sent.columns, "rows": [sent.rows[i]]})


def read_scores(answer: bytes) -> list[float | None]:
    """Read a host's answer; anything but a list of scores from 0 to 1 is the model's failure."""
    try:
        scores = json.loads(answer)["scores"]
        if all(score is None or 0 <= score <= 1 for score in scores):
            return [None if score is None else float(score) for score in scores]
    except (ValueError, TypeError, KeyError):
        pass
    raise ModelFailed("the host's answer is not a list of scores")


def _prediction(case: str, score: float | None) -> Prediction:
    return Prediction(case=case, score=score, reason="model_declined" if score is None else "none")


def start_tried(backend: Backend, actor: Caller, name: str, version: str) -> ModelRecord:
    """Start a model that answers a trial call and its probes.

    A model that reads files is started without either if it has no probes.

    Raises
    ------
    Refusal
        If the model does not start, or its answer is no score for each case, or not the registered
        score of a probe; gives the reason.
    """
    registered = registry.model(backend, name, version)
    if registered.registration.inputs.kind == "table" or registered.registration.probes:
        registry.start_host(backend, registered)
        _try_out(backend, registered)
    return registry.start(backend, actor, name, version)


def _try_out(backend: Backend, registered: ModelRecord) -> None:
    wanted, registration = registry.hosted(registered), registered.registration

    def invoke(instances: dict[str, Any]) -> list[float | None]:
        return read_scores(backend.host.invoke(wanted, canonical_json(instances)))

    try:
        if registration.inputs.kind == "table":
            cases = trial_cases(registration.inputs)
            _check_trial(invoke(cases), cases["rows"])
        check_scores(registration, probe_scores(backend, registered, invoke))
    except HostUnavailable:
        raise Refusal(503, "The model endpoint is still starting", retryable=True) from None
    except ModelFailed as failure:
        backend.host.stop(wanted)
        raise Refusal(422, "The model fails a trial call", str(failure)) from None


def _check_trial(scores: list[float | None], rows: list[list[Value]]) -> None:
    if len(scores) != N_TRIED:
        raise ModelFailed(f"{counted(len(scores), 'score')} for {N_TRIED} cases")
    if None not in rows[0] and scores == [None] * N_TRIED:
        raise ModelFailed(
            f"no score for {N_TRIED} cases with every input inside the contract's limits"
        )


def trial_cases(inputs: InputContract) -> dict[str, Any]:
    """Return two equal cases: each number in the middle of its limits, each category's first level."""
    row = [_middle(entry) for entry in inputs.fields]
    return {"columns": [entry.name for entry in inputs.fields], "rows": [row] * N_TRIED}


def _middle(entry: InputField) -> Value:
    if entry.kind == "category":
        return entry.levels[0] if entry.levels else None
    limits = [limit for limit in (entry.low, entry.high) if limit is not None]
    return sum(limits) / len(limits) if limits else 1.0
