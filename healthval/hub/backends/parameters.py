"""The hub's own keys on AWS, read from the Parameter Store."""

from contextlib import suppress
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from healthval.contracts.access import PublicKey
from healthval.credential import Credential
from healthval.errors import UsageError


def own_key(ssm: Any, parameter: str) -> Credential | None:
    """Read a private key of the hub from the Parameter Store; None for a hub without this key.

    Raises
    ------
    RuntimeError
        If the parameter cannot be read or has no Ed25519 key: a hub that should sign does not start.
    """
    if not parameter:
        return None
    with suppress(ClientError, BotoCoreError, UsageError):
        found = ssm.get_parameter(Name=parameter, WithDecryption=True)
        return Credential.parse(found["Parameter"]["Value"].encode())
    raise _no_key()


def published_key(ssm: Any, parameter: str) -> PublicKey | None:
    """Read a public key of the hub from the Parameter Store; otherwise as `own_key`."""
    if not parameter:
        return None
    with suppress(ClientError, BotoCoreError, ValueError):
        return PublicKey(x=ssm.get_parameter(Name=parameter)["Parameter"]["Value"])
    raise _no_key()


def _no_key() -> RuntimeError:
    return RuntimeError(
        "the parameter with the hub's key has no Ed25519 key or cannot be read; if it is missing,"
        " repeat `healthval infra deploy --yes`"
    )
