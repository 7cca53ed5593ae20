"""Cohort flow over sites: every sum is a flow, whatever the sites omitted or withheld."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthval.aggregate.flow import flow_totals
from healthval.contracts.submission import SUPPRESSED, FlowCount

STEPS = ("on_list", "eligible", "with_reference", "scored")


class Site:
    """A submission of which only flow and analysed cases are read."""

    def __init__(self, flow, n):
        self.flow = tuple(FlowCount(step=s, n=c) for s, c in flow)
        self.n = n


@st.composite
def networks(draw):
    """Whole flows, and what sites release of them: some steps omitted, some counts withheld."""
    whole, released = [], []
    for i in range(draw(st.integers(1, 5))):
        counts = sorted(draw(st.lists(st.integers(0, 500), min_size=4, max_size=4)), reverse=True)
        whole.append(dict(zip(STEPS, counts, strict=True)))
        kept = draw(st.lists(st.booleans(), min_size=4, max_size=4))
        hidden = draw(st.lists(st.booleans(), min_size=4, max_size=4))
        flow = [
            (s, SUPPRESSED if hide else c)
            for s, c, keep, hide in zip(STEPS, counts, kept, hidden, strict=True)
            if keep
        ]
        n = SUPPRESSED if draw(st.booleans()) else counts[-1]
        released.append((f"site {i}", Site(flow, n)))
    return whole, released


@given(networks())
def test_bounds_hold_the_true_sums_and_lower_bounds_never_increase(network):
    whole, released = network
    found = flow_totals(tuple(released))
    names = [f.step for f in found]
    listed = {f.step for _, s in released for f in s.flow}
    assert set(names) == listed
    for total in found:
        truth = sum(site[total.step] for site in whole)
        assert total.total.lower <= truth
        assert total.total.upper is None or truth <= total.total.upper
        assert total.total.n_sites + total.total.n_suppressed == len(whole)
        if not total.total.n_suppressed:
            assert total.total.exact == truth
    lows = [f.total.lower for f in found]
    assert lows == sorted(lows, reverse=True)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_the_order_of_steps_does_not_depend_on_which_site_comes_first(order):
    flows = [
        [("scored", 20)],
        [("on_list", 40), ("eligible", 30), ("scored", 20)],
        [("on_list", 50), ("with_reference", 45), ("scored", 20)],
    ]
    found = flow_totals(tuple((f"s{i}", Site(flows[i], 20)) for i in order))
    assert [f.step for f in found] == ["on_list", "with_reference", "eligible", "scored"]
    assert [f.total.lower for f in found] == [110, 85, 70, 60]


@pytest.mark.parametrize(
    "flows",
    [
        [[("a", 9), ("b", 8)], [("b", 7), ("a", 6)]],  # two orders
        [[("a", 8), ("b", 9)]],  # an increase
        [[("a", 9), ("b", 2)]],  # fewer than were analysed
        [[("a", 9), ("b", 8), ("a", 7)]],  # a step twice
    ],
)
def test_contradicting_flows_are_not_summed(flows):
    assert flow_totals(tuple((f"s{i}", Site(f, 5)) for i, f in enumerate(flows))) == ()
