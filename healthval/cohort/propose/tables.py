"""Proposal of a plan's table: kinds, label and inputs from the words of names and from values."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from healthval.cohort.propose import words as w
from healthval.cohort.propose.draft import Draft, Kind, words
from healthval.cohort.propose.evidence import (
    BELOW,
    are_days,
    are_long_numbers,
    are_opposite,
    are_row_numbers,
    n_no_numbers,
    numbers_of,
    split_codes,
)
from healthval.cohort.propose.proposal import MIN_SHARED, Proposal
from healthval.cohort.propose.reasons import MAX_LEVELS, REASONS, name_to_drop, values_to_drop
from healthval.cohort.propose.roles import (
    choose_keys,
    choose_label,
    find_ages,
    find_units,
    has_outcome_values,
    unit_in,
)
from healthval.cohort.text import as_text
from healthval.contracts.table import SourceColumn, TableSchema, plain_token
from healthval.errors import CohortError, counted

if TYPE_CHECKING:
    import pandas as pd

MAX_COLUMNS = 512  # that a plan declares
MAX_SUBGROUPS = 12
_LEVEL = re.compile(r"[A-Za-z][A-Za-z0-9_.]{0,63}")
_LONGEST = 64  # letters in the name of an input
_CODE = r"[A-Za-z]{1,4}[-_]?\d{3,}|\d{6,}|(?:\d+\.){3,}\d+"  # record numbers and UIDs
_NAME: TypeAdapter[str] = TypeAdapter(SourceColumn)


def propose_table(frame: pd.DataFrame) -> Proposal:
    """Propose a kind for every column, from the words of its name and from its values.

    Raises
    ------
    CohortError
        If the table has no rows, more columns than a plan can declare, a name twice, or no column
        that could identify a case.
    """
    _check(frame)
    draft = Draft()
    names = {str(name): name for name in frame.columns}
    undeclared = {name: REASONS["name"] for name in names if not _may_be_declared(name)}
    for name, given in names.items():
        if name not in undeclared:
            _propose(draft, name, frame[given].reset_index(drop=True))
    key = choose_keys(draft, len(frame))
    find_ages(draft)
    find_units(draft)
    label = choose_label(draft)
    # The schema uses the first 'id' as the case's key.
    ordered = dict(sorted(draft.kinds.items(), key=lambda item: item[0] != key))
    usable = [n for n, k in ordered.items() if k["kind"] in {"number", "age", "category"}]
    new = _new_names(usable, {*ordered})
    groups = [n for n in usable if ordered[n]["kind"] == "category"]
    groups.sort(key=lambda name: not words(name) & w.CODED)
    return Proposal(
        table=TableSchema.model_validate({"columns": ordered}),
        inputs=tuple(new.get(n, n) for n in usable),
        subgroups=tuple(new.get(n, n) for n in groups[:MAX_SUBGROUPS]),
        questions=(*_questions(draft, label, len(new)), *draft.questions),
        dropped=draft.dropped | undeclared,
        sources={name: own for own, name in new.items()},
    )


def _new_names(names: list[str], taken: set[str]) -> dict[str, str]:
    """A name that an input may have for each column whose own name is none."""
    new: dict[str, str] = {}
    for at, own in enumerate(names, start=1):
        if _LEVEL.fullmatch(own):
            continue
        name = re.sub(r"[^A-Za-z0-9_.]+", "_", w.plain(own)).strip("_.")
        name = (name if _LEVEL.match(name) else f"input_{name}".rstrip("_"))[:_LONGEST]
        new[own] = name if name not in taken else f"{name[: _LONGEST - 4]}_{at}"
        taken = taken | {new[own]}
    return new


def _check(frame: pd.DataFrame) -> None:
    if not len(frame):
        raise CohortError("the table has no rows to propose from; check the export")
    n = frame.shape[1]
    if n > MAX_COLUMNS:
        raise CohortError(
            f"the table has {counted(n, 'column')}, and a plan declares at most {MAX_COLUMNS}; export"
            " the columns of the study only"
        )
    repeated = n - len(set(map(str, frame.columns)))
    if repeated:
        raise CohortError(
            f"{counted(repeated, 'column name is', 'column names are')} repeated in the table; keep"
            " one of each name"
        )


def _may_be_declared(name: str) -> bool:
    try:
        _NAME.validate_python(name)
    except ValidationError:
        return False
    return True


def _questions(draft: Draft, label: str | None, n_renamed: int) -> list[str]:
    questions = ["Is the first column declared 'id' the scored unit, and 'cluster' the patient?"]
    if label is None:
        questions.append("Which column holds the reference standard? None looks like one.")
    else:
        questions.append(f"Is '{label}' the reference standard, and is its positive value right?")
    if draft.dropped:
        n = counted(len(draft.dropped), "column is", "columns are")
        questions.append(f"{n} proposed to be dropped; is one of the inputs among them?")
    if n_renamed:
        n = counted(n_renamed, "column has", "columns have")
        questions.append(
            f"{n} a new name, because the name of an input has letters from A to Z, digits, '_' and '.'"
            " only; are these the names of the model? 'sources' has the table's own names."
        )
    return questions


def _propose(draft: Draft, name: str, values: pd.Series) -> None:
    text = as_text(values).dropna()
    draft.texts[name] = text
    found = words(name)
    is_code, rest = split_codes(text)
    number = numbers_of(rest)
    is_key = _is_key(w.words_of(name), text, len(values))
    is_text = number is None and not are_opposite(rest)
    is_outcome = rest.nunique() == 2 and has_outcome_values(rest)
    reason = name_to_drop(w.words_of(name), is_text=is_text, is_outcome=is_outcome)
    if not is_key:
        reason = reason or values_to_drop(w.words_of(name), rest, number)
    if not len(rest):
        draft.drop(name, REASONS["empty"])
    elif reason:
        draft.drop(name, reason)
    elif found & w.ZIP:
        _propose_zip(draft, name, text)
    elif are_days(rest, named=bool(found & (w.DATE | w.BIRTH))):
        draft.declare(name, kind="date", **_missing(draft, name, text[is_code]))
    elif _is_age(found):
        _propose_age(draft, name, text)
    elif is_key:
        draft.declare(name, kind="id" if text.is_unique else "cluster")
    else:
        _propose_measured(draft, name, values, text)


def _propose_zip(draft: Draft, name: str, text: pd.Series) -> None:
    is_foreign = bool(words(name) & w.FOREIGN_ZIP) or w.words_of(name)[:2] == ("code", "postal")
    if not is_foreign and text.str.fullmatch(r"\d{3,5}|\d{5}-?\d{4}").all():
        draft.declare(name, kind="zip")
    else:
        draft.drop(name, REASONS["zip"])


def _is_age(found: frozenset[str]) -> bool:
    if found & w.NOT_AGE:
        return False
    return bool(found & w.AGE) or (
        bool(found & w.YEARS - {"in", "at"}) and found <= w.YEARS | {"patient"}
    )


def _propose_age(draft: Draft, name: str, text: pd.Series) -> None:
    """Propose an age in years; drop an age in another unit or form."""
    is_code = split_codes(text)[0] | text.isin(("999", "888"))
    number = numbers_of(text[~is_code])
    if number is None or text[~is_code].str.match("[<>≤≥]").any():
        draft.drop(name, REASONS["ages"])
    elif words(name) & w.SMALL_TIME or not number.between(0, 130).all():
        draft.drop(name, REASONS["age"])
    else:
        draft.declare(name, kind="age", **_missing(draft, name, text[is_code]))


def _is_key(ordered: tuple[str, ...], text: pd.Series, n: int) -> bool:
    known = set(ordered) & (w.PATIENT | w.CASE)
    known |= {"hospital"} if ordered in w.HOSPITAL_NUMBER else set()
    only = set(ordered) <= w.PATIENT | w.CASE | w.NUMBER | {"de", "la", "del", "du", "clinica"}
    named = bool(known) and (only or ordered[-1] in w.NUMBER)
    named |= bool(ordered) and ordered[-1] in (
        w.KEY if text.is_unique else w.NUMBER & set(ordered[:1])
    )
    text = text.map(plain_token)  # a spreadsheet writes a record number as 4711.0
    complete = len(text) == n and text.nunique() > min(MAX_LEVELS, n - 1)
    if not complete or text.str.fullmatch(r"-?\d+\.\d+").any():
        return False
    by_value = text.is_unique and text.str.fullmatch(_CODE).all()
    return named or bool(by_value)


def _missing(draft: Draft, name: str, codes: pd.Series) -> Kind:
    counts = codes.map(plain_token).value_counts()
    if not len(counts):
        return {}
    listed = ", ".join(f"'{code}' {counted(int(n), 'time')}" for code, n in counts.items())
    draft.questions.append(f"'{name}' contains {listed}: do these codes mean a missing value?")
    return {"missing": [str(code) for code in counts.index]}


def _propose_measured(draft: Draft, name: str, values: pd.Series, text: pd.Series) -> None:
    is_code, rest = split_codes(text)
    number = numbers_of(rest)
    coded = bool(words(name) & w.CODED) and rest.nunique() <= MAX_LEVELS
    two = rest.nunique() == 2 and _is_shared(rest)
    if number is not None and not _differ(rest):
        draft.drop(name, REASONS["one"])
    elif number is not None and are_row_numbers(number):
        draft.drop(name, REASONS["row"], unclear=True)
    elif number is not None and are_long_numbers(number):
        draft.drop(name, REASONS["long"], unclear=True)
    elif number is not None and not two and not coded:
        _propose_number(draft, name, text, is_code)
    elif number is None and (n_bad := n_no_numbers(rest)):
        _propose_number(draft, name, text, is_code)
        draft.questions.append(
            f"'{name}' has {counted(n_bad, 'text')} among its numbers, each shared by fewer than"
            f" {MIN_SHARED} cases: correct them, or list them under 'missing'."
        )
    else:
        _propose_category(draft, name, values)


def _propose_number(draft: Draft, name: str, text: pd.Series, is_code: pd.Series) -> None:
    unit = unit_in(name)
    given: Kind = {"unit": unit} if unit else {}
    draft.declare(name, kind="number", **given, **_missing(draft, name, text[is_code]))
    n_below = int(text[~is_code].str.fullmatch(BELOW).sum())
    if n_below:
        draft.kinds[name]["below_limit"] = "exclude"
        draft.questions.append(
            f"'{name}' has {counted(n_below, 'result')} below a limit ('<'): exclude, value or half?"
        )
    n_above = int(text[~is_code].str.startswith(">").sum())
    if n_above:
        draft.questions.append(
            f"'{name}' has {counted(n_above, 'result')} above a limit ('>'), which cannot be read:"
            " leave these cells empty."
        )


def _propose_category(draft: Draft, name: str, values: pd.Series) -> None:
    # "none" is a level here, although it is a missing value elsewhere.
    text = as_text(values, keep=frozenset({"none"})).dropna()
    folded = text.str.casefold()
    is_code = split_codes(text)[0] & ~folded.isin(w.UNKNOWN)
    levels = text[~is_code]
    draft.texts[name] = levels
    if not _differ(levels):
        draft.drop(name, REASONS["one"])
    elif len(levels) and levels.nunique() <= MAX_LEVELS and _is_shared(levels):
        missing = _missing(draft, name, text[is_code])
        draft.declare(name, kind="category", levels=_levels(sorted(levels.unique())), **missing)
        if n_unknown := int(folded.isin(w.UNKNOWN).sum()):
            draft.questions.append(
                f"'{name}' has {counted(n_unknown, 'value')} that may mean a missing value ('unknown'):"
                " keep the level, or list it under 'missing'?"
            )
    else:
        draft.drop(name, REASONS["levels"], unclear=True)


def _differ(text: pd.Series) -> bool:
    return not bool((text == text.iloc[0]).all()) if len(text) else True


def _is_shared(text: pd.Series) -> bool:
    return int(text.value_counts().min()) >= MIN_SHARED


def _levels(found: list[str]) -> list[str] | dict[str, str]:
    """Levels as they are, or mapped to names that a plan allows; different texts stay different."""
    if all(_LEVEL.fullmatch(level) for level in found):
        return found
    names: dict[str, str] = {}
    for at, level in enumerate(found):
        name = re.sub(r"[^A-Za-z0-9_.]+", "_", w.plain(level)).strip("_")
        name = name if _LEVEL.fullmatch(name) else f"level_{name or at}"[:60]
        names[level] = name if name not in names.values() else f"{name}_{at}"
    return names
