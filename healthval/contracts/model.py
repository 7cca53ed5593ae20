"""Models: card, input contract, registration and status."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from healthval.contracts.base import (
    Column,
    Cursor,
    Line,
    Name,
    Paragraph,
    Probability,
    Sha256,
    Version,
    Wire,
)
from healthval.contracts.report import DeveloperReporting
from healthval.errors import counted, part

Value = float | int | Column | None
MAX_PROBES = 32
MAX_PROBE_FILES = 16
PROBE_TOLERANCE = 1e-4  # scores of one model differ in their last digits between processors


class InputField(Wire):
    """One named input: a number with limits, or one of the listed levels."""

    name: Column
    kind: Literal["number", "category"] = "number"
    unit: Annotated[str, Field(pattern=r"^[A-Za-z0-9%/.*^ ()\[\]{}-]{0,32}$")] = ""
    low: float | None = None
    high: float | None = None
    levels: Annotated[tuple[Column, ...], Field(max_length=64)] = ()


class InputContract(Wire):
    """Inputs of the model.

    ``table``: rows of the named fields; ``dicom``: one file per case; ``combined``: the files of a
    case and its row.
    """

    kind: Literal["table", "dicom", "combined"] = "table"
    fields: Annotated[tuple[InputField, ...], Field(max_length=512)] = ()
    modalities: Annotated[
        tuple[Annotated[str, Field(pattern=r"^[A-Z]{2,4}$")], ...], Field(max_length=16)
    ] = ()

    @model_validator(mode="after")
    def _files_is_no_field(self) -> Self:
        if self.kind == "combined" and any(entry.name == "files" for entry in self.fields):
            raise ValueError("the name 'files' is reserved in a combined model; rename the field")
        return self


class ModelCard(Wire):
    """Model card: purpose, population and limits of the model."""

    name: Name
    version: Version
    title: Line
    developer: Line
    intended_use: Paragraph
    target_condition: Line
    population: Paragraph = ""
    out_of_scope: Paragraph = ""
    training_data: Paragraph = ""
    limitations: Paragraph = ""
    claimed_auroc: Probability | None = None
    reporting: DeveloperReporting | None = None


class Probe(Wire):
    """Synthetic case of the developer and the score that the model gives it.

    The hub compares the score when the model starts, and a site before, during and after its run.
    `row` has a value for each field of the contract, `files` the SHA-256 of each DICOM file.
    """

    row: Annotated[dict[Column, Value], Field(max_length=512)] = {}  # noqa: RUF012 - pydantic copies it
    files: Annotated[tuple[Sha256, ...], Field(max_length=MAX_PROBE_FILES)] = ()
    score: Probability | None


class ModelRegistration(Wire):
    """Card, input contract, resources and probes of a model; artefact and files are sent separately."""

    card: ModelCard
    inputs: InputContract
    artefact_sha256: Sha256
    memory_mb: Literal[1024, 2048, 3072, 4096, 5120, 6144] = 1024
    max_concurrency: Annotated[int, Field(ge=1, le=200)] = 4
    probes: Annotated[tuple[Probe, ...], Field(max_length=MAX_PROBES)] = ()

    @model_validator(mode="after")
    def _probes_fit(self) -> Self:
        kind = self.inputs.kind
        for number, probe in enumerate(self.probes, start=1):
            n_files = len(probe.files)
            if (n_files == 0) != (kind == "table") or (kind == "dicom" and n_files > 1):
                wanted = {"table": "no file", "dicom": "one file", "combined": "one file or more"}
                raise ValueError(f"probe {number}: a {kind} model takes {wanted[kind]} a case")
            try:
                check_rows(self.inputs, tuple(probe.row), [tuple(probe.row.values())])
            except ValueError as misfit:
                raise ValueError(f"probe {number}: {misfit}") from None
            fields = self.inputs.fields
            if not all(is_within(probe.row[f.name], f.low, f.high) for f in fields):
                raise ValueError(f"probe {number}: a number is outside the contract's limits")
        return self

    def wrong_probes(self, scores: Sequence[float | None]) -> list[int]:
        """Return the numbers, from 1, of the probes whose score is not the registered one."""
        pairs = enumerate(zip(self.probes, scores, strict=True), start=1)
        return [number for number, (probe, score) in pairs if not is_same_score(probe.score, score)]


class ObjectSize(Wire):
    """Size of an object that is about to be stored."""

    size: Annotated[int, Field(ge=1, le=512 * 1024 * 1024)]


class ObjectOffer(Wire):
    """Signed address for one PUT of an object; without a URL the hub itself receives it."""

    url: Annotated[str, Field(max_length=4096)] = ""
    headers: Annotated[dict[str, Annotated[str, Field(max_length=512)]], Field(max_length=8)] = {}  # noqa: RUF012 - pydantic copies it


ModelStatus = Literal["registered", "serving", "stopped"]


class ModelRecord(Wire):
    """A registered model with its digest and status."""

    registration: ModelRegistration
    digest: Sha256
    status: ModelStatus


class ModelName(Wire):
    """Name and version of a model."""

    name: Name
    version: Version


class ModelList(Wire):
    """One page of the registered models: those whose card the caller may read; names of the others."""

    models: Annotated[tuple[ModelRecord, ...], Field(max_length=1000)] = ()
    others: Annotated[tuple[ModelName, ...], Field(max_length=1000)] = ()
    next: Cursor | None = None


def check_rows(
    inputs: InputContract, columns: Sequence[str], rows: Sequence[Sequence[Value]]
) -> None:
    """Refuse rows that do not match the contract's fields; see `prediction.check_instances`."""
    _check_columns(inputs, columns, rows)
    for wanted in inputs.fields:
        _check_values(wanted, [row[columns.index(wanted.name)] for row in rows])


def _check_columns(
    inputs: InputContract, columns: Sequence[str], rows: Sequence[Sequence[Value]]
) -> None:
    wanted = {entry.name for entry in inputs.fields}
    missing = sorted(wanted - set(columns))
    if missing:
        count = counted(len(missing), "field is", "fields are")
        raise ValueError(f"{count} missing, first '{missing[0]}'")
    unknown = [i for i, name in enumerate(columns) if name not in wanted]
    if unknown:
        count = counted(len(unknown), "column is", "columns are")
        raise ValueError(
            f"{count} unknown to the model (first at column {unknown[0]}); "
            "send the contract's fields only"
        )
    if len(columns) != len(wanted):
        raise ValueError(f"{counted(len(columns) - len(wanted), 'column')} repeated")
    ragged = [i for i, row in enumerate(rows) if len(row) != len(columns)]
    if ragged:
        count = counted(len(ragged), "row does", "rows do")
        raise ValueError(f"{count} not have one value for each column (first at row {ragged[0]})")


def _check_values(wanted: InputField, values: Sequence[Value]) -> None:
    bad = [i for i, value in enumerate(values) if not _fits(wanted, value)]
    if bad:
        kind = "are not a number" if wanted.kind == "number" else "are not among the listed levels"
        raise ValueError(
            f"field '{wanted.name}': {part(len(bad), len(values), 'value', kind)} "
            f"(first at row {bad[0]})"
        )


def _fits(wanted: InputField, value: object) -> bool:
    if value is None:
        return True
    if wanted.kind == "number":
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, str) and value in wanted.levels


def is_same_score(registered: float | None, score: float | None) -> bool:
    """Return whether two scores of a case are equal, apart from their last digits."""
    if registered is None or score is None:
        return registered is score
    return abs(registered - score) <= PROBE_TOLERANCE


def is_within(value: Any, low: float | None, high: float | None) -> bool:
    """Return whether a value is missing, no number, or within the limits of its field."""
    if value is None or isinstance(value, str):
        return True
    return (low is None or value >= low) and (high is None or value <= high)
