"""Days: the calendar day of a time is the one written in it, and rows are ordered by the instant."""

import datetime as dt

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from healthval.cohort import (
    Eligibility,
    Link,
    TableSchema,
    link_rows,
    one_case_per,
    read_table,
    select_cases,
)
from healthval.cohort.dates import CohortWarning
from healthval.cohort.tables import check_frame
from healthval.errors import CohortError

DATES = {"visit": "id", "admitted": "date"}
MINUTES = st.integers(-14 * 60, 14 * 60)


@settings(max_examples=60, deadline=None)
@given(moment=st.datetimes(pd.Timestamp(1950, 1, 2), pd.Timestamp(2050, 1, 1)), minutes=MINUTES)
def test_the_day_is_the_written_one_at_any_offset(moment, minutes):
    written = moment.replace(tzinfo=dt.timezone(dt.timedelta(minutes=minutes))).isoformat()
    frame = pd.DataFrame({"visit": ["v"], "admitted": [written]})
    assert read_table(frame, DATES).frame["admitted"][0].date() == moment.date()


def test_a_column_with_a_time_zone_keeps_the_local_day():
    times = pd.Series(pd.to_datetime(["2024-07-02T23:30:00"])).dt.tz_localize("America/Chicago")
    frame = pd.DataFrame({"visit": ["v"], "admitted": times})
    assert read_table(frame, DATES).frame["admitted"][0].day == 2


def test_mixed_offsets_are_reported_and_ordered_by_the_instant():
    times = ["2024-10-27T02:40:00+02:00", "2024-10-27T02:10:00+01:00"]
    frame = pd.DataFrame({"visit": ["a", "b"], "patient": ["p", "p"], "admitted": times})
    with pytest.warns(CohortWarning, match="'admitted' mixes 2 offsets"):
        cohort = read_table(frame, {**DATES, "patient": "cluster"})
    assert list(cohort.frame.columns) == ["visit", "admitted", "patient"]
    assert one_case_per(cohort, "patient", by="admitted", choose="last").cases.tolist() == ["b"]


def test_a_linked_row_is_chosen_by_the_instant():
    cohort = read_table(pd.DataFrame({"visit": ["a"]}), {"visit": "id"})
    rows = pd.DataFrame(
        {
            "visit": ["a", "a"],
            "drawn": ["2024-10-27T02:40:00+02:00", "2024-10-27T02:10:00+01:00"],
            "crp": [1, 2],
        }
    )
    schema = TableSchema.model_validate(
        {"columns": {"visit": {"kind": "id"}, "drawn": {"kind": "date"}, "crp": {"kind": "number"}}}
    )
    with pytest.warns(CohortWarning):
        read = check_frame(rows, schema)
    link = Link.model_validate({"on": {"visit": "visit"}, "date": "drawn", "choose": "last"})
    linked = link_rows(cohort, read, schema, link, step="crp")
    assert linked.frame["crp"].tolist() == [2.0]
    assert list(linked.frame.columns) == ["visit", "drawn", "crp"]


def test_times_without_an_offset_are_local_and_their_mixture_is_reported():
    frame = pd.DataFrame(
        {"visit": ["a", "b"], "admitted": ["2024-01-05T23:00:00", "2024-01-05T23:00:00-05:00"]}
    )
    with pytest.warns(CohortWarning, match="1 time without one"):
        cohort = read_table(frame, DATES)
    steps = [Eligibility(step="s", column="admitted", before="2024-01-06")]
    assert len(select_cases(cohort, steps)) == 2


@pytest.mark.parametrize("text", ["2024", "2024-05"])
def test_an_incomplete_date_is_refused_with_its_remedy(text):
    frame = pd.DataFrame({"visit": ["a"], "admitted": [text]})
    with pytest.raises(CohortError, match=r"1 of 1 value is incomplete.*YYYY-MM-DD"):
        read_table(frame, DATES)
