"""One score or one reason per case, paired by case id."""

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from tqdm.auto import tqdm

from healthval.client import Client, wire_bytes
from healthval.contracts.base import canonical_json, digest
from healthval.contracts.model import InputContract, ModelRecord
from healthval.contracts.prediction import (
    MAX_INLINE_BYTES,
    CombinedInstances,
    DicomInstances,
    Instances,
    Prediction,
    PredictionRequest,
    TableInstances,
    check_rows,
)
from healthval.deid import DeidentifiedCases
from healthval.disclosure import Ledger
from healthval.errors import PredictionError
from healthval.predict.answer_cache import AnswerCache, input_digest
from healthval.predict.canary import canary_cases
from healthval.predict.images import ImageCases

BATCH = 500
IMAGE_BATCH = 20
IMAGE_BATCH_BYTES = 256 * 1024 * 1024
UPLOADS_AT_ONCE = 4


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
        self, model: ModelRecord, cases: Sequence[str], instances: Instances
    ) -> dict[str, Prediction]:
        """Send one batch of de-identified cases and return the answers by case id."""
        card = model.registration.card
        request = PredictionRequest(
            model=card.name,
            version=card.version,
            plan_hash=self.plan_hash,
            cases=tuple(cases),
            instances=instances,
        )
        self._record(wire_bytes(request), model, len(cases))
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

    def upload(self, files: Sequence[Path], model: ModelRecord) -> list[str]:
        """Send de-identified files and return the ids to predict them by, in their order."""
        card = model.registration.card
        send = partial(
            self.client.upload, model=card.name, version=card.version, plan_hash=self.plan_hash
        )
        ids: list[str] = []
        with ThreadPoolExecutor(UPLOADS_AT_ONCE) as pool:
            # A few at a time: a study may be larger than memory.
            for start in range(0, len(files), UPLOADS_AT_ONCE):
                chunk = [file.read_bytes() for file in files[start : start + UPLOADS_AT_ONCE]]
                for data in chunk:
                    self._record(data, model, 1)
                ids += pool.map(send, chunk)
        return ids

    def _record(self, payload: bytes, model: ModelRecord, n_cases: int) -> None:
        card = model.registration.card
        self.ledger.record_payload(
            sha256=hashlib.sha256(payload).hexdigest(),
            n_bytes=len(payload),
            n_cases=n_cases,
            model=card.name,
            version=card.version,
        )


def predict(cases: DeidentifiedCases | ImageCases, model: ModelRecord, desk: Desk) -> Predictions:
    """Ask the model for every case it has not answered yet.

    A table model's canary runs before and after; answers already in the cache are not asked for
    again.

    Raises
    ------
    PredictionError
        If a case does not fit the model's input contract (nothing is sent then), or answers are
        missing, doubled or from another model version.
    """
    _check(cases, model.registration.inputs)
    before = _ask_canary(model, desk)
    inputs = list(_input_digests(cases))
    known = desk.cache.get(model.digest, inputs)
    todo = [i for i, key in enumerate(inputs) if key not in known]
    batches = list(_batches(cases, todo))
    for batch in tqdm(batches, desc="predict", unit="batch", disable=len(batches) < 2):
        ids = [cases.cases[i] for i in batch]
        answers = desk.ask(model, ids, _instances(cases, batch, model, desk))
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


def _check(cases: DeidentifiedCases | ImageCases, contract: InputContract) -> None:
    """Refuse at the site what the hub would refuse, before anything is sent."""
    try:
        check_rows(contract, cases.columns, cases.rows)
    except ValueError as misfit:
        raise PredictionError(
            f"the cases do not fit the model's input contract: {misfit}; correct the plan's table"
        ) from None
    if contract.kind == "dicom" and isinstance(cases, ImageCases):
        several = [i for i, files in enumerate(cases.files) if len(files) != 1]
        if several:
            raise PredictionError(
                f"{len(several)} of {len(cases.files)} cases have several images, the model takes"
                f" one file a case (first at case {several[0]}); narrow 'images' in the plan"
            )


def _input_digests(cases: DeidentifiedCases | ImageCases) -> Iterator[str]:
    if not isinstance(cases, ImageCases):
        yield from (input_digest(cases.columns, row) for row in cases.rows)
        return
    for files, row in zip(cases.files, cases.rows, strict=True):
        marks = [_file_digest(file) for file in files]
        yield input_digest([*cases.columns, *("file" for _ in marks)], [*row, *marks])


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _instances(
    cases: DeidentifiedCases | ImageCases, batch: Sequence[int], model: ModelRecord, desk: Desk
) -> Instances:
    rows = tuple(cases.rows[i] for i in batch)
    if not isinstance(cases, ImageCases):
        return TableInstances(columns=cases.columns, rows=rows)
    held = iter(desk.upload([file for i in batch for file in cases.files[i]], model))
    uploads = tuple(tuple(next(held) for _ in cases.files[i]) for i in batch)
    if model.registration.inputs.kind == "dicom":
        return DicomInstances(uploads=tuple(files[0] for files in uploads))
    return CombinedInstances(columns=cases.columns, rows=rows, uploads=uploads)


def _batches(cases: DeidentifiedCases | ImageCases, todo: Sequence[int]) -> Iterator[list[int]]:
    largest, limit = (
        (IMAGE_BATCH, IMAGE_BATCH_BYTES)
        if isinstance(cases, ImageCases)
        else (BATCH, MAX_INLINE_BYTES // 2)
    )
    batch: list[int] = []
    size = 0
    for i in todo:
        case_size = _size(cases, i)
        if batch and (len(batch) == largest or size + case_size > limit):
            yield batch
            batch, size = [], 0
        batch.append(i)
        size += case_size
    if batch:
        yield batch


def _size(cases: DeidentifiedCases | ImageCases, i: int) -> int:
    """Bytes that a case is sent as, about."""
    row = len(canonical_json(list(cases.rows[i]))) + 32
    if isinstance(cases, ImageCases):
        return row + sum(file.stat().st_size for file in cases.files[i])
    return row


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
    columns = tuple(f.name for f in contract.fields)
    answers = desk.ask(model, ids, TableInstances(columns=columns, rows=rows))
    return digest([answers[i].score for i in ids])
