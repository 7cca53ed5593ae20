"""Names and order of subgroup levels: the plan's order, withheld levels last and named as such."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

from healthval.contracts.submission import FOLDED, SUPPRESSED
from healthval.report.markup import words
from healthval.report.wording.language import mark, reword, say

Levels: TypeAlias = tuple[tuple[str, tuple[str, ...]], ...]
Key: TypeAlias = tuple[int, int, int, float, int]

MISSING = "missing"  # level of cases without a value, in the releases
_BAND = re.compile(r"(below|from)_(minus_)?(\d+(?:\.\d+)?(?:e[+-]?\d+)?)(?:_to_below_.*)?")


def level_name(level: str, withheld: str = mark("levels withheld")) -> str:
    """Format a level in words; the marker of withheld levels is not a level.

    >>> level_name("from_50_to_below_65"), level_name("suppressed")
    ('from 50 to below 65', 'levels withheld')
    """
    return say(withheld) if level == SUPPRESSED else reword(words(level))


def place(plan: Levels, first_seen: Iterable[tuple[str, str]]) -> Callable[[str, str], Key]:
    """Return a sort key of (variable, level).

    Variables and levels are sorted as in the plan, then bands by their lower edge, then by the
    order in which the releases have them; folded levels, cases without a value and withheld levels
    are last.
    """
    seen = list(dict.fromkeys(first_seen))
    known: Mapping[str, tuple[str, ...]] = dict(plan)
    variables = list(dict.fromkeys([*known, *(variable for variable, _ in seen)]))
    position = {pair: i for i, pair in enumerate(seen)}

    def key(variable: str, level: str) -> Key:
        listed = known.get(variable, ())
        last = {FOLDED: 1, MISSING: 2, SUPPRESSED: 3}.get(level, 0)
        return (
            variables.index(variable),
            last,
            listed.index(level) if level in listed else len(listed),
            _lower_edge(level),
            position[variable, level],
        )

    return key


def _lower_edge(level: str) -> float:
    found = _BAND.fullmatch(level)
    if not found:
        return float("inf")
    if found[1] == "below":
        return -float("inf")
    return -float(found[3]) if found[2] else float(found[3])
