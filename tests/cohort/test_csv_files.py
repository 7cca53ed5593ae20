"""CSV files: the cells of Python's csv reader or a refusal, in any encoding and with any separator."""

import csv
import gzip
import io

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from healthval.cohort import read_table
from healthval.cohort.csv_files import read_csv
from healthval.errors import CohortError

ODD = st.text(alphabet='ab1,;"\n\r \t.é', max_size=12)


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(lines=st.lists(ODD, max_size=6), end=st.sampled_from(["\n", "\r\n", "\r", "\n\r"]))
def test_cells_are_those_of_the_csv_reader_or_refused(tmp_path, lines, end):
    text = "k,v" + end + end.join(lines)
    (tmp_path / "t.csv").write_bytes(text.encode())
    try:
        frame = read_csv(tmp_path / "t.csv")
    except CohortError:
        return
    header, *rows = (row for row in csv.reader(io.StringIO(text, newline="")) if row)
    assert list(frame.columns) == header
    assert frame.to_numpy().tolist() == rows


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_separator_and_encoding_are_detected(tmp_path, separator, encoding):
    rows = [["visit", "ward"], ["v1", "Säuglinge"], ["v2", "a"]]
    text = "\r\n".join(separator.join(row) for row in rows)
    (tmp_path / "t.csv").write_bytes(text.encode(encoding))
    frame = read_csv(tmp_path / "t.csv")
    assert [list(frame.columns), *frame.to_numpy().tolist()] == rows


@pytest.mark.parametrize(
    ("text", "header"),
    [
        ("Hb, g/dl;CRP, mg/l\n12,3;5,4\n13,1;<0,5\n", ["Hb, g/dl", "CRP, mg/l"]),
        ('x,y|a|"name\n2"|d,e\nNA|"b"|,|c\n', ["x,y", "a", "name\n2", "d,e"]),
        ("a,b\tc\td\n1,5;2\t3\t4\n", ["a,b", "c", "d"]),
        ("id,ratio\n1,1|2\n2,2|3\n", ["id", "ratio"]),
        ("a;b,c;d\n1;2,3;4\n", ["a", "b,c", "d"]),
    ],
)
def test_of_two_possible_separators_the_one_with_clean_fields_counts(tmp_path, text, header):
    (tmp_path / "a.csv").write_text(text, encoding="utf-8")
    assert list(read_csv(tmp_path / "a.csv").columns) == header


def test_a_line_that_declares_the_separator_counts(tmp_path):
    (tmp_path / "t.csv").write_text("sep=;\nvisit;remark, long\nv1;a\n", encoding="utf-8")
    assert list(read_csv(tmp_path / "t.csv").columns) == ["visit", "remark, long"]


def test_decimal_commas_are_read_where_they_can_be_nothing_else(tmp_path):
    schema = {"visit": "id", "crp": "number"}
    (tmp_path / "t.csv").write_text("visit;crp\nv1;5,5\nv2;12\nv3;0,125\n", encoding="utf-8")
    assert read_table(tmp_path / "t.csv", schema).frame["crp"].tolist() == [5.5, 12.0, 0.125]
    (tmp_path / "t.csv").write_text("visit;crp\nv1;5,500\nv2;12\n", encoding="utf-8")
    with pytest.raises(CohortError, match="1 of 2 values has a comma that may be"):
        read_table(tmp_path / "t.csv", schema)


@pytest.mark.parametrize(
    ("separator", "word"), [(",", "commas"), (";", "semicolons"), ("\t", "tabs")]
)
def test_an_error_names_the_separator_and_no_value(tmp_path, separator, word):
    rows = [["visit", "age"], ["Jane-Canary", "66", "1"]]
    (tmp_path / "t.csv").write_text(
        "\n".join(separator.join(row) for row in rows), encoding="utf-8"
    )
    with pytest.raises(CohortError, match=word) as refused:
        read_csv(tmp_path / "t.csv")
    assert "Canary" not in str(refused.value)


@pytest.mark.parametrize(
    ("start", "problem"),
    [(b"PK\x03\x04", "spreadsheet"), (b"%PDF", "PDF"), (b"PAR1", "Parquet"), (b"a,b\n\0,1", "NUL")],
)
def test_another_kind_of_file_is_refused_by_its_name(tmp_path, start, problem):
    (tmp_path / "t.csv").write_bytes(start)
    with pytest.raises(CohortError, match=problem):
        read_csv(tmp_path / "t.csv")


@pytest.mark.parametrize("before", [b"a,b\n", b"a,b\n\xe9,1\n"])
def test_a_nul_byte_is_refused_wherever_it_is(tmp_path, before):
    (tmp_path / "t.csv").write_bytes(before + b"1,2\n" * 99_999 + b"3\0,4\n")
    with pytest.raises(CohortError, match="NUL"):
        read_csv(tmp_path / "t.csv")


@pytest.mark.parametrize("text", ["id^x\n1^2\n", "Ward 5\n\nid;x;y\n1;2;3\n"])
def test_a_file_without_any_declared_column_is_refused(tmp_path, text):
    (tmp_path / "t.csv").write_text(text, encoding="utf-8")
    with pytest.raises(CohortError, match="header line was read as 1 column"):
        read_table(tmp_path / "t.csv", {"id": "id", "x": {"kind": "number"}})


def test_a_truncated_gzip_file_is_refused(tmp_path):
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(b"a,b\n" + b"1,2\n" * 999)[:-20])
    with pytest.raises(CohortError, match="truncated"):
        read_csv(tmp_path / "t.csv.gz")
