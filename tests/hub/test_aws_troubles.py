"""AWS out of reach, throttled or failing: a few errors of our own, and none of boto's words."""

import json
import subprocess
import sys
import time

import boto3
import pytest
from botocore.config import Config

from healthval.hub.backends.aws import DynamoIndex, S3Objects, SageMakerHost
from healthval.hub.ports import HostedModel, HostUnavailable, ModelFailed, StoreUnavailable, Write


def hosted(name, version="1.0"):
    return HostedModel(
        name=name, version=version, artefact="0" * 64, memory_mb=1024, max_concurrency=1
    )


MODEL = hosted("tumour")
CODE = """
import time

def load(model_dir):
    return None

def predict(model, instances):
    if instances[0] == "fail":
        raise ValueError
    time.sleep(instances[0])
    return [0.5]
"""


def nobody(service: str):
    """A client of a service that nobody listens for."""
    return boto3.client(
        service,
        region_name="us-east-1",
        endpoint_url="http://127.0.0.1:9",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}, connect_timeout=1, signature_version="v4"),
    )


def test_stores_out_of_reach_say_so_and_name_no_key():
    objects, index = (
        S3Objects(nobody("s3"), "bucket"),
        DynamoIndex(nobody("dynamodb"), "t", time.time),
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


def test_an_endpoint_that_is_not_deployed_is_told(aws):
    host = SageMakerHost(aws.sagemaker, None)
    nowhere = hosted("never-deployed")
    assert host.status(nowhere) == "stopped"
    with pytest.raises(ModelFailed, match="endpoint is stopped; deploy"):
        host.start(nowhere)


@pytest.fixture(scope="module")
def host(tmp_path_factory, aws):
    folder = tmp_path_factory.mktemp("model")
    (folder / "inference.py").write_text(CODE)
    command = [sys.executable, "-m", "healthval.hosting", "serve", "--die-with-parent"]
    with subprocess.Popen(
        [
            *command,
            "--port",
            "0",
            "--model",
            str(folder),
            "--max-concurrency",
            "1",
            "--seconds",
            "1",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        port = json.loads(process.stdout.readline())["ready"]
        yield SageMakerHost(None, aws.runtime(f"http://127.0.0.1:{port}"))
        process.stdin.close()


def ask(host, instance):
    return host.invoke(MODEL, json.dumps({"instances": [instance]}).encode())


def test_the_models_failure_is_told_from_the_hosts_trouble(host):
    import threading

    assert json.loads(ask(host, 0)) == {"scores": [0.5]}
    with pytest.raises(ModelFailed):
        ask(host, "fail")
    with pytest.raises(ModelFailed):
        host.invoke(MODEL, b" " * (4 * 1024 * 1024 + 1))
    busy = threading.Thread(target=ask, args=(host, 0.6))
    busy.start()
    time.sleep(0.2)
    with pytest.raises(HostUnavailable):
        ask(host, 0)
    busy.join()


def test_a_host_out_of_reach_may_be_asked_again():
    with pytest.raises(HostUnavailable):
        ask(SageMakerHost(nobody("sagemaker"), nobody("sagemaker-runtime")), 0)
    with pytest.raises(HostUnavailable):
        SageMakerHost(nobody("sagemaker"), None).status(MODEL)


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
