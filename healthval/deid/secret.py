"""The site's secret, and everything that is derived from it with keyed HMAC-SHA256.

The same functions serve DICOM, FHIR and tables, so that one patient is one pseudonym and one date
offset everywhere. A hash without a key would be reversed by trying all record numbers.
"""

import hmac
import os
import re
import unicodedata
from functools import lru_cache
from pathlib import Path
from typing import Any, Self
from uuid import UUID

from healthval.errors import UsageError

MIN_BYTES = 32
# Arcs of registered UIDs are short; a long arc could carry a record number.
_REGISTERED = re.compile(r"1\.2\.840\.10008(\.(0|[1-9]\d{0,3})){1,8}")


# Neither vowel nor digit: a pseudonym cannot spell a name or hold a record number by chance, which
# the audit would have to take for a leak ("ada" stands in one of some hundred hexadecimal ones).
_SPELLING = str.maketrans("0123456789abcdef", "bcdfghjkmnpqrtvw")


class Secret:
    """At least 32 bytes that never leave the site; silent in every representation.

    A secret that was read from a file or an environment variable travels to worker processes by
    that reference; one built from bytes cannot be pickled at all.

    Examples
    --------
    >>> Secret(bytes(range(32)))
    Secret(***)
    """

    __slots__ = ("_key", "_reference")

    def __init__(self, key: bytes) -> None:
        if not isinstance(key, bytes):
            raise UsageError("the secret must be given as bytes; read it with Secret.from_file")
        if len(key) < MIN_BYTES:
            raise UsageError(
                f"the secret has {len(key)} bytes, at least {MIN_BYTES} are needed; "
                "make one with: openssl rand 32 > secret.key"
            )
        self._key = key
        self._reference: tuple[str, str] | None = None

    @classmethod
    def from_file(cls, path: str | Path) -> Self:
        """Read the secret from a file; a line end after it does not count."""
        try:
            key = Path(path).read_bytes()
        except OSError:
            raise UsageError("the secret file cannot be read; check its path and rights") from None
        secret = cls(key.rstrip(b"\r\n"))
        secret._reference = ("from_file", str(path))
        return secret

    @classmethod
    def from_env(cls, name: str) -> Self:
        """Read the secret from the environment variable `name`."""
        if name not in os.environ:
            raise UsageError("the environment variable that should hold the secret is not set")
        secret = cls(os.environb[os.fsencode(name)])
        secret._reference = ("from_env", name)
        return secret

    def digest(self, kind: str, value: str) -> bytes:
        """HMAC-SHA256 of `value`, 32 bytes; digests of different kinds are unrelated."""
        # The kind has no NUL, so kind and value cannot run into each other.
        return hmac.digest(self._key, b"\0".join((kind.encode(), value.encode("utf-8", "surrogatepass"))), "sha256")  # fmt: skip

    def __repr__(self) -> str:
        return "Secret(***)"

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce__(self) -> tuple[Any, tuple[str, str]]:
        if self._reference is None:
            raise UsageError("a secret is never written down; pass it by file or environment name")
        return (_read_again, self._reference)


def _read_again(how: str, where: str) -> Secret:
    return Secret.from_file(where) if how == "from_file" else Secret.from_env(where)


def normalise_patient_id(patient_id: str) -> str:
    """Fold the spellings that DICOM, FHIR and tables give one id: width, padding, outer spaces.

    Case and leading zeros are kept: they distinguish patients at some sites.
    """
    return unicodedata.normalize("NFKC", patient_id).strip(" \t\r\n\0")


def pseudonym(secret: Secret, kind: str, value: str) -> str:
    """Stand-in for `value`: 32 consonants, the same in every run, unrelated across kinds.

    A consonant stands for each hexadecimal digit of the first 128 bits.
    """
    return _pseudonym_bytes(secret, kind, value).hex().translate(_SPELLING)


def pseudonym_uuid(secret: Secret, kind: str, value: str) -> UUID:
    """The same 128 bits as `pseudonym`, where a UUID has to stand."""
    return UUID(bytes=_pseudonym_bytes(secret, kind, value))


def _pseudonym_bytes(secret: Secret, kind: str, value: str) -> bytes:
    if kind == "patient":
        value = normalise_patient_id(value)
    return secret.digest(f"pseudonym/{kind}", value)[:16]


def case_id(secret: Secret, key: str) -> str:
    """Name of a case outside the site: "case-" and 16 hexadecimal digits."""
    return "case-" + secret.digest("case", key)[:8].hex()


def is_registered_uid(value: str) -> bool:
    """Whether a UID belongs to the standard itself (class, syntax, well-known instance)."""
    return _REGISTERED.fullmatch(value) is not None


def uid(secret: Secret, original: str) -> str:
    """Replace a UID by 2.25 and a UUID (version 8); UIDs of the standard stay.

    References
    ----------
    DICOM PS3.5 B.2; RFC 9562, section 5.8.
    """
    original = original.strip(" \0")
    if is_registered_uid(original):
        return original
    bits = int.from_bytes(secret.digest("uid", original)[:16], "big")
    bits = bits & ~(0xF << 76) | (8 << 76)
    return f"2.25.{bits & ~(0x3 << 62) | (0x2 << 62)}"


@lru_cache(maxsize=4096)
def uids(secret: Secret, values: str) -> str:
    """Replace every UID of a DICOM value; those of study and series come again with each slice."""
    return "\\".join(uid(secret, v) if v.strip(" \0") else "" for v in values.split("\\"))


def date_offset(secret: Secret, patient_id: str) -> int:
    """Whole days by which all dates of a patient move: -365 to 365, never 0."""
    number = int.from_bytes(secret.digest("date", normalise_patient_id(patient_id))[:8], "big")
    days = number % 730 - 365
    return days if days < 0 else days + 1
