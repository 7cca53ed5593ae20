"""The idle bill of CloudFormation templates: every resource priced, forbidden or of unknown cost.

Every condition may hold and every parameter may have any value, unless the template itself rules
it out; so a cost that is hidden in a condition, a mapping or a nested stack is in the bill.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from healthval.cloud.audit import loops, sam
from healthval.cloud.audit.lines import Line, Resource, Verdict
from healthval.cloud.audit.rules import RULES
from healthval.cloud.audit.template import read_template
from healthval.cloud.audit.types import FORBIDDEN, FORBIDDEN_HOURLY, FREE, TRAPS
from healthval.cloud.audit.values import ABSENT, UNKNOWN, Scope, Values
from healthval.cloud.estimate import Storage
from healthval.cloud.prices import Prices
from healthval.errors import UsageError

BASE_LIMIT_USD: Final = 0.50
MAX_STACKS: Final = 50
SAM: Final = "AWS::Serverless-2016-10-31"
LOOPS: Final = "AWS::LanguageExtensions"
_HEAD: Final = {
    "AWSTemplateFormatVersion",
    "Description",
    "Metadata",
    "Transform",
    "Hooks",
    "Globals",
}
SECTIONS: Final = {"Parameters", "Rules", "Mappings", "Conditions", "Resources", "Outputs"} | _HEAD
_POLICIES: Final = {"CreationPolicy", "DeletionPolicy", "UpdatePolicy", "UpdateReplacePolicy"}
ATTRIBUTES: Final = {
    "Type",
    "Properties",
    "Condition",
    "DependsOn",
    "Metadata",
    "Connectors",
} | _POLICIES
_TYPE: Final = re.compile(r"[A-Za-z0-9]{1,64}(::[A-Za-z0-9@]{1,64}){1,3}")
_NAME: Final = re.compile(r"[A-Za-z0-9]{1,255}")
_NESTED: Final = {
    "AWS::CloudFormation::Stack": "TemplateURL",
    "AWS::Serverless::Application": "Location",
}
POLLS_A_MONTH: Final = 5 * 730 * 3600 // 20  # five pollers of a queue wait 20 seconds each


@dataclass(frozen=True, slots=True)
class IdleBill:
    """Cost of a month without evaluations, for one or several templates."""

    lines: tuple[Line, ...]
    limit_usd: float

    @property
    def usd(self) -> float:
        """Sum of all known prices, in US dollars."""
        return sum(line.usd or 0.0 for line in self.lines)

    @property
    def faults(self) -> tuple[Line, ...]:
        """Lines that are forbidden or of unknown cost."""
        return tuple(line for line in self.lines if line.verdict != "priced")

    @property
    def passes(self) -> bool:
        """Return whether nothing is forbidden or unknown and the sum is within the limit."""
        return not self.faults and round(self.usd, 6) <= self.limit_usd


def audit_templates(
    paths: Sequence[Path],
    prices: Prices,
    *,
    limit_usd: float = BASE_LIMIT_USD,
    storage: Storage | None = None,
) -> IdleBill:
    """Return the idle bill of templates that are deployed together.

    Parameters
    ----------
    paths : templates; one that cannot be read is a line of unknown cost
    limit_usd : most that a month without evaluations may cost
    storage : stored data, which are billed once for all templates
    """
    opened: list[Path] = []
    lines = [
        line
        for path in dict.fromkeys(paths)
        for line in _file_lines(path.name, prices, _Stack(path, (), None, opened))
    ]
    return IdleBill(tuple(_settled(lines, prices, storage or Storage())), limit_usd)


@dataclass(frozen=True, slots=True)
class _Stack:
    """One template to audit: its parents, its given parameters, and all templates read so far."""

    path: Path
    parents: tuple[Path, ...]
    given: dict[str, Values] | None
    opened: list[Path]

    def nested(self, path: Path, given: dict[str, Values]) -> "_Stack | None":
        """Return a template inside this one; None if it contains itself or is one too many."""
        parents = (*self.parents, self.path.resolve())
        self.opened.append(path)
        if path in parents or len(self.opened) > MAX_STACKS:
            return None
        return _Stack(path, parents, given, self.opened)


def _file_lines(name: str, prices: Prices, stack: _Stack) -> Iterator[Line]:
    try:
        template = read_template(stack.path)
        yield from _template_lines(template, name, prices, stack)
    except UsageError as error:
        yield Line(place=name, what=str(error), usd=None, verdict="unknown")


def _template_lines(
    template: dict[str, Any], name: str, prices: Prices, stack: _Stack
) -> Iterator[Line]:
    transforms = _transforms(template)
    if LOOPS in transforms:
        template = loops.write_out(template)
    if SAM in transforms:
        template = sam.with_globals(template)
    yield from _macro_lines(template, name, transforms)
    scope = Scope(
        parameters=_section(template, "Parameters"),
        mappings=_section(template, "Mappings"),
        conditions=_section(template, "Conditions"),
        resources=template["Resources"],
        given=stack.given,
    )
    for resource in _resources(template, name, scope, is_sam=SAM in transforms):
        if isinstance(resource, Line):
            yield resource
        elif resource.type in _NESTED:
            yield from _nested_lines(resource, prices, stack)
        else:
            yield from resource_lines(resource, prices)


def _section(template: dict[str, Any], name: str) -> dict[str, Any]:
    found = template.get(name)
    return found if isinstance(found, dict) else {}


def _transforms(template: dict[str, Any]) -> list[str]:
    declared = template.get("Transform", [])
    each = declared if isinstance(declared, list) else [declared]
    return [entry if isinstance(entry, str) else "?" for entry in each]


def _macro_lines(template: dict[str, Any], name: str, transforms: list[str]) -> Iterator[Line]:
    for transform in transforms:
        if transform not in {SAM, LOOPS}:
            yield Line(place=name, what="a macro may add any resource", usd=None, verdict="unknown")
    if not set(template) <= SECTIONS:
        what = "a section that CloudFormation does not have; it may add resources"
        yield Line(place=name, what=what, usd=None, verdict="unknown")
    if template.get("Hooks"):
        yield Line(place=name, what="a hook may add resources", usd=None, verdict="unknown")
    for section, place in _places(template):
        if section == "Metadata":
            continue
        what = "a macro may change this part"
        yield Line(place=f"{name}: {place}", what=what, usd=None, verdict="unknown")


def _places(template: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Return the places of macros and of loops that are not written out."""
    for section, content in template.items():
        todo: list[tuple[str, Any]] = [(str(section), content)]
        while todo:
            place, node = todo.pop()
            if isinstance(node, dict):
                if any(str(key).startswith(("Fn::Transform", loops.LOOP)) for key in node):
                    yield section, place
                todo += [(_below(place, key), child) for key, child in node.items()]
            elif isinstance(node, list):
                todo += [(place, child) for child in node]


def _below(place: str, key: object) -> str:
    known = "." not in place and isinstance(key, str) and _NAME.fullmatch(key)
    return f"{place}.{key}" if known else place


def _resources(
    template: dict[str, Any], file: str, scope: Scope, *, is_sam: bool
) -> Iterator[Resource | Line]:
    for number, (name, body) in enumerate(template["Resources"].items(), 1):
        kind = body.get("Type") if isinstance(body, dict) else None
        if str(name).startswith(("Fn::Transform", loops.LOOP)):
            continue  # reported as a macro
        named = isinstance(name, str) and _NAME.fullmatch(name)
        if not isinstance(kind, str) or not _TYPE.fullmatch(kind) or not named:
            what = "a resource without a valid name and type"
            yield Line(place=f"{file}: resource {number}", what=what, usd=None, verdict="unknown")
            continue
        condition = body.get("Condition")
        if condition is not None and scope.truth(condition) == {False}:
            continue
        resource = Resource(file=file, name=name, type=kind, body=body, scope=scope)
        if not set(body) <= ATTRIBUTES:
            yield resource.unknown("an attribute that CloudFormation does not have")
            continue
        if kind.startswith("AWS::Serverless::") and not is_sam:
            yield resource.unknown("a SAM resource without the transform of SAM")
            continue
        yield resource
    yield from sam.global_resources(template, file, scope) if is_sam else ()


def resource_lines(resource: Resource, prices: Prices) -> Iterator[Line]:
    """Return the lines of one resource; at least one."""
    reason = _forbidden(resource.type)
    if reason:
        hourly = FORBIDDEN_HOURLY.get(resource.type)
        hours = prices.content.hours_per_month
        yield resource.forbidden(reason, prices[hourly] * hours if hourly else None)
        return
    rule, traps = RULES.get(resource.type), TRAPS.get(resource.type, ())
    if rule is None and not traps and resource.type not in FREE:
        yield resource.unknown(_why_unknown(resource.type))
        return
    if not isinstance(resource.properties, dict):
        yield resource.unknown("properties that are not known")
        return
    found = list(_trapped(resource))
    found += rule(resource, prices) if rule else []
    yield from found or [resource.priced("nothing while unused", 0.0)]


def _forbidden(kind: str) -> str | None:
    for name, reason in FORBIDDEN.items():
        if kind == name or (name.endswith("::") and kind.startswith(name)):
            return reason
    return None


def _why_unknown(kind: str) -> str:
    if kind.startswith("Custom::") or kind == "AWS::CloudFormation::CustomResource":
        return "a custom resource may create anything"
    if kind.endswith("::MODULE"):
        return "a module may add any resource"
    return "a type of unknown cost"


def _trapped(resource: Resource) -> Iterator[Line]:
    for trap in TRAPS.get(resource.type, ()):
        path = trap.path.split(".")
        allowed = trap.allowed
        if allowed is None and not resource.is_on(*path):
            continue
        if allowed is not None and resource.is_one_of(set(allowed), *path):
            continue
        make = resource.forbidden if trap.verdict == "forbidden" else resource.unknown
        yield make(trap.what)


def _nested_lines(resource: Resource, prices: Prices, stack: _Stack) -> Iterator[Line]:
    if resource.is_set("TemplateBody"):
        yield resource.unknown("a nested template in the text; write it to a separate file")
        return
    given = _given(resource)
    for place in resource.values(_NESTED[resource.type]):
        local = isinstance(place, str) and "://" not in place
        path = (stack.path.parent / place).resolve() if local else None
        if path is None or not path.is_file():
            yield resource.unknown("a nested template that is not a file here; name its local path")
        elif (inner := stack.nested(path, given)) is None:
            yield resource.unknown("nested templates that contain themselves, or too many of them")
        else:
            yield from _file_lines(f"{resource.file}: {resource.name}: {path.name}", prices, inner)


def _given(resource: Resource) -> dict[str, Values]:
    found: dict[str, Values] = {}
    for parameters in resource.values("Parameters"):
        if isinstance(parameters, dict):
            for name in parameters:
                values = resource.scope.get(parameters, name)
                # a reference belongs to the parent's resources, not to those of the nested stack
                plain = tuple(v if isinstance(v, (str, int, float)) else UNKNOWN for v in values)
                found[name] = (*found.get(name, ()), *plain)
        elif parameters is not ABSENT:
            return _Anything()
    return found


class _Anything(dict[str, Values]):
    """Parameters that are not known: each one may have any value."""

    def __contains__(self, _: object) -> bool:
        return True

    def __getitem__(self, _: str) -> Values:
        return (UNKNOWN,)


def _settled(lines: list[Line], prices: Prices, kept: Storage) -> Iterator[Line]:
    """Price what all resources of the account share: stored data and standing allowances."""
    counts = Counter(line.count for line in lines if line.count)
    yield from (line for line in lines if not line.count or line.verdict != "priced")
    for name, (what, usd) in _shared(counts, prices, kept).items():
        if counts[name]:
            verdict: Verdict = "unknown" if usd is None else "priced"
            yield Line(
                place=f"{counts[name]} in all", what=what, usd=usd, verdict=verdict, count=name
            )


def _shared(
    counts: Counter[str], prices: Prices, kept: Storage
) -> dict[str, tuple[str, float | None]]:
    content = prices.content
    objects = (kept.objects_gb + kept.versions_gb) * prices["s3_standard_gb_month"]
    polls = counts["queue_pollers"] * POLLS_A_MONTH

    def beyond(count: int, name: str) -> float:
        return max(0, count - content.allowances[name]) * prices[name]

    return {
        "repositories": (f"images, {kept.images_gb:g} GB", kept.images_gb * prices["ecr_gb_month"]),
        "buckets": (f"objects and versions, {kept.objects_gb + kept.versions_gb:g} GB", objects),
        "log_groups": (f"logs, {kept.logs_gb:g} GB", kept.logs_gb * prices["cloudwatch_logs_store_gb_month"]),
        "tables": ("index within the standing allowance", 0.0),
        "recoveries": (f"point-in-time recovery, {kept.index_gb:g} GB", kept.index_gb * prices["dynamodb_pitr_gb_month"]),
        "alarms": ("alarms", beyond(counts["alarms"], "cloudwatch_alarm_month")),
        "dashboards": ("dashboards", beyond(counts["dashboards"], "cloudwatch_dashboard_month")),
        "metrics": ("custom metrics", beyond(counts["metrics"], "cloudwatch_custom_metric_month")),
        "queue_pollers": (f"polls of queues, {polls}", beyond(polls, "sqs_request")),
        "trails": ("trail of management events", 0.0) if counts["trails"] < 2
        else ("events of a second trail", None),
    }  # fmt: skip
