"""Differential privacy for the histogram: off by default, paid for, and its error printed."""

import numpy as np
import pytest
from exact_policy import exact
from hypothesis import given
from hypothesis import strategies as st

from healthval.disclosure import (
    DisclosureRefused,
    check_arrival,
    check_not_laxer,
    noise,
    release,
)
from healthval.disclosure.ledger_view import show
from healthval.disclosure.presets import read_policy
from healthval.errors import UsageError

RULES = {"name": "cms-display", "version": 1, "minimum_cell": 11, "histogram_epsilon": 1.0}


@pytest.fixture
def noisy_policy():
    return read_policy(RULES | {"epsilon_budget": 2.0})


@pytest.fixture
def sampler(monkeypatch):
    """Stand in for OpenDP where it is not installed: the law of the noise, not its exact sampler."""
    rng = np.random.default_rng(5)

    def laplace(counts, scale):
        a = 1 - np.exp(-1 / scale)
        draws = rng.geometric(a, (2, len(counts)))
        return [int(x) for x in np.array(counts) + draws[0] - draws[1]]

    monkeypatch.setattr(noise, "opendp_laplace", laplace)
    return laplace


def test_no_preset_adds_noise():
    for name in ("cms", "sacro", "nhs", "datashield"):
        assert exact(name).histogram_epsilon is None


def test_bins_get_noise_and_the_error_is_printed(make_site, noisy_policy, ledger, sampler):
    out = release(make_site().result(), noisy_policy, ledger).submission
    assert out.histogram_noise.epsilon == 1.0
    assert out.histogram_noise.error_95 == 6
    assert sum(b.events for b in out.histogram) == out.n_events
    assert all(b.score_sum is None for b in out.histogram)
    check_arrival(out, noisy_policy)
    assert "epsilon 1" in show(ledger)[0]


def test_a_hub_that_did_not_ask_for_noise_refuses_it(make_site, noisy_policy, ledger, sampler):
    out = release(make_site().result(), noisy_policy, ledger).submission
    with pytest.raises(DisclosureRefused, match="histogram_noise"):
        check_arrival(out, exact("cms"))
    with pytest.raises(UsageError, match="histogram_epsilon"):
        check_not_laxer(noisy_policy, exact("cms"))


def test_noise_is_drawn_once_for_the_same_cases(make_site, noisy_policy, ledger, sampler):
    site = make_site()
    first = release(site.result(), noisy_policy, ledger)
    again = release(site.result(), noisy_policy, ledger)
    other = release(site.result(thresholds=(0.3,)), noisy_policy, ledger)
    assert again == first
    assert other.submission.histogram == first.submission.histogram
    assert [e.body["epsilon"] for e in ledger.entries()] == [1.0, 0.0]


def test_a_spent_budget_refuses(make_site, noisy_policy, ledger, sampler):
    site = make_site(900)
    for rows in (slice(0, 300), slice(300, 600)):
        release(site.result(rows), noisy_policy, ledger)
    with pytest.raises(DisclosureRefused, match="budget"):
        release(site.result(slice(600, 900)), noisy_policy, ledger)


@given(st.lists(st.integers(-50, 500), min_size=1, max_size=20), st.integers(0, 5000))
def test_counts_are_whole_not_negative_and_add_up(noisy, total):
    counts = noise.nearest_counts(noisy, total)
    assert min(counts) >= 0
    assert sum(counts) == total


def test_opendp_adds_noise_of_the_stated_size():
    pytest.importorskip("opendp", reason="the extra healthval[dp] is not installed")
    noisy = np.array(noise.opendp_laplace([100] * 4000, noise.SENSITIVITY / 1.0))
    assert np.mean(np.abs(noisy - 100) <= noise.error_95(1.0)) >= 0.94
    assert abs(noisy.mean() - 100) < 0.3


def test_without_the_extra_the_user_is_told_what_to_install(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "opendp", None)
    monkeypatch.setitem(sys.modules, "opendp.prelude", None)
    with pytest.raises(UsageError, match=r"\[dp\]\"$"):
        noise.opendp_laplace([1], 1.0)
