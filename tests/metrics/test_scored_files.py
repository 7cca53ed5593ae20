"""Scores of a Parquet folder: read in parts, with the numbers and the memory that are promised."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from healthval.errors import CohortError
from healthval.evaluation import scored_files
from healthval.evaluation.scored_files import read_scored
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


MEASURE = """
import resource, sys
from healthval.evaluation.scored_files import read_scored
from healthval.metrics import evaluate
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
evaluate(*read_scored(sys.argv[1], reference="sepsis", score="risk"))
before = peak()
evaluate(*read_scored(sys.argv[2], reference="sepsis", score="risk"))
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the unit of the peak differs")
def test_a_case_costs_at_most_sixty_bytes_of_memory(tmp_path):
    n = 4_000_000
    rng = np.random.default_rng(1)
    score = 1 / (1 + np.exp(-rng.normal(-2, 1.5, n)))
    frame = pd.DataFrame({"risk": score, "sepsis": rng.random(n) < score})
    for name, rows in (("few", n // 8), ("many", n)):
        (tmp_path / name).mkdir()
        frame.iloc[:rows].to_parquet(tmp_path / name / "part.parquet", row_group_size=1 << 17)
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, tmp_path / "few", tmp_path / "many"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) / (n - n // 8) < 60
