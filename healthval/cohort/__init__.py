"""The site's patients as cases, with counts at every step."""

import importlib
from typing import Any

from healthval.cohort.build import (
    check_verification,
    join_views,
    link_rows,
    one_case_per,
    select_cases,
)
from healthval.cohort.cohort import Cohort
from healthval.cohort.fhir.resources import read_resources, refuse_conflicts
from healthval.cohort.fhir.views import run_view, run_views
from healthval.cohort.propose import Proposal, propose_table, propose_views
from healthval.cohort.read import read_cohort
from healthval.cohort.sql import Query
from healthval.cohort.tables import read_table
from healthval.contracts.table import Eligibility, FhirInputs, Link, TableSchema

__all__ = ["BackendServices", "BulkExport", "Cohort", "Eligibility", "FhirInputs", "FhirServer", "Link", "Proposal", "Query", "TableSchema", "check_verification", "join_views", "link_rows", "one_case_per", "propose_table", "propose_views", "read_cohort", "read_resources", "read_table", "refuse_conflicts", "run_view", "run_views", "select_cases"]  # fmt: skip

_ONLINE = {
    "BackendServices": "fhir.server",
    "BulkExport": "fhir.bulk",
    "FhirServer": "fhir.server",
}


def __getattr__(name: str) -> Any:
    """Load what talks to servers when it is used: a table needs no HTTP."""
    if name in _ONLINE:
        return getattr(importlib.import_module(f"healthval.cohort.{_ONLINE[name]}"), name)
    raise AttributeError(f"module 'healthval.cohort' has no attribute {name!r}")
