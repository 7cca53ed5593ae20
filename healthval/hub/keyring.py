"""Keys of the hub: published at a well-known address, and used for stamps.

The hub's own key signs stamps ("registration"). Reports are signed by the operator's key, or by the
reporter's, with which the hub makes the reports of standing orders ("report"). A key that was replaced
stays listed with the time of its end.
"""

import base64
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from healthval.contracts.access import PublicKey
from healthval.contracts.keys import HubKey, HubKeys, fingerprint
from healthval.contracts.stamp import Stamp, StampKind, stamped_bytes
from healthval.hub.audit_chain import record
from healthval.hub.auth import HUB_KEYS, Caller
from healthval.hub.ports import Backend, Item, Refusal, Write


@dataclass(slots=True, kw_only=True)
class Keyring:
    """Published keys of one hub, and its signing key.

    Attributes
    ----------
    signer : the hub's own key; a hub without one makes no stamps
    operator, reporter : the keys that sign reports
    """

    backend: Backend
    operator: PublicKey
    signer: Ed25519PrivateKey | None = field(default=None, repr=False)
    reporter: PublicKey | None = None
    _is_listed: bool = False
    _lock: Any = field(default_factory=threading.Lock, repr=False)

    def published(self) -> HubKeys:
        """Return the keys that this hub publishes."""
        self.list_current()
        found = self.backend.index.query(HUB_KEYS)
        return HubKeys(keys=tuple(_hub_key(item) for item in found))

    def stamp(self, kind: StampKind, site: str, sha256: str) -> Stamp | None:
        """Sign a hash at the time of the hub's clock; None without a signing key."""
        if self.signer is None:
            return None
        self.list_current()
        draft = Stamp(
            kind=kind,
            site=site,
            sha256=sha256,
            at=datetime.fromtimestamp(self.backend.now, UTC),
            kid=fingerprint(_public(self.signer)),
            signature="A" * 86,
        )
        raw = self.signer.sign(stamped_bytes(draft))
        signature = base64.urlsafe_b64encode(raw).decode().rstrip("=")
        return draft.model_copy(update={"signature": signature})

    def revoke(self, actor: Caller, kid: str) -> HubKey:
        """Mark a published key as revoked: no signature of it is valid from then on."""

        def plan() -> tuple[HubKey, list[Write]]:
            item = self.backend.index.get(HUB_KEYS, kid)
            if item is None:
                raise Refusal(404, "There is no such key here")
            if item.value["revoked"] is not None:
                return _hub_key(item), []
            value = {**item.value, "revoked": self.backend.now}
            return _read(kid, value), [item.updated(value)]

        return record(self.backend, plan, actor=actor.id, action="hub-key.revoked", subject=kid)

    def list_current(self) -> None:
        """List the keys in use, and end those that they replace; once in a process.

        A hub calls this when it starts: a report that was signed before its key was listed is not
        valid. Times are whole seconds, as the time of signing is.
        """
        with self._lock:
            if self._is_listed:
                return
            current = {fingerprint(self.operator): ("report", self.operator)}
            if self.reporter is not None:
                current[fingerprint(self.reporter)] = ("report", self.reporter)
            if self.signer is not None:
                public = _public(self.signer)
                current[fingerprint(public)] = ("registration", public)
            record(
                self.backend,
                lambda: (None, self._listing(current)),
                actor="hub",
                action="hub-keys.listed",
                subject=HUB_KEYS,
            )
            self._is_listed = True

    def _listing(self, current: dict[str, tuple[str, PublicKey]]) -> list[Write]:
        listed = {item.key: item for item in self.backend.index.query(HUB_KEYS)}
        purposes = {purpose for purpose, _ in current.values()}
        writes = [
            item.updated({**item.value, "valid_until": self.backend.now})
            for kid, item in listed.items()
            if kid not in current
            and item.value["purpose"] in purposes
            and item.value["valid_until"] is None
        ]
        for kid, (purpose, public) in current.items():
            value = {"x": public.x, "purpose": purpose, "valid_from": int(self.backend.now)}
            value |= {"valid_until": None, "revoked": None}
            if kid not in listed:
                writes.append(Write(partition=HUB_KEYS, key=kid, value=value))
        return writes


def _public(key: Ed25519PrivateKey) -> PublicKey:
    raw = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return PublicKey(x=base64.urlsafe_b64encode(raw).decode().rstrip("="))


def _hub_key(item: Item) -> HubKey:
    return _read(item.key, item.value)


def _read(kid: str, value: Any) -> HubKey:
    # strict=False: a time in the index is in seconds since 1970
    return HubKey.model_validate({"kid": kid, **value}, strict=False)
