"""The site's secret, and the values derived from it: pseudonyms, case ids, UIDs, date offsets.

DICOM, FHIR and tables use the same functions, so that a patient has the same pseudonym and the
same date offset in all three. Each value is a keyed HMAC-SHA256: a hash without a key could be
reversed by a trial of all record numbers.
"""

import hmac
import os
import re
import unicodedata
from functools import lru_cache
from pathlib import Path
from typing import Any, Self
from uuid import UUID

from healthval.errors import UsageError, counted

MIN_BYTES = 32
# Arcs of registered UIDs are short; a long arc could contain a record number.
_REGISTERED = re.compile(r"1\.2\.840\.10008(\.(0|[1-9]\d{0,3})){1,8}")
# A pseudonym has neither vowels nor digits: it can never contain a name or a record number by
# chance, which the audit would report as a leak ("ada" occurs in about one of a hundred
# hexadecimal pseudonyms).
_SPELLING = str.maketrans("0123456789abcdef", "bcdfghjkmnpqrtvw")


class Secret:
    """Secret key of a site: at least 32 bytes that never leave it and appear in no representation.

    A secret from a file or an environment variable is pickled as that reference, so that worker
    processes read it again. A secret built from bytes cannot be pickled.

    Examples
    --------
    >>> Secret(bytes(range(32)))
    Secret(***)
    """

    __slots__ = ("_key", "_reference", "_scopes")

    def __init__(self, key: bytes) -> None:
        if not isinstance(key, bytes):
            raise UsageError("the secret must be given as bytes; read it with Secret.from_file")
        if len(key) < MIN_BYTES:
            raise UsageError(
                f"the secret has {counted(len(key), 'byte')}, at least {MIN_BYTES} are needed; "
                "make one with: openssl rand 32 > secret.key"
            )
        self._key = key
        self._reference: tuple[str, str] | None = None
        self._scopes: tuple[str, ...] = ()

    @classmethod
    def from_file(cls, path: str | Path) -> Self:
        """Read the secret from a file; line ends at the end of a text are ignored."""
        try:
            key = Path(path).read_bytes()
        except OSError:
            raise UsageError("the secret file cannot be read; check its path and rights") from None
        text = key.rstrip(b"\r\n")
        secret = cls(text if text.isascii() and text.decode("ascii").isprintable() else key)
        secret._reference = ("from_file", str(path))
        return secret

    @classmethod
    def from_env(cls, name: str) -> Self:
        """Read the secret from the environment variable `name`."""
        if name not in os.environ:
            raise UsageError(
                "the environment variable of the secret is not set; set it, or use a file"
            )
        secret = cls(os.fsencode(os.environ[name]))
        secret._reference = ("from_env", name)
        return secret

    def digest(self, kind: str, value: str) -> bytes:
        """HMAC-SHA256 of `value`, 32 bytes; digests of different kinds are unrelated."""
        # A kind has no NUL, so the boundary between kind and value is unambiguous.
        message = b"\0".join((kind.encode(), value.encode("utf-8", "surrogatepass")))
        return hmac.digest(self._key, message, "sha256")

    def scoped(self, scope: str) -> Self:
        """Derive the secret of one scope, such as a plan; pseudonyms of two scopes are unrelated."""
        derived = type(self)(self.digest("scope", scope))
        derived._reference = self._reference
        derived._scopes = (*self._scopes, scope)
        return derived

    def __repr__(self) -> str:
        return "Secret(***)"

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce__(self) -> tuple[Any, tuple[str, str, tuple[str, ...]]]:
        if self._reference is None:
            raise UsageError(
                "a secret built from bytes cannot be pickled; use Secret.from_file or from_env"
            )
        return (_read_again, (*self._reference, self._scopes))


def _read_again(how: str, where: str, scopes: tuple[str, ...] = ()) -> Secret:
    secret = Secret.from_file(where) if how == "from_file" else Secret.from_env(where)
    for scope in scopes:
        secret = secret.scoped(scope)
    return secret


def normalise_patient_id(patient_id: str) -> str:
    """Normalise a patient id, so that it is equal in DICOM, FHIR and tables.

    Character width, padding and outer spaces are removed. Case and leading zeros are kept, because
    they distinguish patients at some sites.
    """
    return unicodedata.normalize("NFKC", patient_id).strip(" \t\r\n\0")


def pseudonym(secret: Secret, kind: str, value: str) -> str:
    """Pseudonym of `value`: 32 consonants, the same in every run, unrelated between kinds.

    Each consonant encodes one hexadecimal digit of the first 128 bits.
    """
    return _pseudonym_bytes(secret, kind, value).hex().translate(_SPELLING)


def pseudonym_uuid(secret: Secret, kind: str, value: str) -> UUID:
    """Pseudonym of `value` as a UUID: the same 128 bits as `pseudonym`."""
    return UUID(bytes=_pseudonym_bytes(secret, kind, value))


def _pseudonym_bytes(secret: Secret, kind: str, value: str) -> bytes:
    if kind == "patient":
        value = normalise_patient_id(value)
    return secret.digest(f"pseudonym/{kind}", value)[:16]


def patient_pseudonym(secret: Secret, number: str, issuer: str = "") -> str:
    """Pseudonym of a patient: of the number, or of number and issuer; "" without a number.

    The same number without an issuer has one pseudonym in DICOM, FHIR and tables.
    """
    number, issuer = normalise_patient_id(number), normalise_patient_id(issuer)
    if not number or not issuer:
        return pseudonym(secret, "patient", number) if number else ""
    return pseudonym(secret, "patient of an issuer", f"{number}\\{issuer}")


def identity(secret: Secret, number: str, issuer: str) -> tuple[str, str]:
    """Pseudonyms of a patient's number and of its issuer, to find studies of several patients."""
    name = normalise_patient_id(issuer)
    return patient_pseudonym(secret, number), pseudonym(secret, "issuer", name) if name else ""


def case_id(secret: Secret, key: str) -> str:
    """Id of a case outside the site: "case-" and 16 hexadecimal digits."""
    return "case-" + secret.digest("case", key)[:8].hex()


def cohort_digest(secret: Secret, patient: str, case: str) -> str:
    """Digest of a case for the ledger, as ``patient:case``; it never leaves the site.

    Spellings of one record number are one patient: width, case, padding, separators and leading
    zeros are removed. Two patients whose numbers differ only in these count as one.

    Examples
    --------
    >>> secret = Secret(bytes(range(32)))
    >>> cohort_digest(secret, " k-0042", "k-0042") == cohort_digest(secret, "K0042", "K0042 ")
    True
    """
    return ":".join(
        secret.digest(kind, _spelled_alike(value))[:12].hex()
        for kind, value in (("cohort/patient", patient), ("cohort/case", case))
    )


def _spelled_alike(value: str) -> str:
    text = unicodedata.normalize("NFKC", value).casefold()
    text = "".join(c for c in text if c.isalnum())
    return re.sub(r"(?<!\d)0+(?=\d)", "", text) or value


def is_registered_uid(value: str) -> bool:
    """Whether a UID is defined by the standard (class, syntax, well-known instance)."""
    return _REGISTERED.fullmatch(value) is not None


def uid(secret: Secret, original: str) -> str:
    """Replace a UID by 2.25 and a UUID (version 8); UIDs of the standard are kept.

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
    """Replace every UID of a DICOM value; cached, because each slice repeats study and series."""
    return "\\".join(uid(secret, v) if v.strip(" \0") else "" for v in values.split("\\"))


def date_offset(secret: Secret, patient_id: str) -> int:
    """Offset in whole days for all dates of a patient: -365 to 365, never 0."""
    number = int.from_bytes(secret.digest("date", normalise_patient_id(patient_id))[:8], "big")
    days = number % 730 - 365
    return days if days < 0 else days + 1
