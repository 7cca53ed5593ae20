"""Drift: resources of a stack that were changed or deleted by hand since its deployment."""

import time
from dataclasses import dataclass
from typing import Any, Final

from healthval.cloud.deploy import Account
from healthval.cloud.reach import reaching
from healthval.errors import DeploymentError

WAIT_SECONDS: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Drifted:
    """One resource that differs from its template; `properties` are paths, without values."""

    name: str
    type: str
    deleted: bool
    properties: tuple[str, ...]


def drifted(account: Account, stack: str) -> tuple[Drifted, ...]:
    """Return the resources of a stack that AWS finds changed or deleted.

    AWS does not compare every type and every property; those count as unchanged.

    Raises
    ------
    DeploymentError
        If AWS cannot compare the stack, or does not end within five minutes.
    """
    client = account.client("cloudformation")
    end = time.monotonic() + WAIT_SECONDS
    with reaching():
        run = client.detect_stack_drift(StackName=stack)["StackDriftDetectionId"]
        while True:
            found = client.describe_stack_drift_detection_status(StackDriftDetectionId=run)
            if found["DetectionStatus"] != "DETECTION_IN_PROGRESS":
                break
            if time.monotonic() > end:
                raise DeploymentError("AWS did not finish comparing the stack; repeat the command")
            time.sleep(account.pause)
        if found["DetectionStatus"] == "DETECTION_FAILED" and "StackDriftStatus" not in found:
            raise DeploymentError("AWS could not compare the stack with its template")
        return tuple(_resources(client, stack))


def _resources(client: Any, stack: str) -> list[Drifted]:
    wanted = {"StackName": stack, "StackResourceDriftStatusFilters": ["MODIFIED", "DELETED"]}
    found: list[Drifted] = []
    token: dict[str, str] = {}
    while True:
        page = client.describe_stack_resource_drifts(**wanted, **token)
        found += [
            Drifted(
                name=one["LogicalResourceId"],
                type=one["ResourceType"],
                deleted=one["StackResourceDriftStatus"] == "DELETED",
                properties=tuple(d["PropertyPath"] for d in one.get("PropertyDifferences", ())),
            )
            for one in page["StackResourceDrifts"]
        ]
        if "NextToken" not in page:
            return found
        token = {"NextToken": page["NextToken"]}
