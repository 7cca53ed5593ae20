"""Conduct of the study as the hub knows it: every hospital that asked for access under the plan."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from healthval.aggregate import counted_elsewhere
from healthval.aggregate.secondary.records import SecureTotal
from healthval.aggregate.secondary.secure_total import secure_total
from healthval.contracts.access import AccessGrant, AccessStatus
from healthval.contracts.stamp import Stamp
from healthval.evaluation.secure_sum import sum_terms
from healthval.plan import Plan
from healthval.report.wording.language import many, say
from healthval.secure_sum.outcome import outcome_of

if TYPE_CHECKING:
    from healthval.client import Client, SiteSubmission


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanVersion:
    """One version of the plan at a hospital, as the hub recorded it; times are in UTC (ISO 8601).

    `registered` is the time of the request for access with the plan's hash, `reason` the hospital's
    for replacing an earlier version, and `first_prediction` the time of the first batch of cases.
    `site`, `key` and `signature` are the hub's countersignature of hash and time, if it made one.
    """

    plan_hash: str
    registered: str | None = None
    reason: str | None = None
    first_prediction: str | None = None
    site: str | None = None
    key: str | None = None
    signature: str | None = None

    def stamp(self) -> Stamp | None:
        """Return the hub's countersignature."""
        if self.signature is None:
            return None
        values = {"kind": "plan", "site": self.site, "sha256": self.plan_hash}
        values |= {"at": self.registered, "kid": self.key, "signature": self.signature}
        return Stamp.model_validate(values, strict=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hospital:
    """A hospital that asked for access under the plan.

    `counted_as` is the label under which the same hospital's newer result counts.
    `replaced` means that its result replaced an earlier one. `inputs` were scored without a result
    in the report; of hospitals with a result they are not counted, because each further run adds
    test inputs. `reason` is the operator's. `plans` are the versions of the plan, the first one first.
    """

    label: str
    status: AccessStatus
    sent: bool
    replaced: bool = False
    counted_as: str | None = None
    inputs: int = 0
    reason: str | None = None
    plans: tuple[PlanVersion, ...] = ()

    @property
    def is_missing(self) -> bool:
        """Return whether the hospital had access and no result of it is in the report."""
        return self.status in {"approved", "suspended", "revoked"} and not self.sent

    def result(self) -> str:
        """Return the state of the hospital's result, in words."""
        if self.counted_as is not None:
            return say(
                "not in this report: the same hospital as {counted_as}", counted_as=self.counted_as
            )
        if self.sent:
            return (
                say("in this report, replaced an earlier one")
                if self.replaced
                else say("in this report")
            )
        if not self.inputs:
            return say("none")
        return say(
            "none, although {inputs} scored", inputs=many(self.inputs, "input was", "inputs were")
        )


@dataclass(frozen=True, slots=True)
class Conduct:
    """All hospitals under the plan; `elsewhere` had access to the version under another plan."""

    hospitals: tuple[Hospital, ...]
    elsewhere: tuple[str, ...] = ()

    @property
    def missing(self) -> tuple[Hospital, ...]:
        """Return the hospitals with access of which no result is in the report."""
        return tuple(hospital for hospital in self.hospitals if hospital.is_missing)


def conduct_at(client: "Client", plan: Plan, apart: Collection[str] = ()) -> Conduct:
    """Ask the hub for every access under the plan and every result; needs the operator's key.

    `apart` are labels of hospitals that are known to be different ones.
    """
    sent = client.submissions(**plan.subject)
    return conduct_of(plan, client.access_requests(), sent, apart)


def secure_total_at(client: "Client", plan: Plan) -> SecureTotal | None:
    """Ask the hub for the plan's secure sum and check all its messages; None if the plan has none.

    Raises
    ------
    IntegrityError
        If a message is forged, or belongs to another sum.
    """
    if plan.secure_sum is None:
        return None
    terms = sum_terms(plan)
    outcome = outcome_of(client.secure_sum(**plan.subject), terms)
    return secure_total(outcome, terms, plan.thresholds)


def conduct_of(
    plan: Plan,
    grants: Iterable[AccessGrant],
    submissions: "Iterable[SiteSubmission]",
    apart: Collection[str] = (),
) -> Conduct:
    """Put grants and submissions together, sorted by label."""
    sent = {s.site: s for s in submissions}
    newer = counted_elsewhere(list(sent.values()), apart)
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
            counted_as=sent[newer[g.site]].label if g.site in newer else None,
            inputs=0 if g.site in sent else g.used_cases,
            reason=g.reason,
            plans=_versions(g, of_version),
        )
        for g in here
    ]
    elsewhere = {g.label for g in of_version if g.plan_hash != plan.hash}
    ordered = sorted(hospitals, key=lambda hospital: (hospital.label, hospital.status))
    return Conduct(tuple(ordered), tuple(sorted(elsewhere)))


def _versions(grant: AccessGrant, grants: Iterable[AccessGrant]) -> tuple[PlanVersion, ...]:
    """Follow the amendments of a hospital's plan back to its first version."""
    own = {g.plan_hash: g for g in grants if g.site == grant.site}
    versions: list[PlanVersion] = []
    wanted: str | None = grant.plan_hash
    while wanted is not None:
        found = own.get(wanted)
        versions.append(_version(wanted, found))
        before = found.amendment.of if found and found.amendment else None
        wanted = before if before not in {v.plan_hash for v in versions} else None
    return tuple(reversed(versions))


def _version(plan_hash: str, grant: AccessGrant | None) -> PlanVersion:
    if grant is None:  # the hospital named a version that it never sent
        return PlanVersion(plan_hash=plan_hash)
    stamp = grant.stamp
    return PlanVersion(
        plan_hash=plan_hash,
        registered=_text(stamp.at if stamp else grant.requested),
        reason=grant.amendment.reason if grant.amendment else None,
        first_prediction=_text(grant.first_prediction),
        site=stamp.site if stamp else None,
        key=stamp.kid if stamp else None,
        signature=stamp.signature if stamp else None,
    )


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat()
