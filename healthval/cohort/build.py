"""Build the cohort: who is eligible, what is linked to a case, one case per scored unit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError

from healthval.cohort.cohort import Cohort
from healthval.cohort.fhir.views import run_views
from healthval.contracts.table import Eligibility, Link, TableSchema
from healthval.errors import CohortError

if TYPE_CHECKING:
    import pandas as pd


def select_cases(cohort: Cohort, steps: Iterable[Eligibility]) -> Cohort:
    """Apply the plan's eligibility in its order; each step adds its count to the flow.

    Raises
    ------
    CohortError
        If a step names a column that is not there, a condition does not fit the column's kind, or
        no case is left.
    """
    for step in steps:
        cohort = cohort.keep(step.step, _eligible(cohort, step))
    return cohort


def _eligible(cohort: Cohort, step: Eligibility) -> Any:
    values = _column(cohort.frame, step.column, step.step)
    met = values.notna() if step.present is not False else values.isna()
    kind = cohort.schema.columns[step.column].kind
    if step.low is not None or step.high is not None:
        _need(kind, {"number", "age"}, step, "low and high")
        met &= values >= (-np.inf if step.low is None else step.low)
        met &= values <= (np.inf if step.high is None else step.high)
    if step.levels:
        _need(kind, {"category", "label"}, step, "levels")
        met &= values.isin(step.levels)
    if step.not_before or step.before or step.within:
        _need(kind, {"date"}, step, "dates")
        met &= _in_time(cohort.frame, step)
    return ~met if step.exclude else met


def _in_time(frame: pd.DataFrame, step: Eligibility) -> Any:
    import pandas as pd

    dates = frame[step.column]
    met = dates.notna()
    if step.not_before:
        met &= dates >= pd.Timestamp(step.not_before)
    if step.before:
        met &= dates < pd.Timestamp(step.before)
    if step.within:
        days = _days(dates, _column(frame, step.within.of, step.step))
        met &= (days >= -step.within.days_before) & (days <= step.within.days_after)
    return met


def _days(dates: pd.Series, anchor: pd.Series) -> pd.Series:
    """Calendar days from the anchor, negative before it; the time of day does not count."""
    days: pd.Series = (dates.dt.normalize() - anchor.dt.normalize()).dt.days
    return days


def _column(frame: pd.DataFrame, name: str, step: str) -> pd.Series:
    if name not in frame.columns:
        raise CohortError(
            f"step '{step}': the cohort has no column '{name}'; declare it in the plan"
        )
    return frame[name]


def _need(kind: str, kinds: set[str], step: Eligibility, condition: str) -> None:
    if kind not in kinds:
        raise CohortError(
            f"step '{step.step}': {condition} do not fit column '{step.column}', which is declared "
            f"'{kind}'; correct the step"
        )


def one_case_per(
    cohort: Cohort, unit: str, *, by: str, choose: str = "first", step: str = "one_per_unit"
) -> Cohort:
    """Keep one case for each value of `unit`: the first or the last by the date in `by`.

    Cases without a date come after all others. Ties keep the order of the table.
    """
    if choose not in {"first", "last"}:
        raise CohortError("choose must be 'first' or 'last'")
    frame = cohort.frame
    _column(frame, unit, step)
    _column(frame, by, step)
    order = frame.sort_values(by, ascending=choose == "first", kind="stable", na_position="last")
    chosen = order.drop_duplicates(unit).index
    return cohort.keep(step, frame.index.isin(chosen))


def link_rows(
    cohort: Cohort, rows: pd.DataFrame, schema: TableSchema, link: Link, *, step: str
) -> Cohort:
    """Add to each case the columns of its row in another table (laboratory, images, views).

    Parameters
    ----------
    rows : as `check_frame` or a view gave it, several rows a patient allowed
    schema : what the columns of `rows` are; columns to link on are not added again
    step : name of the step in the flow; there is none where the link is not required

    Raises
    ------
    CohortError
        If a column is absent or already there, or several rows fit where `choose` is "only".
    """
    import pandas as pd

    frame = cohort.frame
    for ours, theirs in link.on.items():
        _column(frame, ours, step)
        _column(rows, theirs, step)
    new = [n for n in rows.columns if n not in link.on.values()]
    taken = [n for n in new if n in frame.columns]
    if taken:
        raise CohortError(
            f"step '{step}': {len(taken)} columns are in the cohort already ({', '.join(taken)}); "
            "rename them in the source"
        )
    keys = list(link.on)
    candidates = frame[[*keys, *([link.anchor] if link.anchor else [])]].assign(
        _case=range(len(frame))
    )
    right = rows.rename(columns=dict(zip(link.on.values(), keys, strict=True)))
    pairs = candidates.merge(right, on=keys, how="inner", sort=False)
    best = _best(pairs, link, step).set_index("_case")[new]
    added = best.reindex(range(len(frame)))
    for name in added.select_dtypes(object).columns:
        added[name] = added[name].where(added[name].notna(), None)
    joined = pd.concat([frame, added], axis=1)
    linked = np.isin(np.arange(len(frame)), best.index)
    merged = replace(cohort, _frame=joined, schema=_merged(cohort.schema, schema, new, step))
    return merged.keep(step, linked) if link.required else merged


def _merged(ours: TableSchema, theirs: TableSchema, new: list[str], step: str) -> TableSchema:
    undeclared = [name for name in new if name not in theirs.columns]
    if undeclared:
        raise CohortError(
            f"step '{step}': {len(undeclared)} columns of the rows are not declared "
            f"({', '.join(undeclared)}); declare or remove them"
        )
    theirs = theirs.settled()
    readers = ours if ours.of_kind("label") else theirs
    try:
        return TableSchema(
            columns=ours.columns | {name: theirs.columns[name] for name in new},
            readers=readers.readers,
            verification=readers.verification,
        )
    except ValidationError:
        raise CohortError(
            f"step '{step}': cohort and rows both declare a cluster or labels; drop them from one"
        ) from None


def _best(pairs: pd.DataFrame, link: Link, step: str) -> pd.DataFrame:
    if link.anchor and link.date:
        days = _days(pairs[link.date], pairs[link.anchor])
        inside = (days >= -link.days_before) & (days <= link.days_after)
        windowed = link.model_fields_set & {"days_before", "days_after"}
        pairs = pairs.assign(_days=days.abs())[inside if windowed else days.notna()]
    if link.choose == "only":
        n_twice = int(pairs["_case"][pairs["_case"].duplicated()].nunique())
        if n_twice:
            raise CohortError(
                f"step '{step}': {n_twice} cases have several rows; choose 'nearest', 'first' or "
                "'last', or narrow the window"
            )
        return pairs
    by = "_days" if link.choose == "nearest" else link.date
    ordered = pairs.sort_values(str(by), ascending=link.choose != "last", kind="stable")
    return ordered.drop_duplicates("_case")


def check_verification(cohort: Cohort) -> None:
    """Refuse a cohort in which only some cases were verified, unless the plan declares so.

    When verification depends on the index test, sensitivity is overestimated and specificity
    underestimated; a reader must be told (Begg and Greenes 1983, Biometrics 39:207).
    """
    n = cohort.n_missing_reference
    if n and cohort.schema.verification == "complete":
        raise CohortError(
            f"{n} of {len(cohort)} cases have no reference standard; declare "
            "'verification: partial' in the plan's table and say in the protocol why they have none"
        )


def join_views(
    views: Mapping[str, Mapping[str, Any]], resources: Iterable[Mapping[str, Any]], *, on: str
) -> pd.DataFrame:
    """Run views in one pass and put their columns side by side; feed the result to `read_table`.

    Parameters
    ----------
    views : by name; rows of the first one are the cases, the others give at most one row a key
    on : column that all views have, for example ``patient``

    Raises
    ------
    CohortError
        If a view lacks the column, gives a key twice, or repeats a column of another view.
    ViewError
        If a view is invalid.
    """
    return join_frames(run_views(views, resources), on=on)


def join_frames(frames: Mapping[str, pd.DataFrame], *, on: str) -> pd.DataFrame:
    """Put what several views gave side by side; see `join_views`."""
    (_, joined), *others = frames.items()
    for name, frame in frames.items():
        if on not in frame.columns:
            raise CohortError(f"view '{name}' has no column '{on}' to join on; add it")
    for name, frame in others:
        n_twice = int(frame[on].dropna().duplicated().sum())
        if n_twice:
            raise CohortError(
                f"view '{name}' gives {n_twice} rows more than keys; narrow its 'where', or say in "
                "'links' which row counts"
            )
        taken = [c for c in frame.columns if c != on and c in joined.columns]
        if taken:
            raise CohortError(f"view '{name}' repeats {len(taken)} columns; rename them")
        known = frame[frame[on].notna()]
        joined = joined.merge(known, on=on, how="left", sort=False)
    return joined.astype(object).where(joined.notna(), None)
