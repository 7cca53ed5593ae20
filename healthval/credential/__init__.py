"""Credential of a caller of the hub: an Ed25519 key pair, or an IAM role of AWS."""

from healthval.credential.aws_role import RoleCredential
from healthval.credential.key import (
    AnyCredential,
    Credential,
    check_stamp,
    load_credential,
    own_key,
)

__all__ = [
    "AnyCredential",
    "Credential",
    "RoleCredential",
    "check_stamp",
    "load_credential",
    "own_key",
]
