"""Audit: entries of the hub's hash chain, page by page; and the hub's health."""

from typing import Annotated, Literal

from pydantic import Field

from healthval.contracts.base import Cursor, Sha256, Wire

Word = Annotated[str, Field(pattern=r"^[ -~]{0,512}$")]


class AuditEntry(Wire):
    """One change: time (seconds since 1970), actor, action, subject and the hash of the entry before."""

    number: Annotated[int, Field(ge=1)]
    at: int
    actor: Word
    action: Word
    subject: Word
    previous: Sha256


class AuditHead(Wire):
    """Number and hash of the newest entry."""

    number: Annotated[int, Field(ge=1)]
    sha256: Sha256


class AuditList(Wire):
    """One page of the audit chain, oldest entry first, and the head of the whole chain."""

    entries: Annotated[tuple[AuditEntry, ...], Field(max_length=1000)] = ()
    head: AuditHead | None = None
    next: Cursor | None = None


class HubHealth(Wire):
    """Answer of a hub whose store responds."""

    status: Literal["ok"] = "ok"
