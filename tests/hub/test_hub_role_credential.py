"""The credential of an AWS role: its file, its commands, and what it needs of AWS's tools."""

import json
import os
import pickle
import subprocess
import sys
import time

import pytest
from api_gateway import ACCOUNT, ORIGIN, ApiGateway, Role, event_loop, served
from click.testing import CliRunner
from mangum import Mangum

from healthval.cli import cli
from healthval.client import Client, Credential, load_credential
from healthval.credential import RoleCredential
from healthval.errors import UsageError
from healthval.evaluation import Site
from healthval.hub.app import Settings, create_app
from healthval.hub.backends.lambda_api import RawPath, _http
from healthval.hub.backends.memory import MemoryIndex, MemoryObjects, NoModels
from healthval.hub.ports import Backend
from healthval.report.forms.hub_view import hub_view

ARN = f"arn:aws:iam::{ACCOUNT}:role/hospital"


def test_the_file_names_role_and_profile_and_nothing_else(tmp_path):
    made = RoleCredential.create(tmp_path / "role.key", ARN.replace("role/", "role/a/"), "ward")
    content = json.loads((tmp_path / "role.key").read_bytes())
    assert content == {"role": {"kty": "aws-role", "arn": ARN}, "profile": "ward"}
    assert json.loads((tmp_path / "role.key.pub").read_bytes()) == content["role"]
    loaded = load_credential(tmp_path / "role.key")
    assert isinstance(loaded, RoleCredential)
    assert (loaded.id, loaded.profile, loaded.folder) == (made.id, "ward", tmp_path)
    with pytest.raises(UsageError, match="exists"):
        RoleCredential.create(tmp_path / "role.key", ARN)
    with pytest.raises(UsageError, match="names an AWS role"):
        Credential.load(tmp_path / "role.key")


@pytest.mark.parametrize(
    ("arn", "profile"),
    [
        (f"arn:aws:iam::{ACCOUNT}:user/hospital", None),
        (f"arn:aws:iam::{ACCOUNT}:role/", None),
        ("hospital", None),
        (ARN, "two words"),
        (ARN, ""),
    ],
)
def test_a_malformed_role_or_profile_makes_no_file(tmp_path, arn, profile):
    with pytest.raises(UsageError, match="malformed"):
        RoleCredential.create(tmp_path / "role.key", arn, profile)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"{}", b'{"role": {"arn": "x"}}', b'{"secret": "x"}', b"{"])
def test_a_file_with_neither_is_refused(tmp_path, content):
    path = tmp_path / "role.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(UsageError, match="neither a key nor an AWS role"):
        load_credential(path)
    path.chmod(0o644)
    with pytest.raises(UsageError, match="chmod 600"):
        load_credential(path)


@pytest.fixture
def aws_files(tmp_path, monkeypatch):
    """An AWS configuration with one profile, and no other credentials."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    role = Role("hospital")
    keys, config = tmp_path / "aws-credentials", tmp_path / "aws-config"
    keys.write_text(
        f"[ward]\naws_access_key_id = {role.keys.access_key}\n"
        f"aws_secret_access_key = {role.keys.secret_key}\naws_session_token = {role.keys.token}\n",
        encoding="utf-8",
    )
    config.write_text("[profile ward]\nregion = eu-central-1\n", encoding="utf-8")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(keys))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return role


@pytest.fixture
def api(aws_files, kit, artefact):
    """A hub behind API Gateway on loopback, its operator, and the role that it knows."""
    operator = Credential.generate()
    backend = Backend(MemoryObjects(), MemoryIndex(time.time), NoModels(), time.time)
    gateway = ApiGateway(None)
    gateway.knows(aws_files)
    with served(gateway) as url:
        settings = Settings(operator=operator.public_key, audiences=(url,), upload_secret=b"s" * 32)
        app = create_app(backend, settings)
        with event_loop():
            gateway.handler = _http(Mangum(RawPath(app), lifespan="off"))
        with Client(url, operator) as client:
            client.register_model(kit.registration_of(artefact), artefact)
            yield url, client
    app.state.predictions.close()


def run(*words, code=0, answer=""):
    words = [str(word) for word in words]
    done = CliRunner().invoke(cli, words, standalone_mode=False, input=answer)
    if code:
        raise done.exception
    assert done.exit_code == 0, done.exception
    return done.output


def test_a_hospital_a_vendor_and_an_operator_use_their_roles(api, tmp_path, kit):
    url, operator = api
    key = tmp_path / "operator.key"
    key.write_bytes(operator.credential.pem)
    key.chmod(0o600)
    home = tmp_path / "site"
    said = run("access", "use-role", ARN, home / "site.key", "--profile", "ward")
    assert f"names {ARN}; it has no secret" in said
    site = Site.create(home)
    with Client(url, site.credential) as client:
        grant = client.request_access(label="Hospital", **kit.SUBJECT)
    assert ARN in run("access", "list", "--hub", url, "--key", key)
    assert ARN in run("access", "list", "--hub", url, "--key", home / "site.key")
    assert "approved" in run("access", "approve", grant.site, "--hub", url, "--key", key)
    assert f"{grant.site}  {grant.site}  site" in run("access", "keys", "--hub", url, "--key", key)
    assert f"AWS role {ARN}" in hub_view(site)

    for name in ("vendor", "ops", "auditor"):
        arn = ARN.replace("hospital", name)
        run("access", "use-role", arn, tmp_path / f"{name}.key")
    to = ("--hub", url, "--key", key, "--label", "Somebody")
    vendor = run("vendor", "enrol", tmp_path / "vendor.key.pub", *to, "--model", "tumour")
    assert "vendor of tumour" in vendor
    assert ": auditor" in run("access", "enrol-auditor", tmp_path / "auditor.key.pub", *to)
    assert ": operator" in run("access", "enrol-operator", tmp_path / "ops.key.pub", *to)
    Credential.create(tmp_path / "other.key")
    with pytest.raises(UsageError, match="names no AWS role"):
        run("access", "enrol-operator", tmp_path / "other.key.pub", *to, code=2)
    listed = run("access", "keys", "--hub", url, "--key", key)
    assert [word in listed for word in ("role/vendor", "role/ops", "role/auditor")] == [True] * 3

    revoke = ("access", "revoke-key", grant.site, "--hub", url, "--key", key)
    for answer, said in (("n\n", "the key was not revoked"), ("", "--yes answers beforehand")):
        with pytest.raises(UsageError, match=said):
            run(*revoke, code=2, answer=answer)
    assert grant.site in run("access", "list", "--hub", url, "--key", home / "site.key")
    assert "revoked" in run(*revoke, "--yes")
    with pytest.raises(Exception, match="This key was revoked"):
        run("access", "list", "--hub", url, "--key", home / "site.key", code=1)


def test_what_only_a_key_proves_is_refused_with_the_reason(tmp_path):
    path = tmp_path / "site.key"
    RoleCredential.create(path, ARN)
    with pytest.raises(UsageError, match="an AWS role signs calls only"):
        run("access", "rotate-key", "--hub", ORIGIN, "--key", path, code=2)


@pytest.mark.parametrize(
    "url", ["https://d111111abcdef8.cloudfront.net", "https://hub.example.org"]
)
def test_a_role_signs_for_the_address_of_the_api_only(aws_files, url):
    with pytest.raises(UsageError, match="ApiEndpoint"):
        Client(url, RoleCredential(aws_files.public_key, "ward")).access_requests()


def test_credentials_that_are_missing_are_named_with_the_remedy(aws_files, monkeypatch):
    role = aws_files.public_key
    for profile in ("other", None):
        with pytest.raises(UsageError, match="sign in"):
            Client(ORIGIN, RoleCredential(role, profile)).access_requests()
        with pytest.raises(UsageError, match=r"sign in|ApiEndpoint"):
            Client("http://127.0.0.1:9", RoleCredential(role, profile)).access_requests()
    monkeypatch.setitem(sys.modules, "botocore.auth", None)
    with pytest.raises(UsageError, match=r"\[aws\]\"$"):
        Client(ORIGIN, RoleCredential(role, "ward")).access_requests()


def test_boto3_is_read_only_for_a_role():
    code = (
        "import sys, healthval.client, healthval.site, healthval.cli.access\n"
        "from healthval.client import Client, Credential, RoleCredential\n"
        "Client('https://hub.example', Credential.generate())\n"
        "print([name for name in sys.modules if name.startswith(('boto3', 'botocore'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_role_is_in_no_representation_and_stays_in_its_process(aws_files):

    credential = RoleCredential(aws_files.public_key, "ward")
    assert repr(credential) == f"RoleCredential({credential.id})"
    with pytest.raises(TypeError, match="stays in its process"):
        pickle.dumps(credential)
