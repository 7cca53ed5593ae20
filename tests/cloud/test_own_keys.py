"""Signing key of a hub on AWS: made once, kept encrypted, read by the API, deleted with the stack."""

import boto3
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from moto import mock_aws

from healthval.cloud.deploy import Account
from healthval.cloud.own_keys import REPORTER, create_keys, delete_keys, parameter_name
from healthval.hub.backends.parameters import own_key, published_key

NAME = parameter_name("one")


@pytest.fixture
def account(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        yield Account(boto3.Session(region_name="us-east-1"))


def read(name):
    return own_key(boto3.client("ssm"), name)


def raw(credential):
    return credential.public_key


def test_a_key_is_made_once_encrypted_and_deleted(account):
    create_keys(account, "one")
    ssm = boto3.client("ssm")
    stored = ssm.get_parameter(Name=NAME)["Parameter"]
    assert stored["Type"] == "SecureString"
    made = read(NAME)
    create_keys(account, "one")
    assert raw(read(NAME)) == raw(made)
    reporter = parameter_name("one", REPORTER)
    assert read(reporter).public_key == published_key(ssm, f"{reporter}.pub") != raw(made)
    create_keys(account, "two")
    assert raw(read(parameter_name("two"))) != raw(made)
    delete_keys(account, "one")
    delete_keys(account, "one")
    with pytest.raises(RuntimeError, match="repeat `healthval infra deploy"):
        read(NAME)
    assert read(parameter_name("two")) is not None


def test_a_hub_without_a_parameter_has_no_key():
    assert own_key(None, "") is None
    assert published_key(None, "") is None


@pytest.mark.parametrize("value", ["x", "another kind"])
def test_what_is_no_ed25519_key_is_refused_and_not_quoted(account, value):
    if value != "x":
        other = generate_private_key(SECP256R1())
        value = other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    boto3.client("ssm").put_parameter(Name=NAME, Value=value, Type="SecureString")
    with pytest.raises(RuntimeError) as refused:
        read(NAME)
    assert value not in repr(refused.value) + repr(refused.value.__context__) or value == "x"
