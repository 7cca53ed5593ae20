"""Reasons to drop a column: its name, or its values, are of something that is no input."""

from __future__ import annotations

from typing import TYPE_CHECKING

from healthval.cohort.propose import words as w
from healthval.cohort.propose.evidence import (
    are_birth_years,
    are_diagnoses,
    are_other_dates,
    have_units,
    people_in,
)
from healthval.cohort.propose.proposal import MIN_SHARED

if TYPE_CHECKING:
    import pandas as pd

MAX_LEVELS = 12
FOLLOW_UP = 28  # days; with it in its name, a scale of function is an outcome
_FORM = {"0", "1", "2", "incomplete", "unverified", "complete"}  # REDCap
REASONS = {
    "name": "its name is empty, longer than 128 characters, or contains <, > or invisible characters; rename it",
    "person": "its name is one of personal data (name, residence, telephone, insurance, national id)",
    "staff": "its name is one of staff; its values may be names of people",
    "device": "its name is one of a device or serial number",
    "birth": "a year of birth reveals an age above 89; give the age, or the whole date",
    "reader": "it is a reader's verdict; declare it 'label' if readers are the reference standard",
    "model": "it may be an output of the model itself",
    "text": "its name is one of free text",
    "number": "its name is one of a number or key, which is no measurement",
    "later": "it is known only when the stay or the follow-up ends",
    "form": "its values are the statuses of a form: incomplete, unverified, complete",
    "empty": "it has no values",
    "dates": "its dates are not in ISO 8601; write them as YYYY-MM-DD and declare it 'date'",
    "icd": "its values are codes of diagnoses, known only afterwards",
    "zip": "it is a postal code, and not one of the United States",
    "age": "an age in another unit than years is not capped; give it in years",
    "ages": "its ages are not all numbers, such as 90+ or 67 years; write whole years, 90 for older ones",
    "one": "it has one value only",
    "levels": f"it has more than {MAX_LEVELS} different texts, or one that fewer than {MIN_SHARED} cases share",
    "row": "its values are the numbers of the rows",
    "units": "its values are numbers with their units; write the units in another column",
    "long": "its values are long whole numbers, like record or telephone numbers",
}


def name_to_drop(ordered: tuple[str, ...], *, is_text: bool, is_outcome: bool) -> str | None:
    """Reason to drop a column because of its name."""
    found = frozenset(ordered)
    person = bool(found & w.PERSON) or (is_text and bool(found & w.SHORT_PERSON))
    person |= any(parts <= found for parts in w.SOCIAL)
    at_end = bool(found & w.END and found & w.END_OF) or any(stay <= found for stay in w.STAY)
    is_followup = bool(found & w.FUNCTION or {"m", "rs"} <= found) and any(
        part.isdigit() and int(part) >= FOLLOW_UP for part in ordered
    )
    is_date = bool(found & w.DATE)
    is_numbered = len(ordered) > 2 and ordered[0] in w.READER_NUMBERED and ordered[1].isdigit()
    rules = (
        (person and not found & w.NOT_PERSON, "person"),
        (bool(found & w.READER) or is_numbered, "reader"),
        (bool(found & w.STAFF or (is_text and found & w.SHORT_STAFF)), "staff"),
        (len(ordered) > 1 and ordered[-1] in w.BY, "staff"),
        (
            is_text and bool(found & {"device", "serial"} and found & (w.NUMBER | {"serial"})),
            "device",
        ),
        (not is_text and bool(found & w.BIRTH and found & w.YEAR), "birth"),
        (bool(found & w.MODEL) and not found & w.NOT_MODEL, "model"),
        (bool(found & w.INTELLIGENCE and found & w.DETECTION) and "67" not in found, "model"),
        (bool(found & w.PLACE and (found & w.NUMBER or len(found) == 1)), "number"),
        (is_followup, "later"),
        (is_text and bool(found & w.TEXT), "text"),
        (
            bool(found & w.LATER or at_end) and not (is_date or is_outcome or found & w.STRONG),
            "later",
        ),
    )
    return next((REASONS[reason] for applies, reason in rules if applies), None)


def values_to_drop(
    ordered: tuple[str, ...], rest: pd.Series, number: pd.Series | None
) -> str | None:
    """Reason to drop a column because of its values."""
    found = set(rest.str.casefold())
    is_postal = ordered == ("cp",) and bool(rest.str.fullmatch(r"\d{5}").all())
    is_form = ordered[-1:] == ("complete",) and found <= _FORM and not found <= {"0", "1"}
    if number is not None:
        is_key = len(ordered) > 1 and ordered[-1] in w.KEY
        rules = [(is_form, "form"), (is_key, "number"), (are_birth_years(number), "birth")]
        rules += [(is_postal, "zip")]
    else:
        if people := people_in(rest):
            return f"its values are, or contain, {people}"
        is_icd = are_diagnoses(rest) and not set(ordered) & w.HISTORY
        rules = [(are_other_dates(rest), "dates"), (have_units(rest), "units")]
        rules += [(is_form, "form"), (is_icd, "icd")]
    return next((REASONS[reason] for applies, reason in rules if applies), None)
