"""The columns of a site's table as the plan declares them: a closed list, nothing else is read."""

from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, JsonValue, model_validator

from healthval.contracts.base import Column, Wire
from healthval.contracts.text import UNSEEN, check_seen

SourceColumn = Annotated[
    str, Field(pattern=rf"^[^\x00-\x1f{UNSEEN}<>]{{1,128}}$"), AfterValidator(check_seen)
]
Finite = Annotated[float, Field(strict=True)]
Unit = Annotated[str, Field(pattern=r"^[A-Za-z0-9%/.*^ ()\[\]{}-]{0,32}$")]
IsoDate = Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]


def _ascending(edges: tuple[float, ...]) -> tuple[float, ...]:
    if any(a >= b for a, b in pairwise(edges)):
        raise ValueError("band edges must ascend")
    return edges


LabelValue = Annotated[str, Field(min_length=1, max_length=64)] | bool | int | float
LabelValues = Annotated[tuple[LabelValue, ...], Field(max_length=32)]
Levels = (
    Annotated[tuple[Column, ...], Field(min_length=1, max_length=64)]
    | Annotated[
        dict[Annotated[str, Field(min_length=1, max_length=128)], Column],
        Field(min_length=1, max_length=64),
    ]
)


Bands = Annotated[tuple[Finite, ...], Field(max_length=32), AfterValidator(_ascending)]


_YAML_BOOLEANS = {"true": "1", "yes": "1", "on": "1", "false": "0", "no": "0", "off": "0"}


class Declared(Wire):
    """Base of the plan's declarations: closed and silent like the wire, but YAML lists are lists."""

    model_config = ConfigDict(strict=False)


class IdColumn(Declared):
    """Names a case; the first one declared is the case's key. Leaves only as a keyed pseudonym."""

    kind: Literal["id"]


class ClusterColumn(Declared):
    """Names the patient who owns the case."""

    kind: Literal["cluster"]


class DateColumn(Declared):
    """A date or a time, written as ISO 8601."""

    kind: Literal["date"]


class AgeColumn(Declared):
    """Age in years; above 89 it leaves as 90.

    With `at`, the source holds birth dates, and the age is that in completed years at the date in
    column `at` (FHIR has no ages).
    """

    kind: Literal["age"]
    bands: Bands = ()
    at: SourceColumn | None = None


class ZipColumn(Declared):
    """A United States ZIP code."""

    kind: Literal["zip"]


class CategoryColumn(Declared):
    """One of the listed levels; a mapping renames what the source writes to a level."""

    kind: Literal["category"]
    levels: Levels

    @property
    def names(self) -> dict[str, str]:
        """What the source writes, and the level it stands for."""
        if isinstance(self.levels, dict):
            return dict(self.levels)
        return {level: level for level in self.levels}


class NumberColumn(Declared):
    """A number within limits.

    `unit_column` names the column with each value's unit, if there is one; `bands` are the lower
    edges by which subgroups and Table 1 group the number.
    """

    kind: Literal["number"]
    low: Finite | None = None
    high: Finite | None = None
    unit: Unit = ""
    unit_column: SourceColumn | None = None
    bands: Bands = ()

    @model_validator(mode="after")
    def _limits_are_ordered(self) -> Self:
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise ValueError("'low' must be below 'high'")
        if self.unit_column is not None and not self.unit:
            raise ValueError("'unit_column' needs the expected 'unit'")
        return self


class LabelColumn(Declared):
    """The reference standard, or one reader's verdict; an empty cell is a missing one."""

    kind: Literal["label"]
    positive: Annotated[LabelValues, Field(min_length=1)]
    negative: Annotated[LabelValues, Field(min_length=1)]
    indeterminate: LabelValues = ()

    @model_validator(mode="after")
    def _values_are_disjoint(self) -> Self:
        groups = [{label_token(v) for v in group} for group in
                  (self.positive, self.negative, self.indeterminate)]  # fmt: skip
        if len(set().union(*groups)) != sum(map(len, groups)):
            raise ValueError("a label value stands for one verdict only")
        return self


class DropColumn(Declared):
    """Known and not wanted."""

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
    """Every column that may be read; a column that is not declared is dropped and reported.

    `readers` says how several `label` columns, one a reader, become the reference standard;
    `verification` whether every case was meant to receive it.

    Examples
    --------
    >>> schema = TableSchema.model_validate({"columns": {
    ...     "mrn": {"kind": "id"}, "age": {"kind": "age"},
    ...     "sepsis": {"kind": "label", "positive": [1], "negative": [0]}}})
    >>> schema.of_kind("label")
    ('sepsis',)
    """

    columns: Annotated[dict[SourceColumn, ColumnSchema], Field(min_length=1, max_length=512)]
    readers: Literal["single", "majority", "unanimous"] = "single"
    verification: Literal["complete", "partial"] = "complete"

    @model_validator(mode="after")
    def _ages_have_dates(self) -> Self:
        dates = self.of_kind("date")
        if any(
            isinstance(c, AgeColumn) and c.at and c.at not in dates for c in self.columns.values()
        ):
            raise ValueError("'at' of an age names a column that is not declared 'date'")
        return self

    @model_validator(mode="after")
    def _has_one_of_each(self) -> Self:
        if len(self.of_kind("cluster")) > 1:
            raise ValueError("only one column can be the cluster")
        if (len(self.of_kind("label")) > 1) != (self.readers != "single"):
            raise ValueError(
                "several 'label' columns need 'readers: majority' or 'readers: unanimous', "
                "and only they do"
            )
        return self

    def settled(self) -> "TableSchema":
        """Describe the table once it is read: levels renamed, ages counted, labels put in words."""
        columns = {n: _after_reading(c) for n, c in self.columns.items()}
        return self.model_copy(update={"columns": columns})

    def of_kind(self, *kinds: str) -> tuple[str, ...]:
        """Names of the columns declared as one of `kinds`, in the plan's order."""
        return tuple(name for name, column in self.columns.items() if column.kind in kinds)


def _after_reading(column: ColumnSchema) -> ColumnSchema:
    if isinstance(column, CategoryColumn):
        return column.model_copy(update={"levels": tuple(dict.fromkeys(column.names.values()))})
    if isinstance(column, NumberColumn):
        return column.model_copy(update={"unit_column": None})
    if isinstance(column, AgeColumn):
        return column.model_copy(update={"at": None})
    if isinstance(column, LabelColumn):
        words = {w: (w,) for w in ("positive", "negative", "indeterminate")}
        return column.model_copy(update=words)
    return column


class Within(Declared):
    """A window around a date of the same case, in whole days."""

    of: SourceColumn
    days_before: Annotated[int, Field(ge=0, le=36_525)] = 0
    days_after: Annotated[int, Field(ge=0, le=36_525)] = 0


class Eligibility(Declared):
    """One step of the flow diagram: who is kept, or with `exclude` who is not.

    All conditions given must hold. A case whose value is missing meets no condition but
    ``present: false``.
    """

    step: Column
    column: SourceColumn
    low: Finite | None = None
    high: Finite | None = None
    levels: Annotated[tuple[Column, ...], Field(max_length=64)] = ()
    not_before: IsoDate | None = None
    before: IsoDate | None = None
    within: Within | None = None
    present: bool | None = None
    exclude: bool = False

    @model_validator(mode="after")
    def _has_a_condition(self) -> Self:
        if not self.model_fields_set - {"step", "column", "exclude"}:
            raise ValueError("the step states no condition")
        return self


class Link(Declared):
    """Which rows of another table belong to a case, and which one of them is taken.

    `on` pairs a column of the cohort with the column of the rows that names the same thing.
    `anchor` and `date` are the dates compared: of the case and of the row.
    """

    on: Annotated[dict[SourceColumn, SourceColumn], Field(min_length=1, max_length=4)]
    anchor: SourceColumn | None = None
    date: SourceColumn | None = None
    days_before: Annotated[int, Field(ge=0, le=36_525)] = 0
    days_after: Annotated[int, Field(ge=0, le=36_525)] = 0
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
    """SQL-on-FHIR ViewDefinitions by name, and the column that all of them give to join on.

    Where a table gives the cases, `on` names its column too; otherwise the rows of the first view
    are the cases. A view that gives several rows a patient, such as a laboratory's, needs an entry
    in `links` that says which of them counts.
    """

    on: Column
    views: Annotated[dict[Column, dict[str, JsonValue]], Field(min_length=1, max_length=32)]
    links: Annotated[dict[Column, Link], Field(max_length=32, default_factory=dict)]

    @model_validator(mode="after")
    def _links_name_views(self) -> Self:
        if not self.links.keys() <= self.views.keys() - {next(iter(self.views))}:
            raise ValueError("'links' names a view that is not there, or the first one")
        return self


def label_token(value: object) -> str:
    """One spelling for 1, 1.0, "1", True, "true" and "yes", in any case, so that all files agree.

    YAML reads an unquoted ``yes`` as true, and nobody expects it to.

    >>> label_token(True) == label_token(1.0) == label_token(" TRUE ") == "1"
    True
    """
    text = plain_token(value).casefold()
    return _YAML_BOOLEANS.get(text, text)


def plain_token(value: object) -> str:
    """Text without surrounding space; a whole number without its decimal point.

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
