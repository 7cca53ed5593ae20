"""Floor of a total: which thresholds it may be shown at, and its counts between them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Shown:
    """The part of a total that is shown.

    Attributes
    ----------
    kept : positions of the thresholds, in ascending order of the thresholds
    cells : events between them, below the first and above the last, then non-events
    """

    kept: tuple[int, ...]
    cells: tuple[int, ...]


def is_above_floor(cells: Sequence[int], floor: int) -> bool:
    """Whether each bin of a total has no case, or at least `floor` cases of both classes.

    A class that is absent from a bin with cases is refused like a small count: the reader knows who
    has a score in the bin.

    Parameters
    ----------
    cells : events in each bin, then non-events in each bin

    Examples
    --------
    >>> is_above_floor([11, 0, 30, 0], 11), is_above_floor([10, 30, 30, 30], 11)
    (True, False)
    >>> is_above_floor([0, 30, 30, 30], 11)
    False
    """
    half = len(cells) // 2
    bins = list(zip(cells[:half], cells[half:], strict=True))
    return any(map(any, bins)) and all(min(cell) >= floor or not any(cell) for cell in bins)


def shown_part(cells: Sequence[int], floor: int) -> Shown | None:
    """Merge bins until each may be shown: the most thresholds, of equal numbers the lower ones.

    Returns
    -------
    None if the total may be shown at no threshold

    Examples
    --------
    >>> shown_part([4, 20, 30, 90, 50, 12], 11)
    Shown(kept=(1,), cells=(24, 30, 140, 12))
    >>> shown_part([4, 4, 90, 90], 11) is None
    True
    """
    n_bins = len(cells) // 2
    sides = (cells[:n_bins], cells[n_bins:])
    # best[j]: the cuts of the longest chain of allowed bins that ends at cut j; cut 0 is below all scores
    best: list[tuple[int, ...] | None] = [()]
    for j in range(1, n_bins + 1):
        chains = [
            (*before, i)
            for i in range(j)
            if (before := best[i]) is not None and _is_allowed(sides, (i, j), floor)
        ]
        best.append(min(chains, key=lambda chain: (-len(chain), chain), default=None))
    cuts = best[n_bins]
    if cuts is None or len(cuts) < 2:
        return None
    ends = [*cuts, n_bins]
    merged = [sum(side[a:b]) for side in sides for a, b in pairwise(ends)]
    if not is_above_floor(merged, floor):
        return None
    return Shown(tuple(cut - 1 for cut in cuts[1:]), tuple(merged))


def _is_allowed(
    sides: tuple[Sequence[int], Sequence[int]], span: tuple[int, int], floor: int
) -> bool:
    events, others = (sum(side[span[0] : span[1]]) for side in sides)
    return min(events, others) >= floor or not (events or others)
