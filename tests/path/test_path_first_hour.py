"""A stranger's first hour on the command line: models, a plan from a contract, all mistakes at once."""

import json

import pandas as pd
import pytest
import yaml
from click.testing import CliRunner

from healthval.cli import cli
from healthval.client import Client, Credential
from healthval.contracts.access import AccessDecision
from healthval.disclosure import release
from healthval.errors import HubError, PlanError, UsageError
from healthval.evaluation import (
    Site,
    Sources,
    cohort_of,
    evaluate,
    gate_policy,
    request_access,
    submit_if,
)
from healthval.plan import load_plan

MODEL = ("aspirate-risk", "1.0")


def healthval(*words):
    return CliRunner().invoke(cli, [str(word) for word in words])


@pytest.fixture
def asked(stage, tmp_path):
    """A site that has asked for access; the operator has not decided."""
    site = Site.create(tmp_path / "site")
    with Client(stage.url, site.credential) as client:
        request_access(stage.plan, client, site=site, label="First hour")
    return site


@pytest.fixture
def home(stage, tmp_path):
    """A site whose access is approved."""
    return stage.approved_site(tmp_path / "home")


def options(stage, site):
    return ("--hub", stage.url, "--key", site.folder / "site.key")


@pytest.fixture
def ours(stage, home):
    return options(stage, home)


def test_models_are_listed_with_their_contract(ours):
    assert "aspirate-risk 1.0  3 inputs" in healthval("models", *ours).output
    assert healthval("models", "list", *ours).output == healthval("models", *ours).output
    shown = healthval("models", "show", "aspirate-risk", *ours).output
    assert "mean_texture             number    0 to 60" in shown
    unknown = healthval("models", "show", "no-such-model", *ours)
    assert isinstance(unknown.exception, UsageError)


def test_before_approval_a_site_sees_names_and_versions_only(stage, asked):
    with Client(stage.url, asked.credential) as client:
        listed = client.transport.send("GET", "/v1/models")
        assert json.loads(listed)["models"] == []
        assert {"name": MODEL[0], "version": MODEL[1]} in json.loads(listed)["others"]
        assert all(word.encode() not in listed for word in ("mean_texture", "digest", "fields"))
        assert {c.inputs for c in client.contracts()} == {None}


def test_before_approval_each_command_says_when_the_contract_is_shown(
    stage, asked, plan_file, tmp_path
):
    keys = options(stage, asked)
    begun = healthval("init", tmp_path / "begun", "--model", MODEL[0], *keys)
    checked = healthval("check", plan_file(), *keys)
    shown = healthval("models", "show", MODEL[0], *keys)
    for text in (str(begun.exception), checked.output, shown.output):
        assert "to a site after the operator has approved its access" in text
        assert "healthval access request" in text
    assert "of its other columns the model could take" in checked.output
    assert isinstance(begun.exception, HubError)
    assert isinstance(checked.exception, PlanError)
    assert not (tmp_path / "begun").exists()


def test_after_approval_the_contract_is_the_registered_one(stage, home):
    with Client(stage.url, home.credential) as client:
        found = {(c.name, c.version): c.inputs for c in client.contracts()}
    assert found[MODEL] == stage.operator.model(*MODEL).registration.inputs
    assert all(inputs is None for model, inputs in found.items() if model != MODEL)


def table_of(stage):
    return stage.inputs / "north" / "cohort.csv"


def test_a_study_starts_from_a_contract_and_names_what_the_table_lacks(stage, ours, tmp_path):
    short = tmp_path / "short.csv"
    pd.read_csv(table_of(stage), dtype=str).drop(columns="mean_texture").to_csv(short, index=False)
    done = healthval("init", tmp_path / "begun", "--from", short, "--model", MODEL[0], *ours)
    assert done.exit_code == 0, done.output
    assert "missing      mean_texture: the model takes it" in done.output
    values = yaml.safe_load((tmp_path / "begun" / "plan.yaml").read_text(encoding="utf-8"))
    assert values["model"] == {"name": MODEL[0], "version": MODEL[1]}
    assert values["inputs"] == ["mean_texture", "mean_smoothness", "mean_symmetry"]
    assert values["table"]["columns"]["mean_texture"]["high"] == 60
    unknown = healthval("init", tmp_path / "other", "--model", "no-such-model", *ours)
    assert isinstance(unknown.exception, HubError)
    assert not (tmp_path / "other").exists()


@pytest.fixture
def plan_file(stage, tmp_path):
    """Write the demo's plan with changes."""

    def write(**changes):
        values = yaml.safe_load((stage.inputs / "plan.yaml").read_text(encoding="utf-8"))
        path = tmp_path / "plan.yaml"
        path.write_text(yaml.safe_dump({**values, **changes}, sort_keys=False), encoding="utf-8")
        return path

    return write


def test_a_plan_its_table_and_its_model_that_fit(stage, plan_file, ours):
    done = healthval("check", plan_file(), "--table", table_of(stage), *ours)
    assert done.exit_code == 0, done.output
    assert "plan, the model's contract, data; hash " + stage.plan.hash in done.output


def test_all_mistakes_of_a_plan_are_named_at_once(stage, plan_file):
    wrong = {"thresholds": [50], "disclosure": {"preset": "csm"}, "subgroups": ["gender"]}
    wrong |= {"acceptance": [{"metric": "auc", "low": 0.7}], "title": ""}
    done = healthval("check", plan_file(**wrong), "--table", table_of(stage))
    assert isinstance(done.exception, PlanError)
    assert "5 problems" in str(done.exception)
    for place in ("thresholds.0", "disclosure.preset", "subgroups names", "acceptance.0", "title"):
        assert place in done.output
    again = healthval("plan", "check", plan_file(**wrong)).exception
    assert "title" in str(again)
    assert "disclosure.preset" in str(again)


def test_all_mistakes_of_a_table_are_named_at_once_without_a_value(stage, plan_file, tmp_path):
    frame = pd.read_csv(table_of(stage), dtype=str).drop(columns="mean_symmetry")
    frame.loc[3, "mean_texture"] = "9417.25"
    frame.loc[5, "mean_smoothness"] = "Zyx-441"
    label = next(n for n, c in stage.plan.table.columns.items() if c.kind == "label")
    frame.loc[7, label] = "Zyx-442"
    frame.to_csv(tmp_path / "bad.csv", index=False)
    done = healthval("check", plan_file(), "--table", tmp_path / "bad.csv")
    assert isinstance(done.exception, PlanError)
    for name in ("mean_symmetry", "mean_texture", "mean_smoothness", label):
        assert name in done.output
    assert "Zyx" not in done.output + str(done.exception)
    assert "9417" not in done.output + str(done.exception)


def test_a_model_that_the_hub_lacks_hides_no_other_mistake(stage, plan_file, ours):
    wrong = {"model": {"name": "aspirate-other", "version": "1.0"}, "subgroups": ["gender"]}
    done = healthval("check", plan_file(**wrong), "--table", table_of(stage), *ours)
    assert isinstance(done.exception, PlanError)
    assert "subgroups names 1 column" in done.output
    assert "hub: the hub has no such model" in done.output


def test_inputs_that_the_model_does_not_take_are_named(stage, plan_file, ours):
    done = healthval("check", plan_file(inputs=["mean_texture"]), *ours)
    assert isinstance(done.exception, PlanError)
    assert "mean_smoothness" in done.output


@pytest.fixture
def wards(stage, plan_file, tmp_path):
    """Write a table with few cases of one ward, and a plan with that subgroup: `wards(levels=...)`."""

    def write(few, **changes):
        frame = pd.read_csv(table_of(stage), dtype=str)
        values = yaml.safe_load((stage.inputs / "plan.yaml").read_text(encoding="utf-8"))
        frame["ward"] = [
            "east" if i < few else "north" if i % 2 else "west" for i in range(len(frame))
        ]
        frame.to_csv(tmp_path / "wards.csv", index=False)
        columns = {"ward": {"kind": "category", "levels": ["east", "north", "west"]}}
        table = {**values["table"], "columns": {**values["table"]["columns"], **columns}}
        return plan_file(table=table, subgroups=["ward"], **changes), tmp_path / "wards.csv"

    return write


def advice(plan, table):
    done = healthval("check", plan, "--table", table)
    assert done.exit_code == 0, done.output
    return [line for line in done.output.splitlines() if line.startswith("advice")]


def test_levels_that_would_be_withheld_are_advised_about_before_anyone_is_asked(wards):
    (line,) = advice(*wards(4))
    assert "subgroup ward: 1 level has fewer than 11 cases here (east)" in line
    assert "the gate would withhold results of" in line
    # 13 cases are enough for a count and too few of one class: this hid whole comparisons in silence.
    (line,) = advice(*wards(13))
    assert "1 level has fewer than 11 cases with or without the condition here (east)" in line
    assert "'levels: {rule: exclude, minimum: 50}' in the plan" in line
    assert not advice(*wards(13, levels="exclude"))


def test_a_study_without_its_small_levels_runs_through_the_hub(stage, wards, tmp_path):
    path, table = wards(13, levels={"rule": "exclude", "minimum": 20})
    plan = load_plan(path)
    site = Site.create(tmp_path / "wards")
    with Client(stage.url, site.credential) as client:
        grant = request_access(plan, client, site=site, label="Wards")
        stage.operator.decide_access(grant, AccessDecision(status="approved"))
        result = evaluate(plan, cohort_of(plan, Sources(table)), client)
        message = release(result, gate_policy(plan), site.ledger)
        submit_if(True, message, client, site)
    flow = dict(result.flow)
    assert (
        flow["with_reference" if "with_reference" in flow else "rows_read"] - flow["scored"] == 13
    )
    assert {s.level for s in result.evaluation.subgroups} == {"north", "west"}
    asked = sum(entry.body["n_cases"] for entry in site.ledger.entries() if entry.kind == "payload")
    assert asked <= flow["scored"] + 16  # canary cases; the excluded ones are not sent


def test_a_vendor_gets_a_key_and_is_enrolled(stage, tmp_path):
    key = tmp_path / "vendor.key"
    made = healthval("vendor", "key", key)
    assert made.exit_code == 0, made.output
    assert isinstance(healthval("vendor", "key", key).exception, UsageError)
    operator = ("--hub", stage.url, "--key", stage.folder / "operator.key")
    words = (f"{key}.pub", "--label", "Invented Ltd", "--model", MODEL[0])
    absent = healthval("vendor", "enrol", *operator, *words[:-1], "ward-rsk")
    assert (absent.exit_code, "not yet at the hub: ward-rsk" in absent.stderr) == (0, True)
    done = healthval("vendor", "enrol", *operator, *words)
    assert done.exit_code == 0, done.output
    assert not done.stderr
    with Client(stage.url, Credential.load(key)) as client:
        client.reports()
        assert [c for c in client.contracts() if c.name == MODEL[0] and c.inputs is not None]
