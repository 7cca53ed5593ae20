"""Eligibility, one case per unit and verification: every count in the flow adds up."""

import pandas as pd
import pytest
from pydantic import ValidationError

from healthval.cohort import (
    Eligibility,
    TableSchema,
    check_verification,
    one_case_per,
    read_table,
    select_cases,
)
from healthval.errors import CohortError

SCHEMA = TableSchema.model_validate(
    {
        "columns": {
            "visit": {"kind": "id"},
            "mrn": {"kind": "cluster"},
            "seen": {"kind": "date"},
            "died": {"kind": "date"},
            "age": {"kind": "age", "bands": [18, 65]},
            "ward": {"kind": "category", "levels": ["icu", "ed"]},
            "sepsis": {"kind": "label", "positive": [1], "negative": [0], "indeterminate": [9]},
        }
    }
)


def cohort():
    return read_table(
        pd.DataFrame(
            {
                "visit": ["v1", "v2", "v3", "v4", "v5"],
                "mrn": ["a", "a", "b", "c", "c"],
                "seen": ["2024-01-05", "2024-01-03", "2024-02-01", "2024-03-01", None],
                "died": ["2024-01-06T23:00", None, "2024-01-31T01:00", "2024-03-31", None],
                "age": [17.9, 18, 64.9, 65, None],
                "ward": ["icu", "ed", "icu", None, "ed"],
                "sepsis": [1, 0, 9, None, 1],
            }
        ),
        SCHEMA,
    )


def steps(*parts):
    return [
        Eligibility.model_validate({"step": f"step_{i}", **part}) for i, part in enumerate(parts)
    ]


@pytest.mark.parametrize(
    ("part", "kept"),
    [
        ({"column": "age", "low": 18}, "v2 v3 v4"),
        ({"column": "age", "low": 18, "exclude": True}, "v1 v5"),
        ({"column": "age", "high": 18}, "v1 v2"),
        ({"column": "age", "low": 18, "high": 64.9}, "v2 v3"),
        ({"column": "ward", "levels": ["icu"]}, "v1 v3"),
        ({"column": "sepsis", "levels": ["indeterminate"], "exclude": True}, "v1 v2 v4 v5"),
        ({"column": "ward", "present": True}, "v1 v2 v3 v5"),
        ({"column": "ward", "present": False}, "v4"),
        ({"column": "seen", "not_before": "2024-01-05"}, "v1 v3 v4"),
        ({"column": "seen", "before": "2024-01-05"}, "v2"),
        ({"column": "died", "within": {"of": "seen", "days_after": 1}}, "v1"),
        (
            {"column": "died", "within": {"of": "seen", "days_before": 1, "days_after": 30}},
            "v1 v3 v4",
        ),
    ],
)
def test_a_step_keeps_who_meets_it(part, kept):
    left = select_cases(cohort(), steps(part))
    assert left.cases.tolist() == kept.split()
    assert left.flow[-1] == ("step_0", len(kept.split()))


def test_steps_add_up_in_their_order():
    left = select_cases(
        cohort(), steps({"column": "age", "low": 18}, {"column": "ward", "present": True})
    )
    assert left.flow == (("rows_read", 5), ("step_0", 3), ("step_1", 2))


def test_a_cohort_that_shrank_to_nothing_shows_where():
    with pytest.raises(CohortError, match="rows_read 5 > step_0 2 > step_1 0"):
        select_cases(
            cohort(), steps({"column": "ward", "levels": ["icu"]}, {"column": "age", "low": 90})
        )


@pytest.mark.parametrize(
    "part",
    [
        {"column": "nope", "present": True},
        {"column": "ward", "low": 1},
        {"column": "age", "levels": ["x"]},
        {"column": "age", "before": "2024-01-01"},
        {"column": "seen", "within": {"of": "nope"}},
    ],
)
def test_a_step_that_does_not_fit_is_refused(part):
    with pytest.raises(CohortError, match="step_0"):
        select_cases(cohort(), steps(part))


@pytest.mark.parametrize("part", [{}, {"exclude": True}, {"before": "1 May"}, {"lower": 1}])
def test_a_step_without_a_condition_is_no_step(part):
    with pytest.raises(ValidationError):
        steps({"column": "age", **part})


@pytest.mark.parametrize(("choose", "kept"), [("first", "v2 v3 v4"), ("last", "v1 v3 v4")])
def test_one_case_stays_for_each_unit(choose, kept):
    left = one_case_per(cohort(), "mrn", by="seen", choose=choose)
    assert left.cases.tolist() == kept.split()
    assert left.flow[-1] == ("one_per_unit", 3)


def test_partial_verification_is_declared_or_refused():
    with pytest.raises(CohortError, match="1 of 5 cases has no reference standard"):
        check_verification(cohort())
    partial = SCHEMA.model_copy(update={"verification": "partial"})
    check_verification(read_table(cohort().frame.assign(sepsis=[1, 0, 9, None, 1]), partial))
    check_verification(cohort().keep("verified", cohort().frame["sepsis"].notna()))


def test_bands_group_ages_and_only_declared_columns_form_groups():
    assert cohort().levels("age").tolist() == [
        "below_18",
        "from_18_to_below_65",
        "from_18_to_below_65",
        "from_65",
        None,
    ]
    assert cohort().levels("ward").tolist() == ["icu", "ed", "icu", None, "ed"]
    for name in ("seen", "nope"):
        with pytest.raises(CohortError, match="cannot form groups"):
            cohort().levels(name)
