"""A vendor's own model: a folder is started from a file, tried on a sample, its traceback shown."""

import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
import yaml
from click.testing import CliRunner
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from healthval.cli import cli
from healthval.errors import HostingError, UsageError
from healthval.hosting.new_model import start_model_folder
from healthval.runner.provision import read_registration

CARD = {"name": "ward-risk", "version": "1.0", "title": "Invented", "developer": "Invented Ltd"}
CARD |= {"intended_use": "None.", "target_condition": "sepsis"}
FIELDS = [{"name": "age", "low": 0, "high": 120}, {"name": "crp", "low": 0}]
FIELDS += [{"name": "sex", "kind": "category", "levels": ["female", "male"]}]
DECLINED = "no score (model_declined)"
PLAIN = "def load(folder): return None\ndef predict(model, rows): return "


def registered(folder, fields=FIELDS):
    text = yaml.safe_dump({"card": CARD, "inputs": {"kind": "table", "fields": fields}})
    (folder / "registration.yaml").write_text(text, encoding="utf-8")


def check(folder, sample=None):
    options = [] if sample is None else ["--sample", str(sample)]
    return CliRunner().invoke(cli, ["model", "check", str(folder), *options])


def received(output):
    """What a hospital receives for each case, as the last lines show it."""
    return [line.partition(": ")[2] for line in output.splitlines() if line.startswith(" " * 9)]


@pytest.fixture
def place(tmp_path):
    """A folder with a registration and a sample of three cases."""
    registered(tmp_path)
    sample = tmp_path / "sample.csv"
    sample.write_text("sex,age,crp\nfemale,61,12.5\nmale,,3\n,40,0\n", encoding="utf-8")
    (tmp_path / "artefact").mkdir()
    return tmp_path


def code(place, text):
    (place / "artefact" / "inference.py").write_text(text, encoding="utf-8")


def test_a_model_that_works_shows_its_scores(place):
    code(place, PLAIN + "[None if r['age'] is None else r['age'] / 100 for r in rows]")
    done = check(place / "artefact", place / "sample.csv")
    assert done.exit_code == 0, done.output
    assert check(place, place / "sample.csv").output == done.output
    assert "3 cases: 2 scored, 1 declined" in done.output
    assert "a hospital receives" in done.output
    assert received(done.output) == ["0.61", DECLINED, "0.4"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (PLAIN + "[r['weight'] for r in rows]", "KeyError: 'weight'"),
        ("import no_such_library\n" + PLAIN + "[]", "No module named 'no_such_library'"),
        ("def load(folder): raise SystemExit(3)\ndef predict(m, rows): return []", "SystemExit: 3"),
        (PLAIN + "[50 for r in rows]", "3 of 3 scores are outside 0 to 1"),
        (PLAIN + "[0.5]", "1 score for 3 instances"),
        (PLAIN + "[None for r in rows]", "declines all 3 cases, and 1 had every input"),
    ],
)
def test_a_model_that_breaks_shows_why_with_its_traceback(place, text, says):
    code(place, text)
    done = check(place / "artefact", place / "sample.csv")
    assert isinstance(done.exception, HostingError)
    assert says in done.output
    assert ("inference.py" in done.output) == (
        "Error" in says or "Exit" in says or "No module" in says
    )


@pytest.mark.parametrize(
    ("sample", "says"),
    [
        ("sex,age\nmale,3\n", "lacks 1 column of the contract: crp"),
        ("sex;age;crp\nmale;3;1,5\n", "separate columns by commas, and write decimal points"),
        ("sex,age,crp\n", "no rows"),
        ("sex,age,crp\nmale,300,1\n", "line 2: 'age' is outside"),
        ("sex,age,crp\nmale,Zyx-441,1\n", "line 2: 'age' is not a number"),
        ("sex,age,crp\nfemale,1,1\nZyx-441,3,1\n", "line 3: 'sex' is none"),
    ],
)
def test_a_sample_that_does_not_fit_is_refused_without_its_value(place, sample, says):
    code(place, PLAIN + "[0.5 for r in rows]")
    (place / "sample.csv").write_text(sample, encoding="utf-8")
    refused = check(place / "artefact", place / "sample.csv").exception
    assert isinstance(refused, UsageError)
    assert says in str(refused)
    assert "Zyx-441" not in str(refused)


def test_a_model_of_scikit_learn_is_started_from_its_file(tmp_path):
    rng = np.random.default_rng(5)
    rows = rng.normal(size=(80, 2))
    trained = LogisticRegression().fit(rows, rows[:, 0] > 0)
    joblib.dump(trained, tmp_path / "ward.joblib")
    folder = tmp_path / "ward"
    done = CliRunner().invoke(
        cli, ["model", "new", str(folder), "--from", str(tmp_path / "ward.joblib")]
    )
    assert done.exit_code == 0, done.output
    with pytest.raises(UsageError, match=r"card\.name, .*inputs\.fields\.0\.name"):
        read_registration(folder / "registration.yaml", folder / "artefact")
    registered(folder, [{"name": "a"}, {"name": "b"}])
    code_file = folder / "artefact" / "inference.py"
    text = code_file.read_text(encoding="utf-8")
    text = text.replace("FILL_IN_first_input", "a").replace("FILL_IN_second_input", "b")
    code_file.write_text(text, encoding="utf-8")
    (tmp_path / "s.csv").write_text("a,b\n0.5,1\n,1\n-2,0\n", encoding="utf-8")
    shown = check(folder / "artefact", tmp_path / "s.csv")
    assert shown.exit_code == 0, shown.output
    first, _, last = trained.predict_proba([[0.5, 1], [0, 0], [-2, 0]])[:, 1]
    assert received(shown.output) == [f"{first:.6g}", DECLINED, f"{last:.6g}"]


def test_a_model_that_was_trained_on_a_table_gets_one_and_no_other_order(tmp_path):
    rng = np.random.default_rng(6)
    table = pd.DataFrame({"sex": rng.choice(["f", "m"], 80), "crp": rng.normal(size=80)})
    encoded = make_column_transformer((OneHotEncoder(), ["sex"]), remainder="passthrough")
    trained = make_pipeline(encoded, LogisticRegression()).fit(table, table["crp"] > 0)
    joblib.dump(trained, tmp_path / "ward.joblib")
    folder = tmp_path / "ward"
    lines = start_model_folder(folder, str(tmp_path / "ward.joblib"), None)
    assert any("INPUTS in" in line for line in lines)
    fields = [{"name": "crp"}, {"name": "sex", "kind": "category", "levels": ["f", "m"]}]
    registered(folder, fields)
    code_file = folder / "artefact" / "inference.py"
    text = code_file.read_text(encoding="utf-8")
    (tmp_path / "s.csv").write_text("crp,sex\n0.5,f\n,m\n-2,m\n", encoding="utf-8")
    wrong = text.replace("FILL_IN_first_input", "crp").replace("FILL_IN_second_input", "sex")
    code_file.write_text(wrong, encoding="utf-8")
    assert "in their order: ('sex', 'crp')" in check(folder / "artefact", tmp_path / "s.csv").output
    right = text.replace("FILL_IN_first_input", "sex").replace("FILL_IN_second_input", "crp")
    code_file.write_text(right, encoding="utf-8")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        shown = check(folder / "artefact", tmp_path / "s.csv")
    first = trained.predict_proba(table.assign(sex="f", crp=0.5)[:1])[0, 1]
    last = trained.predict_proba(table.assign(sex="m", crp=-2.0)[:1])[0, 1]
    assert received(shown.output) == [f"{first:.6g}", DECLINED, f"{last:.6g}"]


@pytest.mark.parametrize("kind", ["sklearn", "onnx", "torch", "mlflow"])
def test_each_kind_of_model_starts_with_code_that_compiles(tmp_path, kind):
    start_model_folder(tmp_path / "new", None, kind)
    text = (tmp_path / "new" / "artefact" / "inference.py").read_text(encoding="utf-8")
    names = {}
    exec(compile(text.partition("\ndef load")[0].split("\nimport ")[0], kind, "exec"), names)
    compile(text, "inference.py", "exec")


def test_a_folder_that_is_in_use_is_kept(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match="not empty"):
        start_model_folder(tmp_path / "mine", None, None)
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["notes.txt"]


def test_a_folder_without_a_model_is_refused(place):
    assert isinstance(check(place / "artefact", place / "sample.csv").exception, HostingError)


def test_a_model_that_works_only_in_this_process_is_noticed(place):
    """The server is a process of its own: it has neither this one's memory nor its modules."""
    code(place, "import random\n" + PLAIN + "[random.random() for r in rows]")
    done = check(place / "artefact", place / "sample.csv")
    assert isinstance(done.exception, HostingError)
    assert "3 of 3 cases have another score than above" in done.output
    text = "import sys\ndef load(folder):\n    if 'pytest' not in sys.modules: raise ValueError\n"
    code(place, text + "def predict(model, rows): return [0.5 for r in rows]\n")
    done = check(place / "artefact", place / "sample.csv")
    assert "the model's server does not start: the model does not load: ValueError" in done.output
    text = "import sys\ndef load(folder): return None\ndef predict(model, rows):\n"
    text += "    if 'pytest' not in sys.modules: raise KeyError\n    return [0.5 for r in rows]\n"
    code(place, text)
    done = check(place / "artefact", place / "sample.csv")
    assert "the model's server answers 500: the model raised KeyError" in done.output
    assert not list((place / "artefact").rglob("__pycache__"))


def with_probes(place, kind, *probes):
    path = place / "registration.yaml"
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    if kind == "dicom":
        values["inputs"] = {"kind": "dicom"}
    path.write_text(yaml.safe_dump(values | {"probes": list(probes)}), encoding="utf-8")


def test_probes_are_compared_and_their_scores_are_shown(place):
    code(place, PLAIN + "[None if r['age'] is None else r['age'] / 100 for r in rows]")
    row = {"sex": "female", "age": 50, "crp": 3}
    with_probes(place, "table", {"row": row, "score": 0.5}, {"row": row, "score": 0.4})
    done = check(place / "artefact", place / "sample.csv")
    assert isinstance(done.exception, HostingError)
    assert "3 cases: 2 scored" in done.output
    assert "1 of 2 probes" in done.output
    assert "probe 2: 0.5" in done.output
    with_probes(place, "table", {"row": row, "score": 0.5})
    done = check(place / "artefact")
    assert done.exit_code == 0
    assert done.output.splitlines() == [
        "probes   all 1 as registered",
        "served   by the container contract, with the same scores",
    ]
    with_probes(place, "table")
    assert "give --sample" in str(check(place / "artefact").exception)


def test_a_model_of_files_is_tried_on_its_probes(place):
    code(place, PLAIN + "[len(data) / 100 for data in rows]")
    (place / "phantom.dcm").write_bytes(bytes(40))
    with_probes(place, "dicom", {"files": ["phantom.dcm"], "score": 0.4})
    assert "all 1 as registered" in check(place / "artefact").output
    (place.parent / "outside.dcm").write_bytes(bytes(40))
    for other in ("absent.dcm", "../outside.dcm", str(place.parent / "outside.dcm")):
        with_probes(place, "dicom", {"files": [other], "score": 0.4})
        done = check(place / "artefact")
        assert "probe 1 is not in the folder of the registration" in str(done.exception)
