"""Calls that IAM roles sign: the real adapter of Lambda behind a stand-in for API Gateway, and attacks."""

import asyncio
import base64
import json
import secrets
import string
import time
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from api_gateway import ACCOUNT, ORIGIN, ApiGateway, Role, event_loop
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from mangum import Mangum

from healthval.client import Client, Credential, wire_bytes
from healthval.contracts.access import (
    AccessDecision,
    AccessRequest,
    AuditorKey,
    KeyRotation,
    OperatorRole,
    VendorKey,
    rotation_bytes,
)
from healthval.contracts.aws_role import AwsRole, named_role, session_role
from healthval.credential import own_key
from healthval.errors import AccessDenied, HubError, UsageError
from healthval.hub.app import Settings, create_app
from healthval.hub.aws_roles import role_session
from healthval.hub.backends.lambda_api import RawPath, _http
from healthval.hub.backends.memory import MemoryIndex, MemoryObjects, NoModels
from healthval.hub.ports import Backend, Refusal

PLAN = "a" * 64
SUBJECT = {"model": "tumour", "version": "1.0", "plan_hash": PLAN}


class Scores(NoModels):
    def start(self, model): ...

    def invoke(self, model, body):
        return json.dumps({"scores": [0.5] * len(json.loads(body)["rows"])}).encode()


class RolesHub:
    """A hub in memory behind Lambda's adapter; the operator signs with a key."""

    def __init__(self, kit, artefact):
        self.boss, self.events = Credential.generate(), []
        self.backend = Backend(MemoryObjects(), MemoryIndex(time.time), Scores(), time.time)
        settings = Settings(
            operator=self.boss.public_key,
            audiences=(ORIGIN,),
            upload_secret=b"s" * 32,
            signer=Ed25519PrivateKey.generate(),
        )
        self.app = create_app(self.backend, settings)
        with event_loop():
            inner = _http(Mangum(RawPath(self.app), lifespan="off"))

        def handler(event, context):
            self.events.append(event)
            return inner(event, context)

        self.gateway = ApiGateway(handler)
        self.operator = self.client(self.boss)
        self.operator.register_model(kit.registration_of(artefact), artefact)
        self.digest = self.operator.start_model("tumour", "1.0").digest

    def client(self, credential):
        if isinstance(credential, Role):
            self.gateway.knows(credential)
        return Client(ORIGIN, credential, transport=self.gateway)

    def site(self, name="hospital"):
        """A site whose access is requested by its role, and approved."""
        client = self.client(Role(name))
        client.request_access(label=f"Hospital {name}", **SUBJECT)
        self.decide(client, "approved")
        return client

    def decide(self, client, status):
        grant = client.access_status(**SUBJECT)
        return self.operator.decide_access(grant, AccessDecision(status=status))

    def raw(self, role, method, target, signed_body=b"", *, headers=None, **changes):
        """Sign a request, change parts of it, and send it."""
        address, signed = role.authorize(method, ORIGIN, target, signed_body, headers={})
        path, _, query = address.partition("?")
        sent = {"path": path, "query": query, "headers": signed | (headers or {})}
        sent["body"] = signed_body
        return self.gateway.answer(method, **{**sent, **changes})


@pytest.fixture(scope="module")
def hub(kit, artefact):
    made = RolesHub(kit, artefact)
    yield made
    made.app.state.predictions.close()


@pytest.fixture(scope="module")
def site(hub):
    return hub.site()


def asked(role_or_key, **more):
    return wire_bytes(AccessRequest(public_key=role_or_key, label="Hospital", **SUBJECT, **more))


def known(client):
    return client.keys()


def test_a_site_with_a_role_does_what_a_site_with_a_key_does(kit, hub, site):
    answer = site.predict(kit.batch(2.0, 3.0))
    assert [p.score for p in answer.predictions] == [0.5, 0.5]
    receipt = site.submit(kit.payload(hub.digest), ledger_head="d" * 64)
    assert receipt.state == "counted"
    assert receipt.ledger is not None
    (grant,) = site.access_requests()
    assert grant.aws_role == f"arn:aws:iam::{ACCOUNT}:role/hospital"
    assert (grant.state, grant.used_cases, grant.stamp is None) == ("active", 2, False)
    assert grant in hub.operator.access_requests()
    (listed,) = [key for key in known(hub.operator) if key.name == site.site]
    assert (listed.role, listed.state, listed.aws_role) == ("site", "valid", grant.aws_role)
    actors = {(entry.actor, entry.action) for entry in hub.operator.audit()[0]}
    assert {(site.site, "access.requested"), (site.site, "role.bound")} <= actors


def test_the_hub_keeps_neither_session_name_nor_access_key(hub):
    role = Role("named", session="jane.doe@hospital.example")
    hub.client(role).request_access(label="Hospital named", **SUBJECT)
    stored = [i.value for p in ("keys", "grants", "audit") for i in hub.backend.index.query(p)]
    assert "named" in str(stored)
    assert "jane.doe" not in str(stored)
    assert role.keys.access_key not in str(stored)


# The signature, as API Gateway checks it -------------------------------------------------------------
def forbidden(answer):
    return (answer.status_code, answer.json()) == (403, {"message": "Forbidden"})


@pytest.mark.parametrize(
    "change",
    [
        {"headers": {"Authorization": ""}},
        {"headers": {"Authorization": "Bearer eyJhbGciOiJFZERTQSJ9.e30.x"}},
        {"headers": {"X-Amz-Date": "20200101T000000Z"}},
        {"headers": {"X-Amz-Security-Token": "other"}},
        {"headers": {"host": "hub.example"}},
        {"body": b'{"other": 1}'},
        {"query": "jti=" + "0" * 32},
        {"path": "/iam/v1/keys"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_changed_request_does_not_reach_the_hub(hub, site, change):
    before = len(hub.events)
    assert forbidden(hub.raw(site.credential, "POST", "/v1/predictions", b'{"a": 1}', **change))
    assert len(hub.events) == before


@pytest.mark.parametrize("minutes", [-6, 6])
def test_a_late_or_early_signature_does_not_reach_the_hub(hub, site, minutes, monkeypatch):
    monkeypatch.setattr(hub.gateway, "now", lambda: datetime.now(UTC) + timedelta(minutes=minutes))
    with pytest.raises(AccessDenied, match="AWS refused the role's signature"):
        site.access_requests()


@pytest.mark.parametrize("scope", ["us-east-1/execute-api", "eu-central-1/s3"])
def test_a_signature_for_another_region_or_service_does_not_reach_the_hub(hub, site, scope):
    _, signed = site.credential.authorize("GET", ORIGIN, "/v1/access-requests", b"", headers={})
    forged = signed["Authorization"].replace("eu-central-1/execute-api", scope)
    changed = {"Authorization": forged}
    assert forbidden(hub.raw(site.credential, "GET", "/v1/access-requests", headers=changed))


# Identities are API Gateway's, nothing else ---------------------------------------------------------
FORGED = {
    "x-amzn-iam-user-arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/hospital/s",
    "x-healthval-aws-identity": "{}",
    "healthval.aws_identity": "{}",
    "x-amzn-request-context": '{"authorizer": {"iam": {"userArn": "arn"}}}',
}


def test_no_header_and_no_body_names_a_caller(hub, site):
    body = json.dumps({"requestContext": {"authorizer": {"iam": site.credential.identity}}})
    for path in ("/v1/access-requests", "/v1/predictions/prediction-" + "0" * 32):
        answer = hub.gateway.answer("GET", path, headers=FORGED, body=body.encode())
        assert answer.status_code == 401
    answer = hub.gateway.answer("POST", "/v1/access-requests", headers=FORGED, body=body.encode())
    assert answer.status_code == 422
    signed = asked(site.credential.public_key)
    answer = hub.gateway.answer("POST", "/v1/access-requests", headers=FORGED, body=signed)
    assert answer.status_code == 401


def test_a_signature_of_aws_on_another_route_is_no_signature(hub, site):
    """The other route has no authorizer, whatever its event may contain."""
    signed = site.credential.authorize("GET", ORIGIN, "/v1/access-requests", b"", headers={})[1]
    assert hub.gateway.answer("GET", "/v1/access-requests", headers=signed).status_code == 401
    context = {"authorizer": {"iam": site.credential.identity}, "http": {"method": "GET"}}
    context["http"] |= {"path": "/v1/access-requests", "sourceIp": "192.0.2.1"}
    forged = {"requestContext": context}
    query = "jti=" + "0" * 32
    answer = hub.gateway.answer("GET", "/v1/access-requests", query=query, event=forged)
    assert answer.status_code == 401


def test_the_path_alone_is_not_the_route(hub, site):
    for route in ("$default", "GET /iam/{proxy+}"):
        answer = hub.raw(site.credential, "GET", "/v1/access-requests", event={"routeKey": route})
        assert answer.status_code == 404


def test_a_route_without_its_authorizer_admits_nobody(hub, site):
    """As if the template's route had lost its AuthorizationType."""
    context = {
        "http": {"method": "GET", "path": "/iam/v1/access-requests", "sourceIp": "192.0.2.1"}
    }
    answer = hub.raw(
        site.credential, "GET", "/v1/access-requests", event={"requestContext": context}
    )
    assert (answer.status_code, answer.json()["title"]) == (403, "The caller is no role of AWS")


def test_an_embedded_hub_has_no_such_mode(hub, site):
    """The same app without Lambda's adapter, as uvicorn serves it."""
    signed = site.credential.authorize("GET", ORIGIN, "/v1/access-requests", b"", headers={})[1]

    async def sent(path):
        wire = httpx.ASGITransport(app=hub.app)
        async with httpx.AsyncClient(transport=wire, base_url=ORIGIN) as http:
            return await http.get(path, headers=signed | FORGED)

    found = [
        asyncio.run(sent(path)).status_code
        for path in ("/iam/v1/access-requests", "/v1/access-requests")
    ]
    assert found == [404, 401]


# Who a role is ---------------------------------------------------------------------------------------
def test_every_session_of_a_role_is_one_caller(hub, site):
    other = hub.client(Role("hospital", session="another@night"))
    assert other.access_requests() == site.access_requests()


def test_the_case_of_a_name_counts(hub, site):
    with pytest.raises(AccessDenied, match="does not know the role"):
        hub.client(Role("Hospital")).access_requests()


@pytest.mark.parametrize(
    "arn",
    [
        f"arn:aws:iam::{ACCOUNT}:user/hospital",
        f"arn:aws:iam::{ACCOUNT}:root",
        f"arn:aws:iam::{ACCOUNT}:role/hospital",
        f"arn:aws:sts::{ACCOUNT}:federated-user/hospital",
        f"arn:aws:sts::{ACCOUNT}:assumed-role/hospital",
        f"arn:aws:sts::{ACCOUNT}:assumed-role/x/hospital/s",
        f"arn:aws:sts::{ACCOUNT}:assumed-role/hospital/s\n",
        f"x arn:aws:sts::{ACCOUNT}:assumed-role/hospital/session",
        None,
    ],
)
def test_only_sessions_of_roles_are_callers(hub, arn):
    role = Role("hospital")
    role.identity |= {"userArn": arn}
    hub.gateway.knows(role)
    answer = hub.raw(role, "GET", "/v1/access-requests")
    assert (answer.status_code, answer.json()["title"]) == (403, "The caller is no role of AWS")
    hub.gateway.knows(Role("hospital"))


def test_a_role_that_was_made_again_is_another_caller(kit, hub):
    site = hub.site("again")
    hub.gateway.knows(Role("again", role_id="AROA" + "9" * 17))
    with pytest.raises(AccessDenied, match="deleted and made again"):
        site.predict(kit.batch(2.0))
    with pytest.raises(AccessDenied, match="deleted and made again"):
        site.request_access(label="Hospital again", **SUBJECT)


# One table of keys -----------------------------------------------------------------------------------
def test_revocation_and_suspension_count_from_the_next_call(kit, hub):
    site = hub.site("short")
    batch = site.predict(kit.batch(2.0)).id
    hub.decide(site, "suspended")
    with pytest.raises(AccessDenied, match="suspended"):
        site.predict(kit.batch(3.0))
    hub.decide(site, "approved")
    site.predict(kit.batch(4.0))
    assert hub.operator.revoke_key(site.site).state == "revoked"
    for call in (
        site.access_requests,
        lambda: site.predict(kit.batch(5.0)),
        lambda: site._get(f"/v1/predictions/{batch}", AccessRequest),
        lambda: site.request_access(label="Hospital short", **SUBJECT),
    ):
        with pytest.raises(AccessDenied, match="revoked"):
            call()


def test_a_grant_that_has_ended_admits_no_role(kit, hub):
    site = hub.site("ended")
    (item,) = hub.backend.index.query("grants", f"{site.site}#")
    hub.backend.index.commit([item.updated({**item.value, "not_after": int(time.time())})])
    with pytest.raises(AccessDenied, match="Access has expired"):
        site.predict(kit.batch(2.0))


def test_a_role_acts_for_itself_only(kit, hub, site):
    other = hub.site("neighbour")
    receipt = site.submit(kit.payload(hub.digest)).submission_sha256
    batch = site.predict(kit.batch(2.0)).id
    for target in (f"/v1/receipts/{receipt}", f"/v1/predictions/{batch}"):
        assert hub.raw(other.credential, "GET", target).status_code == 404
        assert hub.raw(site.credential, "GET", target).status_code == 200
    assert {grant.site for grant in other.access_requests()} == {other.site}
    decision = f"/v1/access-requests/{site.site}/tumour/1.0/{PLAN}/decision"
    assert hub.raw(other.credential, "POST", decision, b"{}").status_code == 403


def test_a_request_names_the_role_that_signed_it(hub, site):
    key, other = Credential.generate(), Role("stranger")
    hub.gateway.knows(other)
    target = "/v1/access-requests"
    for named in (site.credential.public_key, key.public_key, hub.boss.public_key):
        assert hub.raw(other, "POST", target, asked(named)).status_code == 401
    body = asked(site.credential.public_key)
    token = key.sign("POST", ORIGIN, target, body)
    headers = {"Authorization": f"Bearer {token}"}
    assert hub.gateway.answer("POST", target, headers=headers, body=body).status_code == 401


def test_a_role_has_one_holder_and_one_role(hub, site):
    role = site.credential.public_key
    with pytest.raises(HubError, match="name is taken"):
        hub.operator.enrol_vendor(VendorKey(public_key=role, label="Vendor", models=("tumour",)))
    with pytest.raises(HubError, match="name is taken"):
        hub.operator.enrol_auditor(AuditorKey(public_key=role, label="Auditor"))
    with pytest.raises(HubError, match="name is taken"):
        hub.operator.enrol_operator(OperatorRole(public_key=role, label="Operator"))
    vendor = hub.client(Role("vendor-once"))
    enrolled = VendorKey(public_key=vendor.credential.public_key, label="V", models=("tumour",))
    hub.operator.enrol_vendor(enrolled)
    with pytest.raises(HubError, match="name is taken"):
        vendor.request_access(label="Hospital", **SUBJECT)
    before = hub.operator.access_requests()
    site.request_access(label="Another name", **SUBJECT)
    assert hub.operator.access_requests() == before


def test_a_name_that_another_role_or_key_has_is_refused(hub, site):
    """As if two roles had the same 40 bits."""
    (item,) = [i for i in hub.backend.index.query("keys") if i.key == site.site]
    other = f"arn:aws:iam::{ACCOUNT}:role/other"
    hub.backend.index.commit([item.updated({**item.value, "arn": other})])
    with pytest.raises(AccessDenied, match="not signed by a key"):
        site.access_requests()
    with pytest.raises(HubError, match="name is taken"):
        site.request_access(label="Hospital", **SUBJECT)
    now = hub.backend.index.get("keys", site.site)
    hub.backend.index.commit([now.updated(item.value)])
    assert site.access_requests()


def test_a_role_gets_no_key_that_would_outlive_it(hub, site):
    new = Credential.generate()
    proof = new.private_key.sign(rotation_bytes(site.site, new.public_key))
    proof = base64.urlsafe_b64encode(proof).decode().rstrip("=")
    body = wire_bytes(KeyRotation(public_key=new.public_key, proof=proof))
    answer = hub.raw(site.credential, "POST", "/v1/keys/rotation", body)
    assert answer.status_code == 409
    assert answer.json()["title"] == "An AWS role has no key to replace"
    with pytest.raises(UsageError, match="an AWS role signs calls only"):
        own_key(site.credential)


def test_a_token_in_the_name_of_a_role_is_worth_nothing(hub, site):
    forger = Credential.generate()
    forger.key_name = forger.id = site.site
    with pytest.raises(AccessDenied, match="not signed by a key"):
        hub.client(forger).access_requests()


def test_a_role_that_is_an_operator_decides_and_makes_no_other(hub):
    boss = hub.client(Role("platform"))
    hub.operator.enrol_operator(OperatorRole(public_key=boss.credential.public_key, label="Ops"))
    site = hub.client(Role("decided"))
    grant = site.request_access(label="Hospital decided", **SUBJECT)
    assert boss.decide_access(grant, AccessDecision(status="approved")).state == "approved"
    assert "operator" in [key.role for key in known(boss) if key.name == boss.site]
    with pytest.raises(HubError, match="name is taken"):
        boss.request_access(label="Hospital", **SUBJECT)
    other = OperatorRole(public_key=Role("second").public_key, label="Second")
    with pytest.raises(AccessDenied, match="Only the operator's key enrols"):
        boss.enrol_operator(other)
    actors = {(e.actor, e.action) for e in hub.operator.audit()[0]}
    assert {(boss.site, "access.approved"), (hub.boss.id, "operator.enrolled")} <= actors
    hub.operator.revoke_key(boss.site)
    with pytest.raises(AccessDenied, match="revoked"):
        boss.keys()


# Once ------------------------------------------------------------------------------------------------
def test_a_request_acts_once(kit, hub, site):
    body = wire_bytes(kit.batch(2.0))
    address, signed = site.credential.authorize("POST", ORIGIN, "/v1/predictions", body, headers={})
    path, _, query = address.partition("?")
    sent = {"query": query, "body": body}
    used = site.access_requests()[0].used_cases
    first = hub.gateway.answer("POST", path, headers=signed, **sent)
    assert first.status_code == 200
    again = [
        hub.gateway.answer("POST", path, headers=signed | more, **sent)
        for more in ({}, {"Idempotency-Key": secrets.token_urlsafe(24)})
    ]
    assert [a.json()["title"] for a in again] == ["The token was used before"] * 2
    assert site.access_requests()[0].used_cases == used + 1


def test_a_repetition_under_one_key_acts_once(kit, hub, site):
    name = {"Idempotency-Key": secrets.token_urlsafe(24)}
    body, other = wire_bytes(kit.batch(6.0)), wire_bytes(kit.batch(7.0))
    found = [
        hub.raw(site.credential, "POST", "/v1/predictions", b, headers=name)
        for b in (body, body, other)
    ]
    assert [a.status_code for a in found] == [200, 200, 409]
    assert found[0].json()["id"] == found[1].json()["id"]


def presign(role, query):
    request = AWSRequest("GET", f"{ORIGIN}/iam/v1/access-requests?{query}")
    SigV4QueryAuth(role.keys, "execute-api", "eu-central-1", expires=604800).add_auth(request)
    return request.url.partition("?")[2]


@pytest.mark.parametrize(
    ("query", "title"),
    [
        ("", "has one jti"),
        ("jti=", "has one jti"),
        ("jti=short", "has one jti"),
        ("jti=" + "a" * 65, "has one jti"),
        (f"jti={'a' * 32}&jti={'b' * 32}", "has one jti"),
        (f"JTI={'a' * 32}", "has one jti"),
        ("signed", "The query is signed"),
    ],
)
def test_a_query_without_a_name_for_one_use_is_refused(hub, site, query, title):
    query = presign(site.credential, f"jti={'a' * 32}") if query == "signed" else query
    with pytest.raises(Refusal, match=title) as refusal:
        role_session(site.credential.identity, query, None)
    assert refusal.value.status == 401


def test_the_name_for_one_use_is_no_part_of_the_query(site):
    identity, name = site.credential.identity, "jti=" + "a" * 32
    for query, rest in [
        (name, ""),
        (f"limit=1&{name}", "limit=1"),
        (f"{name}&cursor=x", "cursor=x"),
    ]:
        session, left = role_session(identity, query, None)
        assert (session.use, left) == ("a" * 32, rest)


def test_a_body_that_is_not_signed_is_refused(kit, hub, site):
    """A header that states another hash than the body's; API Gateway might take its word for it."""
    body = wire_bytes(kit.batch(2.0))
    for stated in ("UNSIGNED-PAYLOAD", "0" * 64):
        headers = {"X-Amz-Content-SHA256": stated}
        answer = hub.raw(site.credential, "POST", "/v1/predictions", body, headers=headers)
        assert answer.status_code == 401


def test_a_request_is_signed_by_a_key_or_a_role(hub, site):
    target = "/v1/access-requests"
    token = hub.boss.sign("GET", ORIGIN, target, b"")

    def handler(event, context):
        event["headers"]["authorization"] = f"Bearer {token}"
        return hub.gateway.handler(event, context)

    both = ApiGateway(handler)
    both.knows(site.credential)
    with pytest.raises(AccessDenied, match="signed twice"):
        Client(ORIGIN, site.credential, transport=both).access_requests()


# Names -----------------------------------------------------------------------------------------------
LETTERS = string.ascii_letters + string.digits + "_+=,.@-"
NAMES = st.text(LETTERS, min_size=1, max_size=64)
SESSIONS = st.text(LETTERS, min_size=2, max_size=64)


@given(NAMES, SESSIONS, st.sampled_from(["aws", "aws-cn", "aws-us-gov"]))
def test_a_session_belongs_to_its_role(name, session, partition):
    role = session_role(f"arn:{partition}:sts::{ACCOUNT}:assumed-role/{name}/{session}")
    assert role == AwsRole(arn=f"arn:{partition}:iam::{ACCOUNT}:role/{name}")
    assert named_role(role.arn) == role
    assert named_role(role.arn.replace(f"role/{name}", f"role/a/b/{name}")) == role


@given(st.text(), st.text(), st.one_of(st.none(), st.text(), st.integers()))
def test_any_other_identity_is_refused(arn, query, user):
    with pytest.raises(Refusal) as refusal:
        role_session({"userArn": arn, "userId": user}, query, None)
    assert refusal.value.status in {401, 403}


def test_a_stranger_is_told_which_policy_to_ask_for(hub):
    unknown = Client(ORIGIN, Role("nobody"), transport=hub.gateway)
    with pytest.raises(AccessDenied, match="policy ApiCallers"):
        unknown.access_requests()
