"""The published JSON Schema is that of the plan, and refuses the same values."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from healthval.plan import load_plan, plan_schema_text

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "schemas" / "plan.schema.json").read_text(encoding="utf-8"))


def test_the_published_schema_is_not_stale():
    published = (ROOT / "schemas" / "plan.schema.json").read_text(encoding="utf-8")
    assert published == plan_schema_text(), (
        "write it anew: python -c 'from healthval.plan import plan_schema_text as t;"
        ' open("schemas/plan.schema.json", "w").write(t())\''
    )


@pytest.mark.parametrize(
    "path", sorted((ROOT / "examples").rglob("plan.yaml")), ids=lambda p: p.parent.name
)
def test_every_example_names_the_schema_and_fits_it(path):
    first = path.read_text(encoding="utf-8").splitlines()[0]
    named = first.removeprefix("# yaml-language-server: $schema=")
    assert (path.parent / named).resolve() == ROOT / "schemas" / "plan.schema.json"
    jsonschema.validate(load_plan(path).model_dump(mode="json", exclude_defaults=True), SCHEMA)


@pytest.mark.parametrize(
    "change",
    [{"thresholds": [1.5]}, {"inputs": "lactate"}, {"dates": "kept"}, {"surplus": 1}],
    ids=lambda change: next(iter(change)),
)
def test_the_schema_refuses_what_the_plan_refuses(change):
    values = yaml.safe_load((ROOT / "examples" / "plan.yaml").read_text(encoding="utf-8"))
    jsonschema.validate(values, SCHEMA)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(values | change, SCHEMA)
