"""Forged, replayed, oversized and malformed requests are refused without a quotation."""

import base64
import json
import secrets
import time

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from healthval.client import Client, Credential, wire_bytes
from healthval.contracts.access import AccessDecision, request_claims
from healthval.contracts.model import InputContract, InputField
from healthval.errors import AccessDenied, HubError

# Recognising callers is the same code over every store; the path runs over both.
pytestmark = pytest.mark.parametrize("hub", ["embedded"], indirect=True, scope="session")

CANARY = "Zebulon-Quartermaine-1931"


@pytest.fixture(scope="module")
def site(kit, hub, operator, model, tmp_path_factory):
    """One approved site for all attacks; each signs anew."""
    key = Credential.create(tmp_path_factory.mktemp("site") / "site.key")
    with Client(hub.url, key) as client:
        kit.approve(operator, client)
        yield client


@pytest.fixture(scope="module")
def http(hub):
    with httpx.Client(base_url=hub.url, timeout=300) as client:
        yield client


def token(client: Client, method="GET", target="/v1/models", body=b"", **changes) -> str:
    credential = client.credential
    now = int(time.time())
    claims = {
        "iss": credential.id,
        "sub": credential.id,
        "aud": client.transport.origin,
        "iat": now,
        "exp": now + 60,
        "jti": secrets.token_urlsafe(24),
        **request_claims(method, target, body),
        **changes,
    }
    claims = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(claims, credential.private_key, algorithm="EdDSA")


def get(http, word, target="/v1/models"):
    return http.get(target, headers={"Authorization": f"Bearer {word}"})


def test_a_well_made_token_is_admitted_once(http, site):
    word = token(site)
    assert get(http, word).status_code == 200
    again = get(http, word)
    assert again.status_code == 401
    assert "used before" in again.json()["title"]


NOW = int(time.time())


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "http://127.0.0.1:1"},
        {"aud": None},
        {"iss": "site-zzzzzzzz"},
        {"iss": "' OR 1=1"},
        {"sub": "site-zzzzzzzz"},
        {"sub": None},
        {"jti": None},
        {"jti": "short"},
        {"jti": 7},
        {"jti": "x" * 65},
        {"htm": "POST"},
        {"htm": None},
        {"htu": "/v1/reports"},
        {"htu": "/v1/models?all=1"},
        {"body_sha256": "0" * 64},
        {"body_sha256": None},
        {"iat": "now"},
        {"exp": None},
        {"iat": None},
        {"exp": 1e999},
        {"exp": True},
    ],
    ids=lambda changes: "-".join(f"{k}:{v}"[:24] for k, v in changes.items()),
)
def test_a_token_about_something_else_is_not_admitted(http, site, changes):
    assert get(http, token(site, **changes)).status_code == 401


@pytest.mark.parametrize(
    ("issued", "lasts", "admitted"),
    [
        (0, 299, True),
        (0, 300, True),
        (0, 301, False),
        (0, 0, False),
        (0, -5, False),
        (-90, 40, True),  # ended 50 s ago: within the skew of clocks
        (-130, 60, False),  # ended 70 s ago
        (50, 60, True),  # from 50 s ahead
        (70, 60, False),
    ],
)
def test_a_token_lives_five_minutes_give_or_take_a_minute_of_skew(
    http, site, issued, lasts, admitted
):
    now = int(time.time())
    word = token(site, iat=now + issued, exp=now + issued + lasts)
    assert (get(http, word).status_code == 200) is admitted


def test_forged_signatures_are_not_admitted(http, site, operator):
    claims = jwt.decode(token(site), options={"verify_signature": False})
    raw = base64.urlsafe_b64decode(site.credential.public_key.x + "=")
    other = Ed25519PrivateKey.generate()
    head, body, signature = token(site).split(".")
    as_operator = {**claims, "iss": operator.site, "sub": operator.site}
    forged = [
        "x",
        "a.b.c",
        f"{head}.{body}.",
        f"{head}.{body}.{signature[:-4]}AAAA",
        jwt.encode(claims, None, algorithm="none"),
        jwt.encode(claims, raw, algorithm="HS256"),
        jwt.encode(claims, other, algorithm="EdDSA"),
        jwt.encode(as_operator, site.credential.private_key, algorithm="EdDSA"),
    ]
    for word in forged:
        response = get(http, word)
        assert response.status_code == 401, word
        assert response.headers["content-type"] == "application/problem+json"
    assert http.get("/v1/models").status_code == 401


def test_an_unknown_caller_and_a_forger_get_the_same_response(http, hub, tmp_path, site):
    stranger = Client(hub.url, Credential.create(tmp_path / "stranger.key"))
    unknown = get(http, token(stranger))
    wrong = get(http, token(site, sub=stranger.site))
    assert unknown.json() == wrong.json()


OPERATORS = ("/v1/audit", "/v1/submissions?model=tumour&version=1.0&plan_hash=" + "a" * 64)


@pytest.mark.parametrize("path", OPERATORS)
def test_a_site_cannot_do_the_operators_work(http, site, path):
    assert get(http, token(site, target=path), path).status_code == 403


def test_a_site_cannot_decide_on_its_own_access(kit, new_site, operator, model):
    site = new_site()
    grant = site.request_access(label="Me", **kit.SUBJECT)
    with pytest.raises(AccessDenied, match="site's key cannot use this address"):
        site.transport.send(
            "POST",
            f"/v1/access-requests/{grant.site}/tumour/1.0/{kit.PLAN}/decision",
            b'{"status":"approved"}',
        )


def test_the_operators_key_cannot_ask_for_access(kit, operator, model):
    with pytest.raises(AccessDenied, match="operator's key cannot request"):
        operator.request_access(label="Me", **kit.SUBJECT)


def test_an_access_request_signed_by_another_key_than_it_carries_is_refused(kit, new_site, model):
    one, other = new_site(), new_site()
    grant = {"public_key": other.credential.public_key.model_dump(), "label": "x", **kit.SUBJECT}
    with pytest.raises(AccessDenied, match="not signed by a key"):
        one.transport.send("POST", "/v1/access-requests", json.dumps(grant).encode())


def test_a_site_reads_no_other_sites_predictions(kit, site, new_site, operator):
    answer = site.predict(kit.batch(1.0))
    other = new_site()
    kit.approve(operator, other)
    with pytest.raises(Exception, match="no such prediction"):
        other.transport.send("GET", f"/v1/predictions/{answer.id}")


def post(http, site, body, target="/v1/predictions", **headers):
    word = token(site, "POST", target, body)
    return http.post(target, content=body, headers={"Authorization": f"Bearer {word}", **headers})


@pytest.mark.parametrize(
    ("target", "limit"), [("/v1/predictions", 3 * 1024**2), ("/v1/submissions", 1024**2)]
)
def test_a_body_has_a_limit_with_or_without_a_declared_length(http, site, target, limit):
    for size, status in ((limit - 1, 422), (limit, 422), (limit + 1, 413)):
        body = b" " * size
        assert post(http, site, body, target).status_code == status
    body = b" " * (limit + 1)
    word = token(site, "POST", target, body)
    pieces = (body[i : i + 65536] for i in range(0, len(body), 65536))
    response = http.post(target, content=pieces, headers={"Authorization": f"Bearer {word}"})
    assert response.status_code == 413


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b"[" * 100_000, b'{"a":' * 50_000, b"NaN"],
    ids=["empty", "open", "list", "null", "text", "no UTF-8", "deep", "deep object", "NaN"],
)
def test_malformed_json_is_a_misfit_not_a_failure(http, site, body):
    for target in ("/v1/predictions", "/v1/submissions", "/v1/access-requests", "/v1/uploads"):
        response = post(http, site, body, target)
        assert response.status_code == 422, target
        assert response.headers["content-type"] == "application/problem+json"


def test_every_refusal_is_problem_details(http):
    for method, path, status in (
        ("GET", "/nowhere", 404),
        ("GET", f"/v1/{CANARY}", 404),
        ("DELETE", "/v1/models", 405),
        ("TRACE", "/v1/models", 405),
        ("GET", f"/v1/models/{CANARY}/1.0", 401),
        ("PUT", f"/v1/uploads/{CANARY}?terms={CANARY}&signature=x", 422),
        ("PUT", f"/v1/uploads/upload-{'0' * 32}?terms={CANARY}&signature={'é' * 8}", 403),
    ):
        response = http.request(method, path)
        assert response.status_code == status, path
        assert response.headers["content-type"] == "application/problem+json"
        assert set(response.json()) == {"type", "title", "status", "detail", "retryable"}
        assert CANARY not in response.text


def spoiled(kit) -> list[bytes]:
    """Bad batches that each hold the canary in another place."""
    good = json.loads(wire_bytes(kit.batch(1.0, 2.0)))
    instances = good["instances"]
    return [
        json.dumps(bad).encode()
        for bad in (
            good | {CANARY: 1},
            good | {"model": CANARY},
            good | {"plan_hash": CANARY},
            good | {"cases": [CANARY, CANARY]},
            good | {"instances": CANARY},
            good | {"instances": instances | {"kind": CANARY}},
            good | {"instances": instances | {CANARY: 1}},
            good | {"instances": instances | {"columns": [CANARY]}},
            good | {"instances": instances | {"columns": ["Zebulon.1931"]}},
            good | {"instances": instances | {"rows": [["Zebulon.1931"], [2.0]]}},
            good | {"instances": instances | {"rows": [[CANARY], [2.0]]}},
            good | {"instances": instances | {"rows": [[1.0, "Zebulon.1931"], [2.0]]}},
            good | {"cases": good["cases"][:1]},
        )
    ]


def test_a_patients_name_in_a_bad_request_is_in_no_answer_log_or_file(kit, http, hub, site):
    bodies = [*spoiled(kit), f'{{"model": "{CANARY}'.encode(), CANARY.encode()]
    for body in bodies:
        for target in ("/v1/predictions", "/v1/submissions", "/v1/uploads"):
            response = post(http, site, body, target)
            assert response.status_code == 422
            assert "Zebulon" not in response.text + str(response.headers)
    for target in (f"/v1/models/{CANARY}/1.0", f"/v1/predictions/{CANARY}", f"/v1/x?{CANARY}=1"):
        response = get(http, token(site, target=target), target)
        assert response.status_code in {404, 422}
        assert "Zebulon" not in response.text
    headers = {"Authorization": f"Bearer {CANARY}", "Idempotency-Key": CANARY, "X-Name": CANARY}
    assert "Zebulon" not in http.get("/v1/models", headers=headers).text
    kept = [path for path in hub.data.parent.rglob("*") if path.is_file()]
    assert hub.data / "index.sqlite" in kept
    assert [path for path in kept if b"Zebulon" in path.read_bytes()] == []


def test_the_bad_row_is_named_by_field_count_and_position(kit, site):
    with pytest.raises(Exception, match=r"'size'.*2 of 3 values are not a number .first at row 1"):
        site.predict(kit.batch(1.0, "low", "high"))


def test_each_answer_has_an_id_of_its_own_and_the_log_has_that_of_a_refusal(hub, http):
    refused = [http.get(f"/v1/access?cursor={CANARY}") for _ in range(2)]
    first, second = (answer.headers["x-request-id"] for answer in refused)
    assert first != second
    log = (hub.data.parent / "hub.log").read_text(encoding="utf-8")
    (line,) = [line for line in log.splitlines() if first in line]
    assert line.endswith(f"GET, status {refused[0].status_code}")
    assert CANARY not in log


def test_failures_inside_the_hub_have_no_details(hub, caplog):
    import asyncio

    from healthval.hub.api.middleware import HubMiddleware

    async def broken(scope, receive, send):
        raise RuntimeError(CANARY)

    async def receive():
        return {"type": "http.request", "body": b""}

    sent = []

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "path": "/", "headers": [], "method": "GET"}
    asyncio.run(HubMiddleware(broken)(scope, receive, send))
    assert sent[0]["status"] == 500
    assert CANARY not in str(sent) + caplog.text
    assert "RuntimeError" in caplog.text


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/v1/models", "GET, POST"),
        ("PUT", "/v1/predictions", "POST"),
        ("PATCH", "/v1/health", "GET"),
    ],
)
def test_a_method_that_is_not_allowed_names_those_that_are(hub, method, path, allowed):
    answer = httpx.request(method, hub.url + path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)


def test_a_registration_that_the_index_cannot_store_is_refused(kit, operator, artefact):
    levels = tuple(f"level_{i:02d}" + "x" * 20 for i in range(64))
    fields = tuple(InputField(name=f"f{i}", kind="category", levels=levels) for i in range(512))
    registration = kit.registration_of(artefact, "wide")
    wide = registration.model_copy(update={"inputs": InputContract(fields=fields)})
    with pytest.raises(HubError, match="too large"):
        operator.register_model(wide, artefact)


def test_a_revoked_site_and_a_stranger_read_no_answer_and_no_card(kit, operator, model, new_site):
    site = new_site()
    kit.approve(operator, site)
    assert site.model("tumour", "1.0") == model
    answer = site.predict(kit.batch(1.0))
    (grant,) = site.access_requests()
    operator.decide_access(grant, AccessDecision(status="revoked"))
    for path in (f"/v1/predictions/{answer.id}", "/v1/models/tumour/1.0"):
        with pytest.raises(AccessDenied):
            site.transport.send("GET", path)
    listed = json.loads(site.transport.send("GET", "/v1/models"))
    assert listed["models"] == []
    assert {"name": "tumour", "version": "1.0"} in listed["others"]


def test_an_idempotency_key_of_an_access_request_stands_for_one_request(kit, hub, model, new_site):
    site = new_site()
    key = {"Idempotency-Key": "k" * 32}
    about = {"public_key": site.credential.public_key.model_dump(), "label": "Hospital"}
    first, second = (
        json.dumps(about | kit.SUBJECT | {"plan_hash": letter * 64}).encode() for letter in "ab"
    )
    for _ in range(2):
        site.transport.send("POST", "/v1/access-requests", first, headers=key)
    with pytest.raises(HubError, match="used before with another request"):
        site.transport.send("POST", "/v1/access-requests", second, headers=key)
