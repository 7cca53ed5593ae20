"""Names and sentences of labels, model cards and plans are what a reader sees."""

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from healthval.contracts.base import Line, Paragraph, digest
from healthval.contracts.report import StudyReporting
from healthval.contracts.table import SourceColumn
from healthval.contracts.text import unseen
from healthval.plan import load_plan

ROOT = Path(__file__).parents[2]

SHAPES = [TypeAdapter(shape) for shape in (Line, Paragraph, SourceColumn)]
HONEST = [
    "Hôpital d'Été, Zürich",
    "東京病院",
    "مستشفى الشمال",
    "بیمارستان می\u200cلاد",
    "अस्पताल",
    "ශ්\u200dරී ලංකා",
    "בית חולים",
    "Кλινική 3/4 № 2",
]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", HONEST)
def test_honest_names_in_every_script_stay(shape, name):
    assert shape.validate_python(name) == name


# Signs of Arabic, Syriac, Kaithi, Egyptian and shorthand writing, and musical notation: visible.
SCRIPTS_OWN = {
    chr(i)
    for a, b in [
        (0x600, 0x605),
        (0x6DD, 0x6DD),
        (0x70F, 0x70F),
        (0x890, 0x891),
        (0x8E2, 0x8E2),
        (0x110BD, 0x110BD),
        (0x110CD, 0x110CD),
        (0x13430, 0x1345F),
        (0x1BCA0, 0x1BCA3),
        (0x1D173, 0x1D17A),
    ]
    for i in range(a, b + 1)
}
FORMATS = [
    chr(i)
    for i in range(0x110000)
    if unicodedata.category(chr(i)) in {"Cc", "Cf", "Zl", "Zp"}
    and chr(i) not in SCRIPTS_OWN | {"\t", "\n"}
]


def test_every_format_character_is_counted_in_a_latin_name():
    assert [c for c in FORMATS if unseen(f"No{c}rd") != 1] == []


@given(st.sampled_from(SHAPES), st.text(max_size=5), st.sampled_from(FORMATS), st.text(max_size=5))
def test_control_and_format_characters_are_refused(shape, before, bad, after):
    if bad in "\u200c\u200d":
        before, after = "", "a"  # between Latin letters
    with pytest.raises(ValidationError) as told:
        shape.validate_python(f"a{before}{bad}{after}")
    assert bad not in str(told.value)


@pytest.mark.parametrize("name", ["No\u200crd", "\u200cمی", "می\u200d", "a\u200db\u200dc"])
def test_joiners_are_refused_where_no_letters_join(name):
    for shape in SHAPES:
        with pytest.raises(ValidationError):
            shape.validate_python(name)


def test_a_plan_without_statements_keeps_its_hash():
    plan = load_plan(ROOT / "examples" / "plan.yaml")
    with_field = plan.model_dump(mode="json")
    assert with_field.pop("reporting") is None
    assert with_field.pop("levels") is None
    assert with_field.pop("monitoring") is None
    assert with_field.pop("secure_sum") is None
    assert with_field["table"].pop("sources") == {}
    order = {"case_key": plan.table.of_kind("id")[:1], "first_view": None}
    assert plan.hash == digest({**with_field, "order": order})
    stated = plan.model_copy(update={"reporting": StudyReporting(ethics="No. 1")})
    assert stated.hash != plan.hash
