"""The plan: model, cohort, reference standard and criteria, fixed and hashed before data are seen."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from healthval.contracts.base import (
    MAX_NAMED,
    Column,
    Line,
    Name,
    Paragraph,
    Probability,
    Version,
    Wire,
    digest,
    explain,
)
from healthval.contracts.images import ImageInputs
from healthval.contracts.monitoring import Monitoring
from healthval.contracts.report import StudyReporting
from healthval.contracts.table import (
    ColumnSchema,
    Declared,
    Eligibility,
    FhirInputs,
    Link,
    NotText,
    SmallLevels,
    TableSchema,
)
from healthval.errors import PlanError, counted
from healthval.files import read_yaml
from healthval.plan_checks import problems_of
from healthval.secure_sum.messages import FEWEST_SITES, MAX_SITES

Number = Annotated[float, NotText]
Threshold = Annotated[Probability, NotText]
Rule = Literal["fold", "exclude"]
# ``levels: fold`` is the rule with the usual minimum.
LevelRule = Annotated[
    SmallLevels,
    BeforeValidator(
        lambda value: {"rule": value} if isinstance(value, str) else value,
        json_schema_input_type=Rule | SmallLevels,
    ),
]
Metric = Literal[
    "auroc",
    "oe",
    "citl",
    "slope",
    "brier",
    "sensitivity",
    "specificity",
    "ppv",
    "npv",
    "net_benefit",
]

MAX_STEPS = 24  # a submission's flow has at most 32 steps, and some are added by healthval


class ModelChoice(Wire):
    """The index test: one version of one model."""

    name: Name
    version: Version


class Criterion(Wire):
    """One acceptance criterion, fixed beforehand: the interval must be within [low, high]."""

    metric: Metric
    low: Number | None = None
    high: Number | None = None
    threshold: Threshold | None = None

    @model_validator(mode="after")
    def _has_bounds_in_order(self) -> Self:
        if self.low is None and self.high is None:
            raise ValueError("a criterion needs 'low', 'high' or both")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError("'low' of a criterion is above its 'high'")
        return self


class DisclosureChoice(Wire):
    """Preset of the gate; a site can set a larger minimum cell, never a smaller one."""

    preset: Name = "cms"
    minimum_cell: Annotated[int, NotText, Field(ge=1, le=1000)] | None = None


class SampleSize(Wire):
    """Planned number of cases and its rationale, as in the protocol."""

    planned_cases: Annotated[int, NotText, Field(ge=1)] | None = None
    rationale: Paragraph = ""


class SecureSum(Wire):
    """Secure sum of the sites' tables at the plan's thresholds; see ``docs/disclosure.md``.

    `minimum_sites` is the fewest hospitals whose tables are added up.
    """

    minimum_sites: Annotated[int, NotText, Field(ge=FEWEST_SITES, le=MAX_SITES)] = FEWEST_SITES


class Linked(Declared):
    """A second table with at most one row per case; a step of the flow.

    The evaluation receives its file by its `name`. FHIR views are linked under ``fhir: links``.
    """

    name: Column
    table: TableSchema
    link: Link


class Plan(Wire):
    """The protocol of one evaluation, identified by its `hash`.

    Cases are the rows of a table, or of the first FHIR view. Their clusters (patients), readers and
    verification are declared in `table`. `inputs` are columns of `table` or `linkage`; `images` are
    DICOM files. Eligibility is applied to the linked cases, in its order. `levels` is the treatment of
    small levels of the subgroups. `monitoring` divides the cases into periods with alarm rules.
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
    thresholds: Annotated[tuple[Threshold, ...], Field(max_length=20)] = ()
    subgroups: Annotated[tuple[Column, ...], Field(max_length=12)] = ()
    levels: LevelRule | None = None
    monitoring: Monitoring | None = None
    acceptance: Annotated[tuple[Criterion, ...], Field(max_length=20)] = ()
    disclosure: DisclosureChoice = DisclosureChoice()
    dates: Literal["removed", "shifted"] = "removed"
    sample_size: SampleSize = SampleSize()
    reporting: StudyReporting | None = None
    secure_sum: SecureSum | None = None

    @model_validator(mode="before")
    @classmethod
    def _own_columns_belong_to_the_table(cls, values: Any) -> Any:
        """Move a mapping of names to own columns, at the top or in `inputs`, to the table."""
        if not isinstance(values, dict) or not isinstance(values.get("table"), dict):
            return values
        given: dict[str, dict[str, Any]] = {
            name: mapping
            for name in ("columns", "inputs")
            if isinstance(mapping := values.get(name), dict)
        }
        own = {name: column for part in given.values() for name, column in part.items()}
        if not given:
            return values
        changed = {name: v for name, v in values.items() if name != "columns"}
        if "inputs" in given:
            changed["inputs"] = list(given["inputs"])
        return changed | {"table": _renamed(values["table"], own)}

    @property
    def hash(self) -> str:
        """SHA-256 of the canonical plan and of all that its order decides.

        That is the case key, the first view, and the order of several links (steps of the flow).
        A plan without `reporting`, `levels`, `monitoring` or `secure_sum` has the hash that it had before that
        field existed. The PACS and the own names of columns are left out: each site has its own, and the study
        has one hash.
        """
        first_view = next(iter(self.fhir.views)) if self.fhir else None
        order: dict[str, Any] = {"case_key": self.table.of_kind("id")[:1], "first_view": first_view}
        if self.fhir and len(self.fhir.links) > 1:
            order["links"] = list(self.fhir.links)
        left_out: dict[str, Any] = {"images": {"pacs"}, "table": {"sources"}}
        left_out["linkage"] = {"__all__": {"table": {"sources"}}}
        later = ("reporting", "levels", "monitoring", "secure_sum")
        left_out |= {name: True for name in later if getattr(self, name) is None}
        return digest({**self.model_dump(mode="json", exclude=left_out), "order": order})

    @property
    def selection(self) -> str:
        """SHA-256 of the rules that select the cases, which name, thresholds and criteria are not."""
        rules = {"table", "fhir", "linkage", "eligibility", "images", "levels", "monitoring"}
        return digest(self.model_dump(mode="json", include=rules))

    @property
    def columns(self) -> dict[str, ColumnSchema]:
        """Every declared column of the table and of the linked tables."""
        linked = (source.table.columns for source in self.linkage)
        return {name: c for part in (self.table.columns, *linked) for name, c in part.items()}

    @property
    def subject(self) -> dict[str, str]:
        """Key of access requests, submissions and reports: model, version and plan hash."""
        return {"model": self.model.name, "version": self.model.version, "plan_hash": self.hash}

    @model_validator(mode="after")
    def _has_inputs(self) -> Self:
        if not self.inputs and self.images is None:
            raise ValueError("the model needs 'inputs', 'images' or both")
        return self

    @model_validator(mode="after")
    def _columns_are_declared(self) -> Self:
        declared = set(self.columns)
        missing = {
            place: sum(name not in declared for name in names)
            for place, names in self._used_columns().items()
        }
        found = [f"{place} names {counted(n, 'column')}" for place, n in missing.items() if n]
        if found:
            raise ValueError(
                f"{', '.join(found)} that the table does not declare; correct the spelling, or declare "
                "it under 'columns'"
            )
        return self

    def _used_columns(self) -> dict[str, tuple[str, ...]]:
        images = self.images
        return {
            "inputs": self.inputs,
            "subgroups": self.subgroups,
            "monitoring": (self.monitoring.date,) if self.monitoring else (),
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
    def _step_names_are_unique(self) -> Self:
        names = [f"with_{name}" for name in (self.fhir.links if self.fhir else ())]
        names += [s.name for s in self.linkage] + [s.step for s in self.eligibility]
        if len(set(names)) != len(names):
            raise ValueError("two steps of linkage and eligibility have the same name; rename one")
        if len(names) > MAX_STEPS:
            raise ValueError(f"links, linkage and eligibility have more than {MAX_STEPS} steps")
        return self


def _renamed(table: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """Declare each column under the name that the plan uses, and keep the site's own name of it."""
    used = {column: name for name, column in own.items() if name != column}
    columns = table.get("columns")
    if isinstance(columns, dict):
        known = columns.keys()
        new = {column: name for column, name in used.items() if name not in known}
        columns = {new.get(column, column): declared for column, declared in columns.items()}
    names = {name: column for column, name in used.items()}
    return {**table, "columns": columns, "sources": {**(table.get("sources") or {}), **names}}


def load_plan(path: str | Path) -> Plan:
    """Read a plan from YAML; `healthval.load_plan` also checks views, units and preset.

    Raises
    ------
    PlanError
        If the file is missing, is not YAML or does not fit; names the place and quotes no value.
    """
    try:
        plan = Plan.model_validate(read_values(path), strict=False)
    except ValidationError as error:
        raise PlanError(f"the plan does not fit: {explain(error)}") from None
    if problems := problems_of(plan):
        raise PlanError(misfit(problems))
    return plan


def read_values(path: str | Path) -> dict[str, Any]:
    """Read the fields of a plan, unchecked; see `load_plan`."""
    remedy = "compare it with one of `healthval init`"
    return read_yaml(path, what="the plan", remedy=remedy, error=PlanError)


def misfit(problems: Sequence[str]) -> str:
    """Describe the problems of a plan; the first 30 are named, the others are counted."""
    more = f"; and {len(problems) - MAX_NAMED} more" if len(problems) > MAX_NAMED else ""
    return f"the plan does not fit: {'; '.join(problems[:MAX_NAMED])}{more}"


def plan_schema() -> dict[str, Any]:
    """JSON Schema of a plan, for editors; published as schemas/plan.schema.json."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Plan.model_json_schema()}


def plan_schema_text() -> str:
    """Return the text of the published schema."""
    return json.dumps(plan_schema(), indent=1, sort_keys=True) + "\n"
