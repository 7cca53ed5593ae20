"""Bad input at the hospital: a clear error and exit code, no quoted value, no incomplete file."""

import subprocess
import sys

import pandas as pd
import pytest
import yaml
from demo_process import HANG_SECONDS

from healthval.evaluation import Site
from healthval.runner.execute import IDENTIFIABLE

CANARY = "Zyxwvut-90210-Qqq"


@pytest.fixture
def evaluate(stage, tmp_path):
    """Run the evaluation notebook by the command line; returns exit code, output and site folder."""

    def run(change=None, *, approve=True, **changes):
        home = tmp_path / "site"
        if approve:
            stage.approved_site(home)
        elif not home.exists():
            Site.create(home)
        values = stage.parameters(home, **changes)
        if change is not None:
            frame = pd.read_csv(values["table"], dtype=str)
            values["table"] = str(tmp_path / "cohort.csv")
            change(frame).to_csv(values["table"], index=False)
        file = tmp_path / "parameters.yaml"
        file.write_text(yaml.safe_dump(values), encoding="utf-8")
        command = [
            sys.executable,
            "-m",
            "healthval",
            "run",
            "evaluate",
            "-f",
            str(file),
            "-o",
            str(home),
        ]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=HANG_SECONDS, check=False
        )
        return done.returncode, done.stdout + done.stderr, home

    return run


def put(column, row, value):
    def change(frame):
        frame.loc[row, column] = value
        return frame

    return change


BAD_TABLES = {
    "wrong column": (lambda f: f.rename(columns={"mean_texture": CANARY}), 11, "mean_texture"),
    "empty cohort": (lambda f: f.iloc[:0], 11, "no"),
    "single class": (lambda f: f[f["histology"] == "benign"], 14, "AUROC"),
    "duplicate ids": (lambda f: pd.concat([f, f.iloc[[0]]]), 11, "mrn"),
    "not a number": (put("mean_texture", 3, CANARY), 11, "mean_texture"),
    "out of limits": (put("mean_smoothness", 3, "9021031.5"), 11, "mean_smoothness"),
    "label unknown": (put("histology", 3, CANARY), 11, "histology"),
    "id missing": (put("mrn", 3, None), 11, "mrn"),
}


@pytest.mark.parametrize("name", BAD_TABLES)
def test_a_bad_table_is_named_by_place_and_quotes_nothing(evaluate, name):
    change, code, place = BAD_TABLES[name]
    returned, said, home = evaluate(change)
    assert returned == code, said
    assert place in said
    for value in (CANARY, "9021031.5", "MRN"):
        assert value not in said
    assert "Traceback" not in said
    entries = Site.create(home).ledger.entries()
    assert not [e for e in entries if e.kind == "release"], "something was released"


def test_a_failed_evaluation_stays_in_the_folder_marked_as_identifiable(evaluate):
    _, _, home = evaluate(put("mean_texture", 3, CANARY))
    copies = list(home.rglob("*.ipynb"))
    assert [c.parent.name for c in copies] == [IDENTIFIABLE]
    assert "Keep it inside the hospital" in (copies[0].parent / "README.txt").read_text(
        encoding="utf-8"
    )
    assert not copies[0].parent.stat().st_mode & 0o077
    assert not list(home.rglob("*.html"))


def test_missing_inputs_are_scored_as_indeterminate_and_counted(evaluate, stage):
    def change(frame):
        frame.loc[[3, 5], "mean_texture"] = None
        return frame

    code, said, home = evaluate(change)
    assert code == 0, said
    release = [e for e in Site.create(home).ledger.entries() if e.kind == "release"][-1]
    assert release.body["payload"]["n"] != len(pd.read_csv(stage.inputs / "north" / "cohort.csv"))


def test_hub_down_is_said_in_one_line(evaluate):
    code, said, _ = evaluate(approve=False, hub_url="http://127.0.0.1:9")
    assert code == 21
    assert "is the hub running" in said


def test_who_was_not_approved_gets_nothing(evaluate):
    code, said, home = evaluate(approve=False)
    assert code == 22
    assert "operator has not decided" in said
    assert not Site.create(home).ledger.entries()


def test_a_wrong_key_is_refused(evaluate, stage, tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "site.key").write_text("not a key", encoding="utf-8")
    (tmp_path / "site" / "site.key").chmod(0o600)
    code, said, _ = evaluate(approve=False)
    assert code == 2
    assert "Ed25519" in said


def test_a_plan_for_other_inputs_than_the_models_is_refused(evaluate, stage, tmp_path):
    plan = yaml.safe_load((stage.inputs / "plan.yaml").read_text(encoding="utf-8"))
    plan["inputs"] = ["mean_texture"]
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(plan), encoding="utf-8")
    code, _, home = evaluate(plan=str(tmp_path / "plan.yaml"), approve=False)
    assert code in {10, 22}
    assert not Site.create(home).ledger.entries()


def test_two_runs_at_once_in_one_folder_do_not_meet(stage, tmp_path):
    """Jupyter numbers the sockets of kernels in the current folder; ours are in private folders."""
    runs = []
    for name in ("a", "b"):
        stage.approved_site(tmp_path / name)
        file = tmp_path / f"{name}.yaml"
        file.write_text(yaml.safe_dump(stage.parameters(tmp_path / name)), encoding="utf-8")
        command = [sys.executable, "-m", "healthval", "run", "evaluate", "-f", str(file)]
        words = [*command, "-o", str(tmp_path / name)]
        runs.append(
            subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        )
    said = [run.communicate(timeout=HANG_SECONDS) for run in runs]
    assert [run.returncode for run in runs] == [0, 0], said
    assert not list(tmp_path.glob("kernel-*"))
