"""Result of one check of `healthval doctor`."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """Result of one check; `healthval doctor` fails if a required one is missing."""

    what: str
    ok: bool
    detail: str
    required: bool = True
