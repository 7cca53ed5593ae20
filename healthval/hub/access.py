"""Access: states of a grant from request to revocation; only the operator approves."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from healthval.contracts.access import (
    AccessDecision,
    AccessGrant,
    AccessList,
    AccessRequest,
    AccessState,
    site_id,
)
from healthval.contracts.aws_role import AwsRole
from healthval.contracts.stamp import Stamp
from healthval.errors import counted
from healthval.hub.audit_chain import record
from healthval.hub.auth import Caller
from healthval.hub.keyring import Keyring
from healthval.hub.keys import enrol
from healthval.hub.pages import Page
from healthval.hub.ports import Backend, Item, Refusal, Write


class Step(NamedTuple):
    """A step of a grant: its state before and after, and the decision or event between."""

    before: AccessState
    after: AccessState
    by: str


# Every step of a grant. A decision of the operator is named like the status that it sets. Revoked is
# final: the site makes a new key.
STEPS: tuple[Step, ...] = (
    Step("requested", "approved", "approved"),
    Step("requested", "rejected", "rejected"),
    Step("rejected", "approved", "approved"),
    Step("approved", "approved", "approved"),  # a renewal: new end, new limit
    Step("approved", "active", "first case"),
    Step("active", "active", "approved"),
    Step("approved", "suspended", "suspended"),
    Step("active", "suspended", "suspended"),
    Step("suspended", "approved", "approved"),
    Step("approved", "expired", "end"),
    Step("active", "expired", "end"),
    Step("expired", "approved", "approved"),
    Step("approved", "revoked", "revoked"),
    Step("active", "revoked", "revoked"),
    Step("suspended", "revoked", "revoked"),
    Step("expired", "revoked", "revoked"),
)
# (state, decision) pairs open to the operator.
TRANSITIONS = frozenset(
    (step.before, step.by) for step in STEPS if step.by not in {"first case", "end"}
)
DAY = 86_400
MAX_PENDING = 200


@dataclass(frozen=True, slots=True)
class Subject:
    """Subject of a grant: one model version under one plan."""

    model: str
    version: str
    plan_hash: str

    def key(self, site: str) -> str:
        """Return the key of a site's grant in the index."""
        return f"{site}#{self.model}#{self.version}#{self.plan_hash}"


def request(
    backend: Backend, keyring: Keyring, sent: AccessRequest, holder: str | None = None
) -> AccessGrant:
    """Store a request whose signature is checked; a repeated request changes nothing.

    The first request of a plan's hash is stamped: hash and time, signed by the hub.

    Parameters
    ----------
    holder : the site of a key that replaced an earlier one
    """
    site = holder or site_id(sent.public_key)
    key = Subject(sent.model, sent.version, sent.plan_hash).key(site)
    if site_id(sent.public_key) == site_id(keyring.operator):
        raise Refusal(403, "The operator's key cannot request access", "create a key for the site")

    def plan() -> tuple[AccessGrant, list[Write]]:
        stored = backend.index.get("grants", key)
        writes = enrol(backend, sent.public_key, {"role": "site"})
        if stored is not None:
            return _grant(backend, stored.key, stored.value), []
        _check_pending(backend, site)
        value: dict[str, Any] = {"label": sent.label, "status": "requested", "not_after": None}
        stamp = keyring.stamp("plan", site, sent.plan_hash)
        value |= {"max_cases": 0, "used": 0, "names": list(sent.names)}
        value |= sent.model_dump(include={"amendment", "title"}) | {"requested": backend.now}
        if isinstance(sent.public_key, AwsRole):
            value["aws_role"] = sent.public_key.arn
        value["stamp"] = None if stamp is None else stamp.model_dump(mode="json")
        return _grant(backend, key, value), [
            *writes,
            Write(partition="grants", key=key, value=value),
        ]

    return record(backend, plan, actor=site, action="access.requested", subject=key)


def _check_pending(backend: Backend, site: str) -> None:
    own = backend.index.query("grants", f"{site}#")
    if sum(item.value["status"] == "requested" for item in own) >= MAX_PENDING:
        title = f"This key has {MAX_PENDING} pending requests"
        raise Refusal(409, title, "wait until the operator has decided on them")


def grants(backend: Backend, page: Page, site: str | None = None) -> AccessList:
    """List the grants of one site, or of all sites, page by page."""
    found, cursor = page.read(backend.index, "grants", f"{site}#" if site else "")
    listed = tuple(_grant(backend, item.key, item.value) for item in found)
    return AccessList(grants=listed, next=cursor)


def decide(
    backend: Backend, decision: AccessDecision, *, actor: Caller, site: str, subject: Subject
) -> AccessGrant:
    """Change a grant's status along `TRANSITIONS`.

    A repeated decision changes nothing, except a repeated approval, which renews the grant.
    """
    key = subject.key(site)

    def plan() -> tuple[AccessGrant, list[Write]]:
        stored = backend.index.get("grants", key)
        if stored is None:
            raise Refusal(404, "There is no such access request")
        if actor.id == site:
            raise Refusal(403, "A requester cannot decide on their own request")
        status, state = stored.value["status"], _state(backend, stored.value)
        if status == decision.status and status != "approved":
            return _grant(backend, key, stored.value), []
        if (state, decision.status) not in TRANSITIONS:
            raise Refusal(409, f"Access that is {state} cannot become {decision.status}")
        value = {**stored.value, "status": decision.status, "reason": decision.reason}
        if decision.status == "approved":
            end = backend.now + decision.valid_days * DAY
            value |= {"not_after": end, "max_cases": decision.max_cases}
        return _grant(backend, key, value), [stored.updated(value)]

    return record(backend, plan, actor=actor.id, action=f"access.{decision.status}", subject=key)


def require(backend: Backend, site: str, subject: Subject) -> Item:
    """Return the site's grant; refuse with 403 unless it is approved and not expired."""
    stored = backend.index.get("grants", subject.key(site))
    if stored is None:
        raise Refusal(403, "No access to this model under this plan", "request access first")
    if stored.value["status"] != "approved":
        raise Refusal(403, f"Access is {stored.value['status']}", "the operator decides on access")
    if stored.value["not_after"] <= backend.now:
        raise Refusal(403, "Access has expired", "ask the operator to renew it")
    return stored


def may_read_card(backend: Backend, caller: Caller, model: str, version: str) -> bool:
    """Return whether a caller may see more of a model than its name and version."""
    if caller.role in {"operator", "auditor", "reporter"}:
        return True
    if caller.role == "vendor":
        return model in caller.models
    own = backend.index.query("grants", f"{caller.id}#{model}#{version}#")
    return any(item.value["status"] == "approved" for item in own)


def check_not_revoked(backend: Backend, site: str, subject: Subject) -> None:
    """Refuse a site whose access was revoked; an answer stays readable after a grant's end."""
    stored = backend.index.get("grants", subject.key(site))
    if stored is None or stored.value["status"] != "approved":
        raise Refusal(403, "Access to this model is not approved", "the operator decides on access")


def count(stored: Item, n: int, now: int) -> Write:
    """Return the write that counts `n` cases against a grant's limit; the first one keeps its time."""
    used = stored.value["used"] + n
    if used > stored.value["max_cases"]:
        left = max(stored.value["max_cases"] - stored.value["used"], 0)  # a renewal may allow less
        detail = f"{counted(n, 'case')} requested, {left} left in the grant; the operator renews it"
        raise Refusal(403, "The limit of cases is reached", detail)
    first = stored.value.get("first_prediction") or now
    return stored.updated({**stored.value, "used": used, "first_prediction": first})


def _state(backend: Backend, value: Mapping[str, Any]) -> AccessState:
    """Return a grant's state now, which follows from its decision, its end and its use."""
    status: AccessState = value["status"]
    if status != "approved":
        return status
    if value["not_after"] <= backend.now:
        return "expired"
    return "active" if value["used"] else "approved"


def diagram() -> str:
    """Return `STEPS` as a Mermaid state diagram, as printed in ``docs/hub.md``."""
    lines = [f"    {step.before} --> {step.after}: {step.by}" for step in STEPS]
    return "\n".join(["stateDiagram-v2", "    [*] --> requested", *lines, "    revoked --> [*]"])


def _grant(backend: Backend, key: str, value: Mapping[str, Any]) -> AccessGrant:
    site, model, version, plan_hash = key.split("#")
    return AccessGrant(
        site=site,
        label=value["label"],
        model=model,
        version=version,
        plan_hash=plan_hash,
        status=value["status"],
        state=_state(backend, value),
        not_after=_time(value["not_after"]),
        max_cases=value["max_cases"],
        amendment=value.get("amendment"),
        stamp=Stamp.model_validate(value["stamp"], strict=False) if value.get("stamp") else None,
        used_cases=value["used"],
        reason=value.get("reason"),
        title=value.get("title"),
        requested=_time(value.get("requested")),
        first_prediction=_time(value.get("first_prediction")),
        aws_role=value.get("aws_role"),
    )


def _time(seconds: int | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
