"""Released points of the ROC: a chord between two cuts is not a measured curve; the interval allows for that."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from healthval.disclosure.payload.curves import roc_through

GRID = [i / 20 for i in range(21)]


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 99)), min_size=4, max_size=120),
    st.sets(st.integers(1, 99), min_size=1, max_size=4),
)
@settings(max_examples=150, deadline=None)
def test_every_interval_contains_the_sites_own_curve(rows, at):
    reference = np.array([True, False, *(r for r, _ in rows)])
    score = np.array([60, 40, *(s for _, s in rows)])
    m, n = int(reference.sum()), int((~reference).sum())

    def count(cut):
        positive = score >= cut
        return int((reference & positive).sum()), int((~reference & positive).sum())

    cuts = [(0.0, m, n), *((c / 100, *count(c)) for c in sorted(at)), (np.inf, 0, 0)]
    own = [(0, 0), *(count(c) for c in np.unique(score)[::-1])]
    for point in roc_through(cuts, GRID, 6):
        below = max(tp for tp, fp in own if fp <= point.fpr * n + 1e-9) / m
        above = min(tp for tp, fp in own if fp >= point.fpr * n - 1e-9) / m
        assert point.lo - 1e-6 <= max(below, above)
        assert point.hi + 1e-6 >= min(below, above)
        assert point.lo <= point.tpr <= point.hi


def test_noise_widens_the_interval_and_moves_the_cuts_apart():
    cuts = [(0.0, 60, 200), (0.3, 45, 60), (0.6, 20, 10), (np.inf, 0, 0)]
    for plain, noisy in zip(
        roc_through(cuts, GRID, 6), roc_through(cuts, GRID, 6, variance=4.3), strict=True
    ):
        assert noisy.lo <= plain.lo <= plain.hi <= noisy.hi
