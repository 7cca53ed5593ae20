"""Errors of boto3 in plain words: one sentence with the remedy."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)

from healthval.errors import DeploymentError, UsageError

_SIGN_IN: Final = "sign in with `aws sso login` or set AWS_PROFILE"
_SLOWLY: Final = "AWS asks to slow down; repeat the command"
_REMEDIES: Final = {
    "AccessDenied": "the key may not do this; ask the account's administrator",
    "AccessDeniedException": "the key may not do this; ask the account's administrator",
    "AlreadyExistsException": "the name is taken; choose another --stack",
    "BucketAlreadyExists": "the name of the bucket for code is taken by another account",
    "ExpiredToken": "the session has expired; sign in again",
    "ExpiredTokenException": "the session has expired; sign in again",
    "InvalidClientTokenId": "AWS does not know the key; check the credentials",
    "LimitExceededException": "a quota of the account is reached; raise it or delete old stacks",
    "SignatureDoesNotMatch": "the secret does not fit the key; check the credentials",
    "Throttling": _SLOWLY,
    "ThrottlingException": _SLOWLY,
    "UnrecognizedClientException": "AWS does not know the key; check the credentials",
}


class Absent(Exception):
    """There is no such stack."""


@contextmanager
def reaching(*, absent_is_none: bool = False) -> Iterator[None]:
    """Replace boto's errors by one sentence with the remedy."""
    try:
        yield
    except NoCredentialsError:
        raise UsageError(f"no credentials of AWS are set; {_SIGN_IN}") from None
    except ProfileNotFound:
        raise UsageError(
            "AWS has no profile of that name; compare AWS_PROFILE with the file ~/.aws/config"
        ) from None
    except (CredentialRetrievalError, PartialCredentialsError, SSOError, TokenRetrievalError):
        raise UsageError(
            f"the credentials of AWS are not complete or have expired; {_SIGN_IN}"
        ) from None
    except NoRegionError:
        raise UsageError("no region is set; give --region or set AWS_REGION") from None
    except ClientError as error:
        code = error.response["Error"]["Code"]
        text = error.response["Error"].get("Message", "")
        if absent_is_none and "does not exist" in text:
            raise Absent from None
        raise DeploymentError(f"AWS refuses ({code}): {_REMEDIES.get(code, text)}") from None
    except BotoCoreError as error:
        raise DeploymentError(
            f"AWS cannot be reached ({type(error).__name__}); check network, region and profile"
        ) from None
