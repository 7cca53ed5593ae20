"""Uploads: a signed address for one file, which is scored and then deleted."""

import hashlib
import json
import urllib.parse

import httpx
import pytest

from healthval.client import Client, Credential
from healthval.contracts.access import AccessDecision
from healthval.contracts.model import InputContract
from healthval.contracts.prediction import DicomInstances, PredictionRequest
from healthval.errors import AccessDenied, HubError
from healthval.hosting.artefact import pack

pytestmark = pytest.mark.parametrize("hub", ["embedded"], indirect=True, scope="session")

SUBJECT = {"model": "reader", "version": "1.0", "plan_hash": "b" * 64}
# Scores a file by its length, so that the test sees which bytes the model got.
READER = """
def load(model_dir):
    return None

def predict(model, instances):
    if b"broken" in instances[0]:
        raise ValueError
    return [len(file) / 2**26 for file in instances]
"""


@pytest.fixture(scope="module")
def site(kit, hub, operator, tmp_path_factory):
    folder = tmp_path_factory.mktemp("reader")
    (folder / "inference.py").write_text(READER, encoding="utf-8")
    artefact = pack(folder)
    registration = kit.registration_of(artefact, "reader")
    registration = registration.model_copy(update={"inputs": InputContract(kind="dicom")})
    operator.register_model(registration, artefact)
    operator.start_model("reader", "1.0")
    with Client(hub.url, Credential.create(folder / "site.key")) as client:
        grant = client.request_access(label="Radiology", **SUBJECT)
        operator.decide_access(grant, AccessDecision(status="approved"))
        yield client


def request(kit, *uploads: str) -> PredictionRequest:
    cases = tuple(kit.case(i) for i in range(len(uploads)))
    return PredictionRequest(**SUBJECT, cases=cases, instances=DicomInstances(uploads=uploads))


def held(hub, site) -> list[str]:
    """Return the uploads of this module's site; the hub is shared with other modules."""
    return [path.name for path in (hub.data / "objects" / "uploads" / site.site).rglob("*.dcm")]


def test_small_and_large_files_reach_the_model_whole_and_are_deleted(kit, hub, site):
    sizes = [400, 3 * 2**20 - 65538, 3 * 2**20 - 65536, 3 * 2**20 - 65534, 3 * 2**20, 20 * 2**20]
    uploads = [site.upload(kit.dicom(size), **SUBJECT) for size in sizes]
    assert len(held(hub, site)) == len(sizes)
    answer = site.predict(request(kit, *uploads))
    assert [p.score for p in answer.predictions] == [size / 2**26 for size in sizes]
    assert held(hub, site) == []


def test_a_file_that_the_model_cannot_read_is_one_case_without_a_score(kit, hub, site):
    uploads = [
        site.upload(content, **SUBJECT)
        for content in (kit.dicom(400), kit.dicom(400, SeriesDescription="broken"))
    ]
    answer = site.predict(request(kit, *uploads))
    assert [p.reason for p in answer.predictions] == ["none", "model_failed"]
    assert held(hub, site) == []


def test_the_same_file_uploaded_twice_is_two_files(kit, site):
    first, second = (site.upload(kit.dicom(400), **SUBJECT) for _ in range(2))
    site.predict(request(kit, first))
    assert site.predict(request(kit, second)).predictions[0].reason == "none"


def test_missing_uploads_and_those_of_another_site_are_refused(kit, site, new_site, operator):
    mine = site.upload(kit.dicom(400), **SUBJECT)
    other = new_site()
    operator.decide_access(
        other.request_access(label="Other", **SUBJECT), AccessDecision(status="approved")
    )
    with pytest.raises(HubError, match="1 upload is not stored here; first at 0"):
        other.predict(request(kit, mine))
    with pytest.raises(HubError, match="2 uploads are not stored here; first at 1"):
        site.predict(request(kit, mine, "upload-" + "0" * 32, "upload-" + "1" * 32))


def test_without_access_there_is_no_place_to_upload_to(kit, new_site):
    with pytest.raises(AccessDenied):
        new_site().upload(kit.dicom(400), **SUBJECT)


def ticket(site, data: bytes) -> dict:
    asked = {**SUBJECT, "sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
    return json.loads(site.transport.send("POST", "/v1/uploads", json.dumps(asked).encode()))


def test_a_place_is_for_one_file_and_no_other(kit, hub, site):
    data = kit.dicom(400)
    url = hub.url + ticket(site, data)["url"]
    terms = urllib.parse.parse_qs(urllib.parse.urlsplit(url).query)["terms"][0]
    owner, size, sha256, end = terms.split(".")
    other = ticket(site, data)["id"]
    for changed in (
        url.replace(terms, f"{owner}.{size}.{sha256}.{int(end) + 1}"),
        url.replace(terms, f"site-aaaaaaaa.{size}.{sha256}.{end}"),
        url.replace(terms, ""),
        url.replace(url.split("/uploads/")[1].split("?")[0], other),
        url[:-1] + ("0" if url[-1] != "0" else "1"),
    ):
        assert httpx.put(changed, content=data).status_code == 403
    for content in (data + b"x", data[:-1], kit.dicom(400, SeriesDescription="x"), b""):
        assert httpx.put(url, content=content).status_code == 422
    assert httpx.put(url, content=data).status_code == 204
    assert httpx.put(url, content=data).status_code == 204


MISTAKES = {
    "a table": b"name,born\nZebulon,1931-01-01\n",
    "FHIR": b'{"resourceType": "Patient", "name": [{"text": "Zebulon"}]}',
    "a table behind the prefix": bytes(128) + b"DICM" + b"name\nZebulon\n",
}
NAMED = {
    "no mark": {"PatientIdentityRemoved": "NO"},
    "no method": {"DeidentificationMethod": ""},
    "a patient": {"PatientName": "Zebulon^Quartermaine"},
    "a physician": {"ReferringPhysicianName": "Zebulon^Quartermaine"},
    "other names": {"OtherPatientNames": ["", "Zebulon^Quartermaine"]},
    "an address": {"PatientAddress": "Zebulon Street 1"},
}


@pytest.mark.parametrize("mistake", [*MISTAKES, *NAMED])
def test_a_file_that_is_not_deidentified_is_refused_and_not_stored(kit, hub, site, mistake):
    before = held(hub, site)
    data = MISTAKES.get(mistake) or kit.dicom(600, **NAMED[mistake])
    with pytest.raises(HubError, match="healthval deid") as refused:
        site.upload(data, **SUBJECT)
    assert "Zebulon" not in str(refused.value)
    assert held(hub, site) == before
    assert b"Zebulon" not in (hub.data.parent / "hub.log").read_bytes()


def test_uploads_are_counted_against_the_cases_that_are_left(kit, hub, site, operator, tmp_path):
    with Client(hub.url, Credential.create(tmp_path / "site.key")) as client:
        grant = client.request_access(label="Radiology", **SUBJECT)
        two = AccessDecision(status="approved", max_cases=2)
        operator.decide_access(grant, two)
        sent = [client.upload(kit.dicom(1000), **SUBJECT) for _ in range(2)]
        body = json.dumps({**SUBJECT, "sha256": "0" * 64, "size": 1}).encode()
        third = signed(client, "POST", "/v1/uploads", body)
        assert (third.status_code, third.json()["retryable"]) == (429, True)
        client.predict(request(kit, *sent))
        with pytest.raises(AccessDenied, match="limit of cases"):
            client.upload(kit.dicom(1000), **SUBJECT)
        operator.decide_access(grant, two.model_copy(update={"max_cases": 3}))
        client.predict(request(kit, client.upload(kit.dicom(1000), **SUBJECT)))


def signed(client, method, target, body):
    token = client.credential.sign(method, client.transport.origin, target, body)
    headers = {"Authorization": f"Bearer {token}"}
    url = client.transport.origin + target
    return httpx.request(method, url, content=body, headers=headers, trust_env=False, timeout=300)
