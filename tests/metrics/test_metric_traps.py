"""Numerical traps, each with the required behaviour."""

import json

import numpy as np
import pytest

from healthval import metrics as hm
from healthval.errors import MetricError

Y = np.array([0, 0, 1, 0, 1, 1, 0, 1] * 10)
P = np.round(np.linspace(0.05, 0.95, 80) * 0.6 + 0.35 * Y, 4)


def test_equal_scores_earn_half():
    assert hm.auroc([0, 1], [0.5, 0.5]).value == 0.5


def test_scores_are_compared_exactly_without_rounding():
    assert hm.auroc([0, 1], [0.3, np.nextafter(0.3, 1)]).value == 1


@pytest.mark.parametrize(
    ("y", "told"), [([0] * 37, "0 positives of 37"), ([1] * 5, "0 negatives of 5")]
)
def test_one_class_is_named_with_its_counts(y, told):
    with pytest.raises(hm.SingleClassError, match=told):
        hm.auroc(y, np.linspace(0, 1, len(y)))


def test_no_case_at_all():
    with pytest.raises(hm.SingleClassError, match="0 positives of 0"):
        hm.auroc([], [])


@pytest.mark.parametrize("flip", [False, True])
def test_a_class_of_one_gets_newcombes_interval(flip):
    y = np.array([1, 0, 0, 0, 0, 0]) ^ flip
    e = hm.auroc(y, [0.6, 0.1, 0.7, 0.3, 0.2, 0.5])
    assert (e.method, e.se) == ("newcombe-5", None)
    assert e.lo < e.value < e.hi


@pytest.mark.parametrize("value", [0, 1])
@pytest.mark.filterwarnings("ignore::healthval.metrics.DirectionWarning")
def test_perfect_and_perverse_scores_keep_a_proper_interval(value):
    e = hm.auroc([0] * 50 + [1] * 50, np.linspace(0, 1, 100) if value else np.linspace(1, 0, 100))
    assert (e.value, e.method) == (value, "newcombe-5")
    assert 0 < e.hi - e.lo < 0.1


@pytest.mark.parametrize(
    ("n", "method"), [(29, "newcombe-5"), (30, "logit-delong"), (31, "logit-delong")]
)
def test_thirty_cases_in_each_class_earn_the_logit_interval(n, method):
    rng = np.random.default_rng(n)
    y = np.repeat([0, 1], [100, n])
    spread = np.where(y, 0.3, 1.0)  # narrow: Newcombe's interval is the wider one
    assert hm.auroc(y, spread * rng.normal(size=100 + n) + y).method == method


def test_scores_of_0_and_1_are_counted_and_the_slope_is_refused_not_clipped():
    p = P.copy()
    p[:3] = [0, 0, 1]
    c = hm.calibration(Y, p)
    assert c.n_boundary == 3
    for e in (c.slope, c.intercept, c.citl):
        assert e.value is None
        assert "3 scores" in e.reason
    assert c.brier.value is not None
    assert c.ici_rcs5.method.startswith("rcs5 on p")


def test_a_contradicted_certainty_has_no_log_loss_but_a_reason():
    c = hm.calibration([1, 0, 1, 0], [0.0, 0.2, 0.8, 0.3])
    assert c.log_loss.value is None
    assert "infinite" in c.log_loss.reason


@pytest.mark.parametrize(
    ("scale", "hint"),
    [(lambda p: p * 100, "percentages"), (lambda p: np.log(p / (1 - p)), "log-odds")],
)
@pytest.mark.parametrize("metric", [hm.calibration, hm.evaluate])
def test_other_scales_are_refused_with_a_guess(scale, hint, metric):
    with pytest.raises(MetricError, match=hint):
        metric(Y, scale(np.clip(P, 0.01, 0.99)))


def test_an_inverted_score_raises_a_warning_and_is_not_flipped():
    with pytest.warns(hm.DirectionWarning, match="inverted"):
        e = hm.auroc(Y, 1 - P)
    assert e.value < 0.5


def test_perfect_separation_has_no_slope():
    y = np.repeat([0, 1], 50)
    c = hm.calibration(y, np.where(y, 0.9, 0.1) + np.linspace(-0.05, 0.05, 100))
    assert c.slope.value is None
    assert "separates" in c.slope.reason
    assert c.citl.value is not None


def test_identical_rankings_differ_by_nothing_with_p_1():
    c = hm.compare_auroc(Y, P, P**2)
    assert (c.difference.value, c.z, c.p) == (0, None, 1.0)
    assert c.note


def test_pairs_beyond_int32_are_counted():
    n = 300_000
    y = np.arange(n) % 2
    e = hm.auroc(y, np.arange(n) / n)
    np.testing.assert_allclose(e.value, (n / 2 + 1) / n, rtol=1e-12)


def test_float32_scores_keep_their_ties_and_float16_is_refused():
    p = P.astype(np.float32)
    assert hm.auroc(Y, p) == hm.auroc(Y, p.astype(np.float64))
    with pytest.raises(MetricError, match="float16"):
        hm.auroc(Y, P.astype(np.float16))


def test_minus_zero_is_zero():
    assert hm.auroc([0, 1], [0.0, -0.0]).value == 0.5
    assert hm.auroc([0, 1, 1], [-1.0, -0.0, 0.0]).value == 1


def test_subnormal_scores_are_distinguished():
    assert hm.auroc([0, 1], [0.0, 5e-324]).value == 1


@pytest.mark.parametrize("hole", [np.nan, np.inf, -np.inf, None])
def test_missing_and_infinite_scores_are_counted_and_located(hole):
    p = P.astype(object)
    p[[3, 7]] = hole
    with pytest.raises(hm.MissingPredictionError, match=r"2 of 80 scores .* row 3"):
        hm.auroc(Y, p if hole is None else p.astype(float))


def test_pandas_missing_values_are_found():
    pd = pytest.importorskip("pandas")
    p = pd.Series(P, dtype="Float64")
    p[5] = pd.NA
    with pytest.raises(hm.MissingPredictionError, match="row 5"):
        hm.auroc(pd.Series(Y), p)
    y = pd.Series(Y, dtype="boolean")
    y[2] = pd.NA
    with pytest.raises(MetricError, match="row 2"):
        hm.auroc(y, pd.Series(P))


def test_masked_arrays_do_not_lose_their_mask():
    p = np.ma.masked_array(P, mask=np.arange(80) == 4)
    with pytest.raises(hm.MissingPredictionError, match="row 4"):
        hm.auroc(Y, p)


@pytest.mark.parametrize(
    "labels", [np.array(["0", "1"])[Y], 2 * Y - 1, Y + 1, np.where(Y, 0.7, 0.0)]
)
def test_labels_other_than_bool_or_0_and_1_need_a_positive_one(labels):
    with pytest.raises(MetricError, match=r"positive|probability"):
        hm.auroc(labels, P)


def test_naming_the_positive_label_settles_it():
    y = hm.reference_standard(np.array(["benign", "malignant"])[Y], positive="malignant")
    assert hm.auroc(y, P) == hm.auroc(Y, P)
    with pytest.raises(MetricError, match="none of 80"):
        hm.reference_standard(Y.astype(str), positive=1)


def test_pandas_categories_need_a_positive_one():
    pd = pytest.importorskip("pandas")
    with pytest.raises(MetricError, match="positive"):
        hm.auroc(pd.Series(np.array(["no", "yes"])[Y], dtype="category"), P)


def test_lengths_must_agree():
    with pytest.raises(MetricError, match="79 cases"):
        hm.auroc(Y, P[1:])


def test_misaligned_rows_are_refused():
    pd = pytest.importorskip("pandas")
    with pytest.raises(MetricError, match="row labels"):
        hm.auroc(pd.Series(Y), pd.Series(P)[::-1])


def test_a_repeated_patient_needs_a_declared_cluster():
    pd = pytest.importorskip("pandas")
    patients = pd.Index([f"patient {k // 2}" for k in range(80)])
    y, p = pd.Series(Y, index=patients), pd.Series(P, index=patients)
    with pytest.raises(MetricError, match=r"40 row labels repeat .* row 1\b"):
        hm.auroc(y, p)
    assert hm.auroc(y, p, cluster=patients).value == hm.auroc(Y, P).value


def test_tiny_tails_do_not_cancel_to_zero():
    rng = np.random.default_rng(0)
    p = rng.uniform(size=20_000)
    c = hm.calibration(rng.uniform(size=20_000) < p**4, p, curve=None)
    assert 0 < c.spiegelhalter.p < 1e-100


def test_heavy_ties_merge_quantile_groups_and_the_number_is_reported():
    rng = np.random.default_rng(0)
    p = rng.choice([0.1, 0.2, 0.4, 0.6], size=500)
    found = hm.hosmer_lemeshow(rng.uniform(size=500) < p, p)
    assert found.groups == found.df < 10


@pytest.mark.parametrize("t", [0.15, 0.3, 0.7, 1 / 3])
def test_a_score_exactly_at_the_threshold_is_positive(t):
    below, above = np.nextafter(t, 0), np.nextafter(t, 1)
    c = hm.confusion_at([1, 1, 1], [below, t, above], t)
    assert (c.tp, c.fn) == (2, 1)
    curve = hm.net_benefit([1, 1, 1], [below, t, above], [t])
    np.testing.assert_allclose(curve.net_benefit, [2 / 3])


def test_an_empty_cell_earns_a_flagged_half():
    r = hm.likelihood_ratios(hm.Confusion(tp=20, fp=0, fn=5, tn=40))
    assert "haldane" in r.positive.method
    assert "haldane" in r.diagnostic_odds_ratio.method
    assert "haldane" not in r.negative.method


def test_row_order_moves_no_digit_that_counts():
    rng = np.random.default_rng(5)
    y, p = rng.integers(2, size=5000), rng.uniform(size=5000)
    order = rng.permutation(5000)
    assert hm.auroc(y, p) == hm.auroc(y[order], p[order])
    a, b = hm.calibration(y, p, curve=None), hm.calibration(y[order], p[order], curve=None)
    np.testing.assert_allclose(a.slope.value, b.slope.value, rtol=1e-11)


def test_the_same_seed_gives_the_same_bits_and_another_seed_does_not():
    first, again, other = (hm.auroc(Y, P, ci=hm.Bootstrap(300, seed=s)) for s in (7, 7, 8))
    assert first == again
    assert first != other


def test_a_data_derived_threshold_is_marked_and_stays_out_of_the_panel():
    found = hm.data_derived_threshold(Y, P)
    assert found.origin == "data-derived"
    assert all(t.origin == "pre-specified" for t in hm.evaluate(Y, P).thresholds)


def test_two_dimensions_are_refused():
    with pytest.raises(MetricError, match="2 dimensions"):
        hm.auroc(Y, P[:, None])


@pytest.mark.parametrize(
    "call",
    [
        lambda: hm.auroc(Y, P, ci="wald"),
        lambda: hm.auroc(Y, P, level=95),
        lambda: hm.calibration(Y, P, curve="loess"),
        lambda: hm.calibration(Y, P, clip=0.7),
        lambda: hm.partial_auroc(Y, P),
        lambda: hm.partial_auroc(Y, P, fpr=(0.5, 0.1)),
        lambda: hm.confusion_at(Y, P, 1.5),
        lambda: hm.net_benefit(Y, P, [0.2, 0.1]),
        lambda: hm.net_benefit(Y, P, [1.0]),
        lambda: hm.evaluate(Y, P, thresholds=()),
        lambda: hm.evaluate(Y, P, groups=Y[1:]),
        lambda: hm.evaluate(Y, P, cluster=Y[1:]),
        lambda: hm.evaluate([], []),
        lambda: hm.predictive_values(hm.Confusion(tp=1, fp=1, fn=1, tn=1), 0),
        lambda: hm.proportion(3, 2),
        lambda: hm.concordance([1, -2], [1, 1], [0, 1]),
        lambda: hm.survival([1, 2, 3], [1, 1, 0], [0.1, 0.2, 0.3], horizon=9),
        lambda: hm.required_sample_size(0, 0.8, lp_mean=0, lp_sd=1),
        lambda: hm.recalibrate(Y, np.where(P > 0.9, 1.0, P)),
        lambda: hm.multiclass([0, 1], [[0.2, 0.2], [0.5, 0.5]]),
        lambda: hm.segment_case(np.zeros((3, 3)), np.zeros((2, 3)), spacing=(1, 1), tolerance=1),
    ],
)
def test_unusable_requests_are_our_errors(call):
    with pytest.raises(MetricError):
        call()


def test_nothing_not_estimable_is_nan_in_json():
    told = hm.evaluate(np.zeros(30), np.full(30, 0.5)).to_json()
    assert "NaN" not in told
    assert "Infinity" not in told
    json.loads(told)


def test_groups_must_carry_the_same_row_labels():
    pd = pytest.importorskip("pandas")
    y, group = pd.Series(Y), pd.Series(Y.astype(str))[::-1]
    for groups in (group, pd.DataFrame({"a": group}), {"a": group}):
        with pytest.raises(MetricError, match="row labels"):
            hm.evaluate(y, P, groups=groups)


def test_a_data_derived_threshold_needs_no_probability():
    found = hm.data_derived_threshold(Y, 10 * P - 3)
    np.testing.assert_allclose(found.threshold, 10 * hm.data_derived_threshold(Y, P).threshold - 3)
    assert found.net_benefit.value is None


@pytest.mark.filterwarnings("ignore::healthval.metrics.DirectionWarning")
@pytest.mark.parametrize("n", [1, 2, 3, 5, 8, 12])
def test_a_handful_of_cases_and_patients_gives_results_or_reasons(n):
    rng = np.random.default_rng(n)
    for k in range(25):
        p = rng.choice([0, 1, 0.5, 0.3, rng.random()], size=n) if k % 2 else rng.random(n)
        patient = rng.integers(max(1, n // 2), size=n) if k % 3 else None
        result = hm.evaluate(
            rng.random(n) < 0.5, p, groups=rng.integers(2, size=n), cluster=patient
        )
        json.loads(result.to_json(), parse_constant=pytest.fail)
        assert result._repr_html_()


@pytest.mark.parametrize("end", ["top", "bottom"])
@pytest.mark.parametrize(("n", "events"), [(50, 2), (90, 4), (35, 9), (250, 11)])
@pytest.mark.parametrize("seed", range(4))
def test_separation_is_named_wherever_the_fit_runs_away(n, events, end, seed):
    # Albert & Anderson 1984, Biometrika 71:1: no finite maximum under separation
    p = 1 / (1 + np.exp(-np.random.default_rng(seed).normal(-1.5, 1.4, n)))
    y, order = np.zeros(n, int), np.argsort(p)
    y[order[-events:] if end == "top" else order[:events]] = 1
    assert "separates the classes" in hm.calibration(y, p).slope.reason


def test_scores_that_are_all_equal_are_not_called_separated():
    for y in ([0, 1] * 20, [1] + [0] * 39):
        assert "vary too little" in hm.calibration(y, np.full(40, 0.3)).slope.reason


@pytest.mark.parametrize("limits", [{"fpr": (0, 0.3)}, {"tpr": (0.6, 1)}])
def test_a_partial_area_below_chance_has_no_correction(limits):
    # pROC 1.18: auc(..., partial.auc.correct = TRUE) is NA below the diagonal
    y, score = np.repeat([0, 1], 30), np.r_[np.linspace(0.3, 1, 30), np.linspace(0, 0.7, 30)]
    found = hm.partial_auroc(y, score, **limits)
    assert found.value is None
    assert "below chance" in found.reason
    assert hm.partial_auroc(y, score, corrected=False, **limits).value < 0.1


def test_oe_has_one_variance_with_and_without_patient_ids():
    rng = np.random.default_rng(5)
    p = rng.beta(1, 4, 300)
    y = (rng.random(300) < p).astype(int)
    plain = hm.calibration(y, p, curve=None).oe
    named = hm.calibration(y, p, curve=None, cluster=rng.permutation(300)).oe
    # metamisc::oecalc: var(log O:E) = (1 - O/N) / O
    np.testing.assert_allclose(plain.se / plain.value, np.sqrt((1 - y.mean()) / y.sum()))
    np.testing.assert_allclose(named.se, plain.se * np.sqrt(300 / 299))
    ids = np.tile(np.arange(300), 3)
    thrice = hm.calibration(np.tile(y, 3), np.tile(p, 3), curve=None, cluster=ids).oe
    np.testing.assert_allclose(thrice.se, named.se)


TIMES = np.linspace(1, 9, 12)
THREE = [np.array([0, 1, 2] * 4), np.array(["alive", "relapse", "dead"] * 4), [0.0, 1.0, 2.0] * 4]


@pytest.mark.parametrize("event", THREE, ids=["codes", "words", "floats"])
def test_competing_events_are_refused_by_name(event):
    risk = TIMES / 10
    for run in (
        lambda: hm.survival(TIMES, event, risk, horizon=5),
        lambda: hm.concordance(TIMES, event, risk),
    ):
        with pytest.raises(MetricError, match="3 different outcomes: competing events") as refused:
            run()
        assert "positive" not in str(refused.value)


def test_two_labels_of_an_outcome_still_get_the_advice_to_name_one():
    with pytest.raises(MetricError, match="name the positive label"):
        hm.concordance(TIMES, ["alive", "relapse"] * 6, TIMES / 10)


@pytest.mark.parametrize("other", ["Yes", "yes ", "YES"])
def test_another_spelling_of_the_positive_label_does_not_count_as_negative(other):
    with pytest.raises(MetricError, match="1 of 3 labels differs from the positive label only in"):
        hm.reference_standard(["yes", "no", other], positive="yes")
