"""De-identification of DICOM, FHIR and tables; its results are the only inputs of prediction."""

import importlib
from typing import TYPE_CHECKING, Any

from healthval.deid.audit.audit import Leak, audit
from healthval.deid.dicom.deidentify import Deidentified, Flag, deidentify
from healthval.deid.dicom.files.batch import deidentify_files
from healthval.deid.dicom.files.manifest import Manifest
from healthval.deid.dicom.files.records import Record
from healthval.deid.dicom.profile import Explanation, explain
from healthval.deid.pixels.regions import read_region_rules
from healthval.deid.policy import Option, PixelPolicy, Policy, RegionRule
from healthval.deid.refuse import Reason, Refused
from healthval.deid.secret import (
    Secret,
    case_id,
    cohort_digest,
    date_offset,
    normalise_patient_id,
    pseudonym,
    uid,
)

if TYPE_CHECKING:
    from healthval.deid.fhir import deidentify_resource
    from healthval.deid.plan_policy import deid_policy
    from healthval.deid.tables import DeidentifiedCases, deidentify_cases, deidentify_table

__all__ = [
    "Deidentified",
    "DeidentifiedCases",
    "Explanation",
    "Flag",
    "Leak",
    "Manifest",
    "Option",
    "PixelPolicy",
    "Policy",
    "Reason",
    "Record",
    "Refused",
    "RegionRule",
    "Secret",
    "audit",
    "case_id",
    "cohort_digest",
    "date_offset",
    "deid_policy",
    "deidentify",
    "deidentify_cases",
    "deidentify_files",
    "deidentify_resource",
    "deidentify_table",
    "explain",
    "normalise_patient_id",
    "pseudonym",
    "read_region_rules",
    "uid",
]

_LATER = {
    "DeidentifiedCases": "tables",
    "deid_policy": "plan_policy",
    "deidentify_cases": "tables",
    "deidentify_resource": "fhir",
    "deidentify_table": "tables",
}


def __getattr__(name: str) -> Any:
    """Load FHIR and tables on first use: DICOM needs neither."""
    if name in _LATER:
        return getattr(importlib.import_module(f"healthval.deid.{_LATER[name]}"), name)
    raise AttributeError(f"module 'healthval.deid' has no attribute {name!r}")
