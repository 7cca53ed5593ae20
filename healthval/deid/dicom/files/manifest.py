"""Manifest of a batch: files in, files out, and refusals by reason.

While a batch runs, the manifest is a journal with one line per file. Each line is appended in one
write, so that a killed run can resume without losing or repeating a file. Source files are named by
keyed digests.
"""

import hashlib
import json
import os
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal, Self

from healthval import __version__
from healthval.deid.dicom.deidentify import Deidentified
from healthval.deid.dicom.files.evidence import (
    EVIDENCE,
    Changes,
    encoded,
    evidence,
    outputs_digest,
)
from healthval.deid.dicom.profile import EDITION
from healthval.deid.dicom_values import text_of
from healthval.deid.policy import Policy
from healthval.deid.refuse import Reason
from healthval.deid.secret import Secret, pseudonym
from healthval.errors import UsageError
from healthval.files import write_durably

JOURNAL: Final = "manifest.jsonl"
SUMMARY: Final = "manifest.json"
SIGNATURE: Final = "attestation.dsse.json"  # of the evidence; `healthval.report` writes it
# A UID becomes a file name; any other text in its place could leave the output folder.
_UID: Final = re.compile(r"(?=.{1,64}$)\d+(\.\d+)*")
_STUDY, _INSTANCE = 0x0020000D, 0x00080018
Status = Literal["written", "duplicate", "refused", "withdrawn"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Result of one source file; study and instance are those of the output.

    `patient` and `issuer` are pseudonyms of the patient's number and of its issuer.

    `places` are the kinds and attributes of identifiers that the audit found, without values.
    `changes` and `searched` are counts in the form of `evidence`; many records share one text.
    """

    source: str
    status: Status
    reason: str = ""
    places: str = ""
    output: str = ""
    patient: str = ""
    issuer: str = ""
    study: str = ""
    instance: str = ""
    actions: Mapping[str, int] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    changes: str = ""
    searched: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Results of a finished batch.

    Parameters
    ----------
    withdrawn : outputs of earlier runs that were deleted, because their source is gone or refused
    replaced : outputs of earlier runs that were written again from a changed source
    """

    folder: Path
    records: tuple[Record, ...] = field(repr=False)
    policy: Mapping[str, Any]
    applied: Policy = field(default_factory=Policy, repr=False)
    withdrawn: int = 0
    replaced: int = 0

    @property
    def files_in(self) -> int:
        """Number of source files."""
        return len(self.records)

    @property
    def files_out(self) -> int:
        """Number of files written."""
        return sum(r.status == "written" for r in self.records)

    @property
    def duplicates(self) -> int:
        """Number of files with the same content as a written one."""
        return sum(r.status == "duplicate" for r in self.records)

    @property
    def refused(self) -> Counter[str]:
        """Number of refused files by reason."""
        return Counter(r.reason for r in self.records if r.status == "refused")

    @property
    def actions(self) -> Counter[str]:
        """Changes of attributes by kind, over all written files."""
        total: Counter[str] = Counter()
        for record in self.records:
            if record.status == "written":
                total.update(record.actions)
        return total

    @property
    def flags(self) -> Counter[str]:
        """Number of written files by flag."""
        return Counter(f for r in self.records if r.status == "written" for f in r.flags)

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
        batch = Changes()
        for record in self.records:
            if record.status == "written":
                batch.add(record.changes, record.searched)
        return evidence(self.summary(), self.applied, batch, outputs_digest(self.folder))

    def write(self) -> None:
        """Write summary and evidence to the output folder; an earlier signature is deleted."""
        (self.folder / SIGNATURE).unlink(missing_ok=True)
        for name, content in ((SUMMARY, self.summary()), (EVIDENCE, self.evidence())):
            text = json.dumps(content, indent=1) + "\n"
            write_durably(self.folder / name, text.encode("ascii"))


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
        patient=sys.intern(patient),
        issuer=issuer,
        study=sys.intern(study),
        instance=instance,
        actions=_shared(tuple(result.actions.items())),
        flags=tuple(flag.value for flag in result.flags),
        changes=sys.intern(encoded(result.changes)),  # one text for many files
        searched=sys.intern(searched),
    )


@lru_cache(maxsize=1 << 12)
def _shared(actions: tuple[tuple[str, int], ...]) -> Mapping[str, int]:
    """One mapping for all files with the same actions: a batch keeps the records of every file."""
    return dict(actions)


def refused_record(key: str, reason: Reason, places: str = "") -> Record:
    """Record of a refused file; `places` are the kinds and attributes of leaks."""
    return Record(source=key, status="refused", reason=reason.value, places=places)


def source_key(secret: Secret, file: str) -> str:
    """Keyed digest of a source file's path, size and time of change, for the journal."""
    try:
        found = os.stat(file)  # noqa: PTH116  plain texts: the batch has one for every file
        state = f"{found.st_size}|{found.st_mtime_ns}"
    except OSError:  # refused when it is opened
        state = "gone"
    return pseudonym(secret, "file", f"{os.path.abspath(file)}|{state}")  # noqa: PTH100  `resolve` follows links


def batch_key(policy: Policy, secret: Secret, known: Iterable[str] = ()) -> str:
    """Keyed digest of a policy: a folder has outputs of one policy, secret and version only."""
    choices = (
        __version__,
        repr(sorted(set(known))),
        ",".join(sorted(policy.options)),
        repr(sorted(policy.private_allowlist)),
        repr(sorted(policy.public_allowlist)),
        repr(policy.pixels),
        repr(sorted(policy.remove)),
    )
    return pseudonym(secret, "batch", "|".join(choices))


_FIELDS: Final = tuple(f.name for f in fields(Record))


class Journal:
    """Journal of a running batch: one line for each source file that is done."""

    def __init__(self, folder: Path, batch: str) -> None:
        self.path, self.batch, self._number = folder / JOURNAL, batch, -1
        self._texts: dict[str, str] = {}  # changes by their digest, each written once

    def open(self) -> dict[str, Record]:
        """Start the journal, or return the records of an earlier run of the same batch.

        Raises
        ------
        UsageError
            If the folder contains other DICOM files, or a batch with another policy or secret.
        """
        if not self.path.exists():
            if any(self.path.parent.glob("*/*.dcm")):
                raise UsageError("the output folder contains other DICOM files; give an empty one")
            with self.appending():
                self._append({"batch": self.batch})
            return {}
        lines = [_parsed(line) for line in self.path.read_bytes().split(b"\n")]
        if not lines or lines[0] is None or lines[0].get("batch") != self.batch:
            raise UsageError(
                "the output folder contains a batch with another policy or secret, other known "
                "identifiers or another version of healthval; give an empty one"
            )
        with self.appending():
            self._append(None)  # ends a line that a killed run left incomplete
        self._texts = {k: t for line in lines if line for k, t in line.get("texts", {}).items()}
        records = (_record(line, self._texts) for line in lines[1:] if line is not None)
        return {record.source: record for record in records if record is not None}

    @contextmanager
    def appending(self) -> Iterator[Self]:
        """Open the journal for a worker to append to.

        Appending is atomic except on Windows, where two workers can overwrite each other's line.
        A damaged line is skipped when a run resumes, and its file is done again.
        """
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
        self._number = os.open(self.path, flags, 0o600)
        try:
            yield self
        finally:
            os.close(self._number)

    def add(self, record: Record) -> None:
        """Append the line of one file, in one write; before it, its changes if they are new."""
        line = {name: getattr(record, name) for name in _FIELDS}
        digest = hashlib.sha256(record.changes.encode("ascii")).hexdigest()[:16]
        if digest not in self._texts:
            self._texts[digest] = record.changes
            self._append({"texts": {digest: record.changes}})
        self._append({**line, "changes": digest})

    def _append(self, line: dict[str, Any] | None) -> None:
        text = "" if line is None else json.dumps(line, separators=(",", ":"))
        os.write(self._number, (text + "\n").encode("ascii"))


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _record(line: dict[str, Any], texts: Mapping[str, str]) -> Record | None:
    try:
        return replace(
            Record(**line),
            actions=_shared(tuple(line["actions"].items())),
            flags=tuple(line["flags"]),
            changes=texts[line["changes"]],
            patient=sys.intern(line["patient"]),
            study=sys.intern(line["study"]),
            searched=sys.intern(line["searched"]),
        )
    except (TypeError, KeyError, AttributeError):
        return None


def settled(records: Iterable[Record], journal: Journal) -> tuple[Record, ...]:
    """Final records of a batch: files that conflict with others are refused, outputs deleted."""
    records = _adopted(records, journal)
    refused = conflicts(records)
    for position, record in enumerate(records):
        reason = refused.get(record.source)
        if reason is None or record.status == "refused":
            continue
        (journal.path.parent / record.output).unlink(missing_ok=True)
        records[position] = replace(record, status="refused", reason=reason.value)
        with journal.appending():
            journal.add(records[position])
    return tuple(records)


def _adopted(records: Iterable[Record], journal: Journal) -> list[Record]:
    """Count an output as written if a killed run had moved it to its place without a record."""
    records = list(records)
    written = {r.output for r in records if r.status == "written"}
    for position, record in enumerate(records):
        if record.status == "duplicate" and record.output not in written:
            written.add(record.output)
            records[position] = replace(record, status="written")
            with journal.appending():
                journal.add(records[position])
    return records


def conflicts(records: Iterable[Record]) -> dict[str, Reason]:
    """Find sources that conflict: several patients in one study, or one UID with two contents.

    Either of them may be wrong, so all are refused.
    """
    records = tuple(records)
    found: dict[str, Reason] = {}
    patients, issuers = defaultdict(set), defaultdict(set)
    sources: dict[str, str] = {}
    twice: set[str] = set()
    for record in records:
        if record.study and record.patient:
            patients[record.study].add(record.patient)
        if record.study and record.issuer:
            issuers[record.study].add(record.issuer)
        if (
            record.instance
            and record.status != "duplicate"
            and sources.setdefault(record.instance, record.source) != record.source
        ):
            twice.add(record.instance)
    for record in records:
        if len(patients[record.study]) > 1 or len(issuers[record.study]) > 1:
            found[record.source] = Reason.MIXED_STUDY
        elif record.instance in twice:
            found[record.source] = Reason.CONFLICT
    return found
