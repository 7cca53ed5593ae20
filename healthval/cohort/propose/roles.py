"""Roles that need the whole table: case, patient, ages by birth dates, label, units beside numbers."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from healthval.cohort.propose import words as w
from healthval.cohort.propose.draft import Draft, Kind, words
from healthval.cohort.propose.evidence import (
    are_opposite,
    belong_to_one,
    numbers_of,
    verdicts_in,
    verdicts_of,
)
from healthval.cohort.propose.proposal import MIN_SHARED
from healthval.cohort.units import conversion, in_yaml, read_unit, same_unit
from healthval.contracts.table import plain_token
from healthval.errors import CohortError, counted

if TYPE_CHECKING:
    import pandas as pd


def choose_keys(draft: Draft, n: int) -> str:
    """Keep one case key and one patient; drop other keys. Return the case key.

    Raises
    ------
    CohortError
        If no column identifies a case.
    """
    keys = draft.of_kind("id") or _complete_and_different(draft, n)
    if not keys:
        raise CohortError(
            "no column identifies a case; add one whose values all differ, for example the visit"
        )
    best = min(keys, key=_rank)
    draft.declare(best, kind="id")
    patients = draft.of_kind("cluster")
    patients += [name for name in keys if name != best and words(name) & w.PATIENT]
    patients = patients or _owners_of_traits(draft, n)
    patients.sort(key=lambda name: not words(name) & w.PATIENT)
    if patients:
        draft.declare(patients[0], kind="cluster")
    for name in patients[1:]:
        draft.drop(name, f"it repeats like a key, and '{patients[0]}' is the patient")
    for name in keys:
        if name not in (best, *patients):
            draft.drop(
                name,
                f"it is another key, and '{best}' is the case; declare it 'id' if images or another"
                " table are joined by it",
            )
    return best


def _rank(name: str) -> tuple[bool, bool]:
    found = words(name)
    is_case = bool(found & w.CASE)
    return not is_case, bool(found & w.PATIENT)


def _complete_and_different(draft: Draft, n: int) -> list[str]:
    """Columns that differ in every row and are unclear otherwise: codes, or whole numbers."""
    possible = draft.unclear | set(draft.of_kind("number"))
    form = r"[A-Za-z0-9][\w./-]{0,63}"
    found = [
        name
        for name in draft.kinds
        if name in possible
        and len(draft.texts[name]) == n
        and draft.texts[name].is_unique
        and draft.texts[name].str.fullmatch(form).all()
        and not draft.texts[name].map(plain_token).str.fullmatch(r"\d*\.\d+").any()
    ]
    # Measurements may differ in each row of a small table.
    named = [name for name in found if words(name) & w.NUMBER]
    return named or [name for name in found if name in draft.unclear]


def _owners_of_traits(draft: Draft, n: int) -> list[str]:
    """Columns of codes that repeat, where each code has one sex and one date of birth."""
    traits = [
        draft.texts[name].reindex(range(n))
        for name, kind in draft.kinds.items()
        if (kind["kind"] == "category" and words(name) & w.SEX)
        or (kind["kind"] == "date" and words(name) & w.BIRTH)
    ]
    for name in draft.kinds:
        owner = draft.texts[name]
        if name in draft.unclear and len(owner) == n and belong_to_one(owner, traits):
            draft.questions.append(f"Is '{name}' the patient? Each of its values has one sex.")
            return [name]
    return []


def find_ages(draft: Draft) -> None:
    """Declare a number 'age' that falls with the date of birth, whatever its name."""
    births = [name for name, text in draft.texts.items() if words(name) & w.BIRTH and len(text)]
    years = [_years(draft.texts[name]) for name in births]
    for name in draft.of_kind("number"):
        number = numbers_of(draft.texts[name])
        if number is None or not number.between(0, 115).all() or number.nunique() < MIN_SHARED:
            continue
        # ALT is an age in German, and an enzyme whose values are mostly lower.
        named = words(name) == {"alt"} and number.median() >= 35 and bool((number % 1 == 0).all())
        if named or any(number.corr(year.reindex(number.index)) < -0.97 for year in years):
            draft.declare(name, kind="age", **_kept(draft.kinds[name]))
            draft.questions.append(
                f"Is '{name}' an age in years? Its values look like one; ages above 89 leave as 90."
            )


def _years(text: pd.Series) -> pd.Series:
    """Year in each text that has one; dates may be in any form."""
    return text.str.extract(r"((?:18|19|20)\d\d)", expand=False).astype(float)


def _kept(kind: Kind) -> Kind:
    return {"missing": kind["missing"]} if "missing" in kind else {}


def choose_label(draft: Draft) -> str | None:
    """Declare the likeliest outcome as the label; drop other outcomes, which are known too late."""
    found: list[tuple[int, int, str, Kind]] = []
    for at, name in enumerate(draft.kinds):
        text = draft.texts[name]
        named, by_value = _is_outcome(name, text), has_outcome_values(text)
        if draft.kinds[name]["kind"] == "category" and (named or by_value):
            if not words(name) & w.HISTORY:
                found.append((_likelihood(words(name)), at, name, _as_label(name, draft)))
        elif draft.kinds[name]["kind"] == "number" and words(name) & w.DEATH - w.HISTORY:
            draft.drop(name, "its name is one of an outcome, known only afterwards")
    chosen = max((f for f in found if f[3]), key=lambda f: f[:2], default=None)
    for entry in found:
        if entry is not chosen:
            draft.drop(entry[2], "it is an outcome or a diagnosis, known only afterwards")
    if chosen is None:
        _ask_about_outcomes(draft, [f[2] for f in found if draft.texts[f[2]].nunique() == 2])
        _ask_about_the_last(draft)
        return None
    if not chosen[0]:
        _ask_about_the_last(draft, but=chosen[2])
    draft.kinds[chosen[2]] = chosen[3]
    others = [f"'{f[2]}'" for f in found if f is not chosen and f[3]]
    if others:
        draft.questions.append(
            f"'{chosen[2]}' is proposed as the reference standard; is it {' or '.join(others)} instead?"
        )
    return chosen[2]


def _likelihood(found: frozenset[str]) -> int:
    """Rank of an outcome as the label; a transfer or a culture is seldom the reference standard."""
    return 2 * bool(found & w.STRONG) + (not found & (w.ADMISSION | w.CULTURE))


def _is_outcome(name: str, text: pd.Series) -> bool:
    found = words(name)
    if found & w.ADMISSION and not found & w.NOT_ADMISSION and are_opposite(text):
        return True
    if any(parts <= found for parts in w.AGAIN):
        return True
    return bool(found & (w.STRONG | w.WEAK | w.CULTURE)) and not found & w.STAGE


def has_outcome_values(text: pd.Series) -> bool:
    """Whether values are those of an outcome: a death among others, or for example benign and malignant."""
    found = verdicts_in(text) if text.nunique() <= MIN_SHARED * 2 else set()
    two = len(found) == 2 and bool(found & w.OUTCOME_VALUES) and bool(found & w.NEGATIVE)
    return two or bool(found & w.DEATH_VALUES)


def _as_label(name: str, draft: Draft) -> Kind:
    """Declaration of a label; empty if its positive and negative values are not recognised."""
    codes = draft.kinds[name].get("missing", [])
    found = [value for value in sorted(draft.texts[name].unique()) if value not in codes]
    token = verdicts_of(found)
    positive = [v for v in found if token[v] in w.POSITIVE]
    negative = [v for v in found if token[v] in w.NEGATIVE]
    rest = [v for v in found if v not in positive + negative]
    if not positive or not negative or len(rest) > 1:
        return {}
    if words(name) & w.ALIVE and not {token[v] for v in positive} & w.DEATH_VALUES:
        positive, negative = negative, positive  # "yes" is alive, and the target condition is death
    label = {"kind": "label", "positive": positive, "negative": negative}
    label |= {"missing": codes} if codes else {}
    return label | ({"indeterminate": rest} if rest else {})


def _ask_about_outcomes(draft: Draft, names: list[str]) -> None:
    """Name outcomes whose values do not tell positive from negative, such as 1 and 2."""
    draft.questions += [
        f"Is '{name}' the reference standard? It is named like an outcome, and its two values do not"
        " show which is positive: declare it 'label' with 'positive' and 'negative'."
        for name in names
    ]


def _ask_about_the_last(draft: Draft, but: str = "") -> None:
    """Name the last column with two opposite values, which may be the outcome."""
    two = [n for n in draft.of_kind("category") if n != but and _as_label(n, draft)]
    if two:
        draft.questions.append(
            f"'{two[-1]}' has two opposite values and is the last such column; is it the reference"
            " standard? Then declare it 'label' and remove it from 'inputs'."
        )


def find_units(draft: Draft) -> None:
    """Declare the units and comparators that are in a column beside a number."""
    for name in draft.of_kind("number"):
        own = w.words_of(name)
        for other in list(draft.kinds):
            beside = w.words_of(other)
            if other == name or len(beside) != len(own) + 1 or other not in draft.texts:
                continue
            extra = beside[-1] if beside[:-1] == own else beside[0] if beside[1:] == own else ""
            if extra in w.UNIT:
                _units_beside(draft, name, other)
            elif extra in w.SIGN and set(draft.texts[other].unique()) <= {"<", "<=", "="}:
                n_below = counted(int((draft.texts[other] != "=").sum()), "result")
                draft.kinds[name] |= {"comparator_column": other, "below_limit": "exclude"}
                draft.drop(other, f"it has the comparators of '{name}', which are read with it")
                draft.questions.append(
                    f"'{name}' has {n_below} below a limit ('<'): exclude, value or half?"
                )


def _units_beside(draft: Draft, name: str, other: str) -> None:
    units = Counter(draft.texts[other].tolist())
    usual, n_usual = units.most_common(1)[0] if units else ("", 0)
    if n_usual < MIN_SHARED or read_unit(usual) is None:
        return
    found = {"unit": usual, "unit_column": other, "other_units": "exclude"}
    draft.kinds[name] |= found
    draft.drop(other, f"it has the units of '{name}', which are read with it")
    for unit, n in units.items():
        if n < MIN_SHARED or same_unit(unit, usual) or read_unit(unit) is None:
            continue
        factor = conversion(unit, usual)
        how = f"'convert: {{{in_yaml(unit)}: ucum}}'" if factor else "a factor under 'convert'"
        draft.questions.append(
            f"'{name}': {counted(n, 'value is', 'values are')} in {unit}, not {usual}, and left out;"
            f" convert by {how}?"
        )


def unit_in(name: str) -> str:
    """The unit at the end of a name, such as lactate_mmol_l; empty without one.

    >>> unit_in("lactate_mmol_l"), unit_in("Hb g/dL"), unit_in("crp_mgL"), unit_in("weight_kg"), unit_in("lactate")
    ('mmol/L', 'g/dL', 'mg/L', 'kg', '')
    """
    plain = w.plain(name).replace("µ", "u").replace("μ", "u").lower()
    for found in (w.words_of(name), tuple(re.findall(r"[a-z]+|\d+|%", plain))):
        if len(found) > 2 and (unit := _RATIOS.get("".join(found[-2:]))):
            return unit
        if len(found) > 1 and (unit := _SINGLE.get(found[-1]) or _RATIOS.get(found[-1])):
            return unit
    return ""


_RATIOS = {
    unit.lower().replace("/", ""): unit
    for unit in "mmol/L umol/L nmol/L pmol/L g/L g/dL mg/dL mg/L ug/L ng/mL ng/L pg/mL U/L mL/min".split()  # noqa: SIM905
}
_SINGLE = {
    "kg": "kg", "cm": "cm", "mm": "mm", "mg": "mg", "ml": "mL", "mmhg": "mm[Hg]", "bpm": "/min",
    "percent": "%", "pct": "%", "celsius": "Cel", "kpa": "kPa", "mmol": "mmol",
}  # fmt: skip
