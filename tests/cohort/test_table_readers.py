"""Spreadsheets, Parquet, and files of SAS, SPSS and Stata: codes, missing values, days and times stay."""

from datetime import date, datetime

import pandas as pd
import pytest

from healthval.cohort import read_table
from healthval.errors import CohortError

pyreadstat = pytest.importorskip("pyreadstat")

SCHEMA = {
    "visit": "id",
    "age": {"kind": "age", "missing": [-9]},
    "sex": {"kind": "category", "levels": {"1": "male", "2": "female"}},
    "day": "date",
    "time": "date",
    "dead": {"kind": "label", "positive": [1], "negative": [0]},
}
FRAME = pd.DataFrame(
    {
        "visit": ["v1", "v2", "v3"],
        "age": [44.0, 97.0, -9.0],
        "sex": [1.0, 2.0, 1.0],
        "day": [date(2024, 1, 2), date(2024, 2, 29), None],
        "time": [datetime(2024, 1, 2, 10, 30), datetime(2024, 2, 29), None],  # noqa: DTZ001
        "dead": [1.0, 0.0, None],
    }
)
READ = [
    ["v1", 44.0, "male", pd.Timestamp("2024-01-02"), pd.Timestamp("2024-01-02 10:30"), "positive"],
    ["v2", 97.0, "female", pd.Timestamp("2024-02-29"), pd.Timestamp("2024-02-29"), "negative"],
    ["v3", None, "male", None, None, None],
]
LABELS = {"sex": {1: "male", 2: "female"}}
WRITERS = {
    "t.sav": lambda path: pyreadstat.write_sav(
        FRAME, path, variable_value_labels=LABELS, missing_ranges={"age": [-9]}
    ),
    "t.zsav": lambda path: pyreadstat.write_sav(FRAME, path, compress=True),
    "t.dta": lambda path: pyreadstat.write_dta(FRAME, path, variable_value_labels=LABELS),
    "t.xpt": lambda path: pyreadstat.write_xport(FRAME, path, file_format_version=8),
    "t.xlsx": lambda path: FRAME.to_excel(path, index=False),
    "t.parquet": FRAME.to_parquet,
    "indexed.parquet": lambda path: FRAME.set_index("visit").to_parquet(path),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_of_every_kind_gives_the_same_cohort(tmp_path, name):
    WRITERS[name](str(tmp_path / name))
    frame = read_table(tmp_path / name, SCHEMA).frame.astype(object)
    assert frame.where(frame.notna(), None).to_numpy().tolist() == READ


def test_a_sheet_is_named_after_the_file(tmp_path):
    book = tmp_path / "book.xlsx"
    with pd.ExcelWriter(book) as out:
        pd.DataFrame({"note": ["Zyxwolf"]}).to_excel(out, sheet_name="Info", index=False)
        FRAME.to_excel(out, sheet_name="Data 1", index=False)
    assert len(read_table(f"{book}#Data 1", SCHEMA)) == 3
    with pytest.raises(CohortError, match="6 declared columns are not in the table"):
        read_table(book, SCHEMA)
    with pytest.raises(CohortError, match="no sheet of that name among 2 sheets"):
        read_table(f"{book}#Data 2", SCHEMA)


def test_keys_of_a_partitioned_folder_are_columns(tmp_path):
    FRAME.assign(ward=["a", "b", "a"]).to_parquet(tmp_path / "t", partition_cols=["ward"])
    wards = {"kind": "category", "levels": ["a", "b"]}
    frame = read_table(tmp_path / "t", {**SCHEMA, "ward": wards}).frame.sort_values("visit")
    assert frame["ward"].tolist() == ["a", "b", "a"]
    assert read_table(tmp_path / "t", SCHEMA).dropped == ("ward",)


def test_keys_of_folders_keep_their_leading_zeros(tmp_path):
    frame = FRAME.assign(ward=["007", "07", "7"])
    frame.to_parquet(tmp_path / "parts", partition_cols=["ward"])
    schema = {"ward": "id", "visit": "cluster"}
    cohort = read_table(tmp_path / "parts", schema)
    assert sorted(zip(cohort.frame["ward"], cohort.frame["visit"], strict=True)) == [
        ("007", "v1"),
        ("07", "v2"),
        ("7", "v3"),
    ]


@pytest.mark.parametrize("change", [{"visit": [4, 5, 6]}, {"sex": None}])
def test_a_folder_whose_files_differ_is_refused(tmp_path, change):
    FRAME.to_parquet(tmp_path / "a.parquet")
    other = FRAME.assign(**{n: v for n, v in change.items() if v})
    other.drop(columns=[n for n, v in change.items() if not v]).to_parquet(tmp_path / "b.parquet")
    with pytest.raises(CohortError, match=r"files differ: 1 of 2 files has other columns"):
        read_table(tmp_path, SCHEMA)


def test_a_file_without_any_value_of_a_text_is_read(tmp_path):
    FRAME.assign(note="x").to_parquet(tmp_path / "a.parquet")
    other = FRAME.assign(note=None, visit=["v4", "v5", "v6"])
    other.to_parquet(tmp_path / "b.parquet")
    assert len(read_table(tmp_path, SCHEMA)) == 6


def test_an_index_without_a_name_can_be_declared(tmp_path):
    FRAME.set_index("visit").rename_axis(None).to_parquet(tmp_path / "a.parquet")
    cohort = read_table(tmp_path / "a.parquet", {"__index_level_0__": "id"})
    assert cohort.frame["__index_level_0__"].tolist() == ["v1", "v2", "v3"]


@pytest.mark.parametrize("name", ["t.sav", "t.dta", "t.xpt", "t.sas7bdat", "t.xlsx", "t.parquet"])
def test_a_damaged_file_is_refused_without_its_content(tmp_path, name):
    (tmp_path / name).write_bytes(b"Zyxwolf" * 99)
    with pytest.raises(CohortError, match="cannot be read") as refused:
        read_table(tmp_path / name, SCHEMA)
    assert "Zyxwolf" not in str(refused.value)
    assert refused.value.__cause__ is None
