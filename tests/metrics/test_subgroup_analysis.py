"""Subgroups: counts first, heterogeneity before differences, complements that exclude the group."""

import numpy as np
import pytest

from healthval import metrics as hm
from healthval.metrics.fairness import subgroups


def simulated(seed=0, n=3000, worse=False):
    rng = np.random.default_rng(seed)
    group = rng.choice(["a", "b", "c"], size=n, p=[0.5, 0.3, 0.2])
    lp = rng.normal(-0.5, 1.2, n)
    y = rng.random(n) < 1 / (1 + np.exp(-lp))
    noise = np.where(worse & (group == "c"), 4.0, 0.5)
    return y, 1 / (1 + np.exp(-(lp + noise * rng.normal(size=n)))), group


def test_a_difference_is_taken_against_the_other_cases_only():
    y, p, group = simulated()
    found = subgroups(y, p, group)
    d = next(d for d in found.differences if (d.level, d.metric) == ("b", "auroc"))
    inside, outside = (hm.auroc(y[m], p[m]).value for m in (group == "b", group != "b"))
    np.testing.assert_allclose(d.estimate.value, inside - outside)


def test_its_p_value_is_that_of_the_unpaired_comparison():
    y, p, group = simulated()
    d = next(d for d in subgroups(y, p, group).differences if (d.level, d.metric) == ("b", "auroc"))
    b = group == "b"
    assert d.estimate.p == hm.compare_auroc_unpaired(y[b], p[b], y[~b], p[~b]).p


def test_a_group_served_worse_is_found_and_an_even_model_is_not_accused():
    y, p, group = simulated(worse=True)
    found = {h.metric: h.p for h in subgroups(y, p, group).heterogeneity}
    assert found["auroc"] < 1e-6
    even = [subgroups(*simulated(seed)).heterogeneity for seed in range(20)]
    rejected = np.mean([[h.p < 0.05 for h in hs] for hs in even])
    assert rejected < 0.15


def test_too_few_events_are_shown_not_judged():
    y, p, group = simulated(n=400)
    rare = np.where(np.arange(400) < 15, "rare", group)
    row = next(r for r in subgroups(y, p, rare).results if r.level == "rare")
    assert row.n == 15
    assert row.auroc.value is None
    assert "fewer than 10" in row.auroc.reason


@pytest.mark.parametrize(("events", "known"), [(9, False), (10, True), (11, True)])
def test_ten_events_are_enough(events, known):
    y = np.repeat([1, 0], [events, 200])
    p = np.random.default_rng(0).random(y.size)
    assert (subgroups(y, p, np.zeros(y.size)).results[0].auroc.value is not None) is known


def test_a_confirmatory_family_is_adjusted_and_an_exploratory_one_says_so():
    y, p, group = simulated()
    open_ended, fixed = subgroups(y, p, group), subgroups(y, p, group, confirmatory=True)
    assert open_ended.exploratory
    assert all(d.p_adjusted is None for d in open_ended.differences)
    raw = [d.estimate.p for d in fixed.differences]
    np.testing.assert_allclose([d.p_adjusted for d in fixed.differences], hm.holm(raw))


def test_intersections_are_named_by_both_variables():
    y, p, group = simulated()
    sex = np.where(np.arange(y.size) % 2, "f", "m")
    found = subgroups(y, p, {"site": group, "sex": sex}, intersections=True)
    levels = {r.level: r.n for r in found.results if r.variable == "site.sex"}
    assert set(levels) == {f"{g}.{s}" for g in "abc" for s in "fm"}
    assert sum(levels.values()) == y.size


def test_cases_without_a_level_are_a_level():
    y, p, group = simulated()
    holes = group.astype(object)
    holes[:50] = None
    assert {r.level: r.n for r in subgroups(y, p, holes).results}["missing"] == 50


def test_gaps_are_the_range_of_rates():
    y, p, group = simulated()
    found = {g.metric: g.estimate for g in subgroups(y, p, group).gaps}
    rates = [np.mean(p[y & (group == g)] >= 0.5) for g in "abc"]
    e = found["true-positive rate"]
    np.testing.assert_allclose(e.value, np.ptp(rates))
    assert e.lo <= e.value <= e.hi


def test_patients_on_both_sides_of_a_group_are_kept_together():
    y, p, _ = simulated(n=600)
    patient, side = np.repeat(np.arange(300), 2), np.tile(["left", "right"], 300)
    twice = {"y": np.repeat(y[:300], 2), "p": np.repeat(p[:300], 2)}
    d = next(
        d
        for d in subgroups(twice["y"], twice["p"], side, cluster=patient).differences
        if d.metric == "auroc"
    )
    assert d.estimate.value == 0
    np.testing.assert_allclose(d.estimate.se, 0, atol=1e-12)  # both sides show the same patients


def test_difference_intervals_cover():
    held = 0
    for seed in range(80):
        y, p, group = simulated(seed, n=600)
        found = subgroups(y, p, group == "a", bootstrap=hm.Bootstrap(100)).differences
        d = next(d for d in found if (d.level, d.metric) == ("True", "sensitivity"))
        held += d.estimate.lo <= 0 <= d.estimate.hi
    assert held / 80 >= 0.9
