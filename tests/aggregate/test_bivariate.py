"""Sensitivity with specificity: against lme4 1.1-31 and metafor 3.8.1, see reference.R."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom, t

from healthval.aggregate import bivariate, meta_analysis
from healthval.aggregate.mixed.glmm import fit_mixed
from healthval.errors import MetricError

NETWORKS = json.loads((Path(__file__).parent / "reference.json").read_text(encoding="utf-8"))[
    "accuracy"
]


def table(name):
    c = NETWORKS[name]
    return [
        tuple(int(x) for x in row) for row in zip(c["tp"], c["fp"], c["fn"], c["tn"], strict=True)
    ]


def agrees(result, expected, tolerance=1e-4):
    assert result.mu == pytest.approx(expected["mu"], abs=tolerance)
    assert result.tau == pytest.approx(expected["tau"], abs=tolerance)
    assert result.rho == pytest.approx(expected["rho"], abs=tolerance)
    assert np.ravel(result.cov) == pytest.approx(expected["cov"], rel=10 * tolerance)


@pytest.mark.parametrize("name", NETWORKS)
def test_with_one_node_the_binomial_model_is_glmers(name):
    agrees(bivariate(table(name), nodes=1), NETWORKS[name]["binomial"], 1e-5)


@pytest.mark.parametrize("name", [n for n in NETWORKS if n != "zeros"])
def test_the_normal_model_is_metafors(name):
    agrees(bivariate(table(name), "normal"), NETWORKS[name]["normal"], 1e-5)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(("rate", "yes", "no"), [("sens15", "tp", "fn"), ("spec15", "tn", "fp")])
def test_alone_and_with_fifteen_nodes_each_rate_is_glmers(name, rate, yes, no):
    a, b = (np.array(NETWORKS[name][x], float)[:, None] for x in (yes, no))
    fit, expected = fit_mixed(a, a + b, 15), NETWORKS[name][rate]
    assert fit.mu[0] == pytest.approx(expected["mu"], abs=1e-5)
    assert np.sqrt(fit.cov[0, 0]) == pytest.approx(expected["se"], rel=1e-3)
    assert np.sqrt(fit.between[0, 0]) == pytest.approx(expected["tau"], abs=1e-5)


def test_fifteen_nodes_are_the_integral_itself():
    rows = table("zeros")
    r = bivariate(rows)
    x, step = np.linspace(-9, 9, 601, retstep=True)
    u, w = np.meshgrid(x, x, indexing="ij")
    weight = np.exp(-(u**2 + w**2) / 2) / (2 * np.pi) * step**2
    sens = 1 / (1 + np.exp(-(r.mu[0] + r.tau[0] * u)))
    spec = 1 / (1 + np.exp(-(r.mu[1] + r.tau[1] * (r.rho * u + np.sqrt(1 - r.rho**2) * w))))
    loglik = sum(
        np.log(np.sum(weight * binom.pmf(tp, tp + fn, sens) * binom.pmf(tn, tn + fp, spec)))
        for tp, fp, fn, tn in rows
    )
    assert r.loglik == pytest.approx(loglik, abs=1e-6)


def test_the_order_of_sites_and_the_name_of_cells_change_nothing():
    rows = table("six")
    named = [dict(zip(("tp", "fp", "fn", "tn"), row, strict=True)) for row in reversed(rows)]
    a, b = bivariate(rows), bivariate(named)
    assert a.mu == pytest.approx(b.mu, abs=1e-8)
    assert a.tau == pytest.approx(b.tau, abs=1e-6)


def test_swapping_the_classes_swaps_the_rates():
    a = bivariate(table("six"))
    b = bivariate([(tn, fn, fp, tp) for tp, fp, fn, tn in table("six")])
    assert a.sensitivity == pytest.approx(b.specificity, abs=1e-7)
    assert a.rho == pytest.approx(b.rho, abs=1e-5)


@pytest.mark.parametrize(("k", "together"), [(3, False), (4, True), (5, True)])
def test_below_four_sites_the_rates_are_pooled_apart(k, together):
    r = bivariate(table("six")[:k])
    assert (r.fallback is None) == together
    assert (r.rho is not None) == together
    assert (r.sensitivity_prediction is not None) == (k >= 5)


def test_a_correlation_at_its_limit_is_not_reported():
    r = bivariate(table("zeros"), "normal")
    assert r.rho is None
    assert r.fallback == "correlation not identified"


def test_equal_rates_everywhere_leave_no_spread():
    r = bivariate([(40, 10, 10, 90)] * 6)
    assert r.sensitivity == pytest.approx(0.8, abs=1e-4)
    assert r.specificity == pytest.approx(0.9, abs=1e-4)
    assert max(r.tau) < 0.01
    assert r.rho is None


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([(9, 1, 1, 9)] * 2, "2 of at least 3 sites"),
        ([(9, 1, 1, 9), (9, 1, "suppressed", 9), (9, 1, 1, 9)], "1 of 3 sites with suppressed cells (first at row 1)"),
        ([(9, 1, 1, 9), (0, 1, 0, 9), (9, 1, 1, 9)], "1 of 3 sites without events (first at row 1)"),
        ([(9, 0, 1, 0), (9, 1, 1, 9), (9, 1, 1, 9)], "1 of 3 sites without non-events (first at row 0)"),
        ([(9, 1, 0, 9)] * 4, "sensitivity: 0 or 1 at every site"),
        ([(9, 1, 1, 9), (9, 1, 1, -271828)], "counts at row 1"),
        ([(9, 1, 1, 9), (9, 1, 1, 2.71828)], "counts at row 1"),
        ([(9, 1, 1, 9), (9, 1, 1, "canary-271828")], "counts at row 1"),
        ([(9, 1, 1)], "counts at row 0"),
    ],
)  # fmt: skip
def test_counts_that_cannot_be_pooled_are_refused_by_row_and_not_quoted(rows, says):
    with pytest.raises(MetricError) as caught:
        bivariate(rows)
    assert says in str(caught.value)
    assert "71828" not in str(caught.value)


@pytest.mark.parametrize(
    "choice", [{"method": "poisson"}, {"nodes": 0}, {"nodes": 52}, {"nodes": 2.5}, {"nodes": "9"}]
)
def test_an_unknown_model_is_refused(choice):
    with pytest.raises(MetricError):
        bivariate([(9, 1, 1, 9)] * 4, **choice)


def test_a_new_site_is_predicted_with_t_of_k_less_two():
    r = bivariate(table("six"))
    half = t.ppf(0.975, 4) * np.sqrt(r.tau[0] ** 2 + 6 / 5 * r.cov[0][0])
    expected = 1 / (1 + np.exp(-np.array([r.mu[0] - half, r.mu[0] + half])))
    assert r.sensitivity_prediction == pytest.approx(tuple(expected), rel=1e-12)
    near = 1 / (1 + np.exp(-(r.mu[1] + t.ppf(0.975, 5) * np.sqrt(6 / 5 * r.cov[1][1]))))
    assert r.specificity_ci[1] == pytest.approx(near, rel=1e-12)


def simulated(k, seed):
    """Counts of k sites whose logits have mean (1, 1.5) and a negative correlation."""
    rng = np.random.default_rng(seed)
    logits = rng.multivariate_normal([1.0, 1.5], [[0.3, -0.1], [-0.1, 0.2]], k)
    n = np.column_stack([rng.integers(50, 200, k), rng.integers(150, 900, k)])
    yes = rng.binomial(n, 1 / (1 + np.exp(-logits)))
    return [
        (a, m - b, events - a, b)
        for (a, b), (events, m) in zip(yes.tolist(), n.tolist(), strict=True)
    ]


@pytest.mark.parametrize(("k", "method"), [(3, "normal"), (3, "binomial"), (6, "normal")])
def test_the_mean_over_few_sites_is_covered(k, method):
    held = np.zeros(2)
    for seed in range(80):
        found = bivariate(simulated(k, seed), method, nodes=7)
        for j, (pair, truth) in enumerate(
            ((found.sensitivity_ci, 1.0), (found.specificity_ci, 1.5))
        ):
            held[j] += pair[0] <= 1 / (1 + np.exp(-truth)) <= pair[1]
    assert held.min() / 80 >= 0.9


def test_three_sites_apart_have_the_interval_of_the_meta_analysis():
    rows = simulated(3, 1)
    y = [np.log(tp / fn) for tp, _, fn, _ in rows]
    alone = meta_analysis(y, [1 / tp + 1 / fn for tp, _, fn, _ in rows])
    expected = 1 / (1 + np.exp(-np.array(alone.ci)))
    assert bivariate(rows, "normal").sensitivity_ci == pytest.approx(tuple(expected))
