"""Typed parameters of the notebooks; an unknown one is an error with a did-you-mean.

Secrets are never parameters: papermill writes parameters into the output notebook. What a notebook
needs of that kind is named by the path of a file that only its owner can read.
"""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self, get_args

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from healthval.contracts.base import Line
from healthval.errors import UsageError
from healthval.plan import explain

# An empty text is how a notebook's cell says "none".
MaybePath = Annotated[Path | None, BeforeValidator(lambda value: None if value == "" else value)]
HubUrl = Annotated[str, Field(pattern=r"^https://[^\s@]+$|^http://127\.0\.0\.1:[0-9]+$")]


class NotebookParameters(BaseModel):
    """Base of the three parameter sets; reads YAML-ish text from a command line too."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, validate_default=False
    )
    notebook: ClassVar[str]
    identifiable: ClassVar[bool] = False

    @classmethod
    def check(cls, values: Mapping[str, Any]) -> Self:
        """Check parameters before anything runs.

        Raises
        ------
        UsageError
            Names unknown parameters with the nearest known one, and the place of each misfit.
        """
        unknown = sorted(set(values) - set(cls.model_fields))
        if unknown:
            raise UsageError(
                f"{cls.notebook} has no parameter {', '.join(map(cls._suggest, unknown))}"
            )
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            raise UsageError(f"parameters of {cls.notebook} do not fit: {explain(error)}") from None

    @classmethod
    def from_notebook(cls, namespace: Mapping[str, Any]) -> Self:
        """Check the values that a notebook's parameter cells left in its namespace."""
        return cls.check({name: namespace[name] for name in cls.model_fields if name in namespace})

    @classmethod
    def _suggest(cls, name: str) -> str:
        near = difflib.get_close_matches(name, cls.model_fields, n=1)
        return f"'{name}' (did you mean '{near[0]}'?)" if near else f"'{name}'"


class ProvisionParameters(NotebookParameters):
    """Operator: register a model and start its server."""

    notebook = "provision"
    hub_url: HubUrl = Field(description="address of the hub")
    operator_key: Path = Field(description="file with the private key of the operator")
    registration: Path = Field(description="YAML: model card, input contract, serving needs")
    artefact: Path = Field(description="folder with inference.py and the model's files")


class EvaluateParameters(NotebookParameters):
    """Hospital: judge a model on the site's own patients."""

    notebook = "evaluate"
    identifiable = True
    hub_url: HubUrl = Field(description="address of the hub")
    site_folder: Path = Field(description="folder with the site's key, secret, ledger and answers")
    site_label: Line = Field(description="the site's name as the operator shall see it")
    plan: Path = Field(description="the study's plan (YAML)")
    table: MaybePath = Field(description="the patients: CSV or Parquet; empty: the first view")
    resources: MaybePath = Field(None, description="folder or file with FHIR resources, if any")
    images: MaybePath = Field(None, description="folder with the patients' DICOM files, if any")
    linked: dict[str, Path] = Field({}, description="files of the plan's linked tables, by name")
    wait_seconds: Annotated[float, Field(ge=0, le=86_400)] = Field(
        0, description="how long to wait for the operator's approval"
    )
    send: bool = Field(False, description="True: send what the gate lets pass without asking again")


class ReportParameters(NotebookParameters):
    """Operator: pool what the sites released and publish the report."""

    notebook = "report"
    hub_url: HubUrl = Field(description="address of the hub")
    operator_key: Path = Field(description="file with the private key of the operator")
    plan: Path = Field(description="the study's plan (YAML)")
    out: Path = Field(description="folder for report.html, report.pdf and metrics.json")


NOTEBOOKS: dict[str, type[NotebookParameters]] = {
    p.notebook: p for p in (ProvisionParameters, EvaluateParameters, ReportParameters)
}


def describe(notebook: str) -> list[str]:
    """One line a parameter: name, type, default, meaning."""
    parameters = NOTEBOOKS[check_name(notebook)]
    return [
        f"{name:<14} {_type_name(field.annotation):<6} {_default(field):<10} {field.description}"
        for name, field in parameters.model_fields.items()
    ]


def parameters_for(notebook: str, values: Mapping[str, Any]) -> NotebookParameters:
    """Check `values` against the named notebook's parameters."""
    return NOTEBOOKS[check_name(notebook)].check(values)


def check_name(notebook: str) -> str:
    """Refuse a notebook we do not have; a path or the suffix may be typed too."""
    name = Path(notebook).stem
    if name not in NOTEBOOKS:
        raise UsageError(f"there is no such notebook; choose one of {', '.join(NOTEBOOKS)}")
    return name


def read_parameters(file: Path | None) -> dict[str, Any]:
    """Read parameters from a YAML file; none gives none."""
    if file is None:
        return {}
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError):
        raise UsageError(f"{file.name} cannot be read as YAML") from None
    if not isinstance(values, dict) or not all(isinstance(name, str) for name in values):
        raise UsageError(f"{file.name} is not a mapping of parameter names to values")
    return values


def _type_name(annotation: Any) -> str:
    kind = Path if Path in get_args(annotation)[:1] else annotation
    return getattr(kind, "__name__", "str").lower().replace("path", "file")


def _default(field: FieldInfo) -> str:
    return "required" if field.is_required() else f"[{field.default}]"
