"""Text of a table's cells: missing values, declared words, and errors that name rows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from healthval.contracts.table import plain_token
from healthval.errors import CohortError, part

if TYPE_CHECKING:
    import pandas as pd

# Spellings of a missing value in hospital exports. A declared level or label of that name is kept.
MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "nat", "<na>"})


def refuse_rows(bad: Any, column: str, problem: str, remedy: str) -> None:
    """Raise with column, count, first row and remedy if any row of the mask is set.

    Raises
    ------
    CohortError
        Rows are numbered from 0, as in a data frame; no value is quoted.
    """
    rows = np.flatnonzero(np.asarray(bad, dtype=bool))
    if rows.size:
        refused = CohortError(
            f"column '{column}': {part(rows.size, len(bad), 'value', problem)} "
            f"(first at row {rows[0]}); {remedy}"
        )
        refused.rows = tuple(rows.tolist())
        raise refused


def as_text(
    values: pd.Series[Any],
    keep: frozenset[str] = frozenset(),
    missing: frozenset[str] = frozenset(),
) -> pd.Series[Any]:
    """Trimmed text of a column; missing where the cell is empty or a spelling of a missing value.

    Parameters
    ----------
    keep : declared words; one that is also in `MISSING` is a word, in any case
    missing : codes of a missing value, as declared; see `missing_codes`
    """
    import pandas as pd

    if isinstance(values.dtype, (pd.ArrowDtype, pd.CategoricalDtype)) or (
        pd.api.types.is_float_dtype(values) or pd.api.types.is_bool_dtype(values)
    ):
        values = values.astype(object)
    known = frozenset(word.casefold() for word in keep)
    text = {value: _trimmed(value) for value in values.dropna().unique()}
    gone = {
        v
        for v, t in text.items()
        if (t.casefold() in MISSING and t.casefold() not in known) or plain_token(t) in missing
    }
    found: pd.Series[Any] = values.map({v: t for v, t in text.items() if v not in gone})
    return found.astype(object)


def are_missing(texts: Iterable[str], missing: frozenset[str]) -> bool:
    """Whether all texts are missing values; see `as_text`."""
    return all(t.strip().casefold() in MISSING or plain_token(t) in missing for t in texts)


def missing_codes(column: Any) -> frozenset[str]:
    """Codes of a missing value that a column declares, in the spelling that `as_text` compares."""
    return frozenset(plain_token(code) for code in getattr(column, "missing", ()))


def _trimmed(value: Any) -> str:
    return plain_token(value) if isinstance(value, float) else str(value).strip()
