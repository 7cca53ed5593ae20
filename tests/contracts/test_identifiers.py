"""Names that leave a hospital are not dates, numbers of persons or addresses, in any spelling."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from healthval.contracts.access import AccessRequest, PublicKey
from healthval.contracts.submission import COMMON_NAMES
from healthval.contracts.text import looks_like_identifier, name_of

KEY = PublicKey(x="11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")
SUBJECT = {"model": "ward-risk", "version": "1.0", "plan_hash": "a" * 64}


@pytest.mark.parametrize(
    "text",
    [
        "nhs_943_476_5919",
        "078-05-1120",
        "tel 030 901820 12",
        "+49 30 12 34",
        "fax_555_0100",
        "born_12_March_1953",
        "3rd may 1961",
        "Mai_1953",
        "DOB_1953",
        "1953_03_12",
        "12.3.1953",
        "ip_10_0_0_12",
        "00:1b:44:11:3a:b7",
        "jane.doe.example.org",
        "jane_doe_example_org",
        "doe@ward",
        "MRN_4711_0012",
        "case 00471123",
        "deadbeef0123",
        "1.2.840",
        "\uff11\uff19\uff15\uff13\uff0d\uff10\uff13\uff0d\uff11\uff12",
    ],
)
def test_identifiers_are_recognised_in_any_spelling(text):
    assert looks_like_identifier(text)


@pytest.mark.parametrize(
    "text",
    [
        *sorted(COMMON_NAMES),
        *("age_18_40", "level_65_74", "creatinine_100_120", "from_40_to_below_65", "minus_5"),
        *("female", "grade_3", "ward.b", "may_have", "marker_1", "decile_10", "stage_4b"),
        *("icd_10", "covid_19", "score_2_5", "without_dialysis", "unit_a", "hba1c", "T2DM"),
        *("St. Elsewhere", "Charite Campus 3", "Hospital 12 (north)"),
    ],
)
def test_names_of_a_plan_are_no_identifiers(text):
    assert not looks_like_identifier(text)


@given(st.dates(), st.sampled_from(["%Y-%m-%d", "%d.%m.%Y", "%Y%m%d", "%d %B %Y", "%b_%d_%Y"]))
def test_every_day_of_a_calendar_is_recognised(day, form):
    text = day.strftime(form)
    assert looks_like_identifier(text)
    assert looks_like_identifier(name_of(text))


def test_an_access_request_has_no_identifier_and_quotes_none():
    assert AccessRequest(public_key=KEY, label="St. Elsewhere", names=("sex",), **SUBJECT)
    for wrong in ({"label": "Ward 3, MRN 00471123"}, {"label": "x", "names": ("born_1953_03_12",)}):
        with pytest.raises(ValidationError) as refused:
            AccessRequest(public_key=KEY, **SUBJECT, **wrong)
        assert "00471123" not in str(refused.value)
        assert "1953" not in str(refused.value)
