"""The hub's own keys on AWS: encrypted parameters of Systems Manager, which cost nothing."""

from typing import TYPE_CHECKING, Final

from healthval.cloud.reach import reaching
from healthval.credential import Credential

if TYPE_CHECKING:
    from healthval.cloud.deploy import Account

# Stamps are signed by the API, reports of standing orders by the worker; each reads its own key only.
NAMES: Final = ("signer", "reporter")


def parameter(stack: str, name: str) -> str:
    """Return the name of the parameter with one of the private keys."""
    return f"/healthval/{stack}/{name}"


def ensure_key(account: "Account", stack: str, name: str) -> Credential:
    """Return a key of the hub; create it if there is none. It is never overwritten."""
    ssm, place = account.client("ssm"), parameter(stack, name)
    with reaching():
        if not _exists(ssm, place):
            ssm.put_parameter(
                Name=place,
                Value=Credential.generate().pem.decode(),
                Type="SecureString",
                Description="private key of a healthval hub",
            )
        found = ssm.get_parameter(Name=place, WithDecryption=True)
    return Credential.parse(found["Parameter"]["Value"].encode())


def delete_keys(account: "Account", stack: str) -> None:
    """Delete the keys of a hub; a missing one is no error."""
    with reaching():
        account.client("ssm").delete_parameters(Names=[parameter(stack, name) for name in NAMES])


def _exists(ssm: object, place: str) -> bool:
    filters = [{"Key": "Name", "Option": "Equals", "Values": [place]}]
    return bool(ssm.describe_parameters(ParameterFilters=filters)["Parameters"])  # type: ignore[attr-defined]
