"""Runs of scheduled functions: an upper bound, because they run without evaluations too."""

import re
from collections.abc import Iterator
from itertools import chain
from typing import Any

from healthval.cloud.audit.lines import Line, Lines, Prices, Resource, is_false
from healthval.cloud.audit.values import ABSENT, Reference, Scope
from healthval.cloud.estimate import LOG_BYTES_PER_CALL

DAYS = 31
_RATE = re.compile(r"rate\(\s*([0-9]{1,6})\s+(minute|hour|day)s?\s*\)")
_CRON = re.compile(r"cron\(\s*(\S+)\s+(\S+)\s+\S+\s+\S+\s+\S+\s+\S+\s*\)")
_AT = re.compile(r"at\(\S+\)")
_SECONDS = {"minute": 60, "hour": 3600, "day": 86_400}
DEFAULT_MEMORY_MB, DEFAULT_SECONDS = 128.0, 3.0
ATTEMPTS = 3  # an asynchronous call that fails is repeated twice


def runs(expression: object) -> float | None:
    """Return the most runs in a month; None for an expression that is not known.

    >>> runs("rate(1 day)"), runs("cron(0/15 6-9 * * ? *)"), runs("at(2026-01-01T00:00:00)")
    (31.0, 496.0, 0.0)
    """
    if not isinstance(expression, str):
        return None
    if _AT.fullmatch(expression):
        return 0.0
    if rate := _RATE.fullmatch(expression):
        seconds = int(rate[1]) * _SECONDS[rate[2]]
        return DAYS * 86_400 / seconds if seconds else None
    cron = _CRON.fullmatch(expression)
    minutes, hours = (_values(cron[1], 60), _values(cron[2], 24)) if cron else (None, None)
    return None if minutes is None or hours is None else float(minutes * hours * DAYS)


def _values(field: str, most: int) -> int | None:
    """Count the values of a field of a cron expression."""
    total = 0
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, dash, last = span.partition("-")
        if not (span == "*" or first.isdecimal()) or not (step.isdecimal() or not step):
            return None
        if dash and not last.isdecimal():
            return None
        start = 0 if span == "*" else int(first)
        end = int(last) if dash else start if not step and span != "*" else most - 1
        total += len(range(start, end + 1, max(1, int(step or 1))))
    return min(total, most)


def rule(resource: Resource, prices: Prices) -> Lines:
    """Return the cost of an EventBridge rule with a schedule."""
    if not resource.is_set("ScheduleExpression"):
        return iter(())
    targets = chain.from_iterable(
        resource.scope.get(target, "Arn") for target in resource.items("Targets")
    )
    return _scheduled(resource, list(targets), prices)


def schedule(resource: Resource, prices: Prices) -> Lines:
    """Return the cost of a schedule of the EventBridge Scheduler."""
    return _scheduled(resource, list(resource.values("Target", "Arn")), prices)


def of_function(resource: Resource, prices: Prices) -> Lines:
    """Return the cost of the schedules among a SAM function's events."""
    for events in resource.values("Events"):
        named = events.values() if isinstance(events, dict) else [] if events is ABSENT else [{}]
        for event in named:
            kinds = set(map(str, resource.scope.get(event, "Type")))
            if kinds & {"Schedule", "ScheduleV2"}:
                yield from _event(resource, event, prices)
            elif kinds == {"SQS"}:
                if _has(resource, event, "ProvisionedPollerConfig"):
                    yield resource.forbidden("provisioned pollers")
                yield resource.shared("polls of a queue", "queue_pollers")
            elif not kinds <= _FREE_EVENTS:
                yield resource.unknown("source of events of unknown cost")


def _has(resource: Resource, event: Any, name: str) -> bool:
    return any(v is not ABSENT for v in resource.scope.get(event, "Properties", name))


_FREE_EVENTS = {"AlexaSkill", "Api", "CloudWatchEvent", "CloudWatchLogs", "Cognito", "DynamoDB"} | {
    "EventBridgeRule", "HttpApi", "IoTRule", "S3", "SNS",
}  # fmt: skip


def _event(resource: Resource, event: Any, prices: Prices) -> Lines:
    scope = resource.scope
    if all(
        value is not ABSENT and is_false(value)
        for value in scope.get(event, "Properties", "Enabled")
    ):
        return
    names = ("Schedule", "ScheduleExpression")
    found = [v for name in names for v in scope.get(event, "Properties", name) if v is not ABSENT]
    for expression in found or [None]:
        yield _line(resource, runs(expression), _call(resource, prices))


def _scheduled(resource: Resource, targets: list[Any], prices: Prices) -> Lines:
    if all(value == "DISABLED" for value in resource.values("State")):
        return
    for expression in resource.values("ScheduleExpression"):
        times = runs(expression)
        for target in targets or [None]:
            usd = _target_call(resource.scope, target, prices)
            yield _line(resource, times, usd)


def _line(resource: Resource, times: float | None, usd: float | None) -> Line:
    if times == 0:
        return resource.priced("a single run", 0.0)
    if times is None or usd is None:
        return resource.unknown("scheduled runs of unknown number or cost")
    return resource.priced(f"scheduled runs, at most {times:.0f} a month", times * usd)


def _target_call(scope: Scope, target: object, prices: Prices) -> float | None:
    name = target.name if isinstance(target, Reference) else ""
    body = scope.resources.get(name)
    kind = body.get("Type") if isinstance(body, dict) else None
    if kind not in {"AWS::Lambda::Function", "AWS::Serverless::Function"}:
        return None
    function = Resource(file="", name=name, type=str(kind), body=body, scope=scope)
    return _call(function, prices)


def _call(function: Resource, prices: Prices) -> float | None:
    """Return the price of one run whose attempts all last until the function's time-out."""
    memory = _most(function.values("MemorySize"), DEFAULT_MEMORY_MB)
    seconds = _most(function.values("Timeout"), DEFAULT_SECONDS)
    if memory is None or seconds is None:
        return None
    gb_second = memory / 1024 * prices["lambda_gb_second_x86"]
    log = LOG_BYTES_PER_CALL / 1e9 * prices["cloudwatch_logs_ingest_gb"]
    return ATTEMPTS * (prices["lambda_request"] + seconds * gb_second + log)


def _most(values: tuple[Any, ...], default: float) -> float | None:
    numbers = [default if value is ABSENT else _number(value) for value in values]
    known: Iterator[float] = (number for number in numbers if number is not None)
    return None if None in numbers else max(known)


def _number(value: Any) -> float | None:
    is_number = isinstance(value, (int, float)) or (isinstance(value, str) and value.isdecimal())
    return float(value) if is_number and not isinstance(value, bool) else None
