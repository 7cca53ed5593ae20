"""The egress ledger: everything that left, in an append-only hash chain on the site's own disk.

One JSON line per entry; `hash` covers the line without it, `prev` is the hash before. A line is
written in one call under a file lock and flushed to disk before anything is sent. A line torn by a
crash was never followed by sending: it is set aside in a file of its own and noted in the chain.
Beside the ledger, `<name>.head` keeps the last hash, so that cut-off entries are noticed.
"""

import fcntl
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from healthval.contracts.base import canonical_json, digest
from healthval.errors import LedgerError

GENESIS = "0" * 64
LOCK_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the ledger; `kind` is ``payload``, ``release`` or ``torn``."""

    seq: int
    when: str
    kind: str
    body: dict[str, Any]
    prev: str
    hash: str


@dataclass(frozen=True, slots=True)
class LedgerState:
    """What `verify` found: how many entries, the last hash, torn lines set aside."""

    n_entries: int
    head: str
    n_torn: int


def utc_now() -> datetime:
    """Read the clock; the only place in this room that does."""
    return datetime.now(UTC)


class Ledger:
    """Append-only record of every byte that left the site.

    Parameters
    ----------
    path : JSON-lines file; made with its folder, readable by its owner only
    now : gives the time of an entry, with its time zone

    Raises
    ------
    LedgerError
        From every method when the chain is broken or another process holds the file too long.
    """

    def __init__(self, path: Path | str, *, now: Callable[[], datetime] = utc_now) -> None:
        self.path = Path(path)
        self._now = now
        self._seen: tuple[os.stat_result, list[Entry]] | None = None

    def __repr__(self) -> str:
        return f"Ledger({self.path.name!r})"

    def record_payload(
        self, *, sha256: str, n_bytes: int, n_cases: int, model: str, version: str
    ) -> Entry:
        """Note a de-identified payload before it is sent: its hash and size, never its content."""
        body = {
            "sha256": sha256,
            "n_bytes": n_bytes,
            "n_cases": n_cases,
            "model": model,
            "version": version,
        }
        with self._locked() as file:
            return self._append(file, "payload", body)

    def record_release(self, make: Callable[[tuple[Entry, ...]], Entry | dict[str, Any]]) -> Entry:
        """Write a release whole; nobody else can write between the decision and the entry.

        Parameters
        ----------
        make : sees the entries so far and gives the body of the new one, or the earlier entry that
            is being repeated, or raises to refuse; then nothing is written
        """
        with self._locked() as file:
            made = make(tuple(self._read(file)))
            return made if isinstance(made, Entry) else self._append(file, "release", made)

    def entries(self) -> tuple[Entry, ...]:
        """Read all entries in order, after checking the chain."""
        with self._locked() as file:
            return tuple(self._read(file))

    def verify(self) -> LedgerState:
        """Check the whole chain anew; raises where it is broken."""
        self._seen = None
        entries = self.entries()
        torn = sum(entry.kind == "torn" for entry in entries)
        return LedgerState(len(entries), entries[-1].hash if entries else GENESIS, torn)

    def holds(self, sha256: str) -> bool:
        """Whether a release with this hash was written: what is not in the ledger is not sent."""
        return any(e.kind == "release" and e.body["sha256"] == sha256 for e in self.entries())

    @contextmanager
    def _locked(self) -> Iterator[int]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            _lock(file)
            self._set_torn_line_aside(file)
            yield file
        finally:
            os.close(file)

    def _append(self, file: int, kind: str, body: dict[str, Any]) -> Entry:
        entries = self._read(file)
        prev = entries[-1].hash if entries else GENESIS
        when = self._now().astimezone(UTC).isoformat(timespec="seconds")
        fields: dict[str, Any] = {
            "seq": len(entries),
            "when": when,
            "kind": kind,
            "body": body,
            "prev": prev,
        }
        entry = Entry(**fields, hash=digest(fields))
        _write_all(file, canonical_json(asdict(entry)) + b"\n")
        os.fsync(file)
        self._write_head(entry)
        self._seen = (os.fstat(file), [*entries, entry])
        return entry

    def _read(self, file: int) -> list[Entry]:
        status = os.fstat(file)
        if self._seen is not None and _same(self._seen[0], status):
            return self._seen[1]
        entries = read_chain(_read_all(file, status.st_size))
        self._check_head(entries)
        self._seen = (status, entries)
        return entries

    def _set_torn_line_aside(self, file: int) -> None:
        size = os.fstat(file).st_size
        if not size or os.pread(file, 1, size - 1) == b"\n":
            return
        data = _read_all(file, size)
        torn = data[data.rfind(b"\n") + 1 :]
        if _parse(torn) is not None:  # whole, only its line end is missing
            _write_all(file, b"\n")
            os.fsync(file)
            return
        mark = hashlib.sha256(torn).hexdigest()
        aside = self.path.with_name(f"{self.path.name}.torn-{mark[:16]}")
        _write_synced(aside, torn)
        os.ftruncate(file, size - len(torn))
        self._append(file, "torn", {"sha256": mark, "n_bytes": len(torn), "file": aside.name})

    @property
    def _head(self) -> Path:
        return self.path.with_name(f"{self.path.name}.head")

    def _write_head(self, entry: Entry) -> None:
        fresh = self._head.with_name(f"{self._head.name}.new")
        _write_synced(fresh, canonical_json({"seq": entry.seq, "hash": entry.hash}))
        fresh.replace(self._head)
        folder = os.open(self.path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)

    def _check_head(self, entries: list[Entry]) -> None:
        if not self._head.exists():  # a copy of the ledger, or a crash at its first entry
            return
        try:
            head = json.loads(self._head.read_bytes())
            seq, mark = int(head["seq"]), str(head["hash"])
        except (ValueError, KeyError, TypeError):
            raise LedgerError(_broken(f"{self._head.name} cannot be read")) from None
        if seq >= len(entries) or entries[seq].hash != mark:
            raise LedgerError(_broken(f"entry {seq} was cut off or replaced"))


def read_chain(data: bytes) -> list[Entry]:
    """Read and check the lines of a ledger.

    Raises
    ------
    LedgerError
        Names the first entry that does not fit.
    """
    entries: list[Entry] = []
    prev = GENESIS
    for seq, line in enumerate(data.splitlines()):
        entry = _parse(line)
        if entry is None or entry.seq != seq or entry.prev != prev:
            raise LedgerError(_broken(f"entry {seq} does not follow from the one before"))
        entries.append(entry)
        prev = entry.hash
    return entries


def _parse(line: bytes) -> Entry | None:
    try:
        fields = json.loads(line)
        mark = fields.pop("hash")
        sound = digest(fields) == mark and canonical_json({**fields, "hash": mark}) == line
        return Entry(**fields, hash=mark) if sound else None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _broken(what: str) -> str:
    return (
        f"the ledger is broken: {what}; nothing is sent until the privacy officer has compared "
        "it with a backup and restored it"
    )


def _lock(file: int) -> None:
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise LedgerError(
                    "the ledger is held by another process; wait until that run has ended"
                ) from None
            time.sleep(0.01)
        else:
            return


def _same(a: os.stat_result, b: os.stat_result) -> bool:
    return (a.st_ino, a.st_size, a.st_mtime_ns) == (b.st_ino, b.st_size, b.st_mtime_ns)


def _read_all(file: int, size: int) -> bytes:
    chunks, offset = [], 0
    while offset < size and (chunk := os.pread(file, size - offset, offset)):
        chunks.append(chunk)
        offset += len(chunk)
    return b"".join(chunks)


def _write_all(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data) :]


def _write_synced(path: Path, data: bytes) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        _write_all(file, data)
        os.fsync(file)
    finally:
        os.close(file)
