"""`healthval init`: a plan to fill in and its notebooks; files are not overwritten, values not disclosed."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml
from click.testing import CliRunner

from healthval import __version__
from healthval.cli import cli
from healthval.demo import synthetic
from healthval.errors import CohortError, PlanError, UsageError
from healthval.plan import load_plan
from healthval.runner.new_study import start_study

NAMES = {"plan.yaml", "plan.schema.json", "evaluate.ipynb", "provision.ipynb", "report.ipynb"}
SENTENCES = ("title", "target_condition", "reference_standard", "sample_size.rationale")


def filled(path, *but):
    """The plan as a person fills it in, all but some places."""
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    for place in SENTENCES:
        first, _, second = place.partition(".")
        if place not in but:
            values[first] = {second: "An invented text."} if second else "An invented text"
    if "model" not in but:
        values["model"] = {"name": "ward-risk", "version": "1.0"}
    path.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    return load_plan(path)


def cohort(n=60):
    return pd.DataFrame(
        {
            "visit_id": [f"V{i:05d}" for i in range(n)],
            "mrn": [f"MRN{i // 2:08d}" for i in range(n)],
            "age": [30 + i for i in range(n)],
            "sex": ["F", "M"] * (n // 2),
            "crp": [i / 7 for i in range(n)],
            "remark": [f"seen Hilma {i}" for i in range(n)],
            "sepsis": ["yes", "no", "no"] * (n // 3),
        }
    )


def test_a_study_begins_with_a_plan_that_loads_and_three_notebooks(tmp_path):
    said = start_study(tmp_path / "my-study")
    assert {p.name for p in (tmp_path / "my-study").iterdir()} == NAMES | {".gitignore"}
    assert filled(tmp_path / "my-study" / "plan.yaml").study == "my-study"
    assert any("next" in line for line in said)


def test_each_notebook_names_the_version_it_is_from(tmp_path):
    start_study(tmp_path / "my-study")
    for path in (tmp_path / "my-study").glob("*.ipynb"):
        first = json.loads(path.read_text(encoding="utf-8"))["cells"][0]
        assert f"healthval {__version__}" in "".join(first["source"])


def test_the_plan_names_its_schema_for_editors(tmp_path):
    start_study(tmp_path / "my-study")
    first = (tmp_path / "my-study" / "plan.yaml").read_text(encoding="utf-8").splitlines()[0]
    assert first == "# yaml-language-server: $schema=./plan.schema.json"


@pytest.mark.parametrize("name", sorted(NAMES))
def test_nothing_is_ever_overwritten(tmp_path, name):
    folder = tmp_path / "my-study"
    folder.mkdir()
    (folder / name).write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match=name):
        start_study(folder)
    assert [p.name for p in folder.iterdir()] == [name]
    assert (folder / name).read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("name", ["My-Study", "1study", "x", "a_b"])
def test_a_name_that_cannot_be_a_studys_is_refused(tmp_path, name):
    with pytest.raises(UsageError, match="my-study"):
        start_study(tmp_path / name)
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_table_proposes_ids_inputs_label_and_subgroups_to_confirm(tmp_path, kind):
    source = tmp_path / f"cohort.{kind}"
    frame = cohort()
    frame.to_csv(source, index=False) if kind == "csv" else frame.to_parquet(source)
    said = start_study(tmp_path / "my-study", source)
    text = (tmp_path / "my-study" / "plan.yaml").read_text(encoding="utf-8")
    plan = filled(tmp_path / "my-study" / "plan.yaml")
    kinds = {name: column.kind for name, column in plan.table.columns.items()}
    assert kinds == {
        "visit_id": "id",
        "mrn": "cluster",
        "age": "age",
        "sex": "category",
        "crp": "number",
        "remark": "drop",
        "sepsis": "label",
    }
    assert set(plan.inputs) == {"age", "sex", "crp"}
    assert plan.subgroups == ("sex",)
    assert text.count("# CONFIRM") == sum(line.startswith("confirm") for line in said) > 0
    for value in ("Hilma", "V00001", "MRN0"):
        assert value not in text + "".join(said)


def test_a_full_disk_leaves_no_half_of_a_study(tmp_path, monkeypatch):
    from healthval.runner import new_study

    write, left = new_study.write_durably, iter(range(3))

    def full(*args, **kwargs):
        if next(left, None) is None:
            raise OSError(28, "no space")
        return write(*args, **kwargs)

    monkeypatch.setattr(new_study, "write_durably", full)
    with pytest.raises(OSError, match="no space"):
        start_study(tmp_path / "my-study")
    assert not list((tmp_path / "my-study").iterdir())
    monkeypatch.setattr(new_study, "write_durably", write)
    assert start_study(tmp_path / "my-study")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_path_that_is_not_utf8_is_refused_and_nothing_is_written(tmp_path):
    table = Path(os.fsdecode(os.fsencode(tmp_path) + b"/lab\xe9.csv"))
    table.write_text("visit,sex\nv1,female\nv2,male\n", encoding="utf-8")
    with pytest.raises(UsageError, match="not valid UTF-8"):
        start_study(tmp_path / "my-study", table)
    assert not (tmp_path / "my-study").exists()


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_without_unicode_shows_the_proposal(tmp_path, encoding):
    column = "Lab\u00f8r \u5e74"
    cohort().assign(**{column: range(60)}).to_csv(tmp_path / "kohorte.csv", index=False)
    words = [sys.executable, "-m", "healthval", "init", "my-study", "--from", "kohorte.csv"]
    env = os.environ | {"PYTHONIOENCODING": encoding, "LC_ALL": "C", "PYTHONUTF8": "0"}
    done = subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert column in (tmp_path / "my-study" / "plan.yaml").read_text(encoding="utf-8")


def test_a_fhir_folder_proposes_views(tmp_path):
    site = synthetic.write_site(tmp_path / "site", n=8, seed=3)
    said = start_study(tmp_path / "my-study", site.bundles)
    path = tmp_path / "my-study" / "plan.yaml"
    with pytest.raises(PlanError, match="no column is declared 'label'"):
        load_plan(path)
    label = "    # outcome: {kind: label"
    text = path.read_text(encoding="utf-8")
    assert label in text
    path.write_text(text.replace(label, label.replace("# ", ""), 1), encoding="utf-8")
    for planted in (*synthetic.FAMILY, *synthetic.GIVEN, "Main Street"):
        assert planted not in path.read_text(encoding="utf-8")
    plan = filled(path)
    assert any(f"plan.yaml --resources {site.bundles}" in line for line in said)
    assert plan.fhir.on == "patient"
    assert "age" in plan.inputs
    assert "loinc_2524_7" in plan.inputs


def test_a_source_that_cannot_be_read_is_said_and_nothing_is_written(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(CohortError, match="FHIR"):
        start_study(tmp_path / "my-study", tmp_path / "empty")
    assert not (tmp_path / "my-study").exists()


def test_a_table_without_inputs_still_begins_a_study(tmp_path):
    source = tmp_path / "cohort.csv"
    cohort()[["visit_id", "remark"]].to_csv(source, index=False)
    start_study(tmp_path / "my-study", source)
    assert "No column looks like an input" in (tmp_path / "my-study" / "plan.yaml").read_text(
        encoding="utf-8"
    )


def test_the_command_prints_its_files_and_the_next_step(tmp_path):
    done = CliRunner().invoke(cli, ["init", str(tmp_path / "my-study")])
    assert done.exit_code == 0, done.output
    assert "evaluate.ipynb" in done.output
    again = CliRunner().invoke(cli, ["init", str(tmp_path / "my-study")])
    assert isinstance(again.exception, UsageError)


@pytest.mark.parametrize("place", [*SENTENCES, "model"])
def test_a_plan_with_a_sentence_of_the_template_is_refused_with_its_place(tmp_path, place):
    start_study(tmp_path / "my-study")
    with pytest.raises(PlanError, match=rf"^the plan does not fit: {place}: [^;]*; [^;]*$"):
        filled(tmp_path / "my-study" / "plan.yaml", place)


def test_an_untouched_plan_is_refused_with_all_its_places(tmp_path):
    start_study(tmp_path / "my-study")
    with pytest.raises(PlanError) as refused:
        load_plan(tmp_path / "my-study" / "plan.yaml")
    assert all(f"{place}: the text of the template" in str(refused.value) for place in SENTENCES)
    assert "model: no model is named yet" in str(refused.value)


def parameters(folder):
    cells = json.loads((folder / "evaluate.ipynb").read_text(encoding="utf-8"))["cells"]
    space = {}
    exec("".join(next(c["source"] for c in cells if c["metadata"].get("tags"))), space)
    return space


def test_the_notebook_reads_the_table_or_the_resources_that_the_plan_was_proposed_from(tmp_path):
    cohort().to_csv(tmp_path / "cohort.csv", index=False)
    start_study(tmp_path / "of-table", tmp_path / "cohort.csv")
    assert parameters(tmp_path / "of-table")["table"] == "../cohort.csv"
    site = synthetic.write_site(tmp_path / "site", n=8, seed=3)
    start_study(tmp_path / "of-fhir", site.bundles)
    read = parameters(tmp_path / "of-fhir")
    assert read["table"] == ""
    assert (tmp_path / "of-fhir" / read["resources"]).resolve() == site.bundles.resolve()


@pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")
def test_git_ignores_keys_data_and_executed_evaluations(tmp_path):
    private = ["site/site.key", "other/site.key", "other/deid.secret", "site/plans.json"]
    private += ["runs/identifiable/evaluate.ipynb", "cohort.csv", ".ipynb_checkpoints/a.ipynb"]
    start_study(tmp_path / "my-study")
    subprocess.run(["git", "init", "-q", tmp_path / "my-study"], check=True)
    names = [*private, "plan.yaml", "plan.schema.json", "report.ipynb"]
    found = subprocess.run(
        ["git", "-C", tmp_path / "my-study", "check-ignore", "--no-index", *names],
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.splitlines() == private


def test_rules_for_git_that_exist_are_kept(tmp_path):
    (tmp_path / "my-study").mkdir()
    (tmp_path / "my-study" / ".gitignore").write_text("own/\n", encoding="utf-8")
    said = start_study(tmp_path / "my-study")
    assert (tmp_path / "my-study" / ".gitignore").read_text(encoding="utf-8") == "own/\n"
    assert "*.key" in said[-1]
