from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from healthval.aggregate import pooled_roc
from healthval.aggregate.roc import calibration_bins, expected_calibration_error, together
from healthval.errors import MetricError

GRID = np.linspace(0, 1, 21)


@dataclass(frozen=True)
class Bin:
    low: float
    high: float
    events: object
    non_events: object
    score_sum: float | None = None


def histogram(reference, score, edges):
    where = np.clip(np.searchsorted(edges, score, side="right") - 1, 0, len(edges) - 2)
    return [
        Bin(
            low=edges[b],
            high=edges[b + 1],
            events=int((reference & (where == b)).sum()),
            non_events=int((~reference & (where == b)).sum()),
            score_sum=float(score[where == b].sum()),
        )
        for b in range(len(edges) - 1)
    ]


def raw_auc(reference, score):
    p, n = score[reference], score[~reference]
    return float(np.mean((p[:, None] > n) + 0.5 * (p[:, None] == n)))


@st.composite
def sites(draw):
    """Cases of one to four sites, scores often on an edge, each site with its own merged bins."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    out = []
    for _ in range(draw(st.integers(1, 4))):
        n = draw(st.integers(4, 60))
        reference = rng.random(n) < 0.4
        reference[:2] = [True, False]
        score = np.where(rng.random(n) < 0.3, rng.choice(GRID, n), rng.random(n))
        inner = GRID[1:-1][rng.random(19) < draw(st.floats(0, 1))]
        out.append((reference, score, np.concatenate([[0.0], inner, [1.0]])))
    return out


@given(sites())
@settings(deadline=None)
def test_the_auc_of_all_cases_together_lies_within_the_bound(network):
    auc, bound, _ = pooled_roc([histogram(*site) for site in network])
    true = raw_auc(
        np.concatenate([r for r, _, _ in network]), np.concatenate([s for _, s, _ in network])
    )
    assert auc - bound - 1e-12 <= true <= auc + bound + 1e-12


@given(sites())
@settings(deadline=None)
def test_the_curve_bounds_the_true_rates_at_every_threshold(network):
    reference = np.concatenate([r for r, _, _ in network])
    score = np.concatenate([s for _, s, _ in network])
    for point in pooled_roc([histogram(*site) for site in network]).curve[1:]:
        positive = score >= point.threshold
        for truth, (low, high) in (
            (positive[reference].mean(), point.tpr_bounds),
            (positive[~reference].mean(), point.fpr_bounds),
        ):
            assert low - 1e-12 <= truth <= high + 1e-12


@given(sites())
@settings(deadline=None)
def test_with_equal_bins_the_bound_is_half_the_tied_mass(network):
    parts = [histogram(r, s, GRID) for r, s, _ in network]
    p = np.sum([[b.events for b in h] for h in parts], axis=0)
    q = np.sum([[b.non_events for b in h] for h in parts], axis=0)
    m, n = p.sum(), q.sum()
    auc, bound, _ = pooled_roc(parts)
    assert bound == pytest.approx(0.5 * np.sum(p * q) / (m * n), abs=1e-12)
    wins = np.sum(p * (np.cumsum(q) - q))
    assert auc == pytest.approx((wins + 0.5 * np.sum(p * q)) / (m * n), abs=1e-12)


@given(sites())
@settings(deadline=None)
def test_finer_bins_never_widen_the_bound(network):
    coarse = pooled_roc([histogram(*site) for site in network]).bound
    fine = pooled_roc([histogram(r, s, GRID) for r, s, _ in network]).bound
    assert fine <= coarse + 1e-12


@given(sites())
@settings(deadline=None)
def test_two_copies_of_a_network_have_its_roc(network):
    once = pooled_roc([histogram(*site) for site in network])
    twice = pooled_roc([histogram(*site) for site in network * 2])
    assert twice.auc == pytest.approx(once.auc, abs=1e-12)
    assert twice.bound == pytest.approx(once.bound, abs=1e-12)


@given(sites())
@settings(deadline=None)
def test_calibration_bins_hold_the_cases_between_shared_edges(network):
    reference = np.concatenate([r for r, _, _ in network])
    score = np.concatenate([s for _, s, _ in network])
    bins = calibration_bins(together([histogram(*site) for site in network]))
    shared = set.intersection(*(set(edges) for _, _, edges in network))
    assert {b.low for b in bins} | {1.0} == shared
    for b in bins:
        inside = (score >= b.low) & ((score < b.high) | (b.high == 1))
        assert (b.n, b.events) == (inside.sum(), (reference & inside).sum())
        if b.n:
            assert b.mean_score == pytest.approx(score[inside].mean())
    gaps = [b.n * abs(b.observed - b.mean_score) for b in bins if b.n]
    assert expected_calibration_error(bins) == pytest.approx(sum(gaps) / len(score))


def test_a_roc_runs_from_nothing_to_everything():
    curve = pooled_roc([[Bin(0, 0.5, 3, 20), Bin(0.5, 1, 17, 10)]]).curve
    assert [c.threshold for c in curve] == [None, 0.5, 0.0]
    assert [(c.fpr, c.tpr) for c in curve] == [(0, 0), pytest.approx((10 / 30, 17 / 20)), (1, 1)]


def test_edges_with_counts_are_read_as_bins():
    class Histogram:
        edges = (0.0, 0.5, 1.0)
        events = (3, 17)
        non_events = (20, 10)

    assert pooled_roc([Histogram()]) == pooled_roc([[Bin(0, 0.5, 3, 20), Bin(0.5, 1, 17, 10)]])


@pytest.mark.parametrize(
    ("histograms", "says"),
    [
        ([], "no histogram"),
        ([[]], "row 0: no bins"),
        ([None], "row 0: need bins"),
        (["canary-271828"], "row 0: need bins"),
        ([[Bin(0, 1, 10**400, 4)]], "row 0: not a number"),
        ([[Bin(0, 1, "suppressed", 3)]], "row 0: suppressed"),
        ([[Bin(0, 0.6, 1, 1), Bin(0.5, 1, 1, 1)]], "row 0: bins must follow"),
        ([[Bin(0, 1, 4, 4)], [Bin(0.5, 0.5, 1, 1)]], "row 1: bins must follow"),
        ([[Bin(0, 1.271828, 4, 4)]], "row 0: bins must follow"),
        ([[Bin(0, 1, 2.71828, 4)]], "row 0: counts must be whole"),
        ([[Bin(0, 1, -4, 4)]], "row 0: counts must be whole"),
        ([[Bin(0, 1, 4, 0)]], "no events or no non-events"),
        ([[Bin(0, 1, "canary-271828", 0)]], "row 0: not a number"),
    ],
)  # fmt: skip
def test_a_malformed_histogram_is_refused_by_row_and_not_quoted(histograms, says):
    with pytest.raises(MetricError) as caught:
        pooled_roc(histograms)
    assert says in str(caught.value)
    assert "71828" not in str(caught.value)
    assert caught.value.__cause__ is None
