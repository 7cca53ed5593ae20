"""Long tables: the same values, counts and refusals as short ones, whichever reader is used."""

import csv
import io
import warnings

import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from healthval.cohort import csv_bulk, csv_files, long_columns, read_table
from healthval.cohort.csv_bulk import has_quotes
from healthval.cohort.csv_files import read_columns, read_csv
from healthval.errors import CohortError

NUMBER = {"kind": "number", "missing": [-999, "."], "below_limit": "half", "low": -1e6}
SCHEMA = {
    "visit": "id",
    "patient": "cluster",
    "age": {"kind": "age", "missing": ["?"]},
    "crp": NUMBER,
    "at": {"kind": "date", "missing": ["1900-01-01"]},
    "ward": {"kind": "category", "levels": ["a", "none"]},
    "dead": {"kind": "label", "positive": [1], "negative": [0]},
    "zip": "zip",
}
CELLS = {
    "patient": ["p1", "p2", "P-3", "007", " p1", "1.0", "12"],
    "age": ["5", "89.5", "?", "", "70", "NA"],
    "crp": ["1.5", "-999", "-999.0", ".", "", "<0.5", "1e3", "7", "5,5", "+1", " 2", "1e999"],
    "at": ["2024-01-02", "2024-02-29T10:00:00", "", "1900-01-01", "2024-01-02T10:00:00+01:00"],
    "ward": ["a", "None", "", "NA"],
    "dead": ["1", "0", "1.0", "true", ""],
    "zip": ["02139", "2139", ""],
}
ODD = ["1e999", "2023-02-29", "b", "x", "-7", "2024", "é", '"', "12345678901234567890.0"]


@pytest.fixture
def long(monkeypatch):
    """Read every table like a long one."""
    monkeypatch.setattr(long_columns, "SMALL", 1)
    monkeypatch.setattr(csv_bulk, "SMALL", 1)


def outcome(source):
    """Everything that a user sees of a table, or the message of its refusal."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            cohort = read_table(source, SCHEMA)
        except CohortError as refused:
            return str(refused)
    frame = cohort.frame.astype(object).where(cohort.frame.notna(), None)
    instants = cohort.instants("at").tolist()
    return frame.to_dict("list"), cohort.counts, repr(instants), [str(w.message) for w in told]


@st.composite
def tables(draw):
    n = draw(st.integers(1, 30))
    odd = draw(st.sampled_from([[], [], ODD]))
    columns = {"visit": [f"v{k}" for k in range(n)]}
    for name, cells in CELLS.items():
        some = draw(st.lists(st.sampled_from(cells + odd), min_size=1, max_size=3))
        columns[name] = draw(st.lists(st.sampled_from(some), min_size=n, max_size=n))
    return pd.DataFrame(columns, dtype=object)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(frame=tables())
def test_a_long_csv_is_read_like_a_frame_of_its_cells(long, tmp_path, frame):
    expected = outcome(frame)
    frame.to_csv(tmp_path / "t.csv", index=False)
    assert outcome(tmp_path / "t.csv") == expected


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(frame=tables(), dtype=st.sampled_from(["category", "string", "string[pyarrow]"]))
def test_columns_of_every_text_type_are_read_alike(long, frame, dtype):
    assert outcome(frame.astype(dtype)) == outcome(frame)


@settings(max_examples=200, deadline=None)
@given(text=st.text(alphabet='a,"\n\r', max_size=20), cuts=st.lists(st.integers(0, 20), max_size=4))
@example(text='"a"', cuts=[1, 2])
@example(text='a"b', cuts=[])
def test_plain_quotes_are_those_that_both_readers_read_alike(text, cuts):
    raw = text.encode()
    parts = [raw[a:b] for a, b in zip([0, *sorted(cuts)], [*sorted(cuts), None], strict=True)]
    found = has_quotes(iter([part for part in parts if part]), ",")
    assert found == has_quotes(iter([raw] if raw else []), ",")
    if found is not None:
        assert found == ('"' in text)
        list(csv.reader(io.StringIO(text, newline=""), strict=True))  # no mark is out of place


def test_without_pyarrow_the_csv_reader_reads_the_same(tmp_path, monkeypatch):
    (tmp_path / "t.csv").write_text('a;b\n"x;1";\n;"y""z"\n', encoding="utf-8")
    found = read_csv(tmp_path / "t.csv").to_numpy().tolist()
    monkeypatch.setattr(csv_files, "read_rows", lambda *_: None)
    assert read_csv(tmp_path / "t.csv").to_numpy().tolist() == found == [["x;1", ""], ["", 'y"z']]


def test_columns_that_are_not_declared_are_named_and_not_read(tmp_path):
    (tmp_path / "t.csv").write_text("visit,phone,age\nv1,555,44\nv2,555,45\n", encoding="utf-8")
    frame, others = read_columns(tmp_path / "t.csv", {"visit", "age"})
    assert list(frame.columns) == ["visit", "age"]
    assert others == ("phone",)
    cohort = read_table(tmp_path / "t.csv", {"visit": "id", "age": "age"})
    assert cohort.dropped == ("phone",)
    with pytest.raises(CohortError, match="header line spells 'phone'"):
        read_table(tmp_path / "t.csv", {"visit": "id", "Phone": "zip"})
    frame.to_parquet(tmp_path / "t.parquet")
    cohort = read_table(tmp_path / "t.parquet", {"visit": "id"})
    assert cohort.dropped == ("age",)


def test_a_long_file_is_read_by_columns_of_levels_and_of_texts(tmp_path):
    n = 20_000
    lines = [f'v{k},{"f" if k % 2 else "m"},{k / 7},"w, {k % 3}"' for k in range(n)]
    (tmp_path / "t.csv").write_text("visit,sex,crp,ward\n" + "\n".join(lines), encoding="utf-8")
    frame = read_csv(tmp_path / "t.csv")
    assert [str(t) for t in frame.dtypes] == [
        "string[pyarrow]",
        "category",
        "string[pyarrow]",
        "category",
    ]
    rows = list(csv.reader(["visit,sex,crp,ward", *lines]))
    assert frame.astype(object).to_numpy().tolist() == rows[1:]


@pytest.mark.parametrize("line", ["v1", "v1,2,3", 'v1,"2', 'v1,"2"x'])
def test_a_bad_row_of_a_long_file_is_counted_as_in_a_short_one(tmp_path, line):
    lines = [f"v{k},{k}" for k in range(20_000)]
    lines[12_345] = line
    (tmp_path / "t.csv").write_text("visit,crp\n" + "\n".join(lines), encoding="utf-8")
    with pytest.raises(CohortError, match=r"1 of 20000 rows .*first at row 12345|quotation mark"):
        read_csv(tmp_path / "t.csv")
