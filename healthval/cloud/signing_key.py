"""Signing key of a hub on AWS: an encrypted parameter, which only the API function may read.

A standard parameter costs nothing. The template gets its name, never its value.
"""

from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from healthval.cloud.reach import reaching

if TYPE_CHECKING:
    from healthval.cloud.deploy import Account


def parameter_name(stack: str) -> str:
    """Return the name of the parameter that holds the key of a stack's hub."""
    return f"/healthval/{stack}/hub.key"


def create_signing_key(account: "Account", stack: str) -> None:
    """Create the hub's Ed25519 key in the Parameter Store; one that exists there stays.

    The private key is written nowhere else, and is not read back.

    Raises
    ------
    DeploymentError
        If AWS refuses or cannot be reached.
    """
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    ssm = account.client("ssm")
    with reaching():
        try:
            ssm.put_parameter(
                Name=parameter_name(stack),
                Description="healthval: key with which the hub countersigns",
                Value=pem,
                Type="SecureString",
                Tier="Standard",
                Overwrite=False,
                Tags=[{"Key": "healthval", "Value": stack}],
            )
        except ssm.exceptions.ParameterAlreadyExists:
            return


def delete_signing_key(account: "Account", stack: str) -> None:
    """Delete the key of a stack's hub, if there is one."""
    with reaching():
        account.client("ssm").delete_parameters(Names=[parameter_name(stack)])
