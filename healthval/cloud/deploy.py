"""Deployment of the templates by change sets: planned, shown, executed only on request, deleted completely."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from healthval.cloud.audit.audit import IdleBill, audit_templates
from healthval.cloud.own_keys import delete_keys, parameter_name
from healthval.cloud.package import pack_api
from healthval.cloud.prices import load_prices
from healthval.cloud.reach import Absent, reaching
from healthval.errors import DeploymentError, UsageError, counted
from healthval.files import packaged

WAIT_SECONDS = 3600
PAUSE_SECONDS = 2.0
_NO_CHANGES = ("didn't contain changes", "No updates are to be performed")
_UNFINISHED = {"ROLLBACK_COMPLETE", "REVIEW_IN_PROGRESS", "ROLLBACK_FAILED", "DELETE_FAILED"}


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


class Account:
    """An AWS account and region, or an emulator, through a boto3 session."""

    def __init__(self, session: Any, *, is_emulator: bool = False) -> None:
        self._session, self.is_emulator = session, is_emulator
        region = session.region_name
        if region is None:
            raise UsageError("no region is set; give --region or set AWS_REGION")
        if region not in session.get_available_regions("cloudformation"):
            raise UsageError("the region is not known to AWS; compare it with us-east-1")
        self.region: str = region
        self._stacks = session.client("cloudformation")
        self._s3 = session.client("s3")

    def client(self, service: str) -> Any:
        """Return a boto3 client of this account and region."""
        return self._session.client(service)

    def number(self) -> str:
        """Return the account's number; the credentials are checked by it."""
        with reaching():
            return str(self._session.client("sts").get_caller_identity()["Account"])

    # Code ----------------------------------------------------------------------------------

    @property
    def code_bucket(self) -> str:
        """Name of the bucket for packed code, one for each account and region."""
        return f"healthval-code-{self.number()}-{self.region}"

    def upload_code(self, key: str, data: bytes) -> str:
        """Store packed code under its hash, in a private bucket that is made if it is missing."""
        bucket = self.code_bucket
        with reaching():
            self._make_code_bucket(bucket)
            if not self._s3.list_objects_v2(Bucket=bucket, Prefix=key).get("Contents"):
                self._s3.put_object(Bucket=bucket, Key=key, Body=data)
        return bucket

    def _make_code_bucket(self, bucket: str) -> None:
        if bucket in {found["Name"] for found in self._s3.list_buckets()["Buckets"]}:
            return
        place = {} if self.region == "us-east-1" else {"LocationConstraint": self.region}
        self._s3.create_bucket(
            Bucket=bucket, **({"CreateBucketConfiguration": place} if place else {})
        )
        names = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")  # fmt: skip
        self._s3.put_public_access_block(
            Bucket=bucket, PublicAccessBlockConfiguration=dict.fromkeys(names, True)
        )

    # Stacks --------------------------------------------------------------------------------

    def describe(self, stack: str) -> dict[str, Any] | None:
        """Return the description of a stack; None if there is none."""
        try:
            with reaching(absent_is_none=True):
                found: dict[str, Any] = self._stacks.describe_stacks(StackName=stack)["Stacks"][0]
        except Absent:
            return None
        return None if found["StackStatus"] == "DELETE_COMPLETE" else found

    def plan(self, stack: str, template: str, parameters: Mapping[str, str]) -> ChangeSet | None:
        """Create a change set for one of the packaged templates; None if nothing would change.

        Raises
        ------
        DeploymentError
            If the template's idle bill does not pass, or AWS refuses the change set.
        """
        path = packaged("infra") / f"{template}.yaml"
        after = audit_templates([path], load_prices())
        if not after.passes:
            raise DeploymentError(
                f"{path.name} does not pass `healthval infra audit`; nothing is deployed"
            )
        self._remove_unfinished(stack)
        known = self.describe(stack)
        before = self._bill_of(stack) if known else None
        with reaching():
            made = self._stacks.create_change_set(
                StackName=stack,
                ChangeSetName=f"change-{time.time_ns()}",
                ChangeSetType="UPDATE" if known else "CREATE",
                TemplateBody=path.read_text(encoding="utf-8"),
                Parameters=_parameters(parameters),
                Capabilities=["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"],
                Tags=[{"Key": "healthval", "Value": stack}],
            )
        changes = self._changes(stack, made["Id"])
        if changes is None:
            return None
        return ChangeSet(
            stack=stack,
            id=made["Id"],
            is_new=known is None,
            changes=changes,
            before=before,
            after=after,
        )

    def execute(self, planned: ChangeSet) -> dict[str, str]:
        """Execute a change set and return the stack's outputs; AWS rolls a failure back."""
        with reaching():
            self._stacks.execute_change_set(StackName=planned.stack, ChangeSetName=planned.id)
        status = self._settled(planned.stack)
        if status not in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}:
            raise DeploymentError(
                f"the stack ended as {status} and was rolled back; {self._reasons(planned.stack)}"
            )
        return self.outputs(planned.stack)

    def discard(self, planned: ChangeSet) -> None:
        """Delete a change set that is not executed, and the empty stack that it made."""
        with reaching():
            self._stacks.delete_change_set(StackName=planned.stack, ChangeSetName=planned.id)
            if planned.is_new:
                self._stacks.delete_stack(StackName=planned.stack)

    def outputs(self, stack: str) -> dict[str, str]:
        """Return the outputs of a stack."""
        found = self.describe(stack) or {}
        return {o["OutputKey"]: o["OutputValue"] for o in found.get("Outputs", ())}

    def destroy(self, stack: str) -> None:
        """Empty a stack's buckets, delete the stack, its hub's keys and the bucket for code.

        Raises
        ------
        DeploymentError
            If resources remain; names their logical names, and the plan that locks them.
        """
        if self.describe(stack) is not None:
            with reaching():
                for resource in self._resources(stack):
                    if resource["ResourceType"] == "AWS::S3::Bucket":
                        self._empty(resource.get("PhysicalResourceId", ""))
                self._stacks.delete_stack(StackName=stack)
            if self._settled(stack) not in {"DELETE_COMPLETE", ""}:
                raise DeploymentError(self._left(stack))
        delete_keys(self, stack)
        with reaching():
            if not self._others(stack):
                self._empty(self.code_bucket, and_delete=True)

    def _others(self, stack: str) -> bool:
        pages = self._stacks.get_paginator("describe_stacks").paginate()
        found = [one for page in pages for one in page["Stacks"] if one["StackName"] != stack]
        tagged = [tag for one in found for tag in one.get("Tags", ()) if tag["Key"] == "healthval"]
        return bool(tagged)

    def _empty(self, bucket: str, *, and_delete: bool = False) -> None:
        if bucket not in {found["Name"] for found in self._s3.list_buckets()["Buckets"]}:
            return
        pages = self._s3.get_paginator("list_object_versions").paginate(Bucket=bucket)
        for page in pages:
            found = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
            keys = [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in found]
            if keys:
                self._s3.delete_objects(Bucket=bucket, Delete={"Objects": keys, "Quiet": True})
        if and_delete:
            self._s3.delete_bucket(Bucket=bucket)

    def _left(self, stack: str) -> str:
        left = [r for r in self._resources(stack) if r["ResourceStatus"] != "DELETE_COMPLETE"]
        names = ", ".join(sorted(r["LogicalResourceId"] for r in left))
        note = ""
        if any(r["ResourceType"].startswith(("AWS::CloudFront", "AWS::WAFv2")) for r in left):
            note = (
                "; the free plan locks distribution and firewall until its billing period ends: "
                "repeat the command then"
            )
        return f"{counted(len(left), 'resource remains', 'resources remain')}: {names}{note}"

    def _resources(self, stack: str) -> list[dict[str, Any]]:
        pages = self._stacks.get_paginator("list_stack_resources").paginate(StackName=stack)
        return [one for page in pages for one in page["StackResourceSummaries"]]

    def _remove_unfinished(self, stack: str) -> None:
        """Delete what a failed first deployment left: AWS cannot update it."""
        known = self.describe(stack)
        if known is not None and known["StackStatus"] in _UNFINISHED:
            with reaching():
                self._stacks.delete_stack(StackName=stack)
            if self._settled(stack) not in {"DELETE_COMPLETE", ""}:
                raise DeploymentError(self._left(stack))

    def _bill_of(self, stack: str) -> IdleBill | None:
        with reaching():
            body = self._stacks.get_template(StackName=stack)["TemplateBody"]
        if not isinstance(body, str):
            return None
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "deployed.yaml")
            path.write_text(body, encoding="utf-8")
            return audit_templates([path], load_prices())

    def _changes(self, stack: str, change_set: str) -> tuple[Change, ...] | None:
        end = time.monotonic() + WAIT_SECONDS
        while True:
            with reaching():
                found = self._stacks.describe_change_set(ChangeSetName=change_set, StackName=stack)
            if found["Status"] == "CREATE_COMPLETE":
                return tuple(_change(one["ResourceChange"]) for one in found["Changes"])
            reason = found.get("StatusReason", "")
            if found["Status"] == "FAILED":
                with reaching():
                    self._stacks.delete_change_set(StackName=stack, ChangeSetName=change_set)
                if any(text in reason for text in _NO_CHANGES):
                    return None
                raise DeploymentError(f"AWS refuses the change set: {reason}")
            if time.monotonic() > end:
                raise DeploymentError("AWS did not finish the change set; repeat the command")
            time.sleep(PAUSE_SECONDS if not self.is_emulator else 0.1)

    def _settled(self, stack: str) -> str:
        """Wait until no operation of a stack is in progress; return its status, "" if it is deleted."""
        end = time.monotonic() + WAIT_SECONDS
        while True:
            found = self.describe(stack)
            status = found["StackStatus"] if found else ""
            if not status.endswith("_IN_PROGRESS") or status == "REVIEW_IN_PROGRESS":
                return status
            if time.monotonic() > end:
                raise DeploymentError("AWS is still at work; see `healthval infra status`")
            time.sleep(PAUSE_SECONDS if not self.is_emulator else 0.1)

    def _reasons(self, stack: str) -> str:
        with reaching():
            events = self._stacks.describe_stack_events(StackName=stack)["StackEvents"]
        failed = [e for e in events if e["ResourceStatus"].endswith("_FAILED")]
        found = {
            e["LogicalResourceId"]: e.get("ResourceStatusReason", "") for e in reversed(failed)
        }
        first = [f"{name}: {reason}" for name, reason in list(found.items())[:3]]
        return "; ".join(first) or "AWS gives no reason"


def open_account(region: str | None = None, *, is_emulator: bool = False) -> Account:
    """Return the account of the credentials in the environment.

    Raises
    ------
    UsageError
        If the profile or the region is not known.
    """
    import boto3

    with reaching():
        session = boto3.Session(region_name=region)
    return Account(session, is_emulator=is_emulator)


def core_parameters(account: Account, operator: Path, stack: str) -> dict[str, str]:
    """Pack the API, store it, and return the parameters of the core's template."""
    from healthval.contracts.access import PublicKey
    from healthval.contracts.base import read_wire

    try:
        key = read_wire(PublicKey, operator.read_bytes())
    except (OSError, ValueError):
        raise UsageError("--operator takes the operator's public key, a file that ends in .pub") from None  # fmt: skip
    package = pack_api()
    return {
        "OperatorKey": key.x,
        "SigningKey": parameter_name(stack),
        "CodeBucket": account.upload_code(package.key, package.data),
        "CodeKey": package.key,
        "Runtime": package.runtime,
        "Architecture": package.architecture,
        "Profile": "emulator" if account.is_emulator else "aws",
    }


def _parameters(values: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"ParameterKey": name, "ParameterValue": value} for name, value in values.items()]


def _change(found: Mapping[str, Any]) -> Change:
    return Change(
        action=found["Action"],
        name=found["LogicalResourceId"],
        type=found["ResourceType"],
        replaces=found.get("Replacement") == "True",
    )
