"""The stores on one machine: objects in a folder, the index in SQLite (WAL mode)."""

import errno
import json
import os
import sqlite3
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import LifoQueue
from typing import Any

from healthval.contracts.base import canonical_json
from healthval.errors import UsageError
from healthval.files import flush_folder, write_durably
from healthval.hub.backends.schema import migrate
from healthval.hub.ports import (
    Clock,
    Conflict,
    Item,
    Offer,
    StoreUnavailable,
    Write,
    check_object_key,
    check_writes,
)

BUSY_SECONDS = 10.0
READERS = 4
OPEN_SECONDS = 120.0
UNFINISHED_SECONDS = 3600
# Results that no repetition changes.
_OF_THE_DISK = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR}
# Results of an index that may be sound.
_NOT_OPENED = _OF_THE_DISK | {
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
}


class FolderObjects:
    """Object store in a folder; a file is complete and flushed to the disk, or absent."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._unfinished = folder / ".unfinished"
        self._unfinished.mkdir(parents=True, exist_ok=True)
        self._remove_unfinished()

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Write beside the folders, flush, then link: the link decides which writer is first."""
        path = self._path(key)
        with suppress(FileExistsError):
            path.parent.mkdir(parents=True)
            flush_folder(path.parent.parent)
        return write_durably(path, data, replace=False, aside=self._unfinished)

    def get(self, key: str) -> bytes:
        """Return the bytes."""
        try:
            return self._path(key).read_bytes()
        except FileNotFoundError:
            raise KeyError(key) from None

    def delete(self, key: str) -> None:
        """Delete the file if it is present."""
        check_object_key(key)
        with suppress(FileNotFoundError):
            os.unlink(f"{self.folder}/{key}")  # noqa: PTH108 - a call of every prediction

    def keys(self, prefix: str) -> list[str]:
        """List keys by prefix; reads only the folders that the prefix names."""
        top = self.folder / prefix.rpartition("/")[0]
        found = (path for path in top.rglob("*") if path.is_file())
        names = (path.relative_to(self.folder).as_posix() for path in found)
        return sorted(
            name
            for name in names
            if "/" in name and name.startswith(prefix) and not name.startswith(".")
        )

    def address(self, key: str) -> str:
        """Return the file's file: address."""
        return self._path(key).resolve().as_uri()

    def offer(self, key: str, size: int, sha256: str, seconds: int) -> Offer | None:
        """Return None: the hub itself receives uploads."""
        return None

    def _path(self, key: str) -> Path:
        check_object_key(key)
        return self.folder / key

    def _remove_unfinished(self) -> None:
        """Delete files that a killed process left; another process may be writing newer ones."""
        for path in self._unfinished.iterdir():
            with suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > UNFINISHED_SECONDS:
                    path.unlink()


@dataclass(slots=True)
class _Commit:
    """Writes that wait for their commit, and its end."""

    writes: Sequence[Write]
    is_done: bool = False
    error: Exception | None = None


class SqliteIndex:
    """Index in one SQLite file; several threads and processes may open it at once.

    Commits that arrive during another are written together, in one transaction. Each transaction
    appends to the write-ahead log; those that are to be durable share one flush of the log, for
    which no other commit waits. Readers have connections of their own.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._clock = clock
        self._writing, self._queueing = threading.Lock(), threading.Lock()
        self._waiting: list[_Commit] = []
        self._flushing, self._asked, self._flushed = threading.Lock(), 0, 0
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path, self._db = path, _connect(path)
        try:
            _repeat(self._db, "PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            migrate(self._db, path)
            # NORMAL flushes the log before it is overwritten; `flush` does so before an answer.
            self._db.execute("PRAGMA synchronous = NORMAL")
            is_sound = self._db.execute("PRAGMA quick_check(1)").fetchone() == ("ok",)
        except sqlite3.DatabaseError as error:
            if _primary(error) in _NOT_OPENED:
                self._db.close()
                raise _unopened(error, path) from None
            is_sound = False
        except (UsageError, StoreUnavailable):
            self._db.close()
            raise
        if not is_sound:
            self._db.close()
            raise UsageError(f"{path.name} in the data folder is damaged; restore a backup of it")
        self._readers: LifoQueue[sqlite3.Connection] = LifoQueue()
        for _ in range(READERS):
            self._readers.put(_connect(path))

    def close(self) -> None:
        """Close the database."""
        with self._writing:
            for _ in range(READERS):
                self._readers.get().close()
            self._db.close()

    def get(self, partition: str, key: str) -> Item | None:
        """Return the entry unless it has expired."""
        found = self._select("partition = ? AND key = ?", partition, key)
        return found[0] if found else None

    def query(
        self, partition: str, prefix: str = "", *, after: str = "", limit: int | None = None
    ) -> list[Item]:
        """Return a partition's entries, sorted by key."""
        where = "partition = ? AND key >= ? AND key < ? AND key > ?"
        return self._select(where, partition, prefix, prefix + "\x7f", after, limit=limit)

    def flush(self) -> None:
        """Flush the write-ahead log; calls that arrive during a flush share the next one."""
        with self._queueing:
            self._asked += 1
            own = self._asked
        with self._flushing:
            if self._flushed >= own:
                return
            with self._queueing:
                newest = self._asked
            try:
                _flush_data(f"{self._path}-wal")
            except OSError as error:
                if error.errno in {errno.ENOSPC, errno.EDQUOT}:
                    raise
                raise StoreUnavailable from None
            self._flushed = newest

    def commit(self, writes: Sequence[Write], *, durable: bool = True) -> None:
        """Check and write in one transaction, together with the commits that wait as well."""
        check_writes(writes)
        own = _Commit(writes)
        with self._queueing:
            self._waiting.append(own)
        with self._writing:
            if not own.is_done:
                self._commit_waiting()
        if own.error is not None:
            raise own.error
        if durable:  # an answered commit survives the loss of power, not only of the process
            self.flush()

    def _commit_waiting(self) -> None:
        with self._queueing:
            batch, self._waiting = self._waiting, []
        try:
            self._db.execute("BEGIN IMMEDIATE")
            now = int(self._clock())
            _delete_expired(self._db, now)
            for one in batch:
                one.error = None if _apply_all(self._db, one.writes, now) else Conflict()
            self._db.execute("COMMIT")
        except BaseException as error:
            unanswered = StoreUnavailable() if isinstance(error, sqlite3.DatabaseError) else error
            for one in batch:
                one.error = unanswered if isinstance(unanswered, Exception) else StoreUnavailable()
            with suppress(sqlite3.DatabaseError):
                self._db.execute("ROLLBACK")
            if not isinstance(error, Exception):
                raise
        finally:
            for one in batch:
                one.is_done = True

    def _select(self, where: str, *values: str, limit: int | None = None) -> list[Item]:
        sql = (
            "SELECT partition, key, value, version, expires FROM items"  # noqa: S608 - constant text
            f" WHERE {where} AND (expires IS NULL OR expires > ?) ORDER BY key LIMIT ?"
        )
        most = -1 if limit is None else limit  # SQLite: no limit
        reader = self._readers.get()
        try:
            rows = reader.execute(sql, (*values, int(self._clock()), most)).fetchall()
        except sqlite3.DatabaseError:
            raise StoreUnavailable from None
        finally:
            self._readers.put(reader)
        return [_item(row) for row in rows]


def _flush_data(path: str) -> None:
    """Flush a file's content, and of its metadata what reading it needs."""
    file = os.open(path, os.O_RDONLY)
    try:
        getattr(os, "fdatasync", os.fsync)(file)  # macOS has no fdatasync
    finally:
        os.close(file)


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(
        path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )


def _unopened(error: sqlite3.Error, path: Path) -> Exception:
    """Error of an index whose disk refuses it, which is not damage."""
    if _primary(error) == sqlite3.SQLITE_FULL:
        return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return UsageError(
        f"{path.name} in the data folder cannot be read or written; check that the disk has space, "
        "is writable and has no errors, and that no other program locks the file"
    )


def _primary(error: sqlite3.Error) -> int:
    """SQLite's result code without its extension."""
    code: int = getattr(
        error, "sqlite_errorcode", sqlite3.SQLITE_ERROR
    )  # unset by Python's own errors
    return code & 0xFF


def _apply_all(db: sqlite3.Connection, writes: Sequence[Write], now: int) -> bool:
    """Do all writes of one commit, or none."""
    db.execute("SAVEPOINT one")
    is_applied = all(_apply(db, write, now) for write in writes)
    if not is_applied:
        db.execute("ROLLBACK TO one")
    db.execute("RELEASE one")
    return is_applied


def _item(row: tuple[Any, ...]) -> Item:
    partition, key, value, version, expires = row
    return Item(
        partition=partition, key=key, value=json.loads(value), version=version, expires=expires
    )


def _apply(db: sqlite3.Connection, write: Write, now: int) -> bool:
    """Do one write; False if its condition does not hold."""
    place: tuple[Any, ...] = (write.partition, write.key)
    if write.value is None and write.version == 0:
        found = db.execute("SELECT 1 FROM items WHERE partition = ? AND key = ?", place)
        return found.fetchone() is None
    if write.value is None:
        sql = "DELETE FROM items WHERE partition = ? AND key = ? AND version = ?"
        return db.execute(sql, (*place, write.version)).rowcount == 1
    value = canonical_json(write.value).decode()
    if write.version == 0:
        if _was_deleted(db, write, now):
            return False
        sql = "INSERT OR IGNORE INTO items VALUES (?, ?, ?, 1, ?)"
        return db.execute(sql, (*place, value, write.expires)).rowcount == 1
    sql = (
        "UPDATE items SET value = ?, expires = ?, version = version + 1"
        " WHERE partition = ? AND key = ? AND version = ?"
    )
    return db.execute(sql, (value, write.expires, *place, write.version)).rowcount == 1


def _delete_expired(db: sqlite3.Connection, now: int) -> None:
    """Delete expired entries and note the newest expiry of each kind of partition."""
    sql = "DELETE FROM items WHERE expires <= ? RETURNING partition, expires"
    newest: dict[str, int] = {}
    for partition, expires in db.execute(sql, (now,)).fetchall():
        kind = _kind(partition)
        newest[kind] = max(expires, newest.get(kind, 0))
    sql = "INSERT INTO deleted VALUES (?, ?) ON CONFLICT DO UPDATE SET expires = max(expires, excluded.expires)"
    db.executemany(sql, newest.items())


def _was_deleted(db: sqlite3.Connection, write: Write, now: int) -> bool:
    """Return whether an entry of this kind and expiry was deleted: the clock was set back since."""
    if write.expires is None or write.expires <= now:
        return False
    sql = "SELECT 1 FROM deleted WHERE kind = ? AND expires >= ?"
    return db.execute(sql, (_kind(write.partition), write.expires)).fetchone() is not None


def _kind(partition: str) -> str:
    return partition.partition("#")[0]


def _repeat(db: sqlite3.Connection, sql: str) -> None:
    """Repeat a statement for which SQLite does not honour its own busy time-out."""
    end = time.monotonic() + OPEN_SECONDS
    while True:
        try:
            db.execute(sql)
        except sqlite3.OperationalError as error:
            if _primary(error) in _OF_THE_DISK:
                raise
            if time.monotonic() > end:
                raise StoreUnavailable from None
            time.sleep(0.05)
        else:
            return
