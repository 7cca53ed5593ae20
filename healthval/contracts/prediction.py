"""Predictions: batches of de-identified cases, uploads, and one score or reason per case."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from healthval.contracts.base import CaseId, Column, Name, Probability, Sha256, Version, Wire
from healthval.contracts.model import InputContract, ModelRegistration, Value, check_rows, is_within
from healthval.errors import counted

PredictionId = Annotated[str, Field(pattern=r"^prediction-[a-f0-9]{32}$")]
UploadId = Annotated[str, Field(pattern=r"^upload-[a-f0-9]{32}$")]
MAX_CASES = 10_000
MAX_CASE_FILES = 1_000
MAX_INLINE_BYTES = 3 * 1024 * 1024


class TableInstances(Wire):
    """Rows of a table model: columns of the input contract, one row per case."""

    kind: Literal["table"] = "table"
    columns: Annotated[tuple[Column, ...], Field(max_length=512)]
    rows: Annotated[
        tuple[Annotated[tuple[Value, ...], Field(max_length=512)], ...], Field(max_length=MAX_CASES)
    ]


class DicomInstances(Wire):
    """Uploads of de-identified DICOM files, one per case."""

    kind: Literal["dicom"] = "dicom"
    uploads: Annotated[tuple[UploadId, ...], Field(max_length=MAX_CASES)]


class CombinedInstances(Wire):
    """Uploads and row of each case, for models that read images and named inputs."""

    kind: Literal["combined"] = "combined"
    columns: Annotated[tuple[Column, ...], Field(max_length=512)] = ()
    rows: Annotated[
        tuple[Annotated[tuple[Value, ...], Field(max_length=512)], ...], Field(max_length=MAX_CASES)
    ]
    uploads: Annotated[
        tuple[Annotated[tuple[UploadId, ...], Field(min_length=1, max_length=MAX_CASE_FILES)], ...],
        Field(max_length=MAX_CASES),
    ]


class ProbeInstances(Wire):
    """The probes in the model's registration, in their order; the hub has their inputs."""

    kind: Literal["probes"] = "probes"


Instances = TableInstances | DicomInstances | CombinedInstances | ProbeInstances


class PredictionRequest(Wire):
    """One batch; row i belongs to `cases[i]`."""

    model: Name
    version: Version
    plan_hash: Sha256
    cases: Annotated[tuple[CaseId, ...], Field(min_length=1, max_length=MAX_CASES)]
    instances: Annotated[Instances, Field(discriminator="kind")]


class Prediction(Wire):
    """Prediction for one case; without a score it is indeterminate and has a reason."""

    case: CaseId
    score: Probability | None = None
    reason: Literal["none", "model_declined", "input_out_of_range", "model_failed"] = "none"


class PredictionAnswer(Wire):
    """Answer of the hub: status 202 while pending, 200 when done or failed; the client polls."""

    id: PredictionId
    status: Literal["pending", "done", "failed"]
    model_digest: Sha256 | None = None
    predictions: Annotated[tuple[Prediction, ...], Field(max_length=MAX_CASES)] = ()


MAX_UPLOAD_BYTES = 64 * 1024 * 1024


class UploadRequest(Wire):
    """Request for an upload address for one de-identified file."""

    model: Name
    version: Version
    plan_hash: Sha256
    sha256: Sha256
    size: Annotated[int, Field(ge=1, le=MAX_UPLOAD_BYTES)]


class UploadTicket(Wire):
    """Signed, short-lived address and headers for the PUT of one file."""

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


def check_instances(registration: ModelRegistration, request: PredictionRequest) -> None:
    """Refuse a batch that does not match the model's input contract or its probes.

    A number outside a field's limits is not an error: that case is answered with a reason.

    Raises
    ------
    ValueError
        Names field, count and first row; never quotes a name that is not in the contract.
    """
    inputs, cases, instances = registration.inputs, request.cases, request.instances
    if len(set(cases)) != len(cases):
        raise ValueError(f"{counted(len(cases) - len(set(cases)), 'case id')} repeated")
    if isinstance(instances, ProbeInstances):
        if len(cases) != len(registration.probes):
            raise ValueError(
                f"{counted(len(cases), 'case')} for {counted(len(registration.probes), 'probe')}"
            )
        return
    if inputs.kind != instances.kind:
        raise ValueError(f"this model takes {inputs.kind} instances")
    for entries in instance_lists(instances):
        if len(entries) != len(cases):
            raise ValueError(
                f"{counted(len(entries), 'instance')} for {counted(len(cases), 'case')}"
            )
    if not isinstance(instances, DicomInstances):
        check_rows(inputs, instances.columns, instances.rows)


def instance_lists(
    instances: TableInstances | DicomInstances | CombinedInstances,
) -> tuple[Sequence[Any], ...]:
    """Return the lists that have one entry per case."""
    if isinstance(instances, CombinedInstances):
        return instances.rows, instances.uploads
    return (instances.uploads if isinstance(instances, DicomInstances) else instances.rows,)


def uploads_of(instances: Instances) -> tuple[str, ...]:
    """Return all uploads of a batch, in order."""
    if isinstance(instances, CombinedInstances):
        return tuple(upload for files in instances.uploads for upload in files)
    return instances.uploads if isinstance(instances, DicomInstances) else ()


def out_of_range(inputs: InputContract, table: TableInstances | CombinedInstances) -> set[int]:
    """Return the positions of rows with a number outside the registered limits."""
    limits = [
        (table.columns.index(entry.name), entry.low, entry.high)
        for entry in inputs.fields
        if entry.kind == "number"
    ]
    return {
        i
        for i, row in enumerate(table.rows)
        if any(not is_within(row[column], low, high) for column, low, high in limits)
    }
