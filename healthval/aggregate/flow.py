"""Cohort flow over sites: steps in one order, and sums that never increase."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from healthval.aggregate.counts import Sites, total
from healthval.aggregate.effects import count
from healthval.aggregate.result import FlowTotal, Total
from healthval.contracts.submission import SUPPRESSED, Submission

Known: TypeAlias = Mapping[str, int]
Later: TypeAlias = Mapping[str, frozenset[str]]
_ANALYSED = ""  # last step of every flow; no released step has this name


def flow_totals(sites: Sites) -> tuple[FlowTotal, ...]:
    """Sum each step; a step that a site omitted or withheld is between its neighbours there.

    Such a site counts as suppressed in the step's `Total`, so that the sum is a lower bound. Each
    step has at least the cases that the site analysed. The lower bounds never increase from step to
    step. Empty if two sites contradict each other in the order of the steps, or a site's own flow
    increases: then no sum over sites is a flow.

    References
    ----------
    STARD 2015, item 19.
    """
    later = later_steps([[*(f.step for f in s.flow), _ANALYSED] for _, s in sites])
    if later is None:
        return ()
    known = [_known(s) for _, s in sites]
    if any(_increases(flow, later) for flow in known):
        return ()
    sums = {step: _total(step, later, known) for step in later if step != _ANALYSED}
    return tuple(FlowTotal(step, sums[step]) for step in _ordered(sums, later))


def later_steps(flows: Sequence[Sequence[str]]) -> dict[str, frozenset[str]] | None:
    """Return the steps that come after each step at any site; None if sites contradict each other.

    >>> found = later_steps([["scored"], ["read", "scored"], ["read", "eligible", "scored"]])
    >>> sorted(found["read"]), sorted(found["scored"])
    (['eligible', 'scored'], [])
    """
    later: dict[str, set[str]] = {step: set() for flow in flows for step in flow}
    for flow in flows:
        for i, step in enumerate(flow):
            later[step].update(flow[i + 1 :])
    for through, beyond in later.items():
        for after in later.values():
            if through in after:
                after.update(beyond)
    if any(step in after for step, after in later.items()):
        return None
    return {step: frozenset(after) for step, after in later.items()}


def _known(s: Submission) -> Known:
    cells = {row.step: row.n for row in s.flow} | {_ANALYSED: s.n}
    return {step: n for step, cell in cells.items() if (n := count(cell)) is not None}


def _increases(known: Known, later: Later) -> bool:
    return any(
        known[after] > n for step, n in known.items() for after in later[step] if after in known
    )


def _total(step: str, later: Later, known: Sequence[Known]) -> Total:
    before = [other for other in later if step in later[other]]
    bounds = []
    for flow in known:
        least = [flow[s] for s in (step, *later[step]) if s in flow]
        most = [flow[s] for s in (step, *before) if s in flow]
        bounds.append((max(least, default=0), min(most, default=None)))
    return total([flow.get(step, SUPPRESSED) for flow in known], bounds)


def _ordered(sums: Mapping[str, Total], later: Later) -> list[str]:
    """Sort the steps; of steps that no site compares, the one with more cases comes first."""
    waiting, order = list(sums), []
    while waiting:
        free = [step for step in waiting if not any(step in later[other] for other in waiting)]
        order.append(max(free, key=lambda step: sums[step].lower))
        waiting.remove(order[-1])
    return order
