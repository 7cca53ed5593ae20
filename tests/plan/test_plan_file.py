"""The plan: closed, hashed, and refused without quoting a value."""

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
    return yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))


def written(tmp_path, values):
    path = tmp_path / "plan.yaml"
    text = values if isinstance(values, str) else yaml.safe_dump(values)
    path.write_text(text, encoding="utf-8")
    return path


def test_the_example_is_a_plan_and_its_hash_does_not_depend_on_layout(tmp_path, values):
    turned = dict(reversed(values.items()))
    assert load_plan(EXAMPLE).hash == load_plan(written(tmp_path, turned)).hash


@pytest.mark.parametrize("field", ["title", "target_condition", "thresholds", "reference_standard"])
def test_any_change_is_another_plan(tmp_path, values, field):
    before = load_plan(EXAMPLE).hash
    values[field] = [0.4, 0.41] if field == "thresholds" else values[field] + " amended"
    assert load_plan(written(tmp_path, values)).hash != before


def test_plan_and_report_know_the_same_measures():
    assert set(get_args(Metric)) == set(NAMES)


@given(st.text(st.characters(codec="ascii", categories=["Ll"]), min_size=1, max_size=12))
def test_a_plan_is_closed(name):
    values = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
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


def test_a_missing_plan_is_reported_with_its_name_and_the_folder_searched(tmp_path):
    with pytest.raises(PlanError, match="check the path") as caught:
        load_plan(tmp_path / "unknown.yaml")
    assert "unknown.yaml" in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_a_plan_in_another_encoding_is_refused(tmp_path):
    path = tmp_path / "plan.yaml"
    path.write_bytes(f"title: {CANARY} é".encode("latin-1"))
    with pytest.raises(PlanError, match=r"not UTF-8 text; compare it with one of `healthval init`"):
        load_plan(path)


def test_a_plan_with_a_byte_order_mark_and_windows_line_ends_is_the_same_plan(tmp_path, values):
    path = tmp_path / "plan.yaml"
    text = yaml.safe_dump(values).replace("\n", "\r\n")
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert load_plan(path).hash == load_plan(EXAMPLE).hash
