"""Idle cost of alarms, dashboards, metrics from logs, and trails."""

import re

from healthval.cloud.audit.lines import Lines, Prices, Resource, is_false, is_unknown
from healthval.cloud.audit.values import ABSENT


def alarm(r: Resource, prices: Prices) -> Lines:
    """Return the cost of an alarm, by its metrics and its shortest period."""
    for query in r.values("Metrics", "[]", "Expression"):
        if query is not ABSENT and not (isinstance(query, str) and _is_arithmetic(query)):
            yield r.unknown("alarm over a query, billed for each metric that it finds")
    for metrics in r.counts("Metrics"):
        if metrics is None:
            yield r.unknown("alarm over an unknown number of metrics")
            continue
        is_band = r.is_set("ThresholdMetricId")
        is_fast = any(_is_short(p) for p in (*r.values("Period"), *_periods(r)))
        count = max(1, metrics) * (3 if is_band else 1)
        if is_fast:
            yield r.priced("high-resolution alarm", count * prices["cloudwatch_fast_alarm_month"])
        for _ in range(0 if is_fast else count):
            yield r.shared("alarm", "alarms")


def _is_arithmetic(expression: str) -> bool:
    """Return whether an expression of metric math names its metrics, and finds no others."""
    words = re.findall(r"[A-Za-z_]+", expression.upper())
    return not {"SELECT", "SEARCH"} & set(words)


def _periods(r: Resource) -> tuple[object, ...]:
    return r.values("Metrics", "[]", "MetricStat", "Period")


def _is_short(period: object) -> bool:
    known = period is ABSENT or (str(period).isdecimal() and int(str(period)) % 60 == 0)
    return not known


def composite_alarm(r: Resource, prices: Prices) -> Lines:
    """Return the cost of a composite alarm."""
    yield r.priced("composite alarm", prices["cloudwatch_composite_alarm_month"])


def dashboard(r: Resource, prices: Prices) -> Lines:
    """Return the line of a dashboard."""
    yield r.shared("dashboard", "dashboards")


def metric_filter(r: Resource, prices: Prices) -> Lines:
    """Return the line of a metric that is made from a log."""
    if r.is_set("MetricTransformations", "[]", "Dimensions"):
        yield r.unknown("metrics of unknown number, one for each value of a dimension")
    yield r.shared("metric", "metrics")


def trail(r: Resource, prices: Prices) -> Lines:
    """Return the lines of a trail, by the kinds of its events."""
    if r.is_set("InsightSelectors"):
        yield r.unknown("insights")
    selectors = (*r.values("EventSelectors", "[]"), *r.values("AdvancedEventSelectors", "[]"))
    data = r.is_set("EventSelectors", "[]", "DataResources") or _has_category(r, "Data")
    management = not r.is_set("AdvancedEventSelectors") or _has_category(r, "Management")
    off = r.values("EventSelectors", "[]", "IncludeManagementEvents")
    if management and not all(value is not ABSENT and is_false(value) for value in off):
        yield r.shared("trail of management events", "trails")
    if data:
        yield r.priced("data events, 1 million", 1e6 * prices["cloudtrail_data_event"])
    kinds = [v for field in _fields(r) for v in r.scope.get(field, "Equals", "[]")]
    named = all(isinstance(kind, str) and kind != "NetworkActivity" for kind in kinds)
    chosen = len(_fields(r)) > 0 or not r.is_set("AdvancedEventSelectors")
    if any(is_unknown(value) for value in selectors) or not named or not chosen:
        yield r.unknown("events of unknown kind")


def _fields(r: Resource) -> list[object]:
    """Return the selectors of the category of events; one whose field is not known counts."""
    found = r.values("AdvancedEventSelectors", "[]", "FieldSelectors", "[]")
    names = [(field, r.scope.get(field, "Field")) for field in found]
    return [field for field, values in names if values != (ABSENT,) and _may_be_category(values)]


def _may_be_category(values: tuple[object, ...]) -> bool:
    return any(value == "eventCategory" or not isinstance(value, str) for value in values)


def _has_category(r: Resource, category: str) -> bool:
    return any(category in r.scope.get(field, "Equals", "[]") for field in _fields(r))
