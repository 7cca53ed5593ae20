"""`load_plan`: read a plan, and refuse what a later stage would refuse or read in another way."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

from healthval import plan as plans
from healthval.cohort.fhir.views import compile_view
from healthval.cohort.units import conversion, same_unit
from healthval.contracts.table import FhirInputs, NumberColumn
from healthval.deid import deid_policy
from healthval.disclosure import load_policy
from healthval.errors import HealthvalError, PlanError, ViewError
from healthval.plan import Plan


def load_plan(path: str | Path) -> Plan:
    """Read a plan from YAML and check it as a whole: views, units, the gate's preset and the policy of images.

    Raises
    ------
    PlanError
        If the file is missing, is not YAML or does not fit; names the place and quotes no value.
    """
    plan = plans.load_plan(path)
    problems = [*_views(plan.fhir), *_units(plan), *_preset(plan), *_images(plan)]
    if problems:
        raise PlanError(plans.misfit(problems))
    return plan


def _views(fhir: FhirInputs | None) -> Iterator[str]:
    for name, view in (fhir.views if fhir else {}).items():
        try:
            columns = compile_view(view).columns
        except ViewError as problem:
            yield f"fhir.views.{name}: {problem}"
            continue
        link = fhir.links.get(name) if fhir else None
        wanted = link.on.values() if link else [fhir.on] if fhir else []
        absent = [column for column in wanted if column not in columns]
        if absent:
            yield f"fhir.views.{name}: the view has no column '{absent[0]}' to join on; add it"


def _units(plan: Plan) -> Iterator[str]:
    for name, column in plan.columns.items():
        if not isinstance(column, NumberColumn):
            continue
        for unit, factor in column.convert.items():
            if factor == "ucum" and conversion(unit, column.unit) is None:
                yield (
                    f"table.columns.{name}: the units' definitions give no conversion from {unit} to "
                    f"{column.unit}; give the factor"
                )
        if any(same_unit(a, b) for a, b in combinations([column.unit, *column.convert], 2)):
            yield (
                f"table.columns.{name}: 'unit' and 'convert' name one unit twice; keep one spelling"
            )


def _preset(plan: Plan) -> Iterator[str]:
    try:
        load_policy(plan.disclosure.preset)
    except HealthvalError:
        yield "disclosure.preset: no preset of the gate has this name; see docs/disclosure.md"


def _images(plan: Plan) -> Iterator[str]:
    try:
        deid_policy(plan)
    except HealthvalError as problem:
        yield f"images: {problem}"
