"""Verdicts are earned: by the mean over sites, and over the range of what withheld sites can be."""

import math
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from healthval.aggregate import meta_analysis
from healthval.aggregate.effects import LOGIT
from healthval.contracts.submission import CountNoise
from healthval.report import Criterion
from healthval.report.criteria import verdict
from healthval.report.values.means import possible_intervals, site_mean
from healthval.report.values.site_values import reader

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from verdicts import Site, one_large, true_means, wrongly_met

ALIKE = [(210, 52, 40, 410), (195, 48, 38, 395), (205, 51, 41, 402), (188, 50, 39, 388)] * 2
RATES = ("sensitivity", "specificity", "ppv", "npv", "net_benefit")


def network(tables, hidden=()):
    """Sites of counts (tp, fp, fn, tn); those at `hidden` withhold all four cells."""
    sites = {}
    for i, (tp, fp, fn, tn) in enumerate(tables):
        sites[f"s{i}"] = site = Site(tp=tp, fp=fp, fn=fn, tn=tn)
        if i in hidden:
            cells = dict.fromkeys(("tp", "fp", "fn", "tn"), "suppressed")
            none = site.thresholds[0].confusion.model_copy(update=cells)
            site.thresholds = (site.thresholds[0].model_copy(update={"confusion": none}),)
    return sites


def judged(sites, criterion, missing=0):
    name, at = criterion.measure, criterion.threshold
    return verdict(
        criterion, site_mean(sites, name, at), possible_intervals(sites, name, at), missing
    )


AT_LEAST = Criterion("sensitivity", at_least=0.7, threshold=0.3)


def test_alike_hospitals_keep_a_clear_verdict():
    assert judged(network(ALIKE), AT_LEAST).outcome == "met"
    far = Criterion("npv", at_least=0.99, threshold=0.3)
    assert judged(network(ALIKE), far).outcome == "not met"


def test_large_withheld_hospitals_make_it_inconclusive():
    found = judged(network([*ALIKE, (10, 50, 240, 200)], hidden={8}), AT_LEAST)
    assert found.outcome == "inconclusive"
    assert (found.mean.k, found.mean.of) == (8, 9)
    assert found.reason == "values that 1 site withheld can change the outcome"


def test_a_withheld_hospital_that_cannot_change_the_verdict_does_not():
    sites = network([*ALIKE, (1, 2, 1, 60)], hidden={8})
    found = judged(sites, Criterion("sensitivity", at_least=0.6, threshold=0.3))
    assert found.outcome == "met"
    assert "over the range of values that 1 site withheld" in found.reason
    low = Criterion("sensitivity", at_least=0.97, threshold=0.3)
    assert judged(sites, low).outcome == "not met"


def test_a_withheld_value_without_bounds_is_inconclusive(released):
    hidden = {
        s: r.model_copy(update={"calibration": None}) if i == 0 else r
        for i, (s, r) in enumerate(
            [*released.items(), *((f"{s}b", r) for s, r in released.items())]
        )
    }
    found = judged(hidden, Criterion("slope", at_least=-90, at_most=90))
    assert (found.outcome, found.mean.k) == ("inconclusive", 5)
    assert "may be any value" in found.reason
    assert judged(dict(list(hidden.items())[1:]), Criterion("slope", at_least=-90)).outcome == "met"


def test_with_missing_hospitals_nothing_is_met_and_failures_stay():
    found = judged(network(ALIKE), AT_LEAST, missing=1)
    assert (found.outcome, found.reason) == (
        "inconclusive",
        "1 hospital with access sent no result",
    )
    far = Criterion("npv", at_least=0.99, threshold=0.3)
    assert judged(network(ALIKE), far, missing=2).outcome == "not met"


counts = st.tuples(*[st.integers(0, 400)] * 4).filter(lambda c: c[0] + c[2] and c[1] + c[3])


@settings(deadline=None, max_examples=40)
@given(st.lists(counts, min_size=4, max_size=6), st.data(), st.sampled_from(RATES))
def test_a_met_target_is_met_whatever_the_withheld_cells_were(tables, data, name):
    hidden = set(data.draw(st.lists(st.integers(0, len(tables) - 1), min_size=1, max_size=2)))
    whole, partly = network(tables), network(tables, hidden)
    mean = site_mean(whole, name, 0.3)
    if mean.ci is None:
        return
    target = Criterion(name, at_least=mean.ci[0] + 1e-6, threshold=0.3)
    assert judged(whole, target).outcome != "met"
    assert judged(partly, target).outcome != "met"


@pytest.mark.parametrize("name", RATES)
def test_one_site_has_its_own_interval_and_two_are_not_pooled(name):
    one = site_mean(network(ALIKE[:1]), name, 0.3)
    assert one.ci[0] < one.value < one.ci[1]
    assert one.basis() == "the one site"
    assert site_mean(network(ALIKE[:2]), name, 0.3).value is None


def test_the_interval_contains_the_t_interval_of_the_site_values():
    unlike = [(90, 20, 10, 80), (50, 20, 50, 80), (20, 20, 80, 80)]
    low, high = site_mean(network(unlike), "sensitivity", 0.3).ci
    assert low == 0.0  # 0.53 less 4.30 times 0.35 / sqrt(3) is below 0
    assert high == 1.0


def test_the_interval_of_a_rate_contains_that_of_the_mean_rate():
    shares = (0.99, 0.98, 0.97, 0.96, 0.94, 0.9, 0.99, 0.985, 0.975, 0.6)
    tables = [(round(2000 * p), 300, 2000 - round(2000 * p), 900) for p in shares]
    mean = site_mean(network(tables), "sensitivity", 0.3)
    logits = [math.log(p / (1 - p)) for p in shares]
    known = meta_analysis(logits, [1 / (2000 * p * (1 - p)) for p in shares])
    low = LOGIT.back(known.ci[0])
    assert np.mean(shares) < LOGIT.back(known.mu)  # the mean rate is nearer to one half
    assert mean.ci[0] < np.mean(shares) - 0.1 < low
    assert mean.value == pytest.approx(LOGIT.back(known.mu), abs=1e-4)


def test_noise_of_the_gate_does_not_pull_a_mean_rate_to_one_half():
    """Noise of one size moves rates up and down alike: their mean is the middle one."""
    tables = [(tp, 60, 40 - tp, 90) for tp in (34, 36, 38, 35, 37)]
    exact = network(tables)
    noisy = network(tables)
    for site in noisy.values():
        site.noise = CountNoise(scale=2.0, variance=4.083)
    mean = site_mean(noisy, "sensitivity", 0.3).value
    assert mean == pytest.approx(0.9, abs=0.006)
    for site, changed in zip(exact.values(), noisy.values(), strict=True):
        read = reader("sensitivity", 0.3)
        assert read.known(changed).variance > read.known(site).variance
    logits = [read.known(site) for site in noisy.values()]
    naive = meta_analysis([e.effect for e in logits], [e.variance for e in logits])
    assert LOGIT.back(naive.mu) < 0.892
    withheld = network([*tables, (39, 60, 1, 90)], hidden={5})
    for site in withheld.values():
        site.noise = CountNoise(scale=2.0, variance=4.083)
    wide = possible_intervals(withheld, "sensitivity", 0.3)
    assert min(low for low, _ in wide) < 0.85 < 0.9 < max(high for _, high in wide)


@settings(deadline=None, max_examples=60)
@given(st.lists(counts, min_size=5, max_size=8), st.sampled_from(RATES))
def test_one_hospital_is_not_known_better_than_their_mean(tables, name):
    mean = site_mean(network(tables), name, 0.3)
    if mean.ci is None or mean.prediction is None:
        return
    assert mean.prediction[0] <= mean.ci[0] <= mean.value <= mean.ci[1] <= mean.prediction[1]


@pytest.mark.parametrize("k", [3, 5, 10])
def test_a_target_equal_to_the_truth_is_met_in_few_networks(k):
    networks = 120
    found = wrongly_met(k, 0.5, networks, np.random.default_rng(2024 + k))
    assert max(found.values()) <= 0.025 + 3 * math.sqrt(0.025 * 0.975 / networks)


@pytest.mark.parametrize(("name", "spread"), [("auroc", 0.3), ("npv", 0.5)])
def test_one_large_hospital_among_small_ones_earns_no_verdict(name, spread):
    networks = 400
    rng = np.random.default_rng(15)
    truth = {name: true_means(spread, rng)[name]}
    found = wrongly_met(3, spread, networks, rng, truth=truth, cases=one_large)[name]
    assert found <= 0.025 + 3 * math.sqrt(0.025 * 0.975 / networks)
