"""Schema of the embedded hub's index, and its migration from version to version."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from healthval.errors import UsageError

# MIGRATIONS[n] leads from version n to n + 1; a published one never changes. Version 0 is an empty
# file, or an index from before versions were counted, which may have all tables already.
MIGRATIONS: tuple[Sequence[str], ...] = (
    (
        "CREATE TABLE IF NOT EXISTS items ("
        " partition TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,"
        " version INTEGER NOT NULL, expires INTEGER,"
        " PRIMARY KEY (partition, key)) WITHOUT ROWID",
        "CREATE INDEX IF NOT EXISTS by_expiry ON items (expires) WHERE expires IS NOT NULL",
        "CREATE TABLE IF NOT EXISTS deleted"
        " (kind TEXT PRIMARY KEY, expires INTEGER NOT NULL) WITHOUT ROWID",
    ),
)


def migrate(db: sqlite3.Connection, path: Path) -> None:
    """Bring an index to the newest version, in one transaction.

    Raises
    ------
    UsageError
        If a newer healthval wrote the index.
    """
    if version_of(db) == len(MIGRATIONS):
        return
    db.execute("BEGIN EXCLUSIVE")  # of several processes, one migrates
    try:
        version = version_of(db)
        _check_not_newer(version, path)
        for statement in (s for step in MIGRATIONS[version:] for s in step):
            db.execute(statement)
        db.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


def _check_not_newer(version: int, path: Path) -> None:
    if version > len(MIGRATIONS):
        raise UsageError(
            f"{path.name} in the data folder is of version {version}, and this healthval reads up to "
            f"version {len(MIGRATIONS)}; install the newer healthval that wrote it"
        )


def version_of(db: sqlite3.Connection) -> int:
    """Return the version of an index."""
    return int(db.execute("PRAGMA user_version").fetchone()[0])
