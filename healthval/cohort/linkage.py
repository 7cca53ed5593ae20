"""Linkage: rows of another table linked to the cases, and FHIR views joined side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError

from healthval.cohort.cohort import Cohort
from healthval.cohort.columns import find_column
from healthval.cohort.dates import days_between, instant_column, is_hidden
from healthval.cohort.fhir.views import run_views
from healthval.contracts.table import Link, TableSchema
from healthval.errors import CohortError, counted

if TYPE_CHECKING:
    import pandas as pd


def link_rows(
    cohort: Cohort, rows: pd.DataFrame, schema: TableSchema, link: Link, *, step: str
) -> Cohort:
    """Add to each case the columns of its row in another table (laboratory, images, views).

    Parameters
    ----------
    rows : from `check_frame` or a view; a patient may have several rows
    schema : declaration of the columns of `rows`; columns to link on are not added again
    step : name of the step in the flow; a link that is not required adds no step

    Raises
    ------
    CohortError
        If a column is absent or already in the cohort, or if a case has several rows and `choose`
        is "only".
    """
    import pandas as pd

    frame = cohort.frame
    for ours, theirs in link.on.items():
        find_column(frame, ours, step)
        find_column(rows, theirs, step)
    new = _new_columns(frame, rows, link, step)
    best = _one_per_case(_pairs(frame, rows, link), link, step).set_index("_case")[new]
    added = best.reindex(range(len(frame)))
    for name in added.select_dtypes([object, "string"]).columns:
        added[name] = added[name].astype(object).where(added[name].notna(), None)
    joined = pd.concat([cohort._frame, added], axis=1)
    merged = replace(cohort, _frame=joined, schema=_merged_schema(cohort.schema, schema, new, step))
    linked = np.isin(np.arange(len(frame)), best.index)
    return merged.keep(step, linked) if link.required else merged


def _new_columns(frame: pd.DataFrame, rows: pd.DataFrame, link: Link, step: str) -> list[str]:
    new = [n for n in rows.columns if n not in link.on.values()]
    taken = [n for n in new if n in frame.columns]
    if taken:
        raise CohortError(
            f"step '{step}': {counted(len(taken), 'column is', 'columns are')} in the cohort "
            f"already ({', '.join(taken)}); rename each one in the source"
        )
    return new


def _pairs(frame: pd.DataFrame, rows: pd.DataFrame, link: Link) -> pd.DataFrame:
    """Every row with every case it is linked to; `_case` is the position of the case."""
    keys = list(link.on)
    anchor = [link.anchor] if link.anchor else []
    candidates = frame[[*keys, *anchor]].assign(_case=range(len(frame)))
    right = rows.rename(columns=dict(zip(link.on.values(), keys, strict=True)))
    # A missing key would match the missing keys of other patients.
    candidates, right = (part[part[keys].notna().all(axis=1)] for part in (candidates, right))
    return candidates.merge(right, on=keys, how="inner", sort=False)


def _one_per_case(pairs: pd.DataFrame, link: Link, step: str) -> pd.DataFrame:
    if link.anchor and link.date:
        days = days_between(pairs[link.date], pairs[link.anchor])
        inside = (days >= -link.days_before) & (days <= link.days_after)
        windowed = link.model_fields_set & {"days_before", "days_after"}
        pairs = pairs.assign(_days=days.abs())[inside if windowed else days.notna()]
    if link.choose == "only":
        n_ambiguous = int(pairs["_case"][pairs["_case"].duplicated()].nunique())
        if n_ambiguous:
            raise CohortError(
                f"step '{step}': {counted(n_ambiguous, 'case has', 'cases have')} several rows; "
                "choose 'nearest', 'first' or 'last', or narrow the window"
            )
        return pairs
    by = "_days" if link.choose == "nearest" else str(link.date)
    if instant_column(by) in pairs.columns:
        by = instant_column(by)
    ordered = pairs.sort_values(by, ascending=link.choose != "last", kind="stable")
    return ordered.drop_duplicates("_case")


def _merged_schema(
    ours: TableSchema, theirs: TableSchema, new: list[str], step: str
) -> TableSchema:
    new = [name for name in new if not is_hidden(name)]
    undeclared = [name for name in new if name not in theirs.columns]
    if undeclared:
        raise CohortError(
            f"step '{step}': {counted(len(undeclared), 'column is', 'columns are')} in the rows but not "
            f"declared ({', '.join(undeclared)}); declare or remove each one"
        )
    theirs = theirs.settled()
    readers = ours if ours.of_kind("label") else theirs
    try:
        return TableSchema(
            columns=ours.columns | {name: theirs.columns[name] for name in new},
            readers=readers.readers,
            verification=readers.verification,
            sources={},
        )
    except ValidationError:
        raise CohortError(
            f"step '{step}': cohort and rows both declare a cluster or labels; drop them from one"
        ) from None


def join_views(
    views: Mapping[str, Mapping[str, Any]], resources: Iterable[Mapping[str, Any]], *, on: str
) -> pd.DataFrame:
    """Run views in one pass and join their columns side by side, as a source for `read_table`.

    Parameters
    ----------
    views : by name; the rows of the first view are the cases, the others have at most one row per key
    on : column that all views have, for example ``patient``

    Raises
    ------
    CohortError
        If a view lacks the column, repeats a key, or repeats a column of another view.
    ViewError
        If a view is invalid.
    """
    return join_frames(run_views(views, resources), on=on)


def join_frames(frames: Mapping[str, pd.DataFrame], *, on: str) -> pd.DataFrame:
    """Join the results of several views side by side; see `join_views`."""
    (_, joined), *others = frames.items()
    for name, frame in frames.items():
        if on not in frame.columns:
            raise CohortError(f"view '{name}' has no column '{on}' to join on; add it")
    for name, frame in others:
        n_surplus = int(frame[on].dropna().duplicated().sum())
        if n_surplus:
            raise CohortError(
                f"view '{name}' repeats a key in {counted(n_surplus, 'row')}; narrow its 'where', or "
                "declare in 'links' which row is used"
            )
        taken = [c for c in frame.columns if c != on and c in joined.columns]
        if taken:
            raise CohortError(
                f"view '{name}' repeats {counted(len(taken), 'column')} of an earlier view; rename "
                "each one"
            )
        known = frame[frame[on].notna()]
        joined = joined.merge(known, on=on, how="left", sort=False)
    return joined.astype(object).where(joined.notna(), None)
