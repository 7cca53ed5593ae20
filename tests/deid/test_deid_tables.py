"""Values that leave a table: pseudonyms, capped ages, ZIP3, common levels; never a label or free text."""

import copy
import dataclasses
import pickle
import re
import traceback

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from healthval.cohort import TableSchema, read_table
from healthval.contracts.prediction import TableInstances
from healthval.deid.policy import Policy
from healthval.deid.secret import Secret, case_id, date_offset, pseudonym
from healthval.deid.tables import DeidentifiedCases, deidentify_cases, deidentify_table
from healthval.errors import CohortError, DeidentificationError

SECRET = Secret(b"k" * 32)
CANARY = "Zyxwolf-Qargh-7719"
COLUMNS = {
    "visit": {"kind": "id"},
    "mrn": {"kind": "cluster"},
    "seen": {"kind": "date"},
    "age": {"kind": "age"},
    "zip": {"kind": "zip"},
    "sex": {"kind": "category", "levels": ["F", "M", "X"]},
    "lactate": {"kind": "number", "low": 0, "high": 30},
    "plain": {"kind": "number"},
    "sepsis": {"kind": "label", "positive": [1], "negative": [0]},
    "note": {"kind": "drop"},
}
SCHEMA = TableSchema.model_validate({"columns": COLUMNS})


def table(n=40, **changes):
    rng = np.random.default_rng(3)
    frame = pd.DataFrame(
        {
            "visit": [f"V{i:05d}" for i in range(n)],
            "mrn": [f"MRN{i // 2}" for i in range(n)],
            "seen": pd.date_range("2024-01-01", periods=n, freq="D").astype(str),
            "age": np.linspace(60, 99, n).round(),
            "zip": ["02139", "03601", "94110", "89301"] * (n // 4),
            "sex": ["F", "M"] * (n // 2 - 1) + ["X", "F"],
            "lactate": rng.uniform(0.5, 9, n).round(1),
            "plain": rng.normal(size=n),
            "sepsis": rng.integers(0, 2, n),
            "note": [f"{CANARY} was seen"] * n,
            "surprise": [CANARY] * n,
        }
    )
    return frame.assign(**changes)


def cases(columns=("age", "sex", "lactate"), policy=None, **changes):
    cohort = read_table(table(**changes), SCHEMA)
    return deidentify_cases(cohort, columns, policy or Policy(), SECRET)


def test_the_table_keeps_no_identifier_label_or_undeclared_column():
    out = deidentify_table(table(), SCHEMA, Policy(), SECRET)
    assert list(out) == ["visit", "mrn", "age", "zip", "sex", "lactate", "plain"]
    text = out.to_csv()
    for leaked in (CANARY, "MRN", "V000", "2024"):
        assert leaked not in text


def test_one_patient_has_one_pseudonym_and_it_is_the_one_of_images_and_resources():
    out = deidentify_table(table(), SCHEMA, Policy(), SECRET)
    assert out["mrn"].tolist() == [pseudonym(SECRET, "patient", f"MRN{i // 2}") for i in range(40)]
    assert not set(out["mrn"]) & set(
        deidentify_table(table(), SCHEMA, Policy(), Secret(b"j" * 32))["mrn"]
    )


@pytest.mark.parametrize(
    ("age", "leaves"), [(0, 0), (88, 88), (89, 89), (89.01, 90), (90, 90), (91, 90), (130, 90)]
)
def test_ages_above_89_leave_as_90(age, leaves):
    out = deidentify_table(table(age=float(age)), SCHEMA, Policy(), SECRET)
    assert set(out["age"]) == {leaves}


@pytest.mark.parametrize(
    ("code", "leaves"),
    [("02139", "021"), ("02139-4307", "021"), ("03601", "000"), ("03501", "035"), ("89301", "000"), ("", None)],
)  # fmt: skip
def test_zip_codes_leave_as_three_digits_or_none_where_few_people_live(code, leaves):
    out = deidentify_table(table(zip=code), SCHEMA, Policy(), SECRET)
    assert out["zip"].tolist() == [leaves] * 40


@pytest.mark.parametrize(("n_rare", "leaves"), [(10, "OTHER"), (11, "X"), (12, "X")])
def test_levels_below_the_floor_become_other(n_rare, leaves):
    sex = ["X"] * n_rare + ["F"] * (40 - n_rare)
    out = deidentify_table(table(sex=sex), SCHEMA, Policy(), SECRET)
    assert out["sex"].iloc[0] == leaves
    assert set(out["sex"].iloc[n_rare:]) == {"F"}


def test_dates_shift_by_the_patients_one_offset():
    out = deidentify_table(table(), SCHEMA, Policy(dates="shift"), SECRET)
    moved = out["seen"] - pd.to_datetime(table()["seen"])
    assert moved.dt.days.tolist() == [date_offset(SECRET, f"MRN{i // 2}") for i in range(40)]
    kept = deidentify_table(table(), SCHEMA, Policy(dates="keep"), SECRET)
    assert kept["seen"].astype(str).tolist() == table()["seen"].tolist()


@pytest.mark.parametrize("dates", ["keep", "shift"])
def test_a_date_that_reveals_an_age_above_89_is_removed(dates):
    seen = ["1920-01-01", "1960-01-01"] * 20
    out = deidentify_table(table(seen=seen), SCHEMA, Policy(dates=dates), SECRET)
    assert out["seen"].isna().tolist() == [True, False] * 20


def test_shifting_needs_a_column_that_names_the_patient():
    anonymous = TableSchema.model_validate({"columns": {"seen": {"kind": "date"}}})
    with pytest.raises(DeidentificationError, match="no column identifies the patient"):
        deidentify_table(table(), anonymous, Policy(dates="shift"), SECRET)


def test_a_table_without_the_label_can_be_deidentified():
    out = deidentify_table(table().drop(columns=["sepsis", "note"]), SCHEMA, Policy(), SECRET)
    assert len(out) == 40


def test_the_schema_may_be_a_mapping():
    out = deidentify_table(table(), {"mrn": "id", "age": "age", "note": "drop"}, Policy(), SECRET)
    assert list(out) == ["mrn", "age"]


def test_cases_fit_the_wire_and_keep_their_order():
    sent = cases(lactate=[None, *[1.5] * 39])
    assert sent.columns == ("age", "sex", "lactate")
    assert sent.cases[0] == case_id(SECRET, "V00000")
    assert all(re.fullmatch(r"case-[0-9a-f]{16}", c) for c in sent.cases)
    assert sent.rows[0][2] is None
    assert len(set(sent.cases)) == len(sent.rows) == 40
    TypeAdapter(TableInstances).validate_python(
        {"kind": "table", "columns": sent.columns, "rows": sent.rows}
    )
    assert dict(sent.actions) == {
        "age_capped": 9,
        "pseudonym": 40,
    }


def test_a_models_input_keeps_its_declared_level_however_rare():
    sent = cases(sex=["X", *["F"] * 39])
    assert [row[1] for row in sent.rows] == ["X", *["F"] * 39]


@pytest.mark.parametrize("name", ["visit", "mrn", "seen", "zip", "sepsis", "note"])
def test_only_numbers_ages_and_categories_can_be_a_models_input(name):
    with pytest.raises(DeidentificationError, match=f"column '{name}' is declared"):
        cases(columns=("age", name))


@pytest.mark.parametrize("columns", [(), ("age", "age"), ("surprise",)])
def test_inputs_must_be_declared_once(columns):
    with pytest.raises(DeidentificationError):
        cases(columns=columns)


@pytest.mark.parametrize(
    "values",
    [range(100_000, 100_040), [20240101 + i for i in range(40)], range(10**12, 10**12 + 40)],
)
def test_record_numbers_declared_as_numbers_do_not_leave(values):
    with pytest.raises(DeidentificationError, match="declare it 'id' or 'drop'") as caught:
        cases(columns=("plain",), plain=list(values))
    assert str(next(iter(values))) not in str(caught.value)


def test_counts_with_declared_limits_may_be_long():
    counts = list(range(100_000, 100_040))
    limits = {"kind": "number", "low": 0, "high": 2_000_000}
    schema = TableSchema.model_validate({"columns": COLUMNS | {"plain": limits}})
    sent = deidentify_cases(read_table(table(plain=counts), schema), ("plain",), Policy(), SECRET)
    assert [row[0] for row in sent.rows] == counts


def test_deidentified_cases_are_made_by_deidentify_cases_only():
    sent = cases()
    with pytest.raises(DeidentificationError):
        DeidentifiedCases(
            cases=sent.cases, columns=sent.columns, rows=sent.rows, actions=sent.actions
        )
    with pytest.raises((DeidentificationError, ValueError, TypeError)):
        dataclasses.replace(sent, rows=(("x",),))
    with pytest.raises(AttributeError):
        sent.rows = ()
    assert copy.copy(sent) == sent
    assert pickle.loads(pickle.dumps(sent)) == sent


def test_the_cases_show_counts_only():
    assert repr(cases()) == "DeidentifiedCases(40 cases, 3 columns)"


@pytest.mark.parametrize("column", ["age", "zip", "lactate", "sex", "seen"])
def test_no_stage_quotes_the_value_that_broke_it(column):
    frame = table().astype(object)
    frame.loc[7, column] = CANARY
    with pytest.raises(CohortError) as caught:
        deidentify_table(frame, SCHEMA, Policy(), SECRET)
    shown = "".join(traceback.format_exception(caught.value))
    assert CANARY not in shown
    assert "first at row 7" in shown


@given(st.integers(0, 2**31))
@settings(max_examples=20)
def test_the_reference_standard_never_changes_what_leaves(seed):
    labels = np.random.default_rng(seed).integers(0, 2, 40)
    assert cases(sepsis=labels) == cases(sepsis=1 - labels)


@pytest.mark.parametrize(
    ("values", "refused"),
    [
        ([4471120 + n for n in range(30)], True),
        ([4471120 + n // 3 for n in range(30)], True),
        ([4471120 + n for n in range(29)] + [7], True),
        ([4471120 + n for n in range(28)] + [None, None], True),
        ([450 + n for n in range(30)], False),
        ([254000.5 + n for n in range(30)], False),
        ([1000000] * 30, False),
    ],
)
def test_mostly_long_whole_numbers_are_no_input(values, refused):
    frame = pd.DataFrame({"visit": range(len(values)), "x": values})
    cohort = read_table(frame, {"visit": "id", "x": "number"})
    if refused:
        with pytest.raises(DeidentificationError, match="like record numbers"):
            deidentify_cases(cohort, ["x"], Policy(), SECRET)
    else:
        assert len(deidentify_cases(cohort, ["x"], Policy(), SECRET).rows) == 30
