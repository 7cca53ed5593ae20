"""Tables of a site: read the declared columns only, check every value, quote none."""

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
from healthval.errors import CohortError, counted

if TYPE_CHECKING:
    import pandas as pd

    Source = str | Path | pd.DataFrame | Query


def read_table(source: Source, schema: TableSchema | Mapping[str, Any]) -> Cohort:
    """Read a CSV or Parquet file, a data frame or a database query as a cohort, one row a case.

    The schema is the plan's, or a mapping of its text; see `as_schema`. Columns that the schema does
    not declare are dropped and listed in `dropped`.

    Raises
    ------
    CohortError
        If a declared column is absent, a value does not fit its declaration, a case is repeated, or
        the table has no rows.
    """
    return as_cohort(read_source(source), as_schema(schema))


def as_schema(schema: TableSchema | Mapping[str, Any]) -> TableSchema:
    """Convert a mapping to a schema: the plan's ``table``, or its columns alone.

    A column whose kind has no required fields can be given by the name of its kind.

    Raises
    ------
    CohortError
        If the mapping does not fit; names the places.

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
            f"{counted(len(places), 'place of the schema does', 'places of the schema do')} not fit "
            f"({', '.join(places)}); "
            "see docs/cohort.md for the kinds and their fields"
        ) from None


def as_cohort(frame: pd.DataFrame, schema: TableSchema, step: str = "rows_read") -> Cohort:
    """Convert a raw table to a cohort after checking it; see `read_table`."""
    checked = check_frame(frame, schema)
    key = _case_key(schema)
    refuse_rows(
        checked[key].duplicated(keep="first"),
        key,
        "repeat an earlier case",
        _remedy_for_repetition(schema),
    )
    dropped = tuple(str(c) for c in frame.columns if c not in schema.columns)
    return Cohort(checked, schema.settled(), ((step, len(checked)),), dropped)


def read_source(source: Source) -> pd.DataFrame:
    """Load the raw table; the cells of a CSV file stay text, so that leading zeros are kept."""
    import pandas as pd

    if isinstance(source, pd.DataFrame):
        return source
    if isinstance(source, Query):
        return read_query(source)
    path = Path(source)
    if not path.is_file():
        raise CohortError("the file of the table does not exist; check the path")
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
            "the table cannot be read as CSV (UTF-8, comma separated, one header line); "
            "export it again"
        ) from None
    if ragged:
        raise CohortError(
            f"{len(ragged)} of {n_rows} rows do not have as many fields as the header line "
            f"(first at row {ragged[0]}); quote fields that contain a comma or a line break"
        )
    frame = pd.read_csv(
        path, dtype=str, keep_default_na=False, index_col=False, encoding="utf-8-sig"
    )
    frame.columns = pd.Index(header)  # pandas renames a repeated column
    return frame


def _shape(lines: Iterator[list[str]]) -> tuple[list[str], int, list[int]]:
    """Header, number of rows, and the rows whose number of fields differs from the header's."""
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
        If a column is absent or repeated, the table is empty, or a value does not fit.
    """
    import pandas as pd

    wanted = [name for name, column in schema.columns.items() if column.kind != "drop"]
    units = {
        name: column.unit_column
        for name, column in schema.columns.items()
        if isinstance(column, NumberColumn) and column.unit_column
    }
    _check_names(frame, [*wanted, *units.values()])
    if not len(frame):
        raise CohortError("the table has no rows; check the export, or the query")
    for name, unit_column in units.items():
        _check_units(frame, name, unit_column, schema)
    return pd.DataFrame({name: _read(frame, name, schema) for name in wanted})


def _check_names(frame: pd.DataFrame, needed: list[str]) -> None:
    missing = [name for name in needed if name not in frame.columns]
    if missing:
        raise CohortError(
            f"{counted(len(missing), 'declared column is', 'declared columns are')} not in the "
            f"table ({', '.join(missing)}); correct the plan's names or the table's header line"
        )
    names = list(frame.columns)
    repeated = [name for name in needed if names.count(name) > 1]
    if repeated:
        raise CohortError(
            f"{counted(len(repeated), 'column is', 'columns are')} repeated in the table "
            f"({', '.join(repeated)}); keep one of each name"
        )


def _read(frame: pd.DataFrame, name: str, schema: TableSchema) -> pd.Series:
    column = schema.columns[name]
    values = frame[name]
    if isinstance(column, AgeColumn) and column.at:
        at = read_column(column.at, schema.columns[column.at], frame[column.at])
        values = _ages_at(name, values, at)
    return read_column(name, column, values)


def _ages_at(name: str, births: pd.Series, at: pd.Series) -> pd.Series:
    """Age in completed calendar years, from the date of birth to the date `at`."""
    born = read_column(name, DateColumn(kind="date"), births)
    had_birthday = (at.dt.month * 100 + at.dt.day) >= (born.dt.month * 100 + born.dt.day)
    years = at.dt.year - born.dt.year - (~had_birthday).astype(int)
    refuse_rows(
        at.dt.normalize() < born.dt.normalize(),
        name,
        "are after the date of the age",
        "check both dates",
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
        raise CohortError("the schema declares no 'id'; declare the column that identifies a case")
    return ids[0]


def _remedy_for_repetition(schema: TableSchema) -> str:
    if schema.of_kind("cluster"):
        return "keep one row for each scored case"
    return "if it names the patient, declare it 'cluster' and add an 'id' column for the case"
