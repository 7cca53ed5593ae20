"""The code of the page about metrics runs, and the page lists every public metric."""

import inspect
import re
from pathlib import Path

import pandas as pd

from healthval import metrics as hm

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "metrics.md").read_text(encoding="utf-8")


def test_its_code_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cohort").mkdir()
    rows = pd.DataFrame({"sepsis": [0, 1, 0, 1, 0, 1], "risk": [0.1, 0.9, 0.2, 0.4, 0.6, 0.7]})
    rows = rows.assign(sex=["f", "m"] * 3, ward="icu")
    rows.to_parquet(tmp_path / "cohort" / "part.parquet")
    scope = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        exec(block, scope)  # our own page
    assert scope["clustered"].method == "logit-delong (obuchowski)"


def test_the_code_of_the_page_about_excel_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = (DOCS / "excel.md").read_text(encoding="utf-8")
    for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        exec(block, {})  # our own page
    headline = pd.read_excel(tmp_path / "headline.xlsx")
    assert headline.statistic.tolist() == ["auroc", "sensitivity", "specificity"]
    assert (tmp_path / "result.csv").exists()


def test_every_public_metric_of_this_room_is_on_it():
    elsewhere = {"holm", "proportion", "evaluate", "reader_agreement", "table_one"}
    public = {n for n in hm.__all__ if inspect.isfunction(getattr(hm, n))}
    assert not {name for name in public - elsewhere if f"`{name}" not in PAGE}
