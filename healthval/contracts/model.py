"""Models: card, input contract, registration and status."""

from typing import Annotated, Literal, Self

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
from healthval.contracts.reporting import DeveloperReporting


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


class ModelRegistration(Wire):
    """Card, input contract and resources of a model; the artefact is uploaded separately."""

    card: ModelCard
    inputs: InputContract
    artefact_sha256: Sha256
    memory_mb: Literal[1024, 2048, 3072, 4096, 5120, 6144] = 1024
    max_concurrency: Annotated[int, Field(ge=1, le=200)] = 4


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
