"""Trust in a report's signer: the keys that a user named or pinned, or that a hub publishes.

A key beside the report proves nothing: a forger of the report could add it.
"""

import os
import stat
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from healthval.contracts.access import PublicKey, raw_public_key
from healthval.contracts.base import canonical_json, read_wire
from healthval.contracts.keys import HubKeys, PinnedKey, PinnedKeys, fingerprint
from healthval.errors import IntegrityError, UsageError, counted
from healthval.files import locked, write_durably
from healthval.report.proof.attestation import (
    NotSigned,
    Statement,
    check,
    check_alone,
    named_signer,
)

SHORTEST_PREFIX = 8  # hexadecimal digits that name a pinned key
WAIT_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """A report whose signature and files were checked; `trusted_as` is None for an unknown signer.

    `outputs` is how the outputs of a de-identified batch compare with its evidence.
    """

    statement: Statement
    trusted_as: str | None
    outputs: str = ""

    @property
    def signer(self) -> str:
        """Fingerprint of the key that signed."""
        return fingerprint(self.statement.key)

    def lines(self) -> list[str]:
        """Return signer, fingerprint, time, subject and files, one line each."""
        about = self.statement.about
        moment = "not recorded"
        if about.signed_at is not None:
            moment = about.signed_at.astimezone(UTC).isoformat(timespec="seconds")
        return [
            f"signer       {self.trusted_as or 'unknown'}",
            f"fingerprint  {self.signer}",
            f"signed at    {moment} (the signer's clock)",
            f"subject      {_subject(self.statement)}",
            *([self.outputs] if self.outputs else []),
            *(f"as signed    {name}" for name in sorted(self.statement.files)),
        ]


def _subject(statement: Statement) -> str:
    about = statement.about
    if about.record == "deid-evidence" and about.policy_digest:
        return f"evidence of a batch de-identified under the policy {about.policy_digest}"
    if about.model is None or about.version is None:
        return "not recorded"
    plan = f" under the plan {about.plan_hash}" if about.plan_hash else ""
    return f"model {about.model} {about.version}{plan}"


def verify_named(place: Path, key: Path) -> Verified:
    """Verify a report against one public key file that the user named.

    Raises
    ------
    IntegrityError
        If the attestation is missing or malformed, its signature is wrong, or a file is missing,
        changed or not covered; the message names the file.
    UsageError
        If the key file is unusable.
    """
    return _verify(place, {read_public_key(key): "the key given with --key"})


def verify_pinned(place: Path, store: Path) -> Verified:
    """Verify a report against the keys that the user pinned; errors as in `verify_named`."""
    return _verify(place, {key.public_key: f"{key.label} (pinned)" for key in pinned(store)})


def verify_by_hub(place: Path, hub_url: str, published: HubKeys) -> Verified:
    """Verify a report against the keys that a hub publishes; errors as in `verify_named`.

    A revoked key, a key outside its period and a key for another purpose are refused.
    """
    keys = {key.public_key: key for key in published.keys}
    found = _verify(place, dict.fromkeys(keys, f"{hub_url} (published key)"))
    entry = keys.get(found.statement.key)
    moment = found.statement.about.signed_at
    if entry is None:
        return found
    if entry.revoked is not None:
        raise IntegrityError(
            "the signer's key was revoked by the hub; none of its signatures is valid: ask the "
            "operator for a report with a new signature"
        )
    if moment is None or not entry.signs_reports_at(moment):
        raise IntegrityError(
            "the signer's key is published by the hub, but not for reports signed at this time; "
            "ask the operator for a report with a new signature"
        )
    return found


def _verify(place: Path, trusted: dict[PublicKey, str]) -> Verified:
    found = _checked(place, trusted)
    if found.statement.about.record != "deid-evidence":
        check_alone(place, found.statement)
        return found
    from healthval.report.proof.evidence import compared_outputs  # needs the extra `dicom`

    return replace(found, outputs=compared_outputs(place))


def _checked(place: Path, trusted: dict[PublicKey, str]) -> Verified:
    try:
        statement = check(place, trusted)
    except NotSigned:
        claimed = named_signer(place)
        if claimed is None or claimed in trusted:
            raise
        return Verified(statement=check(place, [claimed]), trusted_as=None)
    return Verified(statement=statement, trusted_as=trusted[statement.key])


def read_public_key(path: Path) -> PublicKey:
    """Read a public key file (.pub), as written by `Credential.create`.

    Raises
    ------
    UsageError
        If the file cannot be read or contains no Ed25519 public key.
    """
    try:
        key = read_wire(PublicKey, path.read_bytes())
        raw_public_key(key)
    except (OSError, ValueError):
        raise UsageError(
            "the file is not an Ed25519 public key as JWK; give the platform's file operator.key.pub"
        ) from None
    return key


def pinned(store: Path) -> tuple[PinnedKey, ...]:
    """Return the pinned keys; none if nothing was pinned yet.

    Raises
    ------
    UsageError
        If the file is malformed, or other users of the machine can write it.
    """
    try:
        if os.name == "posix" and store.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise UsageError("others can write the file of trusted keys; run chmod 600 on it")
        return read_wire(PinnedKeys, store.read_bytes()).keys
    except FileNotFoundError:
        return ()
    except (OSError, ValueError):
        raise UsageError(
            f"{store.name} cannot be read or is malformed; delete it and pin the keys again"
        ) from None


def pin(store: Path, key: PublicKey, label: str, *, now: datetime | None = None) -> PinnedKey:
    """Trust a key for reports; a key that is pinned already keeps its label.

    Raises
    ------
    UsageError
        If the label is malformed or belongs to another key.
    """
    with _changing(store):
        before = pinned(store)
        same = [entry for entry in before if entry.public_key == key]
        if same:
            return same[0]
        if any(entry.label == label for entry in before):
            raise UsageError(
                "another key has this label; remove that key first or choose another label"
            )
        try:
            added = PinnedKey(label=label, public_key=key, added=now or datetime.now(UTC))
            keys = PinnedKeys(keys=(*before, added))
        except ValueError:
            raise UsageError(
                "the label is not usable or too many keys are pinned; use at most 200 characters "
                "without control characters or angle brackets"
            ) from None
        _write(store, keys)
    return added


def unpin(store: Path, which: str) -> PinnedKey:
    """Remove one pinned key, named by its label or by the first digits of its fingerprint.

    Raises
    ------
    UsageError
        If the name fits no pinned key or several of them.
    """
    with _changing(store):
        before = pinned(store)
        fits = [key for key in before if key.label == which] or [
            key
            for key in before
            if len(which) >= SHORTEST_PREFIX and key.fingerprint.startswith(which.lower())
        ]
        if len(fits) != 1:
            raise UsageError(
                f"{counted(len(fits), 'pinned key has', 'pinned keys have')} this label or "
                f"fingerprint; give a label or at least {SHORTEST_PREFIX} digits of a fingerprint "
                "from `healthval trust list`"
            )
        _write(store, PinnedKeys(keys=tuple(key for key in before if key is not fits[0])))
    return fits[0]


def _changing(store: Path) -> AbstractContextManager[None]:
    try:
        store.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError:
        raise UsageError("the folder for trusted keys cannot be created; check its path") from None
    busy = UsageError("another command is changing the trusted keys; try again")
    return locked(store.with_suffix(".lock"), seconds=WAIT_SECONDS, busy=busy)


def _write(store: Path, keys: PinnedKeys) -> None:
    try:
        write_durably(store, canonical_json(keys.model_dump(mode="json")) + b"\n")
    except OSError:
        raise UsageError("the trusted keys cannot be written; free some disk space") from None
