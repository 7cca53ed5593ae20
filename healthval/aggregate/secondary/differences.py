"""Differences between the levels of a subgroup variable within each site, pooled over sites."""

import math
from collections.abc import Mapping, Sequence

from healthval.aggregate.counts import Sites
from healthval.aggregate.effects import IDENTITY, LOG, Named, count, pool_measure
from healthval.aggregate.secondary.records import SubgroupDifference
from healthval.aggregate.values import PooledMeasure
from healthval.contracts.submission import SUPPRESSED, ReleasedEstimate, ReleasedSubgroup

MIN_EVENTS = 11  # and non-events, that a site needs for a pooled subgroup


def too_small(group: ReleasedSubgroup) -> str | None:
    """Reason why a site's level is not pooled; None if it is large enough."""
    n, events = count(group.n), count(group.n_events)
    if n is None or events is None:
        return "number of events not released"
    few = min(events, n - events) < MIN_EVENTS
    return f"fewer than {MIN_EVENTS} events or non-events" if few else None


def differences(sites: Sites) -> tuple[SubgroupDifference, ...]:
    """Compare each level with the variable's largest one within each site, and pool.

    A difference within a site is free of the differences between sites, which means over sites of
    each level are not.
    """
    by_site = [(site, {(g.variable, g.level): g for g in s.subgroups}) for site, s in sites]
    levels = dict.fromkeys(key for _, groups in by_site for key in groups if key[1] != SUPPRESSED)
    found = []
    for variable in dict.fromkeys(name for name, _ in levels):
        own = [level for name, level in levels if name == variable]
        reference = max(own, key=lambda level: _cases(by_site, variable, level))
        found += [
            _difference(by_site, (variable, level), (variable, reference))
            for level in own
            if level != reference
        ]
    return tuple(found)


Groups = Sequence[tuple[str, Mapping[tuple[str, str], ReleasedSubgroup]]]


def _cases(by_site: Groups, variable: str, level: str) -> int:
    found = (groups.get((variable, level)) for _, groups in by_site)
    return sum(count(g.n) or 0 for g in found if g is not None)


def _difference(
    by_site: Groups, key: tuple[str, str], reference: tuple[str, str]
) -> SubgroupDifference:
    pairs = [
        (site, groups[key], groups[reference])
        for site, groups in by_site
        if key in groups and reference in groups
    ]
    unfit = {site: why for site, a, b in pairs if (why := too_small(a) or too_small(b))}

    def pooled(measure: str) -> PooledMeasure:
        named: list[Named] = [
            (site, _between(getattr(a, measure), getattr(b, measure), measure == "oe"))
            for site, a, b in pairs
        ]
        return pool_measure(measure, named, LOG if measure == "oe" else IDENTITY, unfit=unfit)

    return SubgroupDifference(
        variable=key[0],
        level=key[1],
        reference=reference[1],
        auroc=pooled("auroc"),
        oe=pooled("oe"),
        sensitivity=pooled("sensitivity"),
        specificity=pooled("specificity"),
    )


def _between(a: ReleasedEstimate, b: ReleasedEstimate, ratio: bool) -> ReleasedEstimate:
    """Difference, or ratio, of two independent estimates with its standard error."""
    if a.value is None or b.value is None or a.se is None or b.se is None:
        return ReleasedEstimate(withheld="suppressed")
    if ratio and (a.value <= 0 or b.value <= 0):
        return ReleasedEstimate(withheld="not_estimable")
    value = a.value / b.value if ratio else a.value - b.value
    se = value * math.hypot(a.se / a.value, b.se / b.value) if ratio else math.hypot(a.se, b.se)
    if not (math.isfinite(value) and math.isfinite(se)):
        return ReleasedEstimate(withheld="not_estimable")
    return ReleasedEstimate(value=value, se=se, method="ratio" if ratio else "difference", n=a.n)
