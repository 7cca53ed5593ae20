"""De-identify tables by their declared columns; undeclared columns are dropped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import InitVar, dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

from healthval.cohort import Cohort, TableSchema
from healthval.cohort.tables import as_schema, check_frame
from healthval.deid.policy import Policy
from healthval.deid.secret import Secret, case_id, date_offset, pseudonym
from healthval.deid.table_identifiers import check_levels, check_number, is_age
from healthval.errors import DeidentificationError, counted

if TYPE_CHECKING:
    import pandas as pd

OLDEST_AGE = 90  # 45 CFR 164.514(b)(2)(i)(C): all ages over 89 are one category
MINIMUM_LEVEL = 11  # a level with fewer rows is replaced by OTHER (CMS cell size policy)
# ZIP3 areas of 20,000 people or fewer, Census 2010 (HHS Safe Harbor guidance; same list as in
# Microsoft's Tools for Health Data Anonymization).
RESTRICTED_ZIP3 = frozenset(
    "036 059 102 203 205 369 556 692 821 823 878 879 884 893".split()  # noqa: SIM905
)
_MODEL_INPUTS = ("number", "age", "category")
_SEAL = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class DeidentifiedCases:
    """De-identified inputs of a table model; made only by `deidentify_cases`.

    Attributes
    ----------
    cases : ids of the cases outside the site, "case-" and 16 hexadecimal digits
    columns, rows : the model's inputs; row i belongs to case i; a missing value is None
    actions : number of values that each de-identifying action changed
    """

    cases: tuple[str, ...]
    columns: tuple[str, ...]
    rows: tuple[tuple[float | int | str | None, ...], ...] = field(repr=False)
    actions: tuple[tuple[str, int], ...]
    seal: InitVar[object] = None

    def __post_init__(self, seal: object) -> None:
        if seal is not _SEAL:
            raise DeidentificationError(
                "DeidentifiedCases cannot be built by hand; use deidentify_cases"
            )

    def __repr__(self) -> str:
        size = f"{counted(len(self.cases), 'case')}, {counted(len(self.columns), 'column')}"
        return f"DeidentifiedCases({size})"


def deidentify_table(
    frame: pd.DataFrame, schema: TableSchema | Mapping[str, Any], policy: Policy, secret: Secret
) -> pd.DataFrame:
    """De-identify the declared columns of a table; labels, drops and undeclared columns are removed.

    Ids and clusters are replaced by keyed pseudonyms, ages above 89 by 90, ZIP codes by three
    digits or 000, rare levels by OTHER. Dates are removed, shifted by the patient's offset, or
    kept, by the policy.

    Raises
    ------
    CohortError
        If a value does not fit its declaration.
    DeidentificationError
        If dates are to be shifted and no column identifies the patient.
    """
    schema = as_schema(schema)
    leaving = {n: c for n, c in schema.columns.items() if c.kind not in {"label", "drop"}}
    if not leaving:
        raise DeidentificationError("the schema declares no column that may leave; declare one")
    narrowed = schema.model_copy(update={"columns": leaving, "readers": "single"})
    return _deidentified(check_frame(frame, narrowed), narrowed, policy, secret)[0]


def deidentify_cases(
    cohort: Cohort, columns: Sequence[str], policy: Policy, secret: Secret
) -> DeidentifiedCases:
    """De-identify the model's inputs: only `columns`, only numbers, ages and categories.

    Rare levels of categories are kept. The plan's levels are a closed list that was fixed before
    data were seen, and another level would change the model's answer silently or break its input
    contract.

    Raises
    ------
    DeidentificationError
        If a column is not declared, is of another kind, is repeated, or its values look like
        record numbers or dates.
    """
    names = tuple(columns)
    _check_inputs(names, cohort)
    given = cohort.frame[list(names)]
    sent = cohort.schema.model_copy(
        update={"columns": {name: cohort.schema.columns[name] for name in names}}
    )
    frame, actions = _deidentified(given, sent, policy, secret)
    actions["pseudonym"] += len(cohort)
    categories = list(sent.of_kind("category"))
    frame[categories] = given[categories]
    del actions["level_merged"]
    rows = zip(*(_cells(frame[name]) for name in names), strict=True)
    return DeidentifiedCases(
        cases=tuple(case_id(secret, str(key)) for key in cohort.cases),
        columns=names,
        rows=tuple(rows),
        actions=tuple(sorted(actions.items())),
        seal=_SEAL,
    )


def _deidentified(
    frame: pd.DataFrame, schema: TableSchema, policy: Policy, secret: Secret
) -> tuple[pd.DataFrame, Counter[str]]:
    import pandas as pd

    actions: Counter[str] = Counter()
    kept: dict[str, Any] = {}
    for name, column in schema.columns.items():
        if column.kind in {"drop", "label"} or (column.kind == "date" and policy.dates == "remove"):
            actions["column_removed"] += 1
        elif column.kind == "date":
            dates = _without_oldest(frame[name])
            if policy.dates == "shift":
                dates += _offsets(frame, name, schema, secret)
            kept[name] = dates
            actions[f"date_{policy.dates}"] += int(dates.notna().sum())
        else:
            action, change = _CHANGES["age" if _holds_ages(name, column.kind) else column.kind]
            kept[name] = change(frame[name], secret)
            if action:
                changed = frame[name].notna() & (kept[name] != frame[name])
                actions[action] += int(changed.sum())
    return pd.DataFrame(kept, index=frame.index), actions


def _holds_ages(name: str, kind: str) -> bool:
    """Whether a column has ages: a number with the name of an age is one."""
    return kind == "age" or (kind == "number" and is_age(name))


def _pseudonyms(values: pd.Series, secret: Secret) -> pd.Series:
    return values.map({v: pseudonym(secret, "patient", str(v)) for v in values.unique()})


def _capped_ages(values: pd.Series, _: Secret) -> pd.Series:
    return values.where(~(values > OLDEST_AGE - 1), float(OLDEST_AGE))


def _zip3(values: pd.Series, _: Secret) -> pd.Series:
    short = values.str[:3]
    return short.where(~short.isin(RESTRICTED_ZIP3), "000").where(short.notna(), None)


def _common_levels(values: pd.Series, _: Secret) -> pd.Series:
    counts = values.value_counts()
    rare = counts.index[counts < MINIMUM_LEVEL]
    return values.where(~values.isin(rare), "OTHER")


def _without_oldest(dates: pd.Series) -> pd.Series:
    """Remove dates of 90 years ago or more: they reveal an age above 89."""
    import pandas as pd

    # A year counts as 365 days, so that the limit is some days early, never late.
    oldest = pd.Timestamp(date.today()) - pd.Timedelta(days=OLDEST_AGE * 365)  # noqa: DTZ011
    return dates.where(dates > oldest)


def _offsets(frame: pd.DataFrame, name: str, schema: TableSchema, secret: Secret) -> pd.Series:
    import pandas as pd

    owners = schema.of_kind("cluster") or schema.of_kind("id")
    if not owners:
        raise DeidentificationError(
            f"column '{name}': dates are shifted per patient, but no column identifies the "
            "patient; declare one as 'cluster' or 'id'"
        )
    patients = frame[owners[0]]
    days = patients.map({p: date_offset(secret, str(p)) for p in patients.unique()})
    return pd.to_timedelta(days, unit="D")


def _check_inputs(names: tuple[str, ...], cohort: Cohort) -> None:
    if not names or len(set(names)) != len(names):
        raise DeidentificationError(
            "the model's inputs are empty or repeated; name each column once"
        )
    undeclared = [name for name in names if name not in cohort.schema.columns]
    if undeclared:
        raise DeidentificationError(
            f"{counted(len(undeclared), 'input is', 'inputs are')} not declared in the plan's "
            f"table ({', '.join(undeclared)}); declare or remove them"
        )
    for name in names:
        kind = cohort.schema.columns[name].kind
        if kind not in _MODEL_INPUTS:
            raise DeidentificationError(
                f"column '{name}' is declared '{kind}' and cannot be a model's input; "
                "only numbers, ages and categories can leave the site"
            )
        if kind == "number":
            check_number(name, cohort)
        elif kind == "category":
            check_levels(name, cohort)


def _cells(values: pd.Series) -> list[float | int | str | None]:
    return [None if gone else v for v, gone in zip(values.tolist(), values.isna(), strict=True)]


_CHANGES: dict[str, tuple[str, Callable[[Any, Secret], Any]]] = {
    "id": ("pseudonym", _pseudonyms),
    "cluster": ("pseudonym", _pseudonyms),
    "age": ("age_capped", _capped_ages),
    "zip": ("zip_shortened", _zip3),
    "category": ("level_merged", _common_levels),
    "number": ("", lambda values, _: values),
}
