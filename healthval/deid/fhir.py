"""De-identify FHIR R4 resources by an allow-list of elements (HIPAA Safe Harbor).

An id has the same pseudonym in a resource id, a reference and a `fullUrl`, and in tables and DICOM.
Source: 45 CFR 164.514(b)(2).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from healthval.deid.fhir_address import area
from healthval.deid.fhir_ages import (
    OLDEST_AGE,
    cap_values,
    capped,
    is_age,
    is_birth,
    is_named_age,
    limit_of,
)
from healthval.deid.fhir_codes import STATUSES, clean_unit, may_leave, version_may_leave
from healthval.deid.fhir_elements import REFERENCED, RESOURCES, Elements
from healthval.deid.fhir_numbers import birth_order, may_be_a_record_number, whole_number
from healthval.deid.policy import Policy
from healthval.deid.secret import Secret, date_offset, pseudonym, pseudonym_uuid, uid
from healthval.errors import DeidentificationError, counted

_DEEPEST = 100  # levels of nesting; a Questionnaire with ten nested groups has about thirty
_OBSERVATION_VALUE = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue"
_UCUM = "http://unitsofmeasure.org"
_DATE = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(T\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:\d\d))?)?)?"
)
_REFERENCE = re.compile(r"(?:.*/)?([A-Z][A-Za-z]+)/([A-Za-z0-9.-]{1,64})(?:/_history/[^/]+)?")


def deidentify_resource(
    resource: Mapping[str, Any], policy: Policy, secret: Secret, *, today: date | None = None
) -> dict[str, Any]:
    """Return a new resource that contains only the listed elements; the input is not changed.

    Parameters
    ----------
    resource : an R4 resource, or a Bundle of them
    today : reference day for ages above 89; the current day by default

    Raises
    ------
    DeidentificationError
        If the resource's type is not on the list, a modifier extension could change its meaning,
        or dates are to be shifted and the resource references no patient. The message quotes no
        value.
    """
    if not isinstance(resource, dict):
        raise DeidentificationError("a resource is not a JSON object; check the source")
    day = today or date.today()  # noqa: DTZ011 (the hospital's own day)
    if resource.get("resourceType") == "Bundle":
        return _bundle(resource, policy, secret, day)
    return _Resource(source=resource, policy=policy, secret=secret, today=day).deidentified()


def _bundle(
    bundle: Mapping[str, Any], policy: Policy, secret: Secret, today: date
) -> dict[str, Any]:
    _refuse_modifiers(bundle)
    entries = bundle.get("entry") or []
    kept = []
    for position, entry in enumerate(entries):
        inner = entry.get("resource") if isinstance(entry, dict) else None
        if not isinstance(inner, dict):
            raise DeidentificationError(f"entry {position} of a Bundle has no resource; remove it")
        source = _Resource(source=inner, policy=policy, secret=secret, today=today)
        try:
            clean = source.deidentified()
        except DeidentificationError as problem:
            raise DeidentificationError(f"entry {position} of a Bundle: {problem}") from None
        kept.append({**_full_url(entry.get("fullUrl"), secret), "resource": clean})
    return {
        "resourceType": "Bundle",
        "meta": {"security": [_mark("PSEUDED"), _mark("REDACTED")]},
        "type": "collection",
        "entry": kept,
    }


def _full_url(url: Any, secret: Secret) -> dict[str, str]:
    """Map an entry's address to the pseudonym of its references; `.invalid` never resolves."""
    if isinstance(url, str) and url.startswith("urn:uuid:"):
        mapped = pseudonym_uuid(secret, "patient", url.removeprefix("urn:uuid:"))
        return {"fullUrl": mapped.urn}
    found = _REFERENCE.fullmatch(url) if isinstance(url, str) else None
    if found is None or found[1] not in REFERENCED:
        return {}
    key = pseudonym(secret, "patient", found[2])
    return {"fullUrl": f"https://deidentified.invalid/{found[1]}/{key}"}


def _mark(code: str) -> dict[str, str]:
    return {"system": _OBSERVATION_VALUE, "code": code}


def _refuse_modifiers(resource: Mapping[str, Any]) -> None:
    n = 0
    todo: list[tuple[Any, int]] = [(resource, 0)]
    while todo:
        node, depth = todo.pop()
        if depth > _DEEPEST:
            raise DeidentificationError(
                "a resource is nested too deeply, or contains itself; check the source"
            )
        if isinstance(node, dict):
            n += bool(node.get("modifierExtension") or node.get("_modifierExtension"))
            node = node.values()
        todo += [(inner, depth + 1) for inner in node if isinstance(inner, (dict, list))]
    if n:
        raise DeidentificationError(
            f"{counted(n, 'modifier extension is', 'modifier extensions are')} unknown and may "
            "reverse a meaning; remove the resource"
        )


def _has_no_unit(source: Mapping[str, Any]) -> bool:
    """Whether a value has no unit; ages in a unit of time are capped under every code."""
    quantity = source.get("valueQuantity")
    given = quantity if isinstance(quantity, dict) else {}
    return not any(given.get(key) for key in ("code", "unit"))


@dataclass(kw_only=True)
class _Resource:
    """De-identification of one resource; `marks` are codes of the changes made."""

    source: Mapping[str, Any]
    policy: Policy
    secret: Secret
    today: date
    marks: set[str] = field(default_factory=lambda: {"PSEUDED"})

    def deidentified(self) -> dict[str, Any]:
        kind = self.source.get("resourceType")
        if not isinstance(kind, str) or kind not in RESOURCES:
            raise DeidentificationError(
                "a resource's type is not on the list of types that may leave "
                f"({', '.join(sorted(RESOURCES))}); remove it"
            )
        _refuse_modifiers(self.source)
        out: dict[str, Any] = {"resourceType": kind}
        if isinstance(self.source.get("id"), str):
            out["id"] = self.pseudonym(self.source["id"])
        body = self._kept(self.source, RESOURCES[kind])
        if kind == "Observation":
            self._cap_ages(body)
        if self.source.keys() - {"resourceType", "id", "meta"} - body.keys():
            self.marks.add("REDACTED")
        out["meta"] = {"security": [_mark(code) for code in sorted(self.marks)]}
        return out | body

    def pseudonym(self, value: str) -> str:
        return pseudonym(self.secret, "patient", value)

    def _kept(self, source: Mapping[str, Any], elements: Elements) -> dict[str, Any]:
        kept: dict[str, Any] = {}
        for name, rule in elements.items():
            value = source.get(name)
            if value is None:
                continue
            items = value if isinstance(value, list) else [value]
            clean = [c for i in items if (c := self._clean(i, rule)) not in (None, {}, [])]
            if len(clean) < len(items):
                self.marks.add("REDACTED")
            if clean:
                kept[name] = clean if isinstance(value, list) else clean[0]
        if kept.get("deceasedDateTime") is True:  # the date was removed, the fact is kept
            kept["deceasedBoolean"] = kept.pop("deceasedDateTime")
        if kept.get("multipleBirthInteger") is True:  # a rare order may identify a person
            kept["multipleBirthBoolean"] = kept.pop("multipleBirthInteger")
            self.marks.add("ABSTRED")
        return kept

    def _clean(self, value: Any, rule: str | Elements) -> Any:
        if isinstance(rule, dict):
            return self._kept(value, rule) if isinstance(value, dict) else None
        return _RULES[rule](self, value)

    def date(self, value: Any) -> str | None:
        found = _DATE.fullmatch(value) if isinstance(value, str) else None
        if found is None or self.policy.dates == "remove":
            return None
        year, month, day, clock = found.groups()
        try:
            moment = original = date(int(year), int(month or 1), int(day or 1))
            if self.policy.dates == "shift":
                moment += timedelta(days=date_offset(self.secret, self._patient()))
        except (ValueError, OverflowError):
            return None
        # A year counts as 365 days, so that the limit is some days early, never late.
        if (self.today - original).days >= OLDEST_AGE * 365:
            self.marks.add("ABSTRED")
            return None
        return moment.isoformat()[: 10 if day else 7 if month else 4] + (clock or "")

    def _patient(self) -> str:
        if self.source.get("resourceType") == "Patient" and isinstance(self.source.get("id"), str):
            return str(self.source["id"])
        for name in ("subject", "patient"):
            owner = self.source.get(name)
            reference = owner.get("reference") if isinstance(owner, dict) else None
            if isinstance(reference, str):
                if reference.startswith("urn:uuid:"):
                    return reference.removeprefix("urn:uuid:")
                found = _REFERENCE.fullmatch(reference)
                if found and found[1] == "Patient":
                    return found[2]
        raise DeidentificationError(
            "a resource has dates to shift but references no patient; remove the dates or the "
            "resource"
        )

    def period(self, value: Any) -> dict[str, str]:
        ends = value if isinstance(value, dict) else {}
        moved = {end: self.date(ends.get(end)) for end in ("start", "end")}
        return {end: moment for end, moment in moved.items() if moment}

    def reference(self, value: Any) -> dict[str, str] | None:
        text = value.get("reference") if isinstance(value, dict) else None
        if not isinstance(text, str):
            return None
        if text.startswith("urn:uuid:"):
            mapped = pseudonym_uuid(self.secret, "patient", text.removeprefix("urn:uuid:"))
            return {"reference": mapped.urn}
        found = _REFERENCE.fullmatch(text)
        if found is None or found[1] not in REFERENCED:
            return None
        return {"reference": f"{found[1]}/{self.pseudonym(found[2])}"}

    def quantity(self, value: Any) -> dict[str, Any] | None:
        number = value.get("value") if isinstance(value, dict) else None
        if isinstance(number, bool) or not isinstance(number, (int, float)):
            return None
        unit = clean_unit(value.get("code")) or clean_unit(value.get("unit"))
        if may_be_a_record_number(number, has_unit=unit not in (None, "1")):
            return None
        kept: dict[str, Any] = {"value": number}
        if value.get("comparator") in ("<", "<=", ">=", ">"):
            kept["comparator"] = value["comparator"]
        if unit is not None:
            coded = value.get("system") == _UCUM and clean_unit(value.get("code")) == unit
            kept |= {"system": _UCUM, "code": unit} if coded else {"unit": unit}
        limits = [limit_of(value.get(name)) for name in ("code", "unit")]
        if limit := next((found for found in limits if found), None):
            kept["value"] = self._capped(number, limit)
        return kept

    def _capped(self, number: float, limit: float) -> float:
        found = capped(number, limit)
        if found != number:
            self.marks.add("ABSTRED")
        return found

    def age(self, value: Any) -> dict[str, Any] | None:
        """Return an age capped at 90; a unit that is unknown is the year."""
        kept = self.quantity(value)
        if kept and not any(limit_of(value.get(name)) for name in ("code", "unit")):
            kept["value"] = self._capped(kept["value"], OLDEST_AGE)
        return kept

    def _cap_ages(self, body: dict[str, Any]) -> None:
        """Cap what an Observation or a component of it measures as an age, or as a year of birth."""
        parts: list[tuple[dict[str, Any], Mapping[str, Any]]] = [(body, self.source)]
        if "component" in body:
            rules = RESOURCES["Observation"]["component"]
            given = [c for c in _list(self.source["component"]) if isinstance(c, dict)]
            pairs = [(kept, c) for c in given if (kept := self._kept(c, rules))]
            body["component"] = [kept for kept, _ in pairs]
            parts += pairs
        code = self.source.get("code")
        for part, source in parts:
            named = is_named_age(source.get("code")) and _has_no_unit(source)
            if (named or is_age(code, source.get("code"))) and cap_values(part, source):
                self.marks.add("ABSTRED")
            if is_birth(code, source.get("code")):
                self._remove_old_year(part)

    def _remove_old_year(self, part: dict[str, Any]) -> None:
        for name, year in (
            ("valueInteger", part.get("valueInteger")),
            ("valueQuantity", (part.get("valueQuantity") or {}).get("value")),
        ):
            if isinstance(year, (int, float)) and self.today.year - year >= OLDEST_AGE:
                del part[name]
                self.marks.add("ABSTRED")

    def range(self, value: Any) -> dict[str, Any]:
        return self._pair(value, ("low", "high"))

    def ratio(self, value: Any) -> dict[str, Any]:
        return self._pair(value, ("numerator", "denominator"))

    def _pair(self, value: Any, names: tuple[str, str]) -> dict[str, Any]:
        parts = value if isinstance(value, dict) else {}
        return {name: q for name in names if (q := self.quantity(parts.get(name)))}

    def coding(self, value: Any) -> dict[str, str] | None:
        """Return a code of a published system; a local one may be a name or a record number."""
        if not isinstance(value, dict) or not may_leave(value.get("system"), value.get("code")):
            return None
        kept = {"system": value["system"], "code": value["code"]}
        if version_may_leave(value.get("version")):
            kept["version"] = value["version"]
        return kept

    def concept(self, value: Any) -> dict[str, Any]:
        codings = value.get("coding") if isinstance(value, dict) else None
        clean = [c for i in codings or [] if (c := self.coding(i))]
        return {"coding": clean} if clean else {}

    def address(self, value: Any) -> dict[str, str]:
        kept = area(value)
        if "postalCode" in kept:
            self.marks.add("ABSTRED")
        return kept

    def uid(self, value: Any) -> str | None:
        if not isinstance(value, str) or not re.fullmatch(r"(urn:oid:)?[0-9.]{1,64}", value):
            return None
        head, _, number = value.rpartition(":")
        return (f"{head}:" if head else "") + uid(self.secret, number)

    def dicom_uid(self, value: Any) -> dict[str, str] | None:
        """Return a DICOM study UID, mapped as in the images; None for other identifiers."""
        if not isinstance(value, dict) or value.get("system") != "urn:dicom:uid":
            return None
        mapped = self.uid(value.get("value"))
        return {"system": "urn:dicom:uid", "value": mapped} if mapped else None

    def death(self, value: Any) -> str | bool:
        return self.date(value) or True


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _matching(pattern: re.Pattern[str]) -> Callable[[_Resource, Any], str | None]:
    return lambda _, value: value if isinstance(value, str) and pattern.fullmatch(value) else None


_RULES: dict[str, Callable[[_Resource, Any], Any]] = {
    "boolean": lambda _, value: value if isinstance(value, bool) else None,
    "integer": lambda _, value: whole_number(value),
    "birth_order": lambda _, value: birth_order(value),
    "code": lambda _, value: value if isinstance(value, str) and value in STATUSES else None,
    "gender": _matching(re.compile("male|female|other|unknown")),
    "birth": _Resource.date,
    "date": _Resource.date,
    "death": _Resource.death,
    "period": _Resource.period,
    "reference": _Resource.reference,
    "quantity": _Resource.quantity,
    "age": _Resource.age,
    "range": _Resource.range,
    "ratio": _Resource.ratio,
    "coding": _Resource.coding,
    "concept": _Resource.concept,
    "address": _Resource.address,
    "uid": _Resource.uid,
    "dicom_uid": _Resource.dicom_uid,
}
