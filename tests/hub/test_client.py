"""The client: keys, repeated requests, and errors that quote no value."""

import copy
import json
import os
import pickle
import stat

import httpx
import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthval import client_transport
from healthval.client import Client, Credential
from healthval.client_transport import ATTEMPTS, LONGEST_WAIT_SECONDS
from healthval.contracts.prediction import PredictionRequest, TableInstances
from healthval.errors import (
    AccessDenied,
    HubError,
    HubUnavailable,
    IntegrityError,
    PredictionError,
    SubmissionError,
    UsageError,
)

CANARY = "Zebulon-Quartermaine-1931"
URL = "https://hub.example.org"
HEALTH = b'{"models": []}'


@pytest.fixture(scope="module")
def credential(tmp_path_factory):
    return Credential.create(tmp_path_factory.mktemp("key") / "site.key")


@pytest.fixture
def waits(monkeypatch):
    slept = []
    monkeypatch.setattr(client_transport.time, "sleep", slept.append)
    return slept


def client(credential, *answers):
    """Make a client whose hub gives these answers, the last one for ever; and what it was sent."""
    sent = []

    def answer(request):
        given = answers[min(len(sent), len(answers) - 1)]
        sent.append(request)
        if isinstance(given, type):
            raise given(CANARY)
        return given() if callable(given) else httpx.Response(*given[:1], **given[1])

    return Client(URL, credential, transport=httpx.MockTransport(answer)), sent


def status(code, **headers):
    return code, {"headers": headers, "content": b"{}"}


GOOD = (200, {"content": HEALTH})


@pytest.mark.parametrize(
    "trouble",
    [
        *map(status, (429, 502, 503, 504)),
        *(httpx.ConnectError, httpx.ReadError, httpx.ConnectTimeout, httpx.RemoteProtocolError),
        *(httpx.ReadTimeout, httpx.WriteTimeout),
    ],
)
def test_what_may_pass_is_tried_again_with_a_fresh_token(credential, waits, trouble):
    hub, sent = client(credential, trouble, trouble, GOOD)
    assert hub.models() == ()
    tokens = [request.headers["authorization"].split()[1] for request in sent]
    ids = {jwt.decode(t, options={"verify_signature": False})["jti"] for t in tokens}
    assert len(ids) == 3
    assert len(waits) == 2


@pytest.mark.parametrize("code", [400, 401, 403, 404, 409, 413, 422, 500, 501])
def test_what_will_not_pass_is_not_tried_again(credential, waits, code):
    hub, sent = client(credential, status(code))
    expected = AccessDenied if code in {401, 403} else HubError
    with pytest.raises(expected):
        hub.models()
    assert (len(sent), waits) == (1, [])


def test_trying_ends(credential, waits):
    hub, sent = client(credential, httpx.ConnectError)
    with pytest.raises(HubUnavailable, match="no response from") as gone:
        hub.models()
    assert len(sent) == ATTEMPTS
    assert CANARY not in str(gone.value)
    hub, _ = client(credential, status(503))
    with pytest.raises(HubUnavailable, match="still unavailable after 6 attempts"):
        hub.models()


TEXTS = st.text(st.characters(codec="ascii", exclude_characters="\r\n\0"), max_size=5)


@given(st.integers(0, 20), st.none() | TEXTS | st.integers(0, 100).map(str))
def test_waits_are_bounded_whatever_the_hub_asks(attempt, asked):
    headers = {} if asked is None else {"Retry-After": asked}
    assert (
        0
        <= client_transport._wait_seconds(attempt, httpx.Response(503, headers=headers))
        <= LONGEST_WAIT_SECONDS
    )


def test_the_hub_may_ask_for_a_longer_wait(credential, waits):
    hub, _ = client(credential, status(503, **{"Retry-After": "3"}), GOOD)
    hub.models()
    assert waits[0] >= 3


@pytest.mark.parametrize(
    "content",
    [
        CANARY.encode(),
        json.dumps({"models": CANARY}).encode(),
        json.dumps({"models": [], CANARY: 1}).encode(),
    ],
)
def test_an_answer_that_is_none_is_not_quoted(credential, content):
    hub, _ = client(credential, (200, {"content": content}))
    with pytest.raises(HubError, match="does not match its contract") as bad:
        hub.models()
    assert CANARY not in str(bad.value)
    assert bad.value.__cause__ is None
    assert bad.value.__suppress_context__


def batch():
    return PredictionRequest(
        model="model",
        version="1",
        plan_hash="a" * 64,
        cases=("case-" + "0" * 16,),
        instances=TableInstances(columns=("x",), rows=((1.0,),)),
    )


ID = "prediction-" + "0" * 32


def told(state, *cases):
    answer = {"id": ID, "status": state, "predictions": [{"case": case} for case in cases]}
    return 200, {"content": json.dumps(answer).encode()}


def test_an_answer_is_polled_for_until_it_is_there(credential, waits):
    hub, sent = client(
        credential, told("pending"), told("pending"), told("done", "case-" + "0" * 16)
    )
    assert hub.predict(batch()).status == "done"
    assert [r.url.path for r in sent] == ["/v1/predictions", *[f"/v1/predictions/{ID}"] * 2]


def test_an_answer_that_fails_or_never_comes_or_is_about_others_is_an_error(credential, waits):
    for answer, why in (
        (told("failed"), "the model failed on a batch of 1 case;"),
        (told("done"), "other cases"),
        (told("done", "case-" + "1" * 16), "other cases"),
    ):
        hub, _ = client(credential, answer)
        with pytest.raises(PredictionError, match=why):
            hub.predict(batch())
    hub, _ = client(credential, told("pending"))
    with pytest.raises(PredictionError, match="no answer within 0 s"):
        hub.predict(batch(), seconds=0)


def test_the_same_batch_asked_twice_is_two_batches_and_one_when_retried(credential, waits):
    answer = told("done", "case-" + "0" * 16)
    hub, sent = client(credential, status(503), answer)
    hub.predict(batch())
    hub.predict(batch())
    keys = [request.headers["idempotency-key"] for request in sent]
    assert keys[0] == keys[1] != keys[2]


def test_a_receipt_for_other_bytes_is_an_error(credential):
    receipt = {"site": credential.id, "submission_sha256": "0" * 64, "active": "0" * 64}
    hub, _ = client(credential, (201, {"content": json.dumps(receipt).encode()}))
    with pytest.raises(IntegrityError, match="other bytes"):
        hub.submit(b"{}")


def test_a_declined_submission_has_the_hubs_reason(credential):
    words = {"title": "The submission discloses too much", "status": 422, "detail": "n_events"}
    hub, _ = client(credential, (422, {"content": json.dumps(words).encode()}))
    with pytest.raises(SubmissionError, match="discloses too much; n_events"):
        hub.submit(b"{}")


UNSAFE = """
http://hub.hospital.test http://10.0.0.1 http://127.0.0.1.hospital.test ftp://127.0.0.1
hub.hospital.test https://hub.hospital.test/v1 https://u:p@hub.hospital.test https://:443
https://hub.hospital.test?x=1 http://[::1
"""


@pytest.mark.parametrize("url", ["", "https://hub\n.org", *UNSAFE.split()])
def test_an_address_that_is_no_safe_origin_is_refused_and_not_quoted(credential, url):
    with pytest.raises(UsageError) as refused:
        Client(url, credential)
    assert not url or url not in str(refused.value)


SAFE = "https://hub.example.org/ http://127.0.0.1:80 http://[::1]:1 http://localhost:9"


@pytest.mark.parametrize("url", SAFE.split())
def test_https_and_loopback_are_origins(credential, url):
    Client(url, credential).close()


def test_only_its_owner_can_read_a_key_and_it_is_never_overwritten(tmp_path):
    path = tmp_path / "deep" / "site.key"
    made = Credential.create(path)
    if os.name == "posix":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Credential.load(path).id == Credential.load(str(path)).id == made.id
    assert b"PRIVATE" not in path.with_name("site.key.pub").read_bytes()
    before = path.read_bytes()
    with pytest.raises(UsageError, match="a key exists"):
        Credential.create(path)
    assert path.read_bytes() == before


@pytest.mark.skipif(os.name != "posix", reason="the system has no such permissions")
def test_a_key_that_others_can_read_is_refused(tmp_path):
    path = tmp_path / "site.key"
    Credential.create(path)
    for mode, opens in ((0o600, True), (0o400, True), (0o640, False), (0o604, False)):
        path.chmod(mode)
        if opens:
            Credential.load(path)
        else:
            with pytest.raises(UsageError, match="chmod 600"):
                Credential.load(path)


BROKEN_PEM = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"


@pytest.mark.parametrize("content", ["", CANARY, BROKEN_PEM])
def test_a_file_that_is_no_key_is_refused(tmp_path, content):
    path = tmp_path / "site.key"
    path.write_text(content, encoding="utf-8")
    path.chmod(0o600)
    with pytest.raises(UsageError, match="no Ed25519 private key"):
        Credential.load(path)
    with pytest.raises(UsageError, match="no key at this path"):
        Credential.load(tmp_path / "none")


def test_the_repr_of_a_credential_is_its_name_and_it_cannot_be_pickled(credential):
    hub = Client(URL, credential)
    assert repr(credential) == f"Credential({credential.id})"
    assert repr(hub) == f"Client({URL}, Credential({credential.id}))"
    for call in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="stays in its process"):
            call(credential)
    hub.close()


def ticket(url, headers):
    given = {"id": "upload-" + "b" * 32, "url": url, "headers": headers}
    text = json.dumps(given | {"not_after": "2030-01-01T00:00:00Z"})
    return 200, {"content": text.encode()}


def upload(hub):
    return hub.upload(b"DICM", model="ward-risk", version="1.0", plan_hash="a" * 64)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8080/admin/shutdown",
        "https://intranet/v1/put",
        "//intranet/v1/put",
        "https://hub.example.org.evil.example/v1/put",
        "https://user:word@hub.example.org/v1/put",
        "https://bucket.s3.eu-central-1.amazonaws.com.evil.example/key",
        "http://bucket.s3.eu-central-1.amazonaws.com/key",
        "ftp://hub.example.org/v1/put",
    ],
)
def test_a_ticket_for_a_foreign_address_is_refused_and_nothing_is_sent(credential, url):
    hub, sent = client(credential, ticket(url, {}), GOOD)
    with pytest.raises(HubError, match="neither its own nor declared"):
        upload(hub)
    assert [request.method for request in sent] == ["POST"]


@pytest.mark.parametrize(
    "url",
    [
        "/v1/uploads/x",
        URL + "/v1/uploads/x",
        "https://bucket.s3.eu-central-1.amazonaws.com/key?X-Amz-Signature=0",
        "https://store.example.org/key",
    ],
)
def test_a_ticket_for_the_hub_or_declared_storage_is_used(credential, url):
    hub, sent = client(credential, ticket(url, {"x-amz-checksum-sha256": "0"}), GOOD)
    hub.storage = ("https://store.example.org",)
    assert upload(hub) == "upload-" + "b" * 32
    assert [request.method for request in sent] == ["POST", "PUT"]
    assert "authorization" not in sent[1].headers


@pytest.mark.parametrize("name", ["authorization", "host", "cookie", "x-admin", "content-length"])
def test_a_ticket_chooses_no_foreign_header(credential, name):
    hub, sent = client(credential, ticket("/v1/uploads/x", {name: "0"}), GOOD)
    with pytest.raises(HubError, match="1 header that an upload does not need"):
        upload(hub)
    assert len(sent) == 1


def test_a_record_of_another_model_is_an_error(credential):
    card = {"name": "other", "version": "1.0", "title": "Ward Risk", "developer": "Invented Ltd"}
    card |= {"intended_use": "Invented.", "target_condition": "sepsis"}
    inputs = {"kind": "table", "fields": [{"name": "lactate"}]}
    found = {"card": card, "inputs": inputs, "artefact_sha256": "c" * 64}
    text = json.dumps({"registration": found, "digest": "d" * 64, "status": "serving"})
    hub, _ = client(credential, (200, {"content": text.encode()}))
    assert hub.model("other", "1.0").registration.card.name == "other"
    for asked in (("ward-risk", "1.0"), ("other", "2.0")):
        with pytest.raises(IntegrityError, match="another model"):
            hub.model(*asked)


def test_an_answer_that_is_too_large_compressed_or_slow_is_cut_off(credential, monkeypatch):
    monkeypatch.setattr(client_transport, "LARGEST_ANSWER_BYTES", 1 << 20)
    hub, _ = client(credential, (200, {"content": b" " * ((1 << 20) + 1)}))
    with pytest.raises(HubError, match="more than 1 MB"):
        hub.models()
    hub, _ = client(credential, (200, {"headers": {"Content-Encoding": "gzip"}, "content": b""}))
    with pytest.raises(HubError, match="compressed"):
        hub.models()
    monkeypatch.setattr(client_transport, "LONGEST_ANSWER_SECONDS", -1.0)
    hub, _ = client(credential, GOOD)
    with pytest.raises(HubError, match="took more than"):
        hub.models()
