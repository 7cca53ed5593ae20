"""O:E, Brier score and AUC of all sites together: sums over sites, weighted by cases or pairs."""

import math
from collections.abc import Sequence

from healthval.aggregate.counts import Sites, symmetric
from healthval.aggregate.effects import LARGEST, count
from healthval.aggregate.meta import Pair, normal_quantile
from healthval.aggregate.result import ExactCalibration, Excluded, Rate


def exact_calibration(sites: Sites, level: float = 0.95) -> ExactCalibration:
    """Add up events, expected events and Brier sums of the sites that released them.

    References
    ----------
    Variance of log O:E, (1 - O/n) / O: Debray 2017, BMJ 356:i6460.
    """
    sums, missing = _expected_sums(sites)
    briers = [
        (n, s.calibration.brier.value, s.calibration.brier.se)
        for _, s in sites
        if s.calibration is not None
        and s.calibration.brier.value is not None
        and (n := count(s.n)) is not None
    ]
    n = sum(size for size, _, _ in sums)
    o, e = sum(x for _, x, _ in sums), sum(x for _, _, x in sums)
    oe = o / e if e > 0 else None
    half = normal_quantile(level) * math.sqrt((1 - o / n) / o) if o else None
    oe_ci = None if oe is None or half is None else (oe * math.exp(-half), oe * math.exp(half))
    brier, brier_ci = weighted(briers, level)
    return ExactCalibration(
        observed=o if sums else None,
        expected=e if sums else None,
        oe=oe,
        oe_ci=oe_ci,
        oe_k=len(sums),
        brier=brier,
        brier_ci=brier_ci,
        brier_k=len(briers),
        excluded=tuple(missing),
    )


def _expected_sums(sites: Sites) -> tuple[list[tuple[int, int, float]], list[Excluded]]:
    """Cases, observed and expected events of each site, and the sites without usable ones."""
    sums, missing = [], []
    for site, s in sites:
        c, n = s.calibration, count(s.n)
        observed = None if c is None else count(c.observed)
        if c is None or n is None or observed is None or c.expected is None:
            missing.append(Excluded(site, "observed or expected events not released"))
        elif not (observed <= n and 1 / LARGEST <= c.expected <= n):
            missing.append(Excluded(site, "observed or expected events exceed the cases"))
        else:
            sums.append((n, observed, c.expected))
    return sums, missing


def weighted(
    rows: Sequence[tuple[int, float, float | None]], level: float
) -> tuple[float | None, Pair | None]:
    """Mean weighted by size, with the interval for these sites; values beyond 1e50 are ignored."""
    rows = [row for row in rows if abs(row[1]) <= LARGEST]
    n = sum(size for size, _, _ in rows)
    if not n:
        return None, None
    mean = sum(size * value for size, value, _ in rows) / n
    spreads = [size * se for size, _, se in rows if se is not None and 0 <= se <= LARGEST]
    if len(spreads) < len(rows):
        return mean, None
    return mean, symmetric(mean, normal_quantile(level) * math.hypot(*spreads) / n)


def within_site(sites: Sites, level: float = 0.95) -> tuple[Rate | None, int]:
    """AUC of an event against a non-event of the same site, weighted by the sites' pairs."""
    rows = []
    for _, s in sites:
        n, events = count(s.n), count(s.n_events)
        if s.auroc.value is not None and n is not None and events is not None and events < n:
            rows.append((events * (n - events), s.auroc.value, s.auroc.se))
    value, ci = weighted(rows, level)
    if value is None:
        return None, 0
    pairs = sum(size for size, _, _ in rows)
    rate = Rate(
        value=value,
        ci=ci,
        numerator=None,
        denominator=pairs,
        method="pair-weighted",
        k=len(rows),
    )
    return rate, len(rows)
