"""AUROC and variance from sorted keys equal those from a rank table."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthval import metrics as hm
from healthval.metrics.intervals.resampling import quantiles
from healthval.metrics.ranking import sums as ranksums
from healthval.metrics.ranking import table as ranktable
from healthval.metrics.ranking.delong import auc_and_variance
from healthval.metrics.ranking.sums import auc_and_variance_of_keys
from healthval.metrics.ranking.table import RankTable, sorted_keys

TINY = 5e-324
HUGE = float(np.finfo(np.float64).max)
NARROW, WIDE = 2.0**-255, 2.0**255  # sizes between which scores of both signs share one scale


def signed(*sizes):
    return st.sampled_from([sign * size for size in sizes for sign in (1, -1)])


probability = st.one_of(
    st.sampled_from([0.0, -0.0, TINY, 2 * TINY, 0.25, 0.5, 1.0, np.nextafter(1, 2), 3.5, 1e300]),
    st.floats(0, 1),
    st.floats(0, 1, width=32),
)
log_odds = st.one_of(
    signed(
        0.0, np.nextafter(NARROW, 1), 2 * NARROW, 0.25, 0.5, 1.0, np.nextafter(1, 2), 3.5, WIDE / 2
    ),
    st.floats(-40, 40, width=32),
    st.integers(-3, 3).map(float),
)
anything = st.one_of(
    signed(0.0, TINY, 2 * TINY, 2.0**-1022, np.nextafter(NARROW, 0), NARROW, 1.0, WIDE, HUGE),
    st.floats(allow_nan=False, allow_infinity=False),
)
kinds = {"probability": probability, "log-odds": log_odds, "anything": anything}


def rows_of(score):
    rows = st.lists(st.tuples(st.booleans(), score), min_size=2, max_size=60)
    return rows.filter(lambda r: len({label for label, _ in r}) == 2)


rows = st.one_of([rows_of(score) for score in kinds.values()])


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
def blocks(monkeypatch):
    def cut(cases, few):
        for module in (ranksums, ranktable):
            monkeypatch.setattr(module, "KEY_BLOCK", cases)
        monkeypatch.setattr(ranksums, "FEW", few)

    return cut


@pytest.mark.parametrize("score", kinds.values(), ids=kinds)
@pytest.mark.parametrize("few", [1, 100], ids=["ends searched", "ends by runs"])
@pytest.mark.parametrize("block", [1, 3, 100])
def test_rank_sums_are_delong_by_definition(blocks, block, few, score):
    blocks(block, few)

    @given(rows_of(score))
    def check(some):
        reference, score = columns(some)
        found = auc_and_variance_of_keys(sorted_keys(reference, score).keys)
        same(found, by_definition(reference, score), rel=1e-15)

    check()


@given(rows)
def test_rank_sums_and_rank_table_agree(some):
    reference, score = columns(some)
    found = auc_and_variance_of_keys(sorted_keys(reference, score).keys)
    table = auc_and_variance(RankTable.from_scores(reference, score))
    same(table, by_definition(reference, score), rel=1e-15)
    assert found == table


@given(st.lists(st.tuples(st.integers(0, 10**13), st.integers(0, 10**9)), min_size=1))
def test_products_of_pairs_and_counts_are_exact(some):
    pairs, counts = np.array(some).T
    assert ranksums.exact_dot(pairs, counts) == sum(a * b for a, b in some)


@pytest.mark.parametrize("decimals", [17, 7, 5, 2, 1])
@pytest.mark.parametrize("shift", [0, -0.5])
def test_many_blocks_and_more_and_more_ties_agree_with_the_table(decimals, shift):
    rng = np.random.default_rng(decimals)
    risk = rng.random(200_000)
    reference, score = rng.random(200_000) < risk, np.round(risk + shift, decimals)
    table = auc_and_variance(RankTable.from_scores(reference, score))
    estimate = hm.auroc(reference, score)
    assert (estimate.value, estimate.se) == (table[0], table[1] ** 0.5)


def test_one_tie_across_many_blocks_is_half_of_the_credit():
    reference = np.arange(200_000) % 2 == 0
    estimate = hm.auroc(reference, np.full(200_000, -1.5), ci="delong")
    assert (estimate.value, estimate.se) == (0.5, None)


@given(rows)
def test_keys_ascend_by_score_then_label_and_give_both_back(some):
    reference, score = columns(some)
    ranked = sorted_keys(reference, score)
    order = np.lexsort((reference, score))
    assert (np.diff(ranked.keys.astype(object)) >= 0).all()
    assert ((ranked.keys & np.uint64(1)) == reference[order]).all()
    unpacked = ranked.unpack(ranked.keys)
    assert (unpacked == score[order]).all()
    assert not np.signbit(unpacked[unpacked == 0]).any()


@pytest.mark.parametrize(
    ("score", "fits"),
    [
        (np.nextafter(WIDE, 0), True),
        (WIDE, False),
        (np.nextafter(WIDE, np.inf), False),
        (np.nextafter(NARROW, 0), False),
        (NARROW, False),
        (np.nextafter(NARROW, np.inf), True),
        (0.0, True),
        (-0.0, True),
    ],
)
@pytest.mark.parametrize("sign", [1, -1])
def test_scores_of_both_signs_share_one_scale_or_take_a_second_sort(monkeypatch, score, fits, sign):
    asked, ranks = [], ranktable._of_ranks
    monkeypatch.setattr(ranktable, "_of_ranks", lambda *given: asked.append(1) or ranks(*given))
    scores = np.array([1.0, sign * score, -1.0, 0.0, 1.0])
    ranked = sorted_keys(np.array([True, False, True, False, False]), scores)
    assert bool(asked) != fits
    assert (ranked.unpack(ranked.keys) == np.sort(scores)).all()


@given(rows)
def test_the_rank_table_counts_each_score(some):
    reference, score = columns(some)
    table = RankTable.from_scores(reference, score)
    assert table.score.tolist() == sorted(set(score.tolist()))
    for label, found in ((True, table.pos), (False, table.neg)):
        counted = [np.count_nonzero(score[reference == label] == s) for s in table.score]
        assert found.tolist() == counted


@given(
    st.lists(st.lists(st.floats(-1e6, 1e6), min_size=7, max_size=7), min_size=1, max_size=5),
    st.floats(0, 1),
)
def test_quantiles_of_sorted_rows_are_those_of_numpy(rows, q):
    values = np.array(rows)
    (found,) = quantiles(values, (q,))
    np.testing.assert_allclose(found, np.quantile(values, q, axis=1), rtol=1e-13, atol=1e-9)
