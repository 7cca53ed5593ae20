"""Suppression: which counts of a release may be shown, and which are withheld or merged (pure).

Two shapes cover every count of a submission. *Cuts*: a threshold or a bin edge splits the
cases of each class in two, so all of them are points (fp, tp) of one ROC curve; the number of
cases between two shown points is 0 or at least `minimum_cell`. *Tables*: rows that add up to a
known total.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from healthval.contracts.submission import SUPPRESSED, Cell, ReleasedEstimate, Submission
from healthval.disclosure.payload.keyed_noise import count_variance
from healthval.disclosure.policy import LARGEST, Policy, is_method, rounded
from healthval.metrics.estimate import Estimate
from healthval.metrics.result import TableOne

Row: TypeAlias = tuple[int, ...]
WITHHELD = ReleasedEstimate(withheld="suppressed")


@dataclass(frozen=True, slots=True)
class Withheld:
    """A field that is left out of a release, and the reason; shown at the site, never sent."""

    field: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Facts outside the result and the policy that a release depends on.

    Attributes
    ----------
    healthval_version : version of the client
    same, nested : earlier releases about the same cases, and about fewer or more of them
    excluded : counts of steps and of excluded cases in earlier releases of any model about fewer or
        more of these cases, by field
    more : number of rows to hide beyond the rules, by subgroup variable and kind of count
    without : ``bins``, and ``thresholds``, that the gate withholds because counts follow from them
    few_levels : whether the score has so few values that statistics reveal its whole table
    """

    healthval_version: str
    same: tuple[Submission, ...] = ()
    nested: tuple[Submission, ...] = ()
    more: Mapping[tuple[str, str], int] = field(default_factory=dict)
    excluded: Mapping[str, frozenset[int]] = field(default_factory=dict)
    without: frozenset[str] = frozenset()
    few_levels: bool = False


@dataclass(slots=True, kw_only=True)
class Draft:
    """An unfinished release: suppresses cells, rounds estimates, collects the withheld fields."""

    policy: Policy
    n: int
    n_events: int
    context: Context
    notes: list[Withheld] = field(default_factory=list)

    @property
    def n_non_events(self) -> int:
        """Number of cases without the target condition."""
        return self.n - self.n_events

    @property
    def smaller_class(self) -> int:
        """Number of cases in the smaller class."""
        return min(self.n_events, self.n_non_events)

    def shows(self, count: float) -> bool:
        """Whether a count of cases may be shown."""
        return self.policy.shows(count)

    @property
    def variance(self) -> float:
        """Variance of a perturbed count; 0 without noise."""
        scale = self.policy.noise_scale
        return 0.0 if scale is None else count_variance(scale, self.policy.multiple)

    @property
    def classes_shown(self) -> bool:
        """Whether the numbers of events and of non-events may be shown.

        A single class would state the outcome of every case.
        """
        sizes = (self.n_events, self.n_non_events)
        return all(self.shows(size) for size in sizes) and is_mixed(sizes)

    @property
    def discriminates(self) -> bool:
        """Whether both classes are large enough for a discrimination measure."""
        return self.classes_shown and self.smaller_class >= self.policy.minimum_class

    def note(self, name: str, reason: str) -> None:
        """Record, for the site, that a field is withheld."""
        self.notes.append(Withheld(name, reason))

    def note_row(self, row: TableOne, of_level: str) -> None:
        """Record a row of Table 1; a mean has other reasons than a level."""
        if row.mean is None:
            return self.note(f"table_one[{row.variable}.{row.level}]", of_level)
        reason = (
            "too few cases, no spread, or one or two values are most of the total or the spread"
        )
        return self.note(f"table_one.mean[{row.variable}]", reason)

    def cell(self, name: str, count: int) -> Cell:
        """Return the count, or ``suppressed`` where it, or its change, may not be shown."""
        before = self.context.excluded.get(name, ())
        if self.shows(count) and all(self.shows(abs(count - then)) for then in before):
            return count
        apart = ", or fewer more or less than in an earlier release" if before else ""
        self.note(name, f"fewer than {self.policy.minimum_cell} cases{apart}")
        return SUPPRESSED

    def estimate(
        self, estimate: Estimate, size: float, *, counts: Iterable[int], most: int = 4
    ) -> ReleasedEstimate:
        """Round an estimate over `size` cases, to `most` decimals; its counts only if in `counts`."""
        public = set(counts)
        method = estimate.method if is_method(estimate.method) else "other"
        n: Cell = estimate.n if estimate.n in public else SUPPRESSED
        n_events: Cell = estimate.n_events if estimate.n_events in public else SUPPRESSED
        shared: dict[str, Any] = {
            "level": estimate.level,
            "method": method,
            "n": n,
            "n_events": n_events,
        }
        if estimate.value is None or not math.isfinite(estimate.value) or _is_too_large(estimate):
            return ReleasedEstimate(**shared, withheld="not_estimable")
        d = min(most, self.policy.decimals(size))
        return ReleasedEstimate(
            **shared,
            value=rounded(estimate.value, d),
            lo=rounded(estimate.lo, d),
            hi=rounded(estimate.hi, d),
            se=rounded(estimate.se, d + 1),
        )


def _is_too_large(e: Estimate) -> bool:
    """Whether a number of the estimate is beyond what a release may contain.

    Among scores that are all alike but for a few, noise of one case's influence on the slope has no bound.
    """
    ends = (x for x in (e.lo, e.hi, e.se) if x is not None and math.isfinite(x))
    return max(map(abs, ends), default=0.0) > LARGEST or abs(e.value or 0.0) > LARGEST


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """Number of cases of each class scored at or above `at`; `key` is the cut's index."""

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


@dataclass(slots=True, kw_only=True)
class Shown:
    """True and false positives that are shown so far; each new count must fit the others."""

    policy: Policy
    n_events: int
    n_non_events: int
    tp: dict[float, int]
    fp: dict[float, int]
    earlier: tuple[Earlier, ...] = ()
    here: set[float] = field(default_factory=lambda: {0.0, math.inf})
    banded: set[float] = field(default_factory=set)

    @classmethod
    def of_classes(cls, policy: Policy, *, n_events: int, n_non_events: int) -> "Shown":
        """Start from the class sizes: every case is at or above 0, and none above 1."""
        return cls(
            policy=policy,
            n_events=n_events,
            n_non_events=n_non_events,
            tp={0.0: n_events, math.inf: 0},
            fp={0.0: n_non_events, math.inf: 0},
        )

    def fits_events(self, cut: Cut) -> bool:
        """Whether this number of true positives leaves no small gap to the others."""
        before = [(e.n_events, e.tp) for e in self.earlier]
        return self._fits((cut.at, cut.tp), self.tp, self.n_events, before)

    def fits_non_events(self, cut: Cut) -> bool:
        """Whether this number of false positives leaves no small gap to the others."""
        before = [(e.n_non_events, e.fp) for e in self.earlier]
        return self._fits((cut.at, cut.fp), self.fp, self.n_non_events, before)

    def fits(self, cut: Cut) -> bool:
        """Whether both counts of the cut leave no small gap."""
        return self.fits_events(cut) and self.fits_non_events(cut) and self._is_mixed(cut)

    def _is_mixed(self, cut: Cut) -> bool:
        """Whether no gap to a shown cut is of one class: it would state the outcome of each of its cases."""
        gaps = [(cut.tp - tp, cut.fp - fp) for at, tp, fp in self.whole if at != cut.at]
        return all(is_mixed(gap) for gap in gaps)

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
        return all(self.policy.shows_gap(abs(gap)) for gap in gaps)

    def chain(self, cuts: Sequence[Cut]) -> list[Cut]:
        """Return the heaviest set of these cuts that fits the shown ones."""
        return longest_chain([cut for cut in cuts if self.fits(cut)], self.policy)

    def chain_of_bins(self, cuts: Sequence[Cut]) -> list[Cut]:
        """Return the most bin edges that fit the shown cuts; every bin may be shown as numbers."""
        ends = [
            (cut.tp, cut.fp, self.n_events - cut.tp, self.n_non_events - cut.fp) for cut in cuts
        ]
        fits = [
            cut
            for cut, cells in zip(cuts, ends, strict=True)
            if self.fits(cut) and all(map(self.policy.shows_cell, cells))
        ]
        return longest_chain(fits, self.policy, shows=self.policy.shows_cell)

    def show(self, cut: Cut, *, events: bool, non_events: bool) -> None:
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


def longest_chain(
    cuts: Sequence[Cut], policy: Policy, *, shows: Callable[[float], bool] | None = None
) -> list[Cut]:
    """Choose the heaviest set of cuts with no small gap between any two (longest path).

    Parameters
    ----------
    shows : whether a gap may follow from the cuts; by default the policy's rule for thresholds

    Examples
    --------
    >>> policy = Policy(name="exact", version=1, minimum_cell=11)
    >>> table = [(0.1, 60, 60), (0.2, 45, 30), (0.3, 40, 20), (0.4, 20, 5)]
    >>> cuts = [Cut(key=i, at=at, tp=tp, fp=fp) for i, (at, tp, fp) in enumerate(table)]
    >>> [cut.key for cut in longest_chain(cuts, policy)]
    [0, 1, 3]
    """
    ordered, shows = sorted(cuts, key=lambda cut: cut.at), shows or policy.shows_gap
    best: list[tuple[float, int | None]] = []
    for i, cut in enumerate(ordered):
        paths = [(best[j][0], j) for j in range(i) if _may_follow(ordered[j], cut, policy, shows)]
        weight, before = max(paths, default=(0.0, None), key=lambda path: path[0])
        best.append((weight + cut.weight, before))
    return _walk_back(ordered, best)


def _may_follow(a: Cut, b: Cut, policy: Policy, shows: Callable[[float], bool]) -> bool:
    gaps = (a.tp - b.tp, a.fp - b.fp)
    return all(map(shows, gaps)) and is_mixed(gaps)


def is_mixed(gap: tuple[int, int]) -> bool:
    """Whether a gap between two cuts is empty or has cases of both classes."""
    return (gap[0] == 0) == (gap[1] == 0)


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

    Rows below the floor are hidden first. Where the totals are known, the sum of the hidden rows
    and of the cases in no row follows by subtraction; so further rows are hidden, smallest first,
    until each hidden sum is 0 or at least the floor and no hidden row is alone.

    Parameters
    ----------
    rows : counts of each row; the columns split the row's cases
    totals : the same counts over all cases, None where they are unknown
    hidden : rows already hidden for another reason
    more : number of rows to hide beyond the rules, because the auditor could still bound one

    Examples
    --------
    >>> from healthval.disclosure import load_policy
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
