"""A policy records its choices and refuses contradictions."""

import pytest

from healthval.deid import Option, PixelPolicy, Policy
from healthval.errors import UsageError


def test_the_default_is_the_basic_profile_with_dates_removed():
    assert Policy().options == frozenset()
    assert Policy().dates == "remove"


@pytest.mark.parametrize(
    ("dates", "option"),
    [("shift", Option.RETAIN_MODIFIED_DATES), ("keep", Option.RETAIN_FULL_DATES)],
)
def test_dates_and_their_option_are_one_choice(dates, option):
    assert Policy(dates=dates) == Policy(options={option}) == Policy(options=[option.value])
    assert Policy(options={option}).dates == dates
    assert hash(Policy(dates=dates)) == hash(Policy(options={option}))


@pytest.mark.parametrize(
    "contradiction",
    [
        {"options": {Option.RETAIN_FULL_DATES, Option.RETAIN_MODIFIED_DATES}},
        {"options": {Option.RETAIN_FULL_DATES}, "dates": "shift"},
        {"options": {Option.RETAIN_MODIFIED_DATES}, "dates": "keep"},
        {"options": {Option.CLEAN_PIXEL_DATA}},
        {"private_allowlist": {("ACME", 0x0019, 0x0C)}},
        {"options": {"retain-everything"}},
        {"options": "retain-uids"},
        {"dates": "forget"},
    ],
)
def test_contradictions_and_unknown_options_are_refused(contradiction):
    with pytest.raises(UsageError):
        Policy(**contradiction)


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("Retain UIDs Option", Option.RETAIN_UIDS),
        ("Clean Descriptors", Option.CLEAN_DESCRIPTORS),
        ("retain_safe_private", Option.RETAIN_SAFE_PRIVATE),
        (
            "Retain Longitudinal Temporal Information Full Dates Option",
            Option.RETAIN_FULL_DATES,
        ),
    ],
)
def test_options_may_be_spelled_as_in_the_standard(name, option):
    assert Policy(options=[name]).options == {option}


def test_an_unknown_option_is_named_by_position_only():
    with pytest.raises(UsageError) as refused:
        Policy(options=["retain-uids", "Canary^Name"])
    assert "Canary" not in str(refused.value)
    assert "position 1" in str(refused.value)


def test_a_sign_off_names_a_person():
    with pytest.raises(UsageError):
        PixelPolicy(sign_off=" ")
