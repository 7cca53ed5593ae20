"""The egress ledger: a record of all bytes that left, as an append-only hash chain on the site's disk.

One JSON line per entry; `hash` covers the line without it, `prev` is the hash before. A line is
written under a lock and flushed to disk before anything is sent. A line torn by a crash was never
followed by sending: it is moved to a separate file and recorded in the chain.

Beside the ledger, `<name>.head` holds the last hash, so that removed entries at the end are
noticed, and `<name>.lock` is the lock file.
"""

import hashlib
import json
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from io import BufferedRandom
from pathlib import Path
from time import monotonic
from typing import Any, NotRequired, TypedDict, Unpack

from healthval.contracts.base import canonical_json, digest
from healthval.errors import LedgerError, counted
from healthval.files import locked, write_durably

GENESIS = "0" * 64
LOCK_SECONDS = 30.0
_FLAGS = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the ledger; `kind` is ``payload``, ``release``, ``sum`` or ``torn``."""

    seq: int
    when: str
    kind: str
    body: dict[str, Any]
    prev: str
    hash: str


@dataclass(frozen=True, slots=True)
class LedgerState:
    """Result of `verify`: number of entries, last hash, number of torn lines."""

    n_entries: int
    head: str
    n_torn: int


def fingerprint(secret: bytes) -> str:
    """Short name of a secret, from which the secret cannot be computed."""
    return hashlib.sha256(b"healthval noise secret\0" + secret).hexdigest()[:32]


def utc_now() -> datetime:
    """Current time."""
    return datetime.now(UTC)


def seconds() -> float:
    """Seconds since some moment, for limits of time."""
    return monotonic()


class PayloadAbout(TypedDict):
    """Facts about a payload; `fields` are the names of what it has for each case."""

    sha256: str
    n_bytes: int
    n_cases: int
    model: str
    version: str
    fields: NotRequired[Sequence[str]]


class Ledger:
    """Append-only record of all bytes that left the site.

    Parameters
    ----------
    path : JSON-lines file; created with its folder, readable by its owner only
    now : returns the time of an entry, with its time zone

    Raises
    ------
    LedgerError
        From every method, if the chain is broken or another process holds the ledger too long.
    """

    def __init__(self, path: Path | str, *, now: Callable[[], datetime] = utc_now) -> None:
        self.path = Path(path)
        self._now = now
        self._seen: tuple[os.stat_result, list[Entry]] | None = None

    def __repr__(self) -> str:
        return f"Ledger({self.path.name!r})"

    def record_payload(self, **about: Unpack[PayloadAbout]) -> Entry:
        """Record a de-identified payload before it is sent: hash, size and names of fields, no content."""
        body = {**about, "fields": list(about.get("fields", ()))}
        with self._locked() as file:
            return self._append(file, "payload", body)

    @contextmanager
    def recording_release(
        self,
    ) -> Iterator[tuple[tuple[Entry, ...], Callable[[dict[str, Any]], Entry]]]:
        """Hold the lock from the decision on a release to its entry.

        Yields
        ------
        entries : all entries so far
        record : writes a release with the given body; a block that raises first writes nothing
        """
        with self._locked() as file:
            yield tuple(self._read(file)), partial(self._append, file, "release")

    @contextmanager
    def recording_sum(
        self,
    ) -> Iterator[tuple[tuple[Entry, ...], Callable[[dict[str, Any]], Entry]]]:
        """Hold the lock from the decision on a message of a secure sum to its entry.

        Yields
        ------
        entries, record : as in `recording_release`, for an entry of the kind ``sum``
        """
        with self._locked() as file:
            yield tuple(self._read(file)), partial(self._append, file, "sum")

    def entries(self) -> tuple[Entry, ...]:
        """Return all entries in order, after a check of the chain."""
        with self._locked() as file:
            return tuple(self._read(file))

    def verify(self) -> LedgerState:
        """Check the whole chain anew; raises where it is broken."""
        self._seen = None
        entries = self.entries()
        torn = sum(entry.kind == "torn" for entry in entries)
        return LedgerState(len(entries), entries[-1].hash if entries else GENESIS, torn)

    def holds(self, sha256: str) -> bool:
        """Whether the ledger contains a release with this hash; otherwise it must not be sent."""
        return any(e.kind == "release" and e.body["sha256"] == sha256 for e in self.entries())

    @contextmanager
    def _locked(self) -> Iterator[BufferedRandom]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        busy = LedgerError("the ledger is held by another process; wait until that run has ended")
        lock = locked(self._beside("lock"), seconds=LOCK_SECONDS, busy=busy)
        # `Path.open` would create the file with the permissions that the umask leaves.
        with lock, os.fdopen(os.open(self.path, _FLAGS, 0o600), "r+b") as file:
            self._set_torn_line_aside(file)
            yield file

    def noise_secret(self, entries: Sequence[Entry]) -> bytes:
        """Secret of the keyed noise; made once, beside the ledger, and never replaced silently.

        Call it while the lock is held, that is, within `recording_release`.

        Raises
        ------
        LedgerError
            If the secret of earlier releases is lost or was replaced.
        """
        path = self._beside("noise")
        used = {e.body["noise_secret"] for e in entries if "noise_secret" in e.body}
        if not path.exists() and not used:
            write_durably(path, secrets.token_hex(32).encode("ascii"), replace=False)
        secret = path.read_bytes() if path.exists() else b""
        if used - {fingerprint(secret)}:
            raise LedgerError(
                f"{path.name} is not the noise secret of the earlier releases; fresh noise about the"
                " same cases could be averaged away; restore the file from a backup"
            )
        return secret

    def _append(self, file: BufferedRandom, kind: str, body: dict[str, Any]) -> Entry:
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
        if not entries:  # so that a crash after the first entry leaves a head
            self._write_head(-1, GENESIS)
        _write_at_end(file, canonical_json(asdict(entry)) + b"\n")
        self._write_head(entry.seq, entry.hash)
        entries.append(entry)
        self._seen = (os.fstat(file.fileno()), entries)
        return entry

    def _write_head(self, seq: int, mark: str) -> None:
        write_durably(self._beside("head"), canonical_json({"seq": seq, "hash": mark}))

    def _read(self, file: BufferedRandom) -> list[Entry]:
        status = os.fstat(file.fileno())
        if self._seen is not None and _is_unchanged(self._seen[0], status):
            return self._seen[1]
        file.seek(0)
        entries = read_chain(file.read())
        self._check_head(entries)
        self._seen = (status, entries)
        return entries

    def _set_torn_line_aside(self, file: BufferedRandom) -> None:
        size = file.seek(0, os.SEEK_END)
        if not size:
            return
        file.seek(size - 1)
        if file.read(1) == b"\n":
            return
        file.seek(0)
        data = file.read()
        torn = data[data.rfind(b"\n") + 1 :]
        if _parse(torn) is not None:  # complete, only its line end is missing
            _write_at_end(file, b"\n")
            return
        mark = hashlib.sha256(torn).hexdigest()
        aside = self._beside(f"torn-{mark[:16]}")
        write_durably(aside, torn)
        file.truncate(size - len(torn))
        self._append(file, "torn", {"sha256": mark, "n_bytes": len(torn), "file": aside.name})

    def _beside(self, suffix: str) -> Path:
        return self.path.with_name(f"{self.path.name}.{suffix}")

    def _check_head(self, entries: list[Entry]) -> None:
        head = self._beside("head")
        if not head.exists():
            if entries:
                found = counted(len(entries), "entry", "entries")
                raise LedgerError(_broken(f"{head.name} is missing beside {found}"))
            return
        try:
            last = json.loads(head.read_bytes())
            seq, mark = int(last["seq"]), str(last["hash"])
        except (ValueError, KeyError, TypeError):
            raise LedgerError(_broken(f"{head.name} cannot be read")) from None
        known = GENESIS if seq < 0 else entries[seq].hash if seq < len(entries) else None
        if known != mark:
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
        f"the ledger is broken: {what}; sending stops until the privacy officer has compared "
        "it with a backup and restored it"
    )


def _is_unchanged(a: os.stat_result, b: os.stat_result) -> bool:
    return (a.st_ino, a.st_size, a.st_mtime_ns) == (b.st_ino, b.st_size, b.st_mtime_ns)


def _write_at_end(file: BufferedRandom, data: bytes) -> None:
    file.seek(0, os.SEEK_END)
    file.write(data)
    file.flush()
    os.fsync(file.fileno())
