"""Integer programme over atoms: which numbers of events follow from everything released (pure).

Cases that are alike in every released set form an atom. Its events are an unknown whole number from 0
to its size, and each released number bounds the events of a set of atoms. A number of events is
*determined* if it is the same in every solution. The site knows one solution, the truth; a second
one with another number of events proves that the number is not determined.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from healthval.errors import DisclosureRefused

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Bools: TypeAlias = NDArray[np.bool_]
Clock: TypeAlias = Callable[[], float]

MIXED = 6  # programmes that look for other solutions of many goals at once
GOLDEN = 2.399963  # weights without a pattern, for these
SECONDS = 20.0  # for all programmes of a release together


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Programme:
    """Sizes and true events of the atoms, and bounds of the events in each released set.

    Attributes
    ----------
    sizes, true : shape (n_atoms,)
    sets : sparse 0/1 matrix, shape (n_sets, n_atoms)
    lo, hi : shape (n_sets,)
    """

    sizes: Ints
    true: Ints
    sets: Any
    lo: Floats
    hi: Floats

    def holds(self, events: Ints) -> bool:
        """Whether these events are a solution; in whole numbers, so that it is certain."""
        inside = self.sets @ events
        known = bool(np.all(self.lo <= inside) and np.all(inside <= self.hi))
        return known and bool(np.all(events >= 0) and np.all(events <= self.sizes))

    def free(self) -> Bools:
        """Atoms of which one case may have the other outcome: every set that it is in has room for it."""
        inside = self.sets @ self.true
        up = self.sets.T @ (inside + 1 > self.hi).astype(np.int64)
        down = self.sets.T @ (inside - 1 < self.lo).astype(np.int64)
        more, less = self.true < self.sizes, self.true > 0
        return np.asarray((more & (up == 0)) | (less & (down == 0)))

    def every_case_is_free(self) -> bool:
        """Whether no atom is determined, and so no set of atoms, without a further search."""
        return self.holds(self.true) and bool(self.free().all())


def determined(
    programme: Programme, goals: Any, *, clock: Clock, seconds: float = SECONDS
) -> Bools:
    """Which goals, sets of atoms, have the same number of events in every solution.

    Parameters
    ----------
    goals : sparse 0/1 matrix, shape (n_goals, n_atoms)
    clock : seconds, rising

    Raises
    ------
    DisclosureRefused
        If the numbers contradict the site's own cases, or the time is over: neither is "safe".
    """
    if not programme.holds(programme.true):
        raise DisclosureRefused(
            "payload",
            "the released numbers, with those of earlier releases, contradict the cases",
            "release the earlier result again, or start from the table as it is now",
        )
    search = _Search(programme, csr_array(goals, dtype=np.float64), clock, clock() + seconds)
    search.unseen &= search.goals @ programme.free().astype(np.float64) == 0
    for i in range(MIXED):
        search.mixed(i)
    for i in np.flatnonzero(search.unseen).tolist():
        search.goal(i)
    return search.unseen


class _Search:
    """Search for second solutions; `unseen` goals have none so far."""

    def __init__(self, programme: Programme, goals: Any, clock: Clock, end: float) -> None:
        self.programme, self.goals, self.clock, self.end = programme, goals, clock, end
        self.unseen: Bools = np.ones(goals.shape[0], dtype=bool)
        self.expected: Floats = goals @ programme.true.astype(np.float64)

    def mixed(self, i: int) -> None:
        """Move all open goals at once, up or down."""
        which = np.flatnonzero(self.unseen)
        if which.size:
            weights = np.cos(GOLDEN * (i + 1) * (np.arange(which.size) + 1))
            self.solve(self.goals[which].T @ weights, whole=True)

    def goal(self, i: int) -> None:
        """Close a goal that has another value; linear programmes first, then whole numbers."""
        goal = self.goals[[i]].toarray().ravel()
        for sign in (1.0, -1.0):
            if not self.unseen[i]:
                return
            best = self.solve(sign * goal, whole=False)
            if self.unseen[i] and best < sign * self.expected[i] - 1 + 1e-6:
                self.solve(sign * goal, whole=True)

    def solve(self, cost: Floats, *, whole: bool) -> float:
        """Minimise the cost; every goal with another value in the solution is closed."""
        from scipy.optimize import Bounds, LinearConstraint, milp

        p, left = self.programme, self.end - self.clock()
        if left <= 0:
            raise _too_slow()
        found = milp(
            cost,
            constraints=LinearConstraint(p.sets, p.lo, p.hi),
            bounds=Bounds(0, p.sizes),
            integrality=np.full(p.sizes.size, int(whole)),
            options={"time_limit": left, "mip_rel_gap": 0.0},
        )
        if found.x is None or found.status != 0:
            raise _too_slow()
        solution = np.rint(found.x).astype(np.int64)
        if p.holds(solution):
            self.unseen &= self.goals @ solution.astype(np.float64) == self.expected
        return float(found.fun)


def _too_slow() -> DisclosureRefused:
    return DisclosureRefused(
        "payload",
        "the integer programme over everything released was not solved in time",
        "release fewer subgroup variables or thresholds",
    )
