"""Records of a batch, one for each source file.

They are in a temporary database on disk, so that the memory of a batch does not depend on the
number of its files. SQLite deletes the database when it is closed, also when the process is killed.
"""

import json
import os
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Final, Literal, overload

from healthval.deid.refuse import Reason

Status = Literal["written", "duplicate", "refused", "withdrawn"]
Named = tuple[str, str]  # key and path of a source file


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


_NAMES: Final = tuple(one.name for one in fields(Record))
# Reasons that depend on the other files of a batch: such a file is processed again.
_RELATIVE: Final = (Reason.CONFLICT.value, Reason.MIXED_STUDY.value)
_TABLES: Final = """
CREATE TABLE source (position INTEGER PRIMARY KEY, source UNIQUE, path);
CREATE TABLE todo (number INTEGER PRIMARY KEY, position INTEGER);
CREATE TABLE before (output PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE deleted (output PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE text (digest PRIMARY KEY, text) WITHOUT ROWID;
CREATE TABLE record (source UNIQUE, status, reason, places, output, patient, issuer, study,
    instance, actions, flags, changes, searched, is_earlier);
CREATE INDEX output ON record (output);
CREATE VIEW complete AS SELECT source, status, reason, places, output, patient, issuer, study,
    instance, actions, flags, text AS changes, searched
    FROM record JOIN text ON digest = record.changes;
CREATE VIEW written AS SELECT output, is_earlier FROM record WHERE status = 'written';
CREATE VIEW gone AS SELECT source, status, output FROM record
    WHERE source NOT IN (SELECT source FROM source);
CREATE VIEW mixed AS SELECT study FROM record WHERE study != '' GROUP BY study
    HAVING count(DISTINCT nullif(patient, '')) > 1 OR count(DISTINCT nullif(issuer, '')) > 1;
CREATE VIEW twice AS SELECT instance FROM record WHERE instance != '' AND status != 'duplicate'
    GROUP BY instance HAVING count(*) > 1;
"""


class Records(Sequence[Record]):
    """Records of the files of a batch, in the order of the files; read from disk one by one."""

    def __init__(self) -> None:
        # An empty name is a temporary database. Another thread may read the records of a batch.
        self._db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._db.executescript(_TABLES)
        self._texts: set[str] = set()  # digests

    def __len__(self) -> int:
        return self._number("SELECT count(*) FROM source")

    def __iter__(self) -> Iterator[Record]:
        question = "SELECT complete.* FROM source JOIN complete USING (source) ORDER BY position"
        return map(_record, self._db.execute(question))

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Record, ...]: ...
    def __getitem__(self, index: int | slice) -> Record | tuple[Record, ...]:
        places = range(len(self))[index]
        if isinstance(places, range):
            return tuple(self[place] for place in places)
        question = "SELECT complete.* FROM source JOIN complete USING (source) WHERE position = ?"
        return _record(self._db.execute(question, (places + 1,)).fetchone())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    # --- files ----------------------------------------------------------------------------------

    def add_files(self, files: Iterable[Named]) -> None:
        """Set the files of the batch, sorted by path; a file that is named twice counts once."""
        rows = ((key, os.fsencode(path)) for key, path in files)
        with self._db:
            self._db.execute("BEGIN")
            self._db.execute("CREATE TABLE found (source TEXT, path BLOB)")
            self._db.executemany("INSERT INTO found VALUES (?, ?)", rows)
            self._db.execute(
                "INSERT OR IGNORE INTO source (source, path) SELECT * FROM found ORDER BY path"
            )
            self._db.execute("DROP TABLE found")

    def add_outputs(self, outputs: Iterable[str]) -> None:
        """Set the outputs that were in the folder when the batch began."""
        rows = ((output,) for output in outputs)
        self._db.executemany("INSERT INTO before VALUES (?)", rows)

    def add_deleted(self, output: str) -> None:
        """Add an output that was deleted because its source is gone or changed."""
        self._db.execute("INSERT OR IGNORE INTO deleted VALUES (?)", (output,))

    def remaining(self) -> "Remaining":
        """Files without a record, in order."""
        self._db.execute("DELETE FROM todo")
        self._db.execute(
            "INSERT INTO todo (position) SELECT position FROM source"
            " WHERE source NOT IN (SELECT source FROM record) ORDER BY position"
        )
        return Remaining(self._db)

    # --- records --------------------------------------------------------------------------------

    def add(self, lines: Iterable[Mapping[str, Any]], *, is_earlier: bool) -> None:
        """Add records from the lines of a journal; the last one of each source counts."""
        insert = "INSERT OR REPLACE INTO record VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        with self._db:
            self._db.execute("BEGIN")
            self._db.executemany(insert, ((*row, is_earlier) for row in self._rows(lines)))

    def _rows(self, lines: Iterable[Mapping[str, Any]]) -> Iterator[tuple[Any, ...]]:
        for line in lines:
            if "texts" in line:
                self._texts.update(line["texts"])
                rows = line["texts"].items()
                self._db.executemany("INSERT OR IGNORE INTO text VALUES (?, ?)", rows)
            elif set(line) == set(_NAMES) and line["changes"] in self._texts:
                values = (line[name] for name in _NAMES)
                yield tuple(v if isinstance(v, str) else json.dumps(v) for v in values)

    def change(self, source: str, status: Status, reason: str = "") -> Record:
        """Change status and reason of a record; return the new one.

        If it counts as written from now on, its output is one of an earlier run.
        """
        change = "UPDATE record SET status = ?, reason = ?, is_earlier = 1 WHERE source = ?"
        self._db.execute(change, (status, reason, source))
        found = self._db.execute("SELECT * FROM complete WHERE source = ?", (source,))
        return _record(found.fetchone())

    def forget(self, sources: Iterable[str]) -> None:
        """Delete records, so that their files are processed again."""
        rows = ((source,) for source in sources)
        self._db.executemany("DELETE FROM record WHERE source = ?", rows)

    # --- questions ------------------------------------------------------------------------------

    def outdated(self) -> Iterator[Record]:
        """Records of files that are not in the batch any more, and are not withdrawn yet."""
        question = (
            "SELECT * FROM complete WHERE status != 'withdrawn'"
            " AND source IN (SELECT source FROM gone)"
        )
        return map(_record, self._db.execute(question))

    def invalid(self) -> list[str]:
        """Sources of records that do not count any more.

        Their file or output is gone, they have the content of an output whose file is gone, or
        they were refused because of another file.
        """
        found = self._db.execute(
            "SELECT source FROM record WHERE status = 'withdrawn' OR reason IN (?, ?)"
            " OR source IN (SELECT source FROM gone)"
            " OR (status = 'written' AND output NOT IN before)"
            " OR output IN (SELECT output FROM gone WHERE status = 'written')",
            _RELATIVE,
        )
        return [source for (source,) in found]

    def raced(self) -> list[tuple[str, str]]:
        """Source and output of written files that share an output."""
        return self._db.execute(
            "SELECT source, output FROM record WHERE status = 'written' AND output IN"
            " (SELECT output FROM written GROUP BY output HAVING count(*) > 1) ORDER BY source"
        ).fetchall()

    def orphaned_duplicates(self) -> list[str]:
        """First source of each output that has duplicates only."""
        found = self._db.execute(
            "SELECT source, min(position) FROM source JOIN record USING (source)"
            " WHERE status IN ('duplicate', 'written') GROUP BY output"
            " HAVING NOT max(status = 'written')"
        )
        return [source for source, _ in found]

    def conflicting(self) -> list[tuple[str, Reason]]:
        """Sources that conflict: several patients in one study, or one UID with two contents.

        Either of them may be wrong, so all are refused.
        """
        found = self._db.execute(
            "SELECT source, study IN mixed FROM record"
            " WHERE status != 'refused' AND (study IN mixed OR instance IN twice)"
        ).fetchall()
        return [(s, Reason.MIXED_STUDY if is_mixed else Reason.CONFLICT) for s, is_mixed in found]

    def is_output(self, output: str) -> bool:
        """Whether a written file has this output."""
        one = "SELECT 1 FROM written WHERE output = ?"
        return self._db.execute(one, (output,)).fetchone() is not None

    def refused(self) -> Iterator[tuple[str, str, str]]:
        """Path, reason and places of each refused file, in order."""
        found = self._db.execute(
            "SELECT path, reason, places FROM source JOIN record USING (source)"
            " WHERE status = 'refused' ORDER BY position"
        )
        return ((os.fsdecode(path), reason, places) for path, reason, places in found)

    def leaks(self) -> tuple[int, Counter[str]]:
        """Number of outputs with a leak, and of outputs by place."""
        places: Counter[str] = Counter()
        files = 0
        for reason, found in self._db.execute("SELECT reason, places FROM record"):
            if reason == Reason.LEAK.value:
                files += 1
                places.update(found.split(", "))
        return files, places

    def withdrawn_and_replaced(self) -> tuple[int, int]:
        """Number of outputs that are gone since the beginning, and of those written anew.

        An output that a killed run left without a record is neither.
        """
        gone = "SELECT count(*) FROM before WHERE output NOT IN (SELECT output FROM written)"
        again = (
            "SELECT count(*) FROM before WHERE output IN (SELECT output FROM written)"
            " AND output IN deleted"
        )
        return self._number(gone), self._number(again)

    def _number(self, question: str) -> int:
        return int(self._db.execute(question).fetchone()[0])


class Remaining(Sequence[Named]):
    """Files to process, in order; read from disk by parts."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __len__(self) -> int:
        return int(self._db.execute("SELECT count(*) FROM todo").fetchone()[0])

    @overload
    def __getitem__(self, index: int) -> Named: ...
    @overload
    def __getitem__(self, index: slice) -> list[Named]: ...
    def __getitem__(self, index: int | slice) -> Named | list[Named]:
        if isinstance(index, int):
            return self[index : index + 1][0]
        places = range(len(self))[index]
        found = self._db.execute(
            "SELECT source, path FROM todo JOIN source USING (position)"
            " WHERE number > ? AND number <= ? ORDER BY number",
            (places.start, places.stop),
        )
        return [(key, os.fsdecode(path)) for key, path in found]


def _record(row: tuple[Any, ...]) -> Record:
    found = dict(zip(_NAMES, row, strict=True))
    found["actions"], found["flags"] = json.loads(found["actions"]), json.loads(found["flags"])
    return Record(**{**found, "flags": tuple(found["flags"])})
