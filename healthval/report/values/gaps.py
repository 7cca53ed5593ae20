"""Differences between the levels of a subgroup variable, pooled over sites and adjusted by Holm.

References
----------
Holm 1979, Scand J Stat 6:65. The difference is taken inside each site, so that differences between
sites do not count as differences between levels.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from healthval.aggregate.effects import IDENTITY, effect_of
from healthval.aggregate.meta import MIN_SITES_POOLED, meta_analysis
from healthval.aggregate.result import SubgroupPool
from healthval.contracts.submission import FOLDED, SUPPRESSED, ReleasedSubgroup, Submission
from healthval.errors import MetricError
from healthval.report.values.levels import MISSING
from healthval.report.wording.language import mark

MEASURES = {
    "auroc": mark("AUROC"),
    "sensitivity": mark("Sensitivity"),
    "specificity": mark("Specificity"),
}
Level = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Difference of a level from the reference level of its variable; `p` is adjusted by Holm."""

    measure: str
    variable: str
    level: str
    reference: str
    k: int
    value: float
    ci: tuple[float, float]
    p: float


def gaps(released: Mapping[str, Submission], groups: Sequence[SubgroupPool]) -> list[Gap]:
    """Return each level's difference from the first level of its variable, from three sites on."""
    found = []
    for measure in MEASURES:
        for level, reference in _pairs(groups):
            gap = _gap(released, measure, level, reference)
            if gap is not None:
                found.append(gap)
    return adjusted(found)


def _pairs(groups: Sequence[SubgroupPool]) -> Iterator[tuple[Level, Level]]:
    first: dict[str, Level] = {}
    for group in groups:
        if group.level in {FOLDED, MISSING, SUPPRESSED}:
            continue
        reference = first.setdefault(group.variable, (group.variable, group.level))
        if reference[1] != group.level:
            yield (group.variable, group.level), reference


def _gap(
    released: Mapping[str, Submission], measure: str, level: Level, reference: Level
) -> Gap | None:
    from scipy.stats import t

    inside = []
    for release in released.values():
        by_level = {(g.variable, g.level): g for g in release.subgroups}
        pair = [_effect(by_level.get(key), measure) for key in (level, reference)]
        if pair[0] is not None and pair[1] is not None:
            inside.append((pair[0][0] - pair[1][0], pair[0][1] ** 2 + pair[1][1] ** 2))
    if len(inside) < MIN_SITES_POOLED:
        return None
    try:
        mean = meta_analysis([d for d, _ in inside], [v for _, v in inside])
    except MetricError:
        return None
    if mean.ci is None:
        return None
    return Gap(
        measure=measure,
        variable=level[0],
        level=level[1],
        reference=reference[1],
        k=len(inside),
        value=mean.mu,
        ci=mean.ci,
        p=float(2 * t.sf(abs(mean.mu) / mean.se, mean.k - 1)),
    )


def _effect(group: ReleasedSubgroup | None, measure: str) -> tuple[float, float] | None:
    """Return value and standard error; a rate of 0 or 1 has none and is left out."""
    found = effect_of(getattr(group, measure, None), IDENTITY)
    return None if isinstance(found, str) else found


def adjusted(found: Sequence[Gap]) -> list[Gap]:
    """Multiply the smallest p by the number of gaps, the next by one less, and so on."""
    by_p = sorted(range(len(found)), key=lambda i: found[i].p)
    out = list(found)
    least = 0.0
    for rank, i in enumerate(by_p):
        least = max(least, min(1.0, found[i].p * (len(found) - rank)))
        out[i] = replace(found[i], p=least)
    return out
