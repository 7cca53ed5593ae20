"""A logistic fit to binned scores equals the fit to all scores, or is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from healthval.metrics import calibration, logistic
from healthval.metrics.calibration.curves import _Spline
from healthval.metrics.logistic import Regression, bin_scores, binned_fit, fit_logistic, logit

shapes = {
    "n": st.integers(200, 3000),
    "centre": st.floats(-6, 6),
    "spread": st.floats(0.2, 4),
    "slope": st.floats(-1.5, 1.9),
    "decimals": st.sampled_from([2, 4, 16]),
    "seed": st.integers(0, 2**32 - 1),
}


@pytest.fixture(scope="module", autouse=True)
def any_number_of_scores():
    """Bin even the few scores that the tests below draw."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logistic, "WORTHWHILE", 1)
        patch.setattr(logistic, "CASES_PER_CELL", 0.01)
        yield


def grouped(n, centre, spread, slope, decimals, seed):
    """Distinct logits, ascending, with events and cases."""
    rng = np.random.default_rng(seed)
    lp = np.round(rng.normal(centre, spread, n), decimals)
    y = rng.random(n) < 1 / (1 + np.exp(-slope * (lp - centre)))
    x, row, cases = np.unique(lp, return_inverse=True, return_counts=True)
    return x, (np.bincount(row, y).astype(float), cases.astype(float))


@given(**shapes)
def test_points_have_the_sums_of_any_smooth_function(**shape):
    x, counts = grouped(**shape)
    points, weights = bin_scores(x, counts)
    for smooth in (np.ones_like, np.tanh, lambda v: v * v / (1 + np.exp(-1.9 * v)), np.cos):
        for count, weight in zip(counts, weights, strict=True):
            scale = np.abs(smooth(x)) @ count
            assert abs(smooth(points) @ weight - smooth(x) @ count) <= 1e-12 * (scale + 1)


@settings(deadline=None)
@given(**shapes)
def test_a_fit_to_binned_scores_is_the_fit_to_every_score(**shape):
    x, counts = grouped(**shape)
    points, weights = bin_scores(x, counts)
    for terms, start in ((1, np.zeros(1)), (2, np.array([0.0, 1.0]))):
        every, few = (
            Regression(np.array([np.ones(v.size), v])[:terms], c, offset=v if terms == 1 else None)
            for v, c in ((x, counts), (points, weights))
        )
        found = binned_fit(few, start)
        if found is None:
            continue
        fit = fit_logistic(every.design, counts, start=found.beta, offset=every.offset)
        np.testing.assert_allclose(found.beta, fit.beta, rtol=1e-9, atol=1e-10)
        np.testing.assert_allclose(found.covariance, fit.covariance, rtol=1e-7)
        assert found.deviance == pytest.approx(fit.deviance, rel=1e-12)


@pytest.mark.parametrize(("centre", "spread"), [(-1.5, 1.4), (0, 0.3), (-4, 3)])
def test_a_spline_through_binned_scores_is_the_spline_through_every_score(centre, spread):
    x, counts = grouped(40_000, centre, spread, 0.8, 16, 1)
    score = 1 / (1 + np.exp(-x))
    spline = _Spline.over(score, counts[1].astype(np.int64))
    found = binned_fit(spline.binned(score, counts), spline.identity())
    fit = fit_logistic(spline.terms(logit(score)), counts, start=found.beta)
    np.testing.assert_allclose(found.beta, fit.beta, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(found.covariance, fit.covariance, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize(("slope", "fits"), [(1.9, True), (2.2, False), (40, False)])
def test_a_predictor_too_steep_for_the_cells_is_refused(slope, fits):
    x, counts = grouped(40_000, 0, 0.5, slope, 16, 2)
    points, weights = bin_scores(x, counts)
    few = Regression(np.array([np.ones(points.size), points]), weights)
    assert (binned_fit(few, np.array([0.0, 1.0])) is not None) == fits


@pytest.mark.parametrize("slope", [0.7, 1.0, 3.0])
def test_calibration_is_the_same_with_and_without_bins(monkeypatch, slope):
    x, counts = grouped(40_000, -1, 1.2, slope, 16, 3)
    score, reference = 1 / (1 + np.exp(-x)), counts[0] > 0
    with_few = calibration(reference, score)
    monkeypatch.setattr(logistic, "WORTHWHILE", 10**9)
    without = calibration(reference, score)
    for name in ("citl", "intercept", "slope", "joint_test", "ici_rcs5", "e50", "e90"):
        ours, theirs = getattr(with_few, name), getattr(without, name)
        for part in ("value", "lo", "hi", "se"):
            expected = getattr(theirs, part)
            assert getattr(ours, part) == (expected and pytest.approx(expected, rel=1e-8))


def test_scores_far_apart_relative_to_the_cells_are_not_binned(monkeypatch):
    monkeypatch.setattr(logistic, "CASES_PER_CELL", 8)
    x = np.append(np.linspace(0, 1e-9, 40_000), 30.0)
    ones = np.ones(x.size)
    assert bin_scores(x, (ones, ones)) is not None
    assert bin_scores(x, (ones, ones), np.array([1e-10, 5e-10, 9e-10])) is None
    assert bin_scores(np.linspace(-700, 700, 40_000), (ones, ones)) is None


def test_a_knot_near_or_on_an_edge_keeps_all_cases():
    x = np.sort(np.append(np.random.default_rng(4).normal(0, 1, 5000), [0.5, np.nextafter(0.5, 1)]))
    ones = np.ones(x.size)
    for knot in (0.5, np.nextafter(0.5, 0), np.nextafter(0.5, 1)):
        points, (events, cases) = bin_scores(x, (ones, ones), np.array([-4.0, 0.1, knot]))
        assert np.isfinite(points).all()
        assert cases.sum() == events.sum() == pytest.approx(x.size)
        assert points @ cases == pytest.approx(x.sum(), rel=1e-12, abs=1e-9)


def test_a_score_just_beyond_the_last_edge_belongs_to_the_last_cell():
    knots = np.array([-0.3, 0.0, 0.6])
    density = 128 / float(knots[-1] - knots[0])
    above = (float(np.nextafter(k / density, 9)) for k in range(100, 400))
    last = next(v for v in above if np.ceil(v * density) / density < v)
    x = np.append(np.linspace(-0.5, last - 0.1, 500), last)
    points, (_, cases) = bin_scores(x, (np.ones(501), np.ones(501)), knots)
    assert cases.sum() == pytest.approx(501)
    assert points @ cases == pytest.approx(x.sum())


def test_separated_classes_are_not_estimable_with_the_same_reason():
    score = np.linspace(0.001, 0.999, 40_001)
    result = calibration(score > 0.5, score)
    assert result.slope.value is None
    assert result.slope.reason == "the score separates the classes completely, or nearly so"
    assert score.size > logistic.WORTHWHILE
