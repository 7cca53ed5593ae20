"""Which counts may be shown: primary and complementary suppression, and merging (pure).

Two shapes cover every count of a submission. *Cuts*: a threshold or a bin edge splits the
cases of each class in two, so all of them are points (fp, tp) of one ROC curve; between two
shown points lie no cases or at least `minimum_cell`. *Tables*: rows that add up to a known total.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from healthval.disclosure.policy import Policy

Row = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Cut:
    """Cases scored at or above `at`; `key` says where the cut stands in the result."""

    key: int
    at: float
    tp: int
    fp: int
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Earlier:
    """Cuts that an earlier release showed of fewer or more cases than this one's."""

    n_events: int
    n_non_events: int
    tp: Mapping[float, int]
    fp: Mapping[float, int]


@dataclass(slots=True)
class Shown:
    """True and false positives that are known by now; every count that is added fits the others."""

    policy: Policy
    n_events: int
    n_non_events: int
    tp: dict[float, int]
    fp: dict[float, int]
    earlier: tuple[Earlier, ...] = ()
    here: set[float] = field(default_factory=lambda: {0.0, math.inf})

    @classmethod
    def of_classes(cls, policy: Policy, n_events: int, n_non_events: int) -> "Shown":
        """Start with what the sizes of the classes say: all lie at or above 0, none above 1."""
        tp, fp = {0.0: n_events, math.inf: 0}, {0.0: n_non_events, math.inf: 0}
        return cls(policy, n_events, n_non_events, tp, fp)

    def fits_events(self, cut: Cut) -> bool:
        """Whether showing this number of true positives leaves no small gap."""
        before = [(e.n_events, e.tp) for e in self.earlier]
        return self._fits((cut.at, cut.tp), self.tp, self.n_events, before)

    def fits_non_events(self, cut: Cut) -> bool:
        """Whether showing this number of false positives leaves no small gap."""
        before = [(e.n_non_events, e.fp) for e in self.earlier]
        return self._fits((cut.at, cut.fp), self.fp, self.n_non_events, before)

    def _fits(
        self,
        cut: tuple[float, int],
        known: Mapping[float, int],
        size: int,
        earlier: Sequence[tuple[int, Mapping[float, int]]],
    ) -> bool:
        at, count = cut
        gaps = [count - k for other, k in known.items() if other != at]
        for size_then, then in earlier:
            if at in then:
                gaps += [count - then[at], size - count - (size_then - then[at])]
        return all(self.policy.shows(abs(gap)) for gap in gaps)

    def admit(self, cuts: Sequence[Cut]) -> list[int]:
        """Show the heaviest set of these cuts that fits what is shown already; give their keys."""
        fitting = [cut for cut in cuts if self.fits_events(cut) and self.fits_non_events(cut)]
        chosen = longest_chain(fitting, self.policy)
        for cut in chosen:
            self.show(cut, True, True)
        return sorted(cut.key for cut in chosen)

    def show(self, cut: Cut, events: bool, non_events: bool) -> None:
        """Show one class of a cut, or both."""
        if events:
            self.tp[cut.at] = cut.tp
        if non_events:
            self.fp[cut.at] = cut.fp
        if events and non_events:
            self.here.add(cut.at)

    @property
    def whole(self) -> list[tuple[float, int, int]]:
        """Cuts that this release shows in both classes, in growing order: (at, tp, fp)."""
        return [(at, self.tp[at], self.fp[at]) for at in sorted(self.here)]


def longest_chain(cuts: Sequence[Cut], policy: Policy) -> list[Cut]:
    """Choose the heaviest set of cuts with no small gap between any two (longest path).

    Examples
    --------
    >>> from healthval.disclosure.policy import load_policy
    >>> cuts = [Cut(0, 0.1, 60, 60), Cut(1, 0.2, 45, 30), Cut(2, 0.3, 40, 20), Cut(3, 0.4, 20, 5)]
    >>> [cut.key for cut in longest_chain(cuts, load_policy("cms"))]
    [0, 1, 3]
    """
    ordered = sorted(cuts, key=lambda cut: cut.at)
    best: list[tuple[float, int | None]] = []
    for i, cut in enumerate(ordered):
        paths = [(best[j][0], j) for j in range(i) if _may_follow(ordered[j], cut, policy)]
        weight, before = max(paths, default=(0.0, None), key=lambda path: path[0])
        best.append((weight + cut.weight, before))
    return _walk_back(ordered, best)


def _may_follow(a: Cut, b: Cut, policy: Policy) -> bool:
    gaps = (a.tp - b.tp, a.fp - b.fp)
    return all(policy.shows(gap) for gap in gaps)


def _walk_back(ordered: list[Cut], best: list[tuple[float, int | None]]) -> list[Cut]:
    at = max(range(len(best)), key=lambda i: best[i][0], default=None)
    chosen: list[Cut] = []
    while at is not None:
        chosen.append(ordered[at])
        at = best[at][1]
    return chosen[::-1]


def rows_to_hide(
    rows: Mapping[str, Row],
    totals: Row | None,
    policy: Policy,
    hidden: frozenset[str] = frozenset(),
    *,
    more: int = 0,
) -> frozenset[str]:
    """Find the rows of a table that must not be shown.

    Rows below the floor are hidden first. The hidden rows, together with the cases in no row, can
    be had by subtraction when the totals are known, so further rows are hidden, smallest first,
    until each hidden sum is 0 or above the floor and no hidden row is alone.

    Parameters
    ----------
    rows : counts of each row; the columns split the row's cases
    totals : the same counts over all cases, None where they are not known
    hidden : rows hidden already for another reason
    more : rows to hide beyond that, because the auditor could still bound one

    Examples
    --------
    >>> from healthval.disclosure.policy import load_policy
    >>> rows = {"a": (3, 40), "b": (20, 50), "c": (37, 60)}
    >>> sorted(rows_to_hide(rows, (60, 150), load_policy("cms")))
    ['a', 'b']
    """
    out = {name for name, row in rows.items() if not all(policy.shows(x) for x in row)} | hidden
    by_size = sorted(rows, key=lambda name: (min(rows[name]), sum(rows[name]), name))
    for name in by_size:
        if totals is None or _is_covered(rows, totals, out, policy):
            break
        out.add(name)
    still_shown = [name for name in by_size if name not in out]
    return frozenset(out | set(still_shown[:more]))


def _is_covered(rows: Mapping[str, Row], totals: Row, out: set[str], policy: Policy) -> bool:
    shown = [rows[name] for name in rows if name not in out]
    rest = [total - sum(row[i] for row in shown) for i, total in enumerate(totals)]
    if not all(policy.shows(abs(count)) for count in rest):
        return False
    small = [
        sum(rows[name])
        for name in out & rows.keys()
        if not all(policy.shows(x) for x in rows[name])
    ]
    return all(sum(rest) - size >= policy.minimum_cell for size in small)
