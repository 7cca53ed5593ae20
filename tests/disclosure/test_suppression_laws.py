"""Laws of suppression: every table and every set of cuts."""

import ast
from pathlib import Path

import pytest
from exact_policy import exact
from hypothesis import given
from hypothesis import strategies as st

import healthval.disclosure
from healthval.disclosure import Policy, check_not_laxer
from healthval.disclosure.payload.suppression import Cut, Shown, longest_chain, rows_to_hide
from healthval.disclosure.presets import read_policy
from healthval.errors import UsageError

CMS = exact("cms")
STRICT = CMS.stricter(zero_is_sensitive=True)


@st.composite
def roc_cuts(draw):
    steps = draw(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=25))
    tp, fp = sum(a for a, _ in steps), sum(b for _, b in steps)
    cuts, classes = [], (tp, fp)
    for i, (a, b) in enumerate(steps):
        tp, fp = tp - a, fp - b
        cuts.append(Cut(key=i, at=(i + 1) / 30, tp=tp, fp=fp))
    return cuts, classes


def admitted(shown, cuts):
    """Show the heaviest set of cuts that fits; return their keys."""
    chosen = shown.chain(cuts)
    for cut in chosen:
        shown.show(cut, events=True, non_events=True)
    return [cut.key for cut in chosen]


@given(roc_cuts(), st.sampled_from([CMS, STRICT]))
def test_between_any_two_shown_cuts_lie_no_cases_or_enough(found, policy):
    cuts, classes = found
    shown = Shown.of_classes(policy, n_events=classes[0], n_non_events=classes[1])
    kept = admitted(shown, cuts)
    ends = [(0.0, *classes), *((cuts[i].at, cuts[i].tp, cuts[i].fp) for i in kept), (2.0, 0, 0)]
    for i, (_, tp, fp) in enumerate(ends):
        for _, tp_above, fp_above in ends[i + 1 :]:
            if len(kept):
                assert policy.shows(tp - tp_above)
                assert policy.shows(fp - fp_above)


@given(roc_cuts())
def test_no_further_cut_could_be_shown(found):
    cuts, classes = found
    shown = Shown.of_classes(CMS, n_events=classes[0], n_non_events=classes[1])
    kept = admitted(shown, cuts)
    for cut in cuts:
        if cut.key not in kept:
            assert not shown.fits(cut)


def test_heavier_cuts_win():
    cuts = [
        Cut(key=0, at=0.1, tp=40, fp=40),
        Cut(key=1, at=0.2, tp=35, fp=35, weight=1000),
        Cut(key=2, at=0.3, tp=30, fp=30),
    ]
    assert [c.key for c in longest_chain(cuts, CMS)] == [1]


@st.composite
def tables(draw):
    rows = draw(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), min_size=1, max_size=8))
    rest = draw(st.sampled_from([(0, 0), (0, 0), (3, 2), (20, 30)]))
    named = {f"level{i}": row for i, row in enumerate(rows)}
    totals = tuple(sum(row[i] for row in rows) + rest[i] for i in (0, 1))
    return named, totals


@given(tables(), st.sampled_from([CMS, STRICT]))
def test_hidden_rows_cannot_be_had_by_subtraction(found, policy):
    rows, totals = found
    hidden = rows_to_hide(rows, totals, policy)
    shown = [row for name, row in rows.items() if name not in hidden]
    assert all(policy.shows(x) for row in shown for x in row)
    if shown:
        for i in (0, 1):
            assert policy.shows(totals[i] - sum(row[i] for row in shown))


@given(st.lists(st.tuples(st.integers(11, 60), st.integers(11, 60)), min_size=1, max_size=8))
def test_large_rows_are_all_shown(rows):
    named = {f"level{i}": row for i, row in enumerate(rows)}
    totals = tuple(sum(row[i] for row in rows) for i in (0, 1))
    assert rows_to_hide(named, totals, CMS) == frozenset()


@pytest.mark.parametrize(
    ("name", "floor"), [("cms", 11), ("sacro", 10), ("nhs", 8), ("datashield", 3)]
)
def test_the_presets_have_their_published_floors(name, floor):
    policy = exact(name)
    assert policy.minimum_cell == floor
    assert [policy.shows(n) for n in (0, floor - 1, floor)] == [True, False, True]
    assert policy.minimum_class == 11


@pytest.mark.parametrize(
    ("size", "decimals"),
    [(4, 1), (5, 2), (45, 2), (49, 2), (50, 3), (499, 3), (500, 4), (10**7, 4)],
)
def test_the_unit_grows_as_the_class_shrinks(size, decimals):
    assert CMS.decimals(size) == decimals
    assert size * 10.0**-decimals >= 0.05


@pytest.mark.parametrize(
    "change",
    [
        {"minimum_cell": 10},
        {"minimum_class": 10},
        {"histogram_epsilon": 1.0},
    ],
)
def test_laxer_is_refused_by_name(change):
    with pytest.raises(UsageError, match=next(iter(change))):
        CMS.stricter(**change)


def test_stricter_is_allowed():
    check_not_laxer(CMS.stricter(minimum_cell=12, zero_is_sensitive=True, max_points=10), CMS)


@pytest.mark.parametrize(
    "rules",
    [
        {"name": "x", "version": 1},
        {"name": "x", "version": 1, "minimum_cell": 11, "surprise": 1},
        {"name": "x", "version": 1, "minimum_cell": "11"},
        {"name": "x", "version": 1, "minimum_cell": 0},
        {"name": "x", "version": 1, "minimum_cell": 11, "max_decimals": 9},
        {"name": "x", "version": 1, "minimum_cell": 11, "rounding": 0.0},
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(rules):
    with pytest.raises(UsageError, match="policy"):
        read_policy(rules)


def test_an_unknown_preset_is_refused_with_the_names_of_the_known():
    with pytest.raises(UsageError, match="cms, sacro, nhs, datashield"):
        exact("lenient")


def test_only_the_ledger_touches_disk_clock_or_environment():
    """The checks are pure: their modules import nothing that reaches outside."""
    forbidden = {
        "os",
        "pathlib",
        "time",
        "datetime",
        "logging",
        "socket",
        "subprocess",
        "fcntl",
        "io",
        "tempfile",
        "httpx",
    }
    folder = Path(healthval.disclosure.__file__).parent
    for module in folder.rglob("*.py"):
        if module.stem.startswith("ledger"):
            continue
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {n.split(".")[0] for n in names} & forbidden, module.name


def test_a_policy_is_frozen():
    with pytest.raises(AttributeError):
        CMS.minimum_cell = 1
    assert isinstance(CMS, Policy)
