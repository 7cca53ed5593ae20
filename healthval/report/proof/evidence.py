"""Signature of the evidence of a de-identified batch, checked by `verify` as a report's is."""

import hashlib
import json
from datetime import datetime
from pathlib import Path
from typing import Final

from healthval.credential import Credential
from healthval.deid.dicom.files.evidence import EVIDENCE, FORMAT
from healthval.deid.dicom.files.manifest import SUMMARY
from healthval.errors import UsageError
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
