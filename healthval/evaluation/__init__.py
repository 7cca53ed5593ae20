"""Evaluation at one site, from cohort to result: `evaluate(plan, cohort, client) -> SiteResult`."""

from healthval.evaluation.access import plan_names, request_access
from healthval.evaluation.contract import input_problems
from healthval.evaluation.releases import gate_policy, newest_release, release_before, submit_if
from healthval.evaluation.run import evaluate
from healthval.evaluation.scored_files import read_levels, read_scored
from healthval.evaluation.sources import Sources, cohort_of
from healthval.site import Registration, Site, open_credential

__all__ = [
    "Registration",
    "Site",
    "Sources",
    "cohort_of",
    "evaluate",
    "gate_policy",
    "input_problems",
    "newest_release",
    "open_credential",
    "plan_names",
    "read_levels",
    "read_scored",
    "release_before",
    "request_access",
    "submit_if",
]
