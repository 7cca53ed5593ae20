"""Evidence in the values of a column: numbers with codes and limits, dates, identifiers of people."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from healthval.cohort.propose import words as w
from healthval.cohort.propose.proposal import MIN_SHARED
from healthval.contracts.table import label_token, plain_token

if TYPE_CHECKING:
    import pandas as pd

MAX_CODES = 8  # different texts among the numbers of a column
BELOW = r"<=?\s*\d+(?:[.,]\d+)?"
_WITH_UNIT = r"[<>]?\d+(?:[.,]\d+)?\s*([A-Za-zµμ%°]+(?:/[A-Za-zµμ0-9^.*]+)?)"
_FILLER = r"(?:9{2,6}|8{2,6})(?:\.0+)?"  # 99, 999, 888: "no value" if no measurement is near
_MOSTLY = 0.8
_OTHER_DATE = r"\d{1,2}([./-])\d{1,2}\1(?:\d{4}|\d{2})(?:[ T]\d{1,2}:\d\d.*)?|\d{4}([./])\d{1,2}\2\d{1,2}(?: .*)?"
_NAMED_DATE = r"\d{1,2}[- ]?[A-Za-z]{3}[- ]?\d{2,4}(?:[: ].*)?"
_PEOPLE = (
    (r"[^@\s]+@[^@\s]+\.[A-Za-z]{2,}", "e-mail addresses"),
    (r"\d{3}-\d{2}-\d{4}", "social security numbers"),
    (r"[A-ZÀ-Þ][\w'-]+,? [A-ZÀ-Þ]\.", "names of people"),
    (
        r"\+\d[\d ()/.-]{7,}|\(?\d{3}\)?[-. ]{1,2}\d{3}[-. ]\d{4}|\d{3}-\d{7}|0\d{1,4}[-/ ]\d[\d -]{4,}",
        "telephone numbers",
    ),
    (r"(?i:https?://|www\.)\S+", "web addresses"),
)
_TITLE = r"(?i)(?:^(?:mr|mrs|ms|herr|frau|mme|sra?)|(?:^|[\s,(/])(?:dra?|prof))[_. ]\s*[^\W\d_]"
_ICD = r"[A-TV-Z]\d[0-9A-Z](?:\.[0-9A-Z]{1,4})?[*+!]?"
_FIRST_YEAR, _LAST_YEAR, _LONG_AGO = 1895, 2035, 1965


def numbers_of(text: pd.Series) -> pd.Series | None:
    """Numbers, with "<0.5" and ">9" as 0.5 and 9 and commas as points; None if a text is none."""
    number = _as_numbers(text)
    return number if len(text) and bool(number.notna().all()) else None


def _as_numbers(text: pd.Series) -> pd.Series:
    import pandas as pd

    plain = text.str.replace(r"^[<>]=?\s*", "", regex=True).str.replace(",", ".", regex=False)
    number: pd.Series = pd.to_numeric(plain, errors="coerce")
    return number


def split_codes(text: pd.Series) -> tuple[pd.Series, pd.Series]:
    """Whether each text is a code of a missing value, and the other texts.

    A code is in `words.CODES`, or among numbers, and then several cases share it.
    """
    number = _as_numbers(text)
    is_code = text.map(plain_token).str.casefold().isin(w.CODES)
    if (number[~is_code] < 0).any():
        is_code &= number.isna()  # negative numbers are values here
    rest = number.notna() & ~is_code
    if rest.sum() >= len(text) / 2:
        is_code |= _shared_texts(text, number.isna() & ~is_code)
        is_code |= _fillers(text, number, is_code)
    return is_code, text[~is_code]


def _shared_texts(text: pd.Series, others: pd.Series) -> pd.Series:
    """Words among numbers that several cases share, if they are few; "90+" and "4A" are not words."""
    counts = text[others & ~text.str.contains(r"\d")].value_counts()
    shared = counts.index[counts >= MIN_SHARED]
    few = len(shared) <= MAX_CODES
    found: pd.Series = others & text.isin(shared) & few
    return found


def _fillers(text: pd.Series, number: pd.Series, is_code: pd.Series) -> pd.Series:
    """Repeated 99, 999, 888 and the like that are far above every other number."""
    filler = text.str.fullmatch(_FILLER) & ~is_code
    largest = number[~filler & ~is_code].max()
    counts = text[filler].value_counts()
    shared = counts.index[counts >= MIN_SHARED]
    found: pd.Series = filler & text.isin(shared) & (number > 2 * largest)
    return found


def n_no_numbers(text: pd.Series) -> int:
    """Number of texts that are not numbers, if nearly all others are; otherwise 0."""
    bad = int(_as_numbers(text).isna().sum())
    return bad if 0 < bad <= len(text) / 20 else 0


def are_days(text: pd.Series, *, named: bool) -> bool:
    """Whether texts are days in ISO 8601 or 8 digits; digits without a name need many of them."""
    import pandas as pd

    if not len(text) or not bool(
        text.str.fullmatch(r"\d{4}-\d\d-\d\d(?:[T ].*)?|(?:19|20)\d{6}").all()
    ):
        return False
    digits = bool(text.str.fullmatch(r"\d{8}").any())
    if digits and not named and text.nunique() < 10:
        return False
    return bool(pd.to_datetime(text.str[:10], format="ISO8601", errors="coerce").notna().all())


def are_other_dates(text: pd.Series) -> bool:
    """Whether most texts are dates in another form, such as 31.12.2024 or 12/31/2024."""
    return _share(text, f"{_OTHER_DATE}|{_NAMED_DATE}") >= _MOSTLY


def are_birth_years(number: pd.Series) -> bool:
    """Whether numbers are calendar years of which some are long ago."""
    whole = bool((number % 1 == 0).all() and number.between(_FIRST_YEAR, _LAST_YEAR).all())
    return whole and number.nunique() > MIN_SHARED and bool(number.min() < _LONG_AGO)


def are_diagnoses(text: pd.Series) -> bool:
    """Whether texts are codes of ICD-10."""
    return not text.is_unique and _share(text, _ICD) >= _MOSTLY


def people_in(text: pd.Series) -> str | None:
    """Kind of identifier of people in the texts, or None."""
    if bool(text.str.contains(_TITLE).any()):
        return "titles of people"
    for pattern, what in _PEOPLE:
        if _share(text, pattern) >= _MOSTLY:
            return what
    return None


def have_units(text: pd.Series) -> bool:
    """Whether most texts are a number with its unit, such as 5.2 mmol/L."""
    if text.nunique() <= MIN_SHARED or _share(text, _WITH_UNIT) < _MOSTLY:
        return False
    return int(text.str.extract(f"^{_WITH_UNIT}$", expand=False).nunique()) <= MAX_CODES


def are_opposite(text: pd.Series) -> bool:
    """Whether two texts are opposite verdicts, such as yes and no."""
    found = verdicts_in(text)
    return text.nunique() == 2 and bool(found & w.POSITIVE and found & w.NEGATIVE)


def verdicts_in(text: pd.Series) -> set[str]:
    """The texts in the spelling of `words.POSITIVE` and `words.NEGATIVE`."""
    return set(verdicts_of(text.unique()).values())


def verdicts_of(values: Iterable[str]) -> dict[str, str]:
    """Each text in the spelling of `words.POSITIVE` and `words.NEGATIVE`, without words that two share.

    >>> verdicts_of(["cancer", "no cancer"]), verdicts_of(["PE absent", "PE present"])
    ({'cancer': '1', 'no cancer': '0'}, {'PE absent': 'absent', 'PE present': 'present'})
    """
    found = {value: label_token(w.plain(value)) for value in values}
    if len(found) == 2:
        one, other = (w.words_of(value) for value in found)
        own = ([x for x in one if x not in other], [x for x in other if x not in one])
        if set(one) & set(other) and all(len(parts) <= 1 for parts in own):
            kinds = [_verdict("".join(parts)) for parts in own]
            if "0" in kinds or all(k in w.POSITIVE | w.NEGATIVE for k in kinds):
                return dict(zip(found, kinds, strict=True))
    return found


def _verdict(word: str) -> str:
    if word in w.WITHOUT:
        return "0"
    return "1" if not word or word in w.WITH else word


def are_row_numbers(number: pd.Series) -> bool:
    """Whether each number is one more than the one before."""
    return len(number) >= 2 * MIN_SHARED and bool((number.diff().dropna() == 1).all())


def are_long_numbers(number: pd.Series) -> bool:
    """Whether most numbers are whole, long and different, like record or telephone numbers."""
    long = (number.abs() >= 10**5) & (number % 1 == 0)
    return bool(long.mean() >= _MOSTLY and number.nunique() >= min(10, len(number) / 2))


def belong_to_one(owner: pd.Series, traits: list[Any]) -> bool:
    """Whether every trait, such as the sex, is the same in all rows of one owner."""
    repeated = owner.duplicated(keep=False) & owner.notna()
    if not traits or repeated.sum() < MIN_SHARED:
        return False
    groups = [trait[repeated].groupby(owner[repeated]).nunique() for trait in traits]
    return all(bool((sizes <= 1).all()) for sizes in groups)


def _share(text: pd.Series, pattern: str) -> float:
    return float(text.str.fullmatch(pattern).mean()) if len(text) else 0.0
