"""Worked examples of four disclosure control packages, with their published numbers.

ACRO 0.4.12 (`notebooks/acro_demo_2026.ipynb`, `test/test_tables.py`), sdcTable (`data-raw/microdata1.R`,
`tests/testthat/test-primarySuppression.r` and `test-protectTable.r`), tau-ARGUS 4.1 user's manual
(sections 2.2, 2.15 and 4.3), and cell-key-perturbation 3.1.0 of the Office for National Statistics.
"""

import numpy as np
import pytest
from exact_policy import exact

from healthval.disclosure import Ledger, Policy, load_policy, release
from healthval.disclosure.attacks.bounds import Exposed, System, _bound_system
from healthval.disclosure.payload.keyed_noise import KeyedNoise
from healthval.disclosure.payload.suppression import rows_to_hide
from healthval.disclosure.presets import PRESETS
from healthval.metrics.table_one import is_dominated, table_one

# ACRO: recommendation of nursery schools by parents (great_pret, pretentious, usual).
NURSERY = {
    "not_recom": (1440, 1440, 1440),
    "priority": (858, 1484, 1924),
    "recommend": (0, 0, 2),
    "spec_prior": (2022, 1264, 758),
    "very_recom": (0, 132, 196),
}
# sdcTable: women and men of four regions, and the values of one cell.
REGIONS = {"A": (2, 18), "B": (19, 14), "C": (10, 12), "D": (14, 11)}
MEN_OF_D = (280, 11, 10, 9, 9, 9, 8, 8, 8, 7, 7)
# ACRO: grants of the year 2010 to charities of the type R/G, flagged by nk (2, 90 %) and p 10 %.
GRANTS_RG_2010 = (913_000, 913_000, 36_645_000, 8_073_000)


def test_acro_flags_four_cells_of_the_nursery_table():
    sacro = load_policy("sacro")
    flagged = {
        (row, i)
        for row, counts in NURSERY.items()
        for i, x in enumerate(counts)
        if not sacro.shows(x)
    }
    assert flagged == {("recommend", 0), ("recommend", 1), ("recommend", 2), ("very_recom", 0)}


def test_a_second_level_hides_acros_withheld_cell_from_its_margin():
    """ACRO withholds one cell of the row; with the row's total it would follow by subtraction."""
    very = dict(zip(("great_pret", "pretentious", "usual"), NURSERY["very_recom"], strict=True))
    rows = {parents: (events, 4320 - events) for parents, events in very.items()}
    totals = (328, 12_960 - 328)
    strict = exact("sacro", zero_is_sensitive=True)
    assert rows_to_hide(rows, totals, strict) == {"great_pret", "pretentious"}


@pytest.fixture(scope="module")
def nursery(make_site):
    """Result about the 12,960 families: outcome very_recom, and a score that knows neither."""
    site = make_site(10)
    site.outcome = np.concatenate([np.arange(4320) < k for k in NURSERY["very_recom"]])
    parents = np.repeat(["great_pret", "pretentious", "usual"], 4320)
    site.score = np.random.default_rng(3).random(site.outcome.size)
    site.groups = {"parents": parents}
    site.ids = [f"{i:032x}" for i in range(site.outcome.size)]
    rows = table_one(site.groups, site.outcome)
    return site.result(table_one=rows, scores=tuple(site.score.tolist()))


@pytest.mark.parametrize("preset", PRESETS)
def test_a_level_in_which_nobody_has_the_condition_is_not_shown_as_such(nursery, tmp_path, preset):
    sent = release(nursery, load_policy(preset), Ledger(tmp_path / "l.jsonl")).submission
    shown = [row.n_events for row in sent.subgroups if row.level == "great_pret"]
    shown += [row.events for row in sent.table_one if row.level == "great_pret"]
    assert 0 not in shown


def test_sdctable_hides_the_women_of_a_and_both_of_c():
    """Frequency rule maxN = 3; secondary suppression by OPT, HYPERCUBE and HITAS: regions A and C."""
    rule = Policy(name="sdctable", version=1, minimum_cell=4)
    assert [x for row in REGIONS.values() for x in row if not rule.shows(x)] == [2]
    assert rows_to_hide(REGIONS, (45, 55), rule) == {"A", "C"}


def test_sdctable_hides_a_singleton_with_a_second_cell():
    """One case in a, two in b, one in c: with maxN = 1 a further cell is hidden."""
    rows = {"a": (1,), "b": (2,), "c": (1,)}
    rule = Policy(name="sdctable", version=1, minimum_cell=2)
    assert rows_to_hide(rows, (4,), rule) > {"a", "c"}


def test_sdctable_and_acro_find_the_dominated_cells():
    """sdcTable: nk (2, 75 %), p 70 % and pq (60, 80) flag the men of region D for one value."""
    assert is_dominated(np.array(MEN_OF_D, float))
    assert is_dominated(np.array(GRANTS_RG_2010, float))
    assert not is_dominated(np.array(MEN_OF_D[1:], float))


@pytest.mark.parametrize("values", [MEN_OF_D, GRANTS_RG_2010])
def test_the_mean_that_one_value_dominates_does_not_leave(make_site, tmp_path, values):
    site = make_site(600)
    column = np.where(np.arange(600) % 2 == 0, 9.0, 10.0)
    column[: len(values)] = values
    rows = table_one({"grant": column, "age": np.arange(600.0)}, site.outcome)
    result = site.result(table_one=rows, scores=tuple(site.score.tolist()))
    sent = release(result, load_policy("sacro"), Ledger(tmp_path / "l.jsonl")).submission
    means = {row.variable: row.mean for row in sent.table_one}
    assert means.get("grant") is None
    assert means["age"] is not None


@pytest.mark.parametrize(
    ("values", "is_unsafe"),
    [
        ((60, 60, 7, 7), False),  # the two largest: 89.6 %
        ((60, 60, 6.5, 6.5), True),  # 90.2 %
        ((60, 60, 3, 2.9), True),  # and the others are below 10 % of the largest
    ],
)
def test_tau_argus_dominance_and_p_rule(values, is_unsafe):
    """Unsafe: the largest n exceed k %, or all but the two largest are below p % of the largest."""
    assert is_dominated(np.array(values)) is is_unsafe


def test_tau_argus_weights_make_a_cell_of_eleven():
    """100 with weight 4 and 10 with weight 7: total 470, and the two largest are 100 and 100."""
    values = np.repeat([100.0, 10.0], [4, 7])
    assert values.sum() == 470
    assert not is_dominated(values)
    assert is_dominated(np.array([100.0, 10.0]))


def test_the_auditor_finds_tau_argus_feasibility_interval():
    """Totals 7, 3 and 6, 4 of four withheld cells: the first one is between 3 and 6."""
    system = System()
    for cells, total in (("ab", 7), ("cd", 3), ("ac", 6), ("bd", 4)):
        system.add({(name,): 1.0 for name in cells}, total, total)
    for name in "abcd":
        system.add({(name,): 1.0}, 0)
    system.aim(("table", "n"), {"X11": {("a",): 1.0}})
    assert _bound_system(system, exact("cms")) == [Exposed("X11", 3, 6, ("table", "n"))]


CELLKEY = load_policy("cellkey")


def keyed(secret, members):
    return KeyedNoise(secret=secret, about=members, sd=CELLKEY.noise_scale)


def test_cell_keys_are_repeatable_and_hide_a_difference_of_one():
    """Same records, same noise; 14 becomes 15, and tables that differ by a record differ by noise."""
    secrets = [f"{i}".encode().rjust(32) for i in range(2000)]
    one = [keyed(s, "records 1 to 14").count(14) for s in secrets]
    assert one == [keyed(s, "records 1 to 14").count(14) for s in secrets]
    more = [keyed(s, "records 1 to 15").count(15) for s in secrets]
    assert 15 in one
    assert abs(np.mean(one) - 14) < 0.25
    differences = np.subtract(more, one)
    share = np.mean(differences == 1)
    assert 0.05 < share < 0.2  # of normal noise of sd 3.5 about 1: 11 %
    assert np.mean(differences <= 0) > 0.3


def test_the_ten_five_rule_of_the_cell_keys():
    """ONS's sample table withholds counts below 10 and rounds others to the nearest 5."""
    rounding = KeyedNoise(secret=b"s" * 32, about="records", sd=2.0, multiple=5)
    assert [rounding.rounded(x) for x in (10, 12, 13, 17, 18, 750)] == [10, 10, 15, 15, 20, 750]
    rule = Policy(name="ten-five", version=1, minimum_cell=10, multiple=5, noise_scale=2.0)
    assert [rule.shows_cell(x) for x in (5, 9, 10)] == [False, False, True]
