"""The documentation agrees with the code."""

import re
from pathlib import Path

from healthval.deid import Option, Policy, explain
from healthval.deid.dicom.profile import markdown, resolve, rules
from healthval.deid.policy import _DATE_OPTION

PAGE = Path(__file__).parents[2] / "docs" / "deidentification.md"


def test_the_table_of_the_page_is_the_one_the_code_makes():
    assert PAGE.read_text(encoding="utf-8").split("<!-- table -->\n\n")[1] == markdown()


def test_every_option_is_on_the_page():
    assert all(f"`{option}`" in PAGE.read_text(encoding="utf-8") for option in Option)


def test_the_names_used_on_the_page_can_be_imported():
    import healthval.deid as room

    for line in re.findall(r"from healthval\.deid import (.+)", PAGE.read_text(encoding="utf-8")):
        assert all(hasattr(room, name.strip()) for name in line.split(","))


def test_explain_names_the_option_responsible():
    shifted = {row.keyword: row for row in explain(Policy(dates="shift"))}
    assert shifted["StudyDate"].because == _DATE_OPTION["shift"] == "retain-modified-dates"
    assert shifted["StudyDate"].meaning == "shifted by the patient's offset"
    assert shifted["PatientName"].because == "profile"
    assert len(explain(Policy())) == len(rules())


def test_every_action_of_every_policy_has_a_meaning():
    for policy in (Policy(), *(Policy(options={o}) for o in Option if o != "clean-pixel-data")):
        assert all(row.meaning for row in explain(policy))
        assert all(resolve(rule, policy)[0] for rule in rules())
