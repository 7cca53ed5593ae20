"""Columns of a table: check and convert one declared column.

Bad rows are found by a mask instead of by catching an error, so that no value is quoted.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from healthval.cohort.dates import read_dates
from healthval.cohort.long_columns import (
    as_plain,
    by_level,
    compact,
    is_coded,
    is_long_text,
    plain_ids,
    plain_numbers,
)
from healthval.cohort.text import MISSING, are_missing, as_text, missing_codes, refuse_rows
from healthval.contracts.table import (
    OLDEST_CREDIBLE_AGE,
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

_BELOW = r"(?:<=?|≤)\s*[-+]?(?:\d+[.,]?\d*|[.,]\d+)(?:[eE][-+]?\d+)?"
# Whole numbers from here on are not exact as decimals of 64, 32 and 16 bits.
_EXACT, _EXACT_SHORT = 2**53, {"float32": 2**24, "float16": 2**11}


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
    values = single_values(name, values)
    read = partial(_READERS[column.kind], name, column)
    converted: pd.Series | None = by_level(values, read) if is_coded(values) else None
    return read(as_plain(values)) if converted is None else converted


def single_values(name: str, values: pd.Series) -> pd.Series:
    """Return the column with rows numbered from 0.

    Raises
    ------
    CohortError
        If a cell is not one text, number, truth value or date.
    """
    import pandas as pd

    values = values.reset_index(drop=True)
    nested = np.zeros(len(values), dtype=bool)
    if values.dtype == object:
        kinds = (dict, list, tuple, set, frozenset, bytes, complex, np.ndarray, pd.DataFrame)
        nested = values.map(lambda v: isinstance(v, kinds)).to_numpy(dtype=bool)
    elif pd.api.types.is_complex_dtype(values) or pd.api.types.is_timedelta64_dtype(values):
        nested = np.ones(len(values), dtype=bool)
    elif is_coded(values) or is_long_text(values):
        return compact(values)
    elif isinstance(values.dtype, pd.api.extensions.ExtensionDtype) and (
        pd.api.types.is_float_dtype(values)
    ):
        return values.astype(values.dtype.numpy_dtype)  # type: ignore[attr-defined]
    elif not isinstance(values.dtype, (np.dtype, pd.StringDtype, pd.DatetimeTZDtype)):
        return values.astype(object).where(values.notna(), None)
    refuse_rows(
        nested, name, "are more than one number or text", "give one number or one text per cell"
    )
    return values


def _read_id(name: str, _: Any, values: pd.Series) -> pd.Series:
    if is_long_text(values) and (plain := plain_ids(values, MISSING)) is not None:
        return plain
    text = as_text(values)
    refuse_rows(
        text.isna(), name, "are missing", "give each row a value, or remove the rows without one"
    )
    return _as_record_numbers(name, values, text)


def _as_record_numbers(name: str, values: pd.Series, text: pd.Series) -> pd.Series:
    """Refuse ids that a spreadsheet or a decimal column may have changed."""
    decimal = text.str.fullmatch(r"-?\d+\.0+", na=False)
    whole = text.where(~decimal, text.str.replace(r"\.0+$", "", regex=True))
    refuse_inexact(name, values, text)
    if decimal.all():  # a column of whole numbers that was exported as decimals
        return whole
    both = decimal & whole.isin(set(text[~decimal]))
    refuse_rows(
        both,
        name,
        "have a decimal point, and others are the same number without it",
        "export the column as text, in one spelling",
    )
    return text


def refuse_inexact(name: str, values: pd.Series, text: pd.Series) -> None:
    """Refuse ids that may have lost digits as decimal numbers.

    Parameters
    ----------
    values, text : the column as its source has it, and its text
    """
    import pandas as pd

    limit = _EXACT_SHORT.get(str(values.dtype).lower(), _EXACT)
    decimal = text.str.fullmatch(r"-?\d+\.0+", na=False)
    is_float = values.map(lambda v: isinstance(v, (float, np.floating))).to_numpy(dtype=bool)
    size = pd.to_numeric(text.where(decimal | is_float), errors="coerce").abs()
    refuse_rows(
        (size >= limit) | text.str.fullmatch(r"\d(?:\.\d+)?[eE]\+\d+", na=False),
        name,
        "have lost digits as decimal numbers",
        "export the column as text",
    )


def _read_date(name: str, column: Any, values: pd.Series) -> pd.Series:
    return read_dates(name, values, missing_codes(column))[0]


def _numbers(
    name: str,
    values: pd.Series,
    missing: frozenset[str] = frozenset(),
    *,
    limits: str = "declare 'below_limit' for '<' (value, half or exclude), and leave '>' empty",
) -> pd.Series:
    import pandas as pd

    if is_long_text(values):
        gone = partial(are_missing, missing=missing)
        if (found := plain_numbers(values, missing, gone)) is not None:
            return found
    plain = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    if plain and not missing:
        numbers = values.astype(float)
    else:
        text = _with_points(as_text(values, missing=missing))
        numbers = pd.to_numeric(text, errors="coerce").astype(float)
        _refuse_texts(name, text, text.notna() & numbers.isna(), limits)
    refuse_rows(np.isinf(numbers), name, "are infinite", "leave the cell empty where unknown")
    return numbers


def _refuse_texts(name: str, text: pd.Series, bad: pd.Series, limits: str) -> None:
    """Refuse cells that are not numbers, with the remedy for the kind of text."""
    refuse_rows(
        bad & text.str.match(r"[<>≤≥]", na=False),
        name,
        "are below or above a limit of measurement",
        limits,
    )
    refuse_rows(
        bad & text.str.fullmatch(r"[-+]?\d+,\d+", na=False),
        name,
        "have a comma that may be a decimal or a thousands separator",
        "write a decimal point, and no thousands separator",
    )
    refuse_rows(
        bad,
        name,
        "are not a number",
        "use a decimal point, list codes of missing values under 'missing', or declare the "
        "column 'category' or 'drop'",
    )


def _with_points(text: pd.Series) -> pd.Series:
    """Write decimal commas as points, if the column has no point and no comma can be a thousands one."""
    comma = text.str.fullmatch(r"[-+]?\d+,\d+", na=False)
    certain = comma & ~text.str.fullmatch(r"[-+]?\d{1,3},\d{3}", na=False)
    if not certain.any() or text.str.contains(".", regex=False, na=False).any():
        return text
    return text.where(~comma, text.str.replace(",", ".", regex=False))


def read_limited(
    name: str, column: NumberColumn, values: pd.Series, comparators: pd.Series | None
) -> tuple[pd.Series, int]:
    """Read numbers with results below a limit, as declared; before units are converted.

    Parameters
    ----------
    comparators : "<" and the like, beside each value, or None

    Returns
    -------
    The numbers, and how many of them were below a limit.
    """
    values = single_values(name, values)
    read = partial(_with_limits, name, column)
    found = by_level(values, read) if is_coded(values) else None
    found = read(as_plain(values)) if found is None else found
    numbers, below = found["number"], found["below"].to_numpy()
    if comparators is not None:
        sign = as_text(comparators.reset_index(drop=True)).where(numbers.notna())
        sign = sign.where(sign != "=")  # no limit
        known = ("<", "<=", "≤") if column.below_limit else ()
        refuse_rows(
            sign.notna() & ~sign.isin(known),
            name,
            "have a comparator that the plan does not allow",
            "declare 'below_limit' for '<' (value, half or exclude); leave out results above a limit",
        )
        below = below | sign.isin(known).to_numpy(dtype=bool)
    if column.below_limit == "half":
        numbers = numbers.where(~below, numbers / 2)
    elif column.below_limit == "exclude":
        numbers = numbers.where(~below)
    return numbers, int(below.sum())


def _with_limits(name: str, column: NumberColumn, values: pd.Series) -> pd.DataFrame:
    """Numbers, with the limit itself for a result below it, and whether each is below one."""
    import pandas as pd

    missing = missing_codes(column)
    below = np.zeros(len(values), dtype=bool)
    if column.below_limit and values.dtype != float:
        text = as_text(values, missing=missing)
        below = text.str.fullmatch(_BELOW, na=False).to_numpy(dtype=bool)
        values = text.where(~below, text.str.replace(r"^(?:<=?|≤)\s*", "", regex=True))
    return pd.DataFrame({"number": _numbers(name, values, missing), "below": below})


def _read_number(name: str, column: NumberColumn, values: pd.Series) -> pd.Series:
    return within_limits(name, column, read_limited(name, column, values, None)[0])


def within_limits(name: str, column: NumberColumn, numbers: pd.Series) -> pd.Series:
    """Return the numbers.

    Raises
    ------
    CohortError
        If a number is outside the declared low and high.
    """
    low = -np.inf if column.low is None else column.low
    high = np.inf if column.high is None else column.high
    refuse_rows(
        (numbers < low) | (numbers > high),
        name,
        "are outside the declared low and high",
        f"check the unit{f' ({column.unit})' if column.unit else ''} or widen the limits",
    )
    return numbers


def _read_age(name: str, column: Any, values: pd.Series) -> pd.Series:
    limits = "write an age as a number of years, 90 for older ones"
    ages = _numbers(name, values, missing_codes(column), limits=limits)
    refuse_rows(
        (ages < 0) | (ages > OLDEST_CREDIBLE_AGE),
        name,
        f"are outside 0 to {OLDEST_CREDIBLE_AGE} years",
        "give ages in years",
    )
    return ages


def _read_zip(name: str, column: Any, values: pd.Series) -> pd.Series:
    text = as_text(values, missing=missing_codes(column))
    # A spreadsheet that reads ZIP codes as numbers removes the leading zero (New England).
    padded = text.str.replace("-", "", regex=False)
    padded = padded.where(padded.str.len() != 4, "0" + padded)
    bad = text.notna() & ~padded.str.fullmatch(r"\d{3}|\d{5}|\d{9}", na=False)
    refuse_rows(
        bad,
        name,
        "are not in the form of a ZIP code",
        "give five digits, or declare the column 'drop'",
    )
    return padded


def _read_category(name: str, column: CategoryColumn, values: pd.Series) -> pd.Series:
    names = {plain_token(source): level for source, level in column.names.items()}
    text = as_text(values, keep=frozenset(names), missing=missing_codes(column))
    found = _declared(text, names, plain_token)
    problem = "are outside the declared levels"
    remedy = "add the level, map it, or list a code of missing values under 'missing'"
    return _all_declared(name, text, found, problem=problem, remedy=remedy)


def _read_label(name: str, column: LabelColumn, values: pd.Series) -> pd.Series:
    spelling = _label_spelling(column)
    verdicts = {
        spelling(value): verdict
        for verdict in ("positive", "negative", "indeterminate")
        for value in getattr(column, verdict)
    }
    declared = {str(v).strip() for v in (*column.positive, *column.negative, *column.indeterminate)}
    text = as_text(values, keep=frozenset(declared), missing=missing_codes(column))
    found = text.map(lambda t: verdicts.get(spelling(t)), na_action="ignore")
    problem = "are outside the declared label values"
    remedy = "list them as positive, negative or indeterminate; leave unknown ones empty"
    return _all_declared(name, text, found, problem=problem, remedy=remedy)


def _label_spelling(column: LabelColumn) -> Callable[[object], str]:
    """Spelling by which cells are compared: "yes" is 1 only where 1 and 0 are opposite verdicts."""
    positive, negative = ({label_token(v) for v in g} for g in (column.positive, column.negative))
    opposite = ("1" in positive and "0" in negative) or ("0" in positive and "1" in negative)
    return label_token if opposite else lambda value: plain_token(value).casefold()


def _declared(
    text: pd.Series, names: dict[str, str], spelling: Callable[[object], str]
) -> pd.Series:
    """Level of each text; a declared word such as "none" counts in any case."""
    folded: dict[str, str] = {}
    for source, level in names.items():
        folded.setdefault(source.casefold(), level)
    words = {t: names.get(spelling(t), _word(t, folded)) for t in text.dropna().unique()}
    found: pd.Series = text.map(words, na_action="ignore")
    return found


def _word(text: str, folded: dict[str, str]) -> str | None:
    return folded.get(text.casefold()) if text.casefold() in MISSING else None


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
