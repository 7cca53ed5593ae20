"""Proposal of a plan's table: kinds, label and inputs from the words of names and from values."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from healthval.cohort.propose import words as w
from healthval.cohort.propose.proposal import MIN_SHARED, Proposal
from healthval.cohort.text import as_text
from healthval.contracts.table import TableSchema, label_token
from healthval.errors import CohortError, counted

if TYPE_CHECKING:
    import pandas as pd

MAX_LEVELS = 12
# Spellings of "no value" in exports; a code is proposed only from this list.
_CODES = frozenset(
    ". - -- ? / x unknown unk missing unbekannt inconnu desconocido nd n.d. n/d -9 -99 -999 -9999 -99999".split()  # noqa: SIM905
)
_BELOW = r"<=?\s*\d+(?:[.,]\d+)?"
_LEVEL = re.compile(r"[A-Za-z][A-Za-z0-9_.]{0,63}")
_TITLE = re.compile(r"(?:dr|prof|mr|mrs|ms|herr|frau)[_. ]", re.IGNORECASE)
_LONG = 10**5

Kind = dict[str, Any]


@dataclass
class _Draft:
    """Kinds of the columns while they are proposed."""

    kinds: dict[str, Kind] = field(default_factory=dict)
    dropped: dict[str, str] = field(default_factory=dict)
    questions: list[str] = field(default_factory=list)

    def drop(self, name: str, reason: str) -> None:
        self.kinds[name] = {"kind": "drop"}
        self.dropped[name] = reason


def propose_table(frame: pd.DataFrame) -> Proposal:
    """Propose a kind for every column, from the words of its name and from its values.

    Raises
    ------
    CohortError
        If the table has no rows or no column that could identify a case.
    """
    if not len(frame):
        raise CohortError("the table has no rows to propose from; check the export")
    draft = _Draft()
    for name in map(str, frame.columns):
        _propose(draft, name, frame[name].reset_index(drop=True))
    keys = [name for name, k in draft.kinds.items() if k["kind"] == "id"]
    if not keys:
        raise CohortError(
            "no column identifies a case; add one whose values all differ, for example the visit"
        )
    label = _choose_label(draft, frame)
    _keep_one_cluster(draft)
    # The schema uses the first 'id' as the case's key.
    best = min(keys, key=lambda name: bool(set(w.words_of(name)) & w.PATIENT))
    ordered = dict(sorted(draft.kinds.items(), key=lambda item: item[0] != best))
    usable = [n for n, k in ordered.items() if k["kind"] in {"number", "age", "category"}]
    inputs = tuple(n for n in usable if _LEVEL.fullmatch(n))
    return Proposal(
        table=TableSchema.model_validate({"columns": ordered}),
        inputs=inputs,
        subgroups=tuple(n for n in inputs if ordered[n]["kind"] == "category"),
        questions=(*_table_questions(draft, label), *draft.questions),
        dropped=draft.dropped,
    )


def _table_questions(draft: _Draft, label: str | None) -> list[str]:
    questions = ["Is the first column declared 'id' the scored unit, and 'cluster' the patient?"]
    if label is None:
        questions.append("Which column holds the reference standard? None looks like one.")
    else:
        questions.append(f"Is '{label}' the reference standard, and is its positive value right?")
    if draft.dropped:
        n = counted(len(draft.dropped), "column is", "columns are")
        questions.append(f"{n} proposed to be dropped; is one of the inputs among them?")
    return questions


def _propose(draft: _Draft, name: str, values: pd.Series) -> None:
    import pandas as pd

    words = set(w.words_of(name))
    text = as_text(values).dropna()
    number = pd.to_numeric(text, errors="coerce")
    numeric = bool(len(text)) and bool(number.notna().all())
    if reason := _reason_to_drop(w.words_of(name), text, number if numeric else None):
        draft.drop(name, reason)
    elif words & w.ZIP:
        draft.kinds[name] = {"kind": "zip"}
    elif _are_dates(values, text, words, numeric=numeric):
        draft.kinds[name] = {"kind": "date"}
    elif _is_age(words) and _propose_age(draft, name, words, text):
        pass
    elif _is_key(w.words_of(name), text, len(values)):
        draft.kinds[name] = {"kind": "id" if text.is_unique else "cluster"}
    else:
        _propose_measured(draft, name, values, text)


def _reason_to_drop(
    ordered: tuple[str, ...], text: pd.Series, number: pd.Series | None
) -> str | None:
    words = set(ordered)
    text_only = number is None
    rules = (
        (
            bool(words & w.PERSON) and not words & w.NOT_PERSON,
            "its name is one of personal data (name, address, telephone, insurance, national id)",
        ),
        (bool(words & w.STAFF), "its name is one of staff; its values may be names of people"),
        (
            text_only and "device" in words and bool(words & (w.NUMBER | {"serial"})),
            "its name is one of a device or serial number",
        ),
        (
            not text_only and bool(words & w.BIRTH) and bool(words & w.YEAR),
            "a year of birth reveals an age above 89; give the age, or the whole date",
        ),
        (
            bool(words & w.READER),
            "it is a reader's verdict; declare it 'label' if readers are the reference standard",
        ),
        (bool(words & w.MODEL), "it may be an output of the model itself"),
        (text_only and bool(words & w.TEXT), "its name is one of free text"),
        (text_only and bool(text.str.match(_TITLE).any()), "its values have titles of people"),
    )
    return next((reason for applies, reason in rules if applies), None)


def _are_dates(values: pd.Series, text: pd.Series, words: set[str], *, numeric: bool) -> bool:
    import pandas as pd

    if pd.api.types.is_datetime64_any_dtype(values):
        return True
    if not len(text) or (numeric and not words & w.DATE):
        return False
    sample = text.str.fullmatch(r"\d{4}-\d\d-\d\d(?:[T ].*)?|(?:19|20)\d{6}")
    return bool(sample.all()) and bool(
        pd.to_datetime(text.str[:10], format="ISO8601", errors="coerce").notna().all()
    )


def _is_age(words: set[str]) -> bool:
    return bool(words & w.AGE) or (bool(words & w.YEARS) and words <= w.YEARS | {"patient"})


def _propose_age(draft: _Draft, name: str, words: set[str], text: pd.Series) -> bool:
    """Propose an age in years; drop an age in another unit. False if the values are not ages."""
    codes, rest = _split_codes(text, extra=frozenset({"999", "888"}))
    number = _to_numbers(rest)
    if number is None:
        return False
    if words & w.SMALL_TIME or not number.between(0, 130).all():
        draft.drop(name, "an age in another unit than years is not capped; give it in years")
        return True
    draft.kinds[name] = {"kind": "age"} | _missing(draft, name, codes)
    return True


def _is_key(ordered: tuple[str, ...], text: pd.Series, n: int) -> bool:
    words = set(ordered)
    known = words & (w.PATIENT | w.CASE)
    ends = bool(ordered) and (ordered[-1] in w.NUMBER or ordered[-1] in w.PATIENT | w.CASE)
    named = (bool(known) and ends) or (len(ordered) == 1 and ordered[0] in w.NUMBER | {"mrn"})
    complete = len(text) == n and text.nunique() > min(MAX_LEVELS, n - 1)
    if not complete or text.str.contains(r"\d\.\d", regex=True).any():
        return False
    by_value = text.is_unique and text.str.fullmatch(r"[A-Za-z]{1,4}[-_]?\d{3,}|\d{6,}").all()
    return named or bool(by_value)


def _split_codes(text: pd.Series, extra: frozenset[str] = frozenset()) -> tuple[Any, pd.Series]:
    """Counts of codes of missing values, and the other values."""
    is_code = text.str.casefold().isin(_CODES | extra)
    rest = text[~is_code]
    if (number := _to_numbers(rest)) is not None and len(number) and (number < 0).any():
        is_code &= _to_code(text).isna()  # negative numbers are values here
    return text[is_code].value_counts(), text[~is_code]


def _to_code(text: pd.Series) -> pd.Series:
    import pandas as pd

    return pd.to_numeric(text, errors="coerce")


def _to_numbers(text: pd.Series) -> pd.Series | None:
    """Numbers, with "<0.5" as 0.5 and decimal commas as points; None if a text is none."""
    import pandas as pd

    if not len(text):
        return None
    plain = text.str.replace(r"^<=?\s*", "", regex=True)
    number = pd.to_numeric(plain.str.replace(",", ".", regex=False), errors="coerce")
    return number if bool(number.notna().all()) else None


def _missing(draft: _Draft, name: str, codes: Any) -> Kind:
    if not len(codes):
        return {}
    listed = ", ".join(f"'{code}' {counted(int(n), 'time')}" for code, n in codes.items())
    draft.questions.append(f"'{name}' contains {listed}: do these codes mean a missing value?")
    return {"missing": [str(code) for code in codes.index]}


def _propose_measured(draft: _Draft, name: str, values: pd.Series, text: pd.Series) -> None:
    codes, rest = _split_codes(text)
    number = _to_numbers(rest)
    two = number is not None and number.nunique() == 2 and _is_shared(rest)
    if number is not None and not two:
        long = (number.abs() >= _LONG) & (number % 1 == 0)
        if long.mean() >= 0.8 and number.nunique() >= min(10, len(number) / 2):
            draft.drop(name, "its values are long whole numbers, like record or telephone numbers")
            return
        draft.kinds[name] = {"kind": "number"} | _missing(draft, name, codes)
        n_below = int(rest.str.fullmatch(_BELOW).sum())
        if n_below:
            draft.kinds[name]["below_limit"] = "exclude"
            draft.questions.append(
                f"'{name}' has {counted(n_below, 'result')} below a limit ('<'): exclude, value or half?"
            )
        return
    # "none" is a level here, although it is a missing value elsewhere.
    levels = as_text(values, keep=frozenset({"none"})).dropna()
    if len(levels) and levels.nunique() <= MAX_LEVELS and _is_shared(levels):
        draft.kinds[name] = {"kind": "category", "levels": _levels(sorted(levels.unique()))}
    elif not len(levels):
        draft.drop(name, "it has no values")
    else:
        draft.drop(
            name,
            f"it has more than {MAX_LEVELS} different texts, or one that fewer than {MIN_SHARED} "
            "cases share",
        )


def _is_shared(text: pd.Series) -> bool:
    return int(text.value_counts().min()) >= MIN_SHARED


def _levels(found: list[str]) -> list[str] | dict[str, str]:
    if all(_LEVEL.fullmatch(level) for level in found):
        return found
    named = {level: re.sub(r"[^A-Za-z0-9_.]+", "_", level).strip("_") for level in found}
    return {
        level: name if _LEVEL.fullmatch(name) else f"level_{name or i}"[:64]
        for i, (level, name) in enumerate(named.items())
    }


def _choose_label(draft: _Draft, frame: pd.DataFrame) -> str | None:
    """Declare the likeliest outcome as the label; drop other outcomes, which are known too late."""
    found: list[tuple[bool, int, str, Kind]] = []
    for at, name in enumerate(draft.kinds):
        words = set(w.words_of(name))
        is_outcome = words & (w.STRONG | w.WEAK) and not words & w.HISTORY
        if draft.kinds[name]["kind"] == "category" and is_outcome:
            found.append((bool(words & w.STRONG), at, name, _as_label(frame[name])))
    chosen = max((f for f in found if f[3]), key=lambda f: f[:2], default=None)
    for entry in found:
        if entry is not chosen:
            draft.drop(entry[2], "it is an outcome or a diagnosis, known only afterwards")
    if chosen is None:
        return None
    draft.kinds[chosen[2]] = chosen[3]
    others = [f"'{f[2]}'" for f in found if f is not chosen and f[3]]
    if others:
        draft.questions.append(
            f"'{chosen[2]}' is proposed as the reference standard; is it {' or '.join(others)} instead?"
        )
    return chosen[2]


def _as_label(values: pd.Series) -> Kind:
    """Declaration of a label; empty if its positive and negative values are not recognised."""
    found = sorted(as_text(values.reset_index(drop=True)).dropna().unique())
    positive = [v for v in found if label_token(v) in w.POSITIVE]
    negative = [v for v in found if label_token(v) in w.NEGATIVE]
    rest = [v for v in found if v not in positive + negative]
    if not positive or not negative or len(rest) > 1:
        return {}
    label = {"kind": "label", "positive": positive, "negative": negative}
    return label | ({"indeterminate": rest} if rest else {})


def _keep_one_cluster(draft: _Draft) -> None:
    clusters = [n for n, k in draft.kinds.items() if k["kind"] == "cluster"]
    clusters.sort(key=lambda name: not set(w.words_of(name)) & w.PATIENT)
    for name in clusters[1:]:
        draft.drop(name, f"it repeats like a key, and '{clusters[0]}' is the patient")
