"""Registration of a model: the developer's YAML together with the packed artefact."""

import hashlib
from pathlib import Path

from pydantic import ValidationError

from healthval.contracts.model import ModelRegistration
from healthval.errors import UsageError, counted
from healthval.files import read_yaml
from healthval.hosting.artefact import pack
from healthval.plan import explain
from healthval.plan_checks import places_of


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
    unedited = list(
        places_of(values, lambda text: "FILL IN" in text.replace("_", " ").replace("-", " "))
    )
    if unedited:
        raise UsageError(
            f"{path.name}: {counted(len(unedited), 'place has', 'places have')} the template's text"
            f" ({', '.join(unedited)}); fill in the card and the inputs"
        )
    values["artefact_sha256"] = hashlib.sha256(pack_artefact(artefact)).hexdigest()
    try:
        return ModelRegistration.model_validate(values, strict=False)
    except ValidationError as error:
        raise UsageError(f"{path.name} is not valid: {explain(error)}") from None
