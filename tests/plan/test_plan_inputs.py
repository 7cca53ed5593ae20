"""Inputs of a plan: columns, FHIR views, linked tables and images; dates and words as written."""

from pathlib import Path

import pytest
import yaml

from healthval.errors import PlanError
from healthval.plan import load_plan

EXAMPLE = yaml.safe_load(
    (Path(__file__).parents[2] / "examples" / "plan.yaml").read_text(encoding="utf-8")
)
CANARY = "Zyxwvut-90210-Qqq"
IMAGES = {"modalities": ["CR"], "on": "mrn"}
VIEW = {
    "resource": "Patient",
    "select": [{"column": [{"name": "mrn", "path": "getResourceKey()"}]}],
}
LINKED = {
    "name": "labs",
    "table": {"columns": {"patient": {"kind": "id"}, "crp": {"kind": "number"}}},
    "link": {"on": {"mrn": "patient"}},
}


def plan_of(tmp_path, **changes):
    path = tmp_path / "plan.yaml"
    values = {k: v for k, v in (EXAMPLE | changes).items() if v is not None}
    path.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    return load_plan(path)


def text_of(tmp_path, more):
    path = tmp_path / "plan.yaml"
    path.write_text(yaml.safe_dump(EXAMPLE) + more, encoding="utf-8")
    return load_plan(path)


def test_a_model_may_read_images_alone_or_with_columns(tmp_path):
    assert plan_of(tmp_path, inputs=None, images=IMAGES).inputs == ()
    both = plan_of(tmp_path, images=IMAGES)
    assert both.inputs
    assert both.images.case == "study"


def test_columns_of_a_linked_table_are_declared_too(tmp_path):
    plan = plan_of(tmp_path, linkage=[LINKED], inputs=["crp"])
    assert set(plan.columns) == {*plan.table.columns, "patient", "crp"}


def test_dates_and_words_of_yaml_stay_as_written(tmp_path):
    more = (
        "eligibility:\n  - {step: recent, column: exam_date, not_before: 2024-02-01}\n"
        "fhir:\n  on: mrn\n  views: {patients: {resource: Patient}}\n"
    )
    plan = text_of(tmp_path, more)
    assert plan.eligibility[0].not_before == "2024-02-01"
    assert plan.fhir.on == "mrn"


@pytest.mark.parametrize("word", ["060", "1:30", "on", "No", "2024-02-01", "1_000"])
def test_a_word_that_yaml_1_1_would_convert_stays_text(tmp_path, word):
    level = {"kind": "category", "levels": {"WORD": "level_a"}}
    label = {"kind": "label", "positive": ["WORD"], "negative": ["other"]}
    columns = {"mrn": {"kind": "id"}, "code": level, "sepsis": label}
    values = EXAMPLE | {"table": {"columns": columns}, "inputs": ["code"], "subgroups": []}
    path = tmp_path / "plan.yaml"
    path.write_text(yaml.safe_dump(values).replace("WORD", word), encoding="utf-8")
    table = load_plan(path).table
    assert table.columns["code"].names == {word: "level_a"}
    assert table.columns["sepsis"].positive == (word,)


@pytest.mark.parametrize(("text", "value"), [("0.5", 0.5), ("5e-1", 0.5), ("0", 0.0), ("1", 1.0)])
def test_a_number_stays_a_number(tmp_path, text, value):
    path = tmp_path / "plan.yaml"
    rest = {name: v for name, v in EXAMPLE.items() if name not in {"thresholds", "acceptance"}}
    path.write_text(f"{yaml.safe_dump(rest)}thresholds: [{text}]\n", encoding="utf-8")
    assert load_plan(path).thresholds == (value,)


def test_a_field_that_is_written_twice_is_refused(tmp_path):
    with pytest.raises(PlanError, match="line"):
        text_of(tmp_path, "thresholds: [0.9]\n")


def test_what_the_order_of_columns_and_views_decides_is_hashed(tmp_path):
    columns = EXAMPLE["table"]["columns"]
    two = {"visit": {"kind": "id"}, **columns}
    swapped = {"mrn": two["mrn"], **two}
    first, second = (plan_of(tmp_path, table={"columns": c}).hash for c in (two, swapped))
    assert first != second
    views = {"a": VIEW, "b": VIEW}
    hashes = {
        plan_of(tmp_path, fhir={"on": "mrn", "views": v}).hash
        for v in (views, dict(reversed(views.items())))
    }
    assert len(hashes) == 2


def test_the_order_of_links_is_hashed(tmp_path):
    views = {"a": VIEW, "b": VIEW, "c": VIEW}
    link = {"on": {"mrn": "mrn"}}
    hashes = {
        plan_of(tmp_path, fhir={"on": "mrn", "views": views, "links": links}).hash
        for links in ({"b": link, "c": link}, {"c": link, "b": link})
    }
    assert len(hashes) == 2


BAD = {
    "nothing to read": ({"inputs": None}, "'inputs', 'images' or both"),
    "images by an unknown column": (
        {"images": IMAGES | {"on": CANARY}},
        "images names 1 column that",
    ),
    "patient of images unknown": (
        {"images": IMAGES | {"patient": CANARY}},
        "images names 1 column that",
    ),
    "eligibility on an unknown column": (
        {"eligibility": [{"step": "adults", "column": CANARY, "low": 18}]},
        "eligibility names 1 column that",
    ),
    "linked by an unknown column": (
        {"linkage": [LINKED | {"link": {"on": {CANARY: "patient"}}}]},
        "linkage names 1 column that",
    ),
    "two steps of one name": (
        {"linkage": [LINKED], "eligibility": [{"step": "labs", "column": "mrn", "present": True}]},
        "same name",
    ),
    "a kind that does not exist": (
        {"table": {"columns": {"mrn": {"kind": CANARY}}}},
        "none of 'id'",
    ),
    "dates that are kept": ({"dates": "kept"}, "dates"),
    "images by a number": ({"images": IMAGES | {"on": "mean_texture"}}, "neither 'id' nor"),
    "a criterion without bounds": ({"acceptance": [{"metric": "auroc"}]}, "'low', 'high' or both"),
    "bounds upside down": (
        {"acceptance": [{"metric": "auroc", "low": 0.9, "high": 0.8}]},
        "above its 'high'",
    ),
    "more steps than a flow holds": (
        {
            "eligibility": [
                {"step": f"step{i}", "column": "outline", "present": True} for i in range(24)
            ],
            "linkage": [LINKED],
        },
        "more than 24 steps",
    ),
    "a modality that is none": ({"images": IMAGES | {"modalities": [CANARY]}}, "modalities"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_plan_that_cannot_be_followed_is_refused_without_a_value(tmp_path, name):
    change, place = BAD[name]
    with pytest.raises(PlanError, match=place) as caught:
        plan_of(tmp_path, **change)
    assert CANARY not in str(caught.value)
