"""A vendor with a model file: scaffold, check, and the walk-through of docs/vendor.md."""

import pickle
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from healthval.cli import cli
from healthval.errors import HostingError, UsageError
from healthval.hosting.artefact import load
from healthval.hosting.scaffold import scaffold

joblib = pytest.importorskip("joblib")
from sklearn.linear_model import LinearRegression, LogisticRegression  # noqa: E402

DOCS = Path(__file__).parents[2] / "docs" / "vendor.md"
ROWS = pd.DataFrame({"age": [40.0, 50, 60, 70, 45, 65], "size": [1.0, 2, 3, 4, 2, 3]})
ILL = np.array([0, 0, 1, 1, 0, 1])


@pytest.fixture(scope="module")
def fitted():
    return LogisticRegression().fit(ROWS, ILL)


def run(*words):
    return CliRunner().invoke(cli, list(words))


def test_the_walk_through_of_the_docs(fitted, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    joblib.dump(fitted, "risk.joblib")
    commands = re.findall(r"```sh\n(.*?)\n```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    assert len(commands) == 3
    for command in commands:
        program, *words = shlex.split(command)
        if program == "healthval":
            done = run(*words)
            assert done.exit_code == 0, (done.output, done.exception)
        else:
            subprocess.run([sys.executable, *words], check=True)
    assert "to do: replace each FILL IN" in done.output or Path("vendor.key.pub").is_file()
    shown = run("model", "check", "risk").output
    expected = fitted.predict_proba(pd.DataFrame({"age": [0.5], "size": [0.5]}))[0, 1]
    assert f"case age 0.5, size 0.5: score {expected:.4f}" in shown
    assert "case age missing, size missing: no score (model_declined)" in shown
    assert "to do: replace each FILL IN" in shown
    assert "repeat, together and alone: yes" in shown


def test_a_model_fitted_without_names_needs_fields_in_its_order(tmp_path):
    joblib.dump(LogisticRegression().fit(ROWS.to_numpy(), ILL), tmp_path / "m.joblib")
    source = str(tmp_path / "m.joblib")
    with pytest.raises(UsageError, match="does not name its 2 inputs"):
        scaffold(source, tmp_path / "out", name="risk")
    with pytest.raises(UsageError, match="has 2 inputs, and 1 field is named"):
        scaffold(source, tmp_path / "out", name="risk", fields=["age"])
    assert not (tmp_path / "out").exists()
    scaffold(source, tmp_path / "out", name="risk", fields=["age", "size"])
    predict = load(tmp_path / "out" / "artefact")
    expected = joblib.load(source).predict_proba(ROWS.to_numpy())[:, 1]
    rows = [{"size": s, "age": a} for a, s in ROWS.to_numpy()]
    np.testing.assert_allclose(predict([*rows, {"age": 1, "size": None}])[:-1], expected)
    assert predict([{"age": None, "size": 1}]) == [None]


def test_classes_may_be_words_and_pickle_is_read_too(tmp_path):
    words = np.where(ILL == 1, "positive", "absent")
    (tmp_path / "m.pkl").write_bytes(pickle.dumps(LogisticRegression().fit(ROWS, words)))
    scaffold(str(tmp_path / "m.pkl"), tmp_path / "out", name="risk")
    assert "POSITIVE = 'positive'" in (tmp_path / "out" / "artefact" / "inference.py").read_text(
        encoding="utf-8"
    )


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (LinearRegression().fit(ROWS, ILL), "no predict_proba"),
        (LogisticRegression().fit(ROWS, [0, 1, 2, 0, 1, 2]), "3 classes"),
    ],
)
def test_a_model_that_gives_no_probability_of_two_is_refused(tmp_path, model, reason):
    joblib.dump(model, tmp_path / "m.joblib")
    with pytest.raises(UsageError, match=reason):
        scaffold(str(tmp_path / "m.joblib"), tmp_path / "out", name="risk")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "source", ["absent.joblib", "folder", "absent:make", "a b:make", "text.txt"]
)
def test_an_unknown_source_is_refused(tmp_path, source, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.txt").write_text("x", encoding="utf-8")
    with pytest.raises(UsageError):
        scaffold(source, tmp_path / "out", name="risk", fields=["age"])
    assert not (tmp_path / "out").exists()


FACTORY = "def make(model_dir):\n    return lambda rows: [{answer} for row in rows]\n"


def made(tmp_path, monkeypatch, answer):
    monkeypatch.chdir(tmp_path)
    code = answer if "\n" in answer else FACTORY.format(answer=answer)
    (tmp_path / "vendor_code.py").write_text(code, encoding="utf-8")
    return run(
        "model", "new", "vendor_code:make", "--name", "risk", "--out", "m", "--fields", "age"
    )


def test_a_factory_is_scaffolded_and_checked(tmp_path, monkeypatch):
    assert made(tmp_path, monkeypatch, "row['age'] and row['age'] / 2").exit_code == 0
    assert "case age 0.5: score 0.2500" in run("model", "check", "m").output


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("87.5", "outside 0 to 1"),
        ("[0.2, 0.8]", "not a list of numbers"),
        ("None", "no score for any row"),
        ("__import__('random').random()", "sent again or alone"),
        ("1 / len(rows)", "sent again or alone"),
        ("import absent_package\n", "module absent_package is not installed"),
        ("def make(model_dir):\n    return lambda rows: None\n", "not a list of numbers"),
        ("def make(model_dir):\n    return lambda rows: []\n", "0 scores for 3 instances"),
    ],
)
def test_a_model_that_is_not_ready_is_refused_with_the_reason(
    tmp_path, monkeypatch, answer, reason
):
    assert made(tmp_path, monkeypatch, answer).exit_code == 0
    refused = run("model", "check", "m")
    assert isinstance(refused.exception, HostingError)
    assert reason in str(refused.exception)
