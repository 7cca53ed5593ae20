"""Model cards for machines, from the report's numbers: CHAI Applied Model Card and Hugging Face.

References
----------
Coalition for Health AI, Applied Model Card v0.2 (https://mc.chai.org/v0.2/schema.xsd); Hugging Face
model card metadata with ``model-index``, which MLflow reads as an artefact of the model.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from xml.etree import ElementTree as ET

import yaml

CHAI, MODEL_CARD = "card.chai.xml", "model-card.md"
CHAI_NAMESPACE = "https://mc.chai.org/v0.2/schema.xsd"
NOT_STATED = "Not stated by the developer."
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_MARKDOWN = re.compile(r"([\\`*_\[\]#!|~<>])")

Numbers = Mapping[str, Any]
Fields = list[tuple[str, Any]]


def chai_card(numbers: Numbers) -> bytes:
    """Return the CHAI Applied Model Card as XML, valid against its schema; reproducible.

    The developer's statements come from the model card, the results from the pooled study. Missing
    statements are named as missing.
    """
    root = ET.Element("AppliedModelCard", {"xmlns": CHAI_NAMESPACE})
    _fill(root, _sections(numbers))
    ET.indent(root)
    body: bytes = ET.tostring(root, "utf-8")
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + body + b"\n"


def _fill(parent: ET.Element, fields: Fields) -> None:
    for name, value in fields:
        child = ET.SubElement(parent, name)
        if isinstance(value, list):
            _fill(child, value)
        else:
            child.text = _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", value)


def _sections(numbers: Numbers) -> Fields:
    card = numbers["model_card"]
    return [
        ("BasicInfo", _basic(card)),
        ("ReleaseInfo", _release(card)),
        ("ModelSummary", [("Summary", card["intended_use"]), ("Keywords", [])]),
        ("UsesAndDirections", _uses(card)),
        ("Warnings", _warnings(card)),
        ("TrustIngredients", _trust(card)),
        ("KeyMetrics", _key_metrics(numbers)),
        (
            "Resources",
            [("PeerReviewedPublications", NOT_STATED), ("PatientConsentOrDisclosure", NOT_STATED)],
        ),
        ("Bibliography", NOT_STATED),
    ]


def _basic(card: Numbers) -> Fields:
    return [
        ("ModelName", card["title"]),
        ("ModelDeveloper", card["developer"]),
        ("DeveloperContact", NOT_STATED),
    ]


def _release(card: Numbers) -> Fields:
    return [
        ("ReleaseStage", NOT_STATED),
        ("ReleaseDate", NOT_STATED),
        ("ReleaseVersion", card["version"]),
        ("GlobalAvailability", NOT_STATED),
    ]


def _uses(card: Numbers) -> Fields:
    return [
        ("IntendedUseAndWorkflow", card["intended_use"]),
        ("PrimaryIntendedUsers", NOT_STATED),
        ("HowToUse", NOT_STATED),
        ("TargetedPatientPopulation", card["population"] or NOT_STATED),
        ("CautionedOutOfScopeSettings", card["out_of_scope"] or NOT_STATED),
    ]


def _warnings(card: Numbers) -> Fields:
    return [
        ("KnownRisksAndLimitations", card["limitations"] or NOT_STATED),
        ("KnownBiasesOrEthicalConsiderations", NOT_STATED),
        ("ClinicalRiskLevel", NOT_STATED),
    ]


def _trust(card: Numbers) -> Fields:
    facts: Fields = [
        ("OutcomesAndOutputs", f"Probability of: {card['target_condition']}"),
        ("ModelType", NOT_STATED),
        ("InputDataSource", NOT_STATED),
        ("OutputAndInputDataTypes", NOT_STATED),
        ("DevelopmentDataCharacterization", card["training_data"] or NOT_STATED),
        ("BiasMitigationApproaches", NOT_STATED),
        ("OngoingMaintenance", NOT_STATED),
    ]
    told: Fields = [("FundingSource", NOT_STATED), ("StakeholdersConsulted", NOT_STATED)]
    return [("AISystemFacts", facts), ("TransparencyInformation", told)]


def _key_metrics(numbers: Numbers) -> Fields:
    study = numbers["study"]
    useful = [("AUROC, mean over sites", study["auroc"])]
    fair = [
        (f"AUROC, {group['variable']}: {group['level']}", group["auroc"])
        for group in study["subgroups"]
    ]
    safe = [("O:E, mean over sites", study["oe"]), ("Slope, mean over sites", study["slope"])]
    goals = "; ".join(f"{v['criterion']} {v['target']}" for v in numbers["verdicts"])
    return [
        ("UsefulnessUsabilityEfficacy", _metric(numbers, goals or "No criterion.", useful)),
        ("FairnessEquity", _metric(numbers, "AUROC within each subgroup of the plan.", fair)),
        ("SafetyReliability", _metric(numbers, "Calibration at hospitals.", safe)),
    ]


def _metric(numbers: Numbers, goal: str, measures: list[tuple[str, Any]]) -> Fields:
    plan, study = numbers["plan"], numbers["study"]
    results = [_result(label, measure) for label, measure in measures]
    nothing = _result("No measure was released", {"value": None, "ci": None})
    verdicts = "; ".join(f"{v['criterion']}: {v['outcome']}" for v in numbers["verdicts"])
    return [
        ("MetricGoal", goal),
        ("Results", results or [nothing]),
        ("Interpretation", f"Verdicts of the plan's criteria: {verdicts or 'none'}."),
        ("TestType", f"External validation; hospitals: {study['k']}."),
        (
            "TestingDataDescription",
            f"Cases: {_total(study['n'])}. Target condition: {plan['target_condition']}.",
        ),
        (
            "ValidationProcessAndJustification",
            f"Plan {plan['plan_hash']}. Reference standard: {plan['reference_standard']}.",
        ),
    ]


def _result(label: str, measure: Numbers) -> tuple[str, Fields]:
    value, ci = measure["value"], measure["ci"]
    if value is None:
        shown: dict[str, Any] = {"kind": "single", "value": None}
        label = f"{label} (not pooled)"
    elif ci is None:
        shown = {"kind": "single", "value": value}
    else:
        shown = {"kind": "estimate_ci", "estimate": value, "lower": ci[0], "upper": ci[1]}
        shown |= {"level": 95, "unit": ""}
    return "MetricResult", [("Label", label), ("ValueJson", json.dumps(shown))]


def _total(total: Numbers) -> str:
    lower, upper = total["lower"], total["upper"]
    if upper is None:
        return f"at least {lower}"
    return str(lower) if lower == upper else f"{lower} to {upper}"


def model_card(numbers: Numbers) -> bytes:
    """Return a model card in Markdown with ``model-index`` metadata; reproducible."""
    card = numbers["model_card"]
    head = yaml.safe_dump(_metadata(numbers), allow_unicode=True, sort_keys=True)
    lines = [f"# {_plain(card['title'])}", "", *_statements(card), *_results(numbers)]
    return f"---\n{head}---\n\n{chr(10).join(lines)}\n".encode()


def _metadata(numbers: Numbers) -> dict[str, Any]:
    card, study = numbers["model_card"], numbers["study"]
    measures = {name: study[name]["value"] for name in ("auroc", "oe", "slope")}
    metrics = [
        {"type": name, "name": f"{name}, mean over sites", "value": value}
        for name, value in measures.items()
        if value is not None
    ]
    result = {
        "task": {"type": "tabular-classification", "name": card["target_condition"]},
        "dataset": {"type": "external-validation", "name": numbers["plan"]["title"]},
        "metrics": metrics,
    }
    index = [{"name": card["name"], "results": [result] if metrics else []}]
    return {"tags": ["healthval", "external-validation"], "model-index": index}


def _statements(card: Numbers) -> Iterator[str]:
    for heading, name in (
        ("Developer", "developer"),
        ("Version", "version"),
        ("Intended use", "intended_use"),
        ("Population", "population"),
        ("Out of scope", "out_of_scope"),
        ("Training data", "training_data"),
        ("Limitations", "limitations"),
    ):
        yield from (f"## {heading}", "", _plain(card[name] or NOT_STATED), "")


def _results(numbers: Numbers) -> Iterator[str]:
    study = numbers["study"]
    yield from ("## External validation", "")
    yield f"Hospitals: {study['k']}. Cases: {_total(study['n'])}. Plan: `{study['plan_hash']}`."
    yield from ("", "| criterion | target | result | verdict |", "|---|---|---|---|")
    for verdict in numbers["verdicts"]:
        cells = (verdict["criterion"], verdict["target"], _shown(verdict), verdict["outcome"])
        yield "| " + " | ".join(_plain(cell) for cell in cells) + " |"


def _shown(verdict: Numbers) -> str:
    result = verdict["result"]
    if result["value"] is None:
        return str(result["why"])
    if result["lo"] is None or result["hi"] is None:
        return f"{result['value']:g}"
    return f"{result['value']:.3g} ({result['lo']:.3g} to {result['hi']:.3g})"


def _plain(text: str) -> str:
    """Escape Markdown and join lines, so that a statement stays a statement."""
    return _MARKDOWN.sub(r"\\\1", " ".join(text.split()))
