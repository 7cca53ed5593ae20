"""Linkage of rows and views to cases: every count in the flow adds up."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from healthval.cohort import (
    FhirInputs,
    Link,
    TableSchema,
    join_views,
    link_rows,
    read_cohort,
    read_table,
)
from healthval.cohort.tables import check_frame
from healthval.errors import CohortError, ViewError

CANARY = "Zyxwolf-Qargh-7719"
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


LABS = TableSchema.model_validate(
    {
        "columns": {
            "patient": {"kind": "id"},
            "drawn": {"kind": "date"},
            "lactate": {"kind": "number"},
        }
    }
)


def labs():
    return check_frame(
        pd.DataFrame(
            {
                "patient": ["a", "a", "a", "b", "z"],
                "drawn": ["2024-01-01", "2024-01-04", "2024-01-09", "2024-01-30", "2024-01-01"],
                "lactate": [1, 2, 3, 4, 5],
            }
        ),
        LABS,
    )


def link(**more):
    return Link.model_validate(
        {"on": {"mrn": "patient"}, "anchor": "seen", "date": "drawn", **more}
    )


@pytest.mark.parametrize(
    ("given", "lactate"),
    [
        ({"choose": "nearest"}, {"v1": 2, "v2": 2, "v3": 4}),
        ({"choose": "first"}, {"v1": 1, "v2": 1, "v3": 4}),
        ({"choose": "last"}, {"v1": 3, "v2": 3, "v3": 4}),
        ({"choose": "last", "days_before": 2}, {"v1": 2, "v2": 1, "v3": 4}),
        ({"days_before": 1}, {"v1": 2}),
        ({"days_after": 1}, {"v2": 2}),
    ],
)
def test_a_row_is_linked_by_patient_and_time_window(given, lactate):
    linked = link_rows(cohort(), labs(), LABS, link(**given), step="with_lactate")
    assert dict(zip(linked.cases, linked.frame["lactate"], strict=True)) == lactate
    assert linked.flow[-1] == ("with_lactate", len(lactate))
    assert linked.schema.columns["lactate"].kind == "number"


def test_an_optional_link_keeps_everyone_and_is_no_step():
    linked = link_rows(cohort(), labs(), LABS, link(choose="last", required=False), step="x")
    assert linked.frame["lactate"].isna().tolist() == [False, False, False, True, True]
    assert linked.flow == cohort().flow


def test_the_reference_standard_may_come_from_a_linked_table():
    inputs = {n: c for n, c in SCHEMA.columns.items() if n != "sepsis"}
    bare = read_table(cohort().frame, TableSchema(columns=inputs))
    with pytest.raises(CohortError, match="no 'label'"):
        _ = bare.reference
    verdicts = TableSchema.model_validate(
        {
            "columns": {
                "case": {"kind": "id"},
                "a": {"kind": "label", "positive": [1], "negative": [0]},
                "b": {"kind": "label", "positive": [1], "negative": [0]},
            },
            "readers": "unanimous",
        }
    )
    rows = check_frame(
        pd.DataFrame({"case": ["v1", "v2", "v3"], "a": [1, 1, None], "b": [1, 0, 0]}), verdicts
    )
    linked = link_rows(
        bare, rows, verdicts, Link(on={"visit": "case"}, required=False), step="read"
    )
    assert linked.verdicts.tolist() == ["positive", "indeterminate", "negative", None, None]
    assert linked.n_missing_reference == 2


def test_ambiguous_rows_are_counted_and_refused():
    with pytest.raises(CohortError, match="2 cases have several rows"):
        link_rows(cohort(), labs(), LABS, Link(on={"mrn": "patient"}), step="with_lactate")


def test_columns_do_not_overwrite_each_other():
    with pytest.raises(CohortError, match="1 column is in the cohort already"):
        link_rows(cohort(), labs().rename(columns={"lactate": "age"}), LABS, link(), step="s")
    with pytest.raises(CohortError, match="1 column is in the rows but not declared"):
        link_rows(cohort(), labs().assign(extra=1), LABS, link(choose="last"), step="s")


@pytest.mark.parametrize(
    "bad",
    [
        {"choose": "nearest", "date": None},
        {"choose": "first", "date": None},
        {"days_after": 3, "anchor": None},
        {"on": {}},
    ],
)
def test_a_link_without_dates_has_no_window(bad):
    with pytest.raises(ValidationError):
        link(**bad)


PATIENTS = {
    "resource": "Patient",
    "select": [{"column": [{"name": "patient", "path": "id"}, {"name": "sex", "path": "gender"}]}],
}
LACTATES = {
    "resource": "Observation",
    "select": [
        {
            "column": [
                {"name": "patient", "path": "subject.getReferenceKey(Patient)"},
                {"name": "lactate", "path": "value.ofType(Quantity).value"},
            ]
        }
    ],
}


def resources(n_lactates):
    found = [
        {"resourceType": "Patient", "id": CANARY, "gender": "male"},
        {"resourceType": "Patient", "id": "b"},
    ]
    reference = {"subject": {"reference": f"Patient/{CANARY}"}, "valueQuantity": {"value": 2.0}}
    return found + [{"resourceType": "Observation", **reference}] * n_lactates


def test_views_are_joined_on_the_patient():
    frame = join_views({"patients": PATIENTS, "labs": LACTATES}, resources(1), on="patient")
    assert frame.to_dict("list") == {
        "patient": [CANARY, "b"],
        "sex": ["male", None],
        "lactate": [2.0, None],
    }


@pytest.mark.parametrize(
    ("views", "message"),
    [
        ({"patients": PATIENTS, "labs": LACTATES}, "view 'labs' repeats a key in 1 row;"),
        ({"patients": PATIENTS, "again": PATIENTS}, "view 'again' repeats 1 column of"),
        (
            {
                "labs": {
                    "resource": "Patient",
                    "select": [{"column": [{"name": "x", "path": "id"}]}],
                }
            },
            "no column 'patient'",
        ),
    ],
)
def test_views_that_do_not_join_are_refused(views, message):
    with pytest.raises(CohortError, match=message) as caught:
        join_views(views, resources(2), on="patient")
    assert CANARY not in str(caught.value)
    assert not isinstance(caught.value, ViewError)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 60)), min_size=1, max_size=30))
@settings(max_examples=40, deadline=None)
def test_every_case_has_at_most_one_linked_row_inside_the_window(drawn):
    days = pd.Timestamp("2024-01-01") + pd.to_timedelta([d for _, d in drawn], unit="D")
    rows = pd.DataFrame(
        {
            "patient": ["abcz"[p] for p, _ in drawn],
            "drawn": days,
            "lactate": np.arange(len(drawn)) * 1.0,
        }
    )
    given_link = link(choose="nearest", days_before=5, days_after=5, required=False)
    linked = link_rows(cohort(), rows, LABS, given_link, step="s").frame
    assert linked["visit"].tolist() == cohort().cases.tolist()
    distance = (linked["drawn"] - linked["seen"]).dt.days.dropna()
    assert (distance.abs() <= 5).all()


REPEATED = FhirInputs.model_validate(
    {
        "on": "patient",
        "views": {
            "patients": PATIENTS,
            "labs": {
                "resource": "Observation",
                "select": [
                    {
                        "column": [
                            {"name": "whose", "path": "subject.getReferenceKey(Patient)"},
                            {"name": "drawn", "path": "effective.ofType(dateTime)"},
                            {"name": "lactate", "path": "value.ofType(Quantity).value"},
                            {"name": "unit", "path": "value.ofType(Quantity).code"},
                        ]
                    }
                ],
            },
        },
        "links": {
            "labs": {
                "on": {"patient": "whose"},
                "anchor": "seen",
                "date": "drawn",
                "days_after": 1,
                "choose": "first",
            }
        },
    }
)
LINKED = TableSchema.model_validate(
    {
        "columns": {
            "patient": {"kind": "id"},
            "seen": {"kind": "date"},
            "sex": {"kind": "category", "levels": ["male", "female"]},
            "drawn": {"kind": "date"},
            "lactate": {"kind": "number", "unit": "mmol/L", "unit_column": "unit"},
        }
    }
)


def drawn(patient, when, value, unit="mmol/L"):
    return {
        "resourceType": "Observation",
        "subject": {"reference": f"Patient/{patient}"} if patient else {},
        "effectiveDateTime": when,
        "valueQuantity": {"value": value, "code": unit},
    }


def repeated(*more):
    yield {"resourceType": "Patient", "id": "p1", "gender": "male"}
    yield {"resourceType": "Patient", "id": "p2", "gender": "female"}
    yield drawn("p1", "2024-01-04T10:00:00Z", 9)
    yield drawn("p1", "2024-01-06T10:00:00Z", 2)
    yield drawn("p1", "2024-01-05T10:00:00Z", 1)
    yield drawn("p2", "2024-01-09T10:00:00Z", 5)
    yield drawn(None, "2024-01-05T10:00:00Z", 7)
    yield from more


def read_repeated(*more):
    table = pd.DataFrame({"patient": ["p1", "p2", "p3"], "seen": ["2024-01-05"] * 3})
    return read_cohort(LINKED, table=table, resources=repeated(*more), fhir=REPEATED)


def test_the_plan_selects_one_of_several_measurements():
    found = read_repeated()
    assert found.steps == (("rows_read", 3), ("with_resources", 2), ("with_labs", 1))
    assert found.counts == (("references_unresolved", 1),)
    assert found.frame[["patient", "sex", "lactate"]].to_numpy().tolist() == [["p1", "male", 1.0]]
    assert found.schema.columns["drawn"].kind == "date"


def test_a_measurement_in_another_unit_stops_the_linkage():
    with pytest.raises(CohortError, match=r"column 'lactate': 1 of 5 .* declared unit \(mmol/L\)"):
        read_repeated(drawn("p2", "2024-01-05T10:00:00Z", 18, "mg/dL"))


def test_a_view_without_rows_is_not_passed_over():
    with pytest.raises(CohortError, match="view 'labs' has no row that names a patient"):
        read_cohort(
            LINKED,
            table=pd.DataFrame({"patient": ["p1"], "seen": ["2024-01-05"]}),
            resources=[{"resourceType": "Patient", "id": "p1"}],
            fhir=REPEATED,
        )


@pytest.mark.parametrize("name", ["nope", "patients"])
def test_only_later_views_can_be_linked(name):
    links = {name: {"on": {"patient": "whose"}}}
    with pytest.raises(ValidationError):
        FhirInputs.model_validate({"on": "patient", "views": REPEATED.views, "links": links})
