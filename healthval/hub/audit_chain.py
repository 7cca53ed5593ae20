"""Audit chain: each change is committed with an entry that contains the hash of the entry before."""

import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from healthval.contracts.base import digest
from healthval.errors import IntegrityError
from healthval.hub.ports import Backend, Conflict, Item, StoreUnavailable, Write

AUDIT = "audit"
CHAIN_START = "0" * 64
_ATTEMPTS = 30
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
    """Commit the writes of `plan` with their audit entries; plan again if another commit was first.

    Parameters
    ----------
    plan : reads, checks and returns (answer, writes); without writes there is no commit
    action : one action, or several; each has its entry

    Raises
    ------
    StoreUnavailable
        If another commit was first at every attempt.
    """
    actions = (action,) if isinstance(action, str) else action
    events = [{"actor": actor, "action": name, "subject": subject} for name in actions]
    for attempt in range(_ATTEMPTS):
        answer, writes = plan()
        if not writes or _commits(backend, writes, events, attempt):
            return answer
    raise StoreUnavailable


def note(backend: Backend, *, actor: str, action: str, subject: str) -> None:
    """Commit an audit entry for a change outside the index."""
    event = {"actor": actor, "action": action, "subject": subject}
    if not any(_commits(backend, [], [event], attempt) for attempt in range(_ATTEMPTS)):
        raise StoreUnavailable


def _commits(
    backend: Backend, writes: Sequence[Write], events: Sequence[Mapping[str, Any]], attempt: int
) -> bool:
    """Commit writes and entries; False, after a pause, if another commit was first."""
    head = backend.index.get(AUDIT, "head")
    dated = [{"at": backend.now, **event} for event in events]
    try:
        backend.index.commit([*writes, *_entry_writes(dated, head)])
    except Conflict:
        time.sleep(random.uniform(0, 0.002 * 2 ** min(attempt, 6)))  # noqa: S311 - no secret
        return False
    return True


def _entry_writes(events: Sequence[Mapping[str, Any]], head: Item | None) -> list[Write]:
    """Return the new entries and the new head of the chain."""
    number = head.value["number"] if head else 0
    previous = head.value["sha256"] if head else CHAIN_START
    writes = []
    for event in events:
        number += 1
        entry = {"number": number, **event, "previous": previous}
        writes.append(Write(partition=AUDIT, key=f"entry#{number:012d}", value=entry))
        previous = digest(entry)
    top = {"number": number, "sha256": previous}
    version = head.version if head else 0
    return [*writes, Write(partition=AUDIT, key="head", value=top, version=version)]


def chain_head(backend: Backend) -> Mapping[str, Any] | None:
    """Return the number and hash of the newest entry; None for an empty chain."""
    head = backend.index.get(AUDIT, "head")
    return head.value if head else None


def entries(backend: Backend) -> list[Mapping[str, Any]]:
    """Return the whole chain, oldest entry first."""
    return [item.value for item in backend.index.query(AUDIT, "entry#")]


def check_chain(chain: Iterable[Mapping[str, Any]], head: Mapping[str, Any] | None) -> None:
    """Refuse a chain in which an entry was changed, left out, added or cut off.

    Raises
    ------
    IntegrityError
        Names the number of the first entry that does not fit.
    """
    previous, number = CHAIN_START, 0
    for number, entry in enumerate(chain, 1):
        if entry["number"] != number or entry["previous"] != previous:
            raise IntegrityError(f"audit entry {number} does not follow the entry before it")
        previous = digest(dict(entry))
    recorded = (head["number"], head["sha256"]) if head else (0, CHAIN_START)
    if recorded != (number, previous):
        raise IntegrityError(f"the audit chain does not end as recorded (entry {number})")
