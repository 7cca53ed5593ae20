"""Predictions: de-identified cases in, one score or one reason per case out."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from healthval.contracts.base import CaseId, Column, Name, Probability, Sha256, Version, Wire

Value = float | int | Column | None
PredictionId = Annotated[str, Field(pattern=r"^prediction-[a-f0-9]{32}$")]
UploadId = Annotated[str, Field(pattern=r"^upload-[a-f0-9]{32}$")]
MAX_CASES = 10_000
MAX_INLINE_BYTES = 3 * 1024 * 1024


class TableInstances(Wire):
    """Rows of a table model: `columns` named by the input contract, one row a case."""

    kind: Literal["table"] = "table"
    columns: Annotated[tuple[Column, ...], Field(max_length=512)]
    rows: Annotated[
        tuple[Annotated[tuple[Value, ...], Field(max_length=512)], ...], Field(max_length=MAX_CASES)
    ]


class DicomInstances(Wire):
    """Uploads of de-identified DICOM files, one a case."""

    kind: Literal["dicom"] = "dicom"
    uploads: Annotated[tuple[UploadId, ...], Field(max_length=MAX_CASES)]


class PredictionRequest(Wire):
    """One batch; row i belongs to `cases[i]`."""

    model: Name
    version: Version
    plan_hash: Sha256
    cases: Annotated[tuple[CaseId, ...], Field(min_length=1, max_length=MAX_CASES)]
    instances: Annotated[TableInstances | DicomInstances, Field(discriminator="kind")]


class Prediction(Wire):
    """The model's answer for one case; no score means indeterminate, with a reason."""

    case: CaseId
    score: Probability | None = None
    reason: Literal["none", "model_declined", "input_out_of_range", "model_failed"] = "none"


class PredictionAnswer(Wire):
    """202 while pending, 200 when done; the client polls."""

    id: PredictionId
    status: Literal["pending", "done", "failed"]
    model_digest: Sha256 | None = None
    predictions: Annotated[tuple[Prediction, ...], Field(max_length=MAX_CASES)] = ()


MAX_UPLOAD_BYTES = 64 * 1024 * 1024


class UploadRequest(Wire):
    """Asks for a place to put one de-identified file."""

    model: Name
    version: Version
    plan_hash: Sha256
    sha256: Sha256
    size: Annotated[int, Field(ge=1, le=MAX_UPLOAD_BYTES)]


class UploadTicket(Wire):
    """Where and with which headers to PUT the bytes: signed, short-lived, for this file only."""

    id: UploadId
    url: Annotated[str, Field(pattern=r"^[!-~]{1,4000}$")]
    headers: Annotated[
        dict[
            Annotated[str, Field(pattern=r"^[a-z0-9-]{1,64}$")],
            Annotated[str, Field(pattern=r"^[ -~]{0,200}$")],
        ],
        Field(max_length=8),
    ] = Field(default_factory=dict)
    not_after: datetime
