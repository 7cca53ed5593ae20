"""Statements of the study and of the developer are printed; missing ones are listed by name."""

import re
from dataclasses import replace

import pytest

from healthval.contracts.report import DeveloperReporting, StudyReporting
from healthval.report import build
from healthval.report.sections.checklist import ITEMS
from healthval.report.sections.stated import DEVELOPER, STUDY


def words(section):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", section._repr_html_()))


def test_every_field_of_the_contracts_has_a_label():
    assert set(STUDY) == set(StudyReporting.model_fields)
    assert set(DEVELOPER) == set(DeveloperReporting.model_fields)


def test_what_nobody_stated_is_owed_by_name(report):
    text = words(report.section("stated"))
    assert "Not stated by the sites: clinical context and existing models;" in text
    assert "Not stated by the developer: place in care and intended users;" in text


@pytest.mark.parametrize(
    ("field", "item"), [("ethics", "17"), ("funding", "18a"), ("recruitment_dates", "5b")]
)
def test_a_statement_of_the_plan_is_printed_and_covers_its_item(
    study, released, card, plan, report, field, item
):
    stated = replace(plan, reporting=StudyReporting(**{field: "As approved, no. 12-345."}))
    with_it = build(study, released, card, stated)
    assert "As approved, no. 12-345." in words(with_it.section("stated"))
    assert item in with_it.numbers["tripod_ai"]["held"]
    assert item not in report.numbers["tripod_ai"]["held"]
    assert with_it.numbers["plan"]["reporting"][field] == "As approved, no. 12-345."
    assert with_it.numbers["tripod_ai"]["covered"] == report.numbers["tripod_ai"]["covered"] + 1


def test_a_statement_of_the_developer_covers_its_item(study, released, card, plan):
    told = card.model_copy(update={"reporting": DeveloperReporting(expertise="Cytologists.")})
    report = build(study, released, told, plan)
    assert "Cytologists." in words(report.section("stated"))
    assert "27b" in report.numbers["tripod_ai"]["held"]


def test_items_are_numbered_once():
    assert len({item.number for item in ITEMS}) == len(ITEMS)
