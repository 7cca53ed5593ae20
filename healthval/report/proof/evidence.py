"""Signature of the evidence of a de-identified batch, checked by `verify` as a report's is.

The evidence has a digest of the batch's outputs, so that it is refused beside those of another.
"""

import hashlib
import json
from datetime import datetime
from pathlib import Path
from typing import Final

from healthval.credential import Credential
from healthval.deid.dicom.files.evidence import EVIDENCE, FORMAT, outputs_digest
from healthval.deid.dicom.files.manifest import SUMMARY
from healthval.errors import IntegrityError, UsageError, counted
from healthval.files import write_durably
from healthval.report.proof.attestation import ATTESTATION, sign

_SIGNED: Final = (EVIDENCE, SUMMARY)


def sign_evidence(folder: Path, credential: Credential, *, now: datetime | None = None) -> Path:
    """Sign evidence and manifest of a batch; return the path of the signature beside them.

    Raises
    ------
    UsageError
        If the folder has no evidence of a batch.
    """
    try:
        contents = {name: (folder / name).read_bytes() for name in _SIGNED}
        found = json.loads(contents[EVIDENCE])
        is_evidence = found["format"] == FORMAT
        about = {"record": "deid-evidence", "policy_digest": found["policy"]["sha256"]}
    except (OSError, ValueError, KeyError, TypeError):
        is_evidence, about = False, {}
    if not is_evidence:
        raise UsageError(
            "the folder has no evidence of a de-identified batch; run healthval deid first"
        )
    files = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    envelope = sign(files, credential.private_key, about=about, now=now)
    write_durably(folder / ATTESTATION, envelope)
    return folder / ATTESTATION


def compared_outputs(place: Path) -> str:
    """Compare signed evidence with the outputs beside it; return the line that `verify` prints.

    Raises
    ------
    IntegrityError
        If outputs were added, removed or resized, or belong to another batch.
    """
    folder = place if place.is_dir() else place.parent
    count = sum(1 for _ in folder.glob("*/*.dcm"))
    evidence = json.loads((folder / EVIDENCE).read_bytes())
    if not count and evidence["files"]["files_out"]:
        return "outputs      not beside the evidence, so they were not compared"
    if evidence.get("outputs_sha256") != outputs_digest(folder):
        raise IntegrityError(
            f"the evidence is not that of the {counted(count, 'output')} beside it: outputs were "
            "added, removed or resized, or it belongs to another batch; run healthval deid again"
        )
    return f"outputs      {count} by name and size, as in the evidence"
