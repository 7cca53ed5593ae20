"""Declarations of the plan: columns, eligibility, links between tables, FHIR inputs."""

import re
from datetime import date
from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, JsonValue, model_validator

from healthval.contracts.base import Column, Wire
from healthval.contracts.text import UNSEEN, check_seen

SourceColumn = Annotated[
    str, Field(pattern=rf"^[^\x00-\x1f{UNSEEN}<>]{{1,128}}$"), AfterValidator(check_seen)
]


def _not_text(value: object) -> object:
    if isinstance(value, (str, bool)):
        raise ValueError(  # noqa: TRY004 (pydantic reports only a ValueError)
            "a number is needed, and YAML 1.2 has a text or truth value here; write it like 60 or 0.5"
        )
    return value


NotText = BeforeValidator(_not_text)
Finite = Annotated[float, NotText, Field(strict=True)]
Days = Annotated[int, NotText, Field(ge=0, le=36_525)]
Unit = Annotated[str, Field(pattern=r"^[A-Za-z0-9%/.*^ ()\[\]{}_'°²³µμ-]{0,32}$")]


def _calendar_day(text: str) -> str:
    try:
        date.fromisoformat(text)
    except ValueError:
        raise ValueError("the date does not exist; write an existing day as YYYY-MM-DD") from None
    return text


IsoDate = Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$"), AfterValidator(_calendar_day)]


def _ascending(edges: tuple[float, ...]) -> tuple[float, ...]:
    if any(a >= b for a, b in pairwise(edges)):
        raise ValueError("band edges must ascend")
    return edges


OLDEST_CREDIBLE_AGE = 130  # years
LabelValue = Annotated[str, Field(min_length=1, max_length=64)] | bool | int | float
LabelValues = Annotated[tuple[LabelValue, ...], Field(max_length=32)]
# Codes that a source writes where it has no value, such as ".", "-" or -999.
Missing = Annotated[tuple[LabelValue, ...], Field(max_length=32)]
_TRANSLATED = '{"1": female, "2": male}'
_LEVEL = re.compile(r"[A-Za-z][A-Za-z0-9_.]{0,63}")


def _level_names(value: object) -> object:
    """Refuse levels that are no names, with the remedy; whole numbers to translate become text."""
    if not isinstance(value, (dict, list, tuple)) or not value:
        raise ValueError(f"levels are a list of names, or their translation, such as {_TRANSLATED}")
    names = value.values() if isinstance(value, dict) else value
    if not all(isinstance(name, str) and _LEVEL.fullmatch(name) for name in names):
        raise ValueError(
            "a level is a name: a letter, then letters, digits, _ or . (at most 64); translate other "
            f"texts to names, such as {_TRANSLATED}"
        )
    if not isinstance(value, dict):
        return value
    if any(type(text) not in (str, int) or text == "" for text in value):
        raise ValueError(
            "a text to translate is a truth value, a decimal or empty; write it in quotes"
        )
    return {str(text): level for text, level in value.items()}


def _are_names(value: object) -> object:
    listed = value if isinstance(value, (list, tuple)) else [None]
    if not all(isinstance(name, str) and _LEVEL.fullmatch(name) for name in listed):
        raise ValueError(
            "a step lists levels by the names that the plan gives them, such as [female]"
        )
    return value


Levels = Annotated[
    Annotated[tuple[Column, ...], Field(min_length=1, max_length=64)]
    | Annotated[
        dict[Annotated[str, Field(min_length=1, max_length=128)], Column],
        Field(min_length=1, max_length=64),
    ],
    BeforeValidator(_level_names),
]


Bands = Annotated[tuple[Finite, ...], Field(max_length=32), AfterValidator(_ascending)]


_BOOLEANS = {"true": "1", "yes": "1", "on": "1", "false": "0", "no": "0", "off": "0"}


class Declared(Wire):
    """Base of the plan's declarations: closed like the wire, but a YAML list is accepted as a tuple."""

    model_config = ConfigDict(strict=False)


class IdColumn(Declared):
    """Identifier of a case, replaced by a keyed pseudonym; the first one declared is the case's key."""

    kind: Literal["id"]


class ClusterColumn(Declared):
    """Identifier of the case's patient."""

    kind: Literal["cluster"]


class DateColumn(Declared):
    """A date or a time, written as ISO 8601."""

    kind: Literal["date"]
    missing: Missing = ()


class AgeColumn(Declared):
    """Age in years; de-identification replaces ages above 89 by 90.

    With `at`, the source has birth dates, and the age is in completed years at the date in column
    `at` (FHIR has no ages).
    """

    kind: Literal["age"]
    bands: Bands = ()
    at: SourceColumn | None = None
    missing: Missing = ()


class ZipColumn(Declared):
    """A United States ZIP code."""

    kind: Literal["zip"]
    missing: Missing = ()


class CategoryColumn(Declared):
    """One of the listed levels; a mapping translates the source's text to a level."""

    kind: Literal["category"]
    levels: Levels
    missing: Missing = ()

    @model_validator(mode="after")
    def _levels_are_not_missing(self) -> Self:
        if {plain_token(code) for code in self.missing} & {plain_token(w) for w in self.names}:
            raise ValueError("a code in 'missing' is also a level; keep it in one of them")
        levels: dict[str, str] = {}
        for word, level in self.names.items():
            if levels.setdefault(plain_token(word), level) != level:
                raise ValueError("one text, such as 1 and 1.0, is given two levels; keep one")
        return self

    @property
    def names(self) -> dict[str, str]:
        """Level of each text of the source."""
        if isinstance(self.levels, dict):
            return dict(self.levels)
        return {level: level for level in self.levels}


Factor = Annotated[float, Field(strict=True, gt=0)] | Literal["ucum", "hba1c"]


class NumberColumn(Declared):
    """A number with optional limits.

    `unit_column` names the column with each value's unit, if there is one. `convert` gives for
    another unit the factor to the declared one, "ucum" for a conversion by the definitions of the units,
    or "hba1c" for HbA1c in % and mmol/mol; values in any other unit are refused, or counted and set to missing by ``other_units:
    exclude``. `comparator_column` names the column with "<", "=" or ">", if there is one. `below_limit`
    is the treatment of a result below a limit, such as "<0.5": the limit itself, half of it, or a
    missing value that is counted. `bands` are the lower edges by which subgroups and Table 1 group the
    number.
    """

    kind: Literal["number"]
    low: Finite | None = None
    high: Finite | None = None
    unit: Unit = ""
    unit_column: SourceColumn | None = None
    convert: Annotated[dict[Unit, Factor], Field(max_length=16, default_factory=dict)]
    other_units: Literal["refuse", "exclude"] = "refuse"
    comparator_column: SourceColumn | None = None
    below_limit: Literal["value", "half", "exclude"] | None = None
    missing: Missing = ()
    bands: Bands = ()

    @model_validator(mode="after")
    def _limits_are_ordered(self) -> Self:
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise ValueError("'low' must be below 'high'")
        if self.unit_column is not None and not self.unit:
            raise ValueError("'unit_column' needs the expected 'unit'")
        if (self.convert or self.other_units != "refuse") and self.unit_column is None:
            raise ValueError("'convert' and 'other_units' need 'unit_column'")
        return self


class LabelColumn(Declared):
    """The reference standard, or one reader's verdict; an empty cell is a missing verdict."""

    kind: Literal["label"]
    positive: Annotated[LabelValues, Field(min_length=1)]
    negative: Annotated[LabelValues, Field(min_length=1)]
    indeterminate: LabelValues = ()
    missing: Missing = ()

    @model_validator(mode="after")
    def _values_are_disjoint(self) -> Self:
        verdicts = (self.positive, self.negative, self.indeterminate)
        groups = [{label_token(value) for value in values} for values in verdicts]
        if len(set().union(*groups)) != sum(map(len, groups)):
            raise ValueError("a label value has one verdict only")
        declared = {plain_token(v) for v in (*self.positive, *self.negative, *self.indeterminate)}
        if declared & {plain_token(code) for code in self.missing}:
            raise ValueError("a code in 'missing' is also a label value; keep it in one of them")
        return self


class DropColumn(Declared):
    """Declared, but never read."""

    kind: Literal["drop"]


ColumnSchema = Annotated[
    IdColumn
    | ClusterColumn
    | DateColumn
    | AgeColumn
    | ZipColumn
    | CategoryColumn
    | NumberColumn
    | LabelColumn
    | DropColumn,
    Field(discriminator="kind"),
]


class TableSchema(Declared):
    """Columns that may be read; a column that is not declared is dropped and reported.

    `readers` is the rule that combines several `label` columns, one per reader, to the reference
    standard; `verification` is partial if only some cases were to receive it. `sources` gives the
    site's own name of a column, where it differs from the declared one.

    Examples
    --------
    >>> schema = TableSchema.model_validate({"columns": {
    ...     "mrn": {"kind": "id"}, "age": {"kind": "age"},
    ...     "sepsis": {"kind": "label", "positive": [1], "negative": [0]}}})
    >>> schema.of_kind("label")
    ('sepsis',)
    """

    columns: Annotated[dict[SourceColumn, ColumnSchema], Field(min_length=1, max_length=512)]
    sources: Annotated[
        dict[SourceColumn, SourceColumn], Field(max_length=512, default_factory=dict)
    ]
    readers: Literal["single", "majority", "unanimous"] = "single"
    verification: Literal["complete", "partial"] = "complete"

    @model_validator(mode="after")
    def _ages_have_dates(self) -> Self:
        dates = self.of_kind("date")
        for column in self.columns.values():
            if isinstance(column, AgeColumn) and column.at and column.at not in dates:
                raise ValueError("age column: 'at' must name a 'date' column")
        return self

    @model_validator(mode="after")
    def _has_one_of_each(self) -> Self:
        if len(self.of_kind("cluster")) > 1:
            raise ValueError("only one column can be the cluster")
        if (len(self.of_kind("label")) > 1) != (self.readers != "single"):
            raise ValueError(
                "several 'label' columns need 'readers: majority' or 'readers: unanimous'; "
                "one needs 'readers: single'"
            )
        return self

    @model_validator(mode="after")
    def _sources_are_of_declared_columns(self) -> Self:
        if not self.sources.keys() <= self.columns.keys():
            raise ValueError("'sources' names a column that is not declared under 'columns'")
        if len(set(self.sources.values())) < len(self.sources):
            raise ValueError("'sources' gives one column of the table two names; keep one")
        return self

    def settled(self) -> "TableSchema":
        """Return the schema of the table after reading: levels, ages and verdicts are translated."""
        columns = {name: _after_reading(column) for name, column in self.columns.items()}
        return self.model_copy(update={"columns": columns, "sources": {}})

    def of_kind(self, *kinds: str) -> tuple[str, ...]:
        """Return the names of the columns declared as one of `kinds`, in the plan's order."""
        return tuple(name for name, column in self.columns.items() if column.kind in kinds)


def _after_reading(column: ColumnSchema) -> ColumnSchema:
    if isinstance(column, CategoryColumn):
        levels = tuple(dict.fromkeys(column.names.values()))
        return column.model_copy(update={"levels": levels, "missing": ()})
    if isinstance(column, NumberColumn):
        read: dict[str, object] = {
            "unit_column": None,
            "comparator_column": None,
            "convert": {},
            "missing": (),
        }
        return column.model_copy(update=read | {"other_units": "refuse", "below_limit": None})
    if isinstance(column, AgeColumn):
        return column.model_copy(update={"at": None, "missing": ()})
    if isinstance(column, LabelColumn):
        words = {w: (w,) for w in ("positive", "negative", "indeterminate")}
        return column.model_copy(update=words | {"missing": ()})
    return column


class Within(Declared):
    """A window around a date of the same case, in whole days."""

    of: SourceColumn
    days_before: Days = 0
    days_after: Days = 0


class Eligibility(Declared):
    """One step of the flow diagram: cases that are kept or, with `exclude`, removed.

    All given conditions must hold. A case with a missing value meets only ``present: false``.
    """

    step: Column
    column: SourceColumn
    low: Finite | None = None
    high: Finite | None = None
    levels: Annotated[tuple[Column, ...], Field(max_length=64), BeforeValidator(_are_names)] = ()
    not_before: IsoDate | None = None
    before: IsoDate | None = None
    within: Within | None = None
    present: bool | None = None
    exclude: bool = False

    @model_validator(mode="after")
    def _has_a_condition(self) -> Self:
        single = (self.low, self.high, self.not_before, self.before, self.within, self.present)
        if not self.levels and all(condition is None for condition in single):
            raise ValueError("the step states no condition; an empty one is none")
        return self


class SmallLevels(Declared):
    """Treatment of the levels of a subgroup that have fewer than `minimum` cases at a site.

    By ``fold`` they become one level, by ``exclude`` their cases are not analysed and are counted in
    the flow. The rule counts cases only, never outcomes, so that it selects none by its outcome.
    """

    rule: Literal["fold", "exclude"]
    minimum: Annotated[int, NotText, Field(ge=2, le=100_000)] = 50


class Link(Declared):
    """Link from a case to rows of another table, and the choice of one row.

    `on` pairs a column of the cohort with the column of the rows that has the same identifier.
    `anchor` is the date of the case, `date` that of the row; the window compares them.
    """

    on: Annotated[dict[SourceColumn, SourceColumn], Field(min_length=1, max_length=4)]
    anchor: SourceColumn | None = None
    date: SourceColumn | None = None
    days_before: Days = 0
    days_after: Days = 0
    choose: Literal["only", "nearest", "first", "last"] = "only"
    required: bool = True

    @model_validator(mode="after")
    def _dates_fit(self) -> Self:
        windowed = "days_before" in self.model_fields_set or "days_after" in self.model_fields_set
        if (windowed or self.choose == "nearest") and not (self.anchor and self.date):
            raise ValueError("a window or 'nearest' needs 'anchor' and 'date'")
        if self.choose in {"first", "last"} and not self.date:
            raise ValueError("'first' and 'last' need 'date'")
        return self


class FhirInputs(Declared):
    """SQL-on-FHIR ViewDefinitions by name, and `on`, the column that joins them.

    If a table has the cases, `on` is also a column of that table; otherwise the rows of the first
    view are the cases. A view with several rows per patient, such as laboratory values, needs an
    entry in `links` that chooses one of them.
    """

    on: Column
    views: Annotated[dict[Column, dict[str, JsonValue]], Field(min_length=1, max_length=32)]
    links: Annotated[dict[Column, Link], Field(max_length=32, default_factory=dict)]

    @model_validator(mode="after")
    def _links_name_views(self) -> Self:
        if not self.links.keys() <= self.views.keys() - {next(iter(self.views))}:
            raise ValueError("'links' names a view that is not declared, or the first one")
        return self


def label_token(value: object) -> str:
    """Return one spelling for 1, 1.0, "1", True, "true" and "yes", in upper or lower case.

    A plan and its data files may write the same label in different ways.

    >>> label_token(True) == label_token(1.0) == label_token(" TRUE ") == "1"
    True
    """
    text = plain_token(value).casefold()
    return _BOOLEANS.get(text, text)


def plain_token(value: object) -> str:
    """Return text without surrounding space, and a whole number without its decimal point.

    >>> plain_token(7.0), plain_token(" a "), plain_token("1.0")
    ('7', 'a', '1')
    """
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    text = str(value).strip()
    head, point, tail = text.partition(".")
    if point and tail and not tail.strip("0") and head.lstrip("-").isdigit():
        return head
    return text
