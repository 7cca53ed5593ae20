"""What is computed from sorted keys agrees with what is computed from a rank table."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthval import metrics as hm
from healthval.metrics import ranksums, ranktable
from healthval.metrics.delong import auc_and_variance
from healthval.metrics.intervals import quantiles
from healthval.metrics.ranksums import auc_and_variance_of_keys
from healthval.metrics.ranktable import RankTable, sorted_keys

TINY = 5e-324
scores = st.one_of(
    st.sampled_from([0.0, -0.0, TINY, 2 * TINY, 0.25, 0.5, 1.0, np.nextafter(1, 2), 3.5, 1e300]),
    st.floats(0, 1),
    st.floats(0, 1, width=32),
)
rows = st.lists(st.tuples(st.booleans(), scores), min_size=2, max_size=60).filter(
    lambda r: len({label for label, _ in r}) == 2
)


def columns(some):
    reference, score = zip(*some, strict=True)
    return np.array(reference), np.array(score)


def by_definition(reference, score):
    """DeLong 1988 on every pair, in fractions."""
    pos, neg = (score[reference == label].tolist() for label in (True, False))
    wins = [[Fraction((p > q) + (p >= q), 2) for q in neg] for p in pos]
    v10 = [sum(row) / len(neg) for row in wins]
    v01 = [sum(column) / len(pos) for column in zip(*wins, strict=True)]
    auc = sum(v10) / len(pos)
    if min(len(pos), len(neg)) < 2:
        return float(auc), None
    spread = (sum((v - auc) ** 2 for v in vs) / (len(vs) - 1) / len(vs) for vs in (v10, v01))
    return float(auc), float(sum(spread))


def same(found, expected, *, rel):
    assert found[0] == pytest.approx(expected[0], rel=rel, abs=0)
    if expected[1] is None:
        assert found[1] is None
    else:
        assert found[1] == pytest.approx(expected[1], rel=rel, abs=1e-30)


@pytest.fixture
def small_blocks(monkeypatch):
    def cut(cases):
        for module in (ranksums, ranktable):
            monkeypatch.setattr(module, "KEY_BLOCK", cases)

    monkeypatch.setattr(ranksums, "FEW", 1)  # so that no number of ties is too many
    return cut


@pytest.mark.parametrize("block", [1, 3, 8])
def test_rank_sums_are_delong_by_definition(small_blocks, block):
    small_blocks(block)

    @given(rows)
    def check(some):
        reference, score = columns(some)
        found = auc_and_variance_of_keys(sorted_keys(reference, score))
        same(found, by_definition(reference, score), rel=1e-15)

    check()


@given(rows)
def test_rank_sums_and_rank_table_agree(some):
    reference, score = columns(some)
    found = auc_and_variance_of_keys(sorted_keys(reference, score))
    table = auc_and_variance(RankTable.from_scores(reference, score))
    same(table, by_definition(reference, score), rel=1e-15)
    assert found in (None, table)


@given(st.lists(st.tuples(st.integers(0, 10**13), st.integers(0, 10**9)), min_size=1))
def test_products_of_pairs_and_counts_are_exact(some):
    pairs, counts = np.array(some).T
    assert ranksums.exact_dot(pairs, counts) == sum(a * b for a, b in some)


@pytest.mark.parametrize("decimals", [17, 7, 5, 2])
def test_many_blocks_and_more_and_more_ties_agree_with_the_table(decimals):
    rng = np.random.default_rng(decimals)
    score = np.round(rng.random(200_000), decimals)
    reference = rng.random(200_000) < score
    found = auc_and_variance_of_keys(sorted_keys(reference, score))
    table = auc_and_variance(RankTable.from_scores(reference, score))
    assert (found is None) == (decimals == 5)
    if found is not None:
        assert found == table
    estimate = hm.auroc(reference, score)
    assert (estimate.value, estimate.se) == (table[0], table[1] ** 0.5)


@given(rows)
def test_keys_ascend_by_score_then_label_and_give_both_back(some):
    reference, score = columns(some)
    keys = sorted_keys(reference, score)
    order = np.lexsort((reference, score))
    assert ((keys & np.uint64(1)) == reference[order]).all()
    assert ((keys >> np.uint64(1)).view(np.float64) == score[order]).all()


@given(rows, st.sampled_from([-TINY, -1.0, -1e300]), st.data())
def test_a_negative_score_has_no_key(some, negative, data):
    reference, score = columns(some)
    score[data.draw(st.integers(0, score.size - 1))] = negative
    assert sorted_keys(reference, score) is None
    shifted = RankTable.from_scores(reference, np.searchsorted(np.unique(score), score) + 0.0)
    table = RankTable.from_scores(reference, score)
    assert auc_and_variance(table) == auc_and_variance(shifted)


@given(
    st.lists(st.lists(st.floats(-1e6, 1e6), min_size=7, max_size=7), min_size=1, max_size=5),
    st.floats(0, 1),
)
def test_quantiles_of_sorted_rows_are_those_of_numpy(rows, q):
    values = np.array(rows)
    (found,) = quantiles(values, (q,))
    np.testing.assert_allclose(found, np.quantile(values, q, axis=1), rtol=1e-13, atol=1e-9)
