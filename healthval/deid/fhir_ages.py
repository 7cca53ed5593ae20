"""Ages above 89 in FHIR, in every unit and spelling (45 CFR 164.514(b)(2)(i)(C))."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from healthval.cohort.units import read_unit
from healthval.deid.table_identifiers import is_age as is_age_name

OLDEST_AGE = 90
# The lowest age above 89 in each unit of time, as spelled in UCUM and in words.
_UNITS: dict[float, str] = {
    90: """a a_j a_g a_t y yr yrs year years yo y_o y/o jahr jahre jahren an ans annee annees ano anos
        anno anni jaar jaren ar""",
    90
    * 12: """mo mo_j mo_g mo_s mos mth mths mon month months monat monate monaten mois mes meses mese
        mesi maand maanden""",
    4696: "wk wks week weeks woche wochen semaine semaines semana semanas settimana settimane w",
    32873: "d day days tag tage tagen jour jours dia dias giorno giorni dag dagen",
    32873 * 24: "h hr hrs hour hours stunde stunden heure heures hora horas",
    32873 * 1440: "min mins minute minutes minuten",
    32873 * 86400: "s sec secs second seconds sekunden",
}
_YEAR = 365.25 * 86400  # seconds, as in UCUM
_LIMITS = {word: limit for limit, words in _UNITS.items() for word in words.split()}
_ACCENTS = str.maketrans("éèêñäáíó", "eeenaaio")
# Ages of a person and of a relative. LOINC: age (estimated, reported, calculated), at an adverse event,
# at specimen collection, now or at death, at death, at onset, at diagnosis, and age group; all but the
# last have units of time in LOINC 2.67. SNOMED CT: age, age (qualifier of HITSP C32), current
# chronological age, age at onset of clinical finding, age and/or growth period.
AGE_CODES = frozenset(
    """30525-0 21611-9 21612-7 29553-5 30972-4 35659-2 63900-5 39016-1 35267-4 63932-8 46251-5
    397669002 397659008 424144002 445518008 105727008""".split()  # noqa: SIM905
)
_PUBLISHED = ("http://loinc.org", "http://snomed.info/sct")
# LOINC: birth year, birth date. SNOMED CT: date of birth.
BIRTH_CODES = frozenset("80904-6 21112-8 184099003".split())  # noqa: SIM905


def limit_of(unit: object) -> float | None:
    """The lowest age above 89 in a unit of time; None for another unit."""
    if not isinstance(unit, str):
        return None
    plain = unit.strip("{}[] .")
    word = plain.lower().translate(_ACCENTS)
    found = _LIMITS.get(word, _LIMITS.get(re.sub(r"[.()]", "_" if "_" in word else "", word)))
    return found if found is not None else _defined(unit)


def _defined(unit: str) -> float | None:
    """The lowest age above 89 in a unit that UCUM defines by the second, such as 10*2.a and a{age}."""
    found = read_unit(unit)
    is_time = found is not None and found.dimension == (("s", 1),)
    return OLDEST_AGE * _YEAR / found.size if found and is_time else None


def capped(number: float, limit: float) -> float:
    """The number, or the limit if the number is an age above 89."""
    # 89 completed years last until the day before the 90th birthday.
    return limit if number > limit * (OLDEST_AGE - 1) / OLDEST_AGE else number


def codes_of(concept: object) -> set[str]:
    """Codes of a CodeableConcept, of any system."""
    codings = concept.get("coding") if isinstance(concept, dict) else None
    return {
        str(c.get("code"))
        for c in (codings if isinstance(codings, list) else [])
        if isinstance(c, dict)
    }


def is_age(*concepts: object) -> bool:
    """Whether one of the concepts is an age."""
    return any(codes_of(concept) & AGE_CODES for concept in concepts)


def is_named_age(concept: object) -> bool:
    """Whether a concept without a published code has the name of an age, such as "Age" or "Lebensalter"."""
    if not isinstance(concept, dict):
        return False
    codings = concept.get("coding")
    codings = [c for c in (codings if isinstance(codings, list) else []) if isinstance(c, dict)]
    if any(c.get("system") in _PUBLISHED for c in codings):
        return False
    texts = [concept.get("text"), *(c.get(key) for c in codings for key in ("code", "display"))]
    return any(is_age_name(text) for text in texts if isinstance(text, str))


def is_birth(*concepts: object) -> bool:
    """Whether one of the concepts is the year or date of birth."""
    return any(codes_of(concept) & BIRTH_CODES for concept in concepts)


def cap_values(part: dict[str, Any], source: Mapping[str, Any]) -> bool:
    """Cap the numbers of an age in place; True if one was changed.

    A number without a unit, and one in an unknown unit, is an age in years.
    """
    changed = False
    quantities = [(part.get("valueQuantity"), source.get("valueQuantity"))]
    for name in ("valueRange", "valueRatio"):
        given = source.get(name)
        for end in ("low", "high", "numerator", "denominator"):
            theirs = given.get(end) if isinstance(given, dict) else None
            quantities.append(((part.get(name) or {}).get(end), theirs))
    for kept, given in quantities:
        if isinstance(kept, dict) and isinstance(given, dict):
            limits = [limit_of(given.get(key)) for key in ("code", "unit")]
            limit = next((found for found in limits if found), OLDEST_AGE)
            value = capped(kept["value"], limit)
            changed |= value != kept["value"]
            kept["value"] = value
    if isinstance(part.get("valueInteger"), int):
        value = int(capped(part["valueInteger"], OLDEST_AGE))
        changed |= value != part["valueInteger"]
        part["valueInteger"] = value
    return changed
