"""Published reports, and the list of submissions from which a report is made."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

from pydantic import Field

from healthval.contracts.base import Cursor, Line, Name, Sha256, SiteId, Version, Wire, digest

ReportId = Annotated[str, Field(pattern=r"^report-[a-f0-9]{16}$")]


class ReportRecord(Wire):
    """Index entry of a report; its files are in the object store under their hashes."""

    id: ReportId
    model: Name
    version: Version
    plan_hash: Sha256
    n_sites: Annotated[int, Field(ge=1, le=100_000)]
    files: Annotated[
        dict[Annotated[str, Field(pattern=r"^[a-z_.-]{1,64}$")], Sha256], Field(max_length=16)
    ]


class ReportList(Wire):
    """One page of the published reports that the caller may read."""

    reports: Annotated[tuple[ReportRecord, ...], Field(max_length=1000)] = ()
    next: Cursor | None = None


def report_record(
    *, model: str, version: str, plan_hash: str, n_sites: int, files: Mapping[str, str]
) -> ReportRecord:
    """Return a record whose id is a hash of its content: the same files are the same report."""
    draft = ReportRecord(
        id="report-" + "0" * 16,
        model=model,
        version=version,
        plan_hash=plan_hash,
        n_sites=n_sites,
        files=dict(files),
    )
    return draft.model_copy(update={"id": report_id(draft)})


def report_id(record: ReportRecord) -> str:
    """Return the id of a record, a hash of its content."""
    return f"report-{digest(record.model_dump(mode='json', exclude={'id'}))[:16]}"


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
