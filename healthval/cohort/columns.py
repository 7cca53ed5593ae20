"""Columns of a table: check and convert one declared column.

Bad rows are found by a mask instead of by catching an error, so that no value is quoted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from healthval.contracts.table import (
    CategoryColumn,
    ColumnSchema,
    LabelColumn,
    NumberColumn,
    label_token,
    plain_token,
)
from healthval.errors import CohortError

if TYPE_CHECKING:
    import pandas as pd

# Spellings of a missing value in hospital exports. A declared level or label of that name is kept.
MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "nat", "<na>"})
OLDEST_CREDIBLE_AGE = 130
_ISO_DATE = (
    r"(?:1[5-9]|2\d)\d\d(?:-\d\d-\d\d|\d{4})"
    r"(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?)?"
)


def refuse_rows(bad: Any, column: str, problem: str, remedy: str) -> None:
    """Raise with column, count, first row and remedy if any row of the mask is set.

    Raises
    ------
    CohortError
        Rows are numbered from 0, as in a data frame; no value is quoted.
    """
    rows = np.flatnonzero(np.asarray(bad, dtype=bool))
    if rows.size:
        raise CohortError(
            f"column '{column}': {rows.size} of {len(bad)} values {problem} "
            f"(first at row {rows[0]}); {remedy}"
        )


def find_column(frame: pd.DataFrame, name: str, step: str) -> pd.Series:
    """Return a column of the cohort or of the rows to link.

    Raises
    ------
    CohortError
        If the column is absent; names the step.
    """
    if name not in frame.columns:
        raise CohortError(
            f"step '{step}': the cohort has no column '{name}'; declare it in the plan"
        )
    return frame[name]


def days_between(dates: pd.Series, anchor: pd.Series) -> pd.Series:
    """Calendar days from the anchor, negative before it; the time of day is ignored."""
    days: pd.Series = (dates.dt.normalize() - anchor.dt.normalize()).dt.days
    return days


def read_column(name: str, column: ColumnSchema, values: pd.Series) -> pd.Series:
    """Convert a source column to the type of its declaration.

    Returns
    -------
    Series of shape (n,): strings for id, cluster, zip and category; datetime64 for date; float for
    age and number; the words "positive", "negative" and "indeterminate" for a label. A missing
    value stays missing.

    Raises
    ------
    CohortError
        If a value does not fit; names column, count, first row and remedy.
    """
    values = values.reset_index(drop=True)
    if values.dtype == object:
        nested = values.map(lambda v: isinstance(v, (dict, list, tuple, set, bytes))).astype(bool)
        refuse_rows(nested, name, "are not single values", "give one number or one text a cell")
    converted: pd.Series = _READERS[column.kind](name, column, values)
    return converted


def as_text(values: pd.Series[Any], keep: frozenset[str] = frozenset()) -> pd.Series[Any]:
    """Trimmed text of a column; missing where the cell is empty or a spelling in `MISSING`."""
    import pandas as pd

    if pd.api.types.is_float_dtype(values) or pd.api.types.is_bool_dtype(values):
        values = values.astype(object)
    text = {value: _trimmed(value) for value in values.dropna().unique()}
    gone = {v for v, t in text.items() if t.lower() in MISSING and t not in keep}
    known: pd.Series[Any] = values.map({v: t for v, t in text.items() if v not in gone})
    return known.astype(object)


def _trimmed(value: Any) -> str:
    return plain_token(value) if isinstance(value, float) else str(value).strip()


def _read_id(name: str, _: Any, values: pd.Series) -> pd.Series:
    text = as_text(values)
    refuse_rows(
        text.isna(), name, "are missing", "give each row a value, or remove the rows without one"
    )
    return text


def _read_date(name: str, _: Any, values: pd.Series) -> pd.Series:
    import pandas as pd

    if pd.api.types.is_datetime64_any_dtype(values):
        dates = values
    else:
        text = as_text(values)
        # pandas alone also reads 45292, 12 and 2024-1-5 as dates.
        whole = text.str.fullmatch(_ISO_DATE, na=False)
        dates = pd.to_datetime(text.where(whole), format="ISO8601", errors="coerce", utc=True)
        refuse_rows(
            text.notna() & dates.isna(), name, "are not ISO 8601 dates", "write them as YYYY-MM-DD"
        )
    return dates.dt.tz_convert(None) if dates.dt.tz is not None else dates


def _numbers(name: str, values: pd.Series) -> pd.Series:
    import pandas as pd

    if not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
        text = as_text(values)
        numbers = pd.to_numeric(text, errors="coerce").astype(float)
        refuse_rows(
            text.notna() & numbers.isna(),
            name,
            "are not numbers",
            "use a decimal point, or declare the column 'category' or 'drop'",
        )
    else:
        numbers = values.astype(float)
    refuse_rows(np.isinf(numbers), name, "are infinite", "leave the cell empty where unknown")
    return numbers


def _read_number(name: str, column: NumberColumn, values: pd.Series) -> pd.Series:
    numbers = _numbers(name, values)
    low = -np.inf if column.low is None else column.low
    high = np.inf if column.high is None else column.high
    refuse_rows(
        (numbers < low) | (numbers > high),
        name,
        "are outside the declared low and high",
        f"check the unit{f' ({column.unit})' if column.unit else ''} or widen the limits",
    )
    return numbers


def _read_age(name: str, _: Any, values: pd.Series) -> pd.Series:
    ages = _numbers(name, values)
    refuse_rows(
        (ages < 0) | (ages > OLDEST_CREDIBLE_AGE),
        name,
        f"are outside 0 to {OLDEST_CREDIBLE_AGE} years",
        "give ages in years",
    )
    return ages


def _read_zip(name: str, _: Any, values: pd.Series) -> pd.Series:
    text = as_text(values)
    # A spreadsheet that reads ZIP codes as numbers removes the leading zero (New England).
    padded = text.str.replace("-", "", regex=False)
    padded = padded.where(padded.str.len() != 4, "0" + padded)
    bad = text.notna() & ~padded.str.fullmatch(r"\d{3}|\d{5}|\d{9}", na=False)
    refuse_rows(bad, name, "are not ZIP codes", "give five digits, or declare the column 'drop'")
    return padded


def _read_category(name: str, column: CategoryColumn, values: pd.Series) -> pd.Series:
    names = {plain_token(source): level for source, level in column.names.items()}
    text = as_text(values, keep=frozenset(names))
    found = text.map(lambda t: names.get(plain_token(t)), na_action="ignore")
    problem, remedy = "are outside the declared levels", "add the level or map it"
    return _all_declared(name, text, found, problem=problem, remedy=remedy)


def _read_label(name: str, column: LabelColumn, values: pd.Series) -> pd.Series:
    verdicts = {
        label_token(value): verdict
        for verdict in ("positive", "negative", "indeterminate")
        for value in getattr(column, verdict)
    }
    declared = {str(v).strip() for v in (*column.positive, *column.negative, *column.indeterminate)}
    text = as_text(values, keep=frozenset(declared))
    found = text.map(lambda t: verdicts.get(label_token(t)), na_action="ignore")
    problem = "are outside the declared label values"
    remedy = "list them as positive, negative or indeterminate; leave unknown ones empty"
    return _all_declared(name, text, found, problem=problem, remedy=remedy)


def _all_declared(
    name: str, text: pd.Series, found: pd.Series, *, problem: str, remedy: str
) -> pd.Series:
    """Return the declared words found for a text; refuse texts without one."""
    found = found.astype(object)
    refuse_rows(text.notna() & found.isna(), name, problem, remedy)
    return found.where(found.notna(), None)


_READERS: dict[str, Callable[[str, Any, Any], Any]] = {
    "id": _read_id,
    "cluster": _read_id,
    "date": _read_date,
    "age": _read_age,
    "zip": _read_zip,
    "category": _read_category,
    "number": _read_number,
    "label": _read_label,
}
