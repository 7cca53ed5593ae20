"""Subgroups, Table 1 and the patient flow: tables whose totals are known (pure)."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from healthval.contracts.submission import (
    SUPPRESSED,
    Cell,
    FlowCount,
    ReleasedEstimate,
    ReleasedSubgroup,
    Submission,
    TableOneRow,
)
from healthval.contracts.text import name_of
from healthval.disclosure.payload.suppression import WITHHELD, Draft, Row, rows_to_hide
from healthval.disclosure.policy import counts_of, rounded
from healthval.errors import DisclosureRefused
from healthval.metrics.estimate import Estimate
from healthval.metrics.result import Evaluation, SiteResult, SubgroupResult, TableOne

OTHERS = "suppressed"  # name of the row for all levels with few patients, whose names are withheld
TOO_SMALL = "a level, or the remainder without it, is too small"

Counts: TypeAlias = Mapping[str, tuple[int, int | None]]


@dataclass(frozen=True, slots=True)
class Levels:
    """Counts of a variable's levels, and the levels whose count or events must not be shown."""

    counts: Counts
    without_count: frozenset[str]
    without_events: frozenset[str]


def levels_of(
    draft: Draft, evaluation: Evaluation, rows: tuple[TableOne, ...]
) -> dict[str, Levels]:
    """Decide which levels to hide, for subgroups and Table 1 together: both count the same cases."""
    counts: dict[str, dict[str, tuple[int, int | None]]] = {}
    for s in evaluation.subgroups:
        _add(counts, s.variable, s.level, (s.n, s.n_events))
    for row in rows:
        if row.mean is None and row.overall is not None:
            _add(counts, row.variable, row.level, (row.overall, row.events))
    return {variable: decide(draft, variable, levels) for variable, levels in counts.items()}


def _add(
    counts: dict[str, dict[str, tuple[int, int | None]]],
    variable: str,
    level: str,
    found: tuple[int, int | None],
) -> None:
    levels = counts.setdefault(variable, {})
    before = levels.get(level, found)
    if before[0] != found[0] or (None not in (before[1], found[1]) and before[1] != found[1]):
        raise DisclosureRefused(
            f"subgroups[{variable}]",
            "a level has other counts in Table 1 than among the subgroups",
            "count both over the analysed cases; their difference would single out a few",
        )
    levels[level] = found if before[1] is None else before


def decide(draft: Draft, variable: str, counts: Counts) -> Levels:
    """Decide which levels of one variable to hide; `counts` are the cases and events of each level."""
    total = max(draft.n, sum(n for n, _ in counts.values()))
    if len(counts) > draft.policy.max_levels:
        return Levels(counts, frozenset(counts), frozenset(counts))
    sizes: dict[str, Row] = {level: (n,) for level, (n, _) in counts.items()}
    unsafe_counts, unsafe_events = _unsafe_levels(draft, variable, counts)
    more = draft.context.more
    without_count = rows_to_hide(
        sizes, (total,), draft.policy, unsafe_counts, more=more.get((variable, "n"), 0)
    )
    if not draft.classes_shown or any(e is None for _, e in counts.values()):
        return Levels(counts, without_count, frozenset(counts))
    split = {level: (e, n - e) for level, (n, e) in counts.items() if e is not None}
    totals = (draft.n_events, draft.n_non_events) if total == draft.n else None
    without_events = rows_to_hide(
        split,
        totals,
        draft.policy,
        without_count | unsafe_events,
        more=more.get((variable, "events"), 0),
    )
    return Levels(counts, without_count, without_events)


def _unsafe_levels(
    draft: Draft, variable: str, counts: Counts
) -> tuple[frozenset[str], frozenset[str]]:
    """Levels whose count, or whose events, would reveal a few patients beside earlier releases."""
    no_count: set[str] = set()
    no_events: set[str] = set()
    for s in draft.context.same:
        no_count |= _regrouped_levels(levels_shown(s).get(variable, {}), counts)
    for s in draft.context.same + draft.context.nested:
        before = levels_shown(s).get(variable, {})
        for level, (n, e) in counts.items():
            n_then, e_then = before.get(name_of(level), (None, None))
            if n_then is not None and not draft.shows(abs(n - n_then)):
                no_count.add(level)
            if n_then is None or e is None or e_then is None:
                continue
            apart = (abs(e - e_then), abs(n - e - (n_then - e_then)))
            if not all(draft.shows(x) for x in apart):
                no_events.add(level)
    return frozenset(no_count), frozenset(no_events)


def _regrouped_levels(before: Mapping[str, object], counts: Counts) -> set[str]:
    """Levels of the same cases that an earlier release grouped differently, or left unnamed."""
    out: set[str] = set()
    named = before.keys() - {OTHERS}
    if named and OTHERS not in before and {name_of(level) for level in counts} != named:
        # Other levels of the same cases: the overlap of two groupings is a smaller group.
        out |= counts.keys()
    if OTHERS in before:
        out |= {level for level in counts if name_of(level) not in before}
    return out


def levels_shown(s: Submission) -> dict[str, dict[str, tuple[int | None, int | None]]]:
    """Counts of cases and of events that a submission shows, by variable and level."""
    out: dict[str, dict[str, tuple[int | None, int | None]]] = {}
    for g in s.subgroups:
        out.setdefault(g.variable, {})[g.level] = (_int(g.n), _int(g.n_events))
    for r in s.table_one:
        if r.mean is None:
            before = out.setdefault(r.variable, {}).get(r.level, (None, None))
            n, e = _int(r.overall), _int(r.events)
            out[r.variable][r.level] = (
                before[0] if n is None else n,
                before[1] if e is None else e,
            )
    return out


def _int(cell: Cell | None) -> int | None:
    return cell if isinstance(cell, int) else None


def released_subgroups(
    draft: Draft, evaluation: Evaluation, levels: Mapping[str, Levels]
) -> tuple[ReleasedSubgroup, ...]:
    """Named levels; the others of a variable become one row without counts."""
    out: list[ReleasedSubgroup] = []
    for variable in dict.fromkeys(s.variable for s in evaluation.subgroups):
        found = [s for s in evaluation.subgroups if s.variable == variable]
        if len({s.level for s in found}) < len(found):
            raise DisclosureRefused(
                f"subgroups[{variable}]", "a level is given twice", "merge these levels"
            )
        out += _variable(draft, evaluation, found, levels[variable])
    return tuple(out[:64])


def _variable(
    draft: Draft, evaluation: Evaluation, found: list[SubgroupResult], decided: Levels
) -> list[ReleasedSubgroup]:
    hidden_rates = {
        "sensitivity": _levels_without_rate(draft, evaluation, found, decided, events=True),
        "specificity": _levels_without_rate(draft, evaluation, found, decided, events=False),
    }
    if draft.policy.noise_scale is None:
        # The scores are known: a level's positives of one class give those of the other.
        either = hidden_rates["sensitivity"] | hidden_rates["specificity"]
        hidden_rates = dict.fromkeys(hidden_rates, either)
    out = []
    for s in found:
        if s.level in decided.without_count:
            draft.note(f"subgroups[{s.variable}.{s.level}]", TOO_SMALL)
            continue
        if s.level in decided.without_events:
            draft.note(
                f"subgroups[{s.variable}.{s.level}]", "too few events or non-events in a level"
            )
            out.append(_row(s.variable, name_of(s.level), s.n))
            continue
        withheld = {rate for rate, levels in hidden_rates.items() if s.level in levels}
        out.append(_level(draft, s, withheld))
    if len(out) < len(found):
        out.append(_row(found[0].variable, OTHERS, SUPPRESSED))
    return out


def _row(variable: str, level: str, n: Cell) -> ReleasedSubgroup:
    return ReleasedSubgroup(
        variable=variable,
        level=level,
        n=n,
        n_events=SUPPRESSED,
        auroc=WITHHELD,
        oe=WITHHELD,
        sensitivity=WITHHELD,
        specificity=WITHHELD,
    )


def _level(draft: Draft, s: SubgroupResult, withheld: set[str]) -> ReleasedSubgroup:
    """One level with its estimates, except the rates named in `withheld`."""
    events, others = s.n_events, s.n - s.n_events
    smaller, counts = min(events, others), (s.n, s.n_events)
    discriminates = smaller >= draft.policy.minimum_class

    def rate(name: str, estimate: Estimate, size: int) -> ReleasedEstimate:
        if name in withheld:
            return WITHHELD
        right, _ = _hits(s, events=name == "sensitivity")
        return draft.estimate(estimate, size, counts=(right, size))

    return ReleasedSubgroup(
        variable=s.variable,
        level=name_of(s.level),
        n=s.n,
        n_events=s.n_events,
        auroc=draft.estimate(s.auroc, smaller, counts=counts) if discriminates else WITHHELD,
        oe=draft.estimate(s.oe, smaller, counts=counts),
        sensitivity=rate("sensitivity", s.sensitivity, events),
        specificity=rate("specificity", s.specificity, others),
    )


def _hits(s: SubgroupResult, *, events: bool) -> Row:
    """Cases of a class on the right side of the threshold, and on the wrong side."""
    size = s.n_events if events else s.n - s.n_events
    rate = (s.sensitivity if events else s.specificity).value
    right = round((rate or 0.0) * size)
    return right, size - right


def _levels_without_rate(
    draft: Draft,
    evaluation: Evaluation,
    found: list[SubgroupResult],
    decided: Levels,
    *,
    events: bool,
) -> frozenset[str]:
    """Levels whose sensitivity (or specificity) must not be shown; rates are at the first threshold."""
    name = "sensitivity" if events else "specificity"
    unknown = {s.level for s in found if getattr(s, name).value is None}
    rows = {s.level: _hits(s, events=events) for s in found if s.level not in unknown}
    totals = None
    # Perturbed hits of levels do not add up to those of all cases, so nothing can be subtracted.
    if evaluation.thresholds and draft.policy.noise_scale is None:
        c = evaluation.thresholds[0].confusion
        totals = (c.tp, c.fn) if events else (c.tn, c.fp)
    if totals and any(totals[i] < sum(row[i] for row in rows.values()) for i in (0, 1)):
        totals = None  # the rates are at another threshold, so subtraction is impossible
    more = draft.context.more.get((found[0].variable, name), 0)
    hidden = decided.without_events | _unsafe_rates(draft, found[0].variable, rows, name)
    return rows_to_hide(rows, totals, draft.policy, hidden, more=more)


def _unsafe_rates(
    draft: Draft, variable: str, rows: Mapping[str, Row], rate: str
) -> frozenset[str]:
    """Levels whose rate, beside an earlier one, would reveal a few patients."""
    out = set()
    for s in draft.context.same + draft.context.nested:
        before = {g.level: g for g in s.subgroups if g.variable == variable}
        for level, (right, wrong) in rows.items():
            g = before.get(name_of(level))
            if g is None or not isinstance(g.n, int) or not isinstance(g.n_events, int):
                continue
            value = getattr(g, rate).value
            size = g.n_events if rate == "sensitivity" else g.n - g.n_events
            for then in counts_of(value, size) if value is not None else ():
                apart = (abs(right - then), abs(wrong - (size - then)))
                if not all(draft.shows(x) for x in apart):
                    out.add(level)
    return frozenset(out)


def released_rows(
    draft: Draft, rows: tuple[TableOne, ...], levels: Mapping[str, Levels]
) -> tuple[TableOneRow, ...]:
    """Table 1 without small counts; means are rounded so that one patient cannot move them."""
    out: list[TableOneRow] = []
    for row in rows:
        shown = _number(draft, row) if row.mean is not None else _counts(draft, row, levels)
        if shown is None:
            draft.note_row(row, TOO_SMALL)
            shown = TableOneRow(variable=row.variable, level=OTHERS, overall=SUPPRESSED)
        if shown not in out:
            out.append(shown)
    return tuple(out[:100])


def _counts(draft: Draft, row: TableOne, levels: Mapping[str, Levels]) -> TableOneRow | None:
    decided = levels.get(row.variable)
    if decided is None or row.level in decided.without_count or row.overall is None:
        return None
    split = row.level not in decided.without_events and row.events is not None
    return TableOneRow(
        variable=row.variable,
        level=name_of(row.level),
        overall=row.overall,
        events=row.events if split else SUPPRESSED,
        non_events=row.overall - row.events if split and row.events is not None else SUPPRESSED,
    )


def _number(draft: Draft, row: TableOne) -> TableOneRow | None:
    if row.mean is None or row.sd is None or not draft.classes_shown:
        return None
    size = row.overall if row.overall is not None else draft.smaller_class
    around = (draft.n, draft.n_events, draft.n_non_events)
    if (
        size < draft.policy.minimum_cell
        or not row.sd > 0
        or _is_binary(draft, (row.mean, row.sd), size)
    ):
        return None
    d = draft.policy.mean_decimals(row.sd, size)
    counted = row.overall is not None and all(draft.shows(abs(size - x)) for x in around)
    return TableOneRow(
        variable=row.variable,
        level=name_of(row.level),
        overall=row.overall if counted else None,
        mean=rounded(row.mean, d),
        sd=rounded(row.sd, d),
    )


def _is_binary(draft: Draft, moments: tuple[float, float], size: int) -> bool:
    """Whether mean and SD are those of a 0/1 variable and reveal a small count."""
    mean, sd = moments
    share = mean - math.floor(mean)
    k = share * size
    if abs(k - round(k)) > 1e-6 or abs(sd**2 - share * (1 - share)) > 1.5 / size:
        return False
    return not (draft.shows(round(k)) and draft.shows(size - round(k)))


def released_flow(draft: Draft, result: SiteResult) -> tuple[FlowCount, ...]:
    """Steps whose differences to all other known counts may be shown; the others are withheld."""
    counts = [n for _, n in result.flow]
    if counts != sorted(counts, reverse=True):
        raise DisclosureRefused(
            "flow", "a step has more cases than the step before", "list the steps in their order"
        )
    apart = [
        x for x in (result.n_indeterminate, result.n_missing_reference) if draft.shows(x) and x
    ]
    offsets = {0, *apart, sum(apart)}
    known = {draft.n + x for x in offsets}
    known |= draft.context.excluded.get("flow", frozenset())
    kept = []
    for step, n in reversed(result.flow):
        if all(draft.shows(abs(n - k)) for k in known):
            kept.append(FlowCount(step=step, n=n))
            known |= {n + x for x in offsets}
        else:
            draft.note(
                f"flow[{step}]",
                "beside the other counts, few or no cases were excluded here; it is merged",
            )
    return tuple(reversed(kept))
