"""The manifest of a batch: what came in, what went out, what was refused and why.

While a batch runs it is a journal of one line per file, appended in one write, so that a killed
run resumes without losing or redoing a file. Lines hold keyed digests in place of source names.
"""

import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Final, Literal, Self

from healthval.deid.dicom.refuse import Reason
from healthval.errors import UsageError

JOURNAL: Final = "manifest.jsonl"
SUMMARY: Final = "manifest.json"
Status = Literal["written", "duplicate", "refused"]


@dataclass(frozen=True, slots=True)
class Record:
    """What became of one source file; ids are those of the output."""

    source: str
    status: Status
    reason: str = ""
    output: str = ""
    patient: str = ""
    study: str = ""
    instance: str = ""
    actions: Mapping[str, int] = field(default_factory=dict)
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Manifest:
    """A finished batch."""

    folder: Path
    records: tuple[Record, ...] = field(repr=False)
    policy: Mapping[str, Any]

    @property
    def files_in(self) -> int:
        """Files that were given."""
        return len(self.records)

    @property
    def files_out(self) -> int:
        """Files that were written."""
        return sum(r.status == "written" for r in self.records)

    @property
    def duplicates(self) -> int:
        """Files with the same content as one that was written."""
        return sum(r.status == "duplicate" for r in self.records)

    @property
    def refused(self) -> Counter[str]:
        """Refused files by reason."""
        return Counter(r.reason for r in self.records if r.status == "refused")

    @property
    def actions(self) -> Counter[str]:
        """What was done to attributes, over all files written."""
        total: Counter[str] = Counter()
        for record in self.records:
            if record.status == "written":
                total.update(record.actions)
        return total

    @property
    def flags(self) -> Counter[str]:
        """Files written by what a person should know about them."""
        return Counter(f for r in self.records if r.status == "written" for f in r.flags)

    @property
    def outputs(self) -> tuple[Path, ...]:
        """Paths of the written files."""
        return tuple(self.folder / r.output for r in self.records if r.status == "written")

    def summary(self) -> dict[str, Any]:
        """Give counts and choices, for the report; no file, patient or study is named."""
        return {
            "files_in": self.files_in,
            "files_out": self.files_out,
            "duplicates": self.duplicates,
            "refused": dict(sorted(self.refused.items())),
            "actions": dict(sorted(self.actions.items())),
            "flags": dict(sorted(self.flags.items())),
            "policy": dict(self.policy),
        }

    def write(self) -> None:
        """Write the summary beside the files, atomically."""
        partial = self.folder / (SUMMARY + ".partial")
        partial.write_text(json.dumps(self.summary(), indent=1) + "\n", "utf-8")
        partial.replace(self.folder / SUMMARY)


_FIELDS: Final = tuple(f.name for f in fields(Record))


class Journal:
    """The lines of a running batch."""

    def __init__(self, folder: Path, batch: str) -> None:
        self.path, self.batch, self._number = folder / JOURNAL, batch, -1

    def open(self) -> dict[str, Record]:
        """Start the journal, or read what an earlier run of the same batch finished.

        Raises
        ------
        UsageError
            If the folder holds a batch made with another policy or secret.
        """
        if not self.path.exists():
            if any(self.path.parent.glob("*/*.dcm")):
                raise UsageError("the output folder holds other DICOM files; give an empty one")
            with self.appending():
                self._append({"batch": self.batch})
            return {}
        lines = [_parsed(line) for line in self.path.read_bytes().split(b"\n")]
        if not lines or lines[0] is None or lines[0].get("batch") != self.batch:
            raise UsageError(
                "the output folder holds a batch made with another policy or secret; give an empty one"
            )
        with self.appending():
            self._append(None)  # a line that a kill cut short ends here
        records = (_record(line) for line in lines[1:] if line is not None)
        return {record.source: record for record in records if record is not None}

    @contextmanager
    def appending(self) -> Iterator[Self]:
        """Hold the journal open while a worker appends to it."""
        self._number = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            yield self
        finally:
            os.close(self._number)

    def add(self, record: Record) -> None:
        """Append one line, in one write."""
        self._append({name: getattr(record, name) for name in _FIELDS})

    def _append(self, line: dict[str, Any] | None) -> None:
        text = "" if line is None else json.dumps(line, separators=(",", ":"))
        os.write(self._number, (text + "\n").encode("ascii"))


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _record(line: dict[str, Any]) -> Record | None:
    try:
        return replace(Record(**line), flags=tuple(line["flags"]))
    except (TypeError, KeyError):
        return None


def conflicts(records: Iterable[Record]) -> dict[str, Reason]:
    """Find sources that contradict each other: several patients in a study, or one UID twice.

    None of them can be trusted, so all are withdrawn.
    """
    records = tuple(records)
    found: dict[str, Reason] = {}
    patients, instances = defaultdict(set), defaultdict(set)
    for record in records:
        if record.study:
            patients[record.study].add(record.patient)
        if record.instance and record.status != "duplicate":
            instances[record.instance].add(record.source)
    for record in records:
        if len(patients[record.study]) > 1:
            found[record.source] = Reason.MIXED_STUDY
        elif len(instances[record.instance]) > 1:
            found[record.source] = Reason.CONFLICT
    return found
