import hashlib
import io
import itertools
import os
import socket
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import boto3
import emulator
import pytest
import uvicorn
from botocore.config import Config
from cloud_hub import CloudHub
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hub_machine import QUICK, Local, Memory
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test
from moto import mock_aws
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

from healthval.client import Client, Credential
from healthval.contracts.access import AccessDecision, PublicKey
from healthval.contracts.base import canonical_json, read_wire
from healthval.contracts.model import (
    InputContract,
    InputField,
    ModelCard,
    ModelRecord,
    ModelRegistration,
)
from healthval.contracts.prediction import PredictionRequest, TableInstances
from healthval.contracts.submission import (
    AttackPassed,
    Certificate,
    CountNoise,
    ReleasedEstimate,
    Submission,
)
from healthval.disclosure import load_policy
from healthval.disclosure.gate import run_checks
from healthval.hosting.artefact import pack, unpack
from healthval.hosting.child_process import ChildProcess
from healthval.hub.app import Settings, create_app
from healthval.hub.backends.aws import DynamoIndex, S3Objects, SageMakerHost
from healthval.hub.ports import Backend, HostedModel
from healthval.hub.registry import hosted

# The hub needs Linux or macOS; its client does not.
HUB_TESTS = ["test_hub_*.py", "test_stores.py", "test_model_processes.py", "test_aws_errors.py"]
collect_ignore_glob = [] if os.name == "posix" else HUB_TESTS

PLAN = "a" * 64
LONG = 300  # a bound for what should happen soon, on a machine that may be busy
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
        self._child, self.process, self.url = None, None, None

    def start(self, port: int = 0, options: Sequence[str] = ()) -> "HubProcess":
        command = [sys.executable, "-m", "healthval.hub", "--data", str(self.data)]
        command += ["--operator", str(self.operator), "--port", str(port), "--die-with-parent"]
        command += ["--trust-models", *options]  # trusted for machines without bubblewrap
        with (self.data.parent / "hub.log").open("ab") as log:
            self._child = ChildProcess(command, log=log)
        self.process, self.url = self._child.process, self._child.first_line()["url"]
        return self

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1])

    def kill(self) -> None:
        self.process.kill()
        self._child.stop()

    def stop(self) -> None:
        self._child.stop()


@pytest.fixture(params=["memory", "local", "aws"])
def run(request):
    """Run a state machine over one kind of store."""
    store, limits = {"memory": Memory, "local": Local}.get(request.param), {}
    if store is None:
        aws = request.getfixturevalue("aws")

        class Cloud(Memory):
            def __init__(self, clock):
                self.objects, self.index = aws.bucket(), aws.table(clock)

        store, limits = Cloud, {"max_examples": 3, "stateful_step_count": 10}

    def start(machine):
        quick = settings(QUICK, **{"max_examples": machine.examples} | limits)
        run_state_machine_as_test(type("Machine", (machine,), {"store": store}), settings=quick)

    return start


@pytest.fixture(scope="session")
def operator_key(tmp_path_factory):
    path = tmp_path_factory.mktemp("operator") / "operator.key"
    Credential.create(path)
    return path


def _one_at_a_time(client) -> None:
    """AWS isolates requests from each other; moto's threads share plain dicts."""
    lock, call = threading.Lock(), client._make_api_call

    def locked(*args):
        with lock:
            return call(*args)

    client._make_api_call = locked


class Aws:
    """S3, DynamoDB and the SageMaker control plane as boto3 sees them, inside this process."""

    def __init__(self) -> None:
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        self._session = boto3.Session(region_name="us-east-1", **keys)
        self.s3 = self._session.client("s3", config=Config(signature_version="s3v4"))
        self.dynamo = self._session.client("dynamodb")
        self.sagemaker = self._session.client("sagemaker")
        for client in (self.s3, self.dynamo):
            _one_at_a_time(client)
        self._made = itertools.count()

    def runtime(self, url: str):
        return self._session.client(
            "sagemaker-runtime", endpoint_url=url, config=Config(retries={"total_max_attempts": 1})
        )

    def bucket(self) -> S3Objects:
        name = f"bucket-{next(self._made)}"
        self.s3.create_bucket(Bucket=name)
        return S3Objects(self.s3, name)

    def table(self, clock) -> DynamoIndex:
        name, keys = f"table-{next(self._made)}", {"pk": "HASH", "sk": "RANGE"}
        self.dynamo.create_table(
            TableName=name,
            KeySchema=[{"AttributeName": key, "KeyType": kind} for key, kind in keys.items()],
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
            BillingMode="PAY_PER_REQUEST",
        )
        return DynamoIndex(self.dynamo, name, clock)

    def deploy(self, model: HostedModel) -> None:
        name = model.endpoint
        role = "arn:aws:iam::123456789012:role/model"
        container = {"Image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/healthval:1"}
        self.sagemaker.create_model(
            ModelName=name, PrimaryContainer=container, ExecutionRoleArn=role
        )
        serverless = {"MemorySizeInMB": model.memory_mb, "MaxConcurrency": model.max_concurrency}
        variant = {"VariantName": "all", "ModelName": name, "ServerlessConfig": serverless}
        self.sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
        self.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)


@pytest.fixture(scope="session")
def aws():
    with mock_aws():
        yield Aws()


class HubThread:
    """The same app over S3, DynamoDB and SageMaker, served from this process."""

    def __init__(self, backend: Backend, operator: Path) -> None:
        listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        settings = Settings(
            operator=read_wire(PublicKey, operator.read_bytes()),
            audiences=(self.url,),
            upload_secret=b"s" * 32,
            policy=load_policy(),
            signer=Ed25519PrivateKey.generate(),
        )
        app = create_app(backend, settings)
        self._server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        self._thread = threading.Thread(target=self._server.run, args=([listening],))
        self._thread.start()

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(LONG)


@contextmanager
def model_container(folder: Path, *options: str):
    """The container's server, as it runs on AWS, for the SageMaker runtime to call."""
    command = [sys.executable, "-m", "healthval.hosting", "serve", "--die-with-parent"]
    child = ChildProcess([*command, "--port", "0", "--model", str(folder), *options])
    yield child.first_line()["ready"]
    child.stop()


@pytest.fixture(scope="session", params=["embedded", "aws", "lambda"])
def hub(request, tmp_path_factory, operator_key):
    folder = tmp_path_factory.mktemp("hub")
    public = Path(f"{operator_key}.pub")
    if request.param == "lambda":
        if not emulator.is_installed():
            pytest.skip("the AWS emulator is not installed: sh tests/install_emulator.sh")
        unpack(request.getfixturevalue("artefact"), folder)
        running = emulator.Emulator(tmp_path_factory.mktemp("emulator"))
        try:
            with model_container(folder) as port:
                yield CloudHub(running, public, port)
        finally:
            running.stop()
        return
    if request.param == "embedded":
        running = HubProcess(folder / "data", public).start()
        yield running
        running.stop()
        return
    cloud, artefact = request.getfixturevalue("aws"), request.getfixturevalue("artefact")
    registration = registration_of(artefact)
    unpack(artefact, folder)
    with model_container(folder) as port:
        host = SageMakerHost(cloud.sagemaker, cloud.runtime(f"http://127.0.0.1:{port}"))
        record = ModelRecord(registration=registration, digest="0" * 64, status="registered")
        cloud.deploy(hosted(record))
        backend = Backend(cloud.bucket(), cloud.table(time.time), host, time.time)
        running = HubThread(backend, public)
        yield running
        running.stop()


@pytest.fixture(scope="session")
def operator(hub, operator_key):
    with Client(hub.url, Credential.load(operator_key)) as client:
        yield client


@pytest.fixture(scope="session")
def artefact(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    (folder / "inference.py").write_text(INFERENCE, encoding="utf-8")
    (folder / "weights.json").write_text('{"slope": 0.25}', encoding="utf-8")
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


def dicom(size: int, **values: str) -> bytes:
    """A DICOM file of this (even) size with marks of de-identification and these attributes."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = "2.25.1"
    dataset = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    marks = {"PatientIdentityRemoved": "YES", "DeidentificationMethod": "invented"}
    for keyword, value in (marks | values).items():
        setattr(dataset, keyword, value)
    dataset.add_new("PixelData", "OB", b"")
    short = len(_saved(dataset))
    dataset.PixelData = bytes(size - short)
    return _saved(dataset)


def _saved(dataset: FileDataset) -> bytes:
    out = io.BytesIO()
    dataset.save_as(out)
    return out.getvalue()


def case(i: int) -> str:
    return f"case-{i:016x}"


def batch(*sizes: float | str | None, first: int = 0) -> PredictionRequest:
    return PredictionRequest(
        **SUBJECT,
        cases=tuple(case(first + i) for i in range(len(sizes))),
        instances=TableInstances(columns=("size",), rows=tuple((size,) for size in sizes)),
    )


def payload(
    digest: str, *, n: int = 120, subject: Mapping[str, str] = SUBJECT, **more: object
) -> bytes:
    submission = Submission(
        **subject,
        model_digest=digest,
        healthval_version="0.1.0",
        dates="removed",
        n=n,
        n_events=40,
        noise=CountNoise(scale=2.0, variance=4.083),
        auroc=ReleasedEstimate(value=0.9, lo=0.85, hi=0.94, method="delong", n=n, n_events=40),
        certificate=Certificate(policy="cms", policy_version=1, minimum_cell=11),
        **more,
    )
    # What a site's gate writes into the certificate of a first release.
    past = AttackPassed(name="ledger-differencing", checked=0)
    attacks = (*run_checks(submission, load_policy()), past)
    certificate = submission.certificate.model_copy(update={"attacks": attacks})
    sealed = submission.model_copy(update={"certificate": certificate})
    return canonical_json(sealed.model_dump(mode="json"))


def approve(operator: Client, site: Client, **limits: int) -> None:
    grant = site.request_access(label="St. Elsewhere", **SUBJECT)
    operator.decide_access(grant, AccessDecision(status="approved", **limits))


@pytest.fixture
def new_site(hub, tmp_path):
    """Create sites that the hub does not know yet."""
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
    """Helpers that build requests."""
    return SimpleNamespace(
        PLAN=PLAN,
        SUBJECT=SUBJECT,
        LONG=LONG,
        HubProcess=HubProcess,
        model_container=model_container,
        approve=approve,
        batch=batch,
        case=case,
        dicom=dicom,
        payload=payload,
        registration_of=registration_of,
    )
