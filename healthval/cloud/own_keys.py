"""The hub's own keys on AWS: encrypted parameters, each read by one function only.

A standard parameter costs nothing. The template gets names, never a value.
"""

from typing import TYPE_CHECKING, Any, Final

from healthval.cloud.reach import reaching
from healthval.credential import Credential

if TYPE_CHECKING:
    from healthval.cloud.deploy import Account

# The API signs stamps and links with the first, the worker the reports of standing orders with the second.
SIGNER: Final = "hub.key"
REPORTER: Final = "reporter.key"


def parameter_name(stack: str, key: str = SIGNER) -> str:
    """Return the name of the parameter that holds a key of a stack's hub."""
    return f"/healthval/{stack}/{key}"


def create_keys(account: "Account", stack: str) -> None:
    """Create the hub's Ed25519 keys in the Parameter Store; one that exists there stays.

    The private keys are written nowhere else, and are not read back. The public half of the
    reporter's is beside it, because the API publishes it.

    Raises
    ------
    DeploymentError
        If AWS refuses or cannot be reached.
    """
    for key in (SIGNER, REPORTER):
        credential = Credential.generate()
        # The public half first: a key without it would sign what nobody can check.
        if key == REPORTER and not _exists(account, parameter_name(stack, key)):
            public = {"Value": credential.public_key.x, "Type": "String", "Overwrite": True}
            _put(account, parameter_name(stack, f"{key}.pub"), public)
        private = {"Value": credential.pem.decode(), "Type": "SecureString", "Overwrite": False}
        _put(account, parameter_name(stack, key), private)


def _exists(account: "Account", name: str) -> bool:
    named = [{"Key": "Name", "Option": "Equals", "Values": [name]}]
    with reaching():
        found = account.client("ssm").describe_parameters(ParameterFilters=named)
    return bool(found["Parameters"])


def _put(account: "Account", name: str, content: dict[str, Any]) -> None:
    ssm = account.client("ssm")
    about = {"Description": "healthval: key of a hub", "Tier": "Standard"}
    with reaching():
        try:
            ssm.put_parameter(Name=name, **about, **content)
        except ssm.exceptions.ParameterAlreadyExists:
            return


def delete_keys(account: "Account", stack: str) -> None:
    """Delete the keys of a stack's hub, if there are any."""
    keys = (SIGNER, REPORTER, f"{REPORTER}.pub")
    with reaching():
        account.client("ssm").delete_parameters(Names=[parameter_name(stack, key) for key in keys])
