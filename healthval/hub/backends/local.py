"""The ports on one machine: a folder, SQLite in WAL mode, and model servers as child processes."""

import http.client
import json
import os
import select
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from healthval.contracts.base import canonical_json
from healthval.errors import HostingError
from healthval.hosting.artefact import unpack
from healthval.hub.ports import (
    Clock,
    Conflict,
    HostedModel,
    HostStatus,
    HostUnavailable,
    Item,
    ModelFailed,
    ObjectStore,
    Offer,
    StoreUnavailable,
    Write,
    check_object_key,
    check_writes,
)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS items (
    partition TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,
    version INTEGER NOT NULL, expires INTEGER,
    PRIMARY KEY (partition, key)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_expiry ON items (expires) WHERE expires IS NOT NULL;
"""


class FolderObjects:
    """Object store in a folder. A file appears whole, under its name, on the disk, or not at all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._unfinished = folder / ".unfinished"
        self._unfinished.mkdir(parents=True, exist_ok=True)
        for left in self._unfinished.iterdir():
            with suppress(FileNotFoundError):
                if time.time() - left.stat().st_mtime > 3600:
                    left.unlink()

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Write aside, flush, then link: the link is what decides who was first."""
        path = self._path(key)
        with suppress(FileExistsError):
            path.parent.mkdir(parents=True)
            _flush_folder(path.parent.parent)
        handle, aside = tempfile.mkstemp(dir=self._unfinished)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.link(aside, path)
        except FileExistsError:
            return False
        finally:
            Path(aside).unlink()
        _flush_folder(path.parent)
        return True

    def get(self, key: str) -> bytes:
        """Return the bytes."""
        try:
            return self._path(key).read_bytes()
        except FileNotFoundError:
            raise KeyError(key) from None

    def delete(self, key: str) -> None:
        """Remove the bytes if they are there."""
        self._path(key).unlink(missing_ok=True)

    def keys(self, prefix: str) -> list[str]:
        """List keys by prefix."""
        found = (path for path in self.folder.glob("*/**/*") if path.is_file())
        names = (path.relative_to(self.folder).as_posix() for path in found)
        return sorted(
            name for name in names if name.startswith(prefix) and not name.startswith(".")
        )

    def address(self, key: str) -> str:
        """Return the file's address."""
        return self._path(key).resolve().as_uri()

    def offer(self, key: str, size: int, sha256: str, seconds: int) -> Offer | None:
        """Leave it to the hub."""
        return None

    def _path(self, key: str) -> Path:
        check_object_key(key)
        return self.folder / key


def _flush_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class SqliteIndex:
    """Index in one SQLite file; several threads and processes may hold it at once."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
        # FULL: a commit that was answered survives the loss of power, not just of the process.
        _patiently(self._db, "PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._db.close()

    def get(self, partition: str, key: str) -> Item | None:
        """Return the entry unless it has expired."""
        found = self._select("partition = ? AND key = ?", partition, key)
        return found[0] if found else None

    def query(self, partition: str, prefix: str = "") -> list[Item]:
        """Return a partition's entries by key."""
        return self._select(
            "partition = ? AND key >= ? AND key < ?", partition, prefix, prefix + "\x7f"
        )

    def commit(self, writes: Sequence[Write]) -> None:
        """Check and write inside one immediate transaction."""
        check_writes(writes)
        now = int(self._clock())
        with self._transaction() as db:
            db.execute("DELETE FROM items WHERE expires <= ?", (now,))
            for write in writes:
                if not _apply(db, write):
                    raise Conflict

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    yield self._db
                except BaseException:
                    self._db.execute("ROLLBACK")
                    raise
                self._db.execute("COMMIT")
            except sqlite3.OperationalError:
                raise StoreUnavailable from None

    def _select(self, where: str, *values: str) -> list[Item]:
        sql = (
            "SELECT partition, key, value, version, expires FROM items"  # noqa: S608 - own text
            f" WHERE {where} AND (expires IS NULL OR expires > ?) ORDER BY key"
        )
        with self._lock:
            try:
                rows = self._db.execute(sql, (*values, int(self._clock()))).fetchall()
            except sqlite3.OperationalError:
                raise StoreUnavailable from None
        return [_item(*row) for row in rows]


def _item(partition: str, key: str, value: str, version: int, expires: int | None) -> Item:
    return Item(partition, key, json.loads(value), version, expires)


def _apply(db: sqlite3.Connection, write: Write) -> bool:
    """Do one write under its condition; False when the condition does not hold."""
    place: tuple[Any, ...] = (write.partition, write.key)
    if write.value is None and write.version == 0:
        found = db.execute("SELECT 1 FROM items WHERE partition = ? AND key = ?", place)
        return found.fetchone() is None
    if write.value is None:
        sql = "DELETE FROM items WHERE partition = ? AND key = ? AND version = ?"
        return db.execute(sql, (*place, write.version)).rowcount == 1
    value = canonical_json(write.value).decode()
    if write.version == 0:
        sql = "INSERT OR IGNORE INTO items VALUES (?, ?, ?, 1, ?)"
        return db.execute(sql, (*place, value, write.expires)).rowcount == 1
    sql = (
        "UPDATE items SET value = ?, expires = ?, version = version + 1"
        " WHERE partition = ? AND key = ? AND version = ?"
    )
    return db.execute(sql, (value, write.expires, *place, write.version)).rowcount == 1


def _patiently(db: sqlite3.Connection, sql: str) -> None:
    """Repeat a statement for which SQLite does not honour its own busy time-out."""
    for _ in range(100):
        try:
            db.execute(sql)
        except sqlite3.OperationalError:
            time.sleep(0.05)
        else:
            return
    raise StoreUnavailable


@dataclass(frozen=True, slots=True)
class _Child:
    process: subprocess.Popen[bytes]
    port: int

    def post(self, body: bytes) -> tuple[int, bytes]:
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=70)
        try:
            link.request("POST", "/invocations", body, {"Content-Type": "application/json"})
            answer = link.getresponse()
            return answer.status, answer.read()
        finally:
            link.close()

    def end(self) -> None:
        assert self.process.stdin is not None  # noqa: S101 - for the type checker
        assert self.process.stdout is not None  # noqa: S101
        self.process.stdin.close()
        self.process.stdout.close()
        try:
            self.process.wait(12)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class ProcessHost:
    """Model host of child processes that end with us, even when we are killed.

    A child that nobody asks for `idle_seconds` ends by itself; the next call starts it again. So
    a quiet hub holds no model in memory, as SageMaker Serverless does.
    """

    def __init__(
        self,
        objects: ObjectStore,
        folder: Path,
        *,
        idle_seconds: float = 300,
        start_seconds: float = 60,
    ) -> None:
        self._objects, self._folder = objects, folder
        self._inputs = objects.address("uploads/any.dcm").removesuffix("any.dcm")
        self._idle_seconds, self._start_seconds = idle_seconds, start_seconds
        self._children: dict[str, _Child] = {}
        # One lock a model: while one is loading, the others answer.
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def start(self, model: HostedModel) -> None:
        """Start the child and wait until it has loaded the model."""
        self._running(model)

    def stop(self, model: HostedModel) -> None:
        """End the child, letting what it is doing finish."""
        with self._locks[model.endpoint]:
            child = self._children.pop(model.endpoint, None)
        if child:
            child.end()

    def status(self, model: HostedModel) -> HostStatus:
        """Tell whether a child is up."""
        child = self._children.get(model.endpoint)
        return "serving" if child and child.process.poll() is None else "stopped"

    def invoke(self, model: HostedModel, body: bytes) -> bytes:
        """Ask the child; one that ended meanwhile is started again, once."""
        for _ in range(2):
            with suppress(OSError, http.client.HTTPException):
                status, answer = self._running(model).post(body)
                if status == 200:
                    return answer
                if status in {429, 503}:
                    raise HostUnavailable
                raise ModelFailed(json.loads(answer)["error"])
        raise HostUnavailable

    def close(self) -> None:
        """End all children."""
        for endpoint, lock in list(self._locks.items()):
            with lock:
                child = self._children.pop(endpoint, None)
            if child:
                child.end()

    def _running(self, model: HostedModel) -> _Child:
        with self._locks[model.endpoint]:
            child = self._children.get(model.endpoint)
            if child and child.process.poll() is None:
                return child
            if child:
                child.end()
            self._children[model.endpoint] = child = self._spawn(model)
        return child

    def _spawn(self, model: HostedModel) -> _Child:
        process = subprocess.Popen(  # noqa: S603 - our own module, arguments as a list
            [
                *(sys.executable, "-m", "healthval.hosting", "serve", "--port", "0"),
                *("--model", str(self._unpacked(model)), "--memory-mb", str(model.memory_mb)),
                *("--max-concurrency", str(model.max_concurrency), "--die-with-parent"),
                *("--idle-seconds", str(self._idle_seconds), "--inputs", self._inputs),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_child_environment(),
        )
        word = _first_word(process, self._start_seconds)
        if "ready" in word:
            return _Child(process, word["ready"])
        _Child(process, 0).end()
        raise ModelFailed(word.get("failed", "the model server ended while it loaded the model"))

    def _unpacked(self, model: HostedModel) -> Path:
        """Unpack aside and rename, so that a folder under an artefact's name is always whole."""
        home = self._folder / model.artefact
        if home.is_dir():
            return home
        self._folder.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(dir=self._folder, prefix=".unfinished-"))
        try:
            unpack(self._objects.get(f"objects/{model.artefact}.bin"), aside)
            with suppress(OSError):
                aside.rename(home)
        except HostingError as error:
            raise ModelFailed(str(error)) from None
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        return home


def _child_environment() -> dict[str, str]:
    """Nothing of ours but where Python finds its modules; one thread, so that scores repeat."""
    kept = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "TMPDIR", "LANG")
    quiet = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
    return {name: os.environ[name] for name in kept if name in os.environ} | quiet


def _first_word(process: subprocess.Popen[bytes], seconds: float) -> dict[str, Any]:
    assert process.stdout is not None  # noqa: S101 - for the type checker
    readable, _, _ = select.select([process.stdout], [], [], seconds)
    if not readable:
        process.kill()
        return {"failed": f"the model did not load within {seconds:g} s"}
    line = process.stdout.readline()
    word: dict[str, Any] = json.loads(line) if line else {}
    return word
