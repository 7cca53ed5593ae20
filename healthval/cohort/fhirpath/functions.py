"""FHIRPath functions on lists of JSON values, and FHIR types in plain JSON."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from healthval.cohort.fhirpath.operators import Items, as_boolean, distinct, exact, same, singleton
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


class Env:
    """Environment of an expression: the resource, and the numbers of row and item."""

    __slots__ = ("index", "resource", "row")

    def __init__(self, resource: Any, row: int = 0) -> None:
        self.resource = resource
        self.row = row
        self.index = 0


Path = Callable[[Items, Env], Items]


def _where(items: Items, env: Env, criterion: Path) -> Items:
    outer = env.index
    found: Items = []
    for env.index, item in enumerate(items):
        verdict = criterion([item], env)
        if verdict and as_boolean(verdict):
            found.append(item)
    env.index = outer
    return found


def _exists(items: Items, env: Env, criterion: Path | None = None) -> Items:
    return [bool(items if criterion is None else _where(items, env, criterion))]


def _select(items: Items, env: Env, projection: Path) -> Items:
    outer = env.index
    found: Items = []
    for env.index, item in enumerate(items):
        found += projection([item], env)
    env.index = outer
    return found


def _repeat(items: Items, env: Env, projection: Path) -> Items:
    found: Items = []
    queue = _select(items, env, projection)
    while queue:
        fresh = [q for q in distinct(queue) if not any(same(q, f) for f in found)]
        found += fresh
        queue = _select(fresh, env, projection)
    return found


def _iif(items: Items, env: Env, test: Path, then: Path, otherwise: Path | None = None) -> Items:
    if as_boolean(test(items, env)):
        return then(items, env)
    return otherwise(items, env) if otherwise else []


def _where_url(items: Items, _env: Env, url: Items) -> Items:
    wanted = singleton(url)
    return [i for i in items if isinstance(i, dict) and i.get("url") == wanted]


def _extension(items: Items, env: Env, url: Items) -> Items:
    every = [
        e for i in items if isinstance(i, dict) for e in (i.get("extension") or []) if e is not None
    ]
    return _where_url(every, env, url)


def _resource_key(items: Items, _env: Env) -> Items:
    return [i["id"] for i in items if isinstance(i, dict) and i.get("resourceType") and i.get("id")]


def _join(items: Items, _env: Env, separator: Items | None = None) -> Items:
    if any(not isinstance(i, str) for i in items):
        raise ViewError("join() has an item that is not text; join strings only")
    return [str(singleton(separator or []) or "").join(items)]


def _count_argument(items: Items) -> int:
    value = singleton(items)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ViewError("a function needs an integer; correct the path")
    return value


def _on_text(function: Callable[..., Any]) -> Callable[..., Items]:
    """Lift a function of text to lists; an empty argument gives an empty result."""

    def lifted(items: Items, _env: Env, *args: Items) -> Items:
        values = [singleton(items), *(singleton(a) for a in args)]
        if any(v is None for v in values):
            return []
        if not isinstance(values[0], str):
            raise ViewError("a text function has a value that is not text; correct the path")
        answer = function(*values)
        return [] if answer is None else [answer]

    return lifted


def _substring(text: str, start: int, length: int | None = None) -> str | None:
    if not 0 <= start < len(text):
        return None
    return text[start:] if length is None else text[start : start + max(length, 0)]


def _to_integer(items: Items, _env: Env) -> Items:
    value = singleton(items)
    if isinstance(value, (bool, int)):
        return [int(value)]
    return [int(value)] if isinstance(value, str) and re.fullmatch(r"[+-]?\d+", value) else []


def _to_decimal(items: Items, _env: Env) -> Items:
    value = singleton(items)
    if isinstance(value, (bool, int, float)):
        return [float(value)]
    if isinstance(value, str) and re.fullmatch(r"[+-]?\d+(\.\d+)?", value):
        return [float(value)]
    return []


def _to_string(items: Items, _env: Env) -> Items:
    value = singleton(items)
    if isinstance(value, bool):
        return ["true" if value else "false"]
    return [str(value)] if isinstance(value, (str, int, float)) else []


def _round(items: Items, _env: Env, digits: Items | None = None) -> Items:
    value = singleton(items)
    if value is None:
        return []
    return [
        float(Decimal(exact(value)).quantize(Decimal(1).scaleb(-_count_argument(digits or [0]))))
    ]


def _all(items: Items, env: Env, criterion: Path) -> Items:
    return [len(_where(items, env, criterion)) == len(items)]


def _single(items: Items, _env: Env) -> Items:
    singleton(items)
    return items


def _not(items: Items, _env: Env) -> Items:
    value = as_boolean(items)
    return [] if value is None else [not value]


def any_choice(item: Mapping[str, Any], name: str) -> Any:
    """Value of ``name[x]`` of any type; None if the element is absent."""
    for key in item:
        if key.startswith(name) and key[len(name) :] in CHOICE_TYPES:
            return item[key]
    return None


def type_name(node: Node) -> str:
    """Read a type specifier, quoted or not: ``Patient``, ``FHIR.Patient``, ``'Patient'``."""
    match node:
        case Literal(value=str() as name):
            return name.split(".")[-1]
        case Member(base=None, name=name) | Member(base=Member(base=None), name=name):
            return name
    raise ViewError("a type is not written as a name; write for example ofType(Quantity)")


def has_type(item: Any, wanted: str) -> bool:
    """Whether a JSON value can have a FHIR or System type; JSON elements do not name their type."""
    if isinstance(item, dict):
        own = item.get("resourceType")
        return (
            own == wanted if own else wanted[:1].isupper() and wanted.lower() not in _PYTHON_TYPES
        )
    types = _PYTHON_TYPES.get(wanted.lower(), ())
    return isinstance(item, types) and (bool in types or not isinstance(item, bool))


class PatientKey(str):
    """Key of a referenced patient, as a view returns it."""

    __slots__ = ()


def reference_keys(items: list[Any], wanted: str | None) -> list[Any]:
    """Ids of the referenced resources; other types, contained and unresolvable ones are left out."""
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
            keys.append(PatientKey(key) if kind == "Patient" else key)
    return keys


# Name: (numbers of arguments allowed, function of the items, the environment and the arguments).
FUNCTIONS: dict[str, tuple[tuple[int, ...], Callable[..., Items]]] = {
    "where": ((1,), _where),
    "exists": ((0, 1), _exists),
    "all": ((1,), _all),
    "select": ((1,), _select),
    "repeat": ((1,), _repeat),
    "iif": ((2, 3), _iif),
    "extension": ((1,), _extension),
    "where_url": ((1,), _where_url),
    "getResourceKey": ((0,), _resource_key),
    "join": ((0, 1), _join),
    "empty": ((0,), lambda i, _: [not i]),
    "not": ((0,), _not),
    "first": ((0,), lambda i, _: i[:1]),
    "last": ((0,), lambda i, _: i[-1:]),
    "tail": ((0,), lambda i, _: i[1:]),
    "skip": ((1,), lambda i, _, n: i[max(_count_argument(n), 0) :]),
    "take": ((1,), lambda i, _, n: i[: max(_count_argument(n), 0)]),
    "single": ((0,), _single),
    "count": ((0,), lambda i, _: [len(i)]),
    "distinct": ((0,), lambda i, _: distinct(i)),
    "isDistinct": ((0,), lambda i, _: [len(distinct(i)) == len(i)]),
    "union": ((1,), lambda i, _, other: distinct(i + other)),
    "combine": ((1,), lambda i, _, other: i + other),
    "intersect": ((1,), lambda i, _, o: [x for x in distinct(i) if any(same(x, y) for y in o)]),
    "exclude": ((1,), lambda i, _, o: [x for x in i if not any(same(x, y) for y in o)]),
    "allTrue": ((0,), lambda i, _: [all(x is True for x in i)]),
    "anyTrue": ((0,), lambda i, _: [any(x is True for x in i)]),
    "allFalse": ((0,), lambda i, _: [all(x is False for x in i)]),
    "anyFalse": ((0,), lambda i, _: [any(x is False for x in i)]),
    "startsWith": ((1,), _on_text(str.startswith)),
    "endsWith": ((1,), _on_text(str.endswith)),
    "contains": ((1,), _on_text(lambda text, part: part in text)),
    "indexOf": ((1,), _on_text(str.find)),
    "substring": ((1, 2), _on_text(_substring)),
    "upper": ((0,), _on_text(str.upper)),
    "lower": ((0,), _on_text(str.lower)),
    "trim": ((0,), _on_text(str.strip)),
    "length": ((0,), _on_text(len)),
    "replace": ((2,), _on_text(str.replace)),
    "toInteger": ((0,), _to_integer),
    "toDecimal": ((0,), _to_decimal),
    "toString": ((0,), _to_string),
    "abs": ((0,), lambda i, _: [] if (v := singleton(i)) is None else [abs(v)]),
    "round": ((0, 1), _round),
}
