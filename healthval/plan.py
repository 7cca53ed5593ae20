"""The plan: what is judged, on whom and against what, fixed and hashed before data are seen."""

import json
import re
from collections.abc import Hashable
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import Field, ValidationError, model_validator

from healthval.contracts.base import (
    Column,
    Line,
    Name,
    Paragraph,
    Probability,
    Version,
    Wire,
    digest,
)
from healthval.contracts.reporting import StudyReporting
from healthval.contracts.table import (
    ColumnSchema,
    Declared,
    Eligibility,
    FhirInputs,
    Link,
    SourceColumn,
    TableSchema,
)
from healthval.errors import PlanError

Metric = Literal[
    "auroc", "oe", "citl", "slope", "brier", "sensitivity", "specificity", "ppv", "npv", "net_benefit"
]  # fmt: skip


MAX_STEPS = 24  # the flow of a submission has 32, some of which are our own


class ModelChoice(Wire):
    """The index test: one version of one model."""

    name: Name
    version: Version


class Criterion(Wire):
    """One acceptance criterion, fixed beforehand: the interval has to lie within [low, high]."""

    metric: Metric
    low: float | None = None
    high: float | None = None
    threshold: Probability | None = None

    @model_validator(mode="after")
    def _has_bounds_in_order(self) -> Self:
        if self.low is None and self.high is None:
            raise ValueError("a criterion needs 'low', 'high' or both")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError("'low' of a criterion lies above its 'high'")
        return self


class DisclosureChoice(Wire):
    """The gate's preset; a site may ask for a larger minimum cell, never a smaller one."""

    preset: Name = "cms"
    minimum_cell: Annotated[int, Field(ge=1, le=1000)] | None = None


class SampleSize(Wire):
    """Why this many cases, in the words of the protocol."""

    planned_cases: Annotated[int, Field(ge=1)] | None = None
    rationale: Paragraph = ""


class Linked(Declared):
    """A second table, of which one row at most belongs to a case; a step of the flow.

    Its file is given to the evaluation by its `name`. FHIR views are linked under ``fhir: links``.
    """

    name: Column
    table: TableSchema
    link: Link


class PixelChoice(Declared):
    """What is done about text that may be burned into the images; see `deid.PixelPolicy`."""

    text: Literal["ignore", "refuse", "blank"] = "ignore"
    sign_off: Line | None = None


class ImageInputs(Declared):
    """The DICOM contract: which images belong to a case, and what one case is.

    Column `on` of the cohort names them, by what `by` says it holds. One value must name exactly
    one study, series or image, as `case` says. With `patient`, that column must be the images'
    Patient ID, so that nobody is judged on another's images.
    """

    modalities: Annotated[
        tuple[Annotated[str, Field(pattern=r"^[A-Z]{2,4}$")], ...],
        Field(min_length=1, max_length=16),
    ]
    case: Literal["study", "series", "image"] = "study"
    on: SourceColumn
    by: Literal["accession", "study", "series", "instance", "patient"] = "accession"
    patient: SourceColumn | None = None
    pixels: PixelChoice = PixelChoice()


class Plan(Wire):
    """The protocol of one evaluation; its `hash` names it everywhere.

    Cases are the rows of a table, or of the first FHIR view. Their clusters (patients), readers and
    verification are declared in `table`. `inputs` are columns of it or of `linkage`; `images` come
    from DICOM. Eligibility is applied to the linked cases, in its order.
    """

    schema_version: Literal[1] = 1
    study: Name
    title: Line
    target_condition: Line
    reference_standard: Line
    model: ModelChoice
    table: TableSchema
    fhir: FhirInputs | None = None
    linkage: Annotated[tuple[Linked, ...], Field(max_length=16)] = ()
    eligibility: Annotated[tuple[Eligibility, ...], Field(max_length=24)] = ()
    inputs: Annotated[tuple[Column, ...], Field(max_length=512)] = ()
    images: ImageInputs | None = None
    thresholds: Annotated[tuple[Probability, ...], Field(max_length=20)] = ()
    subgroups: Annotated[tuple[Column, ...], Field(max_length=12)] = ()
    acceptance: Annotated[tuple[Criterion, ...], Field(max_length=20)] = ()
    disclosure: DisclosureChoice = DisclosureChoice()
    dates: Literal["removed", "shifted"] = "removed"
    sample_size: SampleSize = SampleSize()
    reporting: StudyReporting | None = None

    @property
    def hash(self) -> str:
        """SHA-256 of the canonical plan, and of what the order of its mappings decides.

        A plan without `reporting` has the hash that it had before that field existed.
        """
        first_view = next(iter(self.fhir.views)) if self.fhir else None
        order = {"case_key": self.table.of_kind("id")[:1], "first_view": first_view}
        later = {"reporting"} if self.reporting is None else None
        return digest({**self.model_dump(mode="json", exclude=later), "order": order})

    @property
    def columns(self) -> dict[str, ColumnSchema]:
        """Every declared column, of the table and of what is linked to it."""
        linked = (source.table.columns for source in self.linkage)
        return {name: c for part in (self.table.columns, *linked) for name, c in part.items()}

    @property
    def subject(self) -> dict[str, str]:
        """What access, submissions and reports are filed under: model, version, plan hash."""
        return {"model": self.model.name, "version": self.model.version, "plan_hash": self.hash}

    @model_validator(mode="after")
    def _has_inputs(self) -> Self:
        if not self.inputs and self.images is None:
            raise ValueError("the model needs 'inputs', 'images' or both")
        return self

    @model_validator(mode="after")
    def _columns_are_declared(self) -> Self:
        declared = set(self.columns)
        for place, names in self._used_columns().items():
            missing = sum(name not in declared for name in names)
            if missing:
                raise ValueError(f"{place} names {missing} columns that the table does not declare")
        return self

    def _used_columns(self) -> dict[str, tuple[str, ...]]:
        images = self.images
        return {
            "inputs": self.inputs,
            "subgroups": self.subgroups,
            "eligibility": tuple(step.column for step in self.eligibility),
            "linkage": tuple(name for source in self.linkage for name in source.link.on),
            "images": (images.on, *([images.patient] if images.patient else [])) if images else (),
        }

    @model_validator(mode="after")
    def _images_are_named_by_text(self) -> Self:
        wanted = self.images and self.columns[self.images.on].kind not in {"id", "cluster"}
        if wanted:
            raise ValueError("'on' of images names a column that is neither 'id' nor 'cluster'")
        return self

    @model_validator(mode="after")
    def _steps_have_names_of_their_own(self) -> Self:
        names = [f"with_{name}" for name in (self.fhir.links if self.fhir else ())]
        names += [s.name for s in self.linkage] + [s.step for s in self.eligibility]
        if len(set(names)) != len(names):
            raise ValueError("two steps of linkage and eligibility have the same name")
        if len(names) > MAX_STEPS:
            raise ValueError(f"links, linkage and eligibility have more than {MAX_STEPS} steps")
        return self


def load_plan(path: str | Path) -> Plan:
    """Read a plan from YAML.

    Raises
    ------
    PlanError
        If the file is missing, is not YAML or does not fit; names the place, quotes no value.
    """
    try:
        values = yaml.load(Path(path).read_text(encoding="utf-8"), _Loader)  # noqa: S506 - a safe loader
    except OSError:
        raise PlanError("the plan file cannot be read; check the path after --plan") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        raise PlanError(
            f"the plan is not valid YAML{where}; compare it with examples/plan.yaml"
        ) from None
    if not isinstance(values, dict):
        raise PlanError("the plan is not a mapping of fields; compare it with examples/plan.yaml")
    try:
        return Plan.model_validate(values, strict=False)
    except ValidationError as error:
        raise PlanError(f"the plan does not fit: {explain(error)}") from None


_YAML_1_1 = {"tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:bool"}


class _Loader(yaml.SafeLoader):
    """Reads YAML as editors do (1.2: dates, on, yes are text), and takes no field twice."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - the base class declares it so
        first: [(tag, pattern) for tag, pattern in found if tag not in _YAML_1_1]
        for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Refuse a field that is written twice: the last would win without a word."""
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if len(set(keys)) != len(keys):
            raise yaml.constructor.ConstructorError(
                problem="a field is written twice", problem_mark=node.start_mark
            )
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)


def plan_schema() -> dict[str, Any]:
    """JSON Schema of a plan, for editors; published as schemas/plan.schema.json."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Plan.model_json_schema()}


def plan_schema_text() -> str:
    """Give the text of the published schema."""
    return json.dumps(plan_schema(), indent=1, sort_keys=True) + "\n"


def explain(error: ValidationError) -> str:
    """Places and kinds of what pydantic refused, without any value.

    The first five are named; the rest are counted.
    """
    details = error.errors(include_url=False, include_input=False)
    shown = "; ".join(
        f"{'.'.join(str(part) for part in d['loc']) or 'plan'}: {_said(d)}" for d in details[:5]
    )
    more = f"; and {len(details) - 5} more" if len(details) > 5 else ""
    return shown + more


def _said(detail: Any) -> str:
    if detail["type"] == "union_tag_invalid":  # pydantic's own words repeat the tag
        return f"the kind is none of {detail['ctx']['expected_tags']}"
    return str(detail["msg"])
