"""Queries over submissions and audit: by Athena in the cloud, by DuckDB over the same files here.

The SQL is Trino's, in the part that DuckDB shares; its two parameters are the first and the last day.
"""

import glob
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from healthval.errors import DeploymentError, UsageError
from healthval.files import install_command, packaged
from healthval.hub.backends.query_rows import COLUMNS

if TYPE_CHECKING:
    from healthval.cloud.deploy import Account

FIRST_DAY, LAST_DAY = "2026-01-01", "9999-12-31"  # all partitions of the tables
WAIT_SECONDS = 300
PAUSE_SECONDS = 0.5
_DUCKDB_TYPES = {"string": "VARCHAR", "bigint": "BIGINT"}


@dataclass(frozen=True, slots=True)
class Answer:
    """Columns and rows of a query, as text; "" is a missing value."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def queries() -> dict[str, str]:
    """Return the first line of each packaged query by its name."""
    found = {path.stem: path.read_text(encoding="utf-8") for path in _folder().glob("*.sql")}
    return {
        name: text.partition("\n")[0].removeprefix("-- ") for name, text in sorted(found.items())
    }


def text_of(name: str) -> str:
    """Return the SQL of a packaged query.

    Raises
    ------
    UsageError
        If there is no query of this name.
    """
    if name not in queries():
        raise UsageError(f"there is no such query; choose one of {', '.join(queries())}")
    return (_folder() / f"{name}.sql").read_text(encoding="utf-8")


def query_files(name: str, objects: Path, days: tuple[str, str]) -> Answer:
    """Run a query by DuckDB over the rows in a folder of objects.

    Parameters
    ----------
    objects : folder that contains ``analytics/TABLE/day=DAY/*.json``
    days : first and last day, YYYY-MM-DD in UTC
    """
    try:
        import duckdb
    except ModuleNotFoundError:
        raise UsageError(
            f"a query over an embedded hub needs duckdb: {install_command('query')}"
        ) from None

    with duckdb.connect(":memory:") as database:
        for table, columns in COLUMNS.items():
            _create(database, table, columns, objects / "analytics" / table)
        found = database.execute(text_of(name), list(days))
        columns_found = tuple(column[0] for column in found.description)
        return Answer(columns_found, tuple(tuple(map(_text, row)) for row in found.fetchall()))


def query_athena(name: str, account: "Account", stack: str, days: tuple[str, str]) -> Answer:
    """Run a query by Athena in the workgroup of a deployed hub.

    Raises
    ------
    DeploymentError
        If AWS refuses the query or does not finish it; gives AWS's reason.
    """
    from healthval.cloud.reach import reaching

    athena = account.client("athena")
    with reaching():
        made = athena.start_query_execution(
            QueryString=text_of(name),
            QueryExecutionContext={"Database": stack.replace("-", "_")},
            WorkGroup=stack,
            ExecutionParameters=[f"'{day}'" for day in days],
        )
    _wait(athena, made["QueryExecutionId"])
    with reaching():
        header, *rows = _athena_rows(athena, made["QueryExecutionId"])
    return Answer(header, tuple(rows))


def _wait(athena: Any, execution: str) -> None:
    from healthval.cloud.reach import reaching

    end = time.monotonic() + WAIT_SECONDS
    while True:
        with reaching():
            found = athena.get_query_execution(QueryExecutionId=execution)
        status = found["QueryExecution"]["Status"]
        if status["State"] == "SUCCEEDED":
            return
        if status["State"] in {"FAILED", "CANCELLED"}:
            reason = status.get("StateChangeReason", "AWS gives no reason")
            raise DeploymentError(f"Athena did not run the query: {reason}")
        if time.monotonic() > end:
            athena.stop_query_execution(QueryExecutionId=execution)
            raise DeploymentError("Athena did not finish the query; choose fewer days")
        time.sleep(PAUSE_SECONDS)


def _athena_rows(athena: Any, execution: str) -> Iterator[tuple[str, ...]]:
    """Yield the header, then the rows."""
    more: dict[str, str] = {}
    while True:
        page = athena.get_query_results(QueryExecutionId=execution, **more)
        for row in page["ResultSet"]["Rows"]:
            yield tuple(cell.get("VarCharValue", "") for cell in row["Data"])
        if not page.get("NextToken"):
            return
        more = {"NextToken": page["NextToken"]}


def _create(database: Any, table: str, columns: Mapping[str, str], folder: Path) -> None:
    typed = {name: _DUCKDB_TYPES[kind] for name, kind in columns.items()}
    listed = ", ".join(f'"{name}" {kind}' for name, kind in (*typed.items(), ("day", "VARCHAR")))
    database.execute(f"CREATE TABLE {table} ({listed})")
    if any(folder.glob("day=*/*.json")):
        database.execute(
            f"INSERT INTO {table} BY NAME SELECT * FROM read_json($files, columns = $columns,"  # noqa: S608 - names are constants
            " format = 'newline_delimited', hive_partitioning = true, hive_types_autocast = false)",
            {"files": str(Path(glob.escape(str(folder)), "day=*", "*.json")), "columns": typed},
        )


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _folder() -> Path:
    return packaged("infra") / "queries"
