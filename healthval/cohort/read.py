"""One cohort from the sources of the plan: a table, FHIR resources, or both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from healthval.cohort.cohort import Cohort, Counts
from healthval.cohort.columns import refuse_inexact
from healthval.cohort.eligibility import select_cases
from healthval.cohort.fhir.current import CurrentResources, keyed
from healthval.cohort.fhir.resources import read_resources, refuse_conflicts, resolved_resources
from healthval.cohort.fhir.views import compile_view, run_views
from healthval.cohort.linkage import join_frames, link_rows
from healthval.cohort.tables import (
    ages_at,
    as_cohort,
    birth_of,
    check_and_count,
    read_columns,
    read_declared,
)
from healthval.cohort.text import as_text
from healthval.contracts.table import (
    AgeColumn,
    Eligibility,
    FhirInputs,
    IdColumn,
    Link,
    TableSchema,
)
from healthval.errors import CohortError, counted

if TYPE_CHECKING:
    import pandas as pd

    from healthval.cohort.tables import Source

    Resources = str | Path | Iterable[Mapping[str, Any]]


def read_cohort(
    schema: TableSchema,
    *,
    table: Source | None = None,
    resources: Resources | None = None,
    fhir: FhirInputs | None = None,
    eligibility: Iterable[Eligibility] = (),
) -> Cohort:
    """Read the sources that the plan declares as one cohort.

    Parameters
    ----------
    table : rows of cases, a source of `read_table`; without it the rows of the first view are the
        cases
    resources : folder or file of FHIR resources, or a stream of them
    fhir : the views that flatten them
    eligibility : steps of the flow diagram

    Raises
    ------
    CohortError
        If sources are missing or do not fit the schema, if the resources contain no row of the
        table, or if no case is left.
    """
    if (resources is None) != (fhir is None):
        raise CohortError("FHIR resources and the plan's views go together; give both or neither")
    if fhir is None or resources is None:
        if table is None:
            raise CohortError("the cohort has no source; give a table, or FHIR resources and views")
        frame, others = read_declared(table, schema)
        return select_cases(as_cohort(frame, schema, others=others), eligibility)
    frames, counts = _run_views(fhir, resources)
    cohort = _unlinked(frames, table, fhir, schema).with_counts(counts)
    for name in fhir.links:
        cohort = _linked(cohort, frames[name], fhir.links[name], view=name, schema=schema)
    return select_cases(_with_ages(cohort, schema), eligibility)


def _run_views(fhir: FhirInputs, resources: Resources) -> tuple[dict[str, pd.DataFrame], Counts]:
    """Run the views on the resources that count; count files and resources that were left out."""
    stream: Iterable[Mapping[str, Any]]
    n_files = 0
    if isinstance(resources, (str, Path)):
        files = read_resources(resources)
        stream, n_files = files, len(files.files_not_read)
    else:
        stream = resolved_resources(resources)
    types = frozenset(compile_view(view).resource for view in fhir.views.values())
    current = CurrentResources(read=types)
    views = {name: keyed(view) for name, view in fhir.views.items()}
    found = run_views(views, current.filtered(refuse_conflicts(stream, types)))
    frames = {name: current.current_rows(frame) for name, frame in found.items()}
    counts = {
        "files_not_read": n_files,
        "references_unresolved": current.unresolved,
        "resources_superseded": current.superseded,
    }
    return frames, tuple((name, n) for name, n in counts.items() if n)


def _unlinked(
    frames: Mapping[str, pd.DataFrame], table: Source | None, fhir: FhirInputs, schema: TableSchema
) -> Cohort:
    """Cases with the columns of the table and of the views that have one row per case."""
    flat = join_frames({n: f for n, f in frames.items() if n not in fhir.links}, on=fhir.on)
    base = _without_links(schema, frames, fhir)
    if table is None:
        _check_views(base, flat)
        return as_cohort(flat, base, "first_view_rows")
    return _joined(read_columns(table, schema), flat, fhir.on, base)


def _check_views(schema: TableSchema, flat: pd.DataFrame) -> None:
    absent = [n for n, c in schema.columns.items() if c.kind != "drop" and n not in flat.columns]
    if absent:
        raise CohortError(
            f"{counted(len(absent), 'declared column is', 'declared columns are')} in no view "
            f"({', '.join(absent)}); give the table of the cases too, or add each one to a view"
        )


def _without_links(
    schema: TableSchema, frames: Mapping[str, pd.DataFrame], fhir: FhirInputs
) -> TableSchema:
    """Return the schema without the columns that linked views add later.

    An age at a date of a linked view is read as the date of birth first; see `_with_ages`.
    """
    later = {
        column
        for name, link in fhir.links.items()
        for column in frames[name].columns
        if column not in link.on.values()
    }
    columns = {
        name: birth_of(column) if isinstance(column, AgeColumn) and column.at in later else column
        for name, column in schema.columns.items()
        if name not in later
    }
    return schema.model_copy(update={"columns": columns})


def _with_ages(cohort: Cohort, schema: TableSchema) -> Cohort:
    """Compute the ages whose dates were added by a linked view."""
    read = cohort.schema.columns
    for name, column in schema.columns.items():
        if isinstance(column, AgeColumn) and column.at and read[name].kind == "date":
            # The whole frame: it also has the hidden columns of instants.
            frame = cohort._frame
            ages = ages_at(name, column, frame[name], frame[column.at])
            alone = schema.model_copy(update={"columns": {name: column}}).settled()
            columns = {**cohort.schema.columns, **alone.columns}
            cohort = replace(
                cohort,
                _frame=frame.assign(**{name: ages}),
                schema=cohort.schema.model_copy(update={"columns": columns}),
            )
    return cohort


def _linked(
    cohort: Cohort, frame: pd.DataFrame, link: Link, *, view: str, schema: TableSchema
) -> Cohort:
    """Link the rows of one view to the cases; rows without a key are left out."""
    keys = list(link.on.values())
    absent = [key for key in keys if key not in frame.columns]
    if absent:
        raise CohortError(f"view '{view}' has no column '{absent[0]}' to link on; add it")
    known = frame[frame[keys].notna().all(axis=1)]
    if known.empty:
        raise CohortError(
            f"view '{view}' has no row that names a patient; check its 'where', and the resources' references"
        )
    columns = {c: schema.columns[c] for c in frame.columns if c in schema.columns}
    ours = schema.model_copy(update={"columns": columns | {k: IdColumn(kind="id") for k in keys}})
    rows, counts = check_and_count(known, ours)
    return link_rows(cohort.with_counts(counts), rows, ours, link, step=f"with_{view}")


def _joined(table: pd.DataFrame, flat: pd.DataFrame, on: str, schema: TableSchema) -> Cohort:
    """Join the columns of the views to the table; rows without resources are left out, counted."""
    _check_join(table, flat, on, schema.sources.get(on, on))
    rows = table.reset_index(drop=True)
    key = as_text(rows[on])
    refuse_inexact(on, rows[on], key)
    named = as_text(flat[on])
    found = key.notna() & key.isin(set(named.dropna()))
    if not found.any():
        raise CohortError(
            f"none of {counted(len(table), 'row')} of the table is found among the resources; "
            f"check '{on}'"
        )
    known = flat.assign(**{on: named})[named.notna()]
    wide = rows.assign(**{on: key})[found].merge(known, on=on, how="left", sort=False)
    cohort = as_cohort(wide, schema)
    steps = (("rows_read", len(table)), ("with_resources", len(cohort)))
    return replace(cohort, steps=steps)


def _check_join(table: pd.DataFrame, flat: pd.DataFrame, on: str, own: str) -> None:
    if on not in table.columns:
        raise CohortError(f"the table has no column '{own}' to join the views on; add it")
    shared = [c for c in flat.columns if c != on and c in table.columns]
    if shared:
        raise CohortError(
            f"{counted(len(shared), 'column is', 'columns are')} in the table and in a view "
            f"({', '.join(map(str, shared))}); rename each one in the view"
        )
    n_surplus = int(flat[on].dropna().duplicated().sum())
    if n_surplus:
        raise CohortError(
            f"the first view repeats a key in {counted(n_surplus, 'row')}; narrow its 'where'"
        )
