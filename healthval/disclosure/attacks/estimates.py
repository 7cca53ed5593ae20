"""Rational reconstruction: the whole-number tables that fit the rounded rates at a threshold.

Sensitivity, specificity and PPV at 3 decimals with known n leave one table out of thousands, so a
hidden cell next to a shown rate is no secret. The attack is run on every threshold with a hidden
cell.
"""

import numpy as np
from numpy.typing import NDArray

from healthval.contracts.submission import (
    SUPPRESSED,
    Cell,
    ReleasedEstimate,
    ReleasedThreshold,
    Submission,
)
from healthval.disclosure.policy import Policy
from healthval.errors import DisclosureRefused

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
LARGEST = 4_000_000  # tables tried; beyond, rates of one class are used alone


def consistent_tables(
    t: ReleasedThreshold, n: int, n_events: int, *, decimals: int = 3
) -> tuple[Ints, Ints]:
    """Find all (tp, fp) that fit the cells, rates and intervals shown at a threshold.

    Parameters
    ----------
    n, n_events : cases, and those with the condition
    decimals : of the rates, where zeros at the end hide that they have so many

    Returns
    -------
    tp, fp : int arrays, shape (n_tables,)
        When the two classes hold too many tables to try together, each table's fp is -1.
    """
    others = n - n_events
    tp = _fitting(
        np.arange(n_events + 1), (t.confusion.tp, t.confusion.fn), t.sensitivity, decimals
    )
    tn = _fitting(np.arange(others + 1), (t.confusion.tn, t.confusion.fp), t.specificity, decimals)
    fp = others - tn
    if tp.size * fp.size > LARGEST:
        return tp, np.full(tp.size, -1)
    a, b = (grid.ravel() for grid in np.meshgrid(tp, fp, indexing="ij"))
    fits = _fits_share(t.ppv, a, a + b, decimals)
    fits &= _fits_share(t.npv, others - b, n - a - b, decimals)
    if t.threshold < 1:
        benefit = (a - b * t.threshold / (1 - t.threshold)) / n
        fits &= _rounds_to(t.net_benefit.value, benefit, decimals)
    return a[fits], b[fits]


def _fitting(k: Ints, cells: tuple[Cell, Cell], rate: ReleasedEstimate, decimals: int) -> Ints:
    right, wrong = cells
    size = k.size - 1
    if isinstance(right, int):
        k = k[k == right]
    if isinstance(wrong, int):
        k = k[k == size - wrong]
    return k[_fits_share(rate, k, np.full(k.size, size), decimals)]


def _fits_share(e: ReleasedEstimate, k: Ints, n: Ints, decimals: int) -> Bools:
    """Which counts give the share and the ends of Wilson's interval that are shown."""
    with np.errstate(divide="ignore", invalid="ignore"):
        share = k / n
        fits = _rounds_to(e.value, share, decimals)
        if (e.lo is None and e.hi is None) or e.method != "wilson" or e.level != 0.95:
            return fits
        z = 1.959963984540054
        centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
        half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return (
        fits & _rounds_to(e.lo, centre - half, decimals) & _rounds_to(e.hi, centre + half, decimals)
    )


def _rounds_to(shown: float | None, values: NDArray[np.float64], decimals: int) -> Bools:
    if shown is None:
        return np.ones(values.shape, dtype=bool)
    finest = max(decimals, next(d for d in range(18) if round(shown, d) == shown))
    return np.abs(values - shown) <= 0.5 * 10.0**-finest + 1e-9


def check_reconstruction(submission: Submission, policy: Policy) -> int:
    """Refuse when the rates at a threshold leave few values for a hidden cell."""
    n, m = submission.n, submission.n_events
    if not isinstance(n, int) or not isinstance(m, int):
        return 0
    tried = 0
    for i, t in enumerate(submission.thresholds):
        cells = t.confusion
        if SUPPRESSED not in (cells.tp, cells.fp, cells.fn, cells.tn):
            continue
        tp, fp = consistent_tables(t, n, m, decimals=policy.decimals(min(m, n - m)))
        tried += 1
        for hidden, values in ((cells.tp, tp), (cells.fp, fp)):
            if (
                hidden == SUPPRESSED
                and 0 < np.unique(values[values >= 0]).size <= policy.minimum_cell - 1
            ):
                raise DisclosureRefused(
                    f"thresholds[{i}]",
                    "its rates give the suppressed cells away",
                    "withhold them with the cells, or drop this threshold",
                )
    return tried
