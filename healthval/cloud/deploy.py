"""Deployment of the templates by change sets: planned, shown, executed only on request, deleted completely."""

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from healthval.cloud import buckets
from healthval.cloud.audit.audit import IdleBill, audit_templates
from healthval.cloud.change_set import Change, ChangeSet, change_of
from healthval.cloud.own_keys import delete_keys, parameter_name
from healthval.cloud.package import pack_api
from healthval.cloud.prices import load_prices
from healthval.cloud.reach import Absent, reaching
from healthval.errors import DeploymentError, UsageError, counted
from healthval.files import packaged

WAIT_SECONDS = 3600
PAUSE_SECONDS = 2.0
OWN_TAG, HUB_TAG = "healthval", "healthval-hub"
_NO_CHANGES = ("didn't contain changes", "No updates are to be performed")
_UNFINISHED = {"ROLLBACK_COMPLETE", "REVIEW_IN_PROGRESS", "ROLLBACK_FAILED", "DELETE_FAILED"}


class Account:
    """An AWS account and region, or an emulator, through a boto3 session."""

    def __init__(self, session: Any, *, is_emulator: bool = False) -> None:
        self._session, self.is_emulator = session, is_emulator
        region = session.region_name
        if region is None:
            raise UsageError("no region is set; give --region or set AWS_REGION")
        if region not in session.get_available_regions("cloudformation"):
            raise UsageError(
                "the region is not known to AWS (its public partition); compare it with us-east-1"
            )
        self.region: str = region
        self._stacks = session.client("cloudformation")
        self._s3 = session.client("s3")

    @property
    def pause(self) -> float:
        """Seconds between two questions about the same operation."""
        return 0.1 if self.is_emulator else PAUSE_SECONDS

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
            buckets.make_private(self._s3, bucket, self.region)
            if not self._s3.list_objects_v2(Bucket=bucket, Prefix=key).get("Contents"):
                self._s3.put_object(Bucket=bucket, Key=key, Body=data)
        return bucket

    # Stacks --------------------------------------------------------------------------------

    def describe(self, stack: str) -> dict[str, Any] | None:
        """Return the description of a stack; None if there is none."""
        try:
            with reaching(absent_is_none=True):
                found: dict[str, Any] = self._stacks.describe_stacks(StackName=stack)["Stacks"][0]
        except Absent:
            return None
        return None if found["StackStatus"] == "DELETE_COMPLETE" else found

    def plan(
        self, stack: str, template: str, parameters: Mapping[str, str], *, hub: str | None = None
    ) -> ChangeSet | None:
        """Create a change set for one of the packaged templates; None if nothing would change.

        Parameters
        ----------
        hub : stack of the hub that a model's stack belongs to

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
        self.check_own(stack)
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
                Tags=_tags(stack, hub),
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
            rolled = (
                "was rolled back" if status.endswith("ROLLBACK_COMPLETE") else "was not rolled back"
            )
            raise DeploymentError(
                f"the stack ended as {status or 'deleted'} and {rolled}; {self._reasons(planned.stack)}"
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
        """Delete a stack with all its data, the models' stacks of a hub, its keys and its code.

        The bucket for code goes with the last stack of healthval in this account and region.

        Raises
        ------
        UsageError
            If healthval did not deploy the stack.
        DeploymentError
            If resources remain; gives their logical names, and the plan that locks them.
        """
        self.check_own(stack)
        for name in self.models_of(stack):
            self._delete(name)
        self._delete(stack)
        delete_keys(self, stack)
        if not [one for one in self.stacks() if one["StackName"] != stack]:
            with reaching():
                buckets.empty(self._s3, self.code_bucket)
                if buckets.has_bucket(self._s3, self.code_bucket):
                    self._s3.delete_bucket(Bucket=self.code_bucket)

    def _delete(self, stack: str) -> None:
        if self.describe(stack) is None:
            return
        with reaching():
            for resource in self._resources(stack):
                if resource["ResourceType"] == "AWS::S3::Bucket":
                    buckets.empty(self._s3, resource.get("PhysicalResourceId", ""))
            self._stacks.delete_stack(StackName=stack)
        if self._settled(stack) not in {"DELETE_COMPLETE", ""}:
            raise DeploymentError(self._left(stack))

    def models_of(self, hub: str) -> list[str]:
        """Return the models' stacks of a hub; those with a repository last."""
        found = [one for one in self.stacks() if _tag(one, HUB_TAG) == hub]
        found.sort(key=lambda one: _parameter(one, "Version") == "first")
        return [one["StackName"] for one in found]

    def check_own(self, stack: str) -> None:
        """Refuse a stack that healthval did not deploy; one under review has no resources yet.

        Raises
        ------
        UsageError
            If somebody else has a stack of this name.
        """
        known = self.describe(stack)
        if known is None or known["StackStatus"] == "REVIEW_IN_PROGRESS":
            return
        if _tag(known, OWN_TAG) is None:
            raise UsageError(
                f"healthval did not deploy the stack {stack} in {self.region}; choose another --stack"
            )

    def stacks(self) -> Iterator[dict[str, Any]]:
        """Return the descriptions of all stacks that healthval deployed here."""
        with reaching():
            pages = self._stacks.get_paginator("describe_stacks").paginate()
            found = [one for page in pages for one in page["Stacks"]]
        yield from (one for one in found if _tag(one, OWN_TAG) is not None)

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
                return tuple(change_of(one["ResourceChange"]) for one in found["Changes"])
            reason = found.get("StatusReason", "")
            if found["Status"] == "FAILED":
                with reaching():
                    self._stacks.delete_change_set(StackName=stack, ChangeSetName=change_set)
                if any(text in reason for text in _NO_CHANGES):
                    return None
                self._remove_unfinished(stack)
                raise DeploymentError(f"AWS refuses the change set: {reason}")
            if time.monotonic() > end:
                raise DeploymentError("AWS did not finish the change set; repeat the command")
            time.sleep(self.pause)

    def _settled(self, stack: str) -> str:
        """Wait until no operation of a stack is in progress; return its status, "" if it is deleted."""
        end = time.monotonic() + WAIT_SECONDS
        while True:
            found = self.describe(stack)
            status = found["StackStatus"] if found else ""
            if not status.endswith("_IN_PROGRESS"):
                return status
            if time.monotonic() > end:
                raise DeploymentError("AWS is still at work; see `healthval infra status`")
            time.sleep(self.pause)

    def _reasons(self, stack: str) -> str:
        if self.describe(stack) is None:
            return "AWS gives no reason"
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
        raise UsageError(
            "--operator takes the operator's public key, a file that ends in .pub"
        ) from None
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


def _tag(stack: Mapping[str, Any], key: str) -> str | None:
    return next((tag["Value"] for tag in stack.get("Tags", ()) if tag["Key"] == key), None)


def _parameter(stack: Mapping[str, Any], key: str) -> str | None:
    given = stack.get("Parameters", ())
    return next((p["ParameterValue"] for p in given if p["ParameterKey"] == key), None)


def _tags(stack: str, hub: str | None) -> list[dict[str, str]]:
    own = [{"Key": OWN_TAG, "Value": stack}]
    return [*own, {"Key": HUB_TAG, "Value": hub}] if hub else own


def _parameters(values: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"ParameterKey": name, "ParameterValue": value} for name, value in values.items()]
