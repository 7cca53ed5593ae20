"""Identifiers in columns that are declared as something else: numbers, ages and levels of a table."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from healthval.errors import DeidentificationError, counted, part

if TYPE_CHECKING:
    import pandas as pd

    from healthval.cohort import Cohort

_ID_DIGITS = 6  # whole numbers with at least as many digits may be record numbers
_LONG_DIGITS = 7  # with limits, numbers of the same length and all different may be too
_MANY_NUMBERS = 10  # different long whole numbers that make a column look like record numbers
_MOSTLY = 0.8  # share of long whole numbers in such a column
_ROUND = (
    100  # measurements with many digits are multiples of this, more often than numbers of people
)
_FEWEST_EQUAL = 3  # values that equal the site's identifiers; fewer are equal by chance
_FEWEST_DIGITS = 4  # of an identifier, for a comparison
_AGE_WORDS = re.compile(
    r"(?<![a-z])(age|ages|years?|yrs?|yo|alter|lebensalter|jahre|edad|eta|idade)(?![a-z])"
)
_NOT_AGES = re.compile(r"(?<![a-z])(pack|smok|since|duration|followup|follow|storage|gestational)")
_DAYS = ("%Y%m%d", "%d%m%Y", "%m%d%Y", "%y%m%d", "%d%m%y", "%Y%j", "%Y%m")
_EPOCHS = ("1970-01-01", "1899-12-30")  # of days counted by Unix and by spreadsheets
_FIRST_YEAR, _LAST_YEAR = 1890, 2100


def is_age(name: str) -> bool:
    """Whether a column's name is that of an age in years.

    Examples
    --------
    >>> [is_age(x) for x in ("age_at_admission", "years", "pack_years", "stage", "creatinine")]
    [True, True, False, False, False]
    """
    folded = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).casefold()
    return bool(_AGE_WORDS.search(folded)) and not _NOT_AGES.search(folded)


def check_number(name: str, cohort: Cohort) -> None:
    """Refuse a column of record numbers or dates that is declared as a number, also with limits.

    Raises
    ------
    DeidentificationError
        With counts and the first row; values are not quoted.
    """
    values = cohort.frame[name].dropna()
    long = values[(values.abs() >= 10 ** (_ID_DIGITS - 1)) & (values % 1 == 0)]
    limited = _has_limits(name, cohort)
    what = None
    if _equals_own(values, cohort):
        what = "values equal the digits of the site's own ids or dates"
    elif len(long) > 1 and len(long) >= _MOSTLY * len(values):
        if _are_dates(long):
            what = "values are dates in digits"
        elif _is_varied(long) and (not limited or _are_numbers_of_people(long)):
            found = part(len(long), len(cohort), "value", "are long and whole")
            what = f"{found}, {len(long.unique())} of them different, like record numbers"
    if what:
        more = "" if limited else ", or declare the low and high of the number"
        raise DeidentificationError(
            f"column '{name}': {what} (first at row {values.index[0]}); declare it 'id' or 'drop'"
            f" (a date: 'date'){more}"
        )


def check_levels(name: str, cohort: Cohort) -> None:
    """Refuse a category whose levels are identifiers of the site's own table."""
    found = {_alike(str(level)) for level in cohort.frame[name].dropna().unique()}
    own = {text for text in _own_texts(cohort) if len(text) > _FEWEST_DIGITS}
    if n := len(found & own):
        raise DeidentificationError(
            f"column '{name}': {counted(n, 'level equals an id', 'levels equal ids')} of the site's"
            " table; remove it from the plan's levels, or declare the column 'drop'"
        )


def _has_limits(name: str, cohort: Cohort) -> bool:
    column = cohort.schema.columns[name]
    return getattr(column, "low", None) is not None and getattr(column, "high", None) is not None


def _is_varied(long: pd.Series) -> bool:
    # Patients come twice, and a test patient may have a short number.
    return len(long.unique()) >= min(_MANY_NUMBERS, len(long) / 2)


def _are_numbers_of_people(long: pd.Series) -> bool:
    """Whether numbers have the same length, are all different and not rounded."""
    digits = long.abs().astype("int64").astype(str).str.len()
    same = (digits == digits.mode().iloc[0]).mean() >= _MOSTLY
    different = len(long.unique()) >= 0.9 * len(long)
    is_round = (long % _ROUND == 0).mean() > 0.2
    return bool(same and different and digits.mode().iloc[0] >= _LONG_DIGITS and not is_round)


def _are_dates(long: pd.Series) -> bool:
    """Whether whole numbers of 8 digits are days of the calendar, such as 19330721."""
    import pandas as pd

    text = long.abs().astype("int64").astype(str).str.zfill(8)
    if (text.str.len() != 8).mean() > 1 - _MOSTLY or not _is_varied(long):
        return False
    for form in ("%Y%m%d", "%d%m%Y", "%m%d%Y"):
        days = pd.to_datetime(text, format=form, errors="coerce")
        if days.dt.year.between(_FIRST_YEAR, _LAST_YEAR).mean() >= _MOSTLY:
            return True
    return False


def _equals_own(values: pd.Series, cohort: Cohort) -> bool:
    """Whether some values are the digits of an id or a date of the same table."""
    whole = values[values % 1 == 0].abs()
    digits = whole[whole >= 10 ** (_FEWEST_DIGITS - 1)].astype("int64").astype(str).unique()
    own = {re.sub(r"\D", "", text).lstrip("0") for text in _own_texts(cohort)}
    equal = set(digits) & own
    # A measurement of four or five digits may meet a short id by chance; many do not.
    return len(equal) >= max(_FEWEST_EQUAL, len(set(digits)) / 2)


def _own_texts(cohort: Cohort) -> set[str]:
    """Identifiers of the site's table: ids, patients, ZIP codes, and dates in several spellings."""
    out: set[str] = set()
    for name in (n for kind in ("id", "cluster", "zip") for n in cohort.schema.of_kind(kind)):
        out |= {_alike(str(value)) for value in cohort.frame[name].dropna().unique()}
    for name in cohort.schema.of_kind("date"):
        out |= _spelled_days(cohort.frame[name].dropna())
    return out - {""}


def _spelled_days(days: Any) -> set[str]:
    import pandas as pd

    days = pd.Series(pd.to_datetime(days.unique()))
    if getattr(days.dt, "tz", None) is not None:
        days = days.dt.tz_localize(None)
    out = {text for form in _DAYS for text in days.dt.strftime(form).str.lstrip("0")}
    for epoch in _EPOCHS:
        since = (days - pd.Timestamp(epoch)).dt.days
        out |= {str(abs(n)) for n in since.tolist()}
    return out


def _alike(text: str) -> str:
    return "".join(c for c in text.casefold() if c.isalnum())
