"""Control charts of the plan's alarm rules, for each hospital and for all of them together."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from healthval.aggregate.secondary.control_chart import ChartPoint, Limit, chart, decision_limit
from healthval.contracts.monitoring import PERIOD, AlarmRule, Monitoring
from healthval.contracts.submission import ReleasedSubgroup, Submission
from healthval.report.wording.language import mark

TOGETHER = mark("All hospitals")


@dataclass(frozen=True, slots=True)
class HospitalChart:
    """Chart of one hospital, or of all; one point for each period up to the last one released."""

    hospital: str
    points: tuple[ChartPoint, ...]


@dataclass(frozen=True, slots=True)
class RuleCharts:
    """An alarm rule with its decision limit and its charts."""

    rule: AlarmRule
    limit: Limit
    charts: tuple[HospitalChart, ...]


@dataclass(frozen=True, slots=True)
class Alarm:
    """A period in which a chart exceeds its limit.

    Attributes
    ----------
    rule : position of the rule among the plan's, from 1
    """

    rule: int
    measure: str
    hospital: str
    period: str


def periods_released(
    watched: Monitoring, released: Mapping[str, Submission]
) -> dict[str, tuple[ReleasedSubgroup | None, ...]]:
    """Return each hospital's periods up to the last one that any hospital released, in order.

    A period that a hospital withheld, or in which it has no case, is None.
    """
    found = {
        site: {g.level: g for g in release.subgroups if g.variable == PERIOD}
        for site, release in released.items()
    }
    last = max((i for levels in found.values() for i in _positions(watched, levels)), default=-1)
    shown = watched.levels[: last + 1]
    return {site: tuple(levels.get(level) for level in shown) for site, levels in found.items()}


def _positions(watched: Monitoring, levels: Mapping[str, Any]) -> list[int]:
    return [i for i, level in enumerate(watched.levels) if level in levels]


def rule_charts(watched: Monitoring, released: Mapping[str, Submission]) -> list[RuleCharts]:
    """Return the charts of each rule, in the plan's order; of all hospitals from two on."""
    periods = periods_released(watched, released)
    return [
        RuleCharts(rule, limit, tuple(_charts(rule, limit, periods)))
        for rule in watched.alarms
        for limit in [decision_limit(rule, watched.periods)]
    ]


def _charts(
    rule: AlarmRule, limit: Limit, periods: Mapping[str, Sequence[ReleasedSubgroup | None]]
) -> list[HospitalChart]:
    estimates = {
        site: [None if g is None else getattr(g, rule.measure) for g in groups]
        for site, groups in periods.items()
    }
    made = [
        HospitalChart(site, chart(rule, limit, [[e] for e in own]))
        for site, own in estimates.items()
    ]
    if len(made) > 1:
        together = chart(rule, limit, list(zip(*estimates.values(), strict=True)))
        made.append(HospitalChart(TOGETHER, together))
    return made


def alarms(watched: Monitoring, charts: Sequence[RuleCharts]) -> list[Alarm]:
    """Return every period in which a chart exceeds its limit: by rule, hospital and time."""
    return [
        Alarm(i, made.rule.measure, one.hospital, label)
        for i, made in enumerate(charts, start=1)
        for one in made.charts
        for label, point in zip(watched.labels, one.points, strict=False)
        if point.alarm
    ]


def monitoring_numbers(
    watched: Monitoring | None, released: Mapping[str, Submission]
) -> dict[str, Any] | None:
    """Return rules, limits, charts and alarms as plain values; None without monitoring."""
    if watched is None:
        return None
    charts = rule_charts(watched, released)
    return {
        "periods": list(watched.labels),
        "rules": [
            {
                "rule": made.rule.model_dump(mode="json"),
                "limit": asdict(made.limit),
                "charts": [asdict(one) for one in made.charts],
            }
            for made in charts
        ],
        "alarms": [asdict(alarm) for alarm in alarms(watched, charts)],
    }
