"""Access: a key holder asks, the operator decides; nobody is approved by default."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from healthval.contracts.access import (
    AccessDecision,
    AccessGrant,
    AccessList,
    AccessRequest,
    AccessStatus,
    PublicKey,
    VendorKey,
    site_id,
)
from healthval.hub.auth import Caller, record
from healthval.hub.ports import Backend, Item, Refusal, Write

# (from, to) pairs that the operator may decide. Revoked is final: the site makes a new key.
TRANSITIONS: frozenset[tuple[AccessStatus, AccessStatus]] = frozenset(
    {
        ("requested", "approved"),
        ("requested", "rejected"),
        ("rejected", "approved"),
        ("approved", "approved"),  # a renewal: new end, new limit
        ("approved", "revoked"),
    }
)
DAY = 86_400


@dataclass(frozen=True, slots=True)
class Subject:
    """What access is to: one model version under one plan."""

    model: str
    version: str
    plan_hash: str

    def key(self, site: str) -> str:
        """Key of a site's grant in the index."""
        return f"{site}#{self.model}#{self.version}#{self.plan_hash}"


def request(backend: Backend, operator: PublicKey, asked: AccessRequest) -> AccessGrant:
    """Note a request whose signature by its own key has been checked; asking again is harmless."""
    site, subject = site_id(asked.public_key), Subject(asked.model, asked.version, asked.plan_hash)
    if site == site_id(operator):
        raise Refusal(403, "The operator's key cannot ask for access", "make a key for the site")

    def plan() -> tuple[AccessGrant, list[Write]]:
        held = backend.index.get("grants", subject.key(site))
        writes = _enrol(backend, asked.public_key, {"role": "site"})
        if held is not None:
            return _grant(held.key, held.value), []
        value: dict[str, Any] = {"label": asked.label, "status": "requested", "not_after": None}
        value |= {"max_cases": 0, "used": 0}
        writes.append(Write("grants", subject.key(site), value))
        return _grant(subject.key(site), value), writes

    return record(backend, site, "access.requested", subject.key(site), plan)


def own(backend: Backend, site: str) -> AccessList:
    """List a site's own grants."""
    found = backend.index.query("grants", f"{site}#")
    return AccessList(grants=tuple(_grant(item.key, item.value) for item in found))


def all_grants(backend: Backend) -> AccessList:
    """List every grant, for the operator."""
    return AccessList(
        grants=tuple(_grant(item.key, item.value) for item in backend.index.query("grants"))
    )


def decide(
    backend: Backend, actor: Caller, site: str, subject: Subject, decision: AccessDecision
) -> AccessGrant:
    """Move a grant along `TRANSITIONS`; the same word twice is the same, but for a renewal."""
    key = subject.key(site)

    def plan() -> tuple[AccessGrant, list[Write]]:
        held = backend.index.get("grants", key)
        if held is None:
            raise Refusal(404, "There is no such access request")
        if actor.id == site:
            raise Refusal(403, "Nobody decides on their own request")
        status = held.value["status"]
        if status == decision.status and status != "approved":
            return _grant(key, held.value), []
        if (status, decision.status) not in TRANSITIONS:
            raise Refusal(409, f"Access that is {status} cannot become {decision.status}")
        value = {**held.value, "status": decision.status, "reason": decision.reason}
        if decision.status == "approved":
            end = backend.now + decision.valid_days * DAY
            value |= {"not_after": end, "max_cases": decision.max_cases}
        return _grant(key, value), [Write("grants", key, value, held.version)]

    return record(backend, actor.id, f"access.{decision.status}", key, plan)


def require(backend: Backend, site: str, subject: Subject) -> Item:
    """Return the site's grant when it is approved and not expired; else refuse with 403."""
    held = backend.index.get("grants", subject.key(site))
    if held is None:
        raise Refusal(403, "No access to this model under this plan", "request access first")
    if held.value["status"] != "approved":
        raise Refusal(403, f"Access is {held.value['status']}", "the operator decides on access")
    if held.value["not_after"] <= backend.now:
        raise Refusal(403, "Access has expired", "ask the operator to renew it")
    return held


def count(held: Item, n: int) -> Write:
    """Count cases against a grant's limit."""
    used = held.value["used"] + n
    if used > held.value["max_cases"]:
        left = held.value["max_cases"] - held.value["used"]
        raise Refusal(403, "The limit of cases is reached", f"{left} are left for {n} asked")
    return Write("grants", held.key, {**held.value, "used": used}, held.version)


def enrol_vendor(backend: Backend, actor: Caller, vendor: VendorKey) -> None:
    """Let a developer's key read the reports on its models."""

    def plan() -> tuple[None, list[Write]]:
        return None, _enrol(
            backend,
            vendor.public_key,
            {"role": "vendor", "label": vendor.label, "models": list(vendor.models)},
        )

    record(backend, actor.id, "vendor.enrolled", site_id(vendor.public_key), plan)


def _enrol(backend: Backend, key: PublicKey, role: dict[str, Any]) -> list[Write]:
    """Put a key on file; 40 bits name it, so another key with the same name is turned away."""
    name, value = site_id(key), {"x": key.x, **role}
    held = backend.index.get("keys", name)
    if held is None:
        return [Write("keys", name, value)]
    if held.value["x"] != key.x or held.value["role"] != role["role"]:
        raise Refusal(409, "This key's name is taken by another key or role", "make a new key")
    return [] if dict(held.value) == value else [Write("keys", name, value, held.version)]


def _grant(key: str, value: Mapping[str, Any]) -> AccessGrant:
    site, model, version, plan_hash = key.split("#")
    end = value["not_after"]
    return AccessGrant(
        site=site,
        label=value["label"],
        model=model,
        version=version,
        plan_hash=plan_hash,
        status=value["status"],
        not_after=None if end is None else datetime.fromtimestamp(end, UTC),
        max_cases=value["max_cases"],
        used_cases=value["used"],
        reason=value.get("reason"),
    )
