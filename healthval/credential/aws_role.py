"""Credential of an IAM role: a file that names role and profile; AWS Signature Version 4 signs calls.

The file has no secret. The profile is one of the AWS configuration (``~/.aws/config``), where AWS's own
tools find keys, assume the role and renew its credentials; without a profile, the default chain does.

References
----------
AWS General Reference, "Signature Version 4 signing process".
"""

import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Self
from urllib.parse import urlsplit

from pydantic import Field

from healthval.contracts.access import site_id
from healthval.contracts.aws_role import AwsRole, named_role
from healthval.contracts.base import Wire, canonical_json, read_wire
from healthval.errors import UsageError
from healthval.files import install_command, write_durably

if TYPE_CHECKING:
    from botocore.credentials import ReadOnlyCredentials
    from botocore.session import Session

# The part of the API whose signatures AWS checks; see infra/core.yaml.
IAM_PATH: Final = "/iam"
_API_HOST: Final = re.compile(r"[a-z0-9]+\.execute-api\.([a-z0-9-]+)\.amazonaws\.com(\.cn)?")
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_SIGN_IN: Final = "sign in (`aws sso login`), or correct the profile in ~/.aws/config"


class RoleFile(Wire):
    """Content of a credential file that names a role; `profile` is one of the AWS configuration."""

    role: AwsRole
    profile: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.@/+-]{1,128}$")] | None = None


class RoleCredential:
    """IAM role of a site, operator, vendor or auditor, in place of a key.

    Attributes
    ----------
    id : name of the role at the hub
    public_key : the role, in place of the public half of a key
    profile : profile of the AWS configuration; None for the default chain
    """

    def __init__(self, role: AwsRole, profile: str | None = None) -> None:
        self.public_key, self.profile = role, profile
        self.path: Path | None = None
        self.id = site_id(role)
        self._session: Session | None = None

    @property
    def folder(self) -> Path | None:
        """Folder of the credential's file; None for one that has none."""
        return None if self.path is None else self.path.parent

    def __repr__(self) -> str:
        return f"RoleCredential({self.id})"

    def __reduce__(self) -> str:
        raise TypeError("a credential stays in its process; pass the path of its file")

    @classmethod
    def create(cls, path: str | Path, arn: str, profile: str | None = None) -> Self:
        """Write a credential that names a role to `path`, and the role alone to ``path + '.pub'``.

        Parameters
        ----------
        arn : of the role, with or without its path

        Raises
        ------
        UsageError
            If the file exists, or the ARN or the profile is malformed.
        """
        path = Path(path)
        try:
            content = RoleFile(role=named_role(arn), profile=profile)
        except ValueError:
            raise UsageError(
                "the role or the profile is malformed; a role is arn:aws:iam::ACCOUNT:role/NAME"
            ) from None
        path.parent.mkdir(parents=True, exist_ok=True)
        if not write_durably(path, canonical_json(content.model_dump()), replace=False):
            raise UsageError("a key exists at this path; load it, or choose another path")
        public = canonical_json(content.role.model_dump())
        write_durably(path.with_name(path.name + ".pub"), public, mode=0o644)
        made = cls(content.role, profile)
        made.path = path
        return made

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read a credential from the content of its file.

        Raises
        ------
        UsageError
            If the file names no role.
        """
        try:
            content = read_wire(RoleFile, data)
        except ValueError:
            raise UsageError("the file contains neither a key nor an AWS role") from None
        return cls(content.role, content.profile)

    def authorize(
        self, method: str, origin: str, target: str, body: bytes, *, headers: Mapping[str, str]
    ) -> tuple[str, dict[str, str]]:
        """Return the target and headers of one request, signed with the role's credentials.

        Raises
        ------
        UsageError
            If AWS's tools are not installed, have no credentials, or the address is not the API's.
        """
        try:
            from botocore.auth import SigV4Auth
            from botocore.awsrequest import AWSRequest
        except ModuleNotFoundError:
            raise UsageError(f"an AWS role needs boto3: {install_command('aws')}") from None
        signed = f"{IAM_PATH}{target}{'&' if '?' in target else '?'}jti={secrets.token_urlsafe(24)}"
        request = AWSRequest(method, origin + signed, data=body, headers=dict(headers))
        region = self._region(urlsplit(origin).hostname or "")
        SigV4Auth(self._credentials(), "execute-api", region).add_auth(request)
        return signed, dict(request.headers)

    def _region(self, host: str) -> str:
        """Return the region in the API's address; on loopback, that of the profile."""
        if found := _API_HOST.fullmatch(host):
            return found[1]
        region = None
        if host in _LOOPBACK:
            with _signing_in():
                region = self._opened().get_config_variable("region")
        if region is None:
            raise UsageError(
                "a role signs calls of the API's own address, https://ID.execute-api.REGION"
                ".amazonaws.com (ApiEndpoint of the stack); ask the operator for it"
            )
        return str(region)

    def _credentials(self) -> "ReadOnlyCredentials":
        with _signing_in():
            found = self._opened().get_credentials()
            if found is not None:
                return found.get_frozen_credentials()
        raise UsageError(f"no credentials of AWS are set; {_SIGN_IN}")

    def _opened(self) -> "Session":
        from botocore.session import Session

        if self._session is None:
            self._session = Session(profile=self.profile)
        return self._session


@contextmanager
def _signing_in() -> Iterator[None]:
    """Translate errors of AWS's tools, whose texts may quote the configuration."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError):
        raise UsageError(f"AWS gives no credentials for the role; {_SIGN_IN}") from None
