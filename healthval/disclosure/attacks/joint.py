"""All releases of a site about overlapping cases, cross-tabulated as joint atoms and judged as one (pure).

Names of models, versions and variables play no part: two releases are linked by their cases alone.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from healthval.disclosure.attacks.programme import Bools, Clock, Ints, Programme, determined
from healthval.disclosure.attacks.released_sets import ReleasedSet
from healthval.disclosure.policy import Policy
from healthval.errors import DisclosureRefused, counted

Matrix: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Assigned:
    """Cases of one release with the atom of each, and what the release states of sets of atoms.

    Attributes
    ----------
    cases : keyed digests, ascending
    outcome : shape (n_cases,)
    atom : shape (n_cases,), from 0
    sets : atoms of each set, with the events and the size that are stated of it
    exact : whether its counts are without noise
    """

    cases: tuple[str, ...]
    outcome: Bools
    atom: Ints
    sets: tuple[tuple[frozenset[int], tuple[float, float] | None, int | None], ...]
    exact: bool

    def facts(self) -> dict[str, Any]:
        """Atoms and sets for the ledger; cases and outcomes are stored apart."""
        sets = [[sorted(atoms), events, size] for atoms, events, size in self.sets]
        return {"atom": self.atom.tolist(), "sets": sets, "exact": self.exact}


def assigned(
    cases: Sequence[str], outcome: Bools, sets: Sequence[ReleasedSet], *, exact: bool
) -> Assigned:
    """Group the cases of a release into atoms; the cases are in the order of the sets' rows."""
    table = np.packbits(np.array([s.inside for s in sets]), axis=0).T
    _, atom = np.unique(table, axis=0, return_inverse=True)
    atom = atom.reshape(-1).astype(np.int64)
    return Assigned(
        cases=tuple(cases),
        outcome=outcome,
        atom=atom,
        sets=tuple((frozenset(np.unique(atom[s.inside]).tolist()), s.events, s.size) for s in sets),
        exact=exact,
    )


def recalled(cases: Sequence[str], outcome: Bools, facts: Mapping[str, Any]) -> Assigned:
    """Read an earlier release from the ledger."""
    return Assigned(
        cases=tuple(cases),
        outcome=outcome,
        atom=np.array(facts["atom"], dtype=np.int64),
        sets=tuple(
            (frozenset(atoms), None if events is None else (events[0], events[1]), size)
            for atoms, events, size in facts["sets"]
        ),
        exact=facts["exact"],
    )


def exposed_kind(now: Assigned, past: Sequence[Assigned], policy: Policy, *, clock: Clock) -> str:
    """Kind of count, ``events`` or ``n``, of which a small one follows from all releases together; or "".

    Raises
    ------
    DisclosureRefused
        If the releases contradict each other, or the programme is not solved in time.
    """
    together = (now, *past)
    _check_same_outcomes([a for a in together if a.exact])
    joint = _Joint.of(together)
    if _small_events(joint, policy, clock):
        return "events"
    return "n" if any(a.exact for a in together) and _small_sizes(joint, policy, clock) else ""


def _check_same_outcomes(releases: Sequence[Assigned]) -> None:
    """Exact counts about changed outcomes would give the change."""
    known: dict[str, bool] = {}
    changed = 0
    for a in releases:
        for case, event in zip(a.cases, a.outcome.tolist(), strict=True):
            changed += known.setdefault(case, event) != event
    if changed:
        raise DisclosureRefused(
            "n_events",
            f"the reference standard of {counted(changed, 'case')} differs from an earlier release",
            "wait until more cases are new, or release the earlier result again",
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Joint:
    """Joint atoms: cases that are in one atom of every release.

    Attributes
    ----------
    atoms : shape (n_atoms, n_releases), the atom in each release, -1 outside its cohort
    sizes, true : cases and events of each
    """

    releases: tuple[Assigned, ...]
    atoms: Matrix
    sizes: Ints
    true: Ints

    @classmethod
    def of(cls, releases: tuple[Assigned, ...]) -> "_Joint":
        """Join releases by case; a case whose outcome was corrected is another one."""
        row: dict[tuple[str, bool], int] = {}
        places = [
            [row.setdefault(key, len(row)) for key in zip(a.cases, a.outcome.tolist(), strict=True)]
            for a in releases
        ]
        table = np.full((len(row), len(releases)), -1, dtype=np.int64)
        for i, (a, place) in enumerate(zip(releases, places, strict=True)):
            table[place, i] = a.atom
        events = np.array([event for _, event in row], dtype=np.int64)
        atoms, of, sizes = np.unique(table, axis=0, return_inverse=True, return_counts=True)
        true = np.bincount(of.reshape(-1), weights=events, minlength=len(sizes)).astype(np.int64)
        return cls(releases=releases, atoms=atoms, sizes=sizes, true=true)

    def inside(self, release: int, chosen: frozenset[int]) -> Bools:
        """Joint atoms within a set of one release's atoms."""
        found: Bools = np.isin(self.atoms[:, release], sorted(chosen))
        return found


def _small_events(joint: _Joint, policy: Policy, clock: Clock) -> bool:
    """Whether a small number of events or non-events is determined: of an atom, or where two sets meet."""
    known = [
        (i, joint.inside(i, atoms), events)
        for i, a in enumerate(joint.releases)
        for atoms, events, _ in a.sets
        if events is not None
    ]
    if not known:
        return False
    sets = np.array([inside for _, inside, _ in known])
    lo, hi = np.array([events for *_, events in known], dtype=np.float64).T
    programme = Programme(sizes=joint.sizes, true=joint.true, sets=_sparse(sets), lo=lo, hi=hi)
    if programme.every_case_is_free():
        return False

    def is_small(goals: Bools) -> Bools:
        events, cases = goals @ joint.true, goals @ joint.sizes
        return ~(_shows(events, policy) & _shows(cases - events, policy)) & (cases > 0)

    goals = _goals(sets, [i == 0 for i, *_ in known], is_small)
    return bool(determined(programme, goals, clock=clock).any())


def _small_sizes(joint: _Joint, policy: Policy, clock: Clock) -> bool:
    """Whether a small number of members is determined, where two levels or cohorts meet.

    Which cases are in each cohort is known, which are in a level is not.
    """
    known = [
        (i, joint.inside(i, atoms), size)
        for i, a in enumerate(joint.releases)
        for atoms, _, size in a.sets
        if size is not None and a.exact
    ]
    if not known:
        return False
    levels = np.array([inside for _, inside, _ in known])
    cohorts = joint.atoms >= 0
    kinds, of = np.unique(np.hstack([cohorts, levels.T]), axis=0, return_inverse=True)
    true = np.bincount(of.reshape(-1), weights=joint.sizes).astype(np.int64)
    whole, cohort = np.unique(kinds[:, : cohorts.shape[1]], axis=0, return_inverse=True)
    parts = np.arange(len(whole))[:, None] == cohort.reshape(-1)
    sizes = parts @ true
    levels = kinds[:, cohorts.shape[1] :].T
    stated = np.concatenate([sizes, [size for *_, size in known]]).astype(np.float64)
    programme = Programme(
        sizes=sizes[cohort.reshape(-1)],
        true=true,
        sets=_sparse(np.vstack([parts, levels])),
        lo=stated,
        hi=stated,
    )

    def is_small(goals: Bools) -> Bools:
        members = goals @ true
        return (members > 0) & ~_shows(members, policy)

    goals = _goals(levels, [i == 0 for i, *_ in known], is_small)
    return bool(determined(programme, goals, clock=clock).any())


def _shows(counts: Ints, policy: Policy) -> Bools:
    zero = (counts == 0) & (not policy.zero_is_sensitive)
    return np.asarray((counts >= policy.minimum_cell) | zero)


def _sparse(table: Bools) -> Any:
    return csr_array(table.astype(np.int64))


def _goals(sets: Bools, own: Sequence[bool], is_small: Callable[[Bools], Bools]) -> Any:
    """Small ones of the atoms, and of the common parts and differences of a new set and any other."""
    atoms = np.eye(sets.shape[1], dtype=bool)
    found = [atoms[is_small(atoms)]]
    for one in sets[np.flatnonzero(own)]:
        crossed = np.vstack([one & sets, one & ~sets, ~one & sets])
        found.append(crossed[is_small(crossed)])
    return _sparse(np.unique(np.vstack(found), axis=0))
