"""The model as its developer registers it: card, input contract, serving needs."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from healthval.contracts.base import (
    Column,
    Line,
    Name,
    Paragraph,
    Probability,
    Sha256,
    Version,
    Wire,
)
from healthval.contracts.reporting import DeveloperReporting


class InputField(Wire):
    """One named input: a number within limits, or one of the listed levels."""

    name: Column
    kind: Literal["number", "category"] = "number"
    unit: Annotated[str, Field(pattern=r"^[A-Za-z0-9%/.*^ ()\[\]{}-]{0,32}$")] = ""
    low: float | None = None
    high: float | None = None
    levels: Annotated[tuple[Column, ...], Field(max_length=64)] = ()


class InputContract(Wire):
    """What the model takes.

    ``table``: rows of the named fields; ``dicom``: one file a case; ``combined``: the files of a
    case, and its row.
    """

    kind: Literal["table", "dicom", "combined"] = "table"
    fields: Annotated[tuple[InputField, ...], Field(max_length=512)] = ()
    modalities: Annotated[
        tuple[Annotated[str, Field(pattern=r"^[A-Z]{2,4}$")], ...], Field(max_length=16)
    ] = ()

    @model_validator(mode="after")
    def _files_is_no_field(self) -> Self:
        if self.kind == "combined" and any(entry.name == "files" for entry in self.fields):
            raise ValueError("a field of a combined model cannot be called 'files'")
        return self


class ModelCard(Wire):
    """What a reader must know before believing a number about the model."""

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


class ModelRegistration(Wire):
    """Card, contract and what serving needs; the artefact travels beside it."""

    card: ModelCard
    inputs: InputContract
    artefact_sha256: Sha256
    memory_mb: Literal[1024, 2048, 3072, 4096, 5120, 6144] = 1024
    max_concurrency: Annotated[int, Field(ge=1, le=200)] = 4


ModelStatus = Literal["registered", "serving", "stopped"]


class ModelRecord(Wire):
    """A registered model as the hub shows it."""

    registration: ModelRegistration
    digest: Sha256
    status: ModelStatus


class ModelList(Wire):
    """The models that the hub knows."""

    models: Annotated[tuple[ModelRecord, ...], Field(max_length=1000)] = ()
