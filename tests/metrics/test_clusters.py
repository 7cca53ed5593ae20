"""Several cases per patient: the width of an interval depends on the number of patients."""

import numpy as np
import pytest

from healthval import metrics as hm
from healthval.errors import MetricError


def alike(seed=0, patients=150, each=4):
    """Patients whose cases share most of reference standard, score and reading."""
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(patients), each)
    shared = rng.normal(size=patients)[patient]
    y = rng.random(patient.size) < 1 / (1 + np.exp(0.5 - 2 * shared))
    p, q = (1 / (1 + np.exp(0.5 - shared - 0.5 * rng.normal(size=patient.size))) for _ in range(2))
    return y, p, q, patient


def bits(values):
    return (values * 3).astype(int)


STATISTICS = {
    "lr_positive": lambda y, p, q, k: (
        hm.likelihood_ratios(hm.confusion_at(y, p, 0.4, cluster=k)).positive
    ),
    "lr_negative": lambda y, p, q, k: (
        hm.likelihood_ratios(hm.confusion_at(y, p, 0.4, cluster=k)).negative
    ),
    "dor": lambda y, p, q, k: (
        hm.likelihood_ratios(hm.confusion_at(y, p, 0.4, cluster=k)).diagnostic_odds_ratio
    ),
    "ppv": lambda y, p, q, k: hm.predictive_values(hm.confusion_at(y, p, 0.4, cluster=k), 0.1)[0],
    "npv": lambda y, p, q, k: hm.predictive_values(hm.confusion_at(y, p, 0.4, cluster=k), 0.1)[1],
    "accuracy": lambda y, p, q, k: hm.confusion_at(y, p, 0.4, cluster=k).accuracy,
    "mcnemar": lambda y, p, q, k: hm.mcnemar(y, p > 0.4, q > 0.4, cluster=k).difference,
    "kappa": lambda y, p, q, k: hm.cohen_kappa(bits(p), bits(q), cluster=k),
    "quadratic": lambda y, p, q, k: hm.cohen_kappa(bits(p), bits(q), quadratic=True, cluster=k),
    "fleiss": lambda y, p, q, k: hm.reader_agreement(np.array([y, p > 0.5, q > 0.5]).T, cluster=k),
    "multiclass": lambda y, p, q, k: (
        hm.multiclass(y.astype(int), np.array([1 - p, p]).T, cluster=k).kappa_quadratic
    ),
}


@pytest.mark.parametrize("name", STATISTICS)
def test_the_standard_error_is_that_of_resampled_patients(name):
    y, p, q, k = alike()
    rng, drawn = np.random.default_rng(2), []
    for _ in range(400):
        rows = (4 * rng.integers(150, size=150)[:, None] + np.arange(4)).ravel()
        drawn.append(STATISTICS[name](y[rows], p[rows], q[rows], None).value)
    clustered, naive = (STATISTICS[name](y, p, q, c) for c in (k, None))
    assert clustered.value == naive.value
    np.testing.assert_allclose(clustered.se, np.std(drawn), rtol=0.15)


def test_rates_of_counted_cells_are_those_at_the_threshold():
    y, p, _, k = alike()
    cells, row = hm.confusion_at(y, p, 0.4, cluster=k), hm.at_threshold(y, p, 0.4, cluster=k)
    assert row.confusion == cells
    for name in ("sensitivity", "specificity", "ppv", "npv"):
        a, b = getattr(cells, name), getattr(row, name)
        np.testing.assert_allclose([a.lo, a.hi, a.se], [b.lo, b.hi, b.se], rtol=1e-12)


@pytest.mark.parametrize("cluster", [True, False])
def test_cells_know_that_an_exact_interval_has_no_clusters(cluster):
    y, p, _, k = alike()
    cells = hm.confusion_at(y, p, 0.4, cluster=k if cluster else None)
    if not cluster:
        assert cells.rate("npv", ci="clopper-pearson").method == "clopper-pearson"
        return
    with pytest.raises(MetricError, match="Wilson"):
        cells.rate("npv", ci="clopper-pearson")


def test_variances_of_two_groups_of_patients_add():
    (y, p, _, k), (y2, p2, _, k2) = alike(0), alike(1)
    found = hm.compare_auroc_unpaired(y, p, y2, p2, cluster_a=k, cluster_b=k2)
    a, b = hm.auroc(y, p, cluster=k), hm.auroc(y2, p2, cluster=k2)
    np.testing.assert_allclose(found.difference.se, np.hypot(a.se, b.se))
    assert found.difference.method == "obuchowski unpaired (welch t)"
    assert 140 < found.df < 300  # patients, not cases


def test_mcnemar_and_spiegelhalter_reject_at_their_level():
    rejected = np.zeros(2)
    for seed in range(300):
        rng = np.random.default_rng(seed)
        k = np.repeat(np.arange(80), 5)
        p = rng.beta(2, 3, size=80)[k]
        y = rng.random(80)[k] < p  # one outcome per patient, seen five times
        a, b = (y ^ (rng.random(80) < 0.2)[k] for _ in range(2))
        tests = (hm.mcnemar(y, a, b, cluster=k).p, hm.calibration(y, p, curve=None, cluster=k))
        rejected += [tests[0] < 0.05, tests[1].spiegelhalter.p < 0.05]
    assert np.all(rejected / 300 < 0.09)
    assert tests[1].spiegelhalter.method == "spiegelhalter z (cluster-robust)"


def test_hosmer_and_lemeshow_refuse_patients_with_several_cases():
    y, p, _, k = alike()
    with pytest.raises(MetricError, match="independent"):
        hm.hosmer_lemeshow(y, p, cluster=k)
    alone = np.arange(y.size)
    assert hm.hosmer_lemeshow(y, p, cluster=alone) == hm.hosmer_lemeshow(y, p)


@pytest.mark.parametrize("each", [3, 7, 10])
def test_patients_all_alike_leave_what_their_number_leaves(each):
    k, hit = np.repeat(np.arange(30), each), np.tile(np.arange(each) < 2, 30)
    rates = hm.confusion_at(np.ones(30 * each), hit * 0.9, 0.5, cluster=k)
    alone = hm.at_threshold(np.ones(30 * each), hit * 0.9, 0.5, cluster=k)
    for e in (rates.sensitivity, alone.sensitivity):
        assert e.se == 0
        assert e.hi - e.lo > 0.1
    assert hm.likelihood_ratios(rates).positive.value is None


def test_a_zero_cell_gets_half_a_case_which_the_method_records():
    y, p, _, k = alike()
    p = np.where(y, p, np.minimum(p, 0.39))
    found = hm.likelihood_ratios(hm.confusion_at(y, p, 0.4, cluster=k)).positive
    assert found.method == "simel (haldane 1/2) (cluster-robust)"
    assert found.lo < found.value < found.hi


def test_one_patient_gives_no_variance_between_patients():
    y, p, q, k = alike(patients=2, each=60)
    one = k * 0
    c, row = hm.calibration(y, p, cluster=one), hm.at_threshold(y, p, 0.4, cluster=one)
    ratios = hm.likelihood_ratios(hm.confusion_at(y, p, 0.4, cluster=one))
    found = [c.oe, c.brier, c.scaled_brier, c.log_loss, c.spiegelhalter, c.slope, row.sensitivity]
    found += [
        row.net_benefit,
        ratios.positive,
        hm.mcnemar(y, p > 0.4, q > 0.4, cluster=one).difference,
    ]
    found += [hm.cohen_kappa(bits(p), bits(q), cluster=one)]
    assert all(e.value is None for e in found)
    assert all("single" in e.reason or "patients" in e.reason for e in found)


def test_a_perfect_score_of_few_patients_is_not_certain():
    y, k = np.tile([True, False], 20), np.arange(40) // 4
    assert hm.average_precision(y, y + 0.0, cluster=k).lo < 0.9
    assert hm.evaluate(y, y + 0.0, cluster=k).roc[0][1].lo < 0.9


@pytest.mark.parametrize("clustered", [True, False])
def test_a_bootstrap_that_always_gives_1_is_not_the_interval(clustered):
    y, k = np.tile([True, False], 20), np.arange(40) // 4
    e = hm.auroc(y, y + 0.0, cluster=k if clustered else None, ci="bootstrap")
    assert e.method.startswith("newcombe-5")
    assert e.lo < 0.97
    time = np.where(y, 1.0, 9.0) + 0.01 * np.arange(40)
    found = hm.survival(time, y, 0.1 + 0.8 * y, horizon=5, cluster=k, bootstrap=hm.Bootstrap(120))
    assert (found.auc.value, found.auc.lo, found.auc.hi) == (1.0, None, None)


def test_the_band_of_a_decision_curve_scales_with_it():
    y, p, _, k = alike()
    curve = hm.net_benefit(y, p, [0.1, 0.4], cluster=k)
    share = curve.n / curve.n_events
    np.testing.assert_allclose(curve.standardized, curve.net_benefit * share)
    np.testing.assert_allclose(curve.standardized_lo, curve.lo * share)
    np.testing.assert_allclose(curve.standardized_hi, curve.hi * share)


def test_several_horizons_are_one_call():
    rng = np.random.default_rng(0)
    rate = rng.uniform(0.02, 0.3, 300)
    time, stop = rng.exponential(1 / rate), rng.uniform(1, 12, 300)
    risk = np.array([1 - np.exp(-rate * h) for h in (2, 5)]).T
    outcome, plan = (np.minimum(time, stop), time <= stop), hm.Bootstrap(120)
    both = hm.survival(*outcome, risk, horizon=(2, 5), bootstrap=plan)
    each = tuple(
        hm.survival(*outcome, risk[:, i], horizon=h, bootstrap=plan) for i, h in enumerate((2, 5))
    )
    assert both == each
    assert hm.survival(*outcome, risk[:, 1], horizon=[5], bootstrap=plan) == each[1:]
    with pytest.raises(MetricError, match="one column"):
        hm.survival(*outcome, risk, horizon=(1, 2, 5))
