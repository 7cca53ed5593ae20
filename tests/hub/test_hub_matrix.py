"""Role x route x tenant, generated from the OpenAPI document: who may use which address.

Each operation is called with a key of every role, of a stranger and of another tenant. The table names
the roles of each operation; an operation that is not in it fails the test.
"""

import json

import pytest

from healthval.client import Client, Credential, published_keys
from healthval.contracts.access import AuditorKey, VendorKey
from healthval.errors import AccessDenied, HubError
from healthval.hub.app import openapi_text

PLAN = "a" * 64
MATRIX = {
    "post /v1/access-requests": {"site", "stranger"},
    "get /v1/access-requests": {"site", "operator", "auditor", "reporter"},
    "post /v1/access-requests/{site}/{model}/{version}/{plan_hash}/decision": {"operator"},
    "post /v1/vendors": {"operator"},
    "post /v1/auditors": {"operator"},
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
