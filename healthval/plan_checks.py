"""Checks of a whole plan: what would fail, or mean something else, after its registration."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from healthval.contracts.access import Label, PlanName
from healthval.contracts.monitoring import ENDED, PERIOD
from healthval.contracts.submission import COMMON_LEVELS, FOLDED
from healthval.contracts.table import (
    OLDEST_CREDIBLE_AGE,
    CategoryColumn,
    ColumnSchema,
    Eligibility,
    Link,
)
from healthval.errors import counted

if TYPE_CHECKING:
    from healthval.plan import Plan

_AT_THRESHOLD = frozenset({"sensitivity", "specificity", "ppv", "npv", "net_benefit"})
_RANGES = {
    **dict.fromkeys(("auroc", "brier", "sensitivity", "specificity", "ppv", "npv"), (0.0, 1.0)),
    "oe": (0.0, float("inf")),
    "net_benefit": (-float("inf"), 1.0),
}
_INPUTS = frozenset({"number", "age", "category"})
# Begins each sentence of the template that a person has to replace.
FILL_IN = "FILL IN"
UNNAMED_MODEL = "fill-in"
_VERDICTS = ("positive", "negative", "indeterminate")
RESERVED = frozenset(
    {
        *("rows_read", "with_resources", "first_view_rows", "with_images", "images_deidentified"),
        *(
            "scored",
            COMMON_LEVELS,
            ENDED,
            "files_not_read",
            "references_unresolved",
            "resources_superseded",
        ),
    }
)


def problems_of(plan: Plan) -> list[str]:
    """Problems of a plan whose fields fit, each with its place and remedy; no value is quoted."""
    return [
        *_unedited(plan),
        *_table(plan),
        *_bands(plan),
        *_inputs(plan),
        *_subgroups(plan),
        *_small_levels(plan),
        *_monitoring(plan),
        *_acceptance(plan),
        *_secure_sum(plan),
        *_eligibility(plan),
        *_links(plan),
        *_names(plan),
    ]


def variables_of(plan: Plan) -> tuple[str, ...]:
    """Columns that a release names: ages, inputs and subgroups."""
    ages = (name for name, column in plan.columns.items() if column.kind == "age")
    return tuple(dict.fromkeys((*ages, *plan.inputs, *plan.subgroups)))


def _unedited(plan: Plan) -> Iterator[str]:
    for place in places_of(plan.model_dump(mode="json"), lambda text: FILL_IN in text):
        yield f"{place}: the text of the template is still here; replace it"
    if plan.model.name == UNNAMED_MODEL:
        yield "model: no model is named yet; `healthval models list` prints names and versions"


def places_of(value: Any, matches: Callable[[str], bool], place: str = "") -> Iterator[str]:
    """Paths of the texts that match, in nested mappings and lists."""
    if isinstance(value, str) and matches(value):
        yield place
    parts = dict(enumerate(value)) if isinstance(value, list) else value
    for name, part in parts.items() if isinstance(parts, dict) else ():
        yield from places_of(part, matches, f"{place}.{name}" if place else str(name))


def _table(plan: Plan) -> Iterator[str]:
    if not plan.table.of_kind("id"):
        yield "table: no column is declared 'id'; declare the column that identifies a case"
    if not any(column.kind == "label" for column in plan.columns.values()):
        yield "table: no column is declared 'label'; declare the reference standard"


def _inputs(plan: Plan) -> Iterator[str]:
    yield from _once("inputs", plan.inputs)
    for name in plan.inputs:
        kind = plan.columns[name].kind
        if kind not in _INPUTS:
            yield (
                f"inputs: column '{name}' is declared '{kind}'; an input is a number, an age or a "
                "category"
            )


def _subgroups(plan: Plan) -> Iterator[str]:
    yield from _once("subgroups", plan.subgroups)
    for name in plan.subgroups:
        column = plan.columns[name]
        if column.kind not in _INPUTS:
            yield (
                f"subgroups: column '{name}' is declared '{column.kind}'; a subgroup is a category, "
                "or an age or number with 'bands'"
            )
        elif column.kind != "category" and not getattr(column, "bands", ()):
            yield f"subgroups: column '{name}' has no 'bands'; add their lower edges in the table"


def _small_levels(plan: Plan) -> Iterator[str]:
    if plan.levels is None:
        return
    if not plan.subgroups:
        yield "levels: the plan has no subgroups whose levels could be small; remove it"
    columns = {name: plan.columns[name] for name in plan.subgroups}
    taken = [n for n, c in columns.items() if FOLDED in getattr(c, "names", {}).values()]
    if plan.levels.rule == "fold" and taken:
        yield f"levels: column '{taken[0]}' has a level '{FOLDED}', the name of folded levels; rename it"


def _monitoring(plan: Plan) -> Iterator[str]:
    watched = plan.monitoring
    if watched is None:
        return
    yield from (f"monitoring: {p}" for p in _is_date(plan, watched.date, "'date'"))
    yield from _once(
        "monitoring.alarms", [(rule.measure, rule.direction) for rule in watched.alarms]
    )
    if PERIOD in plan.columns:
        yield f"monitoring: a column is named '{PERIOD}', as the periods are; give it another name"
    at_threshold = {rule.measure for rule in watched.alarms} & _AT_THRESHOLD
    if at_threshold and not plan.thresholds:
        yield f"monitoring.alarms: {min(at_threshold)} needs one of the plan's 'thresholds'; add it"


def _secure_sum(plan: Plan) -> Iterator[str]:
    if plan.secure_sum is not None and not plan.thresholds:
        yield "secure_sum: the tables have a row for each of the plan's 'thresholds'; add one, or remove it"


def _acceptance(plan: Plan) -> Iterator[str]:
    yield from _once("thresholds", plan.thresholds)
    yield from _once("acceptance", [(c.metric, c.threshold) for c in plan.acceptance])
    for at, criterion in enumerate(plan.acceptance):
        place = f"acceptance.{at} ({criterion.metric})"
        if criterion.metric not in _AT_THRESHOLD and criterion.threshold is not None:
            yield f"{place}: this metric has no threshold; remove it"
        elif criterion.metric in _AT_THRESHOLD and criterion.threshold is None:
            yield f"{place}: this metric needs a 'threshold', one of the plan's thresholds"
        elif criterion.threshold is not None and criterion.threshold not in plan.thresholds:
            yield f"{place}: its threshold is not judged; add it to the plan's 'thresholds'"
        low, high = _RANGES.get(criterion.metric, (-float("inf"), float("inf")))
        given = [bound for bound in (criterion.low, criterion.high) if bound is not None]
        if any(not low <= bound <= high for bound in given):
            yield f"{place}: 'low' or 'high' is outside {low:g} to {high:g}; give it on that scale"


def _once(place: str, names: Iterable[object]) -> Iterator[str]:
    listed = list(names)
    n_repeated = len(listed) - len(set(listed))
    if n_repeated:
        repeated = counted(n_repeated, "entry is", "entries are")
        yield f"{place}: {repeated} repeated; keep one of each"


def _eligibility(plan: Plan) -> Iterator[str]:
    for step in plan.eligibility:
        place = f"eligibility '{step.step}'"
        if step.step in RESERVED:
            yield f"{place}: this name is a step of healthval; choose another one"
        column = plan.columns[step.column]
        yield from (f"{place}: {problem}" for problem in _step(step, column, plan))


def _step(step: Eligibility, column: ColumnSchema, plan: Plan) -> Iterator[str]:
    limits = step.low is not None or step.high is not None
    dates = bool(step.not_before or step.before or step.within)
    for given, kinds, name in (
        (limits, {"number", "age"}, "low and high"),
        (bool(step.levels), {"category", "label"}, "levels"),
        (dates, {"date"}, "dates"),
    ):
        if given and column.kind not in kinds:
            yield f"{name} do not fit column '{step.column}', which is declared '{column.kind}'"
    if column.kind == "drop":
        yield f"column '{step.column}' is declared 'drop' and is not read; declare its kind"
    if step.low is not None and step.high is not None and step.low > step.high:
        yield "'low' is above 'high'; exchange them"
    if limits and column.kind in {"number", "age"}:
        least, most = _credible(column)
        if (step.low is not None and step.low > most) or (
            step.high is not None and step.high < least
        ):
            yield f"no value of column '{step.column}' can be in its range; correct low and high"
    if step.not_before and step.before and step.not_before >= step.before:
        yield "'not_before' is not earlier than 'before'; correct the dates"
    yield from _step_levels(step, column)
    if step.within is not None:
        yield from _is_date(plan, step.within.of, "'of' in 'within'")


def _step_levels(step: Eligibility, column: ColumnSchema) -> Iterator[str]:
    if not step.levels or column.kind not in {"category", "label"}:
        return
    known = set(_levels(column))
    if n := len(set(step.levels) - known):
        yield (
            f"{counted(n, 'level is', 'levels are')} not among the levels of column '{step.column}'; "
            "correct the spelling"
        )
    if step.exclude and column.kind == "category" and set(step.levels) >= known:
        yield f"every level of column '{step.column}' is excluded; name the levels to exclude"


def _credible(column: ColumnSchema) -> tuple[float, float]:
    """Least and greatest value that is read."""
    if column.kind == "age":
        return 0.0, OLDEST_CREDIBLE_AGE
    low, high = (getattr(column, name, None) for name in ("low", "high"))
    return (-float("inf") if low is None else low), (float("inf") if high is None else high)


def _bands(plan: Plan) -> Iterator[str]:
    for name, column in plan.columns.items():
        least, most = _credible(column)
        if any(not least <= edge <= most for edge in getattr(column, "bands", ())):
            yield (
                f"table.columns.{name}: an edge of 'bands' is outside the values that are read; "
                "correct it, or 'low' and 'high'"
            )


def _levels(column: ColumnSchema) -> tuple[str, ...]:
    return tuple(column.names.values()) if isinstance(column, CategoryColumn) else _VERDICTS


def _is_date(plan: Plan, name: str, what: str) -> Iterator[str]:
    column = plan.columns.get(name)
    if column is None:
        yield f"{what} names a column that the table does not declare; declare it 'date'"
    elif column.kind != "date":
        yield f"{what} names column '{name}', which is declared '{column.kind}', not 'date'"


def _links(plan: Plan) -> Iterator[str]:
    for source in plan.linkage:
        place = f"linkage '{source.name}'"
        theirs = source.table.columns
        yield from _link(plan, source.link, place)
        if not set(source.link.on.values()) <= theirs.keys():
            yield f"{place}: 'on' names a column that its table does not declare; declare it"
        keys = set(source.link.on.values())
        taken = sorted((theirs.keys() - keys) & _other_columns(plan, source.name))
        if taken:
            yield f"{place}: column '{taken[0]}' is declared in another table too; rename one of them"
        if source.link.date and getattr(theirs.get(source.link.date), "kind", "") != "date":
            yield f"{place}: 'date' names no column that its table declares 'date'"
    for name, link in (plan.fhir.links if plan.fhir else {}).items():
        place = f"fhir.links.{name}"
        yield from _link(plan, link, place)
        if link.date:
            yield from (f"{place}: {p}" for p in _is_date(plan, link.date, "'date'"))


def _other_columns(plan: Plan, name: str) -> set[str]:
    """Columns of the plan's table and of the linked tables before `name`; keys of links are not added."""
    found = set(plan.table.columns)
    for source in plan.linkage:
        if source.name == name:
            break
        found |= source.table.columns.keys() - set(source.link.on.values())
    return found


def _link(plan: Plan, link: Link, place: str) -> Iterator[str]:
    if not link.on.keys() <= plan.columns.keys() | {plan.fhir.on if plan.fhir else ""}:
        yield f"{place}: 'on' names a column that the table does not declare; declare it"
    if link.anchor:
        yield from (f"{place}: {p}" for p in _is_date(plan, link.anchor, "'anchor'"))


_NAME, _LABEL = TypeAdapter[str](PlanName), TypeAdapter[str](Label)


def _names(plan: Plan) -> Iterator[str]:
    """Names that would be refused in the request for access."""
    advice = "that looks like no number, date or address"
    if not _fits(_LABEL, plan.title):
        yield f"title: give the study a title {advice}"
    for i, step in enumerate(plan.eligibility):
        if not _fits(_NAME, step.step):
            yield f"eligibility.{i}.step: give the step a name {advice}"
    for name in variables_of(plan):
        if not _fits(_NAME, name):
            yield (
                f"table: column '{name}' is an age, an input or a subgroup, and reports name it; give"
                f" it a name of letters from A to Z, digits, '_' and '.', {advice}, and the table's"
                " own name under 'sources'"
            )
        levels = set(getattr(plan.columns[name], "names", {}).values())
        if bad := sum(not _fits(_NAME, level) for level in levels):
            yield (
                f"table: column '{name}' has {counted(bad, 'level')} with a name that looks like a "
                "number, a date or an address; give others under 'levels'"
            )


def _fits(adapter: TypeAdapter[str], text: str) -> bool:
    try:
        adapter.validate_python(text)
    except ValidationError:
        return False
    return True
