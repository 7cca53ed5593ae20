"""Levels that the gate would withhold at given counts, before any model is asked (pure)."""

from collections.abc import Mapping
from dataclasses import dataclass

from healthval.disclosure.payload.suppression import Context, Draft
from healthval.disclosure.payload.tables import decide
from healthval.disclosure.policy import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreseen:
    """Levels of one variable whose results the gate would withhold, in the order of their names.

    Attributes
    ----------
    few : with fewer cases than the minimum cell
    few_of_a_class : with enough cases, but too few with or without the target condition
    beside : large enough, but another level would follow from them by subtraction
    """

    few: tuple[str, ...]
    few_of_a_class: tuple[str, ...]
    beside: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.few or self.few_of_a_class or self.beside)


def foresee(policy: Policy, levels: Mapping[str, tuple[int, int]]) -> Foreseen:
    """Apply the gate's rule for levels to exact counts, without noise and without earlier releases.

    Parameters
    ----------
    levels : cases, and cases with the target condition, of each level; they make up all cases

    Examples
    --------
    >>> from healthval.disclosure import load_policy
    >>> foresee(load_policy("cms"), {"f": (379, 60), "m": (378, 58), "unknown": (31, 4)})
    Foreseen(few=(), few_of_a_class=('unknown',), beside=('m',))
    """
    n, n_events = (sum(counts[i] for counts in levels.values()) for i in (0, 1))
    draft = Draft(policy=policy, n=n, n_events=n_events, context=Context(healthval_version=""))
    decided = decide(draft, "", levels)
    hidden = decided.without_count | decided.without_events
    few = {name for name, (size, _) in levels.items() if not draft.shows(size)}
    of_a_class = {
        name
        for name, (size, events) in levels.items()
        if not (draft.shows(events) and draft.shows(size - events))
    } - few
    return Foreseen(
        few=tuple(sorted(few)),
        few_of_a_class=tuple(sorted(of_a_class)),
        beside=tuple(sorted(hidden - few - of_a_class)),
    )
