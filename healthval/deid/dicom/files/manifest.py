"""Manifest of a batch: files in, files out, and refusals by reason, without a value."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from healthval.deid.dicom.deidentify import Deidentified
from healthval.deid.dicom.files.evidence import (
    EVIDENCE,
    Changes,
    encoded,
    evidence,
    outputs_digest,
)
from healthval.deid.dicom.files.records import Record
from healthval.deid.dicom.profile import EDITION
from healthval.deid.dicom_values import text_of
from healthval.deid.policy import Policy
from healthval.deid.refuse import Reason
from healthval.files import write_durably

SUMMARY: Final = "manifest.json"
SIGNATURE: Final = "attestation.dsse.json"  # of the evidence; `healthval.report` writes it
# A UID becomes a file name; any other text in its place could leave the output folder.
_UID: Final = re.compile(r"(?=.{1,64}$)\d+(\.\d+)*")
_STUDY, _INSTANCE = 0x0020000D, 0x00080018


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Results of a finished batch.

    Parameters
    ----------
    records : one for each file; they are read from disk, so that a large batch needs little memory
    withdrawn : outputs of earlier runs that were deleted, because their source is gone or refused
    replaced : outputs of earlier runs that were written again from a changed source
    """

    folder: Path
    records: Sequence[Record] = field(repr=False)
    policy: Mapping[str, Any]
    applied: Policy = field(default_factory=Policy, repr=False)
    withdrawn: int = 0
    replaced: int = 0

    @cached_property
    def _totals(self) -> "_Totals":
        return _Totals(self.records)

    @property
    def files_in(self) -> int:
        """Number of source files."""
        return len(self.records)

    @property
    def files_out(self) -> int:
        """Number of files written."""
        return self._totals.statuses["written"]

    @property
    def duplicates(self) -> int:
        """Number of files with the same content as a written one."""
        return self._totals.statuses["duplicate"]

    @property
    def refused(self) -> Counter[str]:
        """Number of refused files by reason."""
        return Counter(self._totals.refused)

    @property
    def actions(self) -> Counter[str]:
        """Changes of attributes by kind, over all written files."""
        return Counter(self._totals.actions)

    @property
    def flags(self) -> Counter[str]:
        """Number of written files by flag."""
        return Counter(self._totals.flags)

    @property
    def outputs(self) -> tuple[Path, ...]:
        """Paths of the written files."""
        return tuple(self.folder / r.output for r in self.records if r.status == "written")

    def summary(self) -> dict[str, Any]:
        """Counts and policy for the report; contains no name of a file, patient or study."""
        return {
            "files_in": self.files_in,
            "files_out": self.files_out,
            "duplicates": self.duplicates,
            "withdrawn": self.withdrawn,
            "replaced": self.replaced,
            "refused": dict(sorted(self.refused.items())),
            "actions": dict(sorted(self.actions.items())),
            "flags": dict(sorted(self.flags.items())),
            "policy": dict(self.policy),
        }

    def evidence(self) -> dict[str, Any]:
        """Evidence of the batch for a privacy officer, without a value; see `evidence`."""
        digest = outputs_digest(self.folder)
        return evidence(self.summary(), self.applied, self._totals.changes, digest)

    def write(self) -> None:
        """Write summary and evidence to the output folder; an earlier signature is deleted."""
        (self.folder / SIGNATURE).unlink(missing_ok=True)
        for name, content in ((SUMMARY, self.summary()), (EVIDENCE, self.evidence())):
            text = json.dumps(content, indent=1) + "\n"
            write_durably(self.folder / name, text.encode("ascii"))


class _Totals:
    """Counts over all records, from one pass."""

    def __init__(self, records: Iterable[Record]) -> None:
        self.statuses: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.actions: Counter[str] = Counter()
        self.flags: Counter[str] = Counter()
        self.changes = Changes()
        for record in records:
            self.statuses[record.status] += 1
            if record.status == "refused":
                self.refused[record.reason] += 1
            if record.status == "written":
                self.actions.update(record.actions)
                self.flags.update(record.flags)
                self.changes.add(record.changes, record.searched)


def policy_summary(policy: Policy) -> dict[str, Any]:
    """Choices of a policy, for the manifest and the report."""
    return {
        "table": f"DICOM PS3.15 E.1-1, {EDITION}",
        "options": sorted(policy.options),
        "dates": policy.dates,
        "region_rules": [rule.name for rule in policy.pixels.rules],
        "text_detection": policy.pixels.text,
        "sign_off": policy.pixels.sign_off,
        "removed": [f"({tag >> 16:04X},{tag & 0xFFFF:04X})" for tag in sorted(policy.remove)],
    }


def written_record(key: str, result: Deidentified, searched: str = "") -> Record:
    """Record of a de-identified file; the output's path consists of its study and instance UID."""
    dataset = result.dataset
    study, instance = text_of(dataset, _STUDY), text_of(dataset, _INSTANCE)
    patient, issuer = result.identity
    folder = study if _UID.fullmatch(study) else "no-study"
    name = instance if _UID.fullmatch(instance) else key
    return Record(
        source=key,
        status="written",
        output=f"{folder}/{name}.dcm",
        patient=patient,
        issuer=issuer,
        study=study,
        instance=instance,
        actions=dict(result.actions),
        flags=tuple(flag.value for flag in result.flags),
        changes=encoded(result.changes),
        searched=searched,
    )


def refused_record(key: str, reason: Reason, places: str = "") -> Record:
    """Record of a refused file; `places` are the kinds and attributes of leaks."""
    return Record(source=key, status="refused", reason=reason.value, places=places)
