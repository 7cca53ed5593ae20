"""Errors of a pydantic model in words: places and remedies, without any value."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from healthval.contracts.text import UNSEEN

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
