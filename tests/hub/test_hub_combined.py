"""Cases with images and a row: checked, scored together, files deleted afterwards."""

import pytest

from healthval.client import Client, Credential
from healthval.contracts.access import AccessDecision
from healthval.contracts.model import InputContract, InputField
from healthval.contracts.prediction import CombinedInstances, PredictionRequest
from healthval.errors import HubError
from healthval.hosting.artefact import pack

pytestmark = pytest.mark.parametrize("hub", ["embedded"], indirect=True, scope="session")

SUBJECT = {"model": "both", "version": "1.0", "plan_hash": "2" * 64}
CONTRACT = InputContract(
    kind="combined", modalities=("CR",), fields=(InputField(name="age", low=18, high=120),)
)
READER = """
def load(folder):
    return None

def predict(model, instances):
    return [_score(case) for case in instances]

def _score(case):
    size = sum(len(data) for data in case["files"])
    return None if case["age"] is None else case["age"] / 1000 + size / 2**30
"""


@pytest.fixture(scope="module")
def site(kit, hub, operator, tmp_path_factory):
    folder = tmp_path_factory.mktemp("both")
    (folder / "inference.py").write_text(READER, encoding="utf-8")
    artefact = pack(folder)
    registration = kit.registration_of(artefact, "both").model_copy(update={"inputs": CONTRACT})
    operator.register_model(registration, artefact)
    operator.start_model("both", "1.0")
    with Client(hub.url, Credential.create(folder / "site.key")) as client:
        grant = client.request_access(label="Radiology", **SUBJECT)
        operator.decide_access(grant, AccessDecision(status="approved"))
        yield client


def asked(kit, rows, uploads, columns=("age",)):
    instances = CombinedInstances(
        columns=columns, rows=tuple(map(tuple, rows)), uploads=tuple(map(tuple, uploads))
    )
    cases = tuple(kit.case(i) for i in range(len(uploads)))
    return PredictionRequest(**SUBJECT, cases=cases, instances=instances)


def held(hub, site):
    """Return the uploads of this module's site; the hub is shared with other modules."""
    return list((hub.data / "objects" / "uploads" / site.site).rglob("*.dcm"))


@pytest.mark.parametrize("large", [3 * 2**20 - 2**16 - 402, 3 * 2**20 - 2**16 - 400, 9 * 2**20])
def test_a_case_is_scored_with_all_its_files_and_its_row(kit, hub, site, large):
    sizes = [(400,), (400, large)]
    uploads = [[site.upload(kit.dicom(n), **SUBJECT) for n in files] for files in sizes]
    answer = site.predict(asked(kit, [[40], [50]], uploads))
    assert [p.score for p in answer.predictions] == pytest.approx(
        [0.04 + 400 / 2**30, 0.05 + (400 + large) / 2**30]
    )
    assert not held(hub, site)


def test_a_row_out_of_range_or_incomplete_keeps_its_reason_and_its_place(kit, hub, site):
    uploads = [[site.upload(kit.dicom(400), **SUBJECT)] for _ in range(3)]
    answer = site.predict(asked(kit, [[40], [400], [None]], uploads))
    reasons = [p.reason for p in answer.predictions]
    assert reasons == ["none", "input_out_of_range", "model_declined"]
    assert not held(hub, site), "files of cases that were not scored go as well"


def test_what_the_contract_does_not_admit_is_refused(kit, site):
    upload = site.upload(kit.dicom(400), **SUBJECT)
    for rows, uploads, columns, place in (
        ([[40]], [[upload]], ("crp",), "'age'"),
        ([["old"]], [[upload]], ("age",), "not a number"),
        ([[40], [50]], [[upload]], ("age",), "2 instances for 1 case"),
        ([[40]], [["upload-" + "0" * 32]], ("age",), "not stored here"),
    ):
        with pytest.raises(HubError, match=place):
            site.predict(asked(kit, rows, uploads, columns))
    site.predict(asked(kit, [[40]], [[upload]]))  # leaves nothing behind for other tests
