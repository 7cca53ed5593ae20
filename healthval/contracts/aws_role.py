"""IAM roles of AWS, which sign calls of the hub in place of a key.

References
----------
IAM User Guide, "IAM identifiers": the names of roles are unique in an account, whatever their path; the
ARN of an assumed role's session has no path, and the caller chooses the session's name.
"""

import re
from typing import Annotated, Literal

from pydantic import Field

from healthval.contracts.base import Wire

RoleArn = Annotated[
    str,
    Field(pattern=r"^arn:aws(-cn|-us-gov)?:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@-]{1,64}$"),
]
_ROLE = re.compile(
    r"(arn:aws(?:-cn|-us-gov)?):iam::([0-9]{12}):role/(?:[!-.0-~]+/)*([A-Za-z0-9_+=,.@-]{1,64})"
)
_SESSION = re.compile(
    r"(arn:aws(?:-cn|-us-gov)?):sts::([0-9]{12}):assumed-role/([A-Za-z0-9_+=,.@-]{1,64})"
    r"/[A-Za-z0-9_+=,.@-]{2,64}"
)


class AwsRole(Wire):
    """An IAM role whose calls AWS Signature Version 4 signs, in place of a public key.

    The ARN has no path: names of roles are unique in an account, and a session's ARN has none either.
    """

    kty: Literal["aws-role"] = "aws-role"
    arn: RoleArn


def session_role(arn: str) -> AwsRole:
    """Return the role of an assumed role's session; the caller chose the session's name.

    Raises
    ------
    ValueError
        If it is not the ARN of a session: a user, the root user, a federated user.

    Examples
    --------
    >>> session_role("arn:aws:sts::123456789012:assumed-role/hospital/anything").arn
    'arn:aws:iam::123456789012:role/hospital'
    """
    if (found := _SESSION.fullmatch(arn)) is None:
        raise ValueError("this is not the ARN of an assumed role's session")
    return AwsRole(arn=f"{found[1]}:iam::{found[2]}:role/{found[3]}")


def named_role(arn: str) -> AwsRole:
    """Return the role that a person names by its ARN, with or without path, or by a session's.

    Raises
    ------
    ValueError
        If it is the ARN of neither.

    Examples
    --------
    >>> named_role("arn:aws:iam::123456789012:role/partners/hospital").arn
    'arn:aws:iam::123456789012:role/hospital'
    """
    if (found := _ROLE.fullmatch(arn)) is None:
        return session_role(arn)
    return AwsRole(arn=f"{found[1]}:iam::{found[2]}:role/{found[3]}")
