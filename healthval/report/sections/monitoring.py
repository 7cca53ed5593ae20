"""Section "Monitoring over time": performance by period, and the control charts of the plan's rules."""

from collections.abc import Mapping, Sequence
from itertools import compress

from markupsafe import Markup

from healthval.contracts.monitoring import AlarmRule, Monitoring
from healthval.contracts.submission import ReleasedSubgroup
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
from healthval.report.wording.language import many, mark, say

_MEASURES = ("auroc", "oe", "sensitivity", "specificity")
_HEADS = (mark("AUROC"), "O:E", mark("Sensitivity"), mark("Specificity"))
_EVERY = {"month": mark("month"), "quarter": mark("quarter"), "year": mark("year")}
_WATCHED = {"fall": mark("a fall"), "rise": mark("a rise"), "both": mark("a fall or a rise")}
Periods = Mapping[str, Sequence[ReleasedSubgroup | None]]


def monitoring(findings: Findings, watched: Monitoring) -> Section:
    """Build the section on the periods of a plan with monitoring."""
    periods = periods_released(watched, findings.released)
    charts = rule_charts(watched, findings.released)
    blocks: list[Block] = [_results(watched, alarms(watched, charts), charts)]
    for name, made in zip(_names(watched), charts, strict=True):
        blocks += _chart(watched, name, made, periods)
    blocks.append(_by_period(findings, watched, periods))
    return Section("monitoring", say("Monitoring over time"), tuple(blocks))


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
        say(
            "Monitoring alarm: {measure}, {hospital}: {periods}.",
            measure=names[rule - 1],
            hospital=_named(hospital),
            periods=", ".join(periods),
        )
        for (rule, hospital), periods in by_chart.items()
    ]
    return sentences or [
        say(
            "No alarm of the plan's {alarms} so far.",
            alarms=many(len(watched.alarms), "monitoring rule"),
        )
    ]


def _names(watched: Monitoring) -> list[str]:
    """Return a name for each rule: its measure, with what tells it from others of that measure."""
    rules = watched.alarms
    shared = [sum(other.measure == rule.measure for other in rules) > 1 for rule in rules]
    return [
        say(
            "{measure} ({watched} from {target}, shift {shift}, run length {run_length})",
            measure=say(NAMES[rule.measure]),
            watched=say(_WATCHED[rule.direction]),
            target=exact(rule.target),
            shift=exact(rule.shift),
            run_length=rule.run_length,
        )
        if is_shared
        else say(NAMES[rule.measure])
        for rule, is_shared in zip(rules, shared, strict=True)
    ]


def _results(watched: Monitoring, found: Sequence[Alarm], charts: Sequence[RuleCharts]) -> Markup:
    ends = watched.edges
    n_charts = max(len(made.charts) for made in charts)
    several = (
        say(
            " Each chart has this run length by itself; with {n_charts} charts of a rule, false "
            "alarms of any of them are up to {n_charts} times as frequent.",
            n_charts=n_charts,
        )
        if n_charts > 1
        else ""
    )
    return paragraphs(
        " ".join(_sentences(watched, found)),
        say(
            "The plan fixes {periods} from {first} to before {end}, one per {every}, and the "
            "alarm rules, before data are seen. A period is analysed at a hospital once it has a "
            "case of a later date.",
            periods=many(watched.periods, "period"),
            first=ends[0],
            end=ends[-1],
            every=say(_EVERY[watched.every]),
        ),
        say(
            "Chart: one-sided CUSUMs (Page 1954) of the distance from the target, divided by the "
            "standard error of the period, on the logit scale (O:E: log). An alarm is a sum "
            "above the limit in a period with an estimate. The limit gives the stated mean number of periods until a false "
            "alarm of a model whose measure equals the target (Markov chain, Brook and Evans "
            "1972), with estimates taken as normal. A period without a released estimate leaves "
            "the sums unchanged.{several}",
            several=several,
        ),
    )


def _rule(made: RuleCharts) -> str:
    rule, limit = made.rule, made.limit
    most = say("at most ") if rule.direction == "both" else ""
    return say(
        "{measure}: {watched} from {target}; allowance {allowance}, limit {limit}; in control, "
        "a false alarm after {run_length} periods on average, and with probability "
        "{most}{false_alarm} within the plan's periods",
        measure=say(NAMES[rule.measure]),
        watched=say(_WATCHED[rule.direction]),
        target=exact(rule.target),
        allowance=exact(limit.allowance),
        limit=number(limit.limit),
        run_length=number(limit.run_length, 1),
        most=most,
        false_alarm=number(limit.false_alarm),
    )


def _chart(watched: Monitoring, name: str, made: RuleCharts, periods: Periods) -> list[Block]:
    rule = made.rule
    n = max((len(one.points) for one in made.charts), default=0)
    labels = watched.labels[:n]
    sheet = _sums(name, made, labels)
    if n == 0:
        return [paragraphs(say("No hospital released a period.")), sheet]
    tracks = [_track(rule, one, periods.get(one.hospital, (None,) * n)) for one in made.charts]
    measure = say(NAMES[rule.measure])
    svg = control_plot(labels, tracks, name=measure, target=rule.target, limit=made.limit.limit)
    raised = [
        f"{_named(one.hospital)} {label}"
        for one in made.charts
        for label in compress(labels, [point.alarm for point in one.points])
    ]
    alt = say(
        "Control chart of {name} over {n} from {first} to {last} against the target "
        "{target}; alarms: {alarms}.",
        name=name,
        n=many(n, "period"),
        first=labels[0],
        last=labels[-1],
        target=exact(rule.target),
        alarms=", ".join(raised) or say("none"),
    )
    caption = say(
        "{rule}. Above: estimates with 95% CI, dotted: target. Below: larger sum, dashed: "
        "limit, squares: alarms.",
        rule=_rule(made),
    )
    return [Figure(svg, alt, caption, sheet)]


def _track(rule: AlarmRule, one: HospitalChart, groups: Sequence[ReleasedSubgroup | None]) -> Track:
    return Track(
        _named(one.hospital),
        tuple(None if g is None else estimate(getattr(g, rule.measure)) for g in groups),
        tuple(max(s for s in (p.fall, p.rise) if s is not None) for p in one.points),
        tuple(point.alarm for point in one.points),
    )


def _named(hospital: str) -> str:
    return say(TOGETHER) if hospital == TOGETHER else hospital


def _sums(name: str, made: RuleCharts, labels: Sequence[str]) -> Markup:
    rows = [
        [
            label,
            _named(one.hospital),
            number(point.z, 2),
            *(number(s, 2) for s in (point.fall, point.rise) if s is not None),
            say("alarm") if point.alarm else say("none"),
        ]
        for one in made.charts
        for label, point in zip(labels, one.points, strict=True)
    ]
    sides = {
        "fall": [say("Sum (fall)")],
        "rise": [say("Sum (rise)")],
        "both": [say("Sum (fall)"), say("Sum (rise)")],
    }
    heads = [
        say("Period"),
        say("Hospital"),
        say("Distance / SE"),
        *sides[made.rule.direction],
        say("Alarm"),
    ]
    together = (
        say(
            "{together}: distances combined by the inverse of their variances; in control, each "
            "hospital is at the target.",
            together=say(TOGETHER),
        )
        if len(made.charts) > 1
        else ""
    )
    return table(say("Control chart: {measure}", measure=name), heads, rows, note=together)


def _by_period(findings: Findings, watched: Monitoring, periods: Periods) -> Markup:
    rows = []
    for i, label in enumerate(watched.labels):
        for site, groups in periods.items():
            if i < len(groups):
                rows.append([label, site, *_cells(groups[i])])
    at = findings.plan.thresholds
    threshold = (
        say("Sensitivity and specificity at threshold {threshold}. ", threshold=exact(at[0]))
        if at
        else ""
    )
    return table(
        say("Performance by period"),
        [
            say("Period"),
            say("Hospital"),
            say("Cases"),
            say("With the condition"),
            *(say("{measure} (95% CI)", measure=say(h)) for h in _HEADS),
        ],
        rows,
        note=say(
            "{threshold}Withheld: the gate withheld the period, or the hospital has no case in it.",
            threshold=threshold,
        ),
    )


def _cells(group: ReleasedSubgroup | None) -> list[str]:
    if group is None:
        return [say("withheld")] * (2 + len(_MEASURES))
    shown = [estimate(getattr(group, measure)).text() for measure in _MEASURES]
    return [count(group.n), count(group.n_events), *shown]
