"""A key pair that its holder makes and keeps; the hub knows the public half only."""

import base64
import os
import secrets
import time
from pathlib import Path
from typing import Self

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from healthval.contracts.access import PublicKey, request_claims, site_id
from healthval.contracts.base import canonical_json
from healthval.errors import UsageError


class Credential:
    """A site's, operator's or vendor's Ed25519 key, held in one file that only its owner reads."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        raw = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self._key = key
        self.folder: Path | None = None
        self.public_key = PublicKey(x=base64.urlsafe_b64encode(raw).decode().rstrip("="))
        self.id = site_id(self.public_key)

    def __repr__(self) -> str:
        return f"Credential({self.id})"

    def __reduce__(self) -> str:
        raise TypeError("a credential stays in its process; pass the path of its file")

    @classmethod
    def create(cls, path: Path) -> Self:
        """Make a key, write it to `path` (mode 0600) and its public half to ``path + '.pub'``.

        Raises
        ------
        UsageError
            If the file exists: a key is never overwritten.
        """
        credential = cls(Ed25519PrivateKey.generate())
        pem = credential._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            raise UsageError("there is a key at this path; load it, or choose another") from None
        with os.fdopen(handle, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        public = canonical_json(credential.public_key.model_dump())
        path.with_name(path.name + ".pub").write_bytes(public)
        credential.folder = path.parent
        return credential

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a key that `create` wrote.

        Raises
        ------
        UsageError
            If there is none, it is no Ed25519 key, or others may read it.
        """
        try:
            mode, pem = path.stat().st_mode, path.read_bytes()
        except OSError:
            raise UsageError("there is no key at this path; create one") from None
        if os.name == "posix" and mode & 0o077:
            raise UsageError("others can read the key file; run chmod 600 on it")
        try:
            key = load_pem_private_key(pem, None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            key = None
        if not isinstance(key, Ed25519PrivateKey):
            raise UsageError("the file holds no Ed25519 private key; create a new one")
        credential = cls(key)
        credential.folder = path.parent
        return credential

    @property
    def private_key(self) -> Ed25519PrivateKey:
        """The key itself, for signing a report; it stays in this process."""
        return self._key

    def sign(self, method: str, origin: str, target: str, body: bytes) -> str:
        """Make a token for one request, good for a minute."""
        now = int(time.time())
        claims = {
            "iss": self.id,
            "sub": self.id,
            "aud": origin,
            "iat": now,
            "exp": now + 60,
            "jti": secrets.token_urlsafe(24),
            **request_claims(method, target, body),
        }
        return jwt.encode(claims, self._key, algorithm="EdDSA")
