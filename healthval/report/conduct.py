"""Conduct of the study as the hub knows it: every hospital that asked for access under the plan."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from healthval.contracts.access import AccessGrant, AccessStatus
from healthval.errors import counted
from healthval.plan import Plan

if TYPE_CHECKING:
    from healthval.client import Client, SiteSubmission


@dataclass(frozen=True, slots=True, kw_only=True)
class Hospital:
    """A hospital that asked for access under the plan.

    `replaced` means that its result replaced an earlier one. `inputs` were scored without a result
    in the report; of hospitals with a result they are not counted, because each further run adds
    test inputs. `reason` is the operator's.
    """

    label: str
    status: AccessStatus
    sent: bool
    replaced: bool = False
    inputs: int = 0
    reason: str | None = None

    @property
    def is_missing(self) -> bool:
        """Return whether the hospital had access and no result of it is in the report."""
        return self.status in {"approved", "suspended", "revoked"} and not self.sent

    def result(self) -> str:
        """Return the state of the hospital's result, in words."""
        if self.sent:
            return "in this report, replaced an earlier one" if self.replaced else "in this report"
        if not self.inputs:
            return "none"
        return f"none, although {counted(self.inputs, 'input was', 'inputs were')} scored"


@dataclass(frozen=True, slots=True)
class Conduct:
    """All hospitals under the plan; `elsewhere` had access to the version under another plan."""

    hospitals: tuple[Hospital, ...]
    elsewhere: tuple[str, ...] = ()

    @property
    def missing(self) -> tuple[Hospital, ...]:
        """Return the hospitals with access of which no result is in the report."""
        return tuple(hospital for hospital in self.hospitals if hospital.is_missing)


def conduct_at(client: "Client", plan: Plan) -> Conduct:
    """Ask the hub for every access under the plan and every result; needs the operator's key."""
    return conduct_of(plan, client.access_requests(), client.submissions(**plan.subject))


def conduct_of(
    plan: Plan, grants: Iterable[AccessGrant], submissions: "Iterable[SiteSubmission]"
) -> Conduct:
    """Put grants and submissions together, sorted by label."""
    sent = {s.site: s for s in submissions}
    of_version = [
        g for g in grants if (g.model, g.version) == (plan.model.name, plan.model.version)
    ]
    here = [g for g in of_version if g.plan_hash == plan.hash]
    hospitals = [
        Hospital(
            label=g.label,
            status=g.status,
            sent=g.site in sent,
            replaced=g.site in sent and sent[g.site].supersedes is not None,
            inputs=0 if g.site in sent else g.used_cases,
            reason=g.reason,
        )
        for g in here
    ]
    elsewhere = {g.label for g in of_version if g.plan_hash != plan.hash}
    ordered = sorted(hospitals, key=lambda hospital: (hospital.label, hospital.status))
    return Conduct(tuple(ordered), tuple(sorted(elsewhere)))
