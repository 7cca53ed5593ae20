"""Data sources of a plan, and the cohort that is read from them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from healthval.cohort import Cohort, link_rows, read_cohort, select_cases
from healthval.cohort.tables import check_and_count, read_declared
from healthval.errors import CohortError
from healthval.plan import Plan

if TYPE_CHECKING:
    from healthval.cohort.tables import Source


@dataclass(frozen=True)
class Sources:
    """Data sources of a plan: a table, FHIR resources, and linked tables by their name in the plan."""

    table: "Source | None" = field(default=None, repr=False)
    resources: str | Path | None = field(default=None, repr=False)
    linked: Mapping[str, "Source"] = field(default_factory=dict, repr=False)


def cohort_of(plan: Plan, sources: Sources) -> Cohort:
    """Read the plan's cohort: table and views, then linked tables, then eligibility.

    Raises
    ------
    CohortError
        If a source is missing or does not fit its schema, or no case is left; the message
        contains counts and no value.
    """
    cohort = read_cohort(
        plan.table,
        table=sources.table,
        resources=sources.resources if plan.fhir else None,
        fhir=plan.fhir,
    )
    for other in plan.linkage:
        if other.name not in sources.linked:
            raise CohortError(
                f"linkage '{other.name}': its table was not given; add its file to 'linked'"
            )
        frame, others = read_declared(sources.linked[other.name], other.table)
        rows, counts = check_and_count(frame, other.table, others)
        cohort = cohort.with_counts(counts)
        cohort = link_rows(cohort, rows, other.table, other.link, step=other.name)
    return select_cases(cohort, plan.eligibility)
