"""Logit, its inverse and Wilson's interval of single numbers."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthval.contracts.proportions import expit, logit, wilson


@given(st.floats(1e-12, 1 - 1e-12))
def test_expit_inverts_logit(p):
    assert expit(logit(p)) == pytest.approx(p, rel=1e-9)


@given(st.floats(allow_nan=False))
def test_expit_is_a_probability_for_every_number(x):
    assert 0 <= expit(x) <= 1
    assert expit(x) + expit(-x) == pytest.approx(1)


@given(st.integers(1, 10**6), st.floats(0, 1), st.floats(0.1, 5))
def test_wilsons_interval_contains_the_proportion_within_0_to_1(n, share, z):
    k = math.floor(share * n)
    lo, hi = wilson(k, n, z)
    assert 0 <= lo <= k / n * (1 + 1e-12)
    assert k / n * (1 - 1e-12) <= hi <= 1 + 1e-12
    assert (lo == 0) == (k == 0)


@given(st.integers(1, 10**5), st.floats(0, 1))
def test_wilsons_bounds_are_those_where_the_score_test_turns(n, share):
    k = math.floor(share * n)
    for bound in wilson(k, n, 1.96):
        if 0 < bound < 1:
            z = abs(k / n - bound) / math.sqrt(bound * (1 - bound) / n)
            np.testing.assert_allclose(z, 1.96, rtol=1e-6)
