"""Role x route x tenant, generated from the OpenAPI document: who may use which address.

Each operation is called with a key of every role, of a stranger and of another tenant. The table names
the roles of each operation; an operation that is not in it fails the test.
"""

import asyncio
import base64
import hashlib
import json
import time
from typing import NamedTuple, get_args

import api_gateway
import httpx
import pytest
from api_gateway import Role
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from mangum import Mangum

from healthval.client import Client, Credential, published_keys, wire_bytes
from healthval.contracts.access import (
    AccessDecision,
    AccessRequest,
    AccessState,
    AuditorKey,
    KeyRotation,
    OperatorRole,
    VendorKey,
    rotation_bytes,
)
from healthval.contracts.prediction import UploadRequest
from healthval.errors import AccessDenied, HubError
from healthval.hub import keys
from healthval.hub.access import DAY
from healthval.hub.app import Settings, create_app, openapi_text
from healthval.hub.auth import Caller
from healthval.hub.backends.lambda_api import RawPath, _http
from healthval.hub.backends.memory import MemoryIndex, MemoryObjects, NoModels
from healthval.hub.keys import enrol
from healthval.hub.ports import Backend

PLAN = "a" * 64
ORIGIN = "https://hub.example"
MATRIX = {
    "post /v1/access-requests": {"site", "stranger"},
    "get /v1/access-requests": {"site", "operator", "auditor", "reporter"},
    "post /v1/access-requests/{site}/{model}/{version}/{plan_hash}/decision": {"operator"},
    "post /v1/vendors": {"operator"},
    "post /v1/auditors": {"operator"},
    "post /v1/operators": {"operator"},
    "post /v1/dashboard-links": {"operator", "vendor"},
    "get /v1/keys": {"operator", "auditor"},
    "post /v1/keys/rotation": {"site", "vendor", "auditor"},
    "post /v1/keys/{name}/revoke": {"operator"},
    "put /v1/objects/{sha256}": {"operator", "reporter"},
    "post /v1/objects/{sha256}/offer": {"operator", "reporter"},
    "post /v1/models": {"operator"},
    "get /v1/models": {"site", "operator", "vendor", "auditor"},
    "get /v1/models/{name}/{version}": {"site", "operator", "vendor", "auditor", "reporter"},
    "post /v1/models/{name}/{version}/start": {"operator"},
    "post /v1/models/{name}/{version}/stop": {"operator"},
    "post /v1/predictions": {"site"},
    "get /v1/predictions/{prediction}": {"site"},
    "post /v1/uploads": {"site"},
    "post /v1/submissions": {"site"},
    "get /v1/receipts/{sha256}": {"site"},
    "get /v1/ledger-head": {"site"},
    "get /v1/submissions": {"operator", "reporter"},
    "get /v1/submissions/{site}/{sha256}": {"operator", "reporter"},
    "post /v1/sums": {"site"},
    "get /v1/sums/{model}/{version}/{plan_hash}": {"site", "operator", "reporter"},
    "post /v1/sums/{model}/{version}/{plan_hash}/closing": {"operator"},
    "post /v1/reports": {"operator", "reporter"},
    "get /v1/reports": {"operator", "vendor", "reporter"},
    "post /v1/report-orders": {"operator"},
    "get /v1/report-orders": {"operator", "auditor"},
    "post /v1/reports/{report}/withdrawal": {"operator"},
    "get /v1/reports/{report}/files/{name}": {"operator", "vendor", "reporter"},
    "get /v1/audit": {"operator", "auditor"},
    "post /v1/hub-keys/{kid}/revoke": {"operator"},
}
UNSIGNED = {
    "get /v1/health",
    "get /.well-known/healthval-keys.json",
    "put /v1/uploads/{upload}",
}
VALUES = {
    "site": "site-zzzzzzzz",
    "model": "absent",
    "version": "9.9",
    "plan_hash": PLAN,
    "name": "absent",
    "sha256": "b" * 64,
    "kid": "c" * 64,
    "prediction": "prediction-" + "0" * 32,
    "report": "report-" + "0" * 16,
}


def operations():
    document = json.loads(openapi_text())
    return {f"{m} {path}" for path, methods in document["paths"].items() for m in methods}


def test_every_operation_is_in_the_matrix():
    assert operations() == MATRIX.keys() | UNSIGNED


@pytest.fixture(scope="module")
def callers(kit, hub, operator, model, tmp_path_factory):
    """One client of each role; `other` is a site without access, `vendor` owns another model."""
    folder = tmp_path_factory.mktemp("matrix")
    made = {
        name: Client(hub.url, Credential.create(folder / f"{name}.key"))
        for name in ("site", "vendor", "auditor", "stranger")
    }
    kit.approve(operator, made["site"])
    vendor, auditor = made["vendor"].credential, made["auditor"].credential
    operator.enrol_vendor(
        VendorKey(public_key=vendor.public_key, label="Vendor", models=("other-model",))
    )
    operator.enrol_auditor(AuditorKey(public_key=auditor.public_key, label="Auditor"))
    if hasattr(hub, "data"):  # the embedded hub's own key for the reports of standing orders
        made["reporter"] = Client(hub.url, Credential.load(hub.data / "reporter.key"))
    yield made | {"operator": operator}
    for client in made.values():
        client.close()


def status(client: Client, operation: str) -> int:
    method, path = operation.split(" ")
    values = dict(VALUES)
    if path.endswith("/keys/{name}/revoke"):
        values["name"] = "site-zzzzzzzz"
    if "/files/" in path:
        values["name"] = "report.html"
    target = path.format(**values)
    if target == "/v1/submissions" and method == "get":
        target += f"?model=absent&version=9.9&plan_hash={PLAN}"
    body = b"{}" if method == "post" else b""
    token = client.credential.sign(method.upper(), client.transport.origin, target, body)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    answer = client.transport._http.request(method.upper(), target, content=body, headers=headers)
    assert answer.status_code < 500, (operation, answer.status_code)
    return answer.status_code


@pytest.mark.parametrize("operation", sorted(MATRIX))
def test_an_address_is_open_to_its_roles_only(callers, operation):
    for role, client in callers.items():
        found = status(client, operation)
        if operation == "post /v1/access-requests":
            assert found == 422  # signed by the key in the body, which is missing here
        elif role in MATRIX[operation]:
            assert found not in {401, 405}, (role, found)
            is_missing_card = found == 403 and "/models/" in operation
            assert found != 403 or is_missing_card, (role, found)
        else:
            assert found == (401 if role == "stranger" else 403), (role, found)


def test_a_tenant_sees_nothing_of_another(kit, callers, new_site, operator, model):
    first, second = callers["site"], new_site()
    kit.approve(operator, second)
    answer = first.predict(kit.batch(2.0))
    receipt = first.submit(kit.payload(model.digest))
    unseen = [
        f"get /v1/predictions/{answer.id}",
        f"get /v1/receipts/{receipt.submission_sha256}",
    ]
    for operation in unseen:
        assert status(first, operation) == 200
        assert status(second, operation) == 404
    assert {grant.site for grant in second.access_requests()} == {second.site}
    assert callers["vendor"].models() == ()
    assert callers["vendor"].reports() == ()
    assert status(callers["vendor"], "get /v1/models/tumour/1.0") == 403
    assert status(callers["auditor"], "get /v1/models/tumour/1.0") == 200


def test_a_dashboard_link_reads_the_reports_of_its_vendor_and_nothing_else(
    hub, callers, operator, tmp_path
):
    with Client(hub.url, Credential.create(tmp_path / "vendor.key")) as vendor:
        key = vendor.credential.public_key
        operator.enrol_vendor(VendorKey(public_key=key, label="Vendor", models=("other-model",)))
        if not any(key.purpose == "registration" for key in published_keys(hub.url).keys):
            with pytest.raises(HubError, match="no key to sign links"):
                vendor.dashboard_link()
            return
        check_link(vendor, callers, operator)


def check_link(vendor, callers, operator):
    link = vendor.dashboard_link(hours=1)
    bearer = {"Authorization": "Bearer " + link.fragment.removeprefix("token=")}

    def read(method, target, headers=bearer, **more):
        return vendor.transport._http.request(method, target, headers=headers, **more).status_code

    assert [read("GET", "/v1/reports"), read("GET", "/v1/reports?limit=1")] == [200, 200]
    assert read("GET", "/v1/reports/report-0000000000000000/files/report.html") in {404, 422}
    others = [operation for operation in MATRIX if not operation.startswith("get /v1/reports")]
    for operation in others:
        method, path = operation.split(" ")
        found = read(
            method.upper(), path.format(**VALUES), content=b"{}" if method == "post" else b""
        )
        assert found in {401, 422}, operation
    forged = link.fragment[6:-8] + "AAAAAAAA"
    assert read("GET", "/v1/reports", {"Authorization": f"Bearer {forged}"}) == 401
    assert operator.dashboard_link(vendor.site).not_after > link.not_after
    with pytest.raises(AccessDenied, match="its own reports only"):
        vendor.dashboard_link("site-zzzzzzzz")
    with pytest.raises(HubError, match="no valid vendor"):
        operator.dashboard_link(callers["site"].site)
    with pytest.raises(ValueError, match="seconds"):
        vendor.dashboard_link(hours=8.1)
    operator.revoke_key(vendor.site)
    assert read("GET", "/v1/reports") == 401


@pytest.fixture(scope="module")
def roles():
    """A hub behind API Gateway, and an AWS role of each of the hub's roles and of a stranger."""
    boss = Credential.generate()
    backend = Backend(MemoryObjects(), MemoryIndex(time.time), NoModels(), time.time)
    settings = Settings(
        operator=boss.public_key, audiences=(api_gateway.ORIGIN,), upload_secret=b"s" * 32
    )
    app = create_app(backend, settings)
    with api_gateway.event_loop():
        gateway = api_gateway.ApiGateway(_http(Mangum(RawPath(app), lifespan="off")))
    made = {name: Role(name) for name in ("site", "vendor", "auditor", "operator", "stranger")}
    gateway.knows(*made.values())
    named = {name: role.public_key for name, role in made.items()}
    actor = Caller(boss.id, "operator")
    vendor = VendorKey(public_key=named["vendor"], label="Vendor", models=("other-model",))
    keys.enrol_vendor(backend, actor, vendor)
    keys.enrol_auditor(backend, actor, AuditorKey(public_key=named["auditor"], label="Auditor"))
    operator = OperatorRole(public_key=named["operator"], label="Operator")
    keys.enrol_operator(backend, boss.public_key, actor, operator)
    backend.index.commit(enrol(backend, named["site"], {"role": "site"}))
    yield RoleCalls(gateway, backend, made)
    app.state.predictions.close()


class RoleCalls(NamedTuple):
    gateway: api_gateway.ApiGateway
    backend: Backend
    made: dict[str, Role]

    def answer(self, role: Role, operation: str) -> httpx.Response:
        method, path = operation.split(" ")
        target = path.format(**VALUES | ({"name": "report.html"} if "/files/" in path else {}))
        target = target.replace("/keys/absent/", "/keys/site-zzzzzzzz/")
        if operation == "get /v1/submissions":
            target += f"?model=absent&version=9.9&plan_hash={PLAN}"
        body = b"{}" if method == "post" else b""
        method = method.upper()
        address, headers = role.authorize(method, api_gateway.ORIGIN, target, body, headers={})
        path, _, query = address.partition("?")
        return self.gateway.answer(method, path, query=query, headers=headers, body=body)


@pytest.mark.parametrize("operation", sorted(MATRIX))
def test_an_address_is_open_to_the_same_roles_when_aws_signs(roles, operation):
    for name, role in roles.made.items():
        found = roles.answer(role, operation).status_code
        if operation == "post /v1/access-requests":
            assert found == 422
        elif name in MATRIX[operation]:
            is_missing_card = found == 403 and "/models/" in operation
            assert found not in {401, 403, 405} or is_missing_card, (name, found)
        else:
            assert found == (401 if name == "stranger" else 403), (name, found)
        assert found < 500


@pytest.mark.parametrize("name", ["site", "vendor", "auditor", "operator"])
def test_a_role_that_is_revoked_opens_no_address(roles, name):
    role = Role(f"{name}-revoked")
    roles.gateway.knows(role)
    roles.backend.index.commit(enrol(roles.backend, role.public_key, {"role": name, "models": []}))
    assert roles.answer(role, "get /v1/models").status_code == 200
    keys.revoke(roles.backend, Caller("site-aaaaaaaa", "operator"), role.id)
    for operation in sorted(MATRIX):
        answer = roles.answer(role, operation)
        if operation != "post /v1/access-requests":  # signed by the role in the body
            assert (answer.status_code, answer.json()["title"]) == (401, "This key was revoked")


class StatesHub:
    """The app over stores in memory, with a clock that is moved; tokens are signed by that clock."""

    def __init__(self, kit, artefact, monkeypatch):
        self.kit, self.now = kit, 1_700_000_000
        boss = Credential.generate()
        backend = Backend(
            MemoryObjects(), MemoryIndex(lambda: self.now), Scores(), lambda: self.now
        )
        settings = Settings(
            operator=boss.public_key,
            audiences=(ORIGIN,),
            upload_secret=b"s" * 32,
            signer=Ed25519PrivateKey.generate(),
        )
        self.app = create_app(backend, settings)
        monkeypatch.setattr("healthval.credential.key.time.time", lambda: self.now)
        self.operator = boss
        sha256 = hashlib.sha256(artefact).hexdigest()
        self.call(boss, "PUT", f"/v1/objects/{sha256}", artefact)
        registration = kit.registration_of(artefact)
        found = self.post(boss, "/v1/models", registration)
        self.digest = found.json()["digest"]
        self.post(boss, "/v1/models/tumour/1.0/start")

    def call(self, key, method, target, body=b""):
        token = key.sign(method, ORIGIN, target, body)
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

        async def sent():
            wire = httpx.ASGITransport(app=self.app)
            async with httpx.AsyncClient(transport=wire, base_url=ORIGIN) as http:
                return await http.request(method, target, content=body, headers=headers)

        return asyncio.run(sent())

    def post(self, key, target, shape=None):
        return self.call(key, "POST", target, wire_bytes(shape) if shape else b"")

    def site(self):
        key = Credential.generate()
        asked = AccessRequest(public_key=key.public_key, label="Hospital", **self.kit.SUBJECT)
        assert self.post(key, "/v1/access-requests", asked).status_code == 201
        return key

    def decide(self, site, status):
        target = f"/v1/access-requests/{site.id}/tumour/1.0/{PLAN}/decision"
        decision = AccessDecision(status=status, valid_days=1)
        assert self.post(self.operator, target, decision).status_code == 200

    def statuses(self, site, batch="", receipt=""):
        """Status of each call of a site that needs access, with bodies that fit."""
        upload = UploadRequest(**self.kit.SUBJECT, sha256="0" * 64, size=400)
        payload = self.kit.payload(self.digest, n=200)
        found = {
            "predict": self.post(site, "/v1/predictions", self.kit.batch(2.0)),
            "upload": self.post(site, "/v1/uploads", upload),
            "submit": self.call(site, "POST", "/v1/submissions", payload),
            "card": self.call(site, "GET", "/v1/models/tumour/1.0"),
            "poll": self.call(site, "GET", f"/v1/predictions/{batch}"),
            "receipt": self.call(site, "GET", f"/v1/receipts/{receipt}"),
        }
        return {name: answer.status_code for name, answer in found.items()}


class Scores(NoModels):
    def start(self, model): ...

    def invoke(self, model, body):
        return json.dumps({"scores": [0.5] * len(json.loads(body)["rows"])}).encode()


@pytest.fixture
def states(kit, artefact, monkeypatch):
    made = StatesHub(kit, artefact, monkeypatch)
    yield made
    made.app.state.predictions.close()


OPEN = {"predict": 200, "upload": 201, "submit": 200, "card": 200, "poll": 200, "receipt": 200}
CLOSED = dict.fromkeys(OPEN, 403) | {"receipt": 200}
STATES = {
    "approved": OPEN,
    "suspended": CLOSED,
    "revoked": CLOSED,
    # an answer and the card stay readable after the end of a grant
    "expired": CLOSED | {"card": 200, "poll": 200},
}


@pytest.mark.parametrize("state", STATES)
def test_a_state_of_access_counts_from_the_next_call(kit, states, state):
    site = states.site()
    states.decide(site, "approved")
    states.now += DAY - 60
    batch = states.post(site, "/v1/predictions", kit.batch(2.0)).json()["id"]
    payload = kit.payload(states.digest, n=200)
    receipt = states.call(site, "POST", "/v1/submissions", payload).json()["submission_sha256"]
    assert states.statuses(site, batch, receipt) == OPEN
    if state == "expired":
        states.now += 60
    elif state != "approved":
        states.decide(site, state)
    assert states.statuses(site, batch, receipt) == STATES[state]
    listed = states.call(site, "GET", "/v1/access-requests").json()["grants"]
    assert [grant["state"] for grant in listed] == ["active" if state == "approved" else state]


@pytest.mark.parametrize("decision", ["requested", "rejected"])
def test_without_approval_no_call_is_open(states, decision):
    site = states.site()
    if decision == "rejected":
        states.decide(site, decision)
    found = states.statuses(site, "prediction-" + "0" * 32, "0" * 64)
    assert found == dict.fromkeys(OPEN, 403) | {"poll": 404, "receipt": 404}


def test_states_of_access_are_all_tried():
    assert set(get_args(AccessState)) == STATES.keys() | {"active", "requested", "rejected"}


@pytest.mark.parametrize("role", ["site", "vendor", "auditor"])
def test_a_key_that_is_replaced_or_revoked_opens_no_address(states, role):
    key = states.site() if role == "site" else Credential.generate()
    if role == "vendor":
        enrolled = VendorKey(public_key=key.public_key, label="Vendor", models=("tumour",))
        states.post(states.operator, "/v1/vendors", enrolled)
    if role == "auditor":
        enrolled = AuditorKey(public_key=key.public_key, label="Auditor")
        states.post(states.operator, "/v1/auditors", enrolled)
    new = Credential(Ed25519PrivateKey.generate(), key.id)
    proof = new.private_key.sign(rotation_bytes(key.id, new.public_key))
    rotation = KeyRotation(
        public_key=new.public_key,
        proof=base64.urlsafe_b64encode(proof).decode().rstrip("="),
        overlap_days=1,
    )
    assert states.post(key, "/v1/keys/rotation", rotation).status_code == 200
    both = [states.call(one, "GET", "/v1/access-requests").status_code for one in (key, new)]
    assert both == ([403, 403] if role == "vendor" else [200, 200])
    states.now += DAY
    check_closed(states, key, "This key was replaced and has ended")
    assert open_to(states, new), role
    revoked = states.post(states.operator, f"/v1/keys/{new.key_name}/revoke")
    assert revoked.status_code == 200
    check_closed(states, new, "This key was revoked")


def check_closed(states, key, title):
    """Each operation refuses the key, also those that are open to its role, and says why."""
    for operation in sorted(MATRIX):
        method, path = operation.split(" ")
        target = path.format(**VALUES)
        answer = states.call(key, method.upper(), target, b"{}" if method == "post" else b"")
        if operation == "post /v1/access-requests":
            assert answer.status_code == 422  # signed by the key in the body, which is missing here
        else:
            assert (answer.status_code, answer.json()["title"]) == (401, title), operation


def open_to(states, key):
    return states.call(key, "GET", "/v1/models").status_code == 200
