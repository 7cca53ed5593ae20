"""AWS unreachable, throttled or failing: the errors of the ports, without texts of boto."""

import json
import threading
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
