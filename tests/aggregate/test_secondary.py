"""Secondary analyses: usefulness, joint calibration, case mix, Poisson O:E, choices."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import poisson

from healthval.aggregate import bivariate, pool, predictive_values
from healthval.aggregate.mixed.glmm import Model, Pieces
from healthval.aggregate.secondary.case_mix import case_mix
from healthval.aggregate.secondary.events import event_ratio
from healthval.aggregate.secondary.joint_calibration import joint_calibration
from healthval.aggregate.secondary.usefulness import usefulness
from healthval.contracts.submission import SUPPRESSED, ReleasedEstimate
from healthval.errors import MetricError


def changed(submission, **fields):
    return submission.model_copy(update=fields)


def cells(submission, tp, fp, fn, tn):
    first, *rest = submission.thresholds
    confusion = first.confusion.model_copy(update={"tp": tp, "fp": fp, "fn": fn, "tn": tn})
    return changed(
        submission, thresholds=(first.model_copy(update={"confusion": confusion}), *rest)
    )


def test_the_gain_is_over_the_better_default(network):
    # Threshold 0.2: odds 1 to 4. Prevalence .1: treat none is better. Prevalence .5: treat all.
    rare = cells(network[0][1], 60, 100, 40, 800)
    common = cells(network[1][1], 480, 300, 20, 200)
    found = usefulness([("a", rare), ("b", common), *network[2:]])[0].gain
    by_site = {s.site: s.value for s in found.sites}
    assert by_site["a"] == pytest.approx((60 - 100 / 4) / 1000)
    model, everyone = (480 - 300 / 4) / 1000, (500 - 500 / 4) / 1000
    assert by_site["b"] == pytest.approx(model - everyone)


def test_the_chance_of_usefulness_is_that_of_a_gain_above_zero(network):
    found = usefulness(network)[0]
    assert found.p_useful == pytest.approx(found.gain.meta.probability_between(0, 1e9))
    assert 0 <= found.p_useful <= 1
    assert (found.reason, found.gain.k) == (None, len(network))


def test_no_gain_without_the_sites_that_withhold(network):
    found = usefulness([("a", cells(network[0][1], SUPPRESSED, 5, SUPPRESSED, 80)), *network[1:]])[
        0
    ]
    assert (found.gain.value, found.p_useful) == (None, None)
    assert found.reason == f"1 of {len(network)} sites withheld counts"


def test_a_band_has_the_gain_of_its_rate_and_the_variance_of_its_rounding(network):
    site, s = network[0]
    cut, c = s.thresholds[0], s.thresholds[0].confusion
    rate = cut.sensitivity.model_copy(update={"value": round(c.tp / (c.tp + c.fn), 2)})
    banded = cells(s, f"{c.tp - 5}-{c.tp + 5}", c.fp, "<11", c.tn)
    at = banded.thresholds[0].model_copy(update={"sensitivity": rate})
    banded = changed(banded, thresholds=(at, *banded.thresholds[1:]))
    whole = usefulness(network)[0]
    found = usefulness([(site, banded), *network[1:]])[0]
    unit = 0.01 * (c.tp + c.fn) / s.n
    assert (found.reason, found.gain.k) == (None, len(network))
    assert found.gain.sites[0].value == pytest.approx(whole.gain.sites[0].value, abs=unit)
    added = found.gain.sites[0].se ** 2 - whole.gain.sites[0].se ** 2
    assert added == pytest.approx(unit**2 / 12, rel=0.3)


def test_a_site_that_withheld_its_classes_is_left_out_of_the_gain(network):
    hidden = cells(network[0][1], *[SUPPRESSED] * 4).model_copy(update={"n_events": SUPPRESSED})
    found = usefulness([("small", hidden), *network[1:]])[0]
    assert (found.reason, found.gain.k) == (None, len(network) - 1)
    assert [(x.site, x.reason) for x in found.gain.excluded] == [("small", "suppressed")]
    others = usefulness(network[1:])[0]
    assert found.gain.value == others.gain.value


def calibrated(submission, a, b, se_a, se_b, se_fixed):
    def made(value, se):
        return ReleasedEstimate(value=value, se=se, lo=value - se, hi=value + se, n=500)

    fields = {"intercept": made(a, se_a), "slope": made(b, se_b), "citl": made(a, se_fixed)}
    return changed(submission, calibration=submission.calibration.model_copy(update=fields))


def test_intercept_and_slope_are_pooled_together(network):
    rng = np.random.default_rng(3)
    rows = [
        (site, calibrated(s, rng.normal(-0.2, 0.2), rng.normal(0.9, 0.1), 0.2, 0.1, 0.1))
        for site, s in network
    ]
    found = joint_calibration(rows)
    assert found.k == len(network)
    assert found.intercept_ci[0] < found.intercept < found.intercept_ci[1]
    assert found.slope_ci[0] < found.slope < found.slope_ci[1]
    assert 0 <= found.p <= 1
    assert found.curve == ()  # no site released a curve: nothing is extrapolated
    few = joint_calibration(rows[:3])
    assert (few.intercept, few.reason) == (
        None,
        "3 of at least 4 sites for intercept and slope together",
    )


def test_perfect_calibration_at_every_site_is_not_rejected(network):
    rows = [(site, calibrated(s, 0.0, 1.0, 0.2, 0.1, 0.1)) for site, s in network]
    found = joint_calibration(rows)
    assert found.p == pytest.approx(1)
    assert (found.intercept, found.slope) == (pytest.approx(0, abs=1e-9), pytest.approx(1))


def test_the_model_based_c_is_that_of_the_bins(network):
    for (_, s), found in zip(network, case_mix(network), strict=True):
        n = np.array([b.events + b.non_events for b in s.histogram if b.events + b.non_events])
        p = np.array([b.score_sum for b in s.histogram if b.events + b.non_events], dtype=float) / n
        wins = sum(
            n[i] * p[i] * n[j] * (1 - p[j]) * (1.0 if p[i] > p[j] else 0.5 if i == j else 0.0)
            for i in range(len(n))
            for j in range(len(n))
        )
        assert found.model_c == pytest.approx(wins / ((n @ p) * (n @ (1 - p))))
        assert 0.5 <= found.model_c <= 1
        assert found.sd_linear_predictor > 0


def with_events(submission, observed, expected):
    made = submission.calibration.model_copy(update={"observed": observed, "expected": expected})
    return changed(submission, calibration=made)


def test_sites_without_events_and_with_withheld_events_count(network):
    values = [
        (0, 4.0),
        (12, 11.0),
        (30, 33.0),
        (SUPPRESSED, 6.0),
        (18, 20.0),
        (25, 24.0),
        (14, 15.0),
    ]
    rows = [(site, with_events(s, o, e)) for (site, s), (o, e) in zip(network, values, strict=True)]
    found = event_ratio(rows)
    assert (found.k, found.no_events, found.withheld, found.reason) == (7, 1, 1, None)
    assert found.ci[0] < found.value < found.ci[1]
    without = event_ratio([row for row, (o, _) in zip(rows, values, strict=True) if o != 0])
    assert found.value < without.value  # zero of four expected events is evidence


def test_one_common_ratio_is_the_ratio_of_the_sums(network):
    rows = [(site, with_events(s, 22, 20.0)) for site, s in network]
    found = event_ratio(rows)
    assert (found.value, found.tau) == (pytest.approx(1.1, rel=1e-3), pytest.approx(0, abs=0.02))


def test_the_poisson_likelihood_is_the_sum_over_rates():
    y, e = np.array([[3.0], [0.0], [9.0]]), np.array([[4.0], [2.0], [7.0]])
    exact = Pieces.exact(y, e)
    model = Model(replace(exact, poisson=True), 31)
    z = np.linspace(-9, 9, 4001)
    weight = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi) * (z[1] - z[0])
    rate = np.exp(0.1 + 0.5 * z)
    expected = sum(
        np.log(weight @ poisson.pmf(a, b * rate)) for (a,), (b,) in zip(y, e, strict=True)
    )
    assert model.loglik(np.array([0.1, 0.5])) == pytest.approx(expected, abs=1e-6)


def test_every_choice_of_method_is_beside_the_headline(network):
    study = pool(network, bivariate="none")
    found = {(c.measure, c.method, c.test): c for c in study.secondary.choices}
    assert len(found) == 4 * 9
    chosen = found["auroc", "REML", "hk-truncated"]
    assert (chosen.value, chosen.ci) == (study.auroc.value, study.auroc.ci)


@given(st.floats(0.01, 0.99))
@settings(max_examples=40, deadline=None)
def test_predictive_values_are_bayes_rule(prevalence):
    rows = [(30, 12, 10, 98), (25, 15, 12, 98), (33, 10, 9, 98), (28, 12, 14, 96)]
    pooled = bivariate(rows, "normal")
    found = predictive_values(pooled, prevalence)
    a, b = pooled.sensitivity * prevalence, (1 - pooled.specificity) * (1 - prevalence)
    assert found.ppv == pytest.approx(a / (a + b))
    c, d = pooled.specificity * (1 - prevalence), (1 - pooled.sensitivity) * prevalence
    assert found.npv == pytest.approx(c / (c + d))
    assert found.ppv_ci[0] < found.ppv < found.ppv_ci[1]


def test_a_prevalence_outside_its_range_is_refused():
    rows = [(30, 12, 10, 98), (25, 15, 12, 98), (33, 10, 9, 98)]
    with pytest.raises(MetricError, match="between 0 and 1"):
        predictive_values(bivariate(rows, "normal"), 1.0)
