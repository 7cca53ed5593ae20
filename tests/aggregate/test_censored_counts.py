"""Likelihood of withheld and noisy counts: against sums over all counts, and in simulated networks."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, norm

from healthval.aggregate import bivariate, pool_counts
from healthval.aggregate.mixed.censored import (
    CensoredFit,
    Count,
    fit_censored,
    hidden_moments,
    noisy_pieces,
    pieces_of,
    stack,
    withheld_runs,
)
from healthval.aggregate.mixed.glmm import Model, covariance, fit_mixed


def expit(x):
    return 1 / (1 + np.exp(-x))


def withheld_values(count):
    """Whether the policy withholds each count, from the definition."""
    y = np.arange(count.n + 1)
    marks = np.array([0, count.n, *count.near])[:, None]
    return (np.abs(y - marks) < count.floor).any(axis=0)


def by_summation(counts, mu, tau, noise):
    """Log-likelihood from all counts at 4001 rates over sites, with an explicit noise table."""
    z = np.linspace(-9, 9, 4001)
    weight = norm.pdf(z) * (z[1] - z[0])
    total = 0.0
    for c in counts:
        pmf = weight @ binom.pmf(np.arange(c.n + 1), c.n, expit(mu + tau * z)[:, None])
        if c.value is None:
            given_y = [
                sum(p for d, p in noise if 0 <= y + d <= c.n and withheld_values(c)[y + d])
                for y in range(c.n + 1)
            ]
        else:
            given_y = [dict(noise).get(c.value - y, 0.0) for y in range(c.n + 1)]
        total += np.log(pmf @ given_y)
    return total


@pytest.mark.parametrize("variance", [0.0, 2.0])
def test_the_likelihood_is_the_sum_over_all_possible_counts(variance):
    counts = [
        Count(n=60, value=40, floor=5, variance=variance),
        Count(n=45, value=None, floor=5, variance=variance),
        Count(n=80, value=None, floor=5, variance=variance, near=(30,)),
    ]
    noise = [(0, 1.0)]
    if variance:
        a = 1 + 1 / variance - np.sqrt((1 + 1 / variance) ** 2 - 1)  # 2 a / (1 - a)^2 = variance
        noise = [(d, (1 - a) / (1 + a) * a ** abs(d)) for d in range(-40, 41)]
    found = Model(stack(counts), 31).loglik(np.array([0.4, 0.8]))
    assert found == pytest.approx(by_summation(counts, 0.4, 0.8, noise), abs=2e-3)


def test_the_gradient_is_that_of_the_likelihood():
    model = Model(
        stack([Count(n=60, value=40), Count(n=45, value=None), Count(n=50, value=None)]), 15
    )
    at, h = np.array([0.7, 0.6]), 1e-5
    for i in range(2):
        e = np.eye(2)[i] * h
        slope = (model.loglik(at + e) - model.loglik(at - e)) / (2 * h)
        assert model.loglik_and_gradient(at)[1][i] == pytest.approx(slope, rel=2e-3, abs=2e-3)


def test_released_counts_alone_are_the_binomial_model():
    tp, m = np.array([40, 55, 30, 61]), np.array([60, 70, 50, 75])
    found = fit_censored([Count(n=int(b), value=int(a)) for a, b in zip(tp, m, strict=True)])
    plain = fit_mixed(tp[:, None].astype(float), m[:, None].astype(float), 15)
    assert found.mu == pytest.approx(plain.mu[0], abs=1e-3)
    assert found.loglik == pytest.approx(plain.loglik, abs=1e-5)


@given(st.integers(1, 200), st.integers(1, 30), st.lists(st.integers(0, 200), max_size=3))
@settings(max_examples=60, deadline=None)
def test_every_count_that_may_be_withheld_is_in_one_piece(n, floor, near):
    count = Count(n=n, value=None, floor=floor, near=tuple(x for x in near if x <= n))
    values = np.concatenate([y for y, _ in pieces_of(count)])
    assert list(values) == list(np.flatnonzero(withheld_values(count)))
    runs = withheld_runs(count)
    assert all(a[1] + 1 < b[0] for a, b in pairwise(runs))


def test_a_count_that_no_rule_withholds_is_unknown():
    count = Count(n=50, value=None, floor=0)
    (values, weight), *rest = pieces_of(count)
    assert (len(values), list(weight), rest) == (0, [0.0], [])


def test_moments_of_a_withheld_count_are_those_of_its_values():
    count = Count(n=40, value=None, floor=6)
    mean, variance = hidden_moments(count, 1.5, 0.0)
    mass = binom.pmf(np.arange(41), 40, expit(1.5)) * withheld_values(count)
    mass /= mass.sum()
    assert mean == pytest.approx(mass @ np.arange(41))
    assert variance == pytest.approx(mass @ (np.arange(41) - mean) ** 2)


def network(rng, k, mu, tau, floor=11):
    """Counts of k sites; both cells of a class are withheld where one is small."""
    m = rng.integers(40, 120, k)
    y = rng.binomial(m, expit(rng.normal(mu, tau, k)))
    return (
        y,
        m,
        [
            Count(n=int(b), value=None if 0 < min(a, b - a) < floor else int(a), floor=floor)
            for a, b in zip(y, m, strict=True)
        ],
    )


@pytest.mark.parametrize(("k", "mu", "tau"), [(3, 1.9, 0.5), (5, 0.9, 0.8), (10, 1.9, 0.5)])
def test_the_mean_is_covered_where_small_counts_are_withheld(k, mu, tau):
    rng, held, width = np.random.default_rng(k), 0, []
    for _ in range(6):
        _, _, counts = network(rng, k, mu, tau)
        found: CensoredFit = fit_censored(counts)
        held += found.ci[0] <= mu <= found.ci[1]
        width.append(expit(found.ci[1]) - expit(found.ci[0]))
    assert held >= 5  # of 6 at 95 %
    assert k < 10 or np.median(width) < 0.2


def test_released_sites_alone_would_be_biased():
    rng, whole, shown = np.random.default_rng(5), [], []
    for _ in range(6):
        _, _, counts = network(rng, 10, 1.9, 0.5)
        whole.append(expit(fit_censored(counts).mu) - expit(1.9))
        kept = [c for c in counts if c.value is not None]
        shown.append(sum(c.value for c in kept) / sum(c.n for c in kept) - expit(1.9))
    assert np.mean(shown) < -0.03
    assert abs(np.mean(whole)) < 0.5 * abs(np.mean(shown))


def test_noise_widens_the_interval_of_mean_and_sum():
    rows = [(30, 12, 10, 98), (25, 15, 12, 98), (33, 10, 9, 98), (28, 12, 14, 96), (31, 9, 8, 102)]
    for method in ("binomial", "normal"):
        exact, noisy = bivariate(rows, method), bivariate(rows, method, noise=[4.3] * 5)
        assert noisy.cov[0][0] > exact.cov[0][0]
    exact, noisy = pool_counts(rows).sensitivity, pool_counts(rows, noise=[4.3] * 5).sensitivity
    assert exact.value == noisy.value
    assert noisy.ci[0] < exact.ci[0] < exact.ci[1] < noisy.ci[1]


def test_noise_pieces_have_the_mass_of_the_noise():
    pieces = noisy_pieces(np.array([[30.0, 90.0]]), np.array([[60.0, 120.0]]), np.full((1, 2), 4.3))
    assert np.exp(pieces.logw[0]).sum(axis=1) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("curvature", [0.0, 1e-23, -1e-23, 1e-9])
def test_a_curvature_within_rounding_is_flat(curvature):
    """Which of these values a machine finds depends on its rounding."""

    def almost_flat(theta):
        return -curvature * theta @ theta / 2, -curvature * theta

    assert covariance(almost_flat, np.zeros(2), 1) is None


def test_counts_that_are_all_withheld_have_no_estimate_and_no_error():
    """None and all of the cases fit equally well: the likelihood is flat at its maximum."""
    found = fit_censored([Count(n=n, value=None) for n in (72, 88, 79)])
    assert found.ci == (-12.0, 12.0)
    assert found.variance == math.inf
