"""Base of all wire shapes: closed, frozen, strict; errors never quote the input."""

import hashlib
import json
from typing import Annotated, Any, TypeVar, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from healthval.contracts.text import UNSEEN, check_seen
from healthval.errors import counted


class Wire(BaseModel):
    """Base of all shapes on the wire; refuses unknown fields and never quotes the input."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        hide_input_in_errors=True,
        allow_inf_nan=False,
        ser_json_inf_nan="null",
    )


SiteId = Annotated[str, Field(pattern=r"^site-[a-z0-9]{8}$")]
CaseId = Annotated[str, Field(pattern=r"^case-[a-f0-9]{16}$")]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{1,62}$")]
Version = Annotated[str, Field(pattern=r"^[0-9]{1,5}(\.[0-9]{1,5}){0,3}$")]
Sha256 = Annotated[str, Field(pattern=r"^[a-f0-9]{64}$")]
Column = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_.]{0,63}$")]
# A line written by a developer or operator (model cards, labels); never contains patient data.
Line = Annotated[
    str,
    Field(pattern=rf"^[^\x00-\x1f{UNSEEN}<>]*$", min_length=1, max_length=200),
    AfterValidator(check_seen),
]
Paragraph = Annotated[
    str,
    Field(pattern=rf"^[^\x00-\x08\x0b-\x1f{UNSEEN}<>]*$", max_length=2000),
    AfterValidator(check_seen),
]
Probability = Annotated[float, Field(ge=0, le=1)]


_CANONICAL = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
)


def canonical_json(value: Any) -> bytes:
    """Return JSON with sorted keys, without spaces, in UTF-8: the form that is hashed and signed.

    >>> canonical_json({"b": 1, "a": [0.5, None]})
    b'{"a":[0.5,null],"b":1}'
    """
    return _CANONICAL.encode(value).encode()


def digest(value: Any) -> str:
    """Return the SHA-256 of the canonical JSON of a value or wire shape, in hexadecimal."""
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    return hashlib.sha256(canonical_json(value)).hexdigest()


Cursor = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,700}$")]


class Problem(BaseModel):
    """Problem details (RFC 9457) of a refused request; never quotes the request."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)

    type: str = "about:blank"
    title: Line
    status: Annotated[int, Field(ge=400, le=599)]
    detail: Annotated[str, Field(max_length=1000)] = ""
    retryable: bool = False


Shape = TypeVar("Shape", bound=BaseModel)


def read_wire(shape: type[Shape], data: bytes) -> Shape:
    """Parse JSON into a wire shape; an error names place, count and type only.

    Raises
    ------
    ValueError
        If the data do not fit; the message has no part of `data`, also no unknown field name.

    Examples
    --------
    >>> read_wire(Problem, b'{"title": "Not found", "status": "Jane"}')
    Traceback (most recent call last):
    ValueError: 1 place does not fit Problem (first at 'status': int_parsing)
    """
    try:
        return shape.model_validate_json(data)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
    known = field_names(shape)
    place = ".".join(
        str(part) if isinstance(part, int) or part in known else "?" for part in found[0]["loc"]
    )
    many = counted(len(found), "place does", "places do")
    where = f"first at '{place}': {found[0]['type']}" if place else found[0]["type"]
    raise ValueError(f"{many} not fit {shape.__name__} ({where})") from None


def field_names(shape: type[BaseModel]) -> frozenset[str]:
    """Return every field name of a shape and of the shapes inside it."""
    names: set[str] = set(shape.model_fields)
    waiting: list[Any] = [field.annotation for field in shape.model_fields.values()]
    while waiting:
        kind = waiting.pop()
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            names |= field_names(kind)
        else:
            waiting += [part for part in get_args(kind) if part is not kind]
    return frozenset(names)


MAX_NAMED = 30  # problems that a message names
_TEXTS = {
    "^[a-z][a-z0-9-]{1,62}$": "2 to 63 small letters, digits and hyphens, a letter first",
    "^[A-Za-z][A-Za-z0-9_.]{0,63}$": "a letter, then letters from A to Z, digits, _ or . (at most 64)",
    r"^\d{4}-\d{2}-\d{2}$": "a day as YYYY-MM-DD",
    r"^[0-9]{1,5}(\.[0-9]{1,5}){0,3}$": "a version such as 1.0 or 2.1.3",
}
_WORDS = {
    "extra_forbidden": "this field does not exist; correct its spelling, or remove it",
    "missing": "this field is required; add it",
    "string_type": "a text is needed; write it in quotes",
    "dict_type": "a mapping of fields is needed",
    "model_type": "a mapping of fields is needed",
    "model_attributes_type": "a mapping of fields is needed",
    "tuple_type": "a list is needed, such as [a, b]",
    "finite_number": "a finite number is needed",
}


def explain(error: ValidationError) -> str:
    """List the places and problems of a model's errors; the first 30 are named, the others counted."""
    found = explained(error)
    more = f"; and {len(found) - MAX_NAMED} more" if len(found) > MAX_NAMED else ""
    return "; ".join(found[:MAX_NAMED]) + more


def explained(error: ValidationError) -> list[str]:
    """Return each place with its problem."""
    details = error.errors(include_url=False, include_input=False)
    return [f"{'.'.join(str(part) for part in d['loc']) or 'plan'}: {_message(d)}" for d in details]


def _message(detail: Any) -> str:
    kind = detail["type"]
    if kind == "union_tag_invalid":  # pydantic's own message quotes the tag
        return f"the kind is none of {detail['ctx']['expected_tags']}"
    if kind == "string_pattern_mismatch":
        pattern = detail["ctx"]["pattern"]
        if UNSEEN in pattern:
            return "the text contains <, >, a line break or an invisible character; remove it"
        if pattern in _TEXTS:
            return f"the text is not {_TEXTS[pattern]}; correct it"
    return _WORDS.get(kind) or str(detail["msg"]).removeprefix("Value error, ")
