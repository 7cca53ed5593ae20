"""The CUSUM's run length against published values, its limit, and its behaviour on simulated data."""

import numpy as np
import pytest

from healthval.aggregate.secondary.control_chart import chart, decision_limit, run_length
from healthval.contracts.monitoring import AlarmRule
from healthval.contracts.submission import ReleasedEstimate
from healthval.metrics import auroc

RULE = AlarmRule(measure="oe", target=1.0, direction="both", run_length=100)


# Montgomery, Introduction to Statistical Quality Control, table "ARL performance of the tabular
# CUSUM with k = 0.5": two-sided 168 (h = 4) and 465 (h = 5) in control; one-sided is twice that.
@pytest.mark.parametrize(("limit", "two_sided"), [(4.0, 168), (5.0, 465)])
def test_run_length_equals_the_published_one(limit, two_sided):
    assert run_length(limit, 0.5) / 2 == pytest.approx(two_sided, rel=0.003)


@pytest.mark.parametrize("shift", [0.25, 1.0, 2.0, 3.0])
@pytest.mark.parametrize("wanted", [10, 100, 10_000])
@pytest.mark.parametrize("direction", ["fall", "both"])
def test_the_limit_is_the_smallest_with_the_planned_run_length(shift, wanted, direction):
    rule = AlarmRule(measure="oe", target=1.0, direction=direction, shift=shift, run_length=wanted)
    limit = decision_limit(rule, 12)
    assert limit.run_length >= wanted
    sides = 2 if direction == "both" else 1
    if limit.limit > 0.001:
        assert run_length(limit.limit - 0.001, limit.allowance) / sides < wanted


def estimates(z, se=0.1):
    return ReleasedEstimate(value=float(np.exp(z * se)), se=float(np.exp(z * se) * se), method="x")


def test_simulated_runs_have_the_stated_length_and_false_alarms():
    rng = np.random.default_rng(4)
    limit = decision_limit(RULE, 12)
    lengths, within = [], 0
    for _ in range(1500):
        up = down = n = 0.0
        while max(up, down) <= limit.limit:
            z = rng.normal()
            up, down = max(0, up + z - limit.allowance), max(0, down - z - limit.allowance)
            n += 1
        lengths.append(n)
        within += n <= 12
    assert np.mean(lengths) == pytest.approx(limit.run_length, rel=0.08)
    assert within / 1500 == pytest.approx(limit.false_alarm, abs=0.02)


def test_the_chart_adds_up_what_exceeds_the_allowance():
    limit = decision_limit(RULE, 4)
    points = chart(RULE, limit, [[estimates(z)] for z in (2.0, -1.0, 3.0, -9.0)])
    assert [p.z for p in points] == pytest.approx([2, -1, 3, -9])
    assert [p.rise for p in points] == pytest.approx([1.5, 0, 2.5, 0])
    assert [p.fall for p in points] == pytest.approx([0, 0.5, 0, 8.5])
    assert [p.alarm for p in points] == [False, False, False, True]


def test_several_hospitals_are_combined_by_their_precision():
    limit = decision_limit(RULE, 1)
    (point,) = chart(RULE, limit, [[estimates(1.0), estimates(1.0), None]])
    assert point.z == pytest.approx(2**0.5)
    (point,) = chart(RULE, limit, [[estimates(1.0, se=0.01), estimates(0.0, se=10.0)]])
    assert point.z == pytest.approx(1.0, rel=0.01)


def test_a_period_without_a_value_leaves_the_sums_and_raises_no_alarm():
    limit = decision_limit(RULE, 3)
    none = ReleasedEstimate(withheld="suppressed")
    points = chart(RULE, limit, [[estimates(9.0)], [none], [None]])
    assert [p.alarm for p in points] == [True, False, False]
    assert [p.rise for p in points] == pytest.approx([8.5] * 3)


def test_only_the_watched_direction_is_summed():
    rule = AlarmRule(measure="oe", target=1.0, direction="fall")
    points = chart(rule, decision_limit(rule, 1), [[estimates(9.0)]])
    assert (points[0].fall, points[0].rise, points[0].alarm) == (0.0, None, False)


def test_false_alarms_of_real_aurocs_are_near_the_stated_ones():
    """300 cases a period: the estimate is only about normal, and the target is the true AUROC."""
    rng, rule = np.random.default_rng(8), AlarmRule(measure="auroc", target=0.8, direction="fall")
    limit, shift = decision_limit(rule, 12), 2**0.5 * 0.8416212  # Phi(shift / sqrt 2) = 0.8
    alarms = 0
    for _ in range(150):
        periods = []
        for _ in range(12):
            y = np.arange(300) < 60
            found = auroc(y, rng.normal(size=300) + shift * y)
            periods.append([ReleasedEstimate(value=found.value, se=found.se, method="x")])
        alarms += any(p.alarm for p in chart(rule, limit, periods))
    assert alarms / 150 == pytest.approx(limit.false_alarm, abs=0.07)
