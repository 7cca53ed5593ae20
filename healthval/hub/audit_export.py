"""Check of a hub's audit chain, fetched page by page, against itself and an earlier export."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from healthval.contracts.audit import AuditEntry, AuditHead, AuditList
from healthval.contracts.base import read_wire
from healthval.errors import IntegrityError, UsageError
from healthval.hub.audit_chain import CHAIN_START, end_of_chain


def verify(pages: Iterable[AuditList], earlier: Path | None = None) -> AuditHead | None:
    """Check a chain and return its head; `earlier` is an export that it must continue.

    Raises
    ------
    IntegrityError
        Names the number of the first entry that does not fit.
    UsageError
        If `earlier` is no export.
    """
    head: AuditHead | None = None

    def fetched() -> Iterator[Mapping[str, Any]]:
        nonlocal head
        for page in pages:
            head = page.head
            yield from (entry.model_dump() for entry in page.entries)

    chain = fetched() if earlier is None else _continuing(fetched(), earlier)
    end = end_of_chain(chain)
    if end != ((head.number, head.sha256) if head else (0, CHAIN_START)):
        raise IntegrityError(f"the audit chain does not end as recorded (entry {end[0]})")
    return head


def _continuing(chain: Iterator[Mapping[str, Any]], earlier: Path) -> Iterator[Mapping[str, Any]]:
    """Yield the entries of a chain; refuse one that differs from an entry of the export."""
    for number, known in enumerate(_exported(earlier), 1):
        entry = next(chain, None)
        if entry != known:
            raise IntegrityError(f"audit entry {number} is not that of the earlier export")
        yield known
    yield from chain


def _exported(path: Path) -> Iterator[Mapping[str, Any]]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                yield read_wire(AuditEntry, line).model_dump()
            except ValueError:
                raise UsageError(f"line {number} of the export is no audit entry") from None
