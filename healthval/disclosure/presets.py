"""Presets of the disclosure policy, read from the YAML files in `policies`."""

from dataclasses import fields
from typing import Any

from healthval.disclosure.policy import Policy
from healthval.errors import UsageError, counted
from healthval.files import packaged_text, parse_yaml

PRESETS = ("cms", "sacro", "nhs", "datashield", "cellkey", "dp")


def load_policy(name: str = "cms") -> Policy:
    """Read a preset: `cms` (11), `sacro` (10), `nhs` (8), `datashield`, `cellkey` or `dp` (3).

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
    text = packaged_text(f"disclosure/policies/{name}.yaml")
    return read_policy(
        parse_yaml(text, what="the disclosure preset", remedy="install healthval again")
    )


def policy_for(own: Policy, named: str) -> Policy:
    """Policy by which a hub judges an arrival: the preset that the release names.

    A hub whose operator changed the rules of its preset judges every arrival by its own policy.

    Examples
    --------
    >>> policy_for(load_policy("cms"), "nhs").multiple
    5
    >>> policy_for(load_policy("cms").stricter(minimum_cell=20), "nhs").minimum_cell
    20
    """
    is_preset = own.name in PRESETS and own == load_policy(own.name)
    return load_policy(named) if is_preset and named in PRESETS else own


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
