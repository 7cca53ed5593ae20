"""A table is read by its declaration only; values that do not fit are counted, never quoted."""

import gzip
import traceback
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from healthval.cohort import Cohort, TableSchema, read_table
from healthval.cohort.tables import table_problems
from healthval.errors import CohortError

COLUMNS = {
    "mrn": {"kind": "id"},
    "patient": {"kind": "cluster"},
    "seen": {"kind": "date"},
    "age": {"kind": "age"},
    "zip": {"kind": "zip"},
    "sex": {"kind": "category", "levels": {"1": "female", "2": "male"}},
    "lactate": {"kind": "number", "low": 0, "high": 30, "unit": "mmol/L"},
    "sepsis": {"kind": "label", "positive": [1], "negative": [0], "indeterminate": [9]},
    "note": {"kind": "drop"},
}
CANARY = "Zyxwolf-Qargh-7719"


def schema(**changes):
    return TableSchema.model_validate({"columns": COLUMNS | changes})


def table(n=6, **changes):
    frame = pd.DataFrame(
        {
            "mrn": [f"00{i}" for i in range(n)],
            "patient": [f"p{i // 2}" for i in range(n)],
            "seen": ["2024-03-01"] * n,
            "age": [40 + i for i in range(n)],
            "zip": ["02139"] * n,
            "sex": ["1", "2"] * (n // 2),
            "lactate": [1.5] * n,
            "sepsis": ["1", "0", "9", "", "1", "0"][:n],
            "note": ["free text"] * n,
            "surprise": ["never declared"] * n,
        }
    )
    return frame.assign(**changes)


def test_only_declared_columns_are_read_and_the_others_are_named():
    cohort = read_table(table(), schema())
    assert list(cohort.frame) == [name for name in COLUMNS if name != "note"]
    assert cohort.dropped == ("surprise",)
    assert cohort.flow == (("rows_read", 6),)


def test_indeterminate_and_missing_references_are_kept_and_counted():
    cohort = read_table(table(), schema())
    assert cohort.reference.tolist() == [True, False, pd.NA, pd.NA, True, False]
    assert (cohort.n_indeterminate, cohort.n_missing_reference) == (1, 1)
    assert cohort.clusters.tolist() == ["p0", "p0", "p1", "p1", "p2", "p2"]
    assert cohort.cases.tolist() == ["000", "001", "002", "003", "004", "005"]


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet"])
def test_a_file_reads_like_the_frame(tmp_path, suffix):
    path = tmp_path / f"cohort{suffix}"
    if suffix == ".parquet":
        table().to_parquet(path)
    elif suffix == ".csv":
        path.write_bytes(b"\xef\xbb\xbf" + table().to_csv(index=False).encode())
    else:
        path.write_bytes(gzip.compress(table().to_csv(index=False).encode()))
    pd.testing.assert_frame_equal(
        read_table(path, schema()).frame, read_table(table(), schema()).frame, check_dtype=False
    )


@pytest.mark.parametrize(
    "values",
    [
        [1, 0, 9, None, 1, 0],
        [1.0, 0.0, 9.0, np.nan, 1.0, 0.0],
        ["1.0", "0", "9", "NA", "true", "FALSE"],
    ],
)
def test_a_label_means_the_same_in_every_spelling(values):
    frame = table().assign(sepsis=pd.Series(values, dtype=object if None in values else None))
    assert read_table(frame, schema()).reference.tolist() == [
        True,
        False,
        pd.NA,
        pd.NA,
        True,
        False,
    ]


def test_yes_and_no_mean_the_same_quoted_or_not():
    plan = yaml.safe_load(
        "{kind: label, positive: [yes, 1], negative: [no], indeterminate: [unclear]}"
    )
    frame = table().assign(sepsis=["Yes", "no", "unclear", "", "true", "0"])
    cohort = read_table(frame, schema(sepsis=plan))
    assert cohort.reference.tolist() == [True, False, pd.NA, pd.NA, True, False]


def test_boolean_labels_are_understood():
    frame = table().assign(sepsis=[True, False] * 3)
    assert read_table(frame, schema()).reference.tolist() == [True, False] * 3


def test_zip_codes_that_lost_their_leading_zero_get_it_back():
    cohort = read_table(table().assign(zip=[2139] * 6), schema())
    assert set(cohort.frame["zip"]) == {"02139"}


@pytest.mark.parametrize(
    "cells",
    [[1, 2] * 3, [1.0, 2.0] * 3, ["1", "2.0"] * 3, [1, "2", 1.0, " 2 ", "1", 2]],
    ids=["whole", "decimal", "text", "mixed"],
)
def test_levels_are_translated_from_whole_numbers(cells):
    levels = yaml.safe_load("{1: female, 2: male}")
    declared = schema(sex={"kind": "category", "levels": levels})
    cohort = read_table(table(sex=cells), declared)
    assert cohort.frame["sex"].tolist() == ["female", "male"] * 3


def test_a_level_called_na_is_a_level_once_it_is_declared():
    sex = {"kind": "category", "levels": ["NA", "female"]}
    cohort = read_table(table().assign(sex=["NA", "female", ""] * 2), schema(sex=sex))
    assert cohort.frame["sex"].tolist() == ["NA", "female", None] * 2


BAD = {
    "not a number": ("lactate", CANARY, "are not a number"),
    "infinite": ("lactate", "inf", "are infinite"),
    "below low": ("lactate", "-0.1", "outside the declared low and high"),
    "above high": ("lactate", "30.1", "outside the declared low and high"),
    "age": ("age", "131", "outside 0 to 130"),
    "date": ("seen", "03/04/2021", "a date in ISO 8601"),
    "zip": ("zip", CANARY, "form of a ZIP code"),
    "level": ("sex", CANARY, "outside the declared levels"),
    "label": ("sepsis", CANARY, "outside the declared label values"),
    "no id": ("mrn", "", "are missing"),
    "no cluster": ("patient", " ", "are missing"),
    "case twice": ("mrn", "000", "repeat an earlier case"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_value_is_counted_located_and_not_quoted(name):
    column, value, problem = BAD[name]
    frame = table().astype(object)
    frame.loc[[3, 5], column] = value
    with pytest.raises(CohortError) as caught:
        read_table(frame, schema())
    message = str(caught.value)
    assert f"column '{column}': 2 of 6 values" in message
    assert "first at row 3" in message
    assert problem in message
    shown = "".join(traceback.format_exception(caught.value))
    assert CANARY not in shown
    assert "03/04/2021" not in shown


@pytest.mark.parametrize(
    ("lactate", "fits"), [(-0.001, False), (0, True), (30, True), (30.001, False)]
)
def test_limits_are_inclusive(lactate, fits):
    frame = table().assign(lactate=lactate)
    if fits:
        assert set(read_table(frame, schema()).frame["lactate"]) == {lactate}
    else:
        with pytest.raises(CohortError, match="6 of 6"):
            read_table(frame, schema())


def test_values_in_another_unit_are_refused():
    lactate = COLUMNS["lactate"] | {"unit_column": "unit"}
    units = ["mmol/L"] * 4 + [CANARY, "mg/dL"]
    with pytest.raises(CohortError, match=r"2 of 6 values are not in the declared unit \(mmol/L\)"):
        read_table(table().assign(unit=units), schema(lactate=lactate))


def test_several_problems_of_one_column_and_repeated_cases_are_found_at_once():
    lactate = ["1.5", "text", "<0.5", "99", "2", "3"]
    found = table_problems(table(mrn=["a", "b", "b", "c", "d", "e"], lactate=lactate), schema())
    assert [problem.partition("(")[0].strip() for problem in found] == [
        "column 'mrn': 1 of 6 values repeats an earlier case",
        "column 'lactate': 1 of 6 values is below or above a limit of measurement",
        "column 'lactate': 1 of 6 values is not a number",
        "column 'lactate': 1 of 6 values is outside the declared low and high",
    ]
    assert [problem.partition("first at row ")[2][0] for problem in found] == ["2", "2", "1", "3"]


def test_a_case_without_an_id_is_one_problem():
    (found,) = table_problems(table(mrn=["a", None, None, "c", "d", "e"]), schema())
    assert "2 of 6 values are missing" in found


def test_absent_columns_are_named_and_present_ones_are_not():
    headless = table().drop(columns=["age"]).rename(columns={"surprise": CANARY})
    with pytest.raises(
        CohortError, match=r"1 declared column is not in the table \(age\)"
    ) as caught:
        read_table(headless, schema())
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("mrn,age\n1,2,3\n4,5\n", "1 of 2 rows does not have as many fields"),
        ('mrn,age\n1,"2\n', "cannot be read as CSV"),
        ("", "is empty"),
        ("\n", "is empty"),
    ],
)
def test_a_broken_csv_file_is_refused(tmp_path, text, problem):
    (tmp_path / "t.csv").write_text(text, encoding="utf-8")
    with pytest.raises(CohortError, match=problem):
        read_table(tmp_path / "t.csv", schema())


def test_a_table_without_rows_or_file_is_refused(tmp_path):
    with pytest.raises(CohortError, match="no rows"):
        read_table(table().iloc[:0], schema())
    with pytest.raises(CohortError, match="does not exist"):
        read_table(tmp_path / f"{CANARY}.csv", schema())
    (tmp_path / "t.parquet").write_bytes(CANARY.encode())
    with pytest.raises(CohortError, match="Parquet"):
        read_table(tmp_path / "t.parquet", schema())


def test_a_schema_without_case_key_is_refused():
    with pytest.raises(CohortError, match="declares no 'id'"):
        read_table(table(), schema(mrn={"kind": "drop"}))


@pytest.mark.parametrize(
    "changes",
    [
        {"x": {"kind": "free text"}},
        {"lactate": {"kind": "number", "low": 2, "high": 2}},
        {"lactate": {"kind": "number", "low": "2"}},
        {"sex": {"kind": "category", "levels": []}},
        {"sex": {"kind": "category", "levels": ["John Smith, 3 Main Street"]}},
        {"sepsis": {"kind": "label", "positive": [1], "negative": [True]}},
        {"second": {"kind": "cluster"}},
        {"second": COLUMNS["sepsis"]},
        {"age": {"kind": "age", "unit": "years"}},
    ],
)
def test_a_declaration_that_makes_no_sense_is_refused(changes):
    with pytest.raises(ValidationError):
        schema(**changes)


def test_a_schema_may_still_be_a_mapping():
    short = {"mrn": "id", "patient": {"kind": "cluster"}, "age": "age"}
    assert read_table(table(), short).schema == read_table(table(), {"columns": short}).schema
    with pytest.raises(
        CohortError, match=r"2 places of the schema do not fit \(columns.age, columns.sex\)"
    ):
        read_table(table(), short | {"sex": "category", "age": "years"})


def test_a_missing_value_needs_no_unit():
    lactate = COLUMNS["lactate"] | {"unit_column": "unit"}
    frame = table().assign(lactate=[1.5, None] * 3, unit=["mmol/L", None] * 3)
    assert read_table(frame, schema(lactate=lactate)).frame["lactate"].notna().sum() == 3


def test_a_cohort_shows_counts_only():
    cohort = read_table(table().assign(mrn=[f"{CANARY}{i}" for i in range(6)]), schema())
    for shown in (repr(cohort), str(cohort), cohort._repr_html_()):
        assert CANARY not in shown
        assert "surprise" not in shown
    assert repr(cohort) == (
        "Cohort(6 cases, 3 patients, 2 positive, 2 negative, 1 indeterminate, "
        "1 without reference, 1 column dropped)"
    )


def test_a_cohort_cannot_be_changed_through_its_frame():
    cohort = read_table(table(), schema())
    frame = cohort.frame
    frame.loc[0, "age"] = 1.0
    assert cohort.frame.loc[0, "age"] == 40.0
    with pytest.raises(AttributeError):
        cohort.flow = ()


@given(st.lists(st.booleans(), min_size=6, max_size=6))
@settings(max_examples=30)
def test_the_flow_counts_what_each_step_left(mask):
    cohort = read_table(table(), schema())
    if not any(mask):
        with pytest.raises(CohortError, match="rows_read 6 > adults 0"):
            cohort.keep("adults", mask)
        return
    kept = cohort.keep("adults", mask)
    assert isinstance(kept, Cohort)
    assert kept.flow == (("rows_read", 6), ("adults", sum(mask)))
    assert kept.cases.tolist() == [c for c, m in zip(cohort.cases, mask, strict=True) if m]


READERS = {
    "reader_a": COLUMNS["sepsis"],
    "reader_b": COLUMNS["sepsis"],
    "sepsis": COLUMNS["sepsis"],
}


@pytest.mark.parametrize(
    ("rule", "verdicts"),
    [
        ("majority", ["positive", "negative", "indeterminate", None, "positive", "indeterminate"]),
        (
            "unanimous",
            ["positive", "indeterminate", "indeterminate", None, "positive", "indeterminate"],
        ),
    ],
)
def test_readers_become_one_reference_by_the_declared_rule(rule, verdicts):
    frame = table().assign(
        reader_a=["1", "1", "9", "", "1", "1"],
        reader_b=["1", "0", "9", "", "", ""],
        sepsis=["1", "0", "1", "", "1", "0"],
    )
    declared = TableSchema.model_validate({"columns": COLUMNS | READERS, "readers": rule})
    assert read_table(frame, declared).verdicts.tolist() == verdicts


def ages(births, seen="2024-03-01"):
    age = {"kind": "age", "at": "seen"}
    return read_table(table(seen=seen, age=births), schema(age=age))


def test_an_age_is_counted_in_completed_years_at_a_date():
    births = ["2000-03-01", "2000-03-02", "2000-02-29", "1934-01-01", "", "2024-03-01"]
    found = ages(births).frame["age"]
    assert found.tolist()[:4] == [24, 23, 24, 90]
    assert np.isnan(found[4])
    assert found[5] == 0


def test_a_birth_after_the_date_is_refused():
    with pytest.raises(CohortError, match=r"column 'age': 1 of 6 values is after .* row 5"):
        ages(["2000-01-01"] * 5 + ["2024-03-02"])
    with pytest.raises(CohortError, match=r"column 'age': 1 of 6 values is not a date in ISO 8601"):
        ages(["2000-01-01"] * 5 + [CANARY])
    with pytest.raises(ValidationError):
        schema(age={"kind": "age", "at": "nope"})


def test_a_csv_file_keeps_quoted_line_breaks_and_notices_repeated_columns(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(
        '"mrn",patient,"seen\nat","note"\n001,p,2024-01-01,"a\nb, c"\n\n002,p,,\n', encoding="utf-8"
    )
    declared = {"mrn": {"kind": "id"}, "patient": {"kind": "cluster"}}
    cohort = read_table(path, TableSchema.model_validate({"columns": declared}))
    assert cohort.cases.tolist() == ["001", "002"]
    path.write_text("mrn,patient,mrn\n1,2,3\n", encoding="utf-8")
    with pytest.raises(CohortError, match=r"1 column is repeated in the table \(mrn\)"):
        read_table(path, TableSchema.model_validate({"columns": declared}))
    path.write_text("mrn,patient\n", encoding="utf-8")
    with pytest.raises(CohortError, match="no rows"):
        read_table(path, TableSchema.model_validate({"columns": declared}))


def test_a_cohort_reads_again_as_what_it_is():
    cohort = read_table(table(), schema())
    again = read_table(cohort.frame, cohort.schema)
    pd.testing.assert_frame_equal(again.frame, cohort.frame)
    assert again.schema == cohort.schema
    assert again.verdicts.tolist() == cohort.verdicts.tolist()


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2024-03-01", "2024-03-01"),
        ("20240301", "2024-03-01"),
        ("2024-03-01T23:30", "2024-03-01"),
        ("2024-03-01 23:30:00.5+02:00", "2024-03-01"),
        *(
            (wrong, None)
            for wrong in [
                "45292",
                "12",
                "2024",
                "2024-03",
                "2024-3-1",
                "2024/03/01",
                "2023-02-29",
                "0001-01-01",
                "24-03-01",
                "2024-03-01T25:00",
            ]
        ),
    ],
)
def test_only_whole_dates_are_dates(text, day):
    if day:
        found = read_table(table(seen=text), schema()).frame["seen"]
        assert set(found.dt.strftime("%Y-%m-%d")) == {day}
    else:
        with pytest.raises(
            CohortError, match=r"6 of 6 values are (not a date in ISO 8601|incomplete)"
        ):
            read_table(table(seen=text), schema())


CELLS = st.sampled_from(
    [
        CANARY,
        None,
        np.nan,
        pd.NA,
        pd.NaT,
        0,
        1,
        1.5,
        True,
        "1e999",
        "inf",
        "-0",
        "２",
        "",
        [CANARY],
        {CANARY: 1},
        CANARY.encode(),
        pd.Timestamp("2024-01-01"),
        Decimal("1.5"),
        10**30,
        "2024-01-01",
    ]
)


@given(st.sampled_from(sorted(COLUMNS)), st.lists(CELLS, min_size=6, max_size=6))
@settings(max_examples=150, deadline=None)
def test_no_cell_crashes_the_reading_or_is_quoted(column, cells):
    frame = table()
    frame[column] = pd.Series(cells, dtype=object)
    message = ""
    try:
        read_table(frame, schema())
    except CohortError as error:
        message = "".join(traceback.format_exception(error))
    assert CANARY not in message
