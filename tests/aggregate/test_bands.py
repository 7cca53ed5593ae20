"""Bands in place of small perturbed counts, and counts whose noise was cut at the end of a class."""

import numpy as np
import pytest

from healthval.aggregate.mixed.censored import Count, fit_censored, hidden_moments
from healthval.contracts.submission import band_limits
from healthval.disclosure.payload.base_table import within_gaps


def test_a_band_contains_the_noise_that_is_cut_at_its_class():
    """A noisy count of 41 of 40 is in the band of 30 to 40, so that all of 40 is as likely as any."""
    band = Count(n=40, value=None, variance=4.3, band=(30, 40))
    mean, _ = hidden_moments(band, mu=12.0, tau=0.0)
    assert mean == pytest.approx(40, abs=0.01)


def test_sites_whose_counts_are_cut_at_their_class_do_not_move_the_mean():
    rng = np.random.default_rng(20)
    errors = []
    for _ in range(6):
        true = rng.binomial(40, 0.95, 12)
        noisy = np.clip(np.round(true + rng.normal(0, 2, 12)), 1, 39).astype(int).tolist()
        known = [
            Count(n=40, value=None, variance=4.1, band=(39, 40))
            if x >= 39
            else Count(n=40, value=x, variance=4.1)
            for x in noisy
        ]
        errors.append(1 / (1 + np.exp(-fit_censored(known).mu)) - 0.95)
    assert abs(np.mean(errors)) < 0.015


def test_a_pass_from_one_end_alone_would_move_counts_to_it():
    rng = np.random.default_rng(3)
    true = np.array([36, 33, 31, 28, 26, 24])
    found = [
        within_gaps(
            (true + rng.normal(0, 2, 6)).round().astype(int).tolist(), (40, 0), [(1, 60)] * 7
        )
        for _ in range(2000)
    ]
    assert np.abs(np.mean(found, axis=0) - true).max() < 0.6
    assert all(a > b for row in found for a, b in zip([40, *row], [*row, 0], strict=True))


@pytest.mark.parametrize("text", ["suppressed", "11", "<0", "a-b", "3-", "", "-3"])
def test_other_text_is_no_band(text):
    assert band_limits(text) is None
