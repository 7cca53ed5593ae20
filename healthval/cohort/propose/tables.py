"""Proposal of a plan's table or views from names and types, for the user to confirm.

A proposal contains a value only if it is a level that several cases share: the plan leaves the site,
and a rare level may identify a person.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from healthval.cohort.propose.proposal import MIN_SHARED, Proposal
from healthval.cohort.text import as_text
from healthval.contracts.table import TableSchema, label_token
from healthval.errors import CohortError, counted

if TYPE_CHECKING:
    import pandas as pd

MAX_LEVELS = 12
_POSITIVE = frozenset("1 yes y positive pos malignant present case abnormal disease dead".split())  # noqa: SIM905
_NEGATIVE = frozenset("0 no n negative neg benign absent control normal healthy alive".split())  # noqa: SIM905
_LABEL = re.compile(
    r"label|outcome|target|truth|reference|diagnos|histolog|patholog|sepsis|died|death|mortal|"
    r"malign|cancer|disease|positive|event|^y$"
)
_PATIENT = re.compile(r"mrn|patient|subject|person|medical_?record")
_KEY = re.compile(r"(^|_)(id|uid|key|no|nr|number|accession|visit|encounter|study|case)($|_)|mrn")
_FREE = re.compile(
    r"name|address|street|city|phone|fax|mail|ssn|note|remark|comment|text|narrative|report|url|"
    r"insur|account|licen|plate|serial|device|doctor|physician|(^|_)ip($|_)"
)
_DATE = re.compile(r"date|time|dob|birth|born|(^|_)(on|at|day)$")
_AGE = re.compile(r"(^|_)age($|_)")
_ZIP = re.compile(r"zip|postal|postcode")
_LEVEL = re.compile(r"[A-Za-z][A-Za-z0-9_.]{0,63}")
_INPUT = re.compile(r"[A-Za-z][A-Za-z0-9_.]{0,63}")


def propose_table(frame: pd.DataFrame) -> Proposal:
    """Propose a kind for every column, from its name first and its values second.

    Raises
    ------
    CohortError
        If the table has no rows or no column that could identify a case.
    """
    if not len(frame):
        raise CohortError("the table has no rows to propose from; check the export")
    kinds = {str(name): _kind(str(name), frame[name]) for name in frame.columns}
    keys = [name for name, k in kinds.items() if k["kind"] == "id"]
    if not keys:
        raise CohortError(
            "no column identifies a case; add one whose values all differ, for example the visit"
        )
    label = _label(kinds, frame)
    # The schema uses the first 'id' as the case's key.
    ordered = dict(sorted(kinds.items(), key=lambda item: item[0] != _best_key(keys)))
    inputs = [n for n, k in ordered.items() if k["kind"] in {"number", "age", "category"}]
    return Proposal(
        table=TableSchema.model_validate({"columns": ordered}),
        inputs=tuple(n for n in inputs if _INPUT.fullmatch(n)),
        subgroups=tuple(
            n for n in inputs if kinds[n]["kind"] == "category" and _INPUT.fullmatch(n)
        ),
        questions=_table_questions(kinds, label),
    )


def _table_questions(kinds: dict[str, dict[str, Any]], label: str | None) -> tuple[str, ...]:
    questions = ["Is the first column declared 'id' the scored unit, and 'cluster' the patient?"]
    if label is None:
        questions.append("Which column holds the reference standard? None looks like one.")
    else:
        questions.append(f"Is '{label}' the reference standard, and is its positive value right?")
    n_dropped = sum(k["kind"] == "drop" for k in kinds.values())
    if n_dropped:
        dropped = counted(n_dropped, "column is", "columns are")
        questions.append(f"{dropped} proposed to be dropped; is one of the inputs among them?")
    return tuple(questions)


def _kind(name: str, values: pd.Series) -> dict[str, Any]:
    import pandas as pd

    lower = re.sub(r"[^a-z0-9]+", "_", name.lower())
    text = as_text(values.reset_index(drop=True)).dropna()
    number = pd.to_numeric(text, errors="coerce")
    numeric = bool(len(text)) and bool(number.notna().all())
    if _ZIP.search(lower):
        return {"kind": "zip"}
    if _AGE.search(lower) and numeric and number.between(0, 130).all():
        return {"kind": "age"}
    if _is_key(lower, text, len(values)):
        return {"kind": "id" if text.is_unique else "cluster"}
    if _FREE.search(lower):
        return {"kind": "drop"}
    if pd.api.types.is_datetime64_any_dtype(values) or (_DATE.search(lower) and _are_dates(text)):
        return {"kind": "date"}
    return _measured(text, numeric=numeric)


def _measured(text: pd.Series, *, numeric: bool) -> dict[str, Any]:
    counts = text.value_counts()
    few = 0 < len(counts) <= MAX_LEVELS
    shared = few and int(counts.min()) >= MIN_SHARED
    if numeric and not (few and len(counts) == 2):
        return {"kind": "number"}
    if shared:
        return {"kind": "category", "levels": _levels(sorted(map(str, counts.index)))}
    return {"kind": "number"} if numeric else {"kind": "drop"}


def _levels(found: list[str]) -> list[str] | dict[str, str]:
    if all(_LEVEL.fullmatch(level) for level in found):
        return found
    named = {level: re.sub(r"[^A-Za-z0-9_.]+", "_", level).strip("_") for level in found}
    return {
        level: name if _LEVEL.fullmatch(name) else f"level_{name or i}"[:64]
        for i, (level, name) in enumerate(named.items())
    }


def _is_key(lower: str, text: pd.Series, n: int) -> bool:
    named = bool(_KEY.search(lower) or _PATIENT.search(lower)) and not _FREE.search(lower)
    return named and len(text) == n and text.nunique() > min(MAX_LEVELS, n - 1)


def _are_dates(text: pd.Series) -> bool:
    import pandas as pd

    parsed = pd.to_datetime(text, format="ISO8601", errors="coerce", utc=True)
    return bool(len(text)) and bool(parsed.notna().all())


def _best_key(keys: list[str]) -> str:
    """Choose the key of a visit or study rather than that of a patient, where both are unique."""
    return min(keys, key=lambda name: bool(_PATIENT.search(name.lower())))


def _label(kinds: dict[str, dict[str, Any]], frame: pd.DataFrame) -> str | None:
    """Declare the most likely two-valued column as the label, in place; return its name."""
    for name in sorted(kinds, key=lambda n: not _LABEL.search(n.lower())):
        if kinds[name]["kind"] != "category" or not _LABEL.search(name.lower()):
            continue
        found = sorted(as_text(frame[name].reset_index(drop=True)).dropna().unique())
        positive = [v for v in found if label_token(v).lower() in _POSITIVE]
        negative = [v for v in found if label_token(v).lower() in _NEGATIVE]
        rest = [v for v in found if v not in positive + negative]
        if positive and negative:
            kinds[name] = {"kind": "label", "positive": positive, "negative": negative}
            if rest:
                kinds[name]["indeterminate"] = rest
            _keep_one_cluster(kinds)
            return name
    _keep_one_cluster(kinds)
    return None


def _keep_one_cluster(kinds: dict[str, dict[str, Any]]) -> None:
    clusters = [n for n, k in kinds.items() if k["kind"] == "cluster"]
    clusters.sort(key=lambda name: not _PATIENT.search(name.lower()))
    for name in clusters[1:]:
        kinds[name] = {"kind": "drop"}
