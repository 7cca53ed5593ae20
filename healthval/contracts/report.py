"""Published reports, standing orders of reports, and the submissions from which a report is made."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal, NotRequired, TypedDict, Unpack

from pydantic import Field

from healthval.contracts.base import (
    Cursor,
    Line,
    Name,
    Paragraph,
    Sha256,
    SiteId,
    Version,
    Wire,
    digest,
)

ReportId = Annotated[str, Field(pattern=r"^report-[a-f0-9]{16}$")]


Language = Literal["en", "de"]  # of a report
ReportStatus = Literal["current", "superseded", "withdrawn"]
# Fields that the hub sets; not part of the content whose hash is the id.
STATE = frozenset({"published", "status", "superseded_by", "reason"})


class ReportVerdict(Wire):
    """Verdict of a report on one acceptance criterion of the plan."""

    criterion: Line
    outcome: Literal["met", "not met", "inconclusive"]


class ReportRecord(Wire):
    """Index entry of a report; its files are in the object store under their hashes.

    A report is superseded by the next one on the same model version under the same plan. Superseded
    and withdrawn reports stay in the index; `reason` is the operator's for the withdrawal.
    """

    id: ReportId
    model: Name
    version: Version
    plan_hash: Sha256
    n_sites: Annotated[int, Field(ge=1, le=100_000)]
    sites: Annotated[tuple[Line, ...], Field(max_length=10_000)] = ()
    verdicts: Annotated[tuple[ReportVerdict, ...], Field(max_length=100)] = ()
    files: Annotated[
        dict[Annotated[str, Field(pattern=r"^[a-z_.-]{1,64}$")], Sha256], Field(max_length=16)
    ]
    published: datetime | None = None
    status: ReportStatus = "current"
    superseded_by: ReportId | None = None
    reason: Line | None = None

    @property
    def subject(self) -> tuple[str, str, str]:
        """Return model, version and hash of the plan."""
        return self.model, self.version, self.plan_hash


class ReportList(Wire):
    """One page of the published reports that the caller may read."""

    reports: Annotated[tuple[ReportRecord, ...], Field(max_length=1000)] = ()
    next: Cursor | None = None


class ReportWithdrawal(Wire):
    """Decision of the operator that a report is not to be used any more."""

    reason: Line


class ReportAbout(TypedDict):
    """Content of a record besides its files."""

    model: str
    version: str
    plan_hash: str
    n_sites: int
    sites: NotRequired[tuple[str, ...]]
    verdicts: NotRequired[tuple[ReportVerdict, ...]]


def report_record(files: Mapping[str, str], **about: Unpack[ReportAbout]) -> ReportRecord:
    """Return a record whose id is a hash of its content: the same files are the same report."""
    draft = ReportRecord(id="report-" + "0" * 16, files=dict(files), **about)
    return draft.model_copy(update={"id": report_id(draft)})


def report_id(record: ReportRecord) -> str:
    """Return the id of a record, a hash of its content."""
    content = record.model_dump(mode="json", exclude={"id", *STATE})
    return f"report-{digest(content)[:16]}"


class SubmissionEntry(Wire):
    """Active submission of one site; its bytes are stored under their hash."""

    site: SiteId
    label: Line
    submission_sha256: Sha256
    supersedes: Sha256 | None = None
    received: datetime


class SubmissionList(Wire):
    """One page of the active submissions for one model version under one plan."""

    submissions: Annotated[tuple[SubmissionEntry, ...], Field(max_length=1000)] = ()
    next: Cursor | None = None


class ReportOrder(Wire):
    """Standing order of the operator: a new report after each result that counts.

    `plan` is the hash of the plan's file, which is stored as an object. A report is made once
    `min_sites` hospitals have a result. `apart` are the labels of hospitals that are known to be
    different ones although their results are equal.
    """

    model: Name
    version: Version
    plan_hash: Sha256
    plan: Sha256
    min_sites: Annotated[int, Field(ge=1, le=10_000)] = 3
    apart: Annotated[tuple[Line, ...], Field(max_length=1000)] = ()
    cancelled: bool = False


class ReportOrderAbout(TypedDict):
    """Content of a standing order besides the plan's file."""

    model: str
    version: str
    plan_hash: str
    min_sites: NotRequired[int]
    apart: NotRequired[tuple[str, ...]]
    cancelled: NotRequired[bool]


class ReportOrderRecord(ReportOrder):
    """A standing order and what became of it; `reason` is that of a failure."""

    state: Literal["waiting", "due", "made", "failed", "cancelled"]
    report: ReportId | None = None
    reason: Annotated[str, Field(max_length=1000)] = ""


class ReportOrderList(Wire):
    """One page of the standing orders."""

    orders: Annotated[tuple[ReportOrderRecord, ...], Field(max_length=1000)] = ()
    next: Cursor | None = None


class StudyReporting(Wire):
    """Statements on the study, in the plan; each is an item of TRIPOD+AI, CLAIM or STARD-AI."""

    context: Paragraph = ""
    inequalities: Paragraph = ""
    data_sources: Paragraph = ""
    recruitment_dates: Paragraph = ""
    setting: Paragraph = ""
    eligibility: Paragraph = ""
    sampling: Paragraph = ""
    treatments: Paragraph = ""
    reference_assessors: Paragraph = ""
    blinding: Paragraph = ""
    verification: Paragraph = ""
    predictor_assessors: Paragraph = ""
    missing_predictors: Paragraph = ""
    independence: Paragraph = ""
    ethics: Paragraph = ""
    funding: Paragraph = ""
    conflicts: Paragraph = ""
    registration: Paragraph = ""
    involvement: Paragraph = ""


class DeveloperReporting(Wire):
    """Statements of the developer, on the model card."""

    users: Paragraph = ""
    predictors: Paragraph = ""
    predictor_definitions: Paragraph = ""
    class_imbalance: Paragraph = ""
    development_comparison: Paragraph = ""
    model_access: Paragraph = ""
    expertise: Paragraph = ""
