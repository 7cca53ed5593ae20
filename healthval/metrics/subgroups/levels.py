"""Performance in each level of a subgroup variable."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from healthval.errors import MetricError, counted
from healthval.metrics.calibration.measures import calibration_of, observed_to_expected
from healthval.metrics.cases import Cases, check_rows, member_bits
from healthval.metrics.discrimination.auroc import auroc_of
from healthval.metrics.estimate import Estimate
from healthval.metrics.inputs import Bools, is_missing, read_column
from healthval.metrics.intervals.analytic import rate
from healthval.metrics.net_benefit import net_benefit_at
from healthval.metrics.result import LevelFacts, SubgroupResult

FEWEST = 10
MAX_LEVELS = 64


@dataclass(frozen=True, slots=True, eq=False)
class Levels:
    """Level of each case in one variable, in one byte per case.

    Attributes
    ----------
    names : the levels that occur, ascending
    code : int8 array, shape (n_cases,), position of each case's level in `names`
    """

    names: tuple[str, ...]
    code: NDArray[np.int8]

    def members(self) -> Iterator[tuple[str, Bools]]:
        """Each level with the mask of its cases."""
        return ((name, self.code == i) for i, name in enumerate(self.names))


Groups = dict[str, Levels]


def read_groups(groups: Any, n: int, *beside: Any, cluster: Any = None) -> Groups:
    """Levels per case of one variable (array, Series) or several (dict, DataFrame).

    Cases with a missing level are in the level "missing". Pandas row labels of the groups and of the
    columns `beside` them must be equal, and may repeat only with a cluster.

    Raises
    ------
    MetricError
        If a variable does not have one level per case, or has more than 64 levels.
    """
    if groups is None:
        return {}
    if hasattr(groups, "columns") and hasattr(groups, "to_numpy"):
        groups = {str(name): groups[name] for name in groups.columns}
    levels = groups.values() if isinstance(groups, dict) else [groups]
    check_rows(*beside, *levels, cluster=cluster)
    if not isinstance(groups, dict):
        groups = {str(getattr(groups, "name", None) or "group"): groups}
    return {str(name): _levels(str(name), levels, n) for name, levels in groups.items()}


def _levels(name: str, values: Any, n: int) -> Levels:
    texts, code = _coded(name, values)
    if code.size != n:
        raise MetricError(
            f"subgroup variable {name} needs one level for each of {counted(n, 'case')}; got "
            f"{code.size}"
        )
    return levels_of(name, texts, code)


def levels_of(name: str, texts: Sequence[str], code: NDArray[Any]) -> Levels:
    """Levels from the text of each code; equal texts are one level, unused ones none.

    Raises
    ------
    MetricError
        If there are more than 64 levels.
    """
    used = np.bincount(code, minlength=len(texts)) > 0
    names = sorted({text for text, is_used in zip(texts, used, strict=True) if is_used})
    if len(names) > MAX_LEVELS:
        raise MetricError(
            f"subgroup variable {name} has {counted(len(names), 'level')}; group them into at most "
            f"{MAX_LEVELS}"
        )
    position = {text: i for i, text in enumerate(names)}
    new = np.array([position.get(text, 0) for text in texts], np.int8)
    return Levels(tuple(names), new[code])


def _coded(name: str, values: Any) -> tuple[list[str], NDArray[Any]]:
    """Text of each code, and the code of each case; a pandas categorical has its own codes."""
    known = getattr(values, "cat", values)
    if hasattr(known, "categories") and hasattr(known, "codes"):
        texts = [*(_text(item) for item in known.categories), "missing"]
        code = np.asarray(known.codes)
        return texts, np.where(code < 0, code.dtype.type(len(texts) - 1), code)
    array = read_column(values, f"subgroup variable {name}")
    if array.dtype.kind in "fOMmUS":
        text = np.array([_text(item) for item in array], dtype=np.str_)
    else:
        text = array.astype(str)
    distinct, code = np.unique(text, return_inverse=True)
    return [str(item) for item in distinct], code.reshape(-1)


def _text(item: Any) -> str:
    return "missing" if is_missing(item) else str(item)


def by_level(cases: Cases, groups: Groups, threshold: float) -> tuple[SubgroupResult, ...]:
    """Results per level, in the order of the variables and of the sorted levels."""
    return tuple(
        replace(
            level_result(cases.take(inside), (name, level), threshold),
            members=member_bits(inside),
        )
        for name, levels in groups.items()
        for level, inside in levels.members()
    )


def level_result(cases: Cases, name: tuple[str, str], threshold: float) -> SubgroupResult:
    """Result of one level; statistics with too few events are not estimable."""
    y, positive = cases.reference, cases.score >= threshold
    hits, rejections = (int(np.count_nonzero(x)) for x in (positive & y, ~positive & ~y))
    auroc = level_auroc(cases)
    area = _area(cases) if auroc.value is None else auroc.value
    return SubgroupResult(
        facts=LevelFacts(float(cases.score.sum()), hits, rejections, area),
        variable=name[0],
        level=name[1],
        n=cases.n,
        n_events=cases.n_events,
        auroc=auroc,
        oe=level_oe(cases),
        sensitivity=level_rate(cases, positive, y),
        specificity=level_rate(cases, ~positive, ~y),
        ppv=level_rate(cases, y, positive),
        npv=level_rate(cases, ~y, ~positive),
        citl=level_citl(cases),
        net_benefit=level_net_benefit(cases, threshold),
    )


def _area(cases: Cases) -> float | None:
    m, n = cases.n_events, cases.n - cases.n_events
    if not m or not n:
        return None
    ranks = float(rankdata(cases.score)[cases.reference].sum())
    return (ranks - m * (m + 1) / 2) / (m * n)


def level_auroc(cases: Cases) -> Estimate:
    """AUROC where both classes have at least 10 cases."""
    return (
        auroc_of(cases, level=cases.level)
        if _fewest(cases) >= FEWEST
        else _too_few(cases, "logit-delong")
    )


def level_oe(cases: Cases) -> Estimate:
    """O:E where there are at least 10 events."""
    if cases.n_events < FEWEST:
        return _too_few(cases, "log")
    return observed_to_expected(cases, level=cases.level)


def level_citl(cases: Cases) -> Estimate:
    """Calibration in the large where both classes have at least 10 cases."""
    if _fewest(cases) < FEWEST:
        return _too_few(cases, "logistic wald")
    return calibration_of(cases, curve=None, level=cases.level).citl


def level_net_benefit(cases: Cases, threshold: float) -> Estimate:
    """Net benefit where both classes have at least 10 cases."""
    if _fewest(cases) < FEWEST:
        return _too_few(cases, "wald")
    return net_benefit_at(cases, threshold, level=cases.level)


def _fewest(cases: Cases) -> int:
    return min(cases.n_events, cases.n - cases.n_events)


def level_rate(cases: Cases, hit: Bools, among: Bools) -> Estimate:
    """Proportion of hits where the denominator is at least 10 cases."""
    if np.count_nonzero(among) < FEWEST:
        return _too_few(cases, "wilson")
    return rate(hit, among, cases.cluster, level=cases.level)


def _too_few(cases: Cases, method: str) -> Estimate:
    reason = f"fewer than {FEWEST} events or non-events"
    return cases.sample.not_estimable(reason, method)
