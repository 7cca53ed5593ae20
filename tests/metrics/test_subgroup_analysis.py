"""Subgroups: counts first, heterogeneity before differences, complements that exclude the group."""

import numpy as np
import pytest

from healthval import metrics as hm
from healthval.metrics.cases import Cases
from healthval.metrics.subgroups.gaps import subgroups
from healthval.metrics.subgroups.heterogeneity import heterogeneity
from healthval.metrics.subgroups.levels import read_groups


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


def test_a_confirmatory_family_is_adjusted_and_an_exploratory_one_is_marked():
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
    assert (d.estimate.lo, d.estimate.hi) == (None, None)  # both sides show the same patients


def test_difference_intervals_cover():
    held = 0
    for seed in range(80):
        y, p, group = simulated(seed, n=600)
        found = subgroups(y, p, group == "a", bootstrap=hm.Bootstrap(100)).differences
        d = next(d for d in found if (d.level, d.metric) == ("True", "sensitivity"))
        held += d.estimate.lo <= 0 <= d.estimate.hi
    assert held / 80 >= 0.9


def two_eyes(rng, patients=200):
    """One case of each patient on either side, much alike; the model serves both sides equally."""
    patient, side = np.repeat(np.arange(patients), 2), np.tile(["left", "right"], patients)
    lp = rng.normal(size=patients)[patient] * 1.2
    y = rng.random(patients)[patient] < 1 / (1 + np.exp(-lp))
    return y, 1 / (1 + np.exp(-(lp + 0.3 * rng.normal(size=lp.size)))), side, patient


@pytest.mark.parametrize("metric", ["auroc", "oe", "sensitivity", "ppv", "citl", "net_benefit"])
def test_the_test_over_all_levels_rejects_an_even_model_as_often_as_it_says(metric):
    rng, rejected = np.random.default_rng(4), 0
    for _ in range(300):
        y, p, side, patient = two_eyes(rng)
        found = heterogeneity(
            Cases(y, p, patient), ("side", read_groups(side, y.size)["group"]), metric, 0.5
        )
        rejected += found.p < 0.05
    assert 0.02 <= rejected / 300 <= 0.085


def test_with_two_levels_the_test_over_all_is_the_test_of_their_difference():
    y, p, side, patient = two_eyes(np.random.default_rng(1), 300)
    found = subgroups(y, p, side, cluster=patient)
    for h, d in zip(found.heterogeneity, found.differences, strict=False):
        assert h.metric == d.metric
        np.testing.assert_allclose(h.p, d.estimate.p, atol=0.02)


def test_levels_that_show_the_same_cases_cannot_be_tested():
    y, p, _ = simulated(n=300)
    twice, side = np.repeat(np.arange(300), 2), np.tile(["left", "right"], 300)
    found = subgroups(y[twice], p[twice], side, cluster=twice).heterogeneity[0]
    assert found.q is None
    assert found.reason == "a difference between levels has no variance"


def test_a_level_left_out_of_the_test_is_reported():
    y, p, group = simulated()
    perfect = np.where(group == "c", y + 0.0, p)
    odd = np.where(np.arange(y.size) < 5, "odd", group)
    h = subgroups(y, perfect, odd).heterogeneity[0]
    assert h.df == 1
    assert h.q is not None
    assert h.reason == (
        "2 of 4 levels omitted: an AUROC of exactly 0 or 1; fewer than 10 events or non-events"
    )
    alone = subgroups(y, p, np.zeros(y.size)).heterogeneity[0]
    assert (alone.q, alone.reason) == (None, "there is a single level")


def test_every_statistic_of_a_level_is_compared():
    y, p, group = simulated()
    found = subgroups(y, p, group)
    judged = {"auroc", "oe", "citl", "sensitivity", "specificity", "ppv", "npv", "net_benefit"}
    assert {h.metric for h in found.heterogeneity} == judged
    assert {d.metric for d in found.differences} == judged
    d = next(d for d in found.differences if (d.level, d.metric) == ("b", "net_benefit"))
    inside, outside = (hm.at_threshold(y[m], p[m], 0.5) for m in (group == "b", group != "b"))
    gap = inside.net_benefit.value - outside.net_benefit.value
    np.testing.assert_allclose(d.estimate.value, gap)


@pytest.mark.parametrize(("cases", "counted"), [(9, False), (10, True), (11, True)])
def test_a_level_enters_a_gap_with_ten_cases(cases, counted):
    y, p, group = simulated()
    y[:cases], p[:cases] = True, 0.01  # all missed
    few = np.where(np.arange(y.size) < cases, "few", group)
    gap = subgroups(y, p, few).gaps[0].estimate
    rates = [np.mean(p[y & (few == g)] >= 0.5) for g in "abc"] + [0] * counted
    np.testing.assert_allclose(gap.value, np.ptp(rates))


def test_a_gap_needs_two_levels():
    y, p, _ = simulated()
    gap = subgroups(y, p, np.arange(y.size) < 5).gaps[0].estimate
    assert gap.value is None
    assert gap.reason == "fewer than two levels with at least 10 cases of this class"


def test_a_gap_between_certainties_has_no_interval():
    y = np.ones(40, bool)
    y[:20] = False
    p = np.tile([0.1, 0.9], 20)
    gap = subgroups(y, p, p > 0.5).gaps[0].estimate
    assert (gap.value, gap.lo, gap.hi) == (1.0, None, None)
