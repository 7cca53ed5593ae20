"""Signing key of a hub on AWS: made once, kept encrypted, read by the API, deleted with the stack."""

import boto3
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from moto import mock_aws

from healthval.cloud.deploy import Account
from healthval.cloud.signing_key import create_signing_key, delete_signing_key, parameter_name
from healthval.hub.backends.lambda_api import signing_key

NAME = parameter_name("one")


@pytest.fixture
def account(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        yield Account(boto3.Session(region_name="us-east-1"))


def raw(key):
    return key.public_key().public_bytes_raw()


def test_a_key_is_made_once_encrypted_and_deleted(account):
    create_signing_key(account, "one")
    ssm = boto3.client("ssm")
    stored = ssm.get_parameter(Name=NAME)["Parameter"]
    assert stored["Type"] == "SecureString"
    made = signing_key(NAME)
    create_signing_key(account, "one")
    assert raw(signing_key(NAME)) == raw(made)
    create_signing_key(account, "two")
    assert raw(signing_key(parameter_name("two"))) != raw(made)
    delete_signing_key(account, "one")
    delete_signing_key(account, "one")
    with pytest.raises(RuntimeError, match="repeat `healthval infra deploy"):
        signing_key(NAME)
    assert signing_key(parameter_name("two")) is not None


def test_a_hub_without_a_parameter_has_no_key():
    assert signing_key("") is None


@pytest.mark.parametrize("value", ["x", "another kind"])
def test_what_is_no_ed25519_key_is_refused_and_not_quoted(account, value):
    if value != "x":
        other = generate_private_key(SECP256R1())
        value = other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    boto3.client("ssm").put_parameter(Name=NAME, Value=value, Type="SecureString")
    with pytest.raises(RuntimeError) as refused:
        signing_key(NAME)
    assert value not in repr(refused.value) + repr(refused.value.__context__) or value == "x"
