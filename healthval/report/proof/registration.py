"""Sequence of a plan's registrations in a signed report, with the hub's countersignatures checked."""

import json
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from healthval.contracts.keys import HubKeys
from healthval.credential import check_stamp
from healthval.errors import IntegrityError
from healthval.report.conduct import Conduct, PlanVersion

METRICS = "metrics.json"
_CONDUCT: TypeAdapter[Conduct | None] = TypeAdapter(Conduct | None)


def registration_lines(place: Path, keys: HubKeys | None = None) -> list[str]:
    """Return each hospital's versions of the plan: registered, reason, first prediction.

    Parameters
    ----------
    place : folder of a report whose signature was checked, or any file of it
    keys : the hub's published keys; without them, countersignatures are not checked

    Raises
    ------
    IntegrityError
        If a countersignature does not fit its hash, time and hospital, or the file is malformed.
    """
    conduct = _conduct(place if place.is_dir() else place.parent)
    lines = []
    for hospital in conduct.hospitals if conduct else ():
        for at, version in enumerate(hospital.plans):
            lines.append(f"plan         {hospital.label}: {_described(version, at)}")
            lines += [f"             {line}" for line in _proof(version, keys)]
    return lines


def _conduct(folder: Path) -> Conduct | None:
    path = folder / METRICS
    if not path.exists():
        return None
    try:
        numbers: dict[str, Any] = json.loads(path.read_bytes())
        return _CONDUCT.validate_python(numbers.get("conduct"), strict=False)
    except (OSError, ValueError, AttributeError, RecursionError, ValidationError):
        raise IntegrityError(f"{METRICS} is malformed; get the report again") from None


def _described(version: PlanVersion, at: int) -> str:
    word = "amended" if at else "registered"
    when = version.registered or "at no time that the hub knows"
    reason = f" ({version.reason})" if version.reason else ""
    used = version.first_prediction
    first = f"first prediction {used}" if used else "no prediction"
    return f"{version.plan_hash[:12]} {word} {when}{reason}, {first}"


def _proof(version: PlanVersion, keys: HubKeys | None) -> list[str]:
    try:
        stamp = version.stamp()
    except ValidationError:
        raise IntegrityError("a countersignature in the report is malformed") from None
    if stamp is None:
        return ["not countersigned by a hub"]
    if keys is None:
        return ["countersigned; give --hub to check the hub's signature"]
    check_stamp(stamp, keys)
    return ["countersigned by the hub: signature valid"]
