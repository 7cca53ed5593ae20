"""Proposal of views over FHIR resources: patients, and the commonest coded measurements.

Only valid measurements with a code of LOINC are proposed: a status that counts, the unit beside the
value, and the comparator beside it, so that "<1" is not read as 1.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from healthval.cohort.fhir.resources import resolved_resources
from healthval.cohort.propose.proposal import MIN_SHARED, Proposal
from healthval.cohort.propose.substances import HBA1C, MOLAR_MASS
from healthval.cohort.units import conversion, hba1c_conversion, in_yaml, same_unit
from healthval.contracts.table import FhirInputs, TableSchema
from healthval.errors import CohortError

MAX_VIEWS = 20
_LOINC = "http://loinc.org"
_FINAL = ("final", "amended", "corrected")
_UNIT = re.compile(r"[A-Za-z0-9%/.*^ ()\[\]{}_'°²³µμ-]{1,32}")
_QUESTIONS = (
    "Which resource, or which table beside the resources, holds the reference standard?",
    "Does the last measurement of several count, or the one nearest to a date ('anchor')?",
    "Is a result below a limit ('<') missing ('exclude'), the limit ('value') or half of it ('half')?",
)
_AGE_AT = (
    "Is the age that on the day of the last '{0}'? Name the index date of a case in 'at' otherwise."
)
_DEAD = "deceased.ofType(dateTime).exists() or deceased.ofType(boolean).where($this).exists()"


def propose_views(resources: Iterable[Mapping[str, Any]]) -> Proposal:
    """Propose views over FHIR resources: the patient, and the commonest coded measurements.

    The proposal contains codes and units of the resources, never their texts.

    Raises
    ------
    CohortError
        If the resources contain no Patient.
    """
    common = _common_units(resources)
    names = {code: f"loinc_{code.replace('-', '_')}" for code in common}
    fhir = {
        "on": "patient",
        "views": {"patients": _patient_view("age" if names else "birth_date")}
        | {name: _measurement_view(code, name) for code, name in names.items()},
        "links": {name: _last(name) for name in names.values()},
    }
    columns: dict[str, Any] = {
        "patient": {"kind": "id"},
        "sex": {"kind": "category", "levels": ["female", "male", "other", "unknown"]},
        **_age_or_birth(names),
        "deceased": {"kind": "category", "levels": {"True": "yes", "False": "not_known"}},
    }
    questions = list(_QUESTIONS)
    questions += [_AGE_AT.format(at) for at in list(names.values())[:1]]
    for code, name in names.items():
        columns |= {name: _number(name, common[code]), f"{name}_at": {"kind": "date"}}
        questions += _unit_questions(code, name, common[code])
    return Proposal(
        table=TableSchema.model_validate({"columns": columns}),
        inputs=(*(("age",) if names else ()), "sex", *names.values()),
        subgroups=("sex",),
        questions=tuple(questions),
        fhir=FhirInputs.model_validate(fhir),
    )


def _common_units(resources: Iterable[Mapping[str, Any]]) -> dict[str, Counter[str]]:
    """Units of the commonest codes, with their counts."""
    n_patients = 0
    units: dict[str, Counter[str]] = {}
    for resource in resolved_resources(resources):
        n_patients += resource.get("resourceType") == "Patient"
        quantity = resource.get("valueQuantity")
        if resource.get("resourceType") != "Observation" or not isinstance(quantity, dict):
            continue
        if resource.get("status") in _FINAL:
            unit = quantity.get("code") or quantity.get("unit")
            for code in _codes(resource):
                units.setdefault(code, Counter())[str(unit or "")] += 1
    if not n_patients:
        raise CohortError("the resources contain no Patient; export Patient as well")
    ordered = sorted(units, key=lambda code: -units[code].total())
    return {code: units[code] for code in ordered[:MAX_VIEWS] if units[code].total() >= MIN_SHARED}


def _codes(resource: Mapping[str, Any]) -> set[str]:
    code = resource.get("code")
    codings = code.get("coding") if isinstance(code, dict) else None
    return {
        str(c["code"])
        for c in codings or []
        if isinstance(c, dict)
        and c.get("system") == _LOINC
        and re.fullmatch(r"\d{1,7}-\d", str(c.get("code", "")))
    }


def _usual_unit(units: Counter[str]) -> str:
    """The unit that several measurements share most often; empty without one."""
    shared = [u for u, n in units.most_common() if n >= MIN_SHARED and _UNIT.fullmatch(u)]
    return shared[0] if shared else ""


def _number(name: str, units: Counter[str]) -> dict[str, Any]:
    column = {"kind": "number", "comparator_column": f"{name}_sign", "below_limit": "exclude"}
    if unit := _usual_unit(units):
        column |= {"unit": unit, "unit_column": f"{name}_unit", "other_units": "exclude"}
    return column


def _unit_questions(code: str, name: str, units: Counter[str]) -> list[str]:
    """Ask about other units, with the factor where it is known."""
    unit = _usual_unit(units)
    others = {u: n for u, n in units.items() if unit and not same_unit(u, unit)}
    shared = [u for u, n in others.items() if n >= MIN_SHARED and _UNIT.fullmatch(u)]
    known = {u: how for u in shared if (how := _factor(code, u, unit))}
    questions = [
        f"'{name}': {units[u]} values are in {u}; convert them by 'convert: {{{in_yaml(u)}: {how}}}'?"
        for u, how in known.items()
    ]
    n_rest = sum(n for u, n in others.items() if u not in known)
    if n_rest:
        questions.append(
            f"'{name}': values in another unit than {unit}, or without one, number {n_rest} and are "
            "left out; is that right?"
        )
    return questions


def _factor(code: str, given: str, wanted: str) -> str | None:
    """Entry of the plan's 'convert', or None."""
    if code in HBA1C and hba1c_conversion(given, wanted):
        return "hba1c"
    found = conversion(given, wanted, MOLAR_MASS.get(code))
    if found is None:
        return None
    return "ucum" if found[1] else f"{found[0]:g}"


def _last(name: str) -> dict[str, Any]:
    return {"on": {"patient": "patient"}, "date": f"{name}_at", "choose": "last", "required": False}


def _age_or_birth(names: Mapping[str, str]) -> dict[str, Any]:
    """Column of the age on the day of the commonest measurement; without one, of the date of birth."""
    for name in names.values():
        return {"age": {"kind": "age", "at": f"{name}_at"}}
    return {"birth_date": {"kind": "date"}}


def _patient_view(birth: str) -> dict[str, Any]:
    column = [
        {"name": "patient", "path": "getResourceKey()", "type": "string"},
        {"name": "sex", "path": "gender", "type": "code"},
        {"name": birth, "path": "birthDate", "type": "date"},
        {"name": "deceased", "path": _DEAD, "type": "boolean"},
    ]
    return {"resource": "Patient", "status": "draft", "select": [{"column": column}]}


def _measurement_view(code: str, name: str) -> dict[str, Any]:
    value = "value.ofType(Quantity)"
    column = [
        {"name": "patient", "path": "subject.getReferenceKey(Patient)", "type": "string"},
        {"name": name, "path": f"{value}.value", "type": "decimal"},
        {"name": f"{name}_sign", "path": f"{value}.comparator", "type": "code"},
        {"name": f"{name}_unit", "path": f"iif({value}.code.exists(), {value}.code, {value}.unit)"},
        {"name": f"{name}_at", "path": "effective.ofType(dateTime)"},
    ]
    where = [
        f"status in ({' | '.join(repr(word) for word in _FINAL)})",
        f"code.coding.where(system = '{_LOINC}' and code = '{code}').exists()",
    ]
    return {
        "resource": "Observation",
        "status": "draft",
        "select": [{"column": column}],
        "where": [{"path": path} for path in where],
    }
