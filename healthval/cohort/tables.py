"""Tables of a site: read the declared columns only, check every value, quote none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from healthval.cohort.cohort import Cohort, Counts
from healthval.cohort.columns import read_column, single_values
from healthval.cohort.dates import instant_column, read_dates
from healthval.cohort.long_columns import is_unique
from healthval.cohort.measured import read_measured
from healthval.cohort.sql import Query, read_query
from healthval.cohort.table_files import read_table_file
from healthval.cohort.text import missing_codes, refuse_rows
from healthval.contracts.table import AgeColumn, DateColumn, NumberColumn, TableSchema
from healthval.errors import CohortError, counted

if TYPE_CHECKING:
    import pandas as pd

    Source = str | Path | pd.DataFrame | Query


def read_table(source: Source, schema: TableSchema | Mapping[str, Any]) -> Cohort:
    """Read a CSV or Parquet file, a data frame or a database query as a cohort, one row per case.

    The schema is the plan's, or a mapping of its text; see `as_schema`. Columns that the schema does
    not declare are dropped and listed in `dropped`.

    Raises
    ------
    CohortError
        If a declared column is absent, a value does not fit its declaration, a case is repeated, or
        the table has no rows.
    """
    schema = as_schema(schema)
    frame, others = read_declared(source, schema)
    return as_cohort(frame, schema, others=others)


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


def as_cohort(
    frame: pd.DataFrame,
    schema: TableSchema,
    step: str = "rows_read",
    *,
    others: tuple[str, ...] = (),
) -> Cohort:
    """Convert a raw table to a cohort after checking it; see `read_table`.

    Parameters
    ----------
    others : names of the source's columns that are not in the frame
    """
    checked, counts = check_and_count(frame, schema, others)
    _check_unique(checked, schema)
    dropped = tuple(str(c) for c in (*frame.columns, *others) if c not in schema.columns)
    return Cohort(
        _frame=checked,
        schema=schema.settled(),
        steps=((step, len(checked)),),
        dropped=dropped,
        counts=counts,
    )


def read_source(source: Source) -> pd.DataFrame:
    """Load the raw table; the cells of a text file stay text, so that leading zeros are kept."""
    return _load(source)[0]


def read_declared(source: Source, schema: TableSchema) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Load the declared columns of a table; also return the names of columns that were not read."""
    own = schema.sources
    frame, others = _load(source, frozenset(own.get(name, name) for name in _needed(schema)))
    return _named(frame, own), others


def read_columns(source: Source, schema: TableSchema) -> pd.DataFrame:
    """Load the whole raw table under the names that the schema declares."""
    return _named(read_source(source), schema.sources)


def _named(frame: pd.DataFrame, own: Mapping[str, str]) -> pd.DataFrame:
    """Give the site's own columns their declared names; a column that has such a name gives way."""
    if not own:
        return frame
    replaced = [name for name in own if name in frame.columns and name not in own.values()]
    kept = frame.drop(columns=replaced)
    return kept.rename(columns={theirs: name for name, theirs in own.items()})


def _load(
    source: Source, wanted: frozenset[str] | None = None
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    import pandas as pd

    if isinstance(source, pd.DataFrame):
        return source, ()
    if isinstance(source, Query):
        return read_query(source), ()
    return read_table_file(Path(source), wanted)


def check_frame(frame: pd.DataFrame, schema: TableSchema) -> pd.DataFrame:
    """Convert the declared columns; see `read_column` for the types.

    Raises
    ------
    CohortError
        If a column is absent or repeated, the table is empty, or a value does not fit.
    """
    return check_and_count(frame, schema)[0]


def check_and_count(
    frame: pd.DataFrame, schema: TableSchema, others: tuple[str, ...] = ()
) -> tuple[pd.DataFrame, Counts]:
    """Convert the declared columns, and count values below a limit and in another unit.

    The frame has a hidden column of instants for a date whose offsets from UTC differ; see
    `read_dates`.
    """
    import pandas as pd

    _check_names(frame, schema, others)
    if not len(frame):
        raise CohortError("the table has no rows; check the export, or the query")
    read: dict[str, pd.Series] = {}
    counts: Counts = ()
    for name, column in schema.columns.items():
        if column.kind == "drop":
            continue
        if isinstance(column, NumberColumn):
            read[name], found = read_measured(name, column, frame)
            counts += found
        elif isinstance(column, DateColumn):
            values = single_values(name, frame[name])
            read[name], instants = read_dates(name, values, missing_codes(column))
            if instants is not None:
                read[instant_column(name)] = instants
        else:
            read[name] = _read(frame, name, schema)
    return pd.DataFrame(read, copy=False), counts


def table_problems(source: Source, schema: TableSchema) -> list[str]:
    """Return all problems of a table at once, each with count, place and remedy; see `read_table`."""
    try:
        frame, others = read_declared(source, schema)
    except CohortError as problem:
        return [str(problem)]
    found = [*_problem(lambda: _check_names(frame, schema, others))]
    for name, column in schema.columns.items():
        at = getattr(column, "at", None)
        alone = {n: c for n, c in schema.columns.items() if n in {name, at}}
        part = schema.model_copy(update={"columns": alone})
        names = _needed(part)
        if column.kind != "drop" and not _absent(frame, names):
            found += _column_problems(frame[names], part)
            if name in schema.of_kind("id")[:1]:
                found += _problem(partial(_check_repetition, frame[names], part, schema))
    return list(dict.fromkeys(found)) or _problem(lambda: as_cohort(frame, schema, others=others))


def _column_problems(frame: pd.DataFrame, part: TableSchema) -> list[str]:
    """All problems of a column: rows that one of them concerns are missing for the next check."""
    found: list[str] = []
    while True:
        try:
            check_and_count(frame, part)
        except CohortError as problem:
            found.append(str(problem))
            if part.of_kind("id") or not problem.rows:
                return found
            frame = frame.astype(object)
            frame.iloc[list(problem.rows)] = None
            if len(set(found)) < len(found):
                return found
        else:
            return found


def _check_repetition(frame: pd.DataFrame, part: TableSchema, schema: TableSchema) -> None:
    _check_unique(check_frame(frame, part), schema)


def _check_unique(checked: pd.DataFrame, schema: TableSchema) -> None:
    key = _case_key(schema)
    if not is_unique(checked[key]):
        remedy = _remedy_for_repetition(schema)
        refuse_rows(checked[key].duplicated(), key, "repeat an earlier case", remedy)


def _absent(frame: pd.DataFrame, names: list[str]) -> bool:
    held = list(frame.columns)
    return any(held.count(name) != 1 for name in names)


def _problem(check: Callable[[], object]) -> list[str]:
    try:
        check()
    except CohortError as problem:
        return [str(problem)]
    return []


def _needed(schema: TableSchema) -> list[str]:
    """Names of the columns that are read, also those with units and comparators."""
    wanted = [name for name, column in schema.columns.items() if column.kind != "drop"]
    numbers = [c for c in schema.columns.values() if isinstance(c, NumberColumn)]
    beside = [name for c in numbers for name in (c.unit_column, c.comparator_column) if name]
    return [*wanted, *beside]


def _check_names(frame: pd.DataFrame, schema: TableSchema, others: tuple[str, ...]) -> None:
    needed = _needed(schema)
    missing = [schema.sources.get(name, name) for name in needed if name not in frame.columns]
    if missing:
        raise CohortError(
            f"{counted(len(missing), 'declared column is', 'declared columns are')} not in the "
            f"table ({', '.join(missing)}); {_remedy_for_names([*map(str, frame.columns), *others], missing)}"
        )
    names = list(frame.columns)
    repeated = [name for name in needed if names.count(name) > 1]
    if repeated:
        raise CohortError(
            f"{counted(len(repeated), 'column is', 'columns are')} repeated in the table "
            f"({', '.join(repeated)}); keep one of each name"
        )


def _remedy_for_names(names: list[str], missing: list[str]) -> str:
    """Remedy for absent columns; names a spelling only if it is a declared name but for its case."""
    alike = {name.strip().casefold(): name for name in names}
    found = [alike[name.strip().casefold()] for name in missing if name.strip().casefold() in alike]
    if found:
        spelled = ", ".join(f"'{name}'" for name in found)
        return f"the table's header line spells {spelled}: correct capital letters and spaces"
    one = f"; its header line was read as {counted(len(names), 'column')}"
    return f"correct the plan's names or the table's header line{one}"


def _read(frame: pd.DataFrame, name: str, schema: TableSchema) -> pd.Series:
    column = schema.columns[name]
    values = frame[name]
    if not isinstance(column, AgeColumn) or not column.at:
        return read_column(name, column, values)
    if column.at not in frame.columns:
        raise CohortError(
            f"column '{name}' is an age at '{column.at}', which another source adds later; put the date "
            "of birth into the table or the first view, where an age may name any date"
        )
    born = read_column(name, birth_of(column), values)
    at = read_column(column.at, schema.columns[column.at], frame[column.at])
    return ages_at(name, column, born, at)


def birth_of(column: AgeColumn) -> DateColumn:
    """Column of the date of birth from which an age is computed."""
    return DateColumn(kind="date", missing=column.missing)


def ages_at(name: str, column: AgeColumn, born: pd.Series, at: pd.Series) -> pd.Series:
    """Age in completed calendar years on the day `at`; missing where one of the dates is.

    Raises
    ------
    CohortError
        If a date of birth is after the day, or an age is outside the limits.
    """
    had_birthday = (at.dt.month * 100 + at.dt.day) >= (born.dt.month * 100 + born.dt.day)
    years = at.dt.year - born.dt.year - (~had_birthday).astype(int)
    refuse_rows(
        at.dt.normalize() < born.dt.normalize(),
        name,
        "are after the date of the age",
        "check both dates",
    )
    ages: pd.Series = years.astype(float).where(born.notna() & at.notna())
    return read_column(name, column.model_copy(update={"missing": ()}), ages)


def _case_key(schema: TableSchema) -> str:
    ids = schema.of_kind("id")
    if not ids:
        raise CohortError("the schema declares no 'id'; declare the column that identifies a case")
    return ids[0]


def _remedy_for_repetition(schema: TableSchema) -> str:
    if schema.of_kind("cluster"):
        return "keep one row for each scored case"
    return "if it names the patient, declare it 'cluster' and add an 'id' column for the case"
