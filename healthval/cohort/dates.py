"""Dates and times: the calendar day written in a value, and the instant for the order of rows."""

from __future__ import annotations

import warnings
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from healthval.cohort.long_columns import as_plain, by_level, is_coded, is_long_text, plain_times
from healthval.cohort.text import are_missing, as_text, refuse_rows
from healthval.errors import counted

if TYPE_CHECKING:
    import pandas as pd

_DAY = r"(?:1[5-9]|2\d)\d\d(?:-\d\d-\d\d|\d{4})"
_CLOCK = r"\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?"
_OFFSET = r"(?:Z|[+-]\d\d:?\d\d)"
_ISO_DATE = rf"{_DAY}(?:[T ]{_CLOCK}{_OFFSET}?)?"
_PARTIAL = r"(?:1[5-9]|2\d)\d\d(?:-\d\d)?"
# Declared names contain no angle brackets, so these never clash with a column of the source.
_INSTANT = "<instant>"


class CohortWarning(UserWarning):
    """The local data can be read, with a reservation that the user should know."""


def instant_column(name: str) -> str:
    """Name of the hidden column with the instants of date column `name`."""
    return name + _INSTANT


def is_hidden(name: object) -> bool:
    """Whether a column is internal: a frame that is given to the user does not contain it."""
    return str(name).endswith(_INSTANT)


def days_between(dates: pd.Series, anchor: pd.Series) -> pd.Series:
    """Calendar days from the anchor, negative before it; the time of day is ignored."""
    days: pd.Series = (dates.dt.normalize() - anchor.dt.normalize()).dt.days
    return days


def read_dates(
    name: str, values: pd.Series, missing: frozenset[str] = frozenset()
) -> tuple[pd.Series, pd.Series | None]:
    """Read local times, and the instants if the offsets from UTC differ.

    The day of a value is the one written in it: the value's own offset is removed, not applied. For
    the order, a value without an offset has the column's most common one.

    Returns
    -------
    Two datetime64 Series of shape (n,), without time zone; None for the second if the local times
    have the order of the instants.
    """
    import pandas as pd

    values = values.reset_index(drop=True)
    if isinstance(values.dtype, pd.DatetimeTZDtype):
        local = values.dt.tz_localize(None)
        minutes = (local - values.dt.tz_convert("UTC").dt.tz_localize(None)).dt.total_seconds() / 60
    elif pd.api.types.is_datetime64_any_dtype(values):
        return values, None
    elif is_long_text(values):
        plain = plain_times(values, missing, partial(are_missing, missing=missing))
        if plain is not None:
            return plain, None
        local, minutes = _parsed(name, as_text(values, missing=missing))
    else:
        local, minutes = _parsed_levels(name, values, missing)
    return local, _instants(name, local, minutes)


def _parsed_levels(
    name: str, values: pd.Series, missing: frozenset[str]
) -> tuple[pd.Series, pd.Series]:
    import pandas as pd

    def read(part: pd.Series) -> pd.DataFrame:
        local, minutes = _parsed(name, as_text(part, missing=missing))
        return pd.DataFrame({"local": local, "minutes": minutes})

    found = by_level(values, read) if is_coded(values) else None
    found = read(as_plain(values)) if found is None else found
    return found["local"], found["minutes"]


def _parsed(name: str, text: pd.Series) -> tuple[pd.Series, pd.Series]:
    """Local time and offset in minutes of each text, missing where it has none."""
    import pandas as pd

    partial = text.str.fullmatch(_PARTIAL, na=False)
    refuse_rows(
        partial,
        name,
        "are incomplete (only the year, or year and month)",
        "give whole dates as YYYY-MM-DD, or leave the cell empty where the day is unknown",
    )
    # pandas alone also reads 45292, 12 and 2024-1-5 as dates.
    whole = text.where(text.str.fullmatch(_ISO_DATE, na=False))
    found = whole.dropna().unique()
    parts = pd.Series(found, index=found, dtype=object).str.extract(
        rf"^({_DAY}(?:[T ]{_CLOCK})?)({_OFFSET})?$"
    )
    times = pd.to_datetime(parts[0], format="ISO8601", errors="coerce")
    local = pd.to_datetime(whole.map(times.to_dict()))
    refuse_rows(
        text.notna() & local.isna(), name, "are not a date in ISO 8601", "write them as YYYY-MM-DD"
    )
    minutes = {moment: _minutes(offset) for moment, offset in parts[1].items()}
    return local, whole.map(minutes).astype(float)


def _minutes(offset: Any) -> float:
    if not isinstance(offset, str):
        return np.nan
    if offset == "Z":
        return 0.0
    digits = offset[1:].replace(":", "")
    size = int(digits[:2]) * 60 + int(digits[2:])
    return float(-size if offset[0] == "-" else size)


def _instants(name: str, local: pd.Series, minutes: pd.Series) -> pd.Series | None:
    import pandas as pd

    known = minutes[local.notna()].dropna()
    if known.empty:
        return None
    timed = local.notna() & (local != local.dt.normalize())
    n_naive = int((timed & minutes.isna()).sum())
    n_offsets = len(known.unique())
    if n_offsets > 1 or n_naive:
        warnings.warn(
            f"column '{name}' mixes {counted(n_offsets, 'offset')} from UTC, and "
            f"{counted(n_naive, 'time')} without one; each day is the one written in the value, and "
            "a time without an offset is taken as local",
            CohortWarning,
            stacklevel=2,
        )
    if n_offsets == 1:
        return None
    usual = known.mode().iloc[0]
    return local - pd.to_timedelta(minutes.fillna(usual), unit="min")
