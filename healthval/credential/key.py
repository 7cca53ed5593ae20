"""Credential: an Ed25519 key pair; the holder keeps the private half, the hub has the public one."""

import base64
import os
import re
import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import jwt
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from healthval.contracts.access import PublicKey, raw_public_key, request_claims, site_id
from healthval.contracts.base import canonical_json
from healthval.contracts.keys import HubKeys
from healthval.contracts.stamp import Stamp, stamped_bytes
from healthval.credential.aws_role import RoleCredential
from healthval.errors import IntegrityError, UsageError
from healthval.files import write_durably

_HOLDER = re.compile(rb"Holder: (site-[a-z0-9]{8})\n")


class Credential:
    """Ed25519 key of a site, operator, vendor or auditor, in one file that only its owner can read.

    Attributes
    ----------
    id : name of the holder at the hub: the name of its first key
    key_name : name of this key
    """

    def __init__(self, key: Ed25519PrivateKey, holder: str | None = None) -> None:
        raw = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self._key = key
        self.path: Path | None = None
        self.public_key = PublicKey(x=base64.urlsafe_b64encode(raw).decode().rstrip("="))
        self.key_name = site_id(self.public_key)
        self.id = holder or self.key_name

    @property
    def folder(self) -> Path | None:
        """Folder of the key's file; None for a key that has none."""
        return None if self.path is None else self.path.parent

    def __repr__(self) -> str:
        return f"Credential({self.id})"

    def __reduce__(self) -> str:
        raise TypeError("a credential stays in its process; pass the path of its file")

    @classmethod
    def create(cls, path: str | Path) -> Self:
        """Create a key; write it to `path` (mode 0600) and its public half to ``path + '.pub'``.

        Raises
        ------
        UsageError
            If the file exists: a key is never overwritten.
        """
        return cls._written(cls.generate(), Path(path))

    @classmethod
    def generate(cls) -> Self:
        """Create a key in memory only."""
        return cls(Ed25519PrivateKey.generate())

    def successor(self, path: str | Path) -> Self:
        """Create a key of the same holder, which is to replace this one; see `create`."""
        return self._written(type(self)(Ed25519PrivateKey.generate(), self.id), Path(path))

    @classmethod
    def _written(cls, credential: Self, path: Path) -> Self:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not write_durably(path, credential.pem, replace=False):
            raise UsageError("a key exists at this path; load it, or choose another path")
        public = canonical_json(credential.public_key.model_dump())
        write_durably(path.with_name(path.name + ".pub"), public, mode=0o644)
        credential.path = path
        return credential

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a key that `create` wrote.

        Raises
        ------
        UsageError
            If there is no key, it is not an Ed25519 key, or other users can read it.
        """
        path = Path(path)
        credential = cls.parse(_private_bytes(path))
        credential.path = path
        return credential

    @classmethod
    def parse(cls, pem: bytes) -> Self:
        """Read a key from the content of its file; errors as in `load`."""
        try:
            key = load_pem_private_key(pem, None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            key = None
        if not isinstance(key, Ed25519PrivateKey):
            if pem.startswith(b"{"):
                raise UsageError("this step signs with a key, and the file names an AWS role")
            raise UsageError("the file contains no Ed25519 private key; create a new one")
        holder = _HOLDER.match(pem)
        return cls(key, holder[1].decode() if holder else None)

    @property
    def pem(self) -> bytes:
        """The private key in PEM, as its file contains it."""
        pem = self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        if self.id == self.key_name:
            return pem
        return f"Holder: {self.id}\n".encode() + pem  # text before the key, as RFC 7468 allows

    @property
    def private_key(self) -> Ed25519PrivateKey:
        """Private key, for signing a report; it stays in this process."""
        return self._key

    def authorize(
        self, method: str, origin: str, target: str, body: bytes, *, headers: Mapping[str, str]
    ) -> tuple[str, dict[str, str]]:
        """Return the target and headers of one request, with a token."""
        token = self.sign(method, origin, target, body)
        return target, {**headers, "Authorization": f"Bearer {token}"}

    def sign(self, method: str, origin: str, target: str, body: bytes) -> str:
        """Create a token for one request, valid for a minute."""
        now = int(time.time())
        claims = {
            "iss": self.key_name,
            "sub": self.id,
            "aud": origin,
            "iat": now,
            "exp": now + 60,
            "jti": secrets.token_urlsafe(24),
            **request_claims(method, target, body),
        }
        return jwt.encode(claims, self._key, algorithm="EdDSA")


AnyCredential = Credential | RoleCredential


def load_credential(path: str | Path) -> AnyCredential:
    """Read a key that `Credential.create` wrote, or a role that `RoleCredential.create` wrote.

    Raises
    ------
    UsageError
        If there is no such file, it has neither, or other users can read it.
    """
    path = Path(path)
    content = _private_bytes(path)
    kind = RoleCredential if content.startswith(b"{") else Credential
    credential: AnyCredential = kind.parse(content)
    credential.path = path
    return credential


def own_key(credential: AnyCredential) -> Credential:
    """Return the credential if it is a key, for a step that a signature of its holder proves.

    Raises
    ------
    UsageError
        If it is an AWS role, which signs calls only.
    """
    if isinstance(credential, Credential):
        return credential
    raise UsageError("this step needs a key of its holder, and an AWS role signs calls only")


def _private_bytes(path: Path) -> bytes:
    try:
        mode, content = path.stat().st_mode, path.read_bytes()
    except OSError:
        raise UsageError("no key at this path; create one") from None
    if os.name == "posix" and mode & 0o077:
        raise UsageError("other users can read the key file; run chmod 600 on it")
    return content


def check_stamp(stamp: Stamp, keys: HubKeys) -> None:
    """Refuse a stamp that no valid key of the hub has signed.

    Raises
    ------
    IntegrityError
        If the key is not listed for registrations, was revoked or was not valid at that time, or
        the signature does not match.
    """
    listed = [key for key in keys.keys if key.kid == stamp.kid and key.purpose == "registration"]
    if not listed or not listed[0].is_valid_at(stamp.at):
        raise IntegrityError("the hub lists no valid key for this countersignature")
    public = Ed25519PublicKey.from_public_bytes(raw_public_key(listed[0].public_key))
    try:
        public.verify(base64.urlsafe_b64decode(stamp.signature + "=="), stamped_bytes(stamp))
    except InvalidSignature:
        raise IntegrityError("the hub's countersignature does not match its content") from None
