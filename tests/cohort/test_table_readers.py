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


@pytest.mark.parametrize("name", ["t.sav", "t.dta", "t.xpt", "t.sas7bdat", "t.xlsx", "t.parquet"])
def test_a_damaged_file_is_refused_without_its_content(tmp_path, name):
    (tmp_path / name).write_bytes(b"Zyxwolf" * 99)
    with pytest.raises(CohortError, match="cannot be read") as refused:
        read_table(tmp_path / name, SCHEMA)
    assert "Zyxwolf" not in str(refused.value)
    assert refused.value.__cause__ is None
