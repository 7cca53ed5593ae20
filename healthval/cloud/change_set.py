"""Change sets: what a deployment would change, and the idle bill before and after."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from healthval.cloud.audit.audit import IdleBill
from healthval.errors import counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change of a change set."""

    action: str
    name: str
    type: str
    replaces: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeSet:
    """A planned deployment: what it would change, and the idle bill before and after."""

    stack: str
    id: str
    is_new: bool
    changes: tuple[Change, ...]
    before: IdleBill | None
    after: IdleBill


def change_of(found: Mapping[str, Any]) -> Change:
    """Return a change from its description by CloudFormation."""
    return Change(
        action=found["Action"],
        name=found["LogicalResourceId"],
        type=found["ResourceType"],
        replaces=found.get("Replacement") == "True",
    )


def described(changes: ChangeSet) -> str:
    """Return a change set as text: one line for each change, and the idle bill before and after."""
    lines = [
        f"  {one.action:<7} {one.name} ({one.type}){' (replaced: its data are lost)' if one.replaces else ''}"
        for one in changes.changes
    ]
    before = changes.before.usd if changes.before else 0.0
    last = (
        f"{counted(len(changes.changes), 'change')}; a month without evaluations: "
        f"${before:.2f} before, ${changes.after.usd:.2f} after, {changes.after.usd - before:+.2f}"
    )
    return "\n".join([*lines, last])
