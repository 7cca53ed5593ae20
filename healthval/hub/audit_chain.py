"""Audit chain: each change is committed with an event; events are chained by hash in the background.

Only the background writes the head of the chain, so changes do not wait for each other. Reading the
chain seals it first: no event is left out of an export.
"""

import itertools
import random
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from healthval.contracts.audit import AuditEntry, AuditHead, AuditList
from healthval.contracts.base import digest, read_wire
from healthval.errors import IntegrityError, UsageError
from healthval.hub.pages import Page
from healthval.hub.ports import Backend, Conflict, Item, StoreUnavailable, Write

AUDIT = "audit"
CHAIN_START = "0" * 64
_ATTEMPT_SECONDS = 20.0
_SEALED_AT_ONCE = 48  # a commit changes up to 100 entries: two for each event, and the head
_order = itertools.count()
Answer = TypeVar("Answer")
Plan = Callable[[], tuple[Answer, Sequence[Write]]]


def record(
    backend: Backend,
    plan: Plan[Answer],
    *,
    actor: str,
    action: str | tuple[str, ...],
    subject: str,
) -> Answer:
    """Commit the writes of `plan` with their audit events; plan again if another commit was first.

    Parameters
    ----------
    plan : reads, checks and returns (answer, writes); without writes there is no commit
    action : one action, or several; each has its event

    Raises
    ------
    StoreUnavailable
        If another commit was first at every attempt, for 20 s.
    """
    actions = (action,) if isinstance(action, str) else action
    attempt, end = 0, time.monotonic() + _ATTEMPT_SECONDS
    while True:
        answer, writes = plan()
        if not writes:
            return answer
        events = [_event(backend, actor, name, subject) for name in actions]
        if _commits(backend, [*writes, *events], attempt):
            return answer
        attempt += 1
        if time.monotonic() > end:
            raise StoreUnavailable


def note(backend: Backend, *, actor: str, action: str, subject: str) -> None:
    """Commit an audit event for a change outside the index."""
    backend.index.commit([_event(backend, actor, action, subject)])


def _event(backend: Backend, actor: str, action: str, subject: str) -> Write:
    value = {"at": backend.now, "actor": actor, "action": action, "subject": subject}
    # microseconds and a counter keep the order of one process
    moment = f"{int(backend.clock() * 1e6):018d}-{next(_order) % 10**9:09d}"
    return Write(partition=AUDIT, key=f"event#{moment}-{secrets.token_hex(6)}", value=value)


def _commits(backend: Backend, writes: Sequence[Write], attempt: int) -> bool:
    """Commit; False, after a pause, if another commit was first."""
    try:
        backend.index.commit(writes)
    except Conflict:
        time.sleep(random.uniform(0, 0.002 * 2 ** min(attempt, 6)))  # noqa: S311 - no secret
        return False
    return True


def seal(backend: Backend) -> None:
    """Append all events to the chain, in the order of their time.

    Raises
    ------
    StoreUnavailable
        If another process was first at every attempt, for 20 s.
    """
    attempt, end = 0, time.monotonic() + _ATTEMPT_SECONDS
    while events := backend.index.query(AUDIT, "event#", limit=_SEALED_AT_ONCE):
        head = backend.index.get(AUDIT, "head")
        sealed = [event.updated(None) for event in events]
        if _commits(backend, [*sealed, *_entry_writes(events, head)], attempt):
            attempt, end = 0, time.monotonic() + _ATTEMPT_SECONDS
        elif time.monotonic() > end:
            raise StoreUnavailable
        else:
            attempt += 1


def _entry_writes(events: Sequence[Item], head: Item | None) -> list[Write]:
    """Return the new entries and the new head of the chain."""
    number = head.value["number"] if head else 0
    previous = head.value["sha256"] if head else CHAIN_START
    writes = []
    for event in events:
        number += 1
        entry = {"number": number, **event.value, "previous": previous}
        writes.append(Write(partition=AUDIT, key=f"entry#{number:012d}", value=entry))
        previous = digest(entry)
    top = {"number": number, "sha256": previous}
    version = head.version if head else 0
    return [*writes, Write(partition=AUDIT, key="head", value=top, version=version)]


def page_of_chain(backend: Backend, page: Page) -> AuditList:
    """Return one page of the sealed chain, oldest entry first, and its head."""
    seal(backend)
    while True:
        head = chain_head(backend)
        found, cursor = page.read(backend.index, AUDIT, "entry#")
        if chain_head(backend) == head:  # else the chain grew meanwhile
            break
    return AuditList(
        entries=tuple(AuditEntry.model_validate(item.value) for item in found),
        head=None if head is None else AuditHead.model_validate(head),
        next=cursor,
    )


def chain_head(backend: Backend) -> Mapping[str, Any] | None:
    """Return the number and hash of the newest entry; None for an empty chain."""
    head = backend.index.get(AUDIT, "head")
    return head.value if head else None


def entries(backend: Backend) -> list[Mapping[str, Any]]:
    """Return the whole sealed chain, oldest entry first."""
    seal(backend)
    return [item.value for item in backend.index.query(AUDIT, "entry#")]


def check_chain(chain: Iterable[Mapping[str, Any]], head: Mapping[str, Any] | None) -> None:
    """Refuse a chain in which an entry was changed, left out, added or cut off.

    Raises
    ------
    IntegrityError
        Names the number of the first entry that does not fit.
    """
    end = end_of_chain(chain)
    recorded = (head["number"], head["sha256"]) if head else (0, CHAIN_START)
    if recorded != end:
        raise IntegrityError(f"the audit chain does not end as recorded (entry {end[0]})")


def end_of_chain(chain: Iterable[Mapping[str, Any]]) -> tuple[int, str]:
    """Return number and hash of the last entry; refuse a chain with a changed or missing entry."""
    previous, number = CHAIN_START, 0
    for number, entry in enumerate(chain, 1):
        if entry["number"] != number or entry["previous"] != previous:
            raise IntegrityError(f"audit entry {number} does not follow the entry before it")
        previous = digest(dict(entry))
    return number, previous


def verify_pages(pages: Iterable[AuditList], earlier: Path | None = None) -> AuditHead | None:
    """Check a fetched chain and return its head; `earlier` is an export that it must continue.

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
