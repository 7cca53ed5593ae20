"""Versions of a site's plans: which were registered, when, why, and which evaluated data.

`plans.json` in the site's folder lists them by study; `plans/HASH.json` keeps the text of each.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from pydantic import AwareDatetime, Field, TypeAdapter, ValidationError

from healthval.contracts.base import Name, Paragraph, Sha256, Wire
from healthval.contracts.stamp import Stamp
from healthval.errors import PlanError
from healthval.files import locked, write_durably
from healthval.plan import Plan

PLANS = "plans.json"
LOCK_SECONDS = 30.0

Reason = Annotated[Paragraph, Field(min_length=1)]


class PlanVersion(Wire):
    """One version of a plan: `reason` is why it replaces the earlier one, if a person gave it.

    `evaluated` is the time of the first evaluation under it; `stamp` is the hub's countersignature
    of its hash, made when the hub received the request for access.
    """

    hash: Sha256
    registered: AwareDatetime
    reason: Reason | None = None
    evaluated: AwareDatetime | None = None
    stamp: Stamp | None = None


_REASON: TypeAdapter[str] = TypeAdapter(Reason)
_Record = dict[Name, Annotated[tuple[PlanVersion, ...], Field(min_length=1)]]
_RECORD: TypeAdapter[_Record] = TypeAdapter(_Record)


def versions_of(folder: Path, study: str) -> tuple[PlanVersion, ...]:
    """Versions of a study's plan in the order of their registration; empty for an unknown study.

    Raises
    ------
    PlanError
        If the record cannot be read.
    """
    return _read(folder / PLANS).get(study, ())


def all_versions(folder: Path) -> dict[Name, tuple[PlanVersion, ...]]:
    """Return the versions of each study's plan at a site.

    Raises
    ------
    PlanError
        If the record cannot be read.
    """
    return _read(folder / PLANS)


def record(
    folder: Path,
    plan: Plan,
    *,
    reason: str | None = None,
    evaluates: bool = False,
    stamp: Stamp | None = None,
) -> tuple[PlanVersion, ...]:
    """Record a version of a plan, and whether data are evaluated under it; return all versions.

    What was recorded first about a version stays.

    Raises
    ------
    PlanError
        If the record cannot be read, or another process has locked it.
    """
    path = folder / PLANS
    busy = PlanError(f"another process uses {PLANS} in the site's folder; try again")
    with locked(path.with_suffix(".lock"), seconds=LOCK_SECONDS, busy=busy):
        known = _read(path)
        before = known.get(plan.study, ())
        now = datetime.now(UTC).replace(microsecond=0)
        given = PlanVersion(
            hash=plan.hash,
            registered=now,
            reason=reason,
            evaluated=now if evaluates else None,
            stamp=stamp,
        )
        after = _with(before, given)
        if after != before:
            _keep_text(folder, plan)
            content = _RECORD.dump_python({**known, plan.study: after}, mode="json")
            text = json.dumps(content, indent=1, sort_keys=True) + "\n"
            write_durably(path, text.encode("utf-8"))
    return after


def check_reason(text: str) -> None:
    """Refuse a reason that is empty, too long or contains invisible characters.

    Raises
    ------
    PlanError
        Quotes nothing.
    """
    try:
        _REASON.validate_python(text)
    except ValidationError:
        raise PlanError(
            "the reason is empty, longer than 2000 characters, or contains <, > or invisible characters;"
            " write one plain sentence"
        ) from None


def _with(versions: tuple[PlanVersion, ...], given: PlanVersion) -> tuple[PlanVersion, ...]:
    old = next((version for version in versions if version.hash == given.hash), None)
    if old is None:
        return (*versions, given)
    added = {
        name: getattr(given, name)
        for name in ("reason", "evaluated", "stamp")
        if getattr(old, name) is None
    }
    new = old.model_copy(update=added)
    return tuple(new if version is old else version for version in versions)


def _keep_text(folder: Path, plan: Plan) -> None:
    """Keep the plan's text beside the record, so that each version can be read later."""
    path = folder / "plans" / f"{plan.hash}.json"
    if not path.exists():
        path.parent.mkdir(mode=0o700, exist_ok=True)
        # The order of columns and views is part of a plan, so that keys are not sorted.
        text = json.dumps(plan.model_dump(mode="json"), indent=1, ensure_ascii=False) + "\n"
        write_durably(path, text.encode("utf-8"))


def _read(path: Path) -> _Record:
    if not path.exists():
        return {}
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
        return _RECORD.validate_python(known, strict=False)
    except (OSError, ValueError, AttributeError, TypeError, ValidationError):
        raise PlanError(
            f"{PLANS} in the site's folder cannot be read, so the plan that was registered first is"
            " unknown; restore the file from a backup"
        ) from None
