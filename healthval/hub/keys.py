"""Keys and AWS roles that the hub knows: enrolment, replacement with an overlap, revocation.

A key's name is a hash of it. A holder may have several keys, each of which replaced the one before;
grants and results are kept under the holder, the name of its first key.
"""

import base64
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from healthval.contracts.access import (
    AuditorKey,
    KeyList,
    KeyRecord,
    KeyRotation,
    KeyState,
    OperatorRole,
    PublicKey,
    VendorKey,
    raw_public_key,
    rotation_bytes,
    site_id,
)
from healthval.contracts.aws_role import AwsRole
from healthval.hub.audit_chain import record
from healthval.hub.auth import KEYS, Caller
from healthval.hub.pages import Page
from healthval.hub.ports import Backend, Item, Refusal, Write

DAY = 86_400


def enrol(backend: Backend, key: PublicKey | AwsRole, role: Mapping[str, Any]) -> list[Write]:
    """Return the write that registers a key or AWS role, or changes what its holder may read.

    The name has 40 bits of the key, so a different key can have the same name; it is refused.
    """
    name = site_id(key)
    stored = backend.index.get(KEYS, name)
    identity = {"arn": key.arn} if isinstance(key, AwsRole) else {"x": key.x}
    if stored is None:
        return [Write(partition=KEYS, key=name, value={**identity, **role})]
    if not identity.items() <= stored.value.items() or stored.value["role"] != role["role"]:
        raise Refusal(409, "This key's name is taken by another key or role", "create a new key")
    value = {**stored.value, **role}
    return [] if dict(stored.value) == value else [stored.updated(value)]


def enrol_vendor(backend: Backend, actor: Caller, vendor: VendorKey) -> None:
    """Allow a developer's key to read the reports on its models."""
    role = {"role": "vendor", "label": vendor.label, "models": list(vendor.models)}
    _enrol_reader(backend, actor, vendor.public_key, role)


def enrol_auditor(backend: Backend, actor: Caller, auditor: AuditorKey) -> None:
    """Allow an auditor's key to read the audit chain, grants, models and keys."""
    role = {"role": "auditor", "label": auditor.label}
    _enrol_reader(backend, actor, auditor.public_key, role)


def enrol_operator(
    backend: Backend, operator: PublicKey, actor: Caller, enrolled: OperatorRole
) -> None:
    """Allow an AWS role to make the operator's calls; only the operator's key enrols one."""
    if actor.id != site_id(operator):
        title = "Only the operator's key enrols an operator"
        raise Refusal(403, title, "a role that is an operator makes no other one")
    role = {"role": "operator", "label": enrolled.label}
    _enrol_reader(backend, actor, enrolled.public_key, role)


def _enrol_reader(
    backend: Backend, actor: Caller, key: PublicKey | AwsRole, role: dict[str, Any]
) -> None:
    if site_id(key) == actor.id:
        raise Refusal(409, "The operator's key has the operator's role", "create another key")

    def plan() -> tuple[None, list[Write]]:
        return None, enrol(backend, key, role)

    action = f"{role['role']}.enrolled"
    record(backend, plan, actor=actor.id, action=action, subject=site_id(key))


def rotate(backend: Backend, operator: PublicKey, actor: Caller, sent: KeyRotation) -> KeyRecord:
    """Register a new key of the caller; the caller's other keys end after the overlap.

    A repetition changes nothing.
    """
    _check_proof(actor.id, sent)
    name = site_id(sent.public_key)
    if name == site_id(operator):
        raise Refusal(409, "This key's name is taken by another key or role", "create a new key")

    own = backend.index.get(KEYS, actor.id)
    if own is not None and "arn" in own.value:  # the key would outlive the role's end in IAM
        raise Refusal(409, "An AWS role has no key to replace", "IAM renews its credentials")

    def plan() -> tuple[KeyRecord, list[Write]]:
        stored = backend.index.get(KEYS, name)
        if stored is not None:
            if (stored.value.get("x"), _holder(stored)) != (sent.public_key.x, actor.id):
                title = "This key's name is taken by another key or role"
                raise Refusal(409, title, "create a new key")
            return _record(backend, name, stored.value), []
        value = {"x": sent.public_key.x, "role": actor.role, "holder": actor.id}
        end = backend.now + sent.overlap_days * DAY
        ending = [
            item.updated({**item.value, "until": min(end, item.value.get("until", end))})
            for item in backend.index.query(KEYS)
            if _holder(item) == actor.id
        ]
        new = Write(partition=KEYS, key=name, value=value)
        return _record(backend, name, value), [new, *ending]

    return record(backend, plan, actor=actor.id, action="key.replaced", subject=name)


def _check_proof(holder: str, sent: KeyRotation) -> None:
    """Refuse a key whose private half the caller does not have."""
    try:
        public = Ed25519PublicKey.from_public_bytes(raw_public_key(sent.public_key))
        signature = base64.urlsafe_b64decode(sent.proof + "==")
        public.verify(signature, rotation_bytes(holder, sent.public_key))
    except (InvalidSignature, ValueError):
        title = "The proof is not a signature of the new key"
        raise Refusal(422, title, "sign holder and key with the new key") from None


def revoke(backend: Backend, actor: Caller, name: str) -> KeyRecord:
    """Revoke a key: its calls are refused from now on, and it is never valid again."""

    def plan() -> tuple[KeyRecord, list[Write]]:
        item = backend.index.get(KEYS, name)
        if item is None:
            raise Refusal(404, "There is no such key here")
        if item.value.get("revoked"):
            return _record(backend, name, item.value), []
        value = {**item.value, "revoked": backend.now}
        return _record(backend, name, value), [item.updated(value)]

    return record(backend, plan, actor=actor.id, action="key.revoked", subject=name)


def keys(backend: Backend, page: Page) -> KeyList:
    """List the keys that the hub knows, page by page."""
    found, cursor = page.read(backend.index, KEYS)
    return KeyList(keys=tuple(_record(backend, i.key, i.value) for i in found), next=cursor)


def _holder(item: Item) -> str:
    return str(item.value.get("holder", item.key))


def _state(backend: Backend, value: Mapping[str, Any]) -> KeyState:
    if value.get("revoked"):
        return "revoked"
    if "until" not in value:
        return "valid"
    return "ending" if value["until"] > backend.now else "ended"


def _record(backend: Backend, name: str, value: Mapping[str, Any]) -> KeyRecord:
    times = {
        at: datetime.fromtimestamp(value[at], UTC) for at in ("until", "revoked") if value.get(at)
    }
    return KeyRecord(
        name=name,
        holder=value.get("holder", name),
        role=value["role"],
        label=value.get("label"),
        models=tuple(value.get("models", ())),
        state=_state(backend, value),
        aws_role=value.get("arn"),
        **times,
    )
