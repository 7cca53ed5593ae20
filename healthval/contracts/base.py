"""What every wire shape shares: closed, frozen, strict, silent about its input."""

import hashlib
import json
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field


class Wire(BaseModel):
    """Base of all shapes that cross a wall: unknown fields are refused, input is never echoed."""

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
# A line written by a developer or an operator (model cards, labels); never filled from patient data.
Line = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f<>]*$", min_length=1, max_length=200)]
Paragraph = Annotated[str, Field(pattern=r"^[^\x00-\x08\x0b-\x1f\x7f<>]*$", max_length=2000)]
Probability = Annotated[float, Field(ge=0, le=1)]


def canonical_json(value: Any) -> bytes:
    """Sorted keys, no spaces, UTF-8: the one form that is hashed and signed.

    >>> canonical_json({"b": 1, "a": [0.5, None]})
    b'{"a":[0.5,null],"b":1}'
    """
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def digest(value: Any) -> str:
    """SHA-256 of the canonical JSON of a value or of a wire shape, as 64 hexadecimal digits."""
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    return hashlib.sha256(canonical_json(value)).hexdigest()
