"""Backup of an embedded hub in one file, and its restoration into a new folder.

A backup has the index, the stored objects and the hub's secrets, and no patient's row, file or score:
waiting batches and answers are left out, and the client sends them again.
"""

import hashlib
import json
import os
import secrets
import shutil
import sqlite3
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from healthval.errors import IntegrityError, UsageError, counted
from healthval.files import flush_folder
from healthval.hub.audit_chain import check_chain
from healthval.hub.backends.schema import MIGRATIONS, version_of

INDEX: Final = "index.sqlite"
MANIFEST: Final = "manifest.json"
SECRETS: Final = ("upload.secret", "hub.key", "hub.key.pub", "reporter.key", "reporter.key.pub")
# Folders and partitions of patients' rows, files and scores.
PRIVATE_FOLDERS: Final = ("requests", "uploads", "answers", ".unfinished")
PRIVATE_PARTITIONS: Final = ("predictions", "uploads")
FORMAT: Final = 1
PIECE_BYTES: Final = 1024**2


def back_up(data: Path, target: Path) -> int:
    """Write a backup of a hub, which may be running; return the number of its files.

    Raises
    ------
    UsageError
        If `data` has no hub, or `target` exists.
    """
    if not (data / INDEX).is_file():
        raise UsageError("the data folder has no hub (no index.sqlite); give --data")
    if target.exists():
        raise UsageError("the backup's file exists; choose another name")
    draft = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    try:
        with tempfile.TemporaryDirectory(dir=target.parent) as aside:
            index = _copied_index(data / INDEX, Path(aside) / INDEX)
            n = _write(draft, data, index)
        os.link(draft, target)
    except FileExistsError:
        raise UsageError("the backup's file exists; choose another name") from None
    finally:
        draft.unlink(missing_ok=True)
    flush_folder(target.parent)
    return n


def _copied_index(source: Path, copy: Path) -> Path:
    """Copy the index as of one moment, without the entries of patients."""
    with closing(sqlite3.connect(source)) as live, closing(sqlite3.connect(copy)) as db:
        live.backup(db)
        marks = ", ".join("?" * len(PRIVATE_PARTITIONS))
        db.execute("PRAGMA secure_delete = ON")
        with db:
            db.execute(f"DELETE FROM items WHERE partition IN ({marks})", PRIVATE_PARTITIONS)  # noqa: S608 - constant text
        db.execute("PRAGMA journal_mode = DELETE")
        db.execute("VACUUM")
    return copy


def _write(draft: Path, data: Path, index: Path) -> int:
    """Write the files and the manifest of their hashes; the objects that the index names exist."""
    hashes: dict[str, str] = {}
    handle = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w+b") as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            for name, path in ((INDEX, index), *_files(data)):
                hashes[name] = _add(archive, name, path)
            about = {"format": FORMAT, "schema": len(MIGRATIONS), "files": hashes}
            archive.writestr(MANIFEST, json.dumps(about, sort_keys=True))
        file.flush()
        os.fsync(file.fileno())
    return len(hashes)


def _files(data: Path) -> Iterator[tuple[str, Path]]:
    yield from ((name, data / name) for name in SECRETS if (data / name).is_file())
    for path in sorted((data / "objects").rglob("*")):
        parts = path.relative_to(data / "objects").parts
        if path.is_file() and parts[0] not in PRIVATE_FOLDERS:
            yield path.relative_to(data).as_posix(), path


def _add(archive: zipfile.ZipFile, name: str, path: Path) -> str:
    sha256 = hashlib.sha256()
    with path.open("rb") as source, archive.open(name, "w", force_zip64=True) as sink:
        while piece := source.read(PIECE_BYTES):
            sha256.update(piece)
            sink.write(piece)
    return sha256.hexdigest()


def restore(backup: Path, data: Path) -> int:
    """Restore a backup into a folder that does not exist yet; return the number of its files.

    Every hash, the index and the audit chain are checked first; a damaged backup leaves no folder.

    Raises
    ------
    UsageError
        If the folder exists, the file is no backup, or a newer healthval wrote it.
    IntegrityError
        If a file is missing, was changed or was added, or the audit chain is broken.
    """
    if data.exists():
        raise UsageError("the data folder exists; restore into a new folder")
    data.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{data.name}.", dir=data.parent))
    try:
        with zipfile.ZipFile(backup) as archive:
            hashes = _manifest(archive)
            for name, sha256 in hashes.items():
                _extract(archive, name, sha256, draft / name)
        _check_index(draft / INDEX)
        draft.rename(data)
    except (zipfile.BadZipFile, OSError):
        raise UsageError("the file is no readable backup of a hub") from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    flush_folder(data.parent)
    return len(hashes)


def _manifest(archive: zipfile.ZipFile) -> dict[str, str]:
    """Return the files of a backup with their hashes; refuse one that has other files."""
    try:
        about: dict[str, Any] = json.loads(archive.read(MANIFEST))
        known, schema, hashes = about["format"], about["schema"], dict(about["files"])
    except (KeyError, TypeError, ValueError):
        raise UsageError("the file is no readable backup of a hub") from None
    if known > FORMAT or schema > len(MIGRATIONS):
        raise UsageError("a newer healthval wrote the backup; install it to restore")
    names = [name for name in archive.namelist() if name != MANIFEST]
    strange = {*names} ^ {*hashes}
    if strange or len(names) != len(hashes) or not all(_is_safe(name) for name in names):
        raise IntegrityError(
            f"{counted(len(strange), 'file')} of the backup is not as listed in its manifest; "
            "take another backup"
        )
    return hashes


def _is_safe(name: str) -> bool:
    parts = Path(name).parts
    is_object = len(parts) > 1 and parts[0] == "objects" and ".." not in parts
    return name in {INDEX, *SECRETS} or (is_object and "\\" not in name)


def _extract(archive: zipfile.ZipFile, name: str, sha256: str, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    seen = hashlib.sha256()
    handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as sink, archive.open(name) as source:
        while piece := source.read(PIECE_BYTES):
            seen.update(piece)
            sink.write(piece)
        sink.flush()
        os.fsync(sink.fileno())
    if seen.hexdigest() != sha256:
        raise IntegrityError("a file of the backup was changed; take another backup")
    flush_folder(target.parent)


def _check_index(path: Path) -> None:
    """Refuse a damaged index, or a broken audit chain."""
    try:
        with closing(sqlite3.connect(path)) as db:
            is_sound = db.execute("PRAGMA quick_check(1)").fetchone() == ("ok",)
            is_known = 0 < version_of(db) <= len(MIGRATIONS)
            sql = "SELECT value FROM items WHERE partition = 'audit' AND key GLOB ? ORDER BY key"
            entries = (json.loads(row[0]) for row in db.execute(sql, ("entry#*",)))
            head = db.execute(sql, ("head",)).fetchone()
            check_chain(entries, json.loads(head[0]) if head else None)
    except (sqlite3.DatabaseError, KeyError, ValueError):
        is_sound = is_known = False
    if not (is_sound and is_known):
        raise IntegrityError("the backup's index is damaged; take another backup")
