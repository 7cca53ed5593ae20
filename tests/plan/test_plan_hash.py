"""Every field of a plan that can change a number, a case or the message changes its hash."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from healthval.plan import Plan

PLAN: dict[str, Any] = {
    "study": "hash-study",
    "title": "Every field of a plan",
    "target_condition": "sepsis",
    "reference_standard": "chart review",
    "model": {"name": "ward-risk", "version": "1.0"},
    "table": {
        "readers": "majority",
        "verification": "partial",
        "columns": {
            "visit": {"kind": "id"},
            "mrn": {"kind": "cluster"},
            "seen": {"kind": "date", "missing": ["1900-01-01"]},
            "age": {"kind": "age", "at": "seen", "bands": [40, 65], "missing": ["?"]},
            "sex": {"kind": "category", "levels": {"1": "male", "2": "female"}, "missing": ["9"]},
            "crp": {
                "kind": "number",
                "low": 0.5,
                "high": 500,
                "unit": "mg/L",
                "unit_column": "crp_unit",
                "convert": {"mg/dL": 10.0, "g/L": "ucum"},
                "other_units": "exclude",
                "comparator_column": "crp_sign",
                "below_limit": "half",
                "missing": [-999],
                "bands": [5, 50],
            },
            "reader_1": {
                "kind": "label",
                "positive": ["yes"],
                "negative": ["no"],
                "indeterminate": ["unclear"],
                "missing": ["not read"],
            },
            "reader_2": {"kind": "label", "positive": [1], "negative": [0]},
        },
    },
    "fhir": {
        "on": "mrn",
        "views": {
            "patients": {"resource": "Patient", "select": [{"column": [{"name": "mrn", "path": "id"}]}]},
            "lactate": {
                "resource": "Observation",
                "where": [{"path": "status = 'final'"}],
                "constant": [{"name": "code", "valueString": "2524-7"}],
                "select": [{"column": [{"name": "mrn", "path": "subject.id"}]}],
            },
        },
        "links": {
            "lactate": {
                "on": {"mrn": "mrn"},
                "anchor": "seen",
                "date": "lactate_at",
                "days_before": 3,
                "days_after": 1,
                "choose": "nearest",
                "required": False,
            }
        },
    },
    "linkage": [
        {
            "name": "outcomes",
            "table": {"columns": {"key": {"kind": "id"}, "bmi": {"kind": "number"}}},
            "link": {"on": {"mrn": "key"}},
        }
    ],
    "eligibility": [
        {"step": "adults", "column": "age", "low": 18, "high": 110},
        {"step": "men", "column": "sex", "levels": ["male"], "exclude": True},
        {"step": "recent", "column": "seen", "not_before": "2020-01-01", "before": "2024-01-01"},
        {
            "step": "near",
            "column": "seen",
            "within": {"of": "seen", "days_before": 2, "days_after": 4},
        },
        {"step": "measured", "column": "crp", "present": True},
    ],
    "inputs": ["age", "sex", "crp"],
    "images": {
        "on": "visit",
        "by": "series",
        "modalities": ["CR"],
        "case": "image",
        "patient": "mrn",
    },
    "thresholds": [0.3, 0.5],
    "subgroups": ["sex"],
    "levels": {"rule": "fold", "minimum": 40},
    "secure_sum": {"minimum_sites": 4},
    "acceptance": [{"metric": "sensitivity", "low": 0.7, "high": 0.9, "threshold": 0.3}],
    "disclosure": {"preset": "strict", "minimum_cell": 12},
    "dates": "shifted",
    "sample_size": {"planned_cases": 400, "rationale": "Width of an interval."},
}  # fmt: skip
OTHERS: dict[str, tuple[Any, ...]] = {
    "rule": ("exclude",),
    "kind": ("drop",),
    "readers": ("unanimous",),
    "verification": ("complete",),
    "choose": ("first", "last"),
    "other_units": ("refuse",),
    "below_limit": ("value", "exclude"),
    "dates": ("removed",),
    "metric": ("specificity",),
    "case": ("study",),
    "g/L": (5.0,),
    "by": ("study",),
    "preset": ("cms",),
    "not_before": ("2019-01-01",),
    "before": ("2025-01-01",),
    "version": ("2.0",),
    "unit": ("g/L",),
}


def leaves(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths of all values that are no list and no mapping."""
    if isinstance(node, (dict, list)):
        items = node.items() if isinstance(node, dict) else enumerate(node)
        for key, value in items:
            yield from leaves(value, (*path, key))
    else:
        yield path


def others(path: tuple[Any, ...], value: Any) -> Iterator[Any]:
    """Other values that may fit at a place."""
    yield from OTHERS.get(str(path[-1]), ())
    if path[0] == "images":
        yield "DX"
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, (int, float)):
        yield from (value + 1, value / 2, value + 0.01)
    elif isinstance(value, str):
        yield from (f"{value}x", f"{value} x", "age", "crp", "reader_1", "seen", "mrn")


def changed(path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    plan = copy.deepcopy(PLAN)
    node = plan
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    return plan


def without(path: tuple[Any, ...]) -> dict[str, Any]:
    plan = copy.deepcopy(PLAN)
    node: Any = plan
    for key in path[:-1]:
        node = node[key]
    del node[path[-1]]
    return plan


def hash_of(plan: dict[str, Any]) -> str | None:
    """Hash of a plan; None if it is refused."""
    try:
        return Plan.model_validate(plan, strict=False).hash
    except ValidationError:
        return None


WHOLE = hash_of(PLAN)
PLACES = list(leaves(PLAN))


def test_the_plan_is_one():
    assert WHOLE is not None
    assert len(PLACES) > 80


@pytest.mark.parametrize("path", PLACES, ids=lambda path: ".".join(map(str, path)))
def test_another_value_anywhere_is_another_plan(path):
    node: Any = PLAN
    for key in path:
        node = node[key]
    hashes = [hash_of(changed(path, value)) for value in others(path, node) if value != node]
    found = [h for h in hashes if h is not None]
    # Another kind has other fields, and "seen" is the only date.
    assert found or path[-1] in {"kind", "at"}
    assert WHOLE not in found


@pytest.mark.parametrize("path", PLACES, ids=lambda path: ".".join(map(str, path)))
def test_a_plan_without_a_value_is_another_plan_or_none(path):
    assert hash_of(without(path)) != WHOLE


@pytest.mark.parametrize("name", ["thresholds", "eligibility", "inputs"])
def test_the_order_of_a_list_is_hashed(name):
    assert hash_of(PLAN | {name: PLAN[name][::-1]}) != WHOLE


def test_equal_plans_in_another_layout_have_one_hash():
    turned = dict(reversed(PLAN.items()))
    turned["images"] = dict(reversed(PLAN["images"].items()))
    assert hash_of(turned) == WHOLE
