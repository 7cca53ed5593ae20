"""The integer programme finds whatever an enumeration of all outcomes finds, over any chain of releases."""

import itertools
import time
from dataclasses import replace

import numpy as np
import pytest
from exact_policy import exact
from hypothesis import given, settings
from hypothesis import strategies as st

from healthval.disclosure.attacks.joint import assigned, exposed_kind
from healthval.disclosure.attacks.released_sets import ReleasedSet
from healthval.errors import DisclosureRefused

FLOOR = 3
POLICY = replace(exact("datashield"), minimum_cell=FLOOR)


@st.composite
def chains(draw, noise=0):
    """Outcomes of up to 8 patients, and 1 to 4 releases that count some sets of some of them."""
    n = draw(st.integers(2, 8))
    outcome = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    releases = []
    for _ in range(draw(st.integers(1, 4))):
        cohort = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)))
        if not cohort.any():
            cohort[:] = True
        who = np.flatnonzero(cohort)
        sets = [np.ones(who.size, dtype=bool)]
        for _ in range(draw(st.integers(0, 3))):
            sets.append(
                np.array(draw(st.lists(st.booleans(), min_size=who.size, max_size=who.size)))
            )
        found = []
        for inside in sets:
            true = int(outcome[who][inside].sum())
            low, high = (draw(st.integers(0, noise)) for _ in range(2))
            found.append(ReleasedSet(inside=inside, events=(true - low, true + high)))
        releases.append((who, found))
    return outcome, releases


def solutions(n, releases):
    """All outcomes of all patients that fit every released number."""
    every = np.array(list(itertools.product((False, True), repeat=n)))
    for who, sets in releases:
        for s in sets:
            count = every[:, who[s.inside]].sum(axis=1)
            every = every[(s.events[0] <= count) & (count <= s.events[1])]
    return every


def named(who):
    return [f"{i:032x}" for i in who]


def judged(outcome, releases, policy=POLICY, is_exact=True):
    """Whether the last release is held back, with the ones before it as its past."""
    made = [assigned(named(who), outcome[who], sets, exact=is_exact) for who, sets in releases]
    return exposed_kind(made[-1], made[:-1], policy, clock=time.monotonic)


def certain_patients(outcome, releases):
    """Patients of the last cohort, and those linked to it, whose outcome is the same in all solutions."""
    every = solutions(outcome.size, releases)
    counted = np.unique(np.concatenate([who for who, _ in releases]))
    return [i for i in counted if len(set(every[:, i])) == 1]


@settings(max_examples=120, deadline=None)
@given(chains())
def test_no_release_leaves_the_outcome_of_few_patients_certain(found):
    outcome, releases = found
    last = set(releases[-1][0].tolist())
    sure = [i for i in certain_patients(outcome, releases) if i in last]
    atoms = {}
    for i in range(outcome.size):
        key = tuple(
            tuple(bool(s.inside[np.flatnonzero(who == i)[0]]) for s in sets) if i in who else None
            for who, sets in releases
        )
        atoms.setdefault(key, []).append(i)
    few = [i for cases in atoms.values() if len(cases) < FLOOR for i in cases]
    if set(sure) & set(few):
        assert judged(outcome, releases)


@settings(max_examples=120, deadline=None)
@given(chains())
def test_a_small_count_of_an_atom_or_of_two_crossed_sets_is_held_back_if_certain(found):
    outcome, releases = found
    every = solutions(outcome.size, releases)
    n = outcome.size
    masks = []
    for r, (who, sets) in enumerate(releases):
        for s in sets:
            whole = np.zeros(n, dtype=bool)
            whole[who[s.inside]] = True
            masks.append((r, whole))
    own = [m for r, m in masks if r == len(releases) - 1]
    goals = [g for a in own for _, b in masks for g in (a & b, a & ~b, b & ~a)]
    small = False
    for goal in goals:
        counts = set(every[:, goal].sum(axis=1).tolist())
        events = int(outcome[goal].sum())
        others = int(goal.sum()) - events
        shows = all(x == 0 or x >= FLOOR for x in (events, others))
        small |= len(counts) == 1 and not shows
    if small:
        assert judged(outcome, releases)


@settings(max_examples=100, deadline=None)
@given(chains(noise=2))
def test_nothing_is_held_back_where_no_outcome_is_certain(found):
    """Intervals instead of numbers: a release is held back only where some number is certain."""
    outcome, releases = found
    every = solutions(outcome.size, releases)
    if judged(outcome, releases, is_exact=False):
        columns = np.unique(np.concatenate([who for who, _ in releases]))
        sums = [
            every[:, list(c)].sum(axis=1)
            for k in (1, 2, 3, 4, 5, 6, 7, 8)
            for c in itertools.combinations(columns, k)
        ]
        assert any(len(set(s.tolist())) == 1 for s in sums)


def test_numbers_that_contradict_the_cases_are_refused():
    outcome = np.array([True, False, True, False])
    wrong = [(np.arange(4), [ReleasedSet(inside=np.ones(4, dtype=bool), events=(3, 3))])]
    with pytest.raises(DisclosureRefused, match="contradict"):
        judged(outcome, wrong)


def test_a_programme_without_time_is_refused():
    outcome = np.arange(12) % 2 == 0
    sets = [ReleasedSet(inside=np.ones(12, dtype=bool), events=(6, 6))]
    sets.append(ReleasedSet(inside=np.arange(12) < 5, events=(3, 3)))
    case = assigned(named(range(12)), outcome, sets, exact=True)
    ticks = itertools.count(step=1000)
    with pytest.raises(DisclosureRefused, match="in time"):
        exposed_kind(case, [], POLICY, clock=lambda: next(ticks))


def test_a_corrected_outcome_after_exact_counts_is_refused():
    outcome = np.arange(20) % 2 == 0
    other = outcome.copy()
    other[3] = True
    sets = [ReleasedSet(inside=np.ones(20, dtype=bool), events=(10, 10))]
    more = [ReleasedSet(inside=np.ones(20, dtype=bool), events=(11, 11))]
    first = assigned(named(range(20)), outcome, sets, exact=True)
    second = assigned(named(range(20)), other, more, exact=True)
    with pytest.raises(DisclosureRefused, match="1 case differs"):
        exposed_kind(second, [first], POLICY, clock=time.monotonic)


def test_the_size_of_a_level_among_few_patients_is_held_back():
    """Two bandings of one cohort that differ by two patients, whatever their variables are called."""
    n, policy = 40, replace(POLICY, minimum_cell=3)
    outcome = np.arange(n) % 2 == 0
    whole = ReleasedSet(inside=np.ones(n, dtype=bool), events=(20, 20))
    one = ReleasedSet(inside=np.arange(n) < 20, size=20)
    two = ReleasedSet(inside=np.arange(n) < 22, size=22)
    same = assigned(named(range(n)), outcome, [whole, one], exact=True)
    assert not exposed_kind(same, [], policy, clock=time.monotonic)
    later = assigned(named(range(n)), outcome, [whole, two], exact=True)
    assert exposed_kind(later, [same], policy, clock=time.monotonic) in ("n", "")
