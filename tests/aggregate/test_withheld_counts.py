"""Withheld counts depend on the result: no pooled number represents sites that are missing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from healthval.aggregate import pool, pool_counts
from healthval.aggregate.counts import WIDE, wilson_interval
from healthval.contracts.submission import SUPPRESSED, TableOneRow

SITE = st.tuples(st.integers(1, 300), st.integers(1, 600), st.integers(0, 300), st.integers(1, 600))
RATES = {"sensitivity": (0, 2), "specificity": (3, 1), "ppv": (0, 1), "npv": (3, 2)}


def shown_by_rule(cells, smallest=11):
    """Both cells of a class are withheld where one of them is small: it depends on the rate."""
    out = list(cells)
    for a, b in ((0, 2), (3, 1)):
        if 0 < min(cells[a], cells[b]) < smallest:
            out[a] = out[b] = SUPPRESSED
    return tuple(out)


@given(st.lists(SITE, min_size=1, max_size=10))
@settings(max_examples=150, deadline=None)
def test_every_rate_is_exact_or_bounded_or_has_a_reason(true):
    shown = [shown_by_rule(cells) for cells in true]
    margins = [(sum(c), c[0] + c[2]) for c in true]
    pooled = pool_counts(shown, margins=margins)
    sums = np.array(true).sum(axis=0)
    for name, (yes, no) in RATES.items():
        rate, truth = getattr(pooled, name), sums[yes] / (sums[yes] + sums[no])
        if rate.k == len(true):
            assert rate.value == pytest.approx(truth)
            assert (rate.bounds, rate.reason) == (None, None)
            continue
        low, high = rate.bounds
        assert low - 1e-12 <= truth <= high + 1e-12
        if rate.value is None:
            assert "withheld" in rate.reason
            assert (rate.ci, high - low > WIDE) == (None, True)
        else:
            assert rate.ci[0] <= low <= rate.value <= high <= rate.ci[1]
    assert pooled.prevalence.value == pytest.approx((sums[0] + sums[2]) / sums.sum())


@pytest.mark.parametrize("k", [3, 5, 10, 30])
def test_networks_whose_poor_sites_withhold_are_never_taken_for_better(k):
    rng, held = np.random.default_rng(k), 0
    for _ in range(200):
        events = rng.integers(40, 200, k)
        sens = np.where(rng.random(k) < 0.25, rng.uniform(0.02, 0.1, k), rng.uniform(0.6, 0.9, k))
        true = [
            (tp, 20, m - tp, 80) for tp, m in zip(rng.binomial(events, sens), events, strict=True)
        ]
        true = [tuple(int(c) for c in row) for row in true]
        margins = [(sum(row), row[0] + row[2]) for row in true]
        found = pool_counts([shown_by_rule(row) for row in true], margins=margins).sensitivity
        truth = sum(row[0] for row in true) / events.sum()
        given = found.bounds or found.ci
        held += given[0] <= truth <= given[1]
    assert held == 200


def test_without_a_known_margin_nothing_is_claimed():
    rows = [(30, 5, 10, 55), (SUPPRESSED, 5, SUPPRESSED, 70)]
    found = pool_counts(rows).sensitivity
    assert (found.value, found.ci, found.bounds) == (None, None, None)
    assert found.reason == "1 of 2 sites withheld counts; the rate over all sites is unknown"


def test_narrow_bounds_give_their_middle_and_an_interval_of_both_ends():
    rows = [(300, 50, 100, 550), (SUPPRESSED, 5, SUPPRESSED, 70)]
    found = pool_counts(rows, margins=[(1000, 400), (95, 20)]).sensitivity
    assert found.bounds == (300 / 420, 320 / 420)
    assert found.value == 310 / 420
    assert found.ci == (wilson_interval(300, 420)[0], wilson_interval(320, 420)[1])


def withholding(submission, **cells):
    first, *rest = submission.thresholds
    confusion = first.confusion.model_copy(update=dict.fromkeys(cells, SUPPRESSED))
    return submission.model_copy(
        update={"thresholds": (first.model_copy(update={"confusion": confusion}), *rest)}
    )


def test_the_mean_over_sites_contains_the_sites_that_withhold(network):
    sites = [("site-a", withholding(network[0][1], tp=0, fn=0)), *network[1:]]
    at = pool(sites).thresholds[0]
    assert at.bivariate.k == len(network)
    assert (at.bivariate.method, at.bivariate.rho, at.bivariate_normal) == (
        "interval-censored",
        None,
        None,
    )
    assert at.bivariate.fallback.startswith(f"1 of {len(network)} sites withheld counts")
    low, high = at.net_benefit.bounds
    whole = pool(network, bivariate="none").thresholds[0]
    assert low <= whole.net_benefit.value <= high
    assert at.net_benefit.value is None
    assert at.counts.prevalence.value == pytest.approx(whole.counts.prevalence.value)
    rate = at.counts.sensitivity
    assert rate.bounds[0] <= rate.value <= rate.bounds[1]
    assert rate.ci[0] <= whole.counts.sensitivity.value <= rate.ci[1]


def test_a_site_that_withholds_its_classes_is_left_out_of_the_means_and_named(network):
    """Whether it does depends on its number of events, and not on its rates."""
    first = withholding(network[0][1], tp=0, fp=0, fn=0, tn=0)
    hidden = first.model_copy(update={"n_events": SUPPRESSED})
    sites = [("small", hidden), ("b", withholding(network[1][1], tp=0, fn=0)), *network[2:]]
    found, others = pool(sites).thresholds[0], pool(sites[1:]).thresholds[0]
    assert found.bivariate.k == len(network) - 1
    assert (found.bivariate.mu, found.bivariate.tau) == (others.bivariate.mu, others.bivariate.tau)
    assert "without small (sizes of the classes withheld)" in found.bivariate.fallback
    assert "without" not in others.bivariate.fallback
    whole = pool(network, bivariate="none").thresholds[0].counts
    for name in ("sensitivity", "specificity"):  # of all cases, those of that site too
        low, high = getattr(found.counts, name).bounds
        assert low <= getattr(whole, name).value <= high


def test_a_decision_curve_is_about_all_sites_or_has_no_value(network):
    short = network[0][1].model_copy(update={"decision_curve": network[0][1].decision_curve[:1]})
    whole = pool(network, bivariate="none").decision_curve
    found = pool([("site-a", short), *network[1:]], bivariate="none").decision_curve
    kept = {p.threshold for p in short.decision_curve}
    assert any(p.threshold not in kept for p in found)
    for p, q in zip(found, whole, strict=True):
        if p.threshold in kept:
            assert p == q
        else:
            assert (p.net_benefit.value, p.net_benefit.ci, p.treat_all) == (None, None, None)
            assert "did not release this point" in p.net_benefit.reason


def rows_of(*levels, hidden=False):
    found = tuple(TableOneRow(variable="sex", level=x, overall=n) for x, n in levels)
    return (
        (*found, TableOneRow(variable="sex", level=SUPPRESSED, overall=SUPPRESSED))
        if hidden
        else found
    )


def test_a_level_of_table_one_is_zero_only_where_no_level_is_hidden(network):
    n = [int(s.n) for _, s in network]
    tables = [
        rows_of(("female", 30), ("male", n[0] - 30)),
        rows_of(("male", n[1])),  # all levels released: no woman
        rows_of(("male", n[2] - 40), hidden=True),
        *[()] * (len(network) - 3),
    ]
    sites = [
        (x, s.model_copy(update={"table_one": t}))
        for (x, s), t in zip(network, tables, strict=True)
    ]
    found = {r.level: r for r in pool(sites, bivariate="none").table_one}
    women = found["female"].overall
    assert (women.lower, women.upper, women.n_sites, women.n_suppressed) == (30, 70, 2, 1)
    assert found["female"].k == 3
    assert found["male"].overall.exact == n[0] - 30 + n[1] + n[2] - 40
