"""`evaluate`: all statistics of the report from one call, as aggregates only."""

import json
from dataclasses import fields, is_dataclass

import numpy as np
import pytest

from healthval import metrics as hm


@pytest.fixture(scope="module")
def result(request):
    breast = request.getfixturevalue("breast")
    return hm.evaluate(breast["y"], breast["p_lr"], thresholds=(0.2, 0.5), groups=breast["group"])


def test_the_json_is_exact_and_holds_no_nan(result):
    told = json.loads(result.to_json(), parse_constant=pytest.fail)
    assert hm.Estimate.from_dict(told["auroc"]) == result.auroc
    assert told["decision_curve"]["net_benefit"] == result.decision_curve.net_benefit.tolist()


def numbers_in(value):
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return {number for item in value for number in numbers_in(item)}
    return {value} if isinstance(value, float) else set()


def test_no_number_in_the_json_is_the_score_of_a_patient(result, breast):
    fixed = {t.threshold for t in result.thresholds} | set(result.histogram.edges)
    fixed |= {x for x, _ in result.roc + result.calibration.curve} | set(
        result.decision_curve.thresholds
    )
    assert not (numbers_in(json.loads(result.to_json())) & set(breast["p_lr"])) - fixed


def test_no_list_is_longer_than_what_may_be_sent(result):
    assert len(result.roc) <= 20
    assert len(result.calibration.curve) <= 20
    assert len(result.decision_curve.thresholds) <= 20
    assert len(result.histogram.events) == 20


def test_the_histogram_holds_every_case_once(result, breast):
    h = result.histogram
    assert (sum(h.events), sum(h.non_events)) == (212, 357)
    np.testing.assert_allclose(sum(h.score_sums), breast["p_lr"].sum())


def test_the_same_seed_gives_the_same_bits(result, breast):
    again = hm.evaluate(breast["y"], breast["p_lr"], thresholds=(0.2, 0.5), groups=breast["group"])
    assert again == result
    assert again.to_json() == result.to_json()


def test_subgroups_appear_level_by_level_with_their_size(result, r_values):
    assert [(s.variable, s.level, s.n, s.n_events) for s in result.subgroups] == [
        ("group", "A", 285, 17),
        ("group", "B", 284, 195),
    ]
    for row, key in zip(result.subgroups, "AB", strict=True):
        np.testing.assert_allclose(
            row.auroc.value, r_values[f"bc.subgroup.{key}.auc"]["auc"], rtol=1e-8
        )


def test_html_shows_value_interval_and_method(result):
    html = result._repr_html_()
    for text in ("569 cases", "0.883", "logit-delong", "group: A", "prevalence 0.373"):
        assert text in html


def test_plots_draw_what_was_aggregated(result):
    pytest.importorskip("matplotlib")
    assert result.plot_roc().get_xlabel() == "1 - specificity"
    line = result.plot_calibration().lines[1]
    assert len(line.get_xdata()) == len(result.calibration.curve)


CELLS = (
    "import numpy as np\nfrom healthval import metrics as hm\n"
    "p = np.random.default_rng(0).uniform(size=300)\n"
    "r = hm.evaluate(np.random.default_rng(1).uniform(size=300) < p, p)",
    "r.plot_roc()",
    "r.plot_calibration()",
)


@pytest.mark.parametrize("before", ["", "%matplotlib inline"])
def test_a_notebook_shows_each_plot_once_and_as_a_picture(before):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    cells = [nbformat.v4.new_code_cell(source) for source in (before, *CELLS)]
    notebook = nbformat.v4.new_notebook(cells=cells)
    nbclient.NotebookClient(
        notebook, kernel_name="python3", timeout=1800, startup_timeout=1800
    ).execute()
    for cell in notebook.cells[2:]:
        (shown,) = cell.outputs
        assert shown.data["image/svg+xml"].count("<path") > 20


def test_a_plot_has_the_same_bytes_each_time(result):
    pytest.importorskip("matplotlib")
    assert result.plot_roc()._repr_svg_() == result.plot_roc()._repr_svg_()


@pytest.mark.parametrize("n", [40, 200, 1000])
@pytest.mark.parametrize("seed", range(3))
def test_what_a_notebook_keeps_holds_nobodys_score(n, seed):
    rng = np.random.default_rng(seed)
    score = rng.beta(1, 6, size=n)
    found = hm.evaluate(
        rng.uniform(size=n) < score,
        score,
        groups=rng.integers(3, size=n),
        cluster=np.arange(n) // 2,
    )
    for kept in (found.to_json(), found._repr_html_(), repr(found)):
        assert not [s for s in score.tolist() if repr(s) in kept]


@pytest.mark.parametrize(("n", "told"), [(2, False), (3, True), (4, True)])
def test_the_sum_of_two_scores_is_nowhere(n, told):
    found = json.loads(hm.evaluate([0, 1, 0, 1][:n], [0.11, 0.42, 0.36, 0.87][:n]).to_json())
    assert (found["calibration"]["expected"] is not None) is told


def test_a_sum_of_few_scores_is_not_told_by_the_others_either():
    h = hm.ScoreHistogram(
        (0.0, 0.25, 0.5, 0.75, 1.0), (1, 0, 2, 4), (0, 0, 3, 9), (0.2, 0.0, 3.0, 11.0)
    )
    assert h.shown_sums == (None, 0.0, None, 11.0)
    even = hm.ScoreHistogram((0.0, 0.5, 1.0), (1, 2), (2, 3), (0.9, 3.4))
    assert even.shown_sums == (0.9, 3.4)


def test_groups_may_be_a_frame_of_several_variables(breast):
    pd = pytest.importorskip("pandas")
    age = np.where(np.arange(569) % 2, 40, 60)
    frame = pd.DataFrame({"site": breast["group"], "age": age})
    found = hm.evaluate(breast["y"], breast["p_lr"], groups=frame).subgroups
    assert {(s.variable, s.level) for s in found} == {
        ("site", "A"),
        ("site", "B"),
        ("age", "40"),
        ("age", "60"),
    }


def test_one_class_leaves_the_rest_computed():
    score = np.linspace(0.1, 0.9, 40)
    found = hm.evaluate(np.zeros(40), score)
    assert found.auroc.value is None
    assert "0 positives of 40" in found.auroc.reason
    assert found.thresholds[0].specificity.value == 0.5
    json.loads(found.to_json(), parse_constant=pytest.fail)


def estimates_in(value):
    if isinstance(value, hm.Estimate):
        yield value
    elif is_dataclass(value):
        for f in fields(value):
            yield from estimates_in(getattr(value, f.name))
    elif isinstance(value, tuple):
        for item in value:
            yield from estimates_in(item)


def test_every_estimate_is_in_its_interval_or_has_a_reason(result):
    found = list(estimates_in(result))
    assert len(found) > 60
    for e in found:
        assert (e.value is not None) or e.reason is not None
        if e.lo is not None:
            assert e.lo <= e.value <= e.hi


def test_scores_exactly_on_an_edge_or_threshold_count_upwards():
    score = np.repeat([0.05, 0.3, 0.5, 0.95, 1.0], 8)
    reference = np.arange(40) % 2 == 0
    found = hm.evaluate(reference, score, thresholds=(0.3, 0.5))
    curve = hm.net_benefit(reference, score, found.decision_curve.thresholds)
    np.testing.assert_array_equal(found.decision_curve.net_benefit, curve.net_benefit)
    cases = np.add(found.histogram.events, found.histogram.non_events)
    assert {k: n for k, n in enumerate(cases) if n} == {1: 8, 6: 8, 10: 8, 19: 16}
    np.testing.assert_allclose(found.histogram.score_sums[19], 8 * 0.95 + 8)
