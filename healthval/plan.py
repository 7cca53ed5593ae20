"""The plan: what is judged, on whom and against what, fixed and hashed before data are seen."""

from pathlib import Path
from typing import Annotated, Literal, Self

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
from healthval.contracts.table import TableSchema
from healthval.errors import PlanError

Metric = Literal[
    "auroc", "oe", "citl", "slope", "brier", "sensitivity", "specificity", "ppv", "npv", "net_benefit"
]  # fmt: skip


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


class DisclosureChoice(Wire):
    """The gate's preset; a site may ask for a larger minimum cell, never a smaller one."""

    preset: Name = "cms"
    minimum_cell: Annotated[int, Field(ge=1, le=1000)] | None = None


class SampleSize(Wire):
    """Why this many cases, in the words of the protocol."""

    planned_cases: Annotated[int, Field(ge=1)] | None = None
    rationale: Paragraph = ""


class Plan(Wire):
    """The protocol of one evaluation; its `hash` names it everywhere."""

    schema_version: Literal[1] = 1
    study: Name
    title: Line
    target_condition: Line
    reference_standard: Line
    model: ModelChoice
    table: TableSchema
    inputs: Annotated[tuple[Column, ...], Field(min_length=1, max_length=512)]
    thresholds: Annotated[tuple[Probability, ...], Field(max_length=20)] = ()
    subgroups: Annotated[tuple[Column, ...], Field(max_length=12)] = ()
    acceptance: Annotated[tuple[Criterion, ...], Field(max_length=20)] = ()
    disclosure: DisclosureChoice = DisclosureChoice()
    dates: Literal["removed", "shifted"] = "removed"
    sample_size: SampleSize = SampleSize()

    @property
    def hash(self) -> str:
        """SHA-256 of the canonical plan."""
        return digest(self)

    @property
    def subject(self) -> dict[str, str]:
        """What access, submissions and reports are filed under: model, version, plan hash."""
        return {"model": self.model.name, "version": self.model.version, "plan_hash": self.hash}

    @model_validator(mode="after")
    def _columns_are_declared(self) -> Self:
        declared = set(self.table.columns)
        for place, names in (("inputs", self.inputs), ("subgroups", self.subgroups)):
            missing = [name for name in names if name not in declared]
            if missing:
                raise ValueError(
                    f"{place} names {len(missing)} columns that the table does not declare"
                )
        return self


def load_plan(path: str | Path) -> Plan:
    """Read a plan from YAML.

    Raises
    ------
    PlanError
        If the file is missing, is not YAML or does not fit; names the place, quotes no value.
    """
    try:
        values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
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


def explain(error: ValidationError) -> str:
    """Places and kinds of what pydantic refused, without any value.

    The first five are named; the rest are counted.
    """
    details = error.errors(include_url=False, include_context=False, include_input=False)
    shown = "; ".join(
        f"{'.'.join(str(part) for part in d['loc']) or 'plan'}: {d['msg']}" for d in details[:5]
    )
    more = f"; and {len(details) - 5} more" if len(details) > 5 else ""
    return shown + more
