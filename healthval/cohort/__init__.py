"""Cohort: the site's patients as cases, with counts at every step."""

import importlib
from typing import TYPE_CHECKING, Any

from healthval.cohort.cohort import Cohort
from healthval.cohort.dates import CohortWarning
from healthval.cohort.eligibility import check_verification, one_case_per, select_cases
from healthval.cohort.fhir.resources import read_resources, refuse_conflicts
from healthval.cohort.fhir.views import run_view, run_views
from healthval.cohort.linkage import join_views, link_rows
from healthval.cohort.propose import Proposal, propose_table, propose_views
from healthval.cohort.read import read_cohort
from healthval.cohort.sql import Query
from healthval.cohort.tables import read_table
from healthval.contracts.table import Eligibility, FhirInputs, Link, TableSchema

if TYPE_CHECKING:
    from healthval.cohort.dicom import DimsePacs, WebPacs, read_folder
    from healthval.cohort.fhir.backend_services import BackendServices
    from healthval.cohort.fhir.bulk import BulkExport
    from healthval.cohort.fhir.server import FhirServer

__all__ = [
    "BackendServices",
    "BulkExport",
    "Cohort",
    "CohortWarning",
    "DimsePacs",
    "Eligibility",
    "FhirInputs",
    "FhirServer",
    "Link",
    "Proposal",
    "Query",
    "TableSchema",
    "WebPacs",
    "check_verification",
    "join_views",
    "link_rows",
    "one_case_per",
    "propose_table",
    "propose_views",
    "read_cohort",
    "read_folder",
    "read_resources",
    "read_table",
    "refuse_conflicts",
    "run_view",
    "run_views",
    "select_cases",
]

_LAZY = {
    "BackendServices": "fhir.backend_services",
    "BulkExport": "fhir.bulk",
    "DimsePacs": "dicom",
    "FhirServer": "fhir.server",
    "WebPacs": "dicom",
    "read_folder": "dicom",
}


def __getattr__(name: str) -> Any:
    """Load HTTP and DICOM at first use; a table needs neither."""
    if name in _LAZY:
        return getattr(importlib.import_module(f"healthval.cohort.{_LAZY[name]}"), name)
    raise AttributeError(f"module 'healthval.cohort' has no attribute {name!r}")
