"""Coverage of intervals, by simulation with fixed seeds."""

import numpy as np
import pytest
from scipy.stats import binom, norm

from healthval import metrics as hm
from healthval.contracts.proportions import wilson
from healthval.metrics.cases import Cases
from healthval.metrics.discrimination.auroc import auroc_of


def auroc_coverage(auc, m, n, reps=1500, spread=1.0):
    """Binormal scores with the given AUROC; `spread` is the SD of the events."""
    rng, shift = np.random.default_rng(1), np.sqrt(1 + spread**2) * norm.ppf(auc)
    y, held = np.repeat([True, False], [m, n]), 0
    for _ in range(reps):
        score = rng.normal(size=m + n)
        score[:m] = shift + spread * score[:m]
        e = auroc_of(Cases(y, score, None))
        held += e.lo <= auc <= e.hi
    return held / reps


@pytest.mark.parametrize(("auc", "m", "n"), [(0.95, 20, 80), (0.9, 20, 80), (0.8, 100, 400)])
def test_the_default_auroc_interval_covers(auc, m, n):
    assert auroc_coverage(auc, m, n, reps=1500 if m < 100 else 800) >= 0.93


@pytest.mark.parametrize(
    ("auc", "m", "n", "spread"), [(0.7, 20, 380, 2.5), (0.75, 29, 971, 2.5), (0.8, 380, 20, 0.4)]
)
def test_the_auroc_interval_of_a_small_class_covers_with_unequal_spread(auc, m, n, spread):
    assert auroc_coverage(auc, m, n, 800, spread) >= 0.93


@pytest.mark.parametrize("spread", [0.3, 1.0, 3.0])
@pytest.mark.parametrize("twice", [False, True])
def test_the_auroc_interval_of_a_small_class_is_the_wider_of_two(spread, twice):
    rng = np.random.default_rng(3)
    y = np.repeat([True, False], [15, 200])
    score = np.where(y, rng.normal(0.8, spread, 215), rng.normal(size=215))
    ids = None
    if twice:
        y, score, ids = np.tile(y, 2), np.tile(score, 2), np.tile(np.arange(215), 2)
    default, sizes = hm.auroc(y, score, cluster=ids), hm.auroc(y, score, cluster=ids, ci="newcombe")
    half = norm.ppf(0.975) * default.se / (default.value * (1 - default.value))
    logit = np.log(default.value / (1 - default.value))
    low, high = 1 / (1 + np.exp(half - logit)), 1 / (1 + np.exp(-half - logit))
    wider = max([(low, high), (sizes.lo, sizes.hi)], key=lambda pair: pair[1] - pair[0])
    np.testing.assert_allclose((default.lo, default.hi), wider)


def test_wilson_covers_at_least_94_percent_on_average():
    p, z, covered = np.linspace(0.005, 0.995, 199), norm.ppf(0.975), []
    for n in (10, 20, 50, 100):
        bounds = np.array([wilson(k, n, z) for k in range(n + 1)])
        inside = (bounds[:, :1] <= p) & (p <= bounds[:, 1:])
        covered.append((binom.pmf(np.arange(n + 1)[:, None], n, p) * inside).sum(axis=0).mean())
    assert min(covered) >= 0.94


def clustered(rng, patients=120):
    """Patients with one to five images that share a patient effect."""
    size = rng.integers(1, 6, patients)
    owner = np.repeat(np.arange(patients), size)
    sick = rng.random(patients)[owner] < 0.4
    score = rng.normal(size=owner.size) + 1.2 * rng.normal(size=patients)[owner] + 1.5 * sick
    return sick, 1 / (1 + np.exp(-score)), owner


def test_clustered_intervals_cover_where_naive_ones_do_not():
    rng = np.random.default_rng(4)
    truth = norm.cdf(1.5 / np.sqrt(2 * (1 + 1.2**2)))
    held = {"auroc": 0, "naive": 0}
    for _ in range(300):
        y, p, owner = clustered(rng)
        for name, e in (("auroc", hm.auroc(y, p, cluster=owner)), ("naive", hm.auroc(y, p))):
            held[name] += e.lo <= truth <= e.hi
    assert held["auroc"] / 300 >= 0.92
    assert held["naive"] < held["auroc"]


def test_clustered_rates_cover():
    rng = np.random.default_rng(5)
    truth = norm.sf(0, loc=1.5, scale=np.sqrt(1 + 1.2**2))
    held = sum(
        e.lo <= truth <= e.hi
        for e in (
            hm.at_threshold(y, p, 0.5, cluster=owner).sensitivity
            for y, p, owner in (clustered(rng) for _ in range(400))
        )
    )
    assert held / 400 >= 0.92


def test_calibration_intervals_cover_a_perfect_model():
    rng = np.random.default_rng(6)
    held = np.zeros(3)
    for _ in range(800):
        p = 1 / (1 + np.exp(-rng.normal(-1, 1.2, 400)))
        c = hm.calibration(rng.random(400) < p, p, curve=None)
        held += [
            c.slope.lo <= 1 <= c.slope.hi,
            c.citl.lo <= 0 <= c.citl.hi,
            c.oe.lo <= 1 <= c.oe.hi,
        ]
    assert held.min() / 800 >= 0.92
