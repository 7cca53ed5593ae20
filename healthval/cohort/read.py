"""The plan's sources put together: a table, FHIR resources, or both, as one cohort."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from healthval.cohort.build import join_frames, link_rows, select_cases
from healthval.cohort.cohort import Cohort
from healthval.cohort.columns import as_text
from healthval.cohort.fhir.resources import read_resources, refuse_conflicts
from healthval.cohort.fhir.views import run_views
from healthval.cohort.tables import as_cohort, check_frame, read_source
from healthval.contracts.table import Eligibility, FhirInputs, IdColumn, Link, TableSchema
from healthval.errors import CohortError

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
    """Read what the plan declares as one cohort.

    Parameters
    ----------
    table : rows of cases, as `read_table` takes them; without it the first view gives the cases
    resources : folder or file of FHIR resources, or a stream of them
    fhir : the views that flatten them
    eligibility : steps of the flow diagram

    Raises
    ------
    CohortError
        If sources are missing or do not fit the schema, no row of the table is found among the
        resources, or no case is left.
    """
    if (resources is None) != (fhir is None):
        raise CohortError("FHIR resources and the plan's views go together; give both or neither")
    if fhir is None or resources is None:
        if table is None:
            raise CohortError("the cohort has no source; give a table, or FHIR resources and views")
        return select_cases(as_cohort(read_source(table), schema), eligibility)
    stream = read_resources(resources) if isinstance(resources, (str, Path)) else resources
    frames = run_views(fhir.views, refuse_conflicts(stream))
    flat = join_frames({n: f for n, f in frames.items() if n not in fhir.links}, on=fhir.on)
    linked = {name: frames[name] for name in fhir.links}
    base = _without(schema, linked, fhir)
    if table is None:
        cohort = as_cohort(flat, base, "first_view_rows")
    else:
        cohort = _joined(read_source(table), flat, fhir.on, base)
    for name, frame in linked.items():
        cohort = _linked(cohort, name, frame, fhir.links[name], schema)
    return select_cases(cohort, eligibility)


def _without(
    schema: TableSchema, linked: Mapping[str, pd.DataFrame], fhir: FhirInputs
) -> TableSchema:
    """Leave out the columns that linked views bring later."""
    later = {c for n, f in linked.items() for c in f.columns if c not in fhir.links[n].on.values()}
    columns = {name: column for name, column in schema.columns.items() if name not in later}
    return schema.model_copy(update={"columns": columns})


def _linked(
    cohort: Cohort, name: str, frame: pd.DataFrame, link: Link, schema: TableSchema
) -> Cohort:
    """Link the rows of one view; rows that name nobody are nobody's."""
    keys = list(link.on.values())
    absent = [key for key in keys if key not in frame.columns]
    if absent:
        raise CohortError(f"view '{name}' has no column '{absent[0]}' to link on; add it")
    known = frame[frame[keys].notna().all(axis=1)]
    if known.empty:
        raise CohortError(f"view '{name}' gives no row that names a patient; check its 'where'")
    columns = {c: schema.columns[c] for c in frame.columns if c in schema.columns}
    ours = schema.model_copy(update={"columns": columns | {k: IdColumn(kind="id") for k in keys}})
    return link_rows(cohort, check_frame(known, ours), ours, link, step=f"with_{name}")


def _joined(table: pd.DataFrame, flat: pd.DataFrame, on: str, schema: TableSchema) -> Cohort:
    """Put the views' columns beside the table's rows; rows without resources drop out, counted."""
    if on not in table.columns:
        raise CohortError(f"the table has no column '{on}', on which the views join; add it")
    twice = [c for c in flat.columns if c != on and c in table.columns]
    if twice:
        raise CohortError(
            f"{len(twice)} columns are in the table and in a view ({', '.join(map(str, twice))}); "
            "rename them in the view"
        )
    n_twice = int(flat[on].dropna().duplicated().sum())
    if n_twice:
        raise CohortError(f"the first view gives {n_twice} rows more than keys; narrow its 'where'")
    key = as_text(table[on].reset_index(drop=True))
    found = key.isin(set(flat[on].dropna()))
    if not found.any():
        raise CohortError(
            f"none of {len(table)} rows of the table is found among the resources; check '{on}'"
        )
    wide = (
        table.reset_index(drop=True).assign(**{on: key}).merge(flat, on=on, how="left", sort=False)
    )
    cohort = as_cohort(wide[found.to_numpy()].reset_index(drop=True), schema)
    flow = (("rows_read", len(table)), ("with_resources", len(cohort)))
    return replace(cohort, flow=flow)
