import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from healthval.aggregate import meta_analysis
from healthval.errors import MetricError

effect = st.floats(-3, 3).map(lambda x: round(x, 6))
variance = st.floats(1e-4, 2)
networks = st.lists(st.tuples(effect, variance), min_size=3, max_size=12)
methods = st.sampled_from(["REML", "DL", "PM"])


def split(network):
    return [y for y, _ in network], [v for _, v in network]


@given(effect, st.lists(variance, min_size=3, max_size=20), methods)
@settings(deadline=None)
def test_identical_effects_have_no_heterogeneity_and_are_the_mean(y, v, method):
    r = meta_analysis([y] * len(v), v, method=method)
    assert (r.mu, r.tau2, r.i2, r.q) == (y, 0.0, 0.0, 0.0)


@given(networks, methods, st.randoms(use_true_random=False))
@settings(deadline=None)
def test_the_order_of_sites_changes_no_bit(network, method, random):
    shuffled = network.copy()
    random.shuffle(shuffled)
    a, b = (meta_analysis(*split(n), method=method) for n in (network, shuffled))
    assert (a.mu, a.se, a.ci, a.prediction, a.tau2) == (b.mu, b.se, b.ci, b.prediction, b.tau2)


@given(networks, methods, st.sampled_from([0.25, 4.0, 1024.0]))
@settings(deadline=None)
def test_another_unit_scales_the_answer(network, method, unit):
    y, v = (np.array(x) for x in split(network))
    a, b = meta_analysis(y, v, method=method), meta_analysis(y * unit, v * unit**2, method=method)
    assert b.mu == pytest.approx(a.mu * unit, rel=1e-9, abs=1e-12)
    assert b.tau2 == pytest.approx(a.tau2 * unit**2, rel=1e-7, abs=1e-9 * unit**2)
    assert b.i2 == pytest.approx(a.i2, rel=1e-7, abs=1e-6)


@given(networks, methods)
@settings(deadline=None)
def test_the_pooled_mean_lies_among_the_sites(network, method):
    y, v = split(network)
    r = meta_analysis(y, v, method=method)
    assert min(y) - 1e-12 <= r.mu <= max(y) + 1e-12
    assert r.tau2 >= 0
    assert sum(r.weights) == pytest.approx(100)


@given(networks)
@settings(deadline=None)
def test_truncation_never_narrows_the_interval_of_z(network):
    y, v = split(network)
    z, hk, truncated = (meta_analysis(y, v, test=t) for t in ("z", "hk", "hk-truncated"))
    assert truncated.se == pytest.approx(max(z.se, hk.se), rel=1e-12)


@given(networks)
@settings(deadline=None)
def test_reml_is_the_best_of_a_fine_grid(network):
    y, v = (np.array(x) for x in split(network))

    def loglik(tau2):
        w = 1 / (v + tau2)
        mu = np.sum(w * y) / np.sum(w)
        return 0.5 * (np.sum(np.log(w)) - np.log(np.sum(w)) - np.sum(w * (y - mu) ** 2))

    best = loglik(meta_analysis(y, v).tau2)
    assert all(loglik(t) <= best + 1e-9 for t in np.concatenate([[0], np.geomspace(1e-6, 50, 300)]))


@pytest.mark.parametrize(
    ("k", "ci", "prediction"),
    [(2, False, False), (3, True, False), (4, True, False), (5, True, True), (6, True, True)],
)
def test_below_three_sites_no_interval_and_below_five_no_prediction(k, ci, prediction):
    r = meta_analysis(np.linspace(0, 1, k), np.full(k, 0.1))
    assert (r.ci is not None, r.prediction is not None) == (ci, prediction)
    assert (r.reason is None) == prediction
    assert (r.probability_between(-1, 1) is not None) == prediction


@pytest.mark.parametrize("k", [1, 2])
def test_below_three_sites_the_mean_has_no_interval_but_a_reason(k):
    r = meta_analysis([0.1, 0.9][:k], [0.2] * k)
    assert (r.ci, r.prediction) == (None, None)
    assert r.reason == f"{k} of at least 3 sites: no interval of the pooled mean"


wild = st.floats(-1e50, 1e50) | st.floats(-3, 3)


@given(
    st.lists(st.tuples(wild, st.floats(1e-50, 1e50) | variance), min_size=3, max_size=8), methods
)
@settings(deadline=None)
def test_what_is_pooled_is_finite_or_refused(network, method):
    try:
        r = meta_analysis(*split(network), method=method)
    except MetricError:
        return
    numbers = (
        r.mu,
        r.se,
        r.tau2,
        r.i2,
        r.q,
        r.q_p,
        *(r.ci or ()),
        *(r.tau2_ci or ()),
        *(r.i2_ci or ()),
        *(r.prediction or ()),
        *r.weights,
    )
    assert np.all(np.isfinite(numbers))


@pytest.mark.parametrize(
    ("estimates", "variances", "says"),
    [
        ([0.1, 0.2], [0.1], "2 estimates but 1 variance;"),
        ([], [], "no site"),
        ([0.1, float("nan"), 0.2], [0.1] * 3, "1 of 3 estimates missing or infinite (first at row 1)"),
        ([0.1] * 3, [0.1, float("inf"), 0.1], "1 of 3 variances missing or infinite (first at row 1)"),
        ([0.1] * 3, [0.1, 0.0, -1.0], "2 of 3 variances not above zero (first at row 1)"),
        (["271828canary", 1.0], [0.1, 0.1], "estimates: not all are numbers"),
        ([[0.1]], [[0.1]], "2 dimensions"),
        ([10**400, 1, 2], [0.1] * 3, "estimates: not all are numbers"),
        ([1e200, -1e200, 0], [1] * 3, "2 of 3 estimates beyond 1e50 (first at row 0)"),
        ([0.1, 0.2, 0.3], [5e-324] * 3, "3 of 3 variances beyond 1e50 or below 1e-50"),
    ],
)  # fmt: skip
def test_what_cannot_be_pooled_is_refused_by_place_and_quotes_no_value(estimates, variances, says):
    with pytest.raises(MetricError) as caught:
        meta_analysis(estimates, variances)
    assert isinstance(caught.value, ValueError)
    assert says in str(caught.value)
    assert "271828" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize(
    "choice", [{"method": "XX"}, {"test": "t"}, {"level": 1.0}, {"level": 0.0}, {"level": "0.95"}]
)
def test_an_unknown_choice_is_refused(choice):
    with pytest.raises(MetricError):
        meta_analysis([0.1, 0.2, 0.3], [0.1] * 3, **choice)


# Networks whose restricted likelihood has two maxima; found by search.
TWO_MAXIMA = [
    ([-0.48, 0.16, -1.29, -0.47, 1.38, 0.14], [0.2305, 0.0009, 0.0773, 0.1026, 6.4881, 0.0002], False),
    ([0.67, 0.06, -0.27, 0.64, -0.35, -0.6], [0.0005, 0.7613, 0.0878, 0.0003, 0.1022, 0.2289], False),
    ([2.04, -0.81, -0.77, 1.22, 0.79], [0.9886, 0.0021, 0.0005, 6.999, 2.3176], True),
    ([-1.55, -0.1, -0.29, -0.19, 0.58, 0.82], [0.2433, 0.6348, 0.0007, 0.0156, 4.1363, 0.4614], True),
]  # fmt: skip


@pytest.mark.parametrize(("y", "v", "at_zero"), TWO_MAXIMA)
def test_of_two_maxima_reml_takes_the_higher(y, v, at_zero):
    tau2 = meta_analysis(y, v).tau2
    assert tau2 == 0.0 if at_zero else tau2 > 0.1
