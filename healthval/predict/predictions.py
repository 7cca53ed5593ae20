"""One score or one reason per case, paired by case id."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from tqdm.auto import tqdm

from healthval.client import Client, wire_bytes
from healthval.contracts.base import canonical_json, digest
from healthval.contracts.model import ModelRecord
from healthval.contracts.prediction import (
    MAX_INLINE_BYTES,
    Prediction,
    PredictionRequest,
    TableInstances,
    Value,
)
from healthval.deid import DeidentifiedCases
from healthval.disclosure import Ledger
from healthval.errors import PredictionError
from healthval.predict.answers import AnswerCache, input_digest
from healthval.predict.canary import canary_cases

BATCH = 500
Row = tuple[Value, ...]


@dataclass(frozen=True)
class Predictions:
    """The model's answers in the order of `cases`.

    `score` has shape (n_cases,) and is NaN where the model gave none; `reasons` says why.
    """

    cases: tuple[str, ...] = field(repr=False)
    score: NDArray[np.float64] = field(repr=False)
    reasons: tuple[str, ...] = field(repr=False)
    model_digest: str
    canary: Literal["unchanged", "changed", "not_run"]

    @property
    def n_indeterminate(self) -> int:
        """Cases without a score."""
        return int(np.isnan(self.score).sum())


@dataclass(frozen=True)
class Desk:
    """Whom to ask, on whose behalf, and where every byte that leaves is written down first."""

    client: Client
    ledger: Ledger
    cache: AnswerCache
    plan_hash: str

    def ask(
        self, model: ModelRecord, cases: Sequence[str], columns: Sequence[str], rows: Sequence[Row]
    ) -> dict[str, Prediction]:
        """Send one batch of de-identified rows and return the answers by case id."""
        card = model.registration.card
        request = PredictionRequest(
            model=card.name,
            version=card.version,
            plan_hash=self.plan_hash,
            cases=tuple(cases),
            instances=TableInstances(columns=tuple(columns), rows=tuple(rows)),
        )
        payload = wire_bytes(request)
        self.ledger.record_payload(
            sha256=hashlib.sha256(payload).hexdigest(),
            n_bytes=len(payload),
            n_cases=len(cases),
            model=card.name,
            version=card.version,
        )
        answer = self.client.predict(request)
        if answer.status != "done":
            raise PredictionError(
                f"the model failed on a batch of {len(cases)} cases; run again, answered cases are kept"
            )
        if answer.model_digest != model.digest:
            raise PredictionError(
                "the answers come from another model version than the plan names; ask the operator"
            )
        return _pair(cases, answer.predictions)


def predict(cases: DeidentifiedCases, model: ModelRecord, desk: Desk) -> Predictions:
    """Ask the model for every case it has not answered yet.

    The canary runs before and after; answers already in the cache are not asked for again.

    Raises
    ------
    PredictionError
        If answers are missing, doubled or from another model version.
    """
    before = _ask_canary(model, desk)
    inputs = [input_digest(cases.columns, row) for row in cases.rows]
    known = desk.cache.get(model.digest, inputs)
    todo = [i for i, key in enumerate(inputs) if key not in known]
    batches = list(_batches(cases.rows, todo))
    for batch in tqdm(batches, desc="predict", unit="batch", disable=len(batches) < 2):
        ids = [cases.cases[i] for i in batch]
        answers = desk.ask(model, ids, cases.columns, [cases.rows[i] for i in batch])
        desk.cache.put(model.digest, {inputs[i]: answers[cases.cases[i]] for i in batch})
        known |= {
            inputs[i]: (answers[cases.cases[i]].score, answers[cases.cases[i]].reason)
            for i in batch
        }
    after = _ask_canary(model, desk)
    return Predictions(
        cases=cases.cases,
        score=np.array(
            [np.nan if known[key][0] is None else known[key][0] for key in inputs], dtype=np.float64
        ),
        reasons=tuple(known[key][1] for key in inputs),
        model_digest=model.digest,
        canary="not_run" if before is None else "unchanged" if before == after else "changed",
    )


def _batches(rows: Sequence[Row], todo: Sequence[int]) -> Iterator[list[int]]:
    batch: list[int] = []
    size = 0
    for i in todo:
        row_size = len(canonical_json(list(rows[i]))) + 32
        if batch and (len(batch) == BATCH or size + row_size > MAX_INLINE_BYTES // 2):
            yield batch
            batch, size = [], 0
        batch.append(i)
        size += row_size
    if batch:
        yield batch


def _pair(cases: Sequence[str], predictions: Sequence[Prediction]) -> dict[str, Prediction]:
    answers = {p.case: p for p in predictions}
    missing = len(set(cases) - set(answers))
    surplus = len(predictions) - len(set(cases) & set(answers))
    if missing or surplus:
        raise PredictionError(
            f"of {len(cases)} cases sent, {missing} have no answer and {surplus} answers belong to no case"
            " or are doubled; ask the model's developer"
        )
    return answers


def _ask_canary(model: ModelRecord, desk: Desk) -> str | None:
    contract = model.registration.inputs
    if contract.kind != "table" or not contract.fields:
        return None
    ids, rows = canary_cases(contract)
    answers = desk.ask(model, ids, [f.name for f in contract.fields], rows)
    return digest([answers[i].score for i in ids])
