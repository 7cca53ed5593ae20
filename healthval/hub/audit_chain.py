"""The audit chain: each change is committed together with its entry, which hashes the one before."""

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
    backend: Backend, plan: Plan[Answer], *, actor: str, action: str, subject: str
) -> Answer:
    """Commit the writes of `plan` with their audit entry; plan again if another commit was first.

    Parameters
    ----------
    plan : reads, checks and returns (answer, writes); without writes there is no commit

    Raises
    ------
    StoreUnavailable
        If another commit was first at every attempt.
    """
    for attempt in range(_ATTEMPTS):
        answer, writes = plan()
        if not writes:
            return answer
        head = backend.index.get(AUDIT, "head")
        event = {"at": backend.now, "actor": actor, "action": action, "subject": subject}
        try:
            backend.index.commit([*writes, *_entry_writes(event, head)])
        except Conflict:
            time.sleep(random.uniform(0, 0.002 * 2 ** min(attempt, 6)))  # noqa: S311 - no secret
        else:
            return answer
    raise StoreUnavailable


def _entry_writes(event: Mapping[str, Any], head: Item | None) -> list[Write]:
    """Return the new entry and the new head of the chain."""
    entry = {
        "number": head.value["number"] + 1 if head else 1,
        **event,
        "previous": head.value["sha256"] if head else CHAIN_START,
    }
    top = {"number": entry["number"], "sha256": digest(entry)}
    return [
        Write(partition=AUDIT, key=f"entry#{entry['number']:012d}", value=entry),
        Write(partition=AUDIT, key="head", value=top, version=head.version if head else 0),
    ]


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
