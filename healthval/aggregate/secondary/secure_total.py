"""Total of a secure sum: counts and rates at the plan's thresholds."""

from collections.abc import Sequence
from dataclasses import replace

from healthval.aggregate.counts import pool_counts
from healthval.aggregate.secondary.records import SecureTotal, TotalAt
from healthval.errors import MetricError, counted
from healthval.secure_sum.checks import Terms
from healthval.secure_sum.outcome import Outcome


def secure_total(outcome: Outcome, terms: Terms, thresholds: Sequence[float]) -> SecureTotal:
    """Read the table of a secure sum: all cases of its sites together, each counted once.

    Parameters
    ----------
    thresholds : those of the plan, between which the cells are counted

    Raises
    ------
    MetricError
        If the table has other cells than the plan's thresholds make.
    """
    cuts = sorted(thresholds)
    if terms.n_cells != 2 * (len(cuts) + 1):
        raise MetricError(
            f"the secure sum has {terms.n_cells} cells, not the {2 * (len(cuts) + 1)} of"
            f" {counted(len(cuts), 'threshold')}; give the plan of the sum"
        )
    shown = [cuts[i] for i in outcome.kept]
    sides = outcome.cells[: len(shown) + 1], outcome.cells[len(shown) + 1 :]
    k = len(outcome.sites)
    found = [_at(cut, _cells_at(sides, i + 1), k) for i, cut in enumerate(shown)]
    return SecureTotal(
        status=outcome.status,
        minimum_sites=terms.minimum_sites,
        floor=terms.floor,
        sites=outcome.sites,
        dropped=outcome.dropped,
        opened_by=outcome.opened_by,
        reason=outcome.reason,
        thresholds=tuple(found),
        withheld=tuple(cut for cut in cuts if shown and cut not in shown),
    )


def _cells_at(sides: tuple[Sequence[int], Sequence[int]], first: int) -> tuple[int, int, int, int]:
    """Counts (tp, fp, fn, tn) where the bins from `first` on are positive."""
    events, others = sides
    return sum(events[first:]), sum(others[first:]), sum(events[:first]), sum(others[:first])


def _at(cut: float, cells: tuple[int, int, int, int], k: int) -> TotalAt:
    tp, fp, fn, tn = cells
    counts = pool_counts([cells])
    return TotalAt(
        threshold=cut,
        tp=tp,
        fp=fp,
        fn=fn,
        tn=tn,
        sensitivity=replace(counts.sensitivity, k=k),
        specificity=replace(counts.specificity, k=k),
        ppv=replace(counts.ppv, k=k),
        npv=replace(counts.npv, k=k),
    )
