"""Journal of a batch: one line for each source file that is done.

Each line is appended in one write, so that a killed run can resume without losing or repeating a
file. Source files are named by keyed digests.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any, Final, Self

from healthval import __version__
from healthval.deid.dicom.files.records import Record
from healthval.deid.policy import Policy
from healthval.deid.secret import Secret, pseudonym
from healthval.errors import UsageError

JOURNAL: Final = "manifest.jsonl"
_FIELDS: Final = tuple(f.name for f in fields(Record))


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


class Journal:
    """Journal of a running batch: one line for each source file that is done."""

    def __init__(self, folder: Path, batch: str) -> None:
        self.path, self.batch, self._number = folder / JOURNAL, batch, -1
        self._texts = set[str]()  # digests of changes, each written once
        self._read = 0  # bytes

    def start(self) -> None:
        """Start the journal, or continue that of an earlier run of the same batch.

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
            return
        with self.path.open("rb") as file:
            first = _parsed(file.readline())
        if first is None or first.get("batch") != self.batch:
            raise UsageError(
                "the output folder contains a batch with another policy or secret, other known "
                "identifiers or another version of healthval; give an empty one"
            )
        with self.appending():
            self._append(None)  # ends a line that a killed run left incomplete

    def lines(self, *, only_new: bool = True) -> Iterator[dict[str, Any]]:
        """Lines without damaged ones; by default those that were not read before."""
        with self.path.open("rb") as file:
            file.seek(self._read if only_new else 0)
            for line in file:
                found = _parsed(line)
                if found is not None:
                    self._texts.update(found.get("texts", ()))
                    yield found
            self._read = file.tell()

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
            self._texts.add(digest)
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
