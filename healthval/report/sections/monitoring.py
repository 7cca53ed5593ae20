"""Section "Monitoring over time": performance by period, and the control charts of the plan's rules."""

from collections.abc import Mapping, Sequence
from itertools import compress

from markupsafe import Markup

from healthval.contracts.monitoring import AlarmRule, Monitoring
from healthval.contracts.submission import ReleasedSubgroup
from healthval.errors import counted
from healthval.report.criteria import NAMES
from healthval.report.document import Block, Figure, Section
from healthval.report.figures.control import Track, control_plot
from healthval.report.findings import Findings, estimate
from healthval.report.markup import count, exact, number, paragraphs, table
from healthval.report.values.charts import (
    TOGETHER,
    Alarm,
    HospitalChart,
    RuleCharts,
    alarms,
    periods_released,
    rule_charts,
)

_MEASURES = ("auroc", "oe", "sensitivity", "specificity")
_HEADS = ("AUROC", "O:E", "Sensitivity", "Specificity")
_WATCHED = {"fall": "a fall", "rise": "a rise", "both": "a fall or a rise"}
Periods = Mapping[str, Sequence[ReleasedSubgroup | None]]


def monitoring(findings: Findings, watched: Monitoring) -> Section:
    """Build the section on the periods of a plan with monitoring."""
    periods = periods_released(watched, findings.released)
    charts = rule_charts(watched, findings.released)
    blocks: list[Block] = [_results(watched, alarms(watched, charts), charts)]
    for name, made in zip(_names(watched), charts, strict=True):
        blocks += _chart(watched, name, made, periods)
    blocks.append(_by_period(findings, watched, periods))
    return Section("monitoring", "Monitoring over time", tuple(blocks))


def alarm_sentences(findings: Findings) -> list[str]:
    """Return one sentence for each chart with an alarm, or one that there is none; for the summary.

    A plan without monitoring has no sentence.
    """
    watched = findings.plan.monitoring
    if watched is None:
        return []
    return _sentences(watched, alarms(watched, rule_charts(watched, findings.released)))


def _sentences(watched: Monitoring, found: Sequence[Alarm]) -> list[str]:
    by_chart: dict[tuple[int, str], list[str]] = {}
    for alarm in found:
        by_chart.setdefault((alarm.rule, alarm.hospital), []).append(alarm.period)
    names = _names(watched)
    sentences = [
        f"Monitoring alarm: {names[rule - 1]}, {hospital}: {', '.join(periods)}."
        for (rule, hospital), periods in by_chart.items()
    ]
    return sentences or [
        f"No alarm of the plan's {counted(len(watched.alarms), 'monitoring rule')} so far."
    ]


def _names(watched: Monitoring) -> list[str]:
    """Return a name for each rule: its measure, with what tells it from others of that measure."""
    rules = watched.alarms
    shared = [sum(other.measure == rule.measure for other in rules) > 1 for rule in rules]
    return [
        f"{NAMES[rule.measure]} ({_WATCHED[rule.direction]} from {exact(rule.target)}, shift"
        f" {exact(rule.shift)}, run length {rule.run_length})"
        if is_shared
        else NAMES[rule.measure]
        for rule, is_shared in zip(rules, shared, strict=True)
    ]


def _results(watched: Monitoring, found: Sequence[Alarm], charts: Sequence[RuleCharts]) -> Markup:
    ends = watched.edges
    n_charts = max(len(made.charts) for made in charts)
    several = (
        f" Each chart has this run length by itself; with {n_charts} charts of a rule, false alarms of"
        f" any of them are up to {n_charts} times as frequent."
        if n_charts > 1
        else ""
    )
    return paragraphs(
        " ".join(_sentences(watched, found)),
        f"The plan fixes {counted(watched.periods, 'period')} from {ends[0]} to before {ends[-1]}, one"
        f" per {watched.every}, and the alarm rules, before data are seen. A period is analysed at a"
        " hospital once it has a case of a later date.",
        "Chart: one-sided CUSUMs (Page 1954) of the distance from the target, divided by the standard"
        " error of the period, on the logit scale (O:E: log). An alarm is a sum above the limit. The"
        " limit gives the stated mean number of periods until a false alarm of a model whose measure"
        " equals the target (Markov chain, Brook and Evans 1972), with estimates taken as normal. A"
        f" period without a released estimate leaves the sums unchanged.{several}",
    )


def _rule(made: RuleCharts) -> str:
    rule, limit = made.rule, made.limit
    most = "at most " if rule.direction == "both" else ""
    return (
        f"{NAMES[rule.measure]}: {_WATCHED[rule.direction]} from {exact(rule.target)}; allowance"
        f" {exact(limit.allowance)}, limit {number(limit.limit)}; in control, a false alarm after"
        f" {number(limit.run_length, 1)} periods on average, and with probability {most}"
        f"{number(limit.false_alarm)} within the plan's periods"
    )


def _chart(watched: Monitoring, name: str, made: RuleCharts, periods: Periods) -> list[Block]:
    rule = made.rule
    n = max((len(one.points) for one in made.charts), default=0)
    labels = watched.labels[:n]
    sheet = _sums(name, made, labels)
    if n == 0:
        return [paragraphs("No hospital released a period."), sheet]
    tracks = [_track(rule, one, periods.get(one.hospital, (None,) * n)) for one in made.charts]
    measure = NAMES[rule.measure]
    svg = control_plot(labels, tracks, name=measure, target=rule.target, limit=made.limit.limit)
    raised = [
        f"{one.hospital} {label}"
        for one in made.charts
        for label in compress(labels, [point.alarm for point in one.points])
    ]
    alt = (
        f"Control chart of {name} over {counted(n, 'period')} from {labels[0]} to {labels[-1]} against"
        f" the target {exact(rule.target)}; alarms: {', '.join(raised) or 'none'}."
    )
    caption = f"{_rule(made)}. Above: estimates with 95% CI, dotted: target. Below: larger sum, dashed: limit, squares: alarms."
    return [Figure(svg, alt, caption, sheet)]


def _track(rule: AlarmRule, one: HospitalChart, groups: Sequence[ReleasedSubgroup | None]) -> Track:
    return Track(
        one.hospital,
        tuple(None if g is None else estimate(getattr(g, rule.measure)) for g in groups),
        tuple(max(s for s in (p.fall, p.rise) if s is not None) for p in one.points),
        tuple(point.alarm for point in one.points),
    )


def _sums(name: str, made: RuleCharts, labels: Sequence[str]) -> Markup:
    rows = [
        [
            label,
            one.hospital,
            number(point.z, 2),
            *(number(s, 2) for s in (point.fall, point.rise) if s is not None),
            "alarm" if point.alarm else "none",
        ]
        for one in made.charts
        for label, point in zip(labels, one.points, strict=True)
    ]
    sides = {"fall": ["Sum (fall)"], "rise": ["Sum (rise)"], "both": ["Sum (fall)", "Sum (rise)"]}
    heads = ["Period", "Hospital", "Distance / SE", *sides[made.rule.direction], "Alarm"]
    together = (
        f"{TOGETHER}: distances combined by the inverse of their variances; in control, each hospital is"
        " at the target."
        if len(made.charts) > 1
        else ""
    )
    return table(f"Control chart: {name}", heads, rows, note=together)


def _by_period(findings: Findings, watched: Monitoring, periods: Periods) -> Markup:
    rows = []
    for i, label in enumerate(watched.labels):
        for site, groups in periods.items():
            if i < len(groups):
                rows.append([label, site, *_cells(groups[i])])
    at = findings.plan.thresholds
    threshold = f"Sensitivity and specificity at threshold {exact(at[0])}. " if at else ""
    return table(
        "Performance by period",
        ["Period", "Hospital", "Cases", "With the condition", *(f"{h} (95% CI)" for h in _HEADS)],
        rows,
        note=f"{threshold}Withheld: the gate withheld the period, or the hospital has no case in it.",
    )


def _cells(group: ReleasedSubgroup | None) -> list[str]:
    if group is None:
        return ["withheld"] * (2 + len(_MEASURES))
    shown = [estimate(getattr(group, measure)).text() for measure in _MEASURES]
    return [count(group.n), count(group.n_events), *shown]
