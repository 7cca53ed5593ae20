"""Outcome of a secure sum for a reader of its messages: the total and its sites, or why there is none."""

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

from healthval.secure_sum.checks import Terms, check_state, keys_of
from healthval.secure_sum.floor import is_above_floor
from healthval.secure_sum.messages import ROUNDS, SumState, SumTotal

FEWEST_TOTALS = 2  # sites that have opened the total and found the same
Status = Literal["total", "below floor", "contradictory", "open", "failed", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the messages of a sum say, after a check of all of them.

    Attributes
    ----------
    kept : positions of the thresholds at which the total is shown
    cells : events between these thresholds, then non-events; empty without a total
    sites : labels of the hospitals whose tables are in the sum
    dropped : labels of hospitals that joined and whose tables are not, each with the round that it missed
    opened_by : number of hospitals that found this outcome by themselves
    reason : why an attempt failed, in the hub's words
    """

    status: Status
    kept: tuple[int, ...] = ()
    cells: tuple[int, ...] = ()
    sites: tuple[str, ...] = ()
    dropped: tuple[tuple[str, str], ...] = ()
    opened_by: int = 0
    reason: str = ""


def outcome_of(state: SumState, terms: Terms) -> Outcome:
    """Check all messages of a sum and return its outcome.

    Raises
    ------
    IntegrityError
        If a message is forged or does not belong to the sum; see `check_state`.
    """
    check_state(state, terms)
    if not state.messages:
        return Outcome(status="none")
    labels = labels_of(state)
    known = Outcome(
        status="open",
        sites=tuple(labels[site] for site in state.sites("table")),
        dropped=tuple((labels[site], round_) for site, round_ in _dropped(state)),
    )
    totals = [m.content for m in state.of("total") if isinstance(m.content, SumTotal)]
    if state.round == "failed":
        return Outcome(status="failed", reason=state.reason)
    if state.round != "done" or len(totals) < FEWEST_TOTALS:
        return known
    if any(total != totals[0] for total in totals):
        return replace(known, status="contradictory", opened_by=len(totals))
    kept, cells = totals[0].kept, totals[0].cells
    if not is_shown_part(totals[0], terms):
        return replace(known, status="below floor", opened_by=len(totals))
    return replace(known, status="total", kept=kept, cells=cells, opened_by=len(totals))


def labels_of(state: SumState) -> dict[str, str]:
    """Return the label of each site of the roster."""
    return {site: k.label for site, k in keys_of(state).items()}


def is_shown_part(total: SumTotal, terms: Terms) -> bool:
    """Whether a total is about thresholds of the plan, and above the floor between all of them."""
    n_thresholds = terms.n_cells // 2 - 1
    is_ordered = all(a < b for a, b in pairwise((-1, *total.kept, n_thresholds)))
    fits = bool(total.kept) and len(total.cells) == 2 * (len(total.kept) + 1)
    return is_ordered and fits and is_above_floor(total.cells, terms.floor)


def _dropped(state: SumState) -> list[tuple[str, str]]:
    """Sites of the roster without a table in the sum, each with the first round that it missed.

    A site is missing in a round only after the round has ended.
    """
    ended = ROUNDS.index(state.round) if state.round in ROUNDS else len(ROUNDS)
    found: list[tuple[str, str]] = []
    for site in state.sites("keys"):
        missed = [r for r in ROUNDS[1:3] if ROUNDS.index(r) < ended and site not in state.sites(r)]
        if missed:
            found.append((site, missed[0]))
    return found
