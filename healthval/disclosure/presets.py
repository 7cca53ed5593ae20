"""Presets of the disclosure policy, read from the YAML files in `policies`."""

from dataclasses import fields
from importlib.resources import files
from typing import Any

from healthval.disclosure.policy import Policy
from healthval.errors import UsageError, counted
from healthval.files import parse_yaml

PRESETS = ("cms", "sacro", "nhs", "datashield")


def load_policy(name: str = "cms") -> Policy:
    """Read a preset: `cms` (11), `sacro` (10), `nhs` (8) or `datashield` (3).

    Raises
    ------
    UsageError
        If the name is not a preset.

    Examples
    --------
    >>> load_policy().minimum_cell
    11
    """
    if name not in PRESETS:
        raise UsageError(f"unknown disclosure preset; choose one of {', '.join(PRESETS)}")
    text = files("healthval.disclosure").joinpath("policies", f"{name}.yaml").read_text("utf-8")
    return read_policy(
        parse_yaml(text, what="the disclosure preset", remedy="install healthval again")
    )


def read_policy(rules: dict[str, Any]) -> Policy:
    """Build a policy from parsed YAML; unknown and missing rules are refused."""
    known = {f.name for f in fields(Policy)}
    if unknown := set(rules) - known:
        raise UsageError(
            f"policy: {counted(len(unknown), 'unknown rule')}; known are {', '.join(sorted(known))}"
        )
    if missing := {"name", "version", "minimum_cell"} - set(rules):
        raise UsageError(f"policy: {', '.join(sorted(missing))} is missing")
    if any(isinstance(v, str) != (k == "name") for k, v in rules.items() if v is not None):
        raise UsageError("policy: every rule except the name must be a number or true/false")
    return Policy(**rules)
