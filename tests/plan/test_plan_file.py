"""The plan: closed, hashed, and refused without quoting what was wrong in it."""

from pathlib import Path
from typing import get_args

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from healthval.errors import PlanError
from healthval.plan import Metric, Plan, load_plan
from healthval.report.criteria import NAMES

EXAMPLE = Path(__file__).parents[2] / "examples" / "plan.yaml"
CANARY = "Zyxwvut-90210-Qqq"


@pytest.fixture
def values():
    return yaml.safe_load(EXAMPLE.read_text())


def written(tmp_path, values):
    path = tmp_path / "plan.yaml"
    path.write_text(values if isinstance(values, str) else yaml.safe_dump(values))
    return path


def test_the_example_is_a_plan_and_its_hash_does_not_depend_on_layout(tmp_path, values):
    turned = dict(reversed(values.items()))
    assert load_plan(EXAMPLE).hash == load_plan(written(tmp_path, turned)).hash


@pytest.mark.parametrize("field", ["title", "target_condition", "thresholds", "reference_standard"])
def test_any_change_is_another_plan(tmp_path, values, field):
    before = load_plan(EXAMPLE).hash
    values[field] = [0.41] if field == "thresholds" else values[field] + " amended"
    assert load_plan(written(tmp_path, values)).hash != before


def test_plan_and_report_know_the_same_measures():
    assert set(get_args(Metric)) == set(NAMES)


@given(st.text(st.characters(codec="ascii", categories=["Ll"]), min_size=1, max_size=12))
def test_a_plan_is_closed(name):
    values = yaml.safe_load(EXAMPLE.read_text())
    if name not in Plan.model_fields:
        with pytest.raises(ValueError, match="Extra inputs"):
            Plan.model_validate({**values, name: 1}, strict=False)


BAD = {
    "no YAML": ("a: [1, 2", "line"),
    "no mapping": ("- a\n- b\n", "mapping"),
    "threshold above 1": ({"thresholds": [1.5]}, "thresholds.0"),
    "undeclared input": ({"inputs": ["mean_texture", "absent"]}, "does not declare"),
    "undeclared subgroup": ({"subgroups": ["absent"]}, "does not declare"),
    "wrong type": ({"title": [CANARY]}, "title"),
    "control character": ({"title": CANARY + "\x01"}, "title"),
    "no model": ({"model": CANARY}, "model"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_plan_is_named_by_place_and_quotes_nothing(tmp_path, values, name):
    change, place = BAD[name]
    path = written(tmp_path, change if isinstance(change, str) else values | change)
    with pytest.raises(PlanError, match=place) as caught:
        load_plan(path)
    assert CANARY not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_missing_plan_is_said_without_its_path(tmp_path):
    with pytest.raises(PlanError, match="cannot be read"):
        load_plan(tmp_path / f"{CANARY}.yaml")
