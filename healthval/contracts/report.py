"""The published report as it is indexed."""

from typing import Annotated

from pydantic import Field

from healthval.contracts.base import Name, Sha256, Version, Wire

ReportId = Annotated[str, Field(pattern=r"^report-[a-f0-9]{16}$")]


class ReportRecord(Wire):
    """Index entry; the files lie in the object store under their hash."""

    id: ReportId
    model: Name
    version: Version
    plan_hash: Sha256
    n_sites: Annotated[int, Field(ge=1, le=100_000)]
    files: Annotated[
        dict[Annotated[str, Field(pattern=r"^[a-z_.-]{1,64}$")], Sha256], Field(max_length=16)
    ]
