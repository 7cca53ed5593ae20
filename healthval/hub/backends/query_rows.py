"""Rows for queries: one JSON file for each counted submission and each entry of the audit chain.

Athena and DuckDB read them as the tables `submissions` and `audit`, with a partition for each day.
"""

import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from healthval.contracts.base import canonical_json
from healthval.errors import UsageError
from healthval.hub.audit_chain import AUDIT, seal
from healthval.hub.ports import Backend, ObjectStore

SUBMISSIONS: Final = "submissions"
# Columns and types of each table besides the partition `day`, as in infra/core.yaml.
COLUMNS: Final[Mapping[str, Mapping[str, str]]] = {
    SUBMISSIONS: {
        "site": "string",
        "model": "string",
        "version": "string",
        "plan_hash": "string",
        "sha256": "string",
        "supersedes": "string",
        "received": "bigint",
    },
    AUDIT: {
        "number": "bigint",
        "at": "bigint",
        "actor": "string",
        "action": "string",
        "subject": "string",
    },
}


def write_row(objects: ObjectStore, *, partition: str, key: str, value: Mapping[str, Any]) -> None:
    """Write the row of a counted submission or an audit entry once; other entries have none."""
    if partition.startswith("receipts#") and value["state"] == "counted":
        site = partition.partition("#")[2]
        row = {**value, "site": site, "sha256": key}
        _write(objects, _place(SUBMISSIONS, row["received"], f"{site}-{key}"), row)
    elif partition == AUDIT and key.startswith("entry#"):
        _write(objects, _place(AUDIT, value["at"], key.replace("#", "-")), value)


def write_rows(backend: Backend) -> None:
    """Write the rows of an embedded hub that are not written yet."""
    seal(backend)
    for item in _entries(backend):
        write_row(backend.objects, partition=item[0], key=item[1], value=item[2])


def write_rows_of(data: Path) -> Path:
    """Write the rows of the embedded hub with this data folder; return its folder of objects.

    The hub may be serving meanwhile.

    Raises
    ------
    UsageError
        If no hub has this data folder.
    """
    from healthval.hub.backends.local import FolderObjects, SqliteIndex
    from healthval.hub.backends.memory import NoModels

    if not (data / "index.sqlite").is_file():
        raise UsageError(f"the folder {data.name} has no hub; give the hub's --data folder")
    index = SqliteIndex(data / "index.sqlite", time.time)
    objects = FolderObjects(data / "objects")
    try:
        write_rows(Backend(objects, index, NoModels(), time.time))
    finally:
        index.close()
    return objects.folder


def _entries(backend: Backend) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    sites = {item.key.partition("#")[0] for item in backend.index.query("grants")}
    for partition in (*(f"receipts#{site}" for site in sorted(sites)), AUDIT):
        for item in backend.index.query(partition):
            yield partition, item.key, item.value


def _place(table: str, seconds: int, name: str) -> str:
    day = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")
    return f"analytics/{table}/day={day}/{name}.json"


def _write(objects: ObjectStore, place: str, row: Mapping[str, Any]) -> None:
    columns = COLUMNS[place.split("/")[1]]
    objects.put_if_absent(place, canonical_json({name: row[name] for name in columns}) + b"\n")
