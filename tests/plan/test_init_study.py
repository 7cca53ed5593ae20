"""`healthval init`: a plan to fill in and its notebooks; files are not overwritten, values not disclosed."""

import json

import pandas as pd
import pytest
from click.testing import CliRunner

from healthval import __version__
from healthval.cli import cli
from healthval.demo import synthetic
from healthval.errors import CohortError, PlanError, UsageError
from healthval.plan import load_plan
from healthval.runner.new_study import start_study

NAMES = {"plan.yaml", "plan.schema.json", "evaluate.ipynb", "provision.ipynb", "report.ipynb"}


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
    assert {p.name for p in (tmp_path / "my-study").iterdir()} == NAMES
    assert load_plan(tmp_path / "my-study" / "plan.yaml").study == "my-study"
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
    plan = load_plan(tmp_path / "my-study" / "plan.yaml")
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
    text = (tmp_path / "my-study" / "plan.yaml").read_text(encoding="utf-8")
    assert text.count("# CONFIRM") == sum(line.startswith("confirm") for line in said) > 0
    for value in ("Hilma", "V00001", "MRN0"):
        assert value not in text + "".join(said)


def test_a_fhir_folder_proposes_views(tmp_path):
    site = synthetic.write_site(tmp_path / "site", n=8, seed=3)
    start_study(tmp_path / "my-study", site.bundles)
    path = tmp_path / "my-study" / "plan.yaml"
    with pytest.raises(PlanError, match="no column is declared 'label'"):
        load_plan(path)
    label = "    # outcome: {kind: label"
    text = path.read_text(encoding="utf-8")
    assert label in text
    path.write_text(text.replace(label, label.replace("# ", ""), 1), encoding="utf-8")
    plan = load_plan(path)
    assert plan.fhir.on == "patient"
    assert "loinc_2524_7" in plan.inputs
    for planted in (*synthetic.FAMILY, *synthetic.GIVEN, "Main Street"):
        assert planted not in path.read_text(encoding="utf-8")


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
