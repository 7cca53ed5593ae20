"""Bounds over missing values, optimism of a recalibration, and sample sizes."""

import itertools

import numpy as np
import pytest
from scipy.stats import binom

from healthval import metrics as hm
from healthval.errors import MetricError


def test_bounds_are_the_extremes_over_every_completion():
    y = [1, 0, None, 1, 0, None, 1, 0]
    p = [0.9, 0.2, 0.8, None, 0.7, None, 0.1, None]
    found = hm.missing_bounds(y, p, 0.5)
    rates = {"sensitivity": [], "specificity": []}
    for ys in itertools.product(*[[v] if v is not None else [0, 1] for v in y]):
        for ps in itertools.product(*[[v] if v is not None else [0, 1] for v in p]):
            c = hm.confusion_at(ys, ps, 0.5)
            for name, values in rates.items():
                values.append(getattr(c, name).value)
    for name, values in rates.items():
        bounds = getattr(found, name)
        np.testing.assert_allclose(
            [bounds.worst.value, bounds.best.value], [min(values), max(values)]
        )


def test_every_missing_case_is_counted_once():
    found = hm.missing_bounds([1, 0, None, 1, 0, None], [0.9, 0.2, 0.8, None, None, None], 0.5)
    assert (found.n, found.n_complete, found.n_without_score) == (6, 2, 2)
    assert (found.n_without_score_events, found.n_without_score_non_events) == (1, 1)
    assert (found.n_without_reference, found.n_without_both) == (1, 1)


def test_complete_data_have_equal_bounds():
    s = hm.missing_bounds([1, 0, 1, 0], [0.9, 0.2, 0.4, 0.6], 0.5).sensitivity
    assert s.worst == s.observed == s.best


def test_verification_of_positives_only_is_refused():
    y, p = [1, 0, 1, None, None, None], [0.9, 0.8, 0.7, 0.1, 0.2, 0.3]
    with pytest.raises(MetricError, match="partial verification"):
        hm.missing_bounds(y, p, 0.5)


def miscalibrated(n=1500, seed=0):
    rng = np.random.default_rng(seed)
    lp = rng.normal(-1, 1.3, n)
    return rng.random(n) < 1 / (1 + np.exp(-lp)), 1 / (1 + np.exp(-(1 + 1.8 * lp)))


@pytest.mark.parametrize("method", ["in-the-large", "logistic", "isotonic"])
def test_recalibration_helps_a_miscalibrated_score_and_corrects_its_optimism(method):
    y, p = miscalibrated()
    update = hm.recalibrate(y, p, method=method)
    assert update.brier_gain.lo > 0
    fresh_y, fresh_p = miscalibrated(50_000, seed=9)
    real = np.mean((fresh_y - fresh_p) ** 2) - np.mean((fresh_y - update.apply(fresh_p)) ** 2)
    np.testing.assert_allclose(update.brier_gain.value, real, atol=0.01)


def test_optimism_makes_the_corrected_gain_smaller():
    rng = np.random.default_rng(3)
    p = rng.uniform(0.02, 0.98, size=150)
    update = hm.recalibrate(rng.random(150) < p, p, method="isotonic")
    assert update.brier_gain.value < update.apparent_gain


def test_isotonic_steps_increase_on_a_fixed_grid():
    y, p = miscalibrated()
    steps = hm.recalibrate(y, p, method="isotonic", bootstrap=hm.Bootstrap(50)).steps
    assert len(steps) == 20
    assert np.all(np.diff(steps) >= 0)


def test_isotonic_agrees_with_scikit_learn_on_the_grid():
    sk = pytest.importorskip("sklearn.isotonic")
    y, p = miscalibrated()
    code = np.minimum((p * 20).astype(int), 19)
    theirs = sk.IsotonicRegression().fit(code, y).predict(np.unique(code))
    ours = np.array(hm.recalibrate(y, p, method="isotonic", bootstrap=hm.Bootstrap(50)).steps)
    np.testing.assert_allclose(ours[np.unique(code)], theirs)


def test_expected_suppressed_cells_is_the_sum_of_their_chances():
    shares = [0.02, 0.1, 0.5, 0.0]
    expected = sum(binom.cdf(10, 300, s) - binom.pmf(0, 300, s) for s in shares)
    np.testing.assert_allclose(hm.expected_suppressed_cells(300, shares), expected)


def test_achieved_precision_is_the_width_of_the_intervals():
    y, p = miscalibrated()
    result = hm.evaluate(y, p)
    found = hm.achieved_precision(result)
    np.testing.assert_allclose(
        found.slope, result.calibration.slope.hi - result.calibration.slope.lo
    )


@pytest.mark.parametrize("blank", ["", " ", "\t\n", b""])
def test_blank_text_is_missing_everywhere(blank):
    text = "y" if isinstance(blank, str) else b"y"
    with pytest.raises(MetricError, match="1 of 3 labels is missing"):
        hm.reference_standard(np.array([text, blank, text]), positive=text)
    with pytest.raises(ValueError, match="1 of 3 cluster ids is missing"):
        hm.auroc([0, 1, 1], [0.1, 0.2, 0.3], cluster=np.array([text, blank, text]))
    rows = [[text, text], [blank, blank], [blank, text], [text, b"n" if text == b"y" else "n"]]
    assert hm.reader_agreement(np.array(rows)).n == 2
    column = np.array([text, blank, text])
    assert "missing" in {row.level for row in hm.table_one({"v": column}, [1, 0, 1])}
    groups = hm.subgroups([0, 1, 1], [0.1, 0.2, 0.3], column).results
    assert "missing" in {g.level for g in groups}
