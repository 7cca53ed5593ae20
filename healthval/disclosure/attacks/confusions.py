"""Consistency of the cells at thresholds, and of the rates that follow from them (pure)."""

from collections.abc import Iterable
from typing import TypeAlias

from healthval.contracts.submission import (
    SUPPRESSED,
    Band,
    Cell,
    ReleasedConfusion,
    ReleasedEstimate,
    ReleasedThreshold,
    Submission,
    band_limits,
)
from healthval.disclosure.payload.curves import net_benefit
from healthval.disclosure.payload.thresholds import bands_of
from healthval.disclosure.policy import Policy, is_rounding
from healthval.errors import DisclosureRefused

Count: TypeAlias = Cell | Band
Limits: TypeAlias = tuple[float, float]
AGAIN = "compute it from the counts that are released"
WITHHOLD = "withhold it with the cells"


def check_confusions(submission: Submission, _policy: Policy) -> int:
    """Cells add up to the classes; rates follow from cells and are withheld with them."""
    n, m, floor = submission.n, submission.n_events, submission.certificate.minimum_cell
    for i, t in enumerate(submission.thresholds):
        path, c = f"thresholds[{i}]", t.confusion
        for pair, size in (((c.tp, c.fn), m), ((c.fp, c.tn), minus(n, m))):
            _check_class(path, pair, size, floor)
        _check_rates(path, t, n, m)
    return 5 * len(submission.thresholds)


def _check_class(path: str, pair: tuple[Count, Count], size: Cell, floor: int) -> None:
    """Two cells of a class are numbers that add up to it, both suppressed, or its two bands."""
    if (pair[0] == SUPPRESSED) != (pair[1] == SUPPRESSED):
        raise DisclosureRefused(
            path, "one cell is suppressed, the other reveals it", "suppress both"
        )
    first, second = pair
    if isinstance(first, int) and isinstance(second, int):
        if first + second != size:
            raise DisclosureRefused(path, "its cells do not add up to the class", AGAIN)
    elif SUPPRESSED not in pair and pair not in _bands(size, floor):
        raise DisclosureRefused(path, f"not the bands below {floor}", "release it again")


def _bands(size: Cell, floor: int) -> set[tuple[Count, Count]]:
    """Every pair of bands that a class of this size can have."""
    if not isinstance(size, int):
        return set()
    return {bands_of((k, size - k), floor) for k in {0, min(size, floor - 1), size}}


def _check_rates(path: str, t: ReleasedThreshold, n: Cell, m: Cell) -> None:
    c = t.confusion
    rates: dict[str, tuple[Count, Count]] = {
        "sensitivity": (c.tp, c.fn),
        "specificity": (c.tn, c.fp),
        "ppv": (c.tp, c.fp),
        "npv": (c.tn, c.fn),
    }
    sizes = {"sensitivity": m, "specificity": minus(n, m)}
    for name, pair in rates.items():
        _check_share(f"{path}.{name}", getattr(t, name), pair, sizes.get(name, SUPPRESSED))
    known = None
    if isinstance(n, int) and t.threshold < 1:
        known = net_benefit_limits(c, n, t.threshold)
    check_follows(f"{path}.net_benefit", t.net_benefit, known, {n, plus(c.tp, c.fn), m})


def _limits(cell: Count) -> Limits | None:
    """Least and greatest value of a number or a band; None where it is suppressed."""
    return (cell, cell) if isinstance(cell, int) else band_limits(cell)


def net_benefit_limits(c: ReleasedConfusion, n: int, threshold: float) -> Limits | None:
    """Least and greatest net benefit of numbers or bands; None where they are suppressed."""
    tp, fp = _limits(c.tp), _limits(c.fp)
    if tp is None or fp is None:
        return None
    return net_benefit(tp[0], fp[1], n, threshold), net_benefit(tp[1], fp[0], n, threshold)


def _check_share(path: str, e: ReleasedEstimate, pair: tuple[Count, Count], size: Cell) -> None:
    """Check that a proportion follows from its counts, and is withheld with them."""
    right, wrong = map(_limits, pair)
    known = None
    if right is not None and wrong is not None and right[1] + wrong[1] > 0:
        known = right[0] / max(1, right[0] + wrong[1]), right[1] / max(1, right[1] + wrong[0])
    shown: list[Cell] = [x for x in pair[:1] if isinstance(x, int)]
    check_follows(path, e, known, [*shown, plus(*pair), size])


def check_follows(
    path: str, e: ReleasedEstimate, known: Limits | None, counts: Iterable[Cell]
) -> None:
    """Check that an estimate is a rounding within its limits; without them it is withheld."""
    if not {e.n, e.n_events} <= {SUPPRESSED, *counts}:
        raise DisclosureRefused(
            path, "its counts are released nowhere else", "repeat released counts only"
        )
    if e.value is None:
        return
    if known is None:
        raise DisclosureRefused(path, "reveals suppressed cells", WITHHOLD)
    nearest = min(max(e.value, known[0]), known[1])
    if not is_rounding(e.value, nearest):
        raise DisclosureRefused(path, "does not follow from its counts", AGAIN)


def plus(a: Count, b: Count) -> Cell:
    """Sum of two counts; suppressed unless both are numbers."""
    return a + b if isinstance(a, int) and isinstance(b, int) else SUPPRESSED


def minus(a: Cell, b: Cell) -> Cell:
    """Difference of two counts; suppressed unless both are numbers."""
    # A negative count is a contradiction; it is kept as a number and refused where it is used.
    return a - b if isinstance(a, int) and isinstance(b, int) else SUPPRESSED
