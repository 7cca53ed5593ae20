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
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from healthval import __version__
from healthval.contracts.access import PublicKey, raw_public_key
from healthval.contracts.base import canonical_json, read_wire
from healthval.contracts.keys import Predicate
from healthval.errors import IntegrityError, ReportError, counted

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )

ATTESTATION = "attestation.dsse.json"
COVERED = (
    "card.chai.xml",
    "committee.html",
    "committee.pdf",
    "evidence.json",
    "metrics.json",
    "model-card.md",
    "report.html",
    "report.pdf",
    "ro-crate-metadata.json",
)
PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "urn:healthval:validation:v1"
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
_SHA256 = re.compile(r"[a-f0-9]{64}")
_DOCUMENTS = frozenset({".html", ".htm", ".xhtml", ".pdf"})


class NotSigned(IntegrityError):
    """An attestation is signed by none of the keys it was checked against."""


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
    signer = {"signer": jwk(key.public_key()).model_dump()}
    payload = _statement(files, {**(about or {}), **signer}, now or datetime.now(UTC))
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


def _statement(files: Mapping[str, str], about: Mapping[str, Any], now: datetime) -> bytes:
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


def jwk(key: "Ed25519PublicKey") -> PublicKey:
    """Encode a public key as JWK."""
    return PublicKey(x=base64.urlsafe_b64encode(key.public_bytes_raw()).decode().rstrip("="))


def key_id(key: "Ed25519PublicKey") -> str:
    """Return the key identifier of the signature: the one that securesystemslib computes.

    It is the SHA-256 of the key's description as canonical JSON. People compare the fingerprint
    instead, `healthval.contracts.keys.fingerprint`.
    """
    described = {
        "keytype": "ed25519",
        "keyval": {"public": key.public_bytes_raw().hex()},
        "scheme": "ed25519",
    }
    return hashlib.sha256(canonical_json(described)).hexdigest()


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
    return sorted(check(place, [jwk(public_key)]).files)


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """Content of an attestation, with the key that its signature fits."""

    files: dict[str, str]
    about: Predicate
    key: PublicKey


def check(place: Path, keys: Iterable[PublicKey]) -> Statement:
    """Check a report against keys, as `verify` does, and return what was signed and by which key."""
    folder = place if place.is_dir() else place.parent
    statement = read_statement(_bytes(folder, ATTESTATION), keys)
    for name, digest in statement.files.items():
        if hashlib.sha256(_bytes(folder, name)).hexdigest() != digest:
            raise IntegrityError(f"{name} differs from the signed file; get the report again")
    beside = {name for name in COVERED if (folder / name).exists()}
    if place.is_file() and place.name != ATTESTATION:
        beside.add(place.name)
    for name in sorted(beside - set(statement.files)):
        raise IntegrityError(f"{_plain(name)} is not covered by the signature; do not rely on it")
    return statement


def check_alone(place: Path, statement: Statement) -> None:
    """Refuse another page or PDF beside a report: a reader could take it for the report.

    Subfolders are searched too. A link to a folder elsewhere is refused as a page is. Figures and
    tables of `healthval report export` are neither pages nor PDFs.

    Raises
    ------
    IntegrityError
        If there is one; the message names it.
    """
    folder = place if place.is_dir() else place.parent
    documents = {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.suffix.lower() in _DOCUMENTS or (path.is_dir() and _leads_out(path, folder))
    }
    for name in sorted(documents - set(statement.files)):
        raise IntegrityError(
            f"{_plain(name)} is in the report's folder and not covered by the signature; do not rely on it"
        )


def _plain(name: str) -> str:
    """Return a file's name without letters that look like others, and without control characters."""
    return name if name.isascii() and name.isprintable() else ascii(name)


def named_signer(place: Path) -> PublicKey | None:
    """Return the key that the attestation names as its signer's; anybody can write any key there."""
    folder = place if place.is_dir() else place.parent
    payload, _ = _payload_and_signatures(_bytes(folder, ATTESTATION))
    return _parsed(payload)[1].signer


def _bytes(folder: Path, name: str) -> bytes:
    try:
        content = (folder / name).read_bytes()
    except OSError:
        raise IntegrityError(f"{name} is missing or cannot be read; get the report again") from None
    if _leads_out(folder / name, folder):
        raise IntegrityError(
            f"{name} is a link to a file outside the report's folder; get the report again"
        )
    return content


def _leads_out(path: Path, folder: Path) -> bool:
    """Whether a link on the way from the folder to the path leads out of the folder."""
    return not path.resolve().is_relative_to(folder.resolve())


def read_statement(envelope: bytes, keys: Iterable[PublicKey]) -> Statement:
    """Check the envelope's signature and return its statement.

    Raises
    ------
    IntegrityError
        If the envelope is malformed or has another payload type.
    NotSigned
        If it is signed by none of the keys.
    """
    payload, signatures = _payload_and_signatures(envelope)
    for key in keys:
        if any(_fits(key, signature, payload) for signature in signatures):
            files, about = _parsed(payload)
            return Statement(files=files, about=about, key=key)
    raise NotSigned(
        f"{ATTESTATION} is not signed by a trusted key; check that you named or pinned the "
        "platform's key"
    )


def _fits(key: PublicKey, signature: bytes, payload: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(raw_public_key(key)).verify(signature, _pae(payload))
    except InvalidSignature:
        return False
    return True


def _malformed() -> IntegrityError:
    return IntegrityError(f"{ATTESTATION} is not a DSSE envelope of a report; get the report again")


def _payload_and_signatures(envelope: bytes) -> tuple[bytes, list[bytes]]:
    try:
        outer = json.loads(envelope, object_pairs_hook=_named_once)
        if outer["payloadType"] != PAYLOAD_TYPE:
            raise _malformed()
        signatures = [base64.b64decode(s["sig"], validate=True) for s in outer["signatures"]]
        return base64.b64decode(outer["payload"], validate=True), signatures
    except (ValueError, KeyError, TypeError, binascii.Error, RecursionError):
        raise _malformed() from None


def _named_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a name that occurs twice: of two payloads, another reader could take the unsigned one."""
    if len(dict(pairs)) != len(pairs):
        raise _malformed()
    return dict(pairs)


def _parsed(payload: bytes) -> tuple[dict[str, str], Predicate]:
    try:
        statement: dict[str, Any] = json.loads(payload)
        kinds = (statement["_type"], statement["predicateType"])
        pairs = [(s["name"], s["digest"]["sha256"]) for s in statement["subject"]]
        sound = all(_NAME.fullmatch(n) and _SHA256.fullmatch(d) for n, d in pairs)
        about = read_wire(Predicate, canonical_json(statement["predicate"]))
        if about.signer is not None:
            raw_public_key(about.signer)
    except (ValueError, KeyError, TypeError, RecursionError):
        raise _malformed() from None
    if kinds != (STATEMENT_TYPE, PREDICATE_TYPE) or not pairs or not sound:
        raise _malformed()
    if len(dict(pairs)) != len(pairs):
        raise _malformed()
    return dict(pairs), about
