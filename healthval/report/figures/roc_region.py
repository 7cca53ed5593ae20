"""ROC from released counts only: its vertices, and the region in which the curve has to be.

Between two counted vertices every monotone curve is possible, so that the area under the curve has
bounds and no single value.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from healthval.aggregate.counts import wilson_interval
from healthval.aggregate.effects import count
from healthval.aggregate.result import PooledDisplay
from healthval.aggregate.roc import bins_of
from healthval.contracts.submission import Submission
from healthval.errors import MetricError

Pair = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Vertex:
    """A point of the curve: sensitivity and 1 − specificity, each between its bounds.

    `at` is the score from which cases are positive; `interval` is the 95% CI of the sensitivity.
    """

    at: float | None
    fpr: Pair
    tpr: Pair
    interval: Pair | None = None

    @property
    def is_counted(self) -> bool:
        """Return whether the point is known exactly."""
        return self.fpr[0] == self.fpr[1] and self.tpr[0] == self.tpr[1]


@dataclass(frozen=True, slots=True)
class Region:
    """Vertices from (0, 0) to (1, 1), sorted by 1 − specificity."""

    vertices: tuple[Vertex, ...]

    @property
    def inner(self) -> tuple[Vertex, ...]:
        """Return the vertices without the two ends that every curve has."""
        return tuple(v for v in self.vertices if v.fpr[0] > 0 or v.tpr[0] > 0)[:-1]

    def steps(self) -> list[tuple[float, float, float]]:
        """Return (x, lowest, highest sensitivity) from each x to the next."""
        xs = sorted({x for v in self.vertices for x in v.fpr})
        return [
            (
                x,
                max((v.tpr[0] for v in self.vertices if v.fpr[1] <= x), default=0.0),
                min((v.tpr[1] for v in self.vertices if v.fpr[0] > x), default=1.0),
            )
            for x in xs
        ]

    def area(self) -> Pair:
        """Return the smallest and the largest area under a curve in the region.

        >>> Region((Vertex(None, (0, 0), (0, 0)), Vertex(None, (1, 1), (1, 1)))).area()
        (0.0, 1.0)
        """
        low = high = 0.0
        for (x, least, most), (to, _, _) in pairwise(self.steps()):
            low, high = low + (to - x) * least, high + (to - x) * most
        return low, high


_START = Vertex(None, (0.0, 0.0), (0.0, 0.0))
_END = Vertex(0.0, (1.0, 1.0), (1.0, 1.0))


def site_region(release: Submission) -> Region | None:
    """Return the region of a site's curve from its counts, or None without a vertex inside.

    The vertices are the edges of the score bins and the plan's thresholds. The points of the
    released grid are not used: they are interpolated between counts, not counted.
    """
    bins, thresholds = _from_bins(release), _from_thresholds(release)
    for found in (bins + thresholds, bins, thresholds):
        whole = _sorted([_START, *found, _END])
        if found and all(a.tpr[0] <= b.tpr[0] for a, b in pairwise(whole)):
            return Region(whole)
    return None


def _sorted(vertices: Sequence[Vertex]) -> tuple[Vertex, ...]:
    kept = {(v.fpr, v.tpr): v for v in vertices}
    return tuple(sorted(kept.values(), key=lambda v: (v.fpr, v.tpr)))


def _from_bins(release: Submission) -> list[Vertex]:
    if release.histogram_noise is not None:
        return []
    try:
        bins = bins_of(release.histogram)
    except MetricError:
        return []
    events = [int(x) for x in accumulate(bins.events[::-1])]
    others = [int(x) for x in accumulate(bins.non_events[::-1])]
    if not events[-1] or not others[-1]:
        return []
    edges = bins.low[::-1]
    return [
        _counted(float(at), (tp, events[-1]), (fp, others[-1]))
        for at, tp, fp in zip(edges[:-1], events[:-1], others[:-1], strict=True)
    ]


def _from_thresholds(release: Submission) -> list[Vertex]:
    found = []
    for here in release.thresholds:
        c = here.confusion
        tp, fp, fn, tn = (count(cell) for cell in (c.tp, c.fp, c.fn, c.tn))
        if here.origin != "pre-specified" or tp is None or fp is None or fn is None or tn is None:
            continue
        if tp + fn and fp + tn:
            found.append(_counted(here.threshold, (tp, tp + fn), (fp, fp + tn)))
    return found


def _counted(at: float, events: tuple[int, int], others: tuple[int, int]) -> Vertex:
    x, y = others[0] / others[1], events[0] / events[1]
    return Vertex(at, (x, x), (y, y), wilson_interval(*events))


def pooled_region(display: PooledDisplay) -> Region | None:
    """Return the region of the curve of all cases whose bins were released."""
    if not display.curve:
        return None
    points = [Vertex(p.threshold, p.fpr_bounds, p.tpr_bounds) for p in display.curve]
    return Region(_sorted([_START, *points, _END]))
