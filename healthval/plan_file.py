"""`load_plan`: read a plan, and refuse what a later stage would refuse or read in another way."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from healthval import plan as plans
from healthval.cohort.fhir.r4 import RESOURCE_TYPES
from healthval.cohort.fhir.views import compile_view
from healthval.cohort.units import conversion_by, same_unit
from healthval.contracts.base import explained
from healthval.contracts.table import FhirInputs, NumberColumn
from healthval.deid import deid_policy
from healthval.disclosure import load_policy
from healthval.errors import HealthvalError, PlanError, ViewError
from healthval.plan import Plan
from healthval.plan_checks import problems_of

MOST_ROUNDS: Final = 6
# Values in place of required fields that do not fit, so that the other fields are checked.
_STAND_INS: Final[dict[str, Any]] = {
    "study": "a-study",
    "title": "a title",
    "target_condition": "a condition",
    "reference_standard": "a reference standard",
    "model": {"name": "a-model", "version": "1"},
}


def load_plan(path: str | Path) -> Plan:
    """Read a plan from YAML and check it as a whole: views, units, the gate's preset and the policy of images.

    Raises
    ------
    PlanError
        If the file is missing, is not YAML or does not fit; names the place and quotes no value.
    """
    plan, problems = plan_problems(path)
    if plan is None or problems:
        raise PlanError(plans.misfit(problems))
    return plan


def plan_problems(path: str | Path) -> tuple[Plan | None, list[str]]:
    """Read a plan and return it with all its problems; None where its fields do not make a plan.

    A field that does not fit is reported and left out, so that the others are checked too; a table
    that does not fit ends the check, because all else refers to it.

    Raises
    ------
    PlanError
        If the file cannot be read as YAML.
    """
    values, found = plans.read_values(path), list[str]()
    for _ in range(MOST_ROUNDS):
        try:
            plan = Plan.model_validate(values, strict=False)
        except ValidationError as error:
            found += [problem for problem in explained(error) if problem not in found]
            less = _without(values, error)
            if less == values:
                break
            values = less
        else:
            checks = [*problems_of(plan), *_views(plan.fhir), *_units(plan)]
            return plan, [*found, *checks, *_preset(plan), *_images(plan)]
    return None, found


def _without(values: dict[str, Any], error: ValidationError) -> dict[str, Any]:
    """Leave out the fields that do not fit and may be left out."""
    places = {str(detail["loc"][0]) for detail in error.errors() if detail["loc"]}
    if "table" in places:
        return values
    if not places:
        return _declared_only(values)
    if "thresholds" in places:
        places.add("acceptance")  # its thresholds would seem to be missing
    fields = Plan.model_fields
    left = {n: v for n, v in values.items() if n not in places or _is_needed(n)}
    return left | {n: _STAND_INS[n] for n in places if n in fields and fields[n].is_required()}


def _is_needed(name: str) -> bool:
    return name in Plan.model_fields and Plan.model_fields[name].is_required()


def _declared_only(values: dict[str, Any]) -> dict[str, Any]:
    """Leave out the uses of columns that are not declared, which the error has counted."""
    tables = [values["table"], *(part.get("table", {}) for part in values.get("linkage") or ())]
    declared = {name for table in tables for name in table.get("columns") or ()}
    lists = {
        n: [c for c in values[n] if c in declared] for n in ("inputs", "subgroups") if values.get(n)
    }
    steps = [s for s in values.get("eligibility") or () if s.get("column") in declared]
    return {n: v for n, v in values.items() if n != "images"} | lists | {"eligibility": steps}


def _views(fhir: FhirInputs | None) -> Iterator[str]:
    owner: dict[str, str] = {}
    for name, view in (fhir.views if fhir else {}).items():
        place = f"fhir.views.{name}"
        try:
            compiled = compile_view(view)
        except ViewError as problem:
            yield f"{place}: {problem}"
            continue
        if compiled.resource not in RESOURCE_TYPES:
            yield f"{place}: FHIR R4 has no such resource type; correct 'resource'"
        link = fhir.links.get(name) if fhir else None
        keys = list(link.on.values()) if link else [fhir.on] if fhir else []
        absent = [column for column in keys if column not in compiled.columns]
        if absent:
            yield f"{place}: the view has no column '{absent[0]}' to join on; add it"
        if link and link.date and link.date not in compiled.columns:
            yield f"{place}: the view has no column '{link.date}', the 'date' of its link; add it"
        for column in compiled.columns:
            if column not in keys and owner.setdefault(column, name) != name:
                yield f"{place}: view '{owner[column]}' has a column '{column}' too; rename one of them"


def _units(plan: Plan) -> Iterator[str]:
    for name, column in plan.columns.items():
        if not isinstance(column, NumberColumn):
            continue
        for unit, factor in column.convert.items():
            if conversion_by(factor, unit, column.unit) is None:
                yield (
                    f"table.columns.{name}: '{factor}' gives no conversion from {unit} to "
                    f"{column.unit}; give the factor"
                )
        if any(same_unit(a, b) for a, b in combinations([column.unit, *column.convert], 2)):
            yield (
                f"table.columns.{name}: 'unit' and 'convert' name one unit twice; keep one spelling"
            )


def _preset(plan: Plan) -> Iterator[str]:
    try:
        preset = load_policy(plan.disclosure.preset)
    except HealthvalError:
        yield "disclosure.preset: no preset of the gate has this name; see docs/disclosure.md"
        return
    least = preset.minimum_cell
    if plan.disclosure.minimum_cell is not None and plan.disclosure.minimum_cell < least:
        yield (
            f"disclosure.minimum_cell: it is below {least}, the minimum of the preset; give {least} or "
            "more, or remove it"
        )


def _images(plan: Plan) -> Iterator[str]:
    try:
        deid_policy(plan)
    except HealthvalError as problem:
        yield f"images: {problem}"
