import hashlib
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from healthval.client import Client, Credential
from healthval.contracts.access import AccessDecision
from healthval.contracts.base import canonical_json
from healthval.contracts.model import InputContract, InputField, ModelCard, ModelRegistration
from healthval.contracts.prediction import PredictionRequest, TableInstances
from healthval.contracts.submission import Certificate, ReleasedEstimate, Submission
from healthval.hosting.artefact import pack

PLAN = "a" * 64
SUBJECT = {"model": "tumour", "version": "1.0", "plan_hash": PLAN}
INFERENCE = """
import json

def load(model_dir):
    return json.loads((model_dir / "weights.json").read_text())

def predict(model, instances):
    return [None if row["size"] is None else min(1.0, row["size"] * model["slope"]) for row in instances]
"""


class HubProcess:
    """The embedded hub as a child process, as `python -m healthval.hub` runs it."""

    def __init__(self, data: Path, operator: Path) -> None:
        self.data, self.operator = data, operator
        self.process, self.url = None, None

    def start(self, port: int = 0) -> "HubProcess":
        command = [sys.executable, "-m", "healthval.hub", "--data", str(self.data)]
        command += ["--operator", str(self.operator), "--port", str(port), "--die-with-parent"]
        with (self.data.parent / "hub.log").open("ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
            )
        self.url = json.loads(self.process.stdout.readline())["url"]
        return self

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1])

    def kill(self) -> None:
        self.process.kill()
        self._reap()

    def stop(self) -> None:
        self.process.stdin.close()
        self._reap()

    def _reap(self) -> None:
        self.process.wait(30)
        self.process.stdout.close()
        self.process.stdin.close()


@pytest.fixture(scope="session")
def operator_key(tmp_path_factory):
    path = tmp_path_factory.mktemp("operator") / "operator.key"
    Credential.create(path)
    return path


@pytest.fixture(scope="session")
def hub(tmp_path_factory, operator_key):
    folder = tmp_path_factory.mktemp("hub")
    running = HubProcess(folder / "data", Path(f"{operator_key}.pub")).start()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def operator(hub, operator_key):
    with Client(hub.url, Credential.load(operator_key)) as client:
        yield client


@pytest.fixture(scope="session")
def artefact(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    (folder / "inference.py").write_text(INFERENCE)
    (folder / "weights.json").write_text('{"slope": 0.25}')
    return pack(folder)


def registration_of(artefact: bytes, name: str = "tumour") -> ModelRegistration:
    return ModelRegistration(
        card=ModelCard(
            name=name,
            version="1.0",
            title="Tumour",
            developer="Vendor",
            intended_use="triage",
            target_condition="malignancy",
        ),
        inputs=InputContract(fields=(InputField(name="size", low=0, high=100),)),
        artefact_sha256=hashlib.sha256(artefact).hexdigest(),
    )


@pytest.fixture(scope="session")
def model(operator, artefact):
    operator.register_model(registration_of(artefact), artefact)
    return operator.start_model("tumour", "1.0")


def case(i: int) -> str:
    return f"case-{i:016x}"


def batch(*sizes: float | str | None, first: int = 0) -> PredictionRequest:
    return PredictionRequest(
        **SUBJECT,
        cases=tuple(case(first + i) for i in range(len(sizes))),
        instances=TableInstances(columns=("size",), rows=tuple((size,) for size in sizes)),
    )


def payload(digest: str, *, n: int = 120) -> bytes:
    submission = Submission(
        **SUBJECT,
        model_digest=digest,
        healthval_version="0.1.0",
        dates="removed",
        n=n,
        n_events=40,
        auroc=ReleasedEstimate(value=0.9, lo=0.85, hi=0.94, method="delong", n=n, n_events=40),
        certificate=Certificate(policy="cms", policy_version=1, minimum_cell=11),
    )
    return canonical_json(submission.model_dump(mode="json"))


def approve(operator: Client, site: Client, **limits: int) -> None:
    grant = site.request_access(label="St. Elsewhere", **SUBJECT)
    operator.decide_access(grant, AccessDecision(status="approved", **limits))


@pytest.fixture
def new_site(hub, tmp_path):
    """Make sites that the hub has never heard of."""
    made = []

    def make() -> Client:
        client = Client(hub.url, Credential.create(tmp_path / f"site{len(made)}.key"))
        made.append(client)
        return client

    yield make
    for client in made:
        client.close()


@pytest.fixture
def site(new_site, operator, model):
    client = new_site()
    approve(operator, client)
    return client


@pytest.fixture(scope="session")
def kit():
    """What tests build requests with."""
    return SimpleNamespace(
        PLAN=PLAN,
        SUBJECT=SUBJECT,
        HubProcess=HubProcess,
        approve=approve,
        batch=batch,
        case=case,
        payload=payload,
        registration_of=registration_of,
    )
