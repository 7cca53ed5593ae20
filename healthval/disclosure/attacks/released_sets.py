"""Sets of cases that a release counts, with what it states of each: the rows of the integer programme (pure)."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from healthval.contracts.submission import ReleasedEstimate, Submission
from healthval.contracts.text import name_of
from healthval.disclosure.payload.keyed_noise import level_times
from healthval.disclosure.payload.tables import levels_shown
from healthval.disclosure.payload.thresholds import shown_cuts
from healthval.disclosure.policy import Policy
from healthval.errors import DisclosureRefused
from healthval.metrics.result import CaseRows, SiteResult, SubgroupResult, TableOne

Bools: TypeAlias = NDArray[np.bool_]
REACH = (
    5.0  # deviations of the noise that a reader must expect on a count; beyond are 6 in 10 million
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReleasedSet:
    """Cases that a release counts together.

    Attributes
    ----------
    inside : shape (n_cases,)
    events : least and most events among them, from everything stated of the set; None if nothing is
    size : number of cases where it is stated and membership is not known from the scores
    """

    inside: Bools
    events: tuple[float, float] | None = None
    size: int | None = None


def rows_of(result: SiteResult) -> CaseRows:
    """Outcome and place of each case.

    Raises
    ------
    DisclosureRefused
        If the result does not have them, or not one digest for each.
    """
    rows = result.evaluation.rows
    if rows is None or rows.outcome.size != len(result.cohort):
        raise DisclosureRefused(
            "cohort",
            "the gate cannot judge counts without the cases that they count",
            "evaluate again with `healthval.metrics.evaluate`, and give one digest for each case",
        )
    return rows


def sets_of(
    result: SiteResult, shown: SiteResult, submission: Submission, policy: Policy
) -> list[ReleasedSet]:
    """All sets that a release counts: the classes, cuts, levels, and levels above the first threshold.

    Parameters
    ----------
    result : the cases as they are
    shown : its perturbed copy; counts are then intervals of the noise's reach around its numbers
    """
    rows = rows_of(result)
    levels = _members(result, rows.outcome.size)
    if policy.noise_scale is None:
        return [*_exact_cuts(rows, submission), *_exact_levels(rows, levels, submission)]
    return list(_perturbed(rows, levels, shown, policy))


def _members(result: SiteResult, n: int) -> dict[tuple[str, str], Bools]:
    """Cases of each level, of subgroups and of Table 1."""
    found: dict[tuple[str, str], Bools] = {}
    described: tuple[SubgroupResult | TableOne, ...] = result.evaluation.subgroups
    for row in (*described, *result.table_one):
        if row.members is not None and 8 * len(row.members) >= n:
            bits = np.frombuffer(row.members, dtype=np.uint8)
            found[row.variable, name_of(row.level)] = np.unpackbits(bits, count=n).astype(bool)
    return found


def _at_or_above(rows: CaseRows, at: float) -> Bools:
    """Cases with a score at or above a cut."""
    if at <= 0:
        return np.ones(rows.above.size, dtype=bool)
    return np.asarray(rows.above > rows.cuts.index(at))


def _exact_cuts(rows: CaseRows, s: Submission) -> Iterator[ReleasedSet]:
    """The scores are known, so that one class of a cut gives the other."""
    known = (s.n_events, s.n_events) if isinstance(s.n_events, int) else None
    yield ReleasedSet(inside=_at_or_above(rows, 0.0), events=known)
    for kind, at, count in shown_cuts(s):
        inside = _at_or_above(rows, at)
        events = count if kind == "true" else int(inside.sum()) - count
        yield ReleasedSet(inside=inside, events=(events, events))


def _exact_levels(
    rows: CaseRows, members: dict[tuple[str, str], Bools], s: Submission
) -> Iterator[ReleasedSet]:
    for variable, levels in levels_shown(s).items():
        for level, (n, e) in levels.items():
            inside = members.get((variable, level))
            if inside is not None and n is not None:
                known = None if e is None else (float(e), float(e))
                yield ReleasedSet(inside=inside, events=known, size=n)
    first = s.thresholds[0].threshold if s.thresholds else None
    for g in s.subgroups:
        inside = members.get((g.variable, g.level))
        if inside is None or first is None or not isinstance(g.n_events, int):
            continue
        above = inside & _at_or_above(rows, first)
        if hits := _counts(g.sensitivity, g.n_events):
            yield ReleasedSet(inside=above, events=hits)
        if isinstance(g.n, int) and (rejected := _counts(g.specificity, g.n - g.n_events)):
            below = int((inside & ~above).sum())
            events = (below - rejected[1], below - rejected[0])
            yield ReleasedSet(inside=inside & ~above, events=events)


def _counts(e: ReleasedEstimate, size: int) -> tuple[int, int] | None:
    """Least and most of a class's cases that a rounded share can be."""
    if e.value is None:
        return None
    decimals = next(d for d in range(18) if round(e.value, d) == e.value)
    half = 0.5 * 10.0**-decimals + 1e-9
    return math.ceil((e.value - half) * size - 1e-9), math.floor((e.value + half) * size + 1e-9)


def _perturbed(
    rows: CaseRows, members: dict[tuple[str, str], Bools], shown: SiteResult, policy: Policy
) -> Iterator[ReleasedSet]:
    """Sets with the reach of the noise around their perturbed events.

    Fitting counts in order moves each by the number of cuts at most; rounding moves it by a multiple.
    Where noise, fitting and remainders together went further, the true count is the end of the interval.
    """
    ev, sd = shown.evaluation, policy.noise_scale or 0.0
    reach = REACH * sd + len(ev.thresholds) + 2 * policy.multiple
    planned = [t for t in ev.thresholds if t.origin == "pre-specified"]
    cuts = {t.threshold: t.confusion.tp for t in planned if t.threshold > 0}
    cuts |= {
        edge: sum(ev.histogram.events[i:])
        for i, edge in enumerate(ev.histogram.edges[:-1])
        if i and edge not in cuts
    }
    for at, events in ({0.0: ev.n_events} | cuts).items():
        yield _within(rows, _at_or_above(rows, at), events, reach)
    names = {s.variable for s in ev.subgroups}
    names |= {r.variable for r in shown.table_one if r.mean is None and r.events is not None}
    reach = reach * level_times(len(names))
    first = planned[0].threshold if planned else 0.0
    for row in shown.table_one:
        inside = members.get((row.variable, name_of(row.level)))
        if inside is not None and row.mean is None and row.events is not None:
            yield _within(rows, inside, row.events, reach)
    for s in ev.subgroups:
        inside = members.get((s.variable, name_of(s.level)))
        if inside is None:
            continue
        yield _within(rows, inside, s.n_events, reach)
        if s.sensitivity.value is not None:
            hits = round(s.sensitivity.value * s.n_events)
            yield _within(rows, inside & _at_or_above(rows, first), hits, reach)


def _within(rows: CaseRows, inside: Bools, events: float, reach: float) -> ReleasedSet:
    true = int(np.count_nonzero(rows.outcome & inside))
    return ReleasedSet(
        inside=inside, events=(min(true, math.ceil(events - reach)), max(true, events + reach))
    )
