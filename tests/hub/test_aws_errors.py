"""AWS unreachable, throttled or failing: the errors of the ports, without texts of boto."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import pytest
from botocore.config import Config

from healthval.hub.backends import aws as aws_backend
from healthval.hub.backends.aws import S3_CONFIG, DynamoIndex, S3Objects, SageMakerHost
from healthval.hub.ports import HostedModel, HostUnavailable, ModelFailed, StoreUnavailable, Write


def hosted(name, version="1.0"):
    return HostedModel(
        name=name, version=version, artefact="0" * 64, memory_mb=1024, max_concurrency=1
    )


MODEL = hosted("tumour")
CODE = """
import os, time

def load(model_dir):
    return None

def predict(model, instances):
    if instances[0] == "fail":
        raise ValueError
    if isinstance(instances[0], str):
        open(instances[0] + ".begun", "w").close()
        while not os.path.exists(instances[0]):
            time.sleep(0.01)
    return [0.5]
"""


def unreachable(service: str):
    """Client of a service at a port without a listener."""
    return boto3.client(
        service,
        region_name="us-east-1",
        endpoint_url="http://127.0.0.1:9",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}, connect_timeout=1, signature_version="v4"),
    )


def test_an_unreachable_store_is_reported_without_a_key():
    objects, index = (
        S3Objects(unreachable("s3"), "bucket"),
        DynamoIndex(unreachable("dynamodb"), "t", time.time),
    )
    for call in (
        lambda: objects.put_if_absent("a/x.json", b""),
        lambda: objects.get("a/x.json"),
        lambda: objects.delete("a/x.json"),
        lambda: objects.keys("a/"),
        lambda: index.get("p", "k"),
        lambda: index.query("p"),
        lambda: index.commit([Write(partition="p", key="k", value={})]),
    ):
        with pytest.raises(StoreUnavailable) as gone:
            call()
        assert str(gone.value) == ""
        assert gone.value.__suppress_context__


def test_a_missing_table_is_no_conflict(aws):
    with pytest.raises(StoreUnavailable):
        DynamoIndex(aws.dynamo, "none", time.time).commit([Write(partition="p", key="k", value={})])


def test_an_endpoint_that_is_not_deployed_is_reported(aws):
    host = SageMakerHost(aws.sagemaker, None)
    nowhere = hosted("never-deployed")
    assert host.status(nowhere) == "stopped"
    with pytest.raises(ModelFailed, match="endpoint is stopped; deploy"):
        host.start(nowhere)


@pytest.fixture(scope="module")
def host(kit, tmp_path_factory, aws):
    folder = tmp_path_factory.mktemp("model")
    (folder / "inference.py").write_text(CODE, encoding="utf-8")
    with kit.model_container(folder, "--max-concurrency", "1") as port:
        yield SageMakerHost(None, aws.runtime(f"http://127.0.0.1:{port}"))


def ask(host, instance):
    return host.invoke(MODEL, json.dumps({"instances": [instance]}).encode())


def test_a_failure_of_the_model_is_distinct_from_a_busy_host(host, tmp_path):
    assert json.loads(ask(host, 0)) == {"scores": [0.5]}
    with pytest.raises(ModelFailed):
        ask(host, "fail")
    with pytest.raises(ModelFailed):
        host.invoke(MODEL, b" " * (4 * 1024 * 1024 + 1))
    gate = tmp_path / "gate"
    busy = threading.Thread(target=ask, args=(host, str(gate)))
    busy.start()
    while not gate.with_suffix(".begun").exists():
        time.sleep(0.01)
    with pytest.raises(HostUnavailable):
        ask(host, 0)
    gate.touch()
    busy.join()


def test_an_unreachable_host_may_be_repeated():
    with pytest.raises(HostUnavailable):
        ask(SageMakerHost(unreachable("sagemaker"), unreachable("sagemaker-runtime")), 0)
    with pytest.raises(HostUnavailable):
        SageMakerHost(unreachable("sagemaker"), None).status(MODEL)


def test_endpoint_names_fit_sagemaker_and_no_two_models_share_one():
    models = [
        hosted(name, version)
        for name in ("a", "a-1", "m" * 63, "m" * 62 + "n", "x" * 39 + "-y")
        for version in ("1", "1.1", "1.1.0")
    ]
    names = {model.endpoint for model in models}
    assert len(names) == len(models)
    for name in names:
        assert len(name) <= 63
        assert not name.endswith("-")
        assert "--" not in name


class Runtime(ThreadingHTTPServer):
    """Answers of the SageMaker runtime as AWS documents them, in order; the last one repeats."""

    daemon_threads = True

    def __init__(self, *answers: tuple[int, dict]) -> None:
        self.answers, self.calls = list(answers), 0
        self.closing = threading.Event()
        runtime = self

        class Answer(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                status, content = runtime.answers[min(runtime.calls, len(runtime.answers) - 1)]
                runtime.calls += 1
                if status == 0:
                    runtime.closing.wait(300)
                    return
                body = json.dumps(content).encode()
                self.send_response(status)
                if "type" in content:
                    self.send_header("x-amzn-errortype", content["type"])
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Keep the tests quiet."""

        super().__init__(("127.0.0.1", 0), Answer)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def host(self) -> SageMakerHost:
        client = boto3.client(
            "sagemaker-runtime",
            region_name="us-east-1",
            endpoint_url=f"http://127.0.0.1:{self.server_address[1]}",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(
                retries={"total_max_attempts": 1},
                read_timeout=1 if (0, {}) in self.answers else 300,
            ),
        )
        return SageMakerHost(None, client)


def failure(status, message, kind="ModelError"):
    return 424, {"type": kind, "OriginalStatusCode": status, "OriginalMessage": message}


GOOD = (200, {"scores": [0.5]})
COLD = failure(500, "Received server error (0) from primary with message ''")


@pytest.fixture
def quick_pauses(monkeypatch):
    monkeypatch.setattr(aws_backend, "COLD_PAUSES", (0.0, 0.0))


@pytest.fixture
def runtime(quick_pauses):
    made = []

    def make(*answers):
        made.append(Runtime(*answers))
        return made[-1]

    yield make
    for one in made:
        one.closing.set()
        one.shutdown()
        one.server_close()


def test_a_failed_cold_start_is_repeated_and_then_the_models_failure(runtime):
    starts = runtime(COLD, COLD, GOOD)
    assert json.loads(ask(starts.host(), 0)) == {"scores": [0.5]}
    assert starts.calls == 3
    never = runtime(COLD)
    with pytest.raises(ModelFailed, match="does not start"):
        ask(never.host(), 0)
    assert never.calls == 3


def test_the_models_own_failure_is_not_repeated_and_a_busy_one_is_no_failure(runtime):
    broken = runtime(failure(500, '{"error": "the model failed"}'))
    with pytest.raises(ModelFailed):
        ask(broken.host(), 0)
    assert broken.calls == 1
    for busy in (
        failure(429, '{"error": "busy"}'),
        failure(503, '{"error": "starting"}'),
        (429, {"type": "ThrottlingException"}),
        (503, {"type": "ServiceUnavailable"}),
    ):
        with pytest.raises(HostUnavailable):
            ask(runtime(busy).host(), 0)


def test_a_call_without_an_answer_in_time_is_not_billed_twice(runtime):
    silent = runtime((0, {}))
    with pytest.raises(ModelFailed, match="in time"):
        ask(silent.host(), 0)
    assert silent.calls == 1


def test_deleted_objects_are_in_the_bucket_without_versions(aws):
    data, inputs = aws.bucket(), aws.bucket()
    store = S3Objects(aws.s3, data._data, inputs._data)
    keys = ["answers/s/a.json", "objects/o.bin", "requests/s/r.json", "uploads/s/u.dcm"]
    for key in keys:
        store.put_if_absent(key, key.encode())
    assert inputs.keys("") == [key for key in keys if not key.startswith("objects/")]
    assert data.keys("") == ["objects/o.bin"]
    assert store.keys("") == keys
    assert store.keys("uploads/") == ["uploads/s/u.dcm"]
    assert store.address("uploads/s/u.dcm").startswith(f"s3://{inputs._data}/")
    for key in keys:
        assert store.get(key) == key.encode()
        store.delete(key)
    assert store.keys("") == []


@pytest.mark.parametrize("region", ["us-east-1", "eu-west-1"])
def test_upload_addresses_have_the_host_of_their_region(region):
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    client = boto3.client("s3", region_name=region, config=S3_CONFIG, **keys)
    url = S3Objects(client, "data", "inputs").offer("uploads/s/u.dcm", 9, "0" * 64, 60).url
    assert url.startswith(f"https://inputs.s3.{region}.amazonaws.com/uploads/s/u.dcm?")
    assert "X-Amz-Algorithm=AWS4-HMAC-SHA256" in url


def test_a_client_whose_addresses_redirect_or_are_not_covered_is_refused():
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    for config, region in ((Config(signature_version="s3"), "us-east-1"),):
        client = boto3.client("s3", region_name=region, config=config, **keys)
        with pytest.raises(ValueError, match="S3_CONFIG"):
            S3Objects(client, "data").offer("uploads/s/u.dcm", 9, "0" * 64, 60)
