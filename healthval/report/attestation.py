"""Attestation: signed digests of the report's files, as in-toto statement in a DSSE envelope.

References
----------
in-toto Statement v1, DSSE protocol v1 (PAE and envelope), RFC 8032 (Ed25519).
"""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from healthval import __version__
from healthval.contracts.base import canonical_json
from healthval.errors import IntegrityError, ReportError, counted

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )

ATTESTATION = "attestation.dsse.json"
COVERED = ("metrics.json", "report.html", "report.pdf", "ro-crate-metadata.json")
PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "urn:healthval:validation:v1"
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
_SHA256 = re.compile(r"[a-f0-9]{64}")


def sign(
    files: Mapping[str, str],
    key: "Ed25519PrivateKey",
    *,
    about: Mapping[str, str] | None = None,
    now: datetime | None = None,
) -> bytes:
    """Sign the SHA-256 digests of the named files.

    Parameters
    ----------
    files : file name to SHA-256, as returned by `write`
    key : Ed25519 private key
    about : short facts that are signed too, such as the model and the plan's hash
    now : time of signing; the only time in a report

    Returns
    -------
    bytes
        The DSSE envelope, the content of ``attestation.dsse.json``.

    Raises
    ------
    ReportError
        If `files` is empty, or a name or digest is malformed.
    """
    bad = [n for n, d in files.items() if not (_NAME.fullmatch(n) and _SHA256.fullmatch(d))]
    if bad or not files:
        raise ReportError(
            f"malformed name or digest in {len(bad)} of {counted(len(files), 'file')} to sign; "
            "give plain file names with their SHA-256"
        )
    payload = _statement(files, about or {}, now or datetime.now(UTC))
    signature = {
        "keyid": key_id(key.public_key()),
        "sig": base64.b64encode(key.sign(_pae(payload))).decode(),
    }
    envelope = {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": PAYLOAD_TYPE,
        "signatures": [signature],
    }
    return canonical_json(envelope) + b"\n"


def _statement(files: Mapping[str, str], about: Mapping[str, str], now: datetime) -> bytes:
    statement = {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": n, "digest": {"sha256": files[n]}} for n in sorted(files)],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            **about,
            "healthval_version": __version__,
            "signed_at": now.astimezone(UTC).isoformat(timespec="seconds"),
        },
    }
    return canonical_json(statement)


def key_id(key: "Ed25519PublicKey") -> str:
    """Return the identifier of a public key: SHA-256 of its 32 raw bytes."""
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()


def _pae(payload: bytes) -> bytes:
    """Encode the payload for signing (DSSE pre-authentication encoding)."""
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def verify(place: Path, public_key: "Ed25519PublicKey") -> list[str]:
    """Check the signature of a report and the digest of every signed file.

    Parameters
    ----------
    place : folder of the report, or any file of it
    public_key : the platform's key, obtained through a different channel than the report

    Returns
    -------
    list of str
        Names of the signed files; all of them are unchanged.

    Raises
    ------
    IntegrityError
        If the attestation is missing, malformed or not signed by this key, or if a file is missing,
        changed or not covered by the signature; the message names the file.
    """
    folder = place if place.is_dir() else place.parent
    signed = read_statement(_bytes(folder, ATTESTATION), public_key)
    for name, digest in signed.items():
        if hashlib.sha256(_bytes(folder, name)).hexdigest() != digest:
            raise IntegrityError(f"{name} differs from the signed file; get the report again")
    beside = {name for name in COVERED if (folder / name).exists()}
    if place.is_file() and place.name != ATTESTATION:
        beside.add(place.name)
    for name in sorted(beside - set(signed)):
        raise IntegrityError(f"{name} is not covered by the signature; do not rely on it")
    return sorted(signed)


def _bytes(folder: Path, name: str) -> bytes:
    try:
        return (folder / name).read_bytes()
    except OSError:
        raise IntegrityError(f"{name} is missing or cannot be read; get the report again") from None


def read_statement(envelope: bytes, public_key: "Ed25519PublicKey") -> dict[str, str]:
    """Check the envelope's signature and return the digests it covers: file name to SHA-256.

    Raises
    ------
    IntegrityError
        If the envelope is malformed, has another payload type or is not signed by this key.
    """
    from cryptography.exceptions import InvalidSignature

    payload, signatures = _payload_and_signatures(envelope)
    for signature in signatures:
        try:
            public_key.verify(signature, _pae(payload))
        except InvalidSignature:
            continue
        return _subjects(payload)
    raise IntegrityError(
        f"{ATTESTATION} is not signed by the given key; check that it is the platform's key"
    )


def _malformed() -> IntegrityError:
    return IntegrityError(f"{ATTESTATION} is not a DSSE envelope of a report; get the report again")


def _payload_and_signatures(envelope: bytes) -> tuple[bytes, list[bytes]]:
    try:
        outer = json.loads(envelope)
        if outer["payloadType"] != PAYLOAD_TYPE:
            raise _malformed()
        signatures = [base64.b64decode(s["sig"], validate=True) for s in outer["signatures"]]
        return base64.b64decode(outer["payload"], validate=True), signatures
    except (ValueError, KeyError, TypeError, binascii.Error, RecursionError):
        raise _malformed() from None


def _subjects(payload: bytes) -> dict[str, str]:
    try:
        statement: dict[str, Any] = json.loads(payload)
        kinds = (statement["_type"], statement["predicateType"])
        pairs = [(s["name"], s["digest"]["sha256"]) for s in statement["subject"]]
        sound = all(_NAME.fullmatch(n) and _SHA256.fullmatch(d) for n, d in pairs)
    except (ValueError, KeyError, TypeError, RecursionError):
        raise _malformed() from None
    if kinds != (STATEMENT_TYPE, PREDICATE_TYPE) or not pairs or not sound:
        raise _malformed()
    if len(dict(pairs)) != len(pairs):
        raise _malformed()
    return dict(pairs)
