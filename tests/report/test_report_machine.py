"""Machine-readable files: metrics.json fits its published schema, and the model cards their formats."""

import copy
import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import jsonschema
import pytest
import yaml

from healthval.report import build, with_signer
from healthval.report.cards import CHAI_NAMESPACE, NOT_STATED, chai_card, model_card
from healthval.report.metrics_schema import metrics_schema_text
from healthval.report.publish import metrics_json

PUBLISHED = Path(__file__).parents[2] / "schemas" / "metrics.schema.json"
# Elements of the CHAI Applied Model Card v0.2 that its schema requires, in the schema's order.
CHAI_ORDER = {
    "AppliedModelCard": "BasicInfo ReleaseInfo ModelSummary UsesAndDirections Warnings"
    " TrustIngredients KeyMetrics Resources Bibliography",
    "BasicInfo": "ModelName ModelDeveloper DeveloperContact",
    "ReleaseInfo": "ReleaseStage ReleaseDate ReleaseVersion GlobalAvailability",
    "ModelSummary": "Summary Keywords",
    "UsesAndDirections": "IntendedUseAndWorkflow PrimaryIntendedUsers HowToUse"
    " TargetedPatientPopulation CautionedOutOfScopeSettings",
    "Warnings": "KnownRisksAndLimitations KnownBiasesOrEthicalConsiderations ClinicalRiskLevel",
    "TrustIngredients": "AISystemFacts TransparencyInformation",
    "AISystemFacts": "OutcomesAndOutputs ModelType InputDataSource OutputAndInputDataTypes"
    " DevelopmentDataCharacterization BiasMitigationApproaches OngoingMaintenance",
    "TransparencyInformation": "FundingSource StakeholdersConsulted",
    "KeyMetrics": "UsefulnessUsabilityEfficacy FairnessEquity SafetyReliability",
    "Resources": "PeerReviewedPublications PatientConsentOrDisclosure",
    "MetricResult": "Label ValueJson",
}
METRIC = (
    "MetricGoal Results Interpretation TestType TestingDataDescription"
    " ValidationProcessAndJustification"
)
CHAI_ORDER |= dict.fromkeys(CHAI_ORDER["KeyMetrics"].split(), METRIC)


@pytest.fixture(scope="module")
def schema():
    return json.loads(PUBLISHED.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def numbers(report):
    return json.loads(metrics_json(report))


def test_the_published_schema_is_not_stale():
    assert PUBLISHED.read_text(encoding="utf-8") == metrics_schema_text(), (
        "write it anew: python -c 'from healthval.report.metrics_schema import"
        ' metrics_schema_text as t; open("schemas/metrics.schema.json", "w").write(t())\''
    )


def test_the_numbers_fit_the_schema_with_and_without_a_signer(schema, report, numbers):
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(numbers, schema)
    named = with_signer(report, Ed25519PrivateKey.generate().public_key())
    jsonschema.validate(json.loads(metrics_json(named)), schema)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("format",), "other"),
        (("study", "auroc", "value"), "0.8"),
        (("verdicts", 0, "outcome"), "passed"),
        (("tripod_ai", "covered"), -1),
        (("model_card", "version"), "one"),
        (("signer",), {"fingerprint": "short"}),
    ],
)
def test_a_wrong_number_does_not_fit_the_schema(schema, numbers, place, value):
    wrong = copy.deepcopy(numbers)
    inside = wrong
    for step in place[:-1]:
        inside = inside[step]
    inside[place[-1]] = value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, schema)


@pytest.mark.parametrize("name", ["study", "released", "plan", "verdicts"])
def test_a_missing_part_does_not_fit_the_schema(schema, numbers, name):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({k: v for k, v in numbers.items() if k != name}, schema)


def local(element):
    return element.tag.removeprefix(f"{{{CHAI_NAMESPACE}}}")


def test_the_chai_card_has_the_elements_of_its_schema_in_order(numbers):
    root = ET.fromstring(chai_card(numbers))
    seen = set()
    for element in root.iter():
        name = local(element)
        assert element.tag.startswith("{" + CHAI_NAMESPACE)
        if name in CHAI_ORDER:
            assert [local(child) for child in element] == CHAI_ORDER[name].split()
            seen.add(name)
        elif name not in {"Results", "Keywords"}:
            assert not len(element)
            assert element.text
    assert seen == set(CHAI_ORDER)


def test_the_chai_results_are_the_pooled_numbers_with_their_intervals(numbers):
    root = ET.fromstring(chai_card(numbers))
    found = {
        result[0].text: json.loads(result[1].text)
        for result in root.iter(f"{{{CHAI_NAMESPACE}}}MetricResult")
    }
    auroc = numbers["study"]["auroc"]
    assert found["AUROC, mean over sites"] == {
        "kind": "estimate_ci",
        "estimate": auroc["value"],
        "lower": auroc["ci"][0],
        "upper": auroc["ci"][1],
        "level": 95,
        "unit": "",
    }
    for label, value in found.items():
        assert label.endswith("(not pooled)") == (value.get("value", 0) is None)


def test_a_card_of_one_site_has_no_pooled_value(simulated, site_of, card, plan):
    from healthval.aggregate import pool

    released = simulated([site_of(200)])
    report = build(pool(tuple(released.items())), released, card, plan)
    assert b"AUROC, mean over sites (not pooled)" in chai_card(report.numbers)
    assert yaml.safe_load(model_card(report.numbers).split(b"---\n")[1])["model-index"]


def test_the_model_card_has_the_pooled_numbers_as_metadata(numbers):
    head = yaml.safe_load(model_card(numbers).split(b"---\n")[1])
    (model,) = head["model-index"]
    (result,) = model["results"]
    assert model["name"] == "node-risk"
    values = {metric["type"]: metric["value"] for metric in result["metrics"]}
    assert values["auroc"] == numbers["study"]["auroc"]["value"]


def test_statements_stay_statements_in_both_cards(study, released, card, plan):
    planted = card.model_copy(
        update={
            "population": "",
            "intended_use": "[click](https://example.org) | a & b\n# heading\n---\n",
        }
    )
    numbers = build(study, released, planted, plan).numbers
    text = model_card(numbers).decode()
    assert r"\[click\](https://example.org) \| a & b \# heading ---" in text
    assert text.count("\n---\n") == 1
    assert NOT_STATED in text
    root = ET.fromstring(chai_card(numbers))
    assert root.find(f".//{{{CHAI_NAMESPACE}}}Summary").text == planted.intended_use


def test_a_character_that_xml_forbids_is_replaced(numbers):
    wrong = copy.deepcopy(numbers)
    wrong["model_card"]["title"] = "a\ufffe\x00\ud800b"
    name = ET.fromstring(chai_card(wrong)).find(f".//{{{CHAI_NAMESPACE}}}ModelName")
    assert name.text == "a\ufffd\ufffd\ufffdb"


def test_the_same_numbers_give_the_same_cards(report, numbers):
    again = replace(report, numbers=json.loads(metrics_json(report))).numbers
    assert chai_card(again) == chai_card(numbers)
    assert model_card(again) == model_card(numbers)
