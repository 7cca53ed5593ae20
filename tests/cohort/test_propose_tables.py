"""`init` on whole tables: roles by name and by value, in English, German, French and Spanish."""

import numpy as np
import pandas as pd
import pytest
from hospital_tables import HOSPITALS, N

from healthval.cohort import TableSchema, propose_table, read_table
from healthval.cohort.propose.words import words_of
from healthval.deid import Policy, Secret, deidentify_cases
from healthval.errors import CohortError

SECRET = Secret(b"an invented secret of more than 32 bytes")


@pytest.fixture(params=HOSPITALS)
def hospital(request):
    return HOSPITALS[request.param]()


def test_roles_are_found(hospital):
    proposal = propose_table(hospital.frame)
    table = proposal.table
    assert table.of_kind("id") == (hospital.case,)
    assert table.of_kind("cluster") == (hospital.patient,)
    assert table.of_kind("age") == (hospital.age,)
    name, positive = hospital.label
    assert table.of_kind("label") == (name,)
    assert tuple(map(str, table.columns[name].positive)) == (positive,)
    assert sorted(proposal.inputs) == sorted(hospital.inputs)


def test_each_dropped_column_has_a_reason(hospital):
    proposal = propose_table(hospital.frame)
    assert set(proposal.dropped) == set(hospital.dropped)
    assert set(proposal.dropped) == set(proposal.table.of_kind("drop"))
    assert all(len(reason) > 15 for reason in proposal.dropped.values())


def test_the_proposal_does_not_depend_on_the_types_of_the_source(hospital):
    as_text = hospital.frame.astype(str)
    assert propose_table(as_text) == propose_table(hospital.frame)


def test_the_table_is_read_and_no_age_above_90_leaves(hospital):
    proposal = propose_table(hospital.frame)
    cohort = read_table(hospital.frame, proposal.table)
    cases = deidentify_cases(cohort, proposal.inputs, Policy(), SECRET)
    at = cases.columns.index(hospital.age)
    assert len(cohort) == N
    assert max(row[at] for row in cases.rows) == 90


def test_no_value_of_fewer_than_five_cases_is_proposed(hospital):
    frame = hospital.frame.astype(str)
    text = str(propose_table(frame).to_plan()) + str(propose_table(frame).questions)
    rare = {
        value
        for name in frame.columns
        for value, n in frame[name].value_counts().items()
        if n < 5 and len(value) > 4
    }
    assert rare
    assert not [value for value in rare if value in text]


def with_visits(**columns):
    return pd.DataFrame({"visit_id": [f"V{n:04d}" for n in range(N)], **columns})


def test_codes_among_numbers_are_words_that_cases_share():
    titre = [f"{n % 50}" for n in range(N)]
    titre[:6], titre[6:9] = ["clotted"] * 6, ["Smith"] * 3
    proposal = propose_table(with_visits(titre=titre))
    assert proposal.table.columns["titre"].missing == ("clotted",)
    assert any("3 texts among its numbers" in question for question in proposal.questions)
    assert "Smith" not in str(proposal.questions)


@pytest.mark.parametrize(("largest", "is_code"), [(199, True), (500, False)])
def test_999_is_a_code_only_where_no_measurement_is_near(largest, is_code):
    values = [999] * 10 + list(np.linspace(100, largest, N - 10).round())
    proposal = propose_table(with_visits(height=values))
    assert proposal.table.columns["height"].missing == (("999",) if is_code else ())


def test_ages_with_a_sign_are_no_missing_values():
    proposal = propose_table(with_visits(age=["90+"] * 20 + ["71"] * (N - 20)))
    assert "90+" in proposal.dropped["age"]


def test_results_above_a_limit_are_asked_about():
    proposal = propose_table(with_visits(titre=[">200"] * 9 + [str(n) for n in range(N - 9)]))
    assert proposal.table.columns["titre"].kind == "number"
    assert any("9 results above a limit" in question for question in proposal.questions)


def test_units_are_proposed_with_counts():
    units = ["mmol/L"] * 150 + ["mmol/mL"] * 50
    proposal = propose_table(with_visits(gluc=np.arange(N) % 90 / 9, gluc_unit=units))
    column = proposal.table.columns["gluc"]
    assert (column.unit, column.unit_column) == ("mmol/L", "gluc_unit")
    assert any("50 values are in mmol/mL" in question for question in proposal.questions)


def test_different_texts_stay_different_levels():
    proposal = propose_table(with_visits(stage=["I/II", "I-II", "I II", "III"] * (N // 4)))
    levels = proposal.table.columns["stage"].levels
    assert len(set(levels.values())) == 4


def test_columns_whose_names_no_input_may_have_get_new_names_and_are_read_by_them():
    size = np.arange(N) % 40 / 2
    own = {"size (mm)": size, "size_mm": size + 1, "größe [mm]": size + 2, "24h %": size + 3}
    proposal = propose_table(with_visits(**own))
    assert proposal.inputs == ("size_mm_1", "size_mm", "groesse_mm", "input_24h")
    assert any("3 columns have a new name" in question for question in proposal.questions)
    assert list(proposal.table.columns) == ["visit_id", *own]
    plan = proposal.to_plan()
    declared = TableSchema.model_validate(plan["table"])
    assert plan["inputs"] == list(proposal.inputs)
    assert declared == proposal.declared
    read = read_table(with_visits(**own), declared).frame
    for name, values in zip(proposal.inputs, own.values(), strict=True):
        assert read[name].tolist() == values.tolist()


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pd.DataFrame([range(513)] * 9), "at most 512"),
        (pd.DataFrame([[1, 2, 3]] * 9, columns=["a", "b", "a"]), "1 column name is repeated"),
    ],
)
def test_tables_that_no_plan_declares_are_refused(frame, message):
    with pytest.raises(CohortError, match=message):
        propose_table(frame)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("fev1_pct_predicted", "number"),
        ("model_probability", "drop"),
        ("scanner_model", "category"),
        ("gold_stage", "category"),
        ("contact_precautions", "category"),
        ("contact_person", "drop"),
    ],
)
def test_a_word_counts_with_the_words_beside_it(name, kind):
    values = np.arange(N) % 90 / 7 if kind == "number" else ["a", "b"] * (N // 2)
    assert propose_table(with_visits(**{name: values})).table.columns[name].kind == kind


@pytest.mark.parametrize("name", ["dosage", "percentage", "stage", "average", "period", "agent"])
def test_parts_of_words_are_no_words(name):
    assert words_of(name) == (name,)


def test_a_column_whose_name_no_plan_declares_is_named_as_dropped():
    proposal = propose_table(with_visits(**{"a<b": np.arange(N) % 7 / 2}))
    assert "rename" in proposal.dropped["a<b"]
    assert "a<b" not in proposal.table.columns
