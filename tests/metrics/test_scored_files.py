"""Scores of a Parquet folder: read in parts, with the numbers and the memory that are promised."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from healthval.errors import CohortError
from healthval.evaluation import scored_files
from healthval.evaluation.scored_files import read_levels, read_scored
from healthval.metrics import evaluate

PATIENT = "Quartermaine"


def folder_of(place, n=10_000, files=3, **columns):
    rng = np.random.default_rng(4)
    score = 1 / (1 + np.exp(-rng.normal(-2, 1.5, n)))
    table = {"patient": [PATIENT] * n, "risk": score, "sepsis": rng.random(n) < score}
    frame = pd.DataFrame(table | columns)
    place.mkdir()
    for i, rows in enumerate(np.array_split(np.arange(n), files)):
        frame.iloc[rows].to_parquet(place / f"part-{i}.parquet", row_group_size=700)
    return frame


def test_a_folder_gives_the_result_of_the_table_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(scored_files, "ROWS_AT_ONCE", 999)
    frame = folder_of(tmp_path / "cohort")
    reference, score = read_scored(tmp_path / "cohort", reference="sepsis", score="risk")
    assert (reference.dtype, score.dtype) == (np.bool_, np.float64)
    assert np.array_equal(reference, frame["sepsis"])
    assert np.array_equal(score, frame["risk"])
    assert evaluate(reference, score) == evaluate(frame["sepsis"], frame["risk"])


@pytest.mark.parametrize("kind", ["int8", "float32", "bool", "Int64"])
def test_labels_of_each_kind_are_read(tmp_path, kind):
    frame = folder_of(tmp_path / "cohort", n=50)
    frame.astype({"sepsis": kind}).to_parquet(tmp_path / "one.parquet")
    reference, _ = read_scored(tmp_path / "one.parquet", reference="sepsis", score="risk")
    assert np.array_equal(reference, frame["sepsis"].to_numpy(bool))


@pytest.mark.parametrize(
    ("column", "at", "value", "words"),
    [
        ("risk", 41, None, r"'risk': 1 value .* are missing \(first at row 41\)"),
        ("risk", 7, float("inf"), r"'risk': 1 value .* are not finite \(first at row 7\)"),
        ("sepsis", 33, 2, r"'sepsis': 1 value .* are neither 0 nor 1 \(first at row 33\)"),
        ("sepsis", 0, PATIENT, "'sepsis' contains no numbers"),
    ],
)
def test_values_that_do_not_fit_are_counted_and_not_quoted(tmp_path, column, at, value, words):
    frame = folder_of(tmp_path / "cohort", n=50).astype({"sepsis": int})
    values = frame[column].astype(object)
    values[at] = value
    frame[column] = values.astype(str) if value == PATIENT else values
    frame.to_parquet(tmp_path / "one.parquet")
    with pytest.raises(CohortError, match=words) as refused:
        read_scored(tmp_path / "one.parquet", reference="sepsis", score="risk")
    assert PATIENT not in str(refused.value)


def test_places_without_the_columns_are_refused(tmp_path):
    folder_of(tmp_path / "cohort", n=50)
    with pytest.raises(CohortError, match="no column 'died'"):
        read_scored(tmp_path / "cohort", reference="died", score="risk")
    with pytest.raises(CohortError, match="no Parquet file"):
        read_scored(tmp_path / "gone", reference="sepsis", score="risk")
    (tmp_path / "cohort" / "part-9.parquet").write_bytes(b"PAR1 cut")
    with pytest.raises(CohortError, match="not Parquet or is damaged"):
        read_scored(tmp_path / "cohort", reference="sepsis", score="risk")
    (tmp_path / "cohort" / "part-9.parquet").unlink()
    part = tmp_path / "cohort" / "part-1.parquet"
    whole = part.read_bytes()
    part.write_bytes(whole[:4] + b"\xff" * 600 + whole[604:])
    with pytest.raises(CohortError, match="not Parquet or is damaged"):
        read_scored(part, reference="sepsis", score="risk")


WARD = ["icu", "icu", None, "general", " ", "theatre"]


def test_levels_of_a_folder_are_those_of_the_table_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(scored_files, "ROWS_AT_ONCE", 999)
    n = 9_000
    more = {"ward": np.resize(np.array(WARD, object), n), "old": np.arange(n) % 7 < 3}
    frame = folder_of(tmp_path / "cohort", n, **more, visits=np.arange(n) % 5)
    scored = read_scored(tmp_path / "cohort", reference="sepsis", score="risk")
    groups = {name: read_levels(tmp_path / "cohort", name) for name in ("ward", "old", "visits")}
    assert {levels.codes.dtype for levels in groups.values()} == {np.dtype(np.int8)}
    here = evaluate(frame["sepsis"], frame["risk"], groups=frame[["ward", "old", "visits"]])
    assert evaluate(*scored, groups=groups) == here
    assert [g.level for g in here.subgroups if g.variable == "ward"] == [
        "general",
        "icu",
        "missing",
        "theatre",
    ]


def test_the_order_in_which_levels_are_met_and_their_encoding_are_of_no_effect(tmp_path):
    frame = pd.DataFrame({"ward": ["b", "a", "c", "b", None, "a"]})
    for name, rows in (("0", [2, 3]), ("1", [0, 4, 1, 5])):
        frame.iloc[rows].astype("category").to_parquet(tmp_path / f"{name}.parquet")
    found = read_levels(tmp_path, "ward")
    assert found.astype(object).tolist()[:3] == ["c", "b", "b"]
    assert found.isna().tolist() == [False, False, False, True, False, False]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.arange(50) / 7, "'ward' contains no texts or whole numbers"),
        ([f"{PATIENT} {i % 128}" for i in range(200)], "'ward' has more than 127 different values"),
    ],
)
def test_columns_that_are_no_levels_are_refused_without_a_value(tmp_path, values, words):
    pd.DataFrame({"ward": values}).to_parquet(tmp_path / "one.parquet")
    with pytest.raises(CohortError, match=words) as refused:
        read_levels(tmp_path / "one.parquet", "ward")
    assert PATIENT not in str(refused.value)
    with pytest.raises(CohortError, match="no column 'unit'"):
        read_levels(tmp_path / "one.parquet", "unit")


MEASURE = """
import resource, sys
from healthval.evaluation import read_levels, read_scored
from healthval.metrics import evaluate
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
def whole(place):
    groups = {"sex": read_levels(place, "sex")} if sys.argv[3] == "grouped" else None
    evaluate(*read_scored(place, reference="sepsis", score="risk"), groups=groups)
whole(sys.argv[1])
before = peak()
whole(sys.argv[2])
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the unit of the peak differs")
@pytest.mark.parametrize("groups", ["grouped", "plain"])
def test_a_case_costs_at_most_fifty_bytes_of_memory(tmp_path, groups):
    n = 4_000_000
    rng = np.random.default_rng(1)
    score = 1 / (1 + np.exp(-rng.normal(-2, 1.5, n)))
    frame = pd.DataFrame({"risk": score, "sepsis": rng.random(n) < score})
    frame["sex"] = pd.Categorical.from_codes(rng.integers(0, 2, n), ["female", "male"])
    for name, rows in (("few", n // 8), ("many", n)):
        (tmp_path / name).mkdir()
        frame.iloc[:rows].to_parquet(tmp_path / name / "part.parquet", row_group_size=1 << 17)
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, tmp_path / "few", tmp_path / "many", groups],
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) / (n - n // 8) < 50
