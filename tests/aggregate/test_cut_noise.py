"""Noise that is cut at the end of one class does not move the rates of the other class."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.special import ndtri

from healthval.aggregate.counts import pool_counts
from healthval.aggregate.mixed.withheld import with_withheld
from healthval.contracts.submission import ReleasedConfusion

N, EVENTS, SD, SITES = 150, 40, 2.0, 30


@pytest.fixture(scope="module")
def network():
    """Thirty sites with a sensitivity of .97, whose perturbed counts keep a case of each class."""
    rng, rows, true = np.random.default_rng(3), [], np.zeros(4)
    z = rng.permutation(ndtri((np.arange(SITES) + 0.5) / SITES))  # its mean is 0: little is chance
    for i in range(SITES):
        tp, tn = rng.binomial(EVENTS, 0.97), rng.binomial(N - EVENTS, 0.35)
        above = tp + N - EVENTS - tn
        shown = int(np.clip(round(tp + SD * z[i]), 1, EVENTS - 1))
        cells = {"tp": shown, "fn": EVENTS - shown, "fp": above - shown}
        c = ReleasedConfusion(**cells, tn=N - EVENTS - cells["fp"])
        at = SimpleNamespace(confusion=c, sensitivity=None, specificity=None)
        s = SimpleNamespace(
            n=N,
            n_events=EVENTS,
            thresholds=(at,),
            noise=SimpleNamespace(variance=SD**2, multiple=1),
            certificate=SimpleNamespace(minimum_cell=3),
        )
        rows.append((f"site {i}", s, at))
        true += (tp, N - EVENTS - tn, EVENTS - tp, tn)
    return rows, true


def test_all_rates_of_a_network_are_right_where_noise_was_cut(network):
    rows, (tp, fp, fn, tn) = network
    counts = pool_counts(
        [at.confusion for _, _, at in rows],
        sites=[site for site, _, _ in rows],
        margins=[(N, EVENTS)] * len(rows),
        noise=[SD**2] * len(rows),
    )
    found, means, reason = with_withheld(rows, counts)
    assert reason is None
    assert means.sensitivity == pytest.approx(tp / (tp + fn), abs=0.01)
    assert means.specificity == pytest.approx(tn / (tn + fp), abs=0.003)
    assert found.specificity.value == pytest.approx(tn / (tn + fp), abs=0.003)
    assert found.ppv.value == pytest.approx(tp / (tp + fp), abs=0.003)
    assert found.npv.value == pytest.approx(tn / (tn + fn), abs=0.01)
    for rate, true in ((found.ppv, tp / (tp + fp)), (found.npv, tn / (tn + fn))):
        assert rate.ci[0] < true < rate.ci[1]
    naive = counts.specificity.value, counts.ppv.value, counts.npv.value
    assert min(naive[0] - tn / (tn + fp), naive[1] - tp / (tp + fp)) < -0.004
    assert naive[2] - tn / (tn + fn) < -0.015
