"""Own names of columns: a plan maps them to the model's names, and keeps its hash."""

import pandas as pd
import pytest
import yaml

from healthval.cohort import read_cohort, read_table
from healthval.errors import CohortError, PlanError
from healthval.plan_file import load_plan

TABLE = {
    "visit": {"kind": "id"},
    "lactate": {"kind": "number", "low": 0, "high": 30},
    "pulse": {"kind": "number", "low": 20, "high": 250},
    "sepsis": {"kind": "label", "positive": ["yes"], "negative": ["no"]},
}
PLAN = {
    "study": "own-names",
    "title": "Invented",
    "target_condition": "sepsis",
    "reference_standard": "chart review",
    "model": {"name": "ward-risk", "version": "1.0"},
    "table": {"columns": TABLE},
    "inputs": ["lactate", "pulse"],
}
OWN = {"lactate": "lab_lactate", "pulse": "hr"}
OWN_TABLE = {{"lactate": "lab_lactate", "pulse": "hr"}.get(n, n): c for n, c in TABLE.items()}
FORMS = {
    "sources": {"table": {"columns": TABLE, "sources": OWN}},
    "columns": {"columns": OWN},
    "columns of own names": {"columns": OWN, "table": {"columns": OWN_TABLE}},
    "inputs": {"inputs": OWN, "table": {"columns": OWN_TABLE}},
}


def plan(tmp_path, **changes):
    path = tmp_path / "plan.yaml"
    path.write_text(yaml.safe_dump({**PLAN, **changes}, sort_keys=False), encoding="utf-8")
    return load_plan(path)


def rows():
    return pd.DataFrame(
        {
            "visit": ["a", "b"],
            "lab_lactate": ["2.5", "3"],
            "hr": ["90", "101"],
            "sepsis": ["yes", "no"],
        }
    )


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", ["frame", "csv"])
def test_own_columns_are_read_under_the_names_of_the_model(tmp_path, form, kind):
    own = plan(tmp_path, **FORMS[form])
    assert own.inputs == ("lactate", "pulse")
    source = rows()
    if kind == "csv":
        source.to_csv(tmp_path / "own.csv", index=False)
        source = tmp_path / "own.csv"
    cohort = read_table(source, own.table)
    assert cohort.frame["lactate"].tolist() == [2.5, 3.0]
    assert cohort.frame["pulse"].tolist() == [90.0, 101.0]


@pytest.mark.parametrize("form", FORMS)
def test_each_site_has_own_names_and_the_study_one_hash(tmp_path, form):
    assert plan(tmp_path, **FORMS[form]).hash == plan(tmp_path).hash


@pytest.mark.parametrize("kind", ["frame", "csv"])
def test_own_columns_are_read_beside_fhir_resources(tmp_path, kind):
    """The key to join on has a name of the site as well, and a column of the model's name gives way."""
    view = {
        "resource": "Patient",
        "select": [
            {
                "column": [
                    {"name": "mrn", "path": "getResourceKey()"},
                    {"name": "sex", "path": "gender"},
                ]
            }
        ],
    }
    sex = {"kind": "category", "levels": ["female", "male"]}
    own = plan(
        tmp_path,
        table={
            "columns": TABLE | {"mrn": {"kind": "cluster"}, "sex": sex},
            "sources": OWN | {"mrn": "PatNr"},
        },
        fhir={"on": "mrn", "views": {"patients": view}},
        inputs=["lactate", "pulse", "sex"],
    )
    source = whole = rows().assign(PatNr=["2", "1"], lactate="29", mrn="1")
    if kind == "csv":
        source.to_csv(tmp_path / "own.csv", index=False)
        source = tmp_path / "own.csv"
    people = [
        {"resourceType": "Patient", "id": "1", "gender": "male"},
        {"resourceType": "Patient", "id": "2", "gender": "female"},
    ]
    cohort = read_cohort(own.table, table=source, resources=people, fhir=own.fhir)
    assert cohort.frame["lactate"].tolist() == [2.5, 3.0]
    assert cohort.frame["sex"].tolist() == ["female", "male"]
    assert cohort.frame["mrn"].tolist() == ["2", "1"]
    with pytest.raises(CohortError, match=r"1 declared column is not in the table \(hr\)"):
        read_cohort(own.table, table=whole.drop(columns="hr"), resources=people, fhir=own.fhir)
    with pytest.raises(
        CohortError, match=r"4 declared columns are in no view \(visit, lactate, .*give the table"
    ):
        read_cohort(own.table, resources=people, fhir=own.fhir)


def test_a_column_of_the_models_name_gives_way_to_the_one_that_is_mapped(tmp_path):
    both = rows().assign(lactate="29")
    read = read_table(both, plan(tmp_path, **FORMS["sources"]).table)
    assert read.frame["lactate"].tolist() == [2.5, 3.0]


@pytest.mark.parametrize(
    ("sources", "says"),
    [
        ({"glucose": "lab_glucose"}, "not declared"),
        ({"lactate": "lab", "pulse": "lab"}, "two names"),
    ],
)
def test_a_mapping_that_does_not_fit_is_refused(tmp_path, sources, says):
    with pytest.raises(PlanError, match=says):
        plan(tmp_path, table={"columns": TABLE, "sources": sources})
