"""Execution of notebooks by papermill, with typed parameters checked before a kernel starts."""

from healthval.runner.execute import place_of_outputs
from healthval.runner.parameters import (
    EvaluateParameters,
    NotebookParameters,
    ProvisionParameters,
    ReportParameters,
)
from healthval.runner.provision import (
    pack_artefact,
    plan_provision,
    provision,
    read_registration,
)

__all__ = [
    "EvaluateParameters",
    "NotebookParameters",
    "ProvisionParameters",
    "ReportParameters",
    "pack_artefact",
    "place_of_outputs",
    "plan_provision",
    "provision",
    "read_registration",
]
