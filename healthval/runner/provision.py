"""What the operator registers: the developer's YAML together with the packed artefact."""

import hashlib
from pathlib import Path

import yaml
from pydantic import ValidationError

from healthval.contracts.model import ModelRegistration
from healthval.errors import UsageError
from healthval.hosting.artefact import pack
from healthval.plan import explain


def pack_artefact(folder: Path) -> bytes:
    """Pack a model folder the same way every time, so that its hash names its content."""
    return pack(folder)


def read_registration(path: Path, artefact: Path) -> ModelRegistration:
    """Read card and input contract, and name the artefact by its hash.

    Raises
    ------
    UsageError
        If the YAML cannot be read or does not fit; names the place.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError):
        raise UsageError(
            f"{path.name} cannot be read as YAML; see examples/vendor/registration.yaml"
        ) from None
    if not isinstance(values, dict):
        raise UsageError(
            f"{path.name} is not a mapping of fields; see examples/vendor/registration.yaml"
        )
    artefact_sha256 = hashlib.sha256(pack_artefact(artefact)).hexdigest()
    try:
        return ModelRegistration.model_validate(
            {**values, "artefact_sha256": artefact_sha256}, strict=False
        )
    except ValidationError as error:
        raise UsageError(f"{path.name} does not fit: {explain(error)}") from None
