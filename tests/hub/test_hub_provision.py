"""A model is provisioned on AWS: shown, deployed, tried, rolled back and torn down.

The stack is a real change set on the emulator and the hub its Lambda function; the emulator has no
SageMaker, so a stand-in answers for the endpoint, and calls go to the container's server.
"""

import pytest
import yaml
from botocore.exceptions import ClientError
from click.testing import CliRunner
from cloud_hub import STACK
from emulator import KEYS

from healthval.cli import cli
from healthval.cloud.model_stack import deploy_model, plan_model, stack_of, tear_down_model
from healthval.errors import DeploymentError, HubError, UsageError
from healthval.runner import ProvisionParameters
from healthval.runner.provision import pack_artefact, plan_provision, provision, read_registration

MODEL = """
def load(model_dir):
    return None

def predict(model, instances):
    return [row["size"] / 4 for row in instances]
"""
# Answers its first trial with percentages, and later ones as it should if `again`.
FAULTY = """
asked = []

def load(model_dir):
    return None

def predict(model, instances):
    asked.append(len(instances))
    scale = 1 if {again} and len(asked) > 1 else 400
    return [row["size"] / 4 * scale for row in instances]
"""
IMAGE = f"123456789012.dkr.ecr.us-east-1.amazonaws.com/healthval/x@sha256:{'a' * 64}"


pytestmark = pytest.mark.parametrize("hub", ["lambda"], indirect=True)


@pytest.fixture
def cloud(hub):
    return hub


@pytest.fixture
def account(cloud):
    return cloud.account


@pytest.fixture
def vendor(tmp_path):
    """Write a vendor's folder; a model that needs another input than "size" fails its trial call."""

    def write(name, version="1.0", field="size"):
        folder = tmp_path / f"{name}-{version}"
        (folder / "artefact").mkdir(parents=True)
        (folder / "artefact" / "inference.py").write_text(f"{MODEL}# {name}", encoding="utf-8")
        card = {"name": name, "version": version, "title": "Tumour", "developer": "Vendor"}
        card |= {"intended_use": "triage", "target_condition": "malignancy"}
        content = {"card": card, "inputs": {"fields": [{"name": field, "low": 0, "high": 4}]}}
        path = folder / "registration.yaml"
        path.write_text(yaml.safe_dump(content | {"memory_mb": 2048}), encoding="utf-8")
        return path, folder / "artefact"

    return write


@pytest.fixture
def prepared(vendor, operator):
    def register(*arguments, **options):
        path, artefact = vendor(*arguments, **options)
        registration = read_registration(path, artefact)
        operator.register_model(registration, pack_artefact(artefact))
        return registration

    return register


def deployed(cloud, operator, registration, image=IMAGE):
    plan = plan_model(cloud.account, registration, image=image, hub=STACK)
    return plan, deploy_model(cloud.account, operator, registration, plan)


def status_of(operator, registration):
    return operator.model(registration.card.name, registration.card.version).status


def has_repository(cloud, name):
    try:
        cloud.client("ecr").describe_repositories(repositoryNames=[f"healthval/{name}"])
    except ClientError:
        return False
    return True


def test_a_model_is_shown_deployed_resumed_and_torn_down(cloud, account, operator, prepared):
    registration = prepared("provisioned")
    stack = stack_of(registration)
    shown = plan_model(account, registration, image=IMAGE, hub=STACK)
    assert {change.name for change in shown.changes.changes} >= {"Role", "Logs", "Repository"}
    assert (shown.changes.before, round(shown.changes.after.usd, 2)) == (None, 0.33)
    account.discard(shown.changes)
    assert account.describe(stack) is None
    assert status_of(operator, registration) == "registered"

    _, outputs = deployed(cloud, operator, registration)
    assert outputs["Endpoint"] == stack
    assert status_of(operator, registration) == "serving"
    assert has_repository(cloud, "provisioned")
    again, _ = deployed(cloud, operator, registration)  # an interrupted run is repeated
    assert again.changes is None
    with pytest.raises(UsageError, match="another image already"):
        plan_model(account, registration, image=IMAGE.replace("a" * 64, "b" * 64), hub=STACK)

    later = prepared("provisioned", "2.0")
    plan, _ = deployed(cloud, operator, later)
    assert plan.parameters["Version"] == "later"
    assert account.models_of(STACK)[-1] == stack
    with pytest.raises(UsageError, match="tear them down first"):
        tear_down_model(account, operator, registration)
    for version in (later, registration):
        tear_down_model(account, operator, version)
        assert account.describe(stack_of(version)) is None
        assert status_of(operator, version) == "stopped"
    assert not has_repository(cloud, "provisioned")
    assert account.describe(STACK) is not None


def test_a_model_that_fails_its_trial_call_is_rolled_back(cloud, account, operator, prepared):
    registration = prepared("failing", field="weight")
    stack = stack_of(registration)
    with pytest.raises(DeploymentError, match=r"fails a trial call.*is deleted.*is stopped"):
        deployed(cloud, operator, registration)
    assert account.describe(stack) is None
    assert status_of(operator, registration) == "stopped"
    assert not has_repository(cloud, "failing")


def test_a_rollback_keeps_the_repository_that_was_there_before(cloud, account, operator, prepared):
    registration = prepared("pushed", field="weight")
    plan, outputs = deployed(cloud, operator, registration, image="")
    assert not plan.has_image
    assert outputs["Repository"].endswith("healthval/pushed")
    assert status_of(operator, registration) == "registered"
    with pytest.raises(DeploymentError, match="its repository is kept"):
        deployed(cloud, operator, registration)
    kept = account.describe(stack_of(registration))
    assert {p["ParameterKey"]: p["ParameterValue"] for p in kept["Parameters"]}["ImageUri"] == ""
    assert has_repository(cloud, "pushed")
    assert status_of(operator, registration) == "stopped"
    tear_down_model(account, operator, registration)


@pytest.mark.parametrize(
    ("answers_again", "words"), [(True, "serves as before"), (False, "stopped")]
)
def test_a_version_that_served_is_restored(
    cloud, account, operator, prepared, kit, tmp_path, answers_again, words
):
    name = "served" if answers_again else "broken"
    registration = prepared(name)
    deployed(cloud, operator, registration)
    changed = registration.model_copy(update={"max_concurrency": 7})
    plan = plan_model(account, changed, image=IMAGE, hub=STACK)
    (tmp_path / "inference.py").write_text(FAULTY.format(again=answers_again), encoding="utf-8")
    failure = pytest.raises(DeploymentError, match=f"as before.*{words}")
    with kit.model_container(tmp_path) as port, cloud.other_model(port), failure:
        deploy_model(account, operator, changed, plan)
    kept = account.describe(stack_of(registration))
    parameters = {p["ParameterKey"]: p["ParameterValue"] for p in kept["Parameters"]}
    assert parameters["MaxConcurrency"] == str(registration.max_concurrency)
    assert status_of(operator, registration) == ("serving" if answers_again else "stopped")
    assert has_repository(cloud, name)
    tear_down_model(account, operator, registration)


def test_what_cannot_be_planned_is_refused_before_anything_is_made(account, prepared):
    registration = prepared("refused")
    for image in ("repository:latest", f"repository@sha256:{'a' * 63}", "@sha256:" + "a" * 64):
        with pytest.raises(UsageError, match="needs its digest"):
            plan_model(account, registration, image=image, hub=STACK)
    with pytest.raises(UsageError, match="there is no hub other"):
        plan_model(account, registration, image=IMAGE, hub="other")
    assert account.describe(stack_of(registration)) is None


def test_the_notebook_provisions_on_the_emulator(
    cloud, account, operator, operator_key, vendor, tmp_path, monkeypatch
):
    path, artefact = vendor("notebook")
    for name, value in {**KEYS, "AWS_ENDPOINT_URL": cloud.emulator.url}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    words = {
        "hub_url": cloud.url,
        "operator_key": operator_key,
        "registration": path,
        "artefact": artefact,
        "target": "emulator",
        "hub_stack": STACK,
        "image": IMAGE,
    }

    def run(**more):
        options = [
            word for name, value in (words | more).items() for word in ("-p", name, str(value))
        ]
        done = CliRunner().invoke(cli, ["run", "provision", *options], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        (page,) = sorted(tmp_path.rglob("provision*.ipynb"), key=lambda p: p.stat().st_mtime)[-1:]
        return page.read_text(encoding="utf-8")

    registration = read_registration(path, artefact)
    shown = run()
    assert "nothing is deployed; set execute=True" in shown
    assert "0.00 before, $0.33 after, +0.33" in shown
    assert account.describe(stack_of(registration)) is None
    with pytest.raises(HubError):
        status_of(operator, registration)
    assert "notebook 1.0 is serving" in run(execute="true")
    assert status_of(operator, registration) == "serving"
    parameters = ProvisionParameters.check(words | {"execute": True, "tear_down": True})
    planned = plan_provision(parameters, registration)
    done = provision(parameters, operator, registration, planned)
    assert repr(done) == f"notebook 1.0 is stopped; the stack {stack_of(registration)} is deleted"
    assert account.describe(stack_of(registration)) is None
