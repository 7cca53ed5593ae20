"""Addresses in FHIR: state and three-digit ZIP in the United States, only the country elsewhere."""

from __future__ import annotations

import re
from typing import Any

from healthval.deid.fhir_elements import STATES
from healthval.deid.tables import RESTRICTED_ZIP3

_UNITED_STATES = (None, "US", "USA", "United States", "United States of America")


def area(value: Any) -> dict[str, str]:
    """The parts of an address that may leave."""
    given = value if isinstance(value, dict) else {}
    country, state = given.get("country"), given.get("state")
    kept: dict[str, str] = {}
    if isinstance(country, str) and re.fullmatch(r"[A-Z]{2,3}", country):
        kept["country"] = country
    if country not in _UNITED_STATES:
        return kept
    if state in STATES or state in STATES.values():
        kept["state"] = str(state)
    code = given.get("postalCode")
    if isinstance(code, str) and re.fullmatch(r"\d{5}(-?\d{4})?", code.strip()):
        zip3 = code.strip()[:3]
        kept["postalCode"] = "000" if zip3 in RESTRICTED_ZIP3 else zip3
    return kept
