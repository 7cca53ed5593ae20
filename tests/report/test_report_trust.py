"""Trust: a report verifies only under a key that the user named, pinned or fetched from the hub."""

import base64
import hashlib
import json
import os
import shutil
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from healthval.cli import cli
from healthval.client import Credential, published_keys
from healthval.contracts.access import PublicKey
from healthval.contracts.base import canonical_json, read_wire
from healthval.contracts.keys import HubKey, HubKeys, fingerprint
from healthval.errors import HubError, IntegrityError, UnknownSigner, UsageError
from healthval.report import seal, sign, with_signer, write
from healthval.report.forms.export import export
from healthval.report.proof.attestation import jwk, key_id
from healthval.report.proof.trust import (
    pin,
    pinned,
    unpin,
    verify_by_hub,
    verify_named,
    verify_pinned,
)

NOW = datetime(2031, 3, 14, 15, 9, 26, tzinfo=UTC)
HUB = "https://hub.example.org"


@pytest.fixture(scope="module")
def platform(tmp_path_factory):
    return Credential.create(tmp_path_factory.mktemp("platform") / "operator.key")


@pytest.fixture(scope="module")
def signed(report, platform, tmp_path_factory):
    folder = tmp_path_factory.mktemp("signed")
    named = with_signer(report, platform.private_key.public_key())
    write(named, folder)
    seal(named, folder, platform.private_key, now=NOW)
    return folder


@pytest.fixture
def folder(signed, tmp_path):
    return shutil.copytree(signed, tmp_path / "report")


@pytest.fixture
def home(tmp_path, monkeypatch):
    """The user's configuration folder."""
    monkeypatch.setattr("healthval.cli.report.trusted_keys", lambda: tmp_path / "config" / "t.json")
    return tmp_path / "config" / "t.json"


def public(platform):
    return platform.folder / "operator.key.pub"


def forge(folder):
    """Change a result, and sign again with a new key, put where the demo keeps its key."""
    numbers = folder / "metrics.json"
    numbers.write_bytes(numbers.read_bytes().replace(b'"outcome"', b'"verdict"'))
    forger = Credential.create(folder / "operator" / "operator.key")
    names = [p.name for p in folder.iterdir() if p.is_file() and p.name != "attestation.dsse.json"]
    digests = {n: hashlib.sha256((folder / n).read_bytes()).hexdigest() for n in names}
    (folder / "attestation.dsse.json").write_bytes(sign(digests, forger.private_key))
    return forger


def attested(platform, predicate):
    """An envelope with any predicate, well signed by the platform."""
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "predicateType": "urn:healthval:validation:v1",
        "predicate": predicate,
        "subject": [{"name": "report.html", "digest": {"sha256": "ab" * 32}}],
    }
    payload, kind = json.dumps(statement).encode(), b"application/vnd.in-toto+json"
    pae = b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)
    signature = base64.b64encode(platform.private_key.sign(pae)).decode()
    envelope = {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": kind.decode(),
        "signatures": [{"keyid": "", "sig": signature}],
    }
    return json.dumps(envelope).encode()


def call(*words):
    given = words if words[0] == "trust" else ("verify", *words)
    return CliRunner().invoke(cli, [str(word) for word in given])


def test_a_forger_with_a_key_beside_the_report_is_an_unknown_signer(folder, platform, home):
    forger = forge(folder)
    for words in ((folder,), (folder / "report.html",), (folder, "--key", public(platform))):
        told = call(*words)
        assert isinstance(told.exception, UnknownSigner)
        assert told.exception.exit_code == 27
        assert "signature valid, signer unknown" in str(told.exception)
        assert fingerprint(forger.public_key) in told.output
    assert call(folder, "--key", forger.folder / "operator.key.pub").exit_code == 0


@pytest.mark.parametrize(
    ("name", "printed"),
    [
        ("report-2.html", "report-2.html"),
        ("r\u0435port.pdf", r"'r\u0435port.pdf'"),
        ("report.html\rverified.PDF", r"'report.html\rverified.PDF'"),
    ],
)
def test_another_page_or_pdf_beside_the_report_is_named_and_refused(
    name, printed, folder, platform
):
    (folder / name).write_bytes((folder / "report.html").read_bytes())
    (folder / "readme.txt").write_text("Not a document of the report.", encoding="utf-8")
    for place in (folder, folder / name):
        told = call(place, "--key", public(platform))
        assert isinstance(told.exception, IntegrityError)
        assert str(told.exception).startswith(f"{printed} is ")
    (folder / name).unlink()
    assert call(folder, "--key", public(platform)).exit_code == 0


def test_a_page_or_pdf_in_a_subfolder_is_named_and_the_exported_figures_are_not(folder, platform):
    files = export((folder / "report.html").read_text(encoding="utf-8"), folder / "export")
    assert {path.suffix for path in files} == {".svg", ".png", ".csv", ".xlsx"}
    assert call(folder, "--key", public(platform)).exit_code == 0
    deeper = folder / "export" / "newer"
    deeper.mkdir()
    for name in ("report.html", "report.pdf"):
        (deeper / name).write_bytes((folder / name).read_bytes())
        told = call(folder / "report.html", "--key", public(platform))
        assert isinstance(told.exception, IntegrityError)
        assert str(told.exception).startswith(f"export/newer/{name} is ")
        (deeper / name).unlink()
    assert call(folder, "--key", public(platform)).exit_code == 0


@pytest.mark.skipif(os.name != "posix", reason="links need a right on Windows")
def test_a_link_that_leads_out_of_the_folder_is_named_and_refused(folder, platform, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    page = folder / "report.html"
    for inside, fine in ((folder / "kept.bin", True), (elsewhere / "report.html", False)):
        page.rename(inside)
        page.symlink_to(inside)
        told = call(folder, "--key", public(platform))
        assert (told.exit_code == 0) == fine
        inside.rename(page)
    assert str(told.exception).startswith("report.html is a link ")
    (folder / "more").symlink_to(elsewhere)
    told = call(folder, "--key", public(platform))
    assert isinstance(told.exception, IntegrityError)
    assert str(told.exception).startswith("more is ")


def test_of_two_payloads_in_one_envelope_neither_is_taken(folder, platform):
    path = folder / "attestation.dsse.json"
    genuine = path.read_bytes()
    for twice in (
        b'{"payload":"e30=",' + genuine[1:],
        genuine.rstrip()[:-1] + b',"payload":"e30="}',
    ):
        path.write_bytes(twice)
        told = call(folder, "--key", public(platform))
        assert "is not a DSSE envelope" in str(told.exception)
        assert told.exit_code != 0


def test_the_answer_names_signer_fingerprint_time_model_plan_and_files(
    folder, platform, home, plan
):
    told = call(folder, "--key", public(platform))
    assert told.exit_code == 0
    for words in (
        "--key",
        hashlib.sha256(platform.private_key.public_key().public_bytes_raw()).hexdigest(),
        "2031-03-14T15:09:26+00:00",
        "node-risk 1.4.2",
        plan.plan_hash,
        "report.html",
        "signature valid, signer trusted",
    ):
        assert words in told.output


def test_report_and_pdf_print_the_fingerprint_of_the_key(folder, platform):
    from pypdf import PdfReader

    mark = fingerprint(platform.public_key)
    assert mark in (folder / "report.html").read_text(encoding="utf-8")
    assert json.loads((folder / "metrics.json").read_bytes())["signer"]["fingerprint"] == mark
    text = "".join(page.extract_text() for page in PdfReader(folder / "report.pdf").pages)
    assert mark in "".join(text.split())


def test_a_report_that_names_another_signer_is_not_sealed(report, platform, folder, tmp_path):
    other = Credential.create(tmp_path / "other.key")
    named = with_signer(report, other.private_key.public_key())
    with pytest.raises(Exception, match="another signer's key"):
        seal(named, folder, platform.private_key)


def test_a_pinned_key_is_trusted_until_it_is_removed(folder, platform, home):
    assert isinstance(call(folder).exception, UnknownSigner)
    added = call("trust", "add", public(platform), "--label", "The platform")
    assert fingerprint(platform.public_key) in added.output
    told = call(folder)
    assert told.exit_code == 0
    assert "The platform (pinned)" in told.output
    assert fingerprint(platform.public_key) in call("trust", "list").output
    assert call("trust", "remove", fingerprint(platform.public_key)[:8]).exit_code == 0
    assert isinstance(call(folder).exception, UnknownSigner)
    assert call("trust", "list").output == ""


def test_a_changed_file_is_named_before_anything_is_said_about_the_signer(folder, home):
    (folder / "report.html").write_bytes(b"changed")
    told = call(folder)
    assert isinstance(told.exception, IntegrityError)
    assert not isinstance(told.exception, UnknownSigner)
    assert str(told.exception).startswith("report.html differs")
    assert told.output == ""


def test_a_changed_file_is_named_also_if_the_attestation_names_another_signer(platform, tmp_path):
    other = jwk(Ed25519PrivateKey.generate().public_key()).model_dump()
    (tmp_path / "attestation.dsse.json").write_bytes(attested(platform, {"signer": other}))
    (tmp_path / "report.html").write_bytes(b"changed")
    with pytest.raises(IntegrityError, match=r"^report\.html differs"):
        verify_named(tmp_path, public(platform))


def test_an_attestation_that_names_the_platforms_key_without_its_signature_is_wrong(
    folder, platform, home
):
    path = folder / "attestation.dsse.json"
    envelope = json.loads(path.read_bytes())
    payload = json.loads(base64.b64decode(envelope["payload"]))
    payload["predicate"]["signed_at"] = "2032-01-01T00:00:00+00:00"
    envelope["payload"] = base64.b64encode(json.dumps(payload).encode()).decode()
    path.write_bytes(json.dumps(envelope).encode())
    for words in ((folder,), (folder, "--key", public(platform))):
        told = call(*words)
        assert not isinstance(told.exception, UnknownSigner)
        assert "not signed by a trusted key" in str(told.exception)


@pytest.mark.parametrize(
    "predicate",
    [
        {"model": "\x1b[2Jnode"},
        {"signed_at": "yesterday"},
        {"signed_at": "2031-03-14T15:09:26"},
        {"plan_hash": "Canary"},
        {"signer": {"kty": "OKP", "crv": "Ed25519", "x": "AA"}},
        {"signer": {"kty": "OKP", "crv": "Ed25519", "x": "*" * 43}},
        [],
    ],
)
def test_facts_of_another_form_are_a_malformed_attestation(predicate, platform, tmp_path):
    (tmp_path / "attestation.dsse.json").write_bytes(attested(platform, predicate))
    with pytest.raises(IntegrityError, match="not a DSSE envelope of a report") as told:
        verify_named(tmp_path, public(platform))
    assert "Canary" not in str(told.value)


def entry(key, **changes):
    values = {
        "kid": fingerprint(key),
        "x": key.x,
        "purpose": "report",
        "valid_from": NOW - timedelta(days=1),
    }
    return HubKey(**{**values, **changes})


def test_a_key_that_the_hub_publishes_is_trusted_also_among_others(folder, platform, tmp_path):
    other = Credential.create(tmp_path / "other.key").public_key
    for keys in ((platform.public_key, other), (other, platform.public_key)):
        found = verify_by_hub(folder, HUB, HubKeys(keys=tuple(map(entry, keys))))
        assert found.trusted_as == f"{HUB} (published key)"
    assert verify_by_hub(folder, HUB, HubKeys(keys=(entry(other),))).trusted_as is None
    assert verify_by_hub(folder, HUB, HubKeys(keys=())).trusted_as is None


def test_a_revoked_key_is_refused_whatever_the_time_of_signing(folder, platform):
    revoked = entry(platform.public_key, revoked=NOW + timedelta(days=9))
    with pytest.raises(IntegrityError, match="revoked"):
        verify_by_hub(folder, HUB, HubKeys(keys=(revoked,)))


@pytest.mark.parametrize(
    ("changes", "trusted"),
    [
        ({"valid_until": NOW + timedelta(seconds=1)}, True),
        ({"valid_until": NOW}, False),
        ({"valid_until": NOW - timedelta(seconds=1)}, False),
        ({"valid_from": NOW}, True),
        ({"valid_from": NOW + timedelta(seconds=1)}, False),
        ({"purpose": "registration"}, False),
    ],
)
def test_a_published_key_signs_reports_within_its_period_only(folder, platform, changes, trusted):
    keys = HubKeys(keys=(entry(platform.public_key, **changes),))
    if trusted:
        assert verify_by_hub(folder, HUB, keys).trusted_as
    else:
        with pytest.raises(IntegrityError, match="not for reports signed at this time"):
            verify_by_hub(folder, HUB, keys)


def test_a_list_of_keys_with_a_wrong_kid_or_a_key_twice_is_refused(platform, tmp_path):
    other = Credential.create(tmp_path / "other.key").public_key
    with pytest.raises(ValueError, match="fingerprint"):
        entry(other, kid=fingerprint(platform.public_key))
    with pytest.raises(ValueError, match="twice"):
        HubKeys(keys=(entry(other), entry(other)))


@pytest.fixture
def hub():
    """A web server on loopback that publishes `served['body']`."""
    served = {"status": 200, "body": b"{}", "asked": []}

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            served["asked"].append(self.path)
            self.send_response(served["status"])
            self.send_header("Location", "https://example.org/keys.json")
            self.end_headers()
            self.wfile.write(served["body"])

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", served
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_keys_are_read_from_the_hubs_well_known_address(hub, folder, platform, home):
    url, served = hub
    keys = HubKeys(keys=(entry(platform.public_key),))
    served["body"] = canonical_json(keys.model_dump(mode="json"))
    told = call(folder, "--hub", url)
    assert told.exit_code == 0
    assert served["asked"] == ["/.well-known/healthval-keys.json"]
    assert read_wire(HubKeys, served["body"]) == keys


@pytest.mark.parametrize(
    ("status", "body"), [(302, b""), (404, b""), (200, b"Canary"), (200, b'{"keys":[{}]}')]
)
def test_a_hub_without_a_list_of_keys_is_an_error(hub, status, body):
    url, served = hub
    served.update(status=status, body=body)
    with pytest.raises(HubError) as told:
        published_keys(url)
    assert "Canary" not in str(told.value)


@pytest.mark.parametrize("url", ["http://hub.example.org", "ftp://127.0.0.1", "hub", HUB + "/keys"])
def test_keys_come_by_tls_or_loopback_only(url):
    with pytest.raises(UsageError, match="hub's address"):
        published_keys(url)


def test_a_key_and_a_hub_are_not_named_together(folder, platform, home):
    told = call(folder, "--key", public(platform), "--hub", HUB)
    assert isinstance(told.exception, UsageError)


@pytest.mark.parametrize("content", [b"", b"{}", b"-----BEGIN PRIVATE KEY-----", b'{"x":"Canary"}'])
def test_a_file_that_is_no_public_key_is_refused_and_not_quoted(content, folder, home, tmp_path):
    (tmp_path / "key.pub").write_bytes(content)
    for words in ((folder, "--key", tmp_path / "key.pub"), ("trust", "add", tmp_path / "key.pub")):
        told = call(*words)
        assert isinstance(told.exception, UsageError)
        assert "Canary" not in str(told.exception)
    assert not home.exists()


def test_a_list_of_trusted_keys_that_others_can_write_is_refused(platform, folder, home):
    pin(home, platform.public_key, "Platform")
    assert home.stat().st_mode & 0o777 == 0o600
    home.chmod(0o620)
    with pytest.raises(UsageError, match="others can write"):
        verify_pinned(folder, home)
    home.chmod(0o600)
    home.write_bytes(b'{"keys": "Canary"}')
    with pytest.raises(UsageError, match="malformed") as told:
        verify_pinned(folder, home)
    assert "Canary" not in str(told.value)


def test_a_label_is_for_one_key_and_without_control_characters(platform, home, tmp_path):
    other = Credential.create(tmp_path / "other.key").public_key
    pin(home, platform.public_key, "Platform")
    assert pin(home, platform.public_key, "Again").label == "Platform"
    for label, words in (("Platform", "another key"), ("a\x1b[2J", "not usable")):
        with pytest.raises(UsageError, match=words):
            pin(home, other, label)
    assert [key.label for key in pinned(home)] == ["Platform"]


KEYS = [
    PublicKey(x=base64.urlsafe_b64encode(bytes([i]) * 32).decode().rstrip("=")) for i in range(4)
]


class Pins(RuleBasedStateMachine):
    """Pinning and removing in any order keeps exactly the keys that were added and not removed."""

    def __init__(self):
        super().__init__()
        import tempfile
        from pathlib import Path

        self.store, self.model = Path(tempfile.mkdtemp()) / "trusted.json", {}

    @rule(i=st.sampled_from(range(4)))
    def add(self, i):
        pin(self.store, KEYS[i], f"key {i}", now=NOW)
        self.model[f"key {i}"] = KEYS[i]

    @rule(i=st.sampled_from(range(4)), by_label=st.booleans())
    def remove(self, i, by_label):
        which = f"key {i}" if by_label else fingerprint(KEYS[i])[:12]
        if f"key {i}" in self.model:
            unpin(self.store, which)
            del self.model[f"key {i}"]
        else:
            with pytest.raises(UsageError, match="0 pinned keys have"):
                unpin(self.store, which)

    @invariant()
    def the_store_holds_what_was_added(self):
        assert {key.label: key.public_key for key in pinned(self.store)} == self.model


TestPins = Pins.TestCase
TestPins.settings = settings(max_examples=20, stateful_step_count=8, deadline=None)


@settings(deadline=None, max_examples=50)
@given(st.binary(min_size=32, max_size=32))
def test_the_key_id_is_the_hash_of_the_canonical_description_of_the_key(raw):
    key = Ed25519PrivateKey.from_private_bytes(raw).public_key()
    text = '{"keytype":"ed25519","keyval":{"public":"%s"},"scheme":"ed25519"}'
    expected = hashlib.sha256((text % key.public_bytes_raw().hex()).encode()).hexdigest()
    assert key_id(key) == expected != fingerprint(jwk(key))


def test_securesystemslib_verifies_the_envelope_under_its_own_key_id(signed, platform):
    dsse = pytest.importorskip("securesystemslib.dsse")
    signer = pytest.importorskip("securesystemslib.signer")
    key = signer.SSlibKey.from_crypto(platform.private_key.public_key())
    envelope = dsse.Envelope.from_dict(json.loads((signed / "attestation.dsse.json").read_bytes()))
    assert key.keyid in envelope.verify([key], threshold=1)
