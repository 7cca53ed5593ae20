"""Results as a table, as plots into given axes and as one local page."""

import re
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

import healthval as hv
from healthval.errors import MetricError, ReportError, UsageError
from healthval.metrics import SiteResult, evaluate


@pytest.fixture(scope="module")
def case():
    rng = np.random.default_rng(8)
    score = 1 / (1 + np.exp(-rng.normal(-0.8, 1.2, 500)))
    ward = pd.Series(rng.choice(["<b>medical</b>", "surgical"], 500), name="ward")
    return rng.random(500) < score, score, ward


@pytest.fixture(scope="module")
def result(case):
    reference, score, ward = case
    return evaluate(reference, score, thresholds=(0.2, 0.5), groups=ward)


def test_each_estimate_is_a_row_with_its_interval(result):
    frame = result.to_frame()
    auroc = frame[(frame.statistic == "auroc") & frame.get("variable").isna()].iloc[0]
    assert (auroc.value, auroc.lo, auroc.hi) == (
        result.auroc.value,
        result.auroc.lo,
        result.auroc.hi,
    )
    for at in result.thresholds:
        rows = frame[(frame["at"] == at.threshold) & (frame.part == "thresholds")]
        assert rows.set_index("statistic").value["sensitivity"] == at.sensitivity.value
        cells = frame[(frame["at"] == at.threshold) & (frame.part == "confusion")]
        assert cells.set_index("statistic").value["tp"] == at.confusion.tp
    for level in result.subgroups:
        rows = frame[(frame.level == level.level) & (frame.statistic == "auroc")]
        assert rows.value.tolist() == [level.auroc.value]
    curve = frame[(frame.statistic == "net_benefit") & (frame.part != "thresholds")]
    assert len(curve.dropna(subset="at")) >= len(result.decision_curve.thresholds)


def test_a_table_survives_csv_and_xlsx(result, tmp_path):
    frame = result.to_frame()
    frame.to_csv(tmp_path / "r.csv", index=False)
    frame.to_excel(tmp_path / "r.xlsx", index=False)
    for read in (pd.read_csv(tmp_path / "r.csv"), pd.read_excel(tmp_path / "r.xlsx")):
        assert len(read) == len(frame)
        np.testing.assert_allclose(read.value, frame.value.astype(float), rtol=1e-12)


def test_a_printed_result_is_the_tables_and_no_page_of_records(result):
    assert str(result) == repr(result)
    lines = str(result).splitlines()
    assert len(lines) < 50
    assert max(map(len, lines)) < 140
    shown = [line.split()[:2] for line in lines]
    assert ["AUROC", f"{result.auroc.value:.3f}"] in shown
    for at in result.thresholds:
        assert ["Sensitivity", f"{at.sensitivity.value:.3f}"] in shown
    for level in result.subgroups:
        assert any(line.startswith(f"{level.variable}: {level.level}  ") for line in lines)
    assert "Estimate(" not in str(result)


def test_a_level_that_is_not_estimable_names_its_reason_once(case):
    reference, score, _ = case
    ward = ["small"] * 5 + ["large"] * 495
    shown = evaluate(reference, score, groups=ward)
    line = next(line for line in str(shown).splitlines() if "small" in line)
    assert line.count("fewer than 10") == 1
    assert line.count("not estimable") == 4
    assert shown._repr_html_().count("fewer than 10") == 1


def test_the_result_of_a_study_shows_its_tables_and_no_case(result):
    scores = (0.123456789, 0.987654321)
    study = SiteResult(
        model="<b>risk",
        version="1.0",
        model_digest="d" * 64,
        plan_hash="a" * 64,
        evaluation=result,
        flow=(),
        dates="none",
        cohort=frozenset({"digest-of-a-case"}),
        scores=scores,
        plan_amended=True,
    )
    for shown in (str(study), study._repr_html_()):
        assert "plan aaaaaaaaaaaaaaaa, amended" in shown
        assert f"{result.auroc.value:.3f}" in shown
        assert "digest-of-a-case" not in shown
        assert not [score for score in scores if str(score) in shown]
    assert "<b>risk" not in study._repr_html_()


def test_a_perfect_level_keeps_its_values():
    score = np.repeat([0.1, 0.9], 40)
    line = str(evaluate(score > 0.5, score, groups=["one"] * 80)).splitlines()[-1]
    assert line.count("1.000 (") == 4


def test_a_plot_whose_label_has_no_value_still_fits(case):
    reference, score, _ = case
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        edges = np.where(score < 0.2, 0.0, score)  # a score of 0 has no logit: no slope
        assert evaluate(reference, edges).plot_calibration()._repr_svg_()


@pytest.mark.parametrize("name", ["roc", "calibration", "decision_curve", "subgroups", "scores"])
def test_each_plot_is_drawn_into_the_given_axes(result, name):
    ax = Figure().subplots()
    assert getattr(result, f"plot_{name}")(ax=ax) is ax
    assert ax.has_data()
    assert getattr(result, f"plot_{name}")()._repr_svg_().count("<svg") == 1


def test_the_bars_of_scores_are_all_cases(result):
    ax = result.plot_scores(Figure().subplots())
    heights = [bar.get_height() for bar in ax.patches]
    assert sum(h for h in heights if h > 0) == result.n_events
    assert -sum(h for h in heights if h < 0) == result.n - result.n_events


def test_one_call_writes_a_page_that_loads_nothing(case, result, tmp_path):
    reference, score, ward = case
    path = hv.local_report(
        reference, score, groups=ward, thresholds=(0.2, 0.5), path=tmp_path / "mine.html"
    )
    text = path.read_text(encoding="utf-8")
    assert f"{result.auroc.value:.3f}" in text
    assert text.count("<figure>") == 5
    assert "<b>medical" not in text
    assert not re.search(r'(src|href)="(https?:)?//|url\(https?|<script', text)
    again = hv.local_report(
        reference, score, groups=ward, thresholds=(0.2, 0.5), path=tmp_path / "again.html"
    )
    assert again.read_bytes() == path.read_bytes()


def test_a_page_into_a_missing_folder_is_refused_with_the_place(case, tmp_path):
    with pytest.raises(ReportError, match="gone"):
        hv.local_report(*case[:2], path=tmp_path / "gone" / "mine.html")


def test_a_page_with_another_ending_is_refused_before_anything_is_written(case, tmp_path):
    with pytest.raises(UsageError, match=r"\.html or \.pdf"):
        hv.local_report(*case[:2], path=tmp_path / "mine.docx")
    assert not list(tmp_path.iterdir())


def test_without_matplotlib_a_plot_names_what_to_install(case, result, tmp_path, monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for plotted in (result.plot_roc, result.plot_calibration, result.plot_scores):
        with pytest.raises(UsageError, match="pip install matplotlib"):
            plotted()
    with pytest.raises(UsageError, match="pip install matplotlib"):
        hv.local_report(*case[:2], path=tmp_path / "mine.html")
    assert not list(tmp_path.iterdir())


def test_the_two_functions_named_evaluate_name_each_other(case):
    with pytest.raises(UsageError, match=r"healthval\.metrics\.evaluate"):
        hv.evaluate(*case[:2])
    with pytest.raises(MetricError, match=r"healthval\.evaluate"):
        evaluate(object(), object(), object())
    with pytest.raises(MetricError, match="single label, not a list"):
        hv.metrics.reference_standard(["a", "b"], positive=["a"])
