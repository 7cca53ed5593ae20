"""Read a site's table: only declared columns, every value checked, none of them quoted."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from healthval.cohort.cohort import Cohort
from healthval.cohort.columns import as_text, read_column, refuse_rows
from healthval.cohort.sql import Query, read_query
from healthval.contracts.table import AgeColumn, DateColumn, NumberColumn, TableSchema, plain_token
from healthval.errors import CohortError

if TYPE_CHECKING:
    import pandas as pd

    Source = str | Path | pd.DataFrame | Query


def read_table(source: Source, schema: TableSchema | Mapping[str, Any]) -> Cohort:
    """Read a CSV or Parquet file, a data frame or a database query as a cohort, one row a case.

    The schema may be the plan's, or its text as a mapping; see `as_schema`.

    Raises
    ------
    CohortError
        If a declared column is absent, a value does not fit its declaration, a case occurs twice or
        there is no row. Columns that the schema does not name are dropped and listed in `dropped`.
    """
    return as_cohort(read_source(source), as_schema(schema))


def as_schema(schema: TableSchema | Mapping[str, Any]) -> TableSchema:
    """Read a schema that is still a mapping: the plan's ``table``, or its columns alone.

    A column may be its kind alone, where the kind needs nothing else.

    Raises
    ------
    CohortError
        If it does not fit; names the places.

    Examples
    --------
    >>> as_schema({"mrn": "id", "age": {"kind": "age", "bands": [65]}}).of_kind("id")
    ('mrn',)
    """
    if isinstance(schema, TableSchema):
        return schema
    table = schema if isinstance(schema.get("columns"), Mapping) else {"columns": schema}
    columns = {n: {"kind": c} if isinstance(c, str) else c for n, c in table["columns"].items()}
    try:
        return TableSchema.model_validate({**table, "columns": columns})
    except ValidationError as error:
        places = sorted({".".join(map(str, e["loc"][:2])) or "table" for e in error.errors()})
        raise CohortError(
            f"{len(places)} places of the schema do not fit ({', '.join(places)}); "
            "see docs/cohort.md for the kinds and what they need"
        ) from None


def as_cohort(frame: pd.DataFrame, schema: TableSchema, step: str = "rows_read") -> Cohort:
    """Check a raw table and make it a cohort; see `read_table`."""
    checked = check_frame(frame, schema)
    key = _case_key(schema)
    refuse_rows(
        checked[key].duplicated(keep="first"), key, "repeat an earlier case", _remedy(schema)
    )
    dropped = tuple(str(c) for c in frame.columns if c not in schema.columns)
    return Cohort(checked, schema.settled(), ((step, len(checked)),), dropped)


def read_source(source: Source) -> pd.DataFrame:
    """Load the raw table; text files are read as text, so that no identifier loses a leading zero."""
    import pandas as pd

    if isinstance(source, pd.DataFrame):
        return source
    if isinstance(source, Query):
        return read_query(source)
    path = Path(source)
    if not path.is_file():
        raise CohortError("the table's file does not exist; check the path")
    if path.suffix.lower() not in {".parquet", ".pq"}:
        return _read_csv(path)
    try:
        return pd.read_parquet(path)
    except Exception:  # the parser may quote the file
        raise CohortError("the table cannot be read as Parquet; export it again") from None


def _read_csv(path: Path) -> pd.DataFrame:
    import pandas as pd

    opener = gzip.open if path.suffix.lower() == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8-sig", newline="") as lines:
            header, n_rows, ragged = _shape(csv.reader(lines, strict=True))
    except (OSError, EOFError, UnicodeDecodeError, csv.Error, StopIteration):
        raise CohortError(
            "the table cannot be read as CSV (UTF-8, comma separated, one header line); export it again"
        ) from None
    if ragged:
        raise CohortError(
            f"{len(ragged)} of {n_rows} rows do not have as many fields as the header line "
            f"(first at row {ragged[0]}); quote fields that contain a comma or a line break"
        )
    frame = pd.read_csv(
        path, dtype=str, keep_default_na=False, index_col=False, encoding="utf-8-sig"
    )
    frame.columns = pd.Index(header)  # as written: pandas would rename a repeated column
    return frame


def _shape(lines: Iterator[list[str]]) -> tuple[list[str], int, list[int]]:
    """Header, number of rows, and the rows that do not have the header's number of fields."""
    header = next(lines)
    row, ragged = -1, []
    for row, fields in enumerate(line for line in lines if line):
        if len(fields) != len(header):
            ragged.append(row)
    return header, row + 1, ragged


def check_frame(frame: pd.DataFrame, schema: TableSchema) -> pd.DataFrame:
    """Convert the declared columns; see `read_column` for the types.

    Raises
    ------
    CohortError
        If a column is absent or occurs twice, the table is empty, or a value does not fit.
    """
    import pandas as pd

    wanted = [name for name, column in schema.columns.items() if column.kind != "drop"]
    units = {n: c.unit_column for n, c in schema.columns.items() if isinstance(c, NumberColumn)}
    needed = [*wanted, *(unit for unit in units.values() if unit)]
    missing = [name for name in needed if name not in frame.columns]
    if missing:
        raise CohortError(
            f"{len(missing)} declared columns are not in the table ({', '.join(missing)}); "
            "correct the plan's names or the table's header line"
        )
    twice = [name for name in needed if list(frame.columns).count(name) > 1]
    if twice:
        raise CohortError(f"columns occur twice in the table ({', '.join(twice)}); keep one each")
    if not len(frame):
        raise CohortError("the table has no rows; nothing can be evaluated")
    for name, unit_column in units.items():
        if unit_column:
            _check_units(frame, name, unit_column, schema)
    checked = {}
    for name in wanted:
        column = schema.columns[name]
        values = frame[name]
        if isinstance(column, AgeColumn) and column.at:
            values = _ages_at(
                name, values, read_column(column.at, schema.columns[column.at], frame[column.at])
            )
        checked[name] = read_column(name, column, values)
    return pd.DataFrame(checked)


def _ages_at(name: str, births: pd.Series, at: pd.Series) -> pd.Series:
    """Completed years from a date of birth, as in the calendar."""
    born = read_column(name, DateColumn(kind="date"), births)
    had_birthday = (at.dt.month * 100 + at.dt.day) >= (born.dt.month * 100 + born.dt.day)
    years = at.dt.year - born.dt.year - (~had_birthday).astype(int)
    refuse_rows(
        at.dt.normalize() < born.dt.normalize(), name, "lie after the date of the age", "check both"
    )
    ages: pd.Series = years.astype(float).where(born.notna() & at.notna())
    return ages


def _check_units(frame: pd.DataFrame, name: str, unit_column: str, schema: TableSchema) -> None:
    column = schema.columns[name]
    assert isinstance(column, NumberColumn)  # noqa: S101 (narrows the type for mypy)
    unit = as_text(frame[unit_column]).reset_index(drop=True)
    given = as_text(frame[name]).reset_index(drop=True).notna()
    refuse_rows(
        given & (unit.map(plain_token, na_action="ignore") != column.unit),
        name,
        f"are not in the declared unit ({column.unit})",
        "convert them, or correct the plan's unit",
    )


def _case_key(schema: TableSchema) -> str:
    ids = schema.of_kind("id")
    if not ids:
        raise CohortError("the schema declares no 'id'; name the column that identifies a case")
    return ids[0]


def _remedy(schema: TableSchema) -> str:
    if schema.of_kind("cluster"):
        return "keep one row for each scored case"
    return "declare it 'cluster' if it names the patient, and give each case an 'id' of its own"
