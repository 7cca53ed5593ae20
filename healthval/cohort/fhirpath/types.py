"""What plain JSON tells about FHIR types: choice elements, type tests, references."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from healthval.cohort.fhirpath.syntax import Literal, Member, Node
from healthval.errors import ViewError

# FHIR R4: elements with a choice of types, and the types (the spelling of `value[x]` in JSON).
CHOICES = frozenset(
    """abatement additive age allowed amount answer asNeeded author born bounds characteristic
    chargeItem code collected content created date deceased defaultValue definition detail
    diagnosis dose doseNumber due effective entity event example fastingStatus fixed identified
    indication item legallyBinding location manufacturer maxValue medication minValue module
    multipleBirth name occurred occurrence offset onset participantEffective pattern performed
    probability procedure product quantity rate reported scheduled seriesDoses serviced source
    start statusReason studyEffective subject substance target time timing topic used value
    when""".split()  # noqa: SIM905
)
CHOICE_TYPES = frozenset(
    """Address Age Annotation Attachment Base64Binary Boolean Canonical Code CodeableConcept Coding
    ContactDetail ContactPoint Contributor Count DataRequirement Date DateTime Decimal Distance
    Dosage Duration Expression HumanName Id Identifier Instant Integer Integer64 Markdown Meta
    Money Oid ParameterDefinition Period PositiveInt Quantity Range Ratio Reference
    RelatedArtifact SampledData Signature String Time Timing TriggerDefinition UnsignedInt Uri
    Url UsageContext Uuid""".split()  # noqa: SIM905
)
_TEXT = "string code id uri url canonical oid uuid markdown base64binary date datetime instant time"
_PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "boolean": (bool,),
    "decimal": (float, int),
    **dict.fromkeys(("integer", "positiveint", "unsignedint", "integer64"), (int,)),
    **dict.fromkeys(_TEXT.split(), (str,)),
}


def any_choice(item: Mapping[str, Any], name: str) -> Any:
    """Value of ``name[x]``, whatever its type; None where there is none."""
    for key in item:
        if key.startswith(name) and key[len(name) :] in CHOICE_TYPES:
            return item[key]
    return None


def type_name(node: Node) -> str:
    """Read a type specifier, or its name in quotes: ``Patient``, ``FHIR.Patient``, ``'Patient'``."""
    match node:
        case Literal(value=str() as name):
            return name.split(".")[-1]
        case Member(base=None, name=name) | Member(base=Member(base=None), name=name):
            return name
    raise ViewError("a type is not written as a name; write for example ofType(Quantity)")


def has_type(item: Any, wanted: str) -> bool:
    """Whether a JSON value can be of a FHIR or System type; elements carry no type of their own."""
    if isinstance(item, dict):
        own = item.get("resourceType")
        return (
            own == wanted if own else wanted[:1].isupper() and wanted.lower() not in _PYTHON_TYPES
        )
    types = _PYTHON_TYPES.get(wanted.lower(), ())
    return isinstance(item, types) and (bool in types or not isinstance(item, bool))


def reference_keys(items: list[Any], wanted: str | None) -> list[Any]:
    """Ids that references point to; none for other types, contained or unresolvable ones."""
    keys: list[Any] = []
    for item in items:
        reference = item.get("reference") if isinstance(item, dict) else None
        if not isinstance(reference, str) or reference.startswith("#"):
            continue
        kind, _, key = reference.partition("/_history/")[0].rpartition("/")
        kind = kind.rpartition("/")[2]
        if reference.startswith("urn:uuid:"):
            kind, key = str(item.get("type") or ""), reference.removeprefix("urn:uuid:")
        if key and (kind == wanted or wanted is None):
            keys.append(key)
    return keys
