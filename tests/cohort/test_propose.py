"""A proposal names kinds, never a value that only a few cases share."""

import json

import numpy as np
import pandas as pd
import pytest

from healthval.cohort import (
    FhirInputs,
    TableSchema,
    propose_table,
    propose_views,
    read_cohort,
    read_table,
)
from healthval.errors import CohortError

CANARY = "Zyxwolf-Qargh-7719"


def table(n=60):
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "MRN": [f"M{i // 2}" for i in range(n)],
            "Visit ID": [f"V{i}" for i in range(n)],
            "patient_name": [f"{CANARY} {i}" for i in range(n)],
            "exam_date": ["2024-01-02"] * n,
            "Age": rng.integers(20, 95, n),
            "postal_code": ["02139"] * n,
            "sex": ["F", "M"] * (n // 2),
            "smoker": ["yes", "no"] * (n // 2),
            "stage": ["I/II", "III"] * (n // 2),
            "lactate": rng.normal(2, 1, n),
            "ward": [CANARY] + ["icu"] * (n - 1),
            "remark": [CANARY] * n,
            "phone": ["555"] * n,
            "histology": ["malignant", "benign"] * (n // 2),
        }
    )


def test_kinds_follow_from_names_and_types():
    proposal = propose_table(table())
    kinds = {name: column.kind for name, column in proposal.table.columns.items()}
    assert kinds == {
        "Visit ID": "id",
        "MRN": "cluster",
        "patient_name": "drop",
        "exam_date": "date",
        "Age": "age",
        "postal_code": "zip",
        "sex": "category",
        "smoker": "category",
        "stage": "category",
        "lactate": "number",
        "ward": "drop",
        "remark": "drop",
        "phone": "drop",
        "histology": "label",
    }
    assert next(iter(proposal.table.columns)) == "Visit ID"
    assert proposal.inputs == ("Age", "sex", "smoker", "stage", "lactate")
    assert proposal.subgroups == ("sex", "smoker", "stage")
    label = proposal.table.columns["histology"]
    assert (label.positive, label.negative) == (("malignant",), ("benign",))


def test_the_proposal_reads_the_table_it_came_from():
    proposal = propose_table(table())
    cohort = read_table(table(), proposal.table)
    assert len(cohort) == 60
    assert set(cohort.frame["stage"]) == {"I_II", "III"}


def test_no_rare_value_gets_into_the_proposal():
    proposal = propose_table(table())
    assert CANARY not in json.dumps(proposal.to_plan())
    assert CANARY not in repr(proposal)


@pytest.mark.parametrize(("n_rare", "kind"), [(4, "drop"), (5, "category"), (6, "category")])
def test_a_level_is_proposed_only_if_several_cases_share_it(n_rare, kind):
    ward = ["rare"] * n_rare + ["icu"] * (60 - n_rare)
    assert propose_table(table().assign(ward=ward)).table.columns["ward"].kind == kind


def test_what_cannot_be_proposed_is_asked_or_refused():
    assert any(
        "None looks like one" in q
        for q in propose_table(table().drop(columns="histology")).questions
    )
    with pytest.raises(CohortError, match="no rows"):
        propose_table(table().iloc[:0])
    with pytest.raises(CohortError, match="no column identifies a case"):
        propose_table(table()[["lactate", "sex"]])


def test_an_outcome_coded_one_and_two_is_asked_about():
    coded = table().drop(columns="histology").assign(sepsis=["1", "2"] * 30)
    asked = [q for q in propose_table(coded).questions if "'sepsis'" in q]
    assert len(asked) == 1
    assert "do not show which is positive" in asked[0]


def resources():
    code = {"coding": [{"system": "http://loinc.org", "code": "2524-7"}], "text": CANARY}
    for i in range(6):
        yield {
            "resourceType": "Patient",
            "id": f"p{i}",
            "gender": "female",
            "birthDate": "1970-01-01",
        }
        yield {
            "resourceType": "Observation",
            "status": "final",
            "code": code,
            "subject": {"reference": f"Patient/p{i}"},
            "effectiveDateTime": "2024-01-02",
            "valueQuantity": {"value": i},
        }
    rare = {"coding": [{"code": "MRN-4711"}]}
    yield {"resourceType": "Observation", "code": rare, "valueQuantity": {"value": 1}}


def test_without_a_measurement_no_age_is_proposed():
    patients = [one for one in resources() if one["resourceType"] == "Patient"]
    proposal = propose_views(patients)
    assert proposal.inputs == ("sex",)
    assert proposal.table.columns["birth_date"].kind == "date"
    assert not [q for q in proposal.questions if "age" in q]
    read = read_cohort(proposal.table, resources=patients, fhir=proposal.fhir)
    assert "age" not in read.frame


def test_an_age_in_a_linked_view_is_refused_with_the_remedy():
    proposal = propose_views(resources())
    fhir = proposal.fhir.model_dump(mode="json", exclude_defaults=True)
    fhir["views"]["loinc_2524_7"]["select"][0]["column"].append(
        {"name": "late", "path": "effective.ofType(dateTime)"}
    )
    columns = {n: c for n, c in proposal.table.columns.items() if n != "age"} | {
        "late": {"kind": "age", "at": "born"},
        "born": {"kind": "date"},
    }
    fhir["views"]["patients"]["select"][0]["column"][2]["name"] = "born"
    schema = TableSchema.model_validate(proposal.table.model_dump() | {"columns": columns})
    with pytest.raises(CohortError, match=r"'late' is an age at 'born'.*first view"):
        read_cohort(schema, resources=resources(), fhir=FhirInputs.model_validate(fhir))


def test_views_are_proposed_for_common_codes_and_run():
    proposal = propose_views(resources())
    assert list(proposal.fhir.views) == ["patients", "loinc_2524_7"]
    earlier = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "2524-7"}]},
        "subject": {"reference": "Patient/p0"},
        "effectiveDateTime": "2023-01-02",
        "valueQuantity": {"value": 99},
    }
    stream = [*resources(), earlier]
    cohort = read_cohort(proposal.table, resources=stream, fhir=proposal.fhir)
    assert cohort.frame["loinc_2524_7"].tolist() == [0, 1, 2, 3, 4, 5]
    assert proposal.inputs == ("age", "sex", "loinc_2524_7")
    assert cohort.frame["age"].tolist() == [54.0] * 6  # on 2024-01-02, not on the earlier date
    assert cohort.schema.columns["age"].kind == "age"
    assert any("age" in q and "loinc_2524_7" in q for q in proposal.questions)
    plan = proposal.to_plan()
    assert FhirInputs.model_validate(plan["fhir"]) == proposal.fhir
    assert TableSchema.model_validate(plan["table"]) == proposal.table
    for hidden in (CANARY, "4711"):
        assert hidden not in json.dumps(plan)
    with pytest.raises(CohortError, match="no Patient"):
        propose_views([])
