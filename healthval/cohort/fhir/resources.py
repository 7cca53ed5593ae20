"""FHIR resources read from files: NDJSON and Bundles, both also gzipped, one resource at a time.

One line, or one entry of a Bundle, is in memory at a time. Error messages name a file by its number
in order of name, because exports often name files after patients.
"""

from __future__ import annotations

import codecs
import gzip
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from healthval.errors import CohortError, counted

MAX_RESOURCE_BYTES = 16 * 1024 * 1024
_CHUNK = 1 << 16
_SPACE = re.compile(r"[\ufeff \t\r\n]*")
_SUFFIXES = (".ndjson", ".ndjson.gz", ".json", ".json.gz")
# Resource types and elements that R4 does not have.
_OLD_TYPES = frozenset(
    """BodySite DataElement DeviceUseRequest DiagnosticOrder ExpansionProfile MedicationOrder
    ProcedureRequest ProcessRequest ReferralRequest Sequence""".split()  # noqa: SIM905
)
_R5_TYPES = frozenset(
    """ActorDefinition ArtifactAssessment BiologicallyDerivedProductDispense ConditionDefinition
    DeviceAssociation DeviceDispense DeviceUsage EncounterHistory FormularyItem GenomicStudy
    ImagingSelection InventoryItem InventoryReport NutritionIntake Permission Requirements
    SubscriptionTopic TestPlan Transport""".split()  # noqa: SIM905
)
_R5_ELEMENTS = {
    "Encounter": (
        "actualPeriod",
        "plannedStartDate",
        "subjectStatus",
        "admission",
        "virtualService",
    ),
    "Observation": (
        "triggeredBy",
        "instantiatesReference",
        "bodyStructure",
        "valueAttachment",
        "valueReference",
    ),
    "Condition": ("participant",),
    "Procedure": ("occurrenceDateTime", "occurrencePeriod", "recorded", "reportedBoolean"),
    "MedicationRequest": ("medication", "reason", "device", "effectiveDosePeriod"),
    "MedicationAdministration": ("medication", "occurenceDateTime", "occurencePeriod"),
    "MedicationStatement": ("medication", "adherence", "relatedClinicalInformation"),
    "DiagnosticReport": ("study", "supportingInfo", "composition"),
    "Immunization": ("administeredProduct", "basedOn", "informationSource"),
    "AllergyIntolerance": ("participant",),
    "ServiceRequest": ("focus", "orderDetailReference"),
}


def read_resources(source: str | Path) -> Iterator[dict[str, Any]]:
    """Yield the R4 resources of a file, or of a folder's files in order of name.

    References to a Bundle entry whose address is a ``urn:uuid`` are rewritten to its type and id.

    Raises
    ------
    CohortError
        If a file is absent, empty, truncated or not JSON, or if a resource is too large, is not R4,
        or has contained resources that refer to each other in a circle. Names file and line, and
        quotes no content.
    """
    path = Path(source)
    # By name as text: paths alone are compared without regard to case on Windows.
    files = [path] if path.is_file() else sorted(_files(path), key=lambda file: file.name)
    if not files:
        raise CohortError(
            f"no FHIR file found; give a file, or a folder with {', '.join(_SUFFIXES)} files"
        )
    for number, file in enumerate(files, 1):
        yield from _read_file(file, f"file {number} of {len(files)}")


def _files(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from (f for f in folder.iterdir() if f.name.endswith(_SUFFIXES) and f.is_file())


def _read_file(path: Path, place: str) -> Iterator[dict[str, Any]]:
    opener = gzip.open if path.name.endswith(".gz") else open
    lines = ".ndjson" in "".join(path.suffixes)
    try:
        with opener(path, "rb") as file:
            yield from _lines(file, place) if lines else _document(file, place)
    except (OSError, EOFError):
        raise CohortError(f"{place} is truncated or cannot be read; export it again") from None


def _lines(file: Any, place: str) -> Iterator[dict[str, Any]]:
    number = 0
    while line := file.readline(MAX_RESOURCE_BYTES + 1):
        number += 1
        if len(line) > MAX_RESOURCE_BYTES:
            raise CohortError(_too_large(f"{place}, line {number}"))
        if not line.strip():
            continue
        try:
            resource = json.loads(line)
        except (ValueError, RecursionError):
            n_broken = 1 + sum(1 for rest in file if not _is_json(rest))
            raise CohortError(
                f"{place}: {counted(n_broken, 'line is', 'lines are')} not JSON (first at line "
                f"{number}); export it again"
            ) from None
        yield check_r4(resource, f"{place}, line {number}")


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line or b"null")
    except (ValueError, RecursionError):
        return not line.strip()
    return True


def _too_large(place: str) -> str:
    limit = MAX_RESOURCE_BYTES // 2**20
    return f"{place}: a resource is larger than {limit} MB; remove its attachments and export again"


def _document(file: Any, place: str) -> Iterator[dict[str, Any]]:
    """Yield one resource, or the entries of one Bundle as they are read."""
    aliases: dict[str, str] = {}
    whole: dict[str, Any] = {}
    number = 0
    for key, value in _Members(file, place):
        if key != "entry":
            whole[key] = value
            continue
        number += 1
        resource = value.get("resource") if isinstance(value, dict) else None
        if resource is None:
            raise CohortError(f"{place}: entry {number} of the Bundle has no resource; remove it")
        checked = check_r4(resource, f"{place}, entry {number}")
        full, identifier = value.get("fullUrl"), checked.get("id")
        if isinstance(full, str) and full.startswith("urn:uuid:") and isinstance(identifier, str):
            aliases[full] = f"{checked['resourceType']}/{identifier}"
        if aliases:
            _resolve(checked, aliases)
        yield checked
    if not number and whole.get("resourceType") != "Bundle":
        yield check_r4(whole, place)


def _resolve(node: Any, aliases: Mapping[str, str]) -> None:
    """Rewrite references to earlier entries, in place; most Bundles have the patients first."""
    if isinstance(node, dict):
        reference = node.get("reference")
        if isinstance(reference, str) and reference in aliases:
            node["reference"] = aliases[reference]
        for value in node.values():
            if isinstance(value, (dict, list)):
                _resolve(value, aliases)
    elif isinstance(node, list):
        for item in node:
            _resolve(item, aliases)


class _Members:
    """Members of a JSON object in a stream; the items of the array ``entry`` one by one."""

    def __init__(self, file: Any, place: str) -> None:
        self._text = (c for c in iter(lambda: file.read(_CHUNK), b""))
        self._place = place
        self._buffer = ""
        self._at = 0
        self._decode = json.JSONDecoder().raw_decode
        self._utf8 = codecs.getincrementaldecoder("utf-8")()

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        self._take("{")
        if self._next() == "}":
            return
        while True:
            key = self._value()
            self._take(":")
            if key == "entry" and self._next() == "[":
                yield from (("entry", item) for item in self._items())
            else:
                yield key, self._value()
            if self._separator("}"):
                break
        if self._next():
            raise self._broken()

    def _items(self) -> Iterator[Any]:
        self._take("[")
        if self._next() == "]":
            self._take("]")
            return
        while True:
            yield self._value()
            if self._separator("]"):
                return

    def _separator(self, end: str) -> bool:
        found = self._next()
        self._take(found if found in {",", end} and found else ",")
        return found == end

    def _more(self, size: int = 1) -> bool:
        """Read at least `size` more characters, or up to the end; False at the end of the file."""
        parts = [self._buffer[self._at :]]
        self._at, added = 0, 0
        chunk: bytes | None = b""
        while added < size and chunk is not None:
            chunk = next(self._text, None)
            try:
                parts.append(self._utf8.decode(chunk or b"", final=chunk is None))
            except UnicodeDecodeError:
                raise self._broken() from None
            added += len(parts[-1])
        self._buffer = "".join(parts)
        return added > 0

    def _next(self) -> str:
        while True:
            self._at = _SPACE.match(self._buffer, self._at).end()  # type: ignore[union-attr]
            if self._at < len(self._buffer) or not self._more():
                return self._buffer[self._at : self._at + 1]

    def _take(self, symbol: str) -> None:
        if self._next() != symbol:
            raise self._broken()
        self._at += 1

    def _value(self) -> Any:
        self._next()
        while True:
            try:
                value, end = self._decode(self._buffer, self._at)
            except (ValueError, RecursionError):
                if len(self._buffer) - self._at > MAX_RESOURCE_BYTES:
                    raise CohortError(_too_large(self._place)) from None
                # Parse again only after the text has doubled, which keeps the time linear.
                if not self._more(len(self._buffer) - self._at):
                    raise self._broken() from None
            else:
                if end == len(self._buffer) and self._more():  # a number may continue
                    continue
                self._at = end
                return value

    def _broken(self) -> CohortError:
        return CohortError(f"{self._place} is truncated or not JSON; export it again")


def check_r4(resource: Any, place: str) -> dict[str, Any]:
    """Return the resource if it is an R4 resource.

    Raises
    ------
    CohortError
        If the value is no resource, if the resource belongs to another release of FHIR, or if its
        contained resources refer to each other in a circle.
    """
    kind = resource.get("resourceType") if isinstance(resource, dict) else None
    if not isinstance(kind, str) or not isinstance(resource, dict):
        raise CohortError(f"{place}: not a FHIR resource; check the source")
    wrong = kind in _R5_TYPES or any(name in resource for name in _R5_ELEMENTS.get(kind, ()))
    if wrong or (kind == "Encounter" and isinstance(resource.get("class"), list)):
        raise CohortError(f"{place}: a resource has the shape of FHIR R5; export as R4 (4.0.1)")
    if kind in _OLD_TYPES or isinstance(resource.get("clinicalStatus"), str):
        raise CohortError(f"{place}: a resource is older than FHIR R4; export as R4 (4.0.1)")
    if resource.get("contained"):
        _check_contained(resource, place)
    return resource


def _check_contained(resource: Mapping[str, Any], place: str) -> None:
    contained = resource["contained"]
    if not isinstance(contained, list):
        raise CohortError(f"{place}: 'contained' is not a list; correct the source")
    targets = {
        str(inner.get("id")): set(_local_references(inner))
        for inner in contained
        if isinstance(inner, dict)
    }
    # Repeatedly remove resources without a reference to a remaining one; circles remain.
    while done := [key for key, to in targets.items() if not to & targets.keys()]:
        for key in done:
            del targets[key]
    if targets:
        circle = counted(
            len(targets),
            "contained resource refers to itself",
            "contained resources refer to each other in a circle",
        )
        raise CohortError(f"{place}: {circle}; correct the source")


def _local_references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        reference = node.get("reference")
        if isinstance(reference, str) and reference.startswith("#"):
            yield reference[1:]
        for value in node.values():
            yield from _local_references(value)
    elif isinstance(node, list):
        for item in node:
            yield from _local_references(item)


def refuse_conflicts(
    resources: Iterable[Mapping[str, Any]],
) -> Iterator[Mapping[str, Any]]:
    """Yield each resource once; skip exact repetitions. Needs 32 bytes of memory a resource.

    Raises
    ------
    CohortError
        At the end of the stream, if an id has different contents; reports the number of such ids.
    """
    seen: dict[bytes, bytes] = {}
    conflicts: set[bytes] = set()
    first = 0
    for position, resource in enumerate(resources):
        name = f"{resource.get('resourceType')}/{resource.get('id')}"
        key = hashlib.blake2b(name.encode(), digest_size=16).digest()
        body = json.dumps(resource, sort_keys=True).encode()
        content = hashlib.blake2b(body, digest_size=16).digest()
        if resource.get("id") is None or seen.setdefault(key, content) is content:
            yield resource
        elif seen[key] != content:
            first = first if conflicts else position
            conflicts.add(key)
    if conflicts:
        raise CohortError(
            f"{counted(len(conflicts), 'resource id has', 'resource ids have')} different contents "
            f"(first at resource {first}); export again, or keep one version of each"
        )
