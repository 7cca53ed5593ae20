"""Typed parameters of the notebooks; an error for an unknown one suggests the nearest name.

Secrets are never parameters: papermill writes parameters into the output notebook. A notebook gets
the path of a file that only its owner can read.
"""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from healthval.contracts.base import Line, explain
from healthval.contracts.report import Language
from healthval.errors import UsageError
from healthval.files import read_yaml

# In a notebook's cell an empty text means None.
MaybePath = Annotated[Path | None, BeforeValidator(lambda value: None if value == "" else value)]
MaybeScheduler = Annotated[
    Annotated[str, Field(pattern=r"^(tcp|tls)://\S+$")] | None,
    BeforeValidator(lambda value: None if value == "" else value),
]
Target = Literal["embedded", "emulator", "aws"]
HubUrl = Annotated[str, Field(pattern=r"^https://[^\s@]+$|^http://127\.0\.0\.1:[0-9]+$")]


class NotebookParameters(BaseModel):
    """Base of the three parameter sets; converts text from a command line too."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, validate_default=False
    )
    notebook: ClassVar[str]
    identifiable: ClassVar[bool] = False

    @classmethod
    def check(cls, values: Mapping[str, Any]) -> Self:
        """Check parameters before the notebook runs.

        Raises
        ------
        UsageError
            If a parameter is unknown, missing or invalid; names it, and the nearest known name.
        """
        unknown = sorted(set(values) - set(cls.model_fields))
        if unknown:
            raise UsageError(
                f"{cls.notebook} has no parameter {', '.join(map(cls._suggest, unknown))}"
            )
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            raise UsageError(
                f"parameters of {cls.notebook} are not valid: {explain(error)}"
            ) from None

    @classmethod
    def from_notebook(cls, namespace: Mapping[str, Any]) -> Self:
        """Check the parameters in a notebook's namespace, and that their files exist."""
        values = {name: namespace[name] for name in cls.model_fields if name in namespace}
        return cls.check(values).check_places()

    def check_places(self) -> Self:
        """Refuse a path to no file or folder, before anything is created or sent.

        Raises
        ------
        UsageError
            Names the parameter, the path and the folder that was searched.
        """
        for name in type(self).model_fields:
            value = getattr(self, name)
            if name == "site_folder":
                from healthval.site import check_site_folder  # reads the heavy libraries

                check_site_folder(value)
            elif name == "linked":
                for part, place in value.items():
                    _check_place(f"'linked' ({part})", place)
            elif name != "out" and isinstance(value, Path):
                _check_place(f"'{name}'", value)
        return self

    @classmethod
    def _suggest(cls, name: str) -> str:
        near = difflib.get_close_matches(name, cls.model_fields, n=1)
        return f"'{name}' (did you mean '{near[0]}'?)" if near else f"'{name}'"


class ProvisionParameters(NotebookParameters):
    """Parameters of the operator's notebook that registers a model and starts or deploys it."""

    notebook = "provision"
    hub_url: HubUrl = Field(description="address of the hub")
    operator_key: Path = Field(description="file with the private key of the operator")
    registration: Path = Field(description="YAML: model card, input contract, serving needs")
    artefact: Path = Field(description="folder with inference.py and the model's files")
    target: Target = Field(
        default="embedded",
        description="where the model runs: embedded (in the hub), emulator or aws",
    )
    region: str = Field(default="", description="AWS region; empty: the one of your profile")
    hub_stack: str = Field(default="healthval", description="stack of the hub on AWS")
    image: str = Field(
        default="", description="image in ECR by its digest; empty: make its repository only"
    )
    execute: bool = Field(default=False, description="True: change AWS as shown; False: show only")
    tear_down: bool = Field(
        default=False, description="True: stop the model and delete its stack instead"
    )


class EvaluateParameters(NotebookParameters):
    """Parameters of the hospital's notebook that judges a model on the site's own patients."""

    notebook = "evaluate"
    identifiable = True
    hub_url: HubUrl = Field(description="address of the hub")
    site_folder: Path = Field(description="folder with the site's key, secret, ledger and answers")
    site_label: Line = Field(description="site name shown to the operator")
    plan: Path = Field(description="the study's plan (YAML)")
    table: MaybePath = Field(
        description="table of the cases: CSV or Parquet; empty: the first view"
    )
    resources: MaybePath = Field(None, description="folder or file with FHIR resources, if any")
    images: MaybePath = Field(None, description="folder with the patients' DICOM files, if any")
    linked: dict[str, Path] = Field({}, description="files of the plan's linked tables, by name")
    scheduler: MaybeScheduler = Field(
        None, description="Dask scheduler for images and predictions; empty: this machine"
    )
    wait_seconds: Annotated[float, Field(ge=0, le=86_400)] = Field(
        0, description="seconds to wait for the operator's approval"
    )
    send: bool = Field(False, description="True: send the released result without asking again")


class ReportParameters(NotebookParameters):
    """Parameters of the operator's notebook that pools the sites and publishes the report."""

    notebook = "report"
    hub_url: HubUrl = Field(description="address of the hub")
    operator_key: Path = Field(description="file with the private key of the operator")
    plan: Path = Field(description="the study's plan (YAML)")
    out: Path = Field(description="folder for report.html, report.pdf and metrics.json")
    apart: list[Line] = Field(
        default=[], description="labels of hospitals with equal results that differ"
    )
    certificate: MaybePath = Field(
        default=None,
        description="PEM file with key and certificates for the PDF's own signature, if any",
    )
    language: Language = Field(default="en", description="language of the report: en or de")


def _check_place(parameter: str, place: Path) -> None:
    if not place.exists():
        folder = place.absolute().parent
        raise UsageError(
            f"parameter {parameter}: no such file or folder, {place.name}; looked in {folder}"
        )


NOTEBOOKS: dict[str, type[NotebookParameters]] = {
    p.notebook: p for p in (ProvisionParameters, EvaluateParameters, ReportParameters)
}


def describe(notebook: str) -> list[str]:
    """One line per parameter: name, type, default, meaning."""
    parameters = NOTEBOOKS[check_name(notebook)]
    return [
        f"{name:<14} {_type_name(field.annotation):<6} {_default(field):<10} {field.description}"
        for name, field in parameters.model_fields.items()
    ]


def parameters_for(notebook: str, values: Mapping[str, Any]) -> NotebookParameters:
    """Check `values` against the named notebook's parameters, and that their files exist."""
    return NOTEBOOKS[check_name(notebook)].check(values).check_places()


def check_name(notebook: str) -> str:
    """Return the notebook's name without folder and suffix; refuse an unknown one."""
    name = Path(notebook).stem
    if name not in NOTEBOOKS:
        raise UsageError(f"unknown notebook; choose one of {', '.join(NOTEBOOKS)}")
    return name


def read_parameters(file: Path | None) -> dict[str, Any]:
    """Read parameters from a YAML file; without a file there are none."""
    if file is None:
        return {}
    remedy = "write one line 'name: value' per parameter; `healthval params` lists the names"
    values = read_yaml(file, what=file.name, remedy=remedy)
    if not all(isinstance(name, str) for name in values):
        raise UsageError(f"{file.name} has a parameter name that is not a text; {remedy}")
    return values


def _type_name(annotation: Any) -> str:
    kind = Path if Path in get_args(annotation)[:1] else annotation
    if get_origin(annotation) is Literal:
        kind = str
    return getattr(kind, "__name__", "str").lower().replace("path", "file")


def _default(field: FieldInfo) -> str:
    return "required" if field.is_required() else f"[{field.default}]"
