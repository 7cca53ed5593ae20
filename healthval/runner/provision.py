"""Registration of a model: the developer's YAML together with the packed artefact."""

import hashlib
from pathlib import Path

from pydantic import ValidationError

from healthval.contracts.model import ModelRegistration
from healthval.errors import UsageError
from healthval.files import read_yaml
from healthval.hosting.artefact import pack
from healthval.plan import explain


def pack_artefact(folder: Path) -> bytes:
    """Pack a model folder; the same content gives the same bytes and the same hash."""
    return pack(folder)


def read_registration(path: Path, artefact: Path) -> ModelRegistration:
    """Read the model card and the input contract; add the hash of the artefact.

    Raises
    ------
    UsageError
        If the YAML cannot be read or does not match the contract; names the place.
    """
    values = read_yaml(path, what=path.name, remedy="compare it with one of `healthval model new`")
    values["artefact_sha256"] = hashlib.sha256(pack_artefact(artefact)).hexdigest()
    try:
        return ModelRegistration.model_validate(values, strict=False)
    except ValidationError as error:
        raise UsageError(f"{path.name} is not valid: {explain(error)}") from None
