"""Predictions of a model: one score, or one reason why there is none, per case."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from healthval.contracts.base import canonical_json
from healthval.contracts.model import InputContract, ModelRecord, check_rows
from healthval.contracts.prediction import (
    MAX_INLINE_BYTES,
    CombinedInstances,
    DicomInstances,
    Instances,
    TableInstances,
)
from healthval.deid import DeidentifiedCases
from healthval.errors import PredictionError
from healthval.predict.answer_cache import input_digest
from healthval.predict.canary import N_IMAGE_CANARIES
from healthval.predict.images import ImageCases
from healthval.predict.model_watch import ModelWatch
from healthval.predict.session import Session
from healthval.progress import tqdm

BATCH = 500
IMAGE_BATCH = 20
IMAGE_BATCH_BYTES = 256 * 1024 * 1024
UPLOADS_AT_ONCE = 4


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """Answers of a model, in the order of `cases`.

    Attributes
    ----------
    score : array, shape (n_cases,); NaN for a case without a score
    reasons : why a case has no score, "" for a case with a score
    canary : whether the model's answers to the canary cases changed during the run
    """

    cases: tuple[str, ...] = field(repr=False)
    score: NDArray[np.float64] = field(repr=False)
    reasons: tuple[str, ...] = field(repr=False)
    model_digest: str
    canary: Literal["unchanged", "changed", "not_run"]

    @property
    def n_indeterminate(self) -> int:
        """Number of cases without a score."""
        return int(np.isnan(self.score).sum())


def predict(
    cases: DeidentifiedCases | ImageCases, model: ModelRecord, session: Session
) -> Predictions:
    """Predict every case; answers in the cache are not requested again.

    The developer's probes and, for a table model, the canary cases are predicted before, halfway
    and after the others. For a model of images, the first cases are predicted once more at the end.

    Raises
    ------
    PredictionError
        If a case does not fit the model's input contract or a probe has another score than the
        registered one (no case is sent then), or answers are missing, duplicated or from another
        model version.
    """
    _check(cases, model.registration.inputs)
    watch = ModelWatch(model, session)
    watch.ask()
    inputs = list(_input_digests(cases))
    known = session.cache.get(model.digest, inputs)
    todo = [i for i, key in enumerate(inputs) if key not in known]
    batches = list(_batches(cases, todo))
    requests = (
        (batch, [cases.cases[i] for i in batch], _instances(cases, batch, model, session))
        for batch in batches
    )
    bar = tqdm(total=len(batches), desc="predict", unit="batch", disable=len(batches) < 2)
    for number, (batch, answers) in enumerate(session.ask_each(model, requests)):
        if number + 1 == len(batches) // 2:
            watch.ask()
        bar.update()
        session.cache.put(model.digest, {inputs[i]: answers[cases.cases[i]] for i in batch})
        known |= {
            inputs[i]: (answers[cases.cases[i]].score, answers[cases.cases[i]].reason)
            for i in batch
        }
    bar.close()
    watch.ask()
    if isinstance(cases, ImageCases):
        first = [known[key] for key in inputs]
        watch.note(is_same=_has_same_answers(cases, first, model, session))
    scores = [np.nan if known[key][0] is None else known[key][0] for key in inputs]
    return Predictions(
        cases=cases.cases,
        score=np.array(scores, dtype=np.float64),
        reasons=tuple(known[key][1] for key in inputs),
        model_digest=model.digest,
        canary=watch.state,
    )


def _check(cases: DeidentifiedCases | ImageCases, contract: InputContract) -> None:
    """Refuse, before anything is sent, cases that the hub would refuse."""
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
                f"cases with several images: {len(several)} of {len(cases.files)} (first at case "
                f"{several[0]}); the model takes one file per case, narrow 'images' in the plan"
            )


def _input_digests(cases: DeidentifiedCases | ImageCases) -> Iterator[str]:
    if not isinstance(cases, ImageCases):
        yield from (input_digest(cases.columns, row) for row in cases.rows)
        return
    for files, row in zip(cases.files, cases.rows, strict=True):
        digests = [_file_digest(file) for file in files]
        yield input_digest([*cases.columns, *("file" for _ in digests)], [*row, *digests])


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _instances(
    cases: DeidentifiedCases | ImageCases,
    batch: Sequence[int],
    model: ModelRecord,
    session: Session,
) -> Instances:
    rows = tuple(cases.rows[i] for i in batch)
    if not isinstance(cases, ImageCases):
        return TableInstances(columns=cases.columns, rows=rows)
    ids = iter(session.upload([file for i in batch for file in cases.files[i]], model))
    uploads = tuple(tuple(next(ids) for _ in cases.files[i]) for i in batch)
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
    """Approximate size of a case in bytes when it is sent."""
    row = len(canonical_json(list(cases.rows[i]))) + 32
    if isinstance(cases, ImageCases):
        return row + sum(file.stat().st_size for file in cases.files[i])
    return row


def _has_same_answers(
    cases: ImageCases,
    known: Sequence[tuple[float | None, str]],
    model: ModelRecord,
    session: Session,
) -> bool:
    """Whether the model answers the first cases as it did before, in this run or an earlier one."""
    chosen = list(range(min(N_IMAGE_CANARIES, len(cases.cases))))
    ids = [cases.cases[i] for i in chosen]
    answers = session.ask(model, ids, _instances(cases, chosen, model, session))
    return all(answers[ids[i]].score == known[i][0] for i in chosen)
