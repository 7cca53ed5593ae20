"""A plan that would fail, or mean something else, later is refused when it is read."""

from pathlib import Path

import pytest
from pydantic import TypeAdapter

import healthval
from healthval.contracts.access import PlanName
from healthval.errors import PlanError
from healthval.evaluation import plan_names

EXAMPLES = Path(__file__).parents[2] / "examples"
PLAN = (EXAMPLES / "plan.yaml").read_text("utf-8")
FHIR = (EXAMPLES / "fhir/plan.yaml").read_text("utf-8")
CANARY = "zyxwolf"
FIRST_CRP = '  links: {crp: {"on": {mrn: mrn}, date: admitted, choose: first}}\neligibility:'


def load(tmp_path, text):
    (tmp_path / "plan.yaml").write_text(text, "utf-8")
    return healthval.load_plan(tmp_path / "plan.yaml")


def changed(old, new, plan=PLAN):
    assert old in plan
    return plan.replace(old, new, 1)


def step(text):
    return changed("dates: removed", f"dates: removed\neligibility:\n  - {{step: s1, {text}}}")


def linked(column):
    table = f"{{columns: {{pid: {{kind: id}}, {column}}}}}"
    entry = f'  - {{name: labs, table: {table}, link: {{"on": {{mrn: pid}}}}}}'
    return changed("dates: removed", f"dates: removed\nlinkage:\n{entry}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (changed("threshold: 0.4, low: 0.6", "low: 0.6"), r"acceptance\.1 \(sensitivity\).*needs a 'threshold'"),
        (changed("auroc, low", "auroc, threshold: 0.4, low"), r"acceptance\.0 \(auroc\).*no threshold"),
        (changed("threshold: 0.4, low", "threshold: 0.3, low"), r"acceptance\.1.*is not judged"),
        (changed("auroc, low: 0.65", "auroc, low: 65"), r"acceptance\.0.*outside 0 to 1"),
        (changed("thresholds: [0.4]", "thresholds: [0.4, 0.4]"), "thresholds: 1 entry is repeated"),
        (changed("thresholds: [0.4]", "secure_sum: {}"), "secure_sum: the tables have a row for each"),
        (changed("dates: removed", "secure_sum: {minimum_sites: 2}"), r"secure_sum\.minimum_sites"),
        (changed("inputs: [", "inputs: [histology, "), "inputs: column 'histology' is declared 'label'"),
        (changed("inputs: [", "inputs: [mrn, "), "inputs: column 'mrn' is declared 'id'"),
        (changed("inputs: [", "inputs: [mean_texture, "), "inputs: 1 entry is repeated"),
        (changed("subgroups: [outline]", "subgroups: [mean_texture]"), "has no 'bands'"),
        (changed("subgroups: [outline]", "subgroups: [exam_date]"), "is declared 'date'"),
        (changed("    mrn: {kind: id}\n", ""), "no column is declared 'id'"),
        (changed("    histology: {kind: label, positive: [malignant], negative: [benign]}\n", ""), "'label'"),
        (changed("preset: cms", f"preset: {CANARY}"), r"disclosure\.preset"),
        (changed("high: 60", "high: 060"), "mean_texture.*a number is needed"),
        (changed("high: 60", "high: 6_0"), "mean_texture.*a number is needed"),
        (changed("high: 60", "high: true"), "mean_texture.*a number is needed"),
        (changed("thresholds: [0.4]", "thresholds: ['0.4']"), "thresholds.*a number is needed"),
        (step(f"column: outline, levels: [{CANARY}], exclude: true"), "eligibility 's1': 1 level is not"),
        (step("column: outline, low: 3"), "eligibility 's1': low and high do not fit"),
        (step("column: mean_texture, levels: [a]"), "eligibility 's1': levels do not fit"),
        (step("column: mean_texture, low: 9, high: 3"), "eligibility 's1': 'low' is above"),
        (step("column: mean_texture, low: 61"), "eligibility 's1': no value of column 'mean_texture'"),
        (step("column: mean_texture, low: ~"), "the step states no condition"),
        (step("column: outline, levels: []"), "the step states no condition"),
        (step("column: outline, levels: [1]"), r"eligibility\.0\.levels: a step lists levels by the names"),
        (changed("[plain, intricate]", "[1, 2]"), r"outline.*levels: a level is a name: .*translate"),
        (changed("[plain, intricate]", "{true: plain, false: intricate}"), "outline.*write it in quotes"),
        (changed("[plain, intricate]", "plain"), "outline.*levels are a list of names"),
        (changed("[plain, intricate]", "[]"), "outline.*levels are a list of names"),
        (changed("[plain, intricate]", "{1: plain, 1.0: intricate}"), r"line \d+: a field is written twice"),
        (changed("[plain, intricate]", '{1: plain, "1.0": intricate}'), "one text, such as 1 and 1.0"),
        (changed("high: 60", "high: 60, bands: [30, 61]"), r"mean_texture: an edge of 'bands' is outside"),
        (changed("dates: removed", "dates: removed\ndates: shifted"), r"line \d+: a field is written twice"),
        (step("column: exam_date, not_before: 2024-02-31"), "eligibility.*the date does not exist"),
        (step("column: exam_date, before: 2024-01-01, not_before: 2024-01-01"), "is not earlier"),
        (step("column: exam_date, within: {of: admitted}"), "eligibility 's1'.*does not declare"),
        (step("column: exam_date, within: {of: outline}"), "eligibility 's1'.*not 'date'"),
        (step("column: exam_date, within: {of: exam_date, days_after: 1_0}"), "a number is needed"),
        (step("column: exam_date, present: true").replace("s1", "scored"), "choose another"),
        (changed("path: birthDate", "path: 'birthDate('", FHIR), r"fhir\.views\.patients: "),
        (changed("name: mrn, path: getResourceKey()", "name: pid, path: getResourceKey()", FHIR), r"fhir\.views\.patients: .*'mrn'"),
        (changed("unit_column: crp_unit", "unit_column: crp_unit, convert: {mmol/L: ucum}", FHIR), "no conversion from mmol/L"),
        (changed("unit_column: crp_unit", 'unit_column: crp_unit, convert: {mg/dL: 10, "mg/dl": 9}', FHIR), "name one unit twice"),
        (changed("unit_column: crp_unit", "unit_column: crp_unit, convert: {mg/l: 2}", FHIR), "name one unit twice"),
        (changed("resource: Patient", "resource: Patiente", FHIR), r"fhir\.views\.patients: .*no such resource type"),
        (changed("eligibility:", FIRST_CRP, FHIR), r"fhir\.views\.crp: .*'admitted', the 'date' of its link"),
        (changed("name: crp_sign", "name: sex", FHIR), r"fhir\.views\.crp: view 'patients' has a column 'sex' too"),
        (changed("preset: cms", "preset: cms, minimum_cell: 5"), r"disclosure\.minimum_cell: it is below 11"),
        (step("column: outline, levels: [plain, intricate], exclude: true"), "eligibility 's1': every level"),
        (linked("mean_texture: {kind: number}"), "linkage 'labs': column 'mean_texture' is declared in another table"),
        (changed("dates: removed", "date: removed"), "date: this field does not exist; correct"),
        (changed('version: "1.0"', "version: 1.10"), r"model\.version: a text is needed; write it in quotes"),
        (changed(', version: "1.0"', ""), r"model\.version: this field is required"),
        (changed("study: breast", "study: Breast"), "study: the text is not 2 to 63 small letters"),
        (changed("title: Aspirate", "title: <b>Aspirate"), "title: the text contains <, >"),
        (changed("{kind: date}", "date"), "exam_date: a mapping of fields is needed"),
        (changed("mrn: {kind: id}\n", "mrn: {kind: id}\n    age-now: {kind: age}\n"), "table: column 'age-now' is an age, an input or a subgroup, and reports"),
        (changed("[plain, intricate]", "[plain, MRN_4711_0012]"), "table: column 'outline' has 1 level with a name"),
        (step("column: outline, levels: [plain]").replace("s1", "born_12_March_1953"), r"eligibility\.0\.step: give"),
        (changed("title: Aspirate", "title: MRN 4711-0012"), "title: give the study a title"),
    ],
)  # fmt: skip
def test_what_fails_later_is_refused_with_its_place(tmp_path, text, message):
    with pytest.raises(PlanError, match=message) as refused:
        load(tmp_path, text)
    assert CANARY not in str(refused.value)


def test_only_names_that_a_report_can_contain_are_registered(tmp_path):
    """A record number's own name, such as Pat-Nr, would be refused by the hub."""
    names = plan_names(load(tmp_path, PLAN.replace("mrn", "Pat-Nr")))
    assert "Pat-Nr" not in names
    assert {"outline", "mean_texture", "plain"} <= set(names)
    assert all(TypeAdapter(PlanName).validate_python(name) == name for name in names)


@pytest.mark.parametrize("path", sorted(EXAMPLES.rglob("plan.yaml")), ids=str)
def test_the_examples_are_accepted(path):
    assert healthval.load_plan(path).hash


@pytest.mark.parametrize(
    "text",
    [
        step("column: outline, levels: [plain]"),
        step("column: histology, levels: [positive]"),
        changed("[plain, intricate]", "{1: plain, 2: intricate, -1: intricate}"),
        step("column: exam_date, within: {of: exam_date, days_after: 2}"),
        changed("preset: cms", "preset: nhs"),
        PLAN.replace("mrn", "Pat-Nr"),  # never named in a report
        changed("preset: cms", "preset: cms, minimum_cell: 11"),
        step("column: outline, levels: [plain], exclude: true"),
        linked("crp: {kind: number}"),
        changed(
            "unit_column: crp_unit",
            'unit_column: crp_unit, convert: {mg/dL: ucum, "µg/L": 0.001}',
            FHIR,
        ),
        changed("high: 0.3}", "high: 0.3, missing: ['.', -999], below_limit: half}"),
    ],
)
def test_sound_plans_are_accepted(tmp_path, text):
    assert load(tmp_path, text).hash


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("gender", "gender.first()"),
        ("below_limit: half", "below_limit: value"),
        ("code = '1988-5'", "code = '1988-6'"),
        ("unit: mg/L", "unit: mg/dL"),
        ("high: 1000", "high: 1000, missing: [-1]"),
    ],
)
def test_the_hash_covers_what_changes_a_number(tmp_path, old, new):
    assert load(tmp_path, FHIR).hash != load(tmp_path, changed(old, new, FHIR)).hash
