"""The plan that `healthval init` proposes is YAML 1.2 in which every column keeps its name."""

import json
from pathlib import Path

import pandas as pd
import pytest

from healthval.files import parse_yaml
from healthval.runner.new_study import start_study


def test_column_names_that_yaml_could_read_as_numbers_stay_text(tmp_path):
    names = ["1e3", "0o17", "060", "1:30", "on", "yes", "2024-01-01", "null", "1.5"]
    source = tmp_path / "cohort.csv"
    columns = {name: [f"x{i}" for i in range(60)] for name in ["visit", *names]}
    pd.DataFrame(columns).to_csv(source, index=False)
    start_study(tmp_path / "my-study", source)
    text = (tmp_path / "my-study" / "plan.yaml").read_text(encoding="utf-8")
    values = parse_yaml(text, what="the plan", remedy="-")
    assert list(values["table"]["columns"]) == ["visit", *names]


@pytest.mark.parametrize(
    ("folder", "site"), [("my-study", "../site"), ("a/my-study", "../../site")]
)
def test_the_notebook_finds_the_site_folder_that_the_printed_request_makes(
    tmp_path, monkeypatch, folder, site
):
    monkeypatch.chdir(tmp_path)
    assert any("--site site --new-site" in line for line in start_study(Path(folder)))
    notebook = json.loads((tmp_path / folder / "evaluate.ipynb").read_text(encoding="utf-8"))
    source = "".join("".join(cell["source"]) for cell in notebook["cells"])
    assert f'site_folder: str = "{site}"  # folder' in source
