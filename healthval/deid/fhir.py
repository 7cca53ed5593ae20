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

from healthval.deid.fhir_elements import CODE_SYSTEMS, REFERENCED, RESOURCES, STATES, Elements
from healthval.deid.policy import Policy
from healthval.deid.secret import Secret, date_offset, pseudonym, pseudonym_uuid, uid
from healthval.deid.tables import OLDEST_AGE, RESTRICTED_ZIP3
from healthval.errors import DeidentificationError, counted

_DEEPEST = 100  # levels of nesting; a Questionnaire with ten nested groups has about thirty
_OBSERVATION_VALUE = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue"
_DATE = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(T\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:\d\d))?)?)?"
)
_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.:/_-]{0,31}")
_STATUS = re.compile(r"[a-z][a-z-]{0,31}")
_SYSTEM = re.compile(r"[A-Za-z0-9:/.#_-]{1,100}")
_UNIT = re.compile(r"[A-Za-z0-9%/.*^()\[\]{}µ°'-]{1,16}")
_VERSION = re.compile(r"[0-9][0-9.-]{0,15}|http://snomed\.info/sct/\d+(/version/\d{8})?")
_REFERENCE = re.compile(r"(?:.*/)?([A-Z][A-Za-z]+)/([A-Za-z0-9.-]{1,64})(?:/_history/[^/]+)?")
# The lowest age above 89 in each unit of time that ages have.
_OLDEST = {"a": 90, "mo": 90 * 12, "wk": 4696, "d": 32873}
_SPELLED_UNITS = {"year": "a", "years": "a", "yr": "a", "y": "a", "month": "mo", "months": "mo"}
_AGE_CODES = frozenset({"30525-0", "21612-7", "29553-5", "21611-9", "35659-2", "63900-5"})


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
            self._cap_age_count(body)
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
        kept: dict[str, Any] = {"value": number}
        for name, known in (("comparator", ("<", "<=", ">=", ">")), ("system", CODE_SYSTEMS)):
            if value.get(name) in known:
                kept[name] = value[name]
        unit = "code" if value.get("code") else "unit"
        if isinstance(value.get(unit), str) and _UNIT.fullmatch(value[unit]):
            kept[unit] = value[unit]
        spelled = str(kept.get(unit, "")).lower()
        oldest = _OLDEST.get(_SPELLED_UNITS.get(spelled, spelled))
        if oldest is not None:
            kept["value"] = self._capped(number, oldest)
        return kept

    def _capped(self, number: float, oldest: int) -> float:
        if number <= oldest * (OLDEST_AGE - 1) / OLDEST_AGE:
            return number
        self.marks.add("ABSTRED")
        return oldest

    def age(self, value: Any) -> dict[str, Any] | None:
        """Return an age capped at 90; the default unit is the year."""
        kept = self.quantity(value)
        if kept and not kept.get("code") and not kept.get("unit"):
            kept["value"] = self._capped(kept["value"], OLDEST_AGE)
        return kept

    def _cap_age_count(self, body: dict[str, Any]) -> None:
        for part in (body, *body.get("component", [])):
            codes = {c.get("code") for c in part.get("code", {}).get("coding", [])}
            if codes & _AGE_CODES and isinstance(part.get("valueInteger"), int):
                part["valueInteger"] = self._capped(part["valueInteger"], OLDEST_AGE)

    def range(self, value: Any) -> dict[str, Any]:
        return self._pair(value, ("low", "high"))

    def ratio(self, value: Any) -> dict[str, Any]:
        return self._pair(value, ("numerator", "denominator"))

    def _pair(self, value: Any, names: tuple[str, str]) -> dict[str, Any]:
        parts = value if isinstance(value, dict) else {}
        return {name: q for name in names if (q := self.quantity(parts.get(name)))}

    def coding(self, value: Any) -> dict[str, str] | None:
        code = value.get("code") if isinstance(value, dict) else None
        if not isinstance(code, str) or not _CODE.fullmatch(code):
            return None
        system, version = value.get("system"), value.get("version")
        kept = {"code": code}
        if (
            isinstance(system, str)
            and system.startswith(CODE_SYSTEMS)
            and _SYSTEM.fullmatch(system)
        ):
            kept = {"system": system, "code": code}
            if isinstance(version, str) and _VERSION.fullmatch(version):
                kept["version"] = version
        return kept

    def concept(self, value: Any) -> dict[str, Any]:
        codings = value.get("coding") if isinstance(value, dict) else None
        clean = [c for i in codings or [] if (c := self.coding(i))]
        return {"coding": clean} if clean else {}

    def address(self, value: Any) -> dict[str, str]:
        """Return state and ZIP3 in the United States, only the country elsewhere."""
        given = value if isinstance(value, dict) else {}
        country, state = given.get("country"), given.get("state")
        kept: dict[str, str] = {}
        if isinstance(country, str) and re.fullmatch(r"[A-Z]{2,3}", country):
            kept["country"] = country
        if country not in (None, "US", "USA", "United States", "United States of America"):
            return kept
        if state in STATES or state in STATES.values():
            kept["state"] = str(state)
        code = given.get("postalCode")
        if isinstance(code, str) and re.fullmatch(r"\d{5}(-?\d{4})?", code.strip()):
            zip3 = code.strip()[:3]
            kept["postalCode"] = "000" if zip3 in RESTRICTED_ZIP3 else zip3
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


def _matching(pattern: re.Pattern[str]) -> Callable[[_Resource, Any], str | None]:
    return lambda _, value: value if isinstance(value, str) and pattern.fullmatch(value) else None


_RULES: dict[str, Callable[[_Resource, Any], Any]] = {
    "boolean": lambda _, value: value if isinstance(value, bool) else None,
    "integer": lambda _, value: value if type(value) is int else None,
    "code": _matching(_STATUS),
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
