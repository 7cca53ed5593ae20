"""Serverless configurations: the limits of AWS, and objects of the `sagemaker` SDK by their attributes."""

from types import SimpleNamespace

import boto3
import pytest
from moto import mock_aws

from healthval.cloud.audit.template import read_template
from healthval.cloud.audit.values import ABSENT, Reference, Scope
from healthval.cloud.model_stack import stack_of
from healthval.cloud.serverless import Serverless, check_serverless, with_serverless
from healthval.contracts.model import InputContract, InputField, ModelCard, ModelRegistration
from healthval.errors import UsageError
from healthval.files import packaged
from healthval.hub.backends.aws import SageMakerHost
from healthval.hub.ports import HostedModel

REGISTRATION = ModelRegistration(
    card=ModelCard(
        name="tumour",
        version="1.0",
        title="Tumour",
        developer="Vendor",
        intended_use="triage",
        target_condition="malignancy",
    ),
    inputs=InputContract(fields=(InputField(name="size"),)),
    artefact_sha256="a" * 64,
)


class OfTheSdk:
    """The shape of `ServerlessInferenceConfig`, version 2 (defaults 2048 and 5) and 3."""

    def __init__(self, memory_size_in_mb=2048, max_concurrency=5, provisioned_concurrency=None):
        self.memory_size_in_mb = memory_size_in_mb
        self.max_concurrency = max_concurrency
        self.provisioned_concurrency = provisioned_concurrency


@pytest.mark.parametrize("make", [OfTheSdk, Serverless])
def test_a_configuration_of_either_kind_is_taken(make):
    config = make(memory_size_in_mb=6144, max_concurrency=200)
    assert check_serverless(config) == Serverless(memory_size_in_mb=6144, max_concurrency=200)
    changed = with_serverless(REGISTRATION, config)
    assert (changed.memory_mb, changed.max_concurrency) == (6144, 200)
    assert changed.card == REGISTRATION.card
    assert stack_of(changed) == stack_of(REGISTRATION)


@pytest.mark.parametrize("memory", [0, 1023, 1025, 1536, 7168, -1024, 2048.0, "2048", None, True])
def test_memory_is_one_to_six_whole_gigabytes(memory):
    with pytest.raises(UsageError, match="memory_size_in_mb must be 1024, 2048"):
        check_serverless(OfTheSdk(memory_size_in_mb=memory))
    for gigabytes in range(1, 7):
        check_serverless(OfTheSdk(memory_size_in_mb=1024 * gigabytes))


@pytest.mark.parametrize("concurrency", [0, 201, -1, 1.5, None, False])
def test_concurrency_is_1_to_200(concurrency):
    with pytest.raises(UsageError, match="from 1 to 200"):
        check_serverless(OfTheSdk(max_concurrency=concurrency))
    for value in (1, 200):
        check_serverless(OfTheSdk(max_concurrency=value))


def test_provisioned_concurrency_and_other_objects_are_refused():
    with pytest.raises(UsageError, match="billed while nobody evaluates"):
        check_serverless(OfTheSdk(provisioned_concurrency=1))
    with pytest.raises(UsageError, match="memory_size_in_mb"):
        check_serverless(SimpleNamespace())


def resolved(node, scope):
    """A node of the template with the parameters put in; references are by logical name."""
    (value,) = scope.values(node)
    if isinstance(value, dict):
        found = {key: resolved(child, scope) for key, child in value.items()}
        return {key: child for key, child in found.items() if child is not ABSENT}
    if isinstance(value, list):
        return [resolved(child, scope) for child in value]
    return "healthval-model" if isinstance(value, Reference) else value


def test_sagemaker_takes_the_resources_of_the_template_and_the_hub_finds_them_in_service():
    template = read_template(packaged("infra") / "model.yaml")
    model = HostedModel(
        name="tumour", version="1.0", artefact="a" * 64, memory_mb=4096, max_concurrency=7
    )
    image = f"123456789012.dkr.ecr.us-east-1.amazonaws.com/healthval/tumour@sha256:{'b' * 64}"
    given = {
        "Endpoint": model.endpoint,
        "Group": "tumour",
        "ImageUri": image,
        "MemoryMB": model.memory_mb,
        "MaxConcurrency": model.max_concurrency,
        "ArtefactSha256": model.artefact,
        "ModelVersion": "1.0",
        "InputsBucket": "inputs",
    }
    scope = Scope(
        parameters=template["Parameters"],
        mappings={},
        conditions=template["Conditions"],
        resources=template["Resources"],
        given={name: (value,) for name, value in given.items()},
    )
    named = {name: body["Properties"] for name, body in template["Resources"].items()}
    role = "arn:aws:iam::123456789012:role/model"
    with mock_aws():
        client = boto3.Session(
            region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
        ).client("sagemaker")
        made = resolved(named["Model"], scope) | {"ExecutionRoleArn": role}
        client.create_model(**made)
        config = resolved(named["EndpointConfig"], scope)
        config["ProductionVariants"][0]["ModelName"] = made["ModelName"]
        client.create_endpoint_config(EndpointConfigName="config", **config)
        endpoint = resolved(named["ModelEndpoint"], scope) | {"EndpointConfigName": "config"}
        client.create_endpoint(**endpoint)
        serverless = client.describe_endpoint_config(EndpointConfigName="config")
        assert serverless["ProductionVariants"][0]["ServerlessConfig"] == {
            "MemorySizeInMB": 4096,
            "MaxConcurrency": 7,
        }
        assert "InstanceType" not in serverless["ProductionVariants"][0]
        assert SageMakerHost(client, None).status(model) == "serving"
        group = resolved(named["PackageGroup"], scope)
        client.create_model_package_group(**group)
        package = resolved(named["Package"], scope) | {"ModelPackageGroupName": "tumour"}
        client.create_model_package(**package)
        assert (
            len(
                client.list_model_packages(ModelPackageGroupName="tumour")[
                    "ModelPackageSummaryList"
                ]
            )
            == 1
        )
