"""Kappa against published values, and a Table 1 whose counts add up."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from healthval.errors import MetricError
from healthval.metrics import reader_agreement, table_one

YES_NO = [("y", "y")] * 20 + [("y", "n")] * 5 + [("n", "y")] * 10 + [("n", "n")] * 15
# 10 subjects, 14 raters, 5 categories; kappa 0.210 (worked example, en.wikipedia "Fleiss' kappa").
COUNTS = [
    (0, 0, 0, 0, 14), (0, 2, 6, 4, 2), (0, 0, 3, 5, 6), (0, 3, 9, 2, 0), (2, 2, 8, 1, 1),
    (7, 7, 0, 0, 0), (3, 2, 6, 3, 0), (2, 5, 3, 2, 2), (6, 5, 2, 1, 0), (0, 2, 2, 3, 7),
]  # fmt: skip


def test_two_readers_give_cohens_kappa_with_its_delta_interval():
    found = reader_agreement(YES_NO)
    assert found.value == pytest.approx(0.4)
    # Fleiss, Cohen and Everitt 1969, written out for this table.
    p, q, o, e = (0.5, 0.5), (0.6, 0.4), 0.7, 0.5
    cells = {(0, 0): 0.4, (0, 1): 0.1, (1, 0): 0.2, (1, 1): 0.3}
    a = sum(cells[i, i] * ((1 - e) - (q[i] + p[i]) * (1 - o)) ** 2 for i in (0, 1))
    b = (1 - o) ** 2 * sum(cells[i, j] * (q[i] + p[j]) ** 2 for i, j in ((0, 1), (1, 0)))
    c = (o * e - 2 * e + o) ** 2
    assert found.se == pytest.approx(np.sqrt((a + b - c) / (50 * (1 - e) ** 4)))
    assert found.n == 50


def test_more_readers_give_fleiss_kappa():
    ratings = [[c for c, k in enumerate(row) for _ in range(k)] for row in COUNTS]
    found = reader_agreement(np.array(ratings))
    assert found.value == pytest.approx(0.210, abs=5e-4)
    assert found.lo < found.value < found.hi


def test_the_interval_matches_the_jackknife():
    rng = np.random.default_rng(5)
    truth = rng.random(400) < 0.3
    readers = np.array([np.where(rng.random(400) < 0.85, truth, ~truth) for _ in range(3)]).T
    readers[:, 2] |= rng.random(400) < 0.4  # one reader calls far more, so that chance matters
    found = reader_agreement(readers)
    left_out = [reader_agreement(np.delete(readers, i, axis=0)).value for i in range(400)]
    jackknife = np.sqrt(399 * np.var(left_out))
    assert found.se == pytest.approx(jackknife, rel=0.01)


def test_a_case_without_one_reader_is_left_out():
    assert reader_agreement([*YES_NO, ("y", None), (None, "n")]) == reader_agreement(YES_NO)


def test_kappa_needs_readers_cases_and_variety():
    for bad in (["y", "n"], [["y"], ["n"]], [["y", None], ["y", "n"]]):
        with pytest.raises(MetricError):
            reader_agreement(bad)
    assert reader_agreement([("y", "y")] * 9).value is None


@given(st.permutations(YES_NO))
@settings(max_examples=20)
def test_kappa_does_not_depend_on_the_order(shuffled):
    assert reader_agreement(shuffled).value == pytest.approx(0.4)
    assert reader_agreement([(b, a) for a, b in shuffled]).value == pytest.approx(0.4)


def test_levels_and_numbers_are_described_by_reference_standard():
    rows = table_one(
        {
            "sex": np.array(["F", "M", None, "F"], dtype=object),
            "age": np.array([40.0, 60.0, np.nan, 50.0]),
        },
        [True, False, False, False],
    )
    shown = {(r.variable, r.level): (r.overall, r.events, r.non_events) for r in rows}
    assert shown == {
        ("sex", "F"): (2, 1, 1),
        ("sex", "M"): (1, 0, 1),
        ("sex", "missing"): (1, 0, 1),
        ("age", "mean"): (3, 1, 2),
        ("age", "missing"): (1, 0, 1),
    }
    age = next(r for r in rows if r.level == "mean")
    assert (age.mean, age.sd) == (50.0, 10.0)


def test_a_column_has_one_value_a_case():
    with pytest.raises(MetricError, match="'sex'"):
        table_one({"sex": np.array(["F"])}, [True, False])


@given(
    st.lists(st.tuples(st.sampled_from(["a", "b", None]), st.booleans()), min_size=1, max_size=40)
)
def test_the_levels_of_a_column_count_every_case_once(cases):
    levels = np.array([level for level, _ in cases], dtype=object)
    rows = table_one({"x": levels}, [event for _, event in cases])
    assert sum(r.overall for r in rows) == len(cases)
    assert sum(r.events for r in rows) == sum(event for _, event in cases)
