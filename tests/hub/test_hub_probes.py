"""Probes: a developer's synthetic cases, compared when a model starts and in the runs of sites."""

import hashlib

import pytest

from healthval.client import Client, Credential
from healthval.contracts.access import AccessDecision
from healthval.contracts.model import InputContract, InputField, Probe
from healthval.contracts.prediction import PredictionRequest, ProbeInstances
from healthval.errors import HubError
from healthval.hosting.artefact import pack

pytestmark = pytest.mark.parametrize("hub", ["embedded"], indirect=True, scope="session")

AGE = (InputField(name="age", low=0, high=100),)
CONTRACTS = {
    "table": InputContract(fields=AGE),
    "dicom": InputContract(kind="dicom"),
    "combined": InputContract(kind="combined", fields=AGE),
}
MODELS = {
    "table": "case['age'] / 100",
    "dicom": "len(case) / 2**16",
    "combined": "case['age'] / 1000 + sum(map(len, case['files'])) / 2**16",
}
SCORES = {"table": 0.4, "dicom": 1024 / 2**16, "combined": 0.04 + 2048 / 2**16}


def hashed(*files):
    return tuple(hashlib.sha256(data).hexdigest() for data in files)


@pytest.fixture
def registered(kit, operator, tmp_path):
    """Register a model of a kind with two probes of which the second has this score."""

    def register(kind, second, name):
        code = "def load(folder):\n    return None\n\ndef predict(model, cases):\n"
        code += f"    return [{MODELS[kind]} for case in cases]\n"
        (tmp_path / "inference.py").write_text(code, encoding="utf-8")
        artefact = pack(tmp_path)
        n_files = {"table": 0, "dicom": 1, "combined": 2}[kind]
        files = (kit.dicom(1024), kit.dicom(1024, BodyPartExamined="CHEST"))[:n_files]
        row = {"age": 40} if CONTRACTS[kind].fields else {}
        probe = Probe(row=row, files=hashed(*files), score=SCORES[kind])
        both = (probe, probe.model_copy(update={"score": second}))
        shape = kit.registration_of(artefact, name)
        shape = shape.model_copy(update={"inputs": CONTRACTS[kind], "probes": both})
        operator.register_model(shape, artefact, files)
        return shape

    return register


@pytest.mark.parametrize("kind", CONTRACTS)
def test_a_model_starts_only_with_the_registered_scores(operator, registered, kind):
    right = registered(kind, SCORES[kind] + 5e-5, f"right-{kind}")
    assert operator.start_model(right.card.name, "1.0", tried=True).status == "serving"
    wrong = registered(kind, SCORES[kind] + 2e-4, f"wrong-{kind}")
    with pytest.raises(HubError, match=r"1 of 2 probes with another score.*first: probe 2"):
        operator.start_model(wrong.card.name, "1.0", tried=True)
    assert operator.model(wrong.card.name, "1.0").status == "registered"


@pytest.mark.parametrize("kind", CONTRACTS)
def test_a_site_asks_the_probes_by_their_number(kit, hub, operator, registered, tmp_path, kind):
    name = f"asked-{kind}"
    registered(kind, None, name)
    operator.start_model(name, "1.0")
    subject = {"model": name, "version": "1.0", "plan_hash": "3" * 64}
    with Client(hub.url, Credential.create(tmp_path / "site.key")) as site:
        grant = site.request_access(label="Radiology", **subject)
        operator.decide_access(grant, AccessDecision(status="approved"))

        def ask(n):
            cases = tuple(kit.case(i) for i in range(n))
            return site.predict(
                PredictionRequest(**subject, cases=cases, instances=ProbeInstances())
            )

        answers = ask(2).predictions
        assert [a.score for a in answers] == pytest.approx([SCORES[kind]] * 2)
        with pytest.raises(HubError, match="3 cases for 2 probes"):
            ask(3)


def test_files_of_probes_must_be_stored_and_deidentified(kit, operator, tmp_path):
    (tmp_path / "inference.py").write_text("def load(f): return None\n", encoding="utf-8")
    artefact = pack(tmp_path)
    shape = kit.registration_of(artefact, "phantom")

    def register(*sent, asked):
        probe = Probe(files=hashed(asked), score=0.5)
        changed = {"inputs": CONTRACTS["dicom"], "probes": (probe,)}
        return operator.register_model(shape.model_copy(update=changed), artefact, sent)

    with pytest.raises(HubError, match="file of probe 1 is not stored"):
        register(asked=b"never sent")
    named = kit.dicom(1024, PatientName="Zebulon^Quist")
    with pytest.raises(HubError) as refused:
        register(named, asked=named)
    assert "Zebulon" not in str(refused.value)
    large = kit.dicom(3 * 2**20)
    with pytest.raises(HubError, match="Probe 1 is too large"):
        register(large, asked=large)
    phantom = kit.dicom(1024)
    assert register(phantom, asked=phantom).status == "registered"
