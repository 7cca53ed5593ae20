"""The stack of one model version: planned, deployed, tried through the hub, rolled back, deleted."""

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from healthval.client import Client
from healthval.cloud.change_set import ChangeSet
from healthval.cloud.deploy import Account
from healthval.contracts.model import ModelRegistration
from healthval.errors import DeploymentError, HealthvalError, HubError, HubUnavailable, UsageError
from healthval.hub.ports import HostedModel

WARM_SECONDS: Final = 600
PAUSE_SECONDS: Final = 5.0
_IMAGE: Final = re.compile(r"[^\s@]+@sha256:[a-f0-9]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPlan:
    """A planned deployment of one model version.

    Attributes
    ----------
    changes : None if the stack is as planned already
    parameters : parameters of the stack; without an image it has the repository only
    before : parameters of the stack as it is; None if there is none
    """

    stack: str
    hub: str
    changes: ChangeSet | None
    parameters: Mapping[str, str]
    before: Mapping[str, str] | None

    @property
    def has_image(self) -> bool:
        """Return whether the plan has an endpoint, and not only the repository."""
        return bool(self.parameters["ImageUri"])


def stack_of(registration: ModelRegistration) -> str:
    """Return the name of a model version's stack, which is the name of its endpoint too."""
    card = registration.card
    return HostedModel(
        name=card.name,
        version=card.version,
        artefact=registration.artefact_sha256,
        memory_mb=registration.memory_mb,
        max_concurrency=registration.max_concurrency,
    ).endpoint


def plan_model(
    account: Account, registration: ModelRegistration, *, image: str, hub: str
) -> ModelPlan:
    """Create the change set of a model version's stack; nothing is deployed.

    Parameters
    ----------
    image : address of the image in ECR with its digest; empty makes the repository for it only
    hub : name of the hub's stack

    Raises
    ------
    UsageError
        If the image has no digest, the hub has no stack here, or the version has another image.
    DeploymentError
        If the template's idle bill does not pass, or AWS refuses the change set.
    """
    if image and not _IMAGE.fullmatch(image):
        raise UsageError(
            "the image needs its digest (…@sha256:…): a tag can be moved to other bytes"
        )
    inputs = account.outputs(hub).get("InputsBucket")
    if inputs is None:
        raise UsageError(
            f"there is no hub {hub} in {account.region}; deploy it with `healthval infra deploy`"
        )
    stack = stack_of(registration)
    before = _parameters(account.describe(stack))
    if before and image and before.get("ImageUri") not in {"", image}:
        raise UsageError(
            "this version has another image already; register a new version, or tear this one down"
        )
    parameters = {
        "Endpoint": stack,
        "Group": registration.card.name,
        "ImageUri": image or (before or {}).get("ImageUri", ""),
        "ArtefactSha256": registration.artefact_sha256,
        "ModelVersion": registration.card.version,
        "MemoryMB": str(registration.memory_mb),
        "MaxConcurrency": str(registration.max_concurrency),
        "InputsBucket": inputs,
        "Version": _which(account, registration.card.name, stack, before),
        "Profile": "emulator" if account.is_emulator else "aws",
    }
    changes = account.plan(stack, "model", parameters, hub=hub)
    return ModelPlan(stack=stack, hub=hub, changes=changes, parameters=parameters, before=before)


def deploy_model(
    account: Account, client: Client, registration: ModelRegistration, plan: ModelPlan
) -> Mapping[str, str]:
    """Execute a plan, warm the endpoint and try it through the hub; a failure is rolled back.

    The model must be registered. Without an image only the repository is made. An interrupted
    call is resumed by planning and deploying again.

    Returns
    -------
    outputs of the stack

    Raises
    ------
    DeploymentError
        If the deployment or the trial call fails. The stack is as before then, or has no endpoint
        if the version never served. A version that served is tried again and serves on if it
        answers; any other is stopped in the registry.
    """
    card = registration.card
    has_served = client.model(card.name, card.version).status != "registered"
    try:
        if plan.changes is not None:
            account.execute(plan.changes)
        if plan.has_image:
            _start(client, registration)
    except (DeploymentError, HubError) as failure:
        undone = _undo(account, client, registration, plan, has_served=has_served)
        raise DeploymentError(f"{failure}; {undone}") from None
    return account.outputs(plan.stack)


def tear_down_model(account: Account, client: Client, registration: ModelRegistration) -> str:
    """Stop a model version in the registry and delete its stack; return the stack's name.

    Raises
    ------
    UsageError
        If other versions use the repository of this stack.
    """
    stack, card = stack_of(registration), registration.card
    known = _parameters(account.describe(stack))
    others = [name for name, _ in _versions(account, card.name) if name != stack]
    if known and known.get("Version") == "first" and others:
        raise UsageError(
            f"other versions use the repository of {stack}; tear them down first: {', '.join(sorted(others))}"
        )
    client.stop_model(card.name, card.version)
    account.destroy(stack)
    return stack


def _start(client: Client, registration: ModelRegistration) -> None:
    """Warm the endpoint: a cold start takes minutes, and the hub is unavailable until it is over."""
    end = time.monotonic() + WARM_SECONDS
    while True:
        try:
            client.start_model(registration.card.name, registration.card.version, tried=True)
        except HubUnavailable:
            if time.monotonic() > end:
                raise
            time.sleep(PAUSE_SECONDS)
        else:
            return


def _undo(
    account: Account,
    client: Client,
    registration: ModelRegistration,
    plan: ModelPlan,
    *,
    has_served: bool,
) -> str:
    """Return to the stack as before the plan; return what was done, as part of a sentence."""
    done = [_attempt(lambda: _restore(account, plan, has_served=has_served))]
    done.append(_attempt(lambda: _resume(client, registration, has_served=has_served)))
    return "; ".join(done)


def _attempt(step: Any) -> str:
    try:
        return str(step())
    except HealthvalError as failure:
        return f"not undone: {failure}"


def _resume(client: Client, registration: ModelRegistration, *, has_served: bool) -> str:
    """Let a version that served before serve again if it answers; stop any other."""
    if has_served:
        with suppress(HubError):
            _start(client, registration)
            return "the model serves as before"
    client.stop_model(registration.card.name, registration.card.version)
    return "the model is stopped in the registry"


def _restore(account: Account, plan: ModelPlan, *, has_served: bool) -> str:
    has_repository = plan.parameters["Version"] == "first"
    if plan.before is None or (not has_served and not has_repository):
        account.destroy(plan.stack)
        return f"the stack {plan.stack} is deleted"
    wanted = plan.before if has_served else {**plan.before, "ImageUri": ""}
    back = account.plan(plan.stack, "model", wanted, hub=plan.hub)
    if back is not None:
        account.execute(back)
    state = "as before" if has_served else "without an endpoint; its repository is kept"
    return f"the stack {plan.stack} is {state}"


def _parameters(stack: Mapping[str, Any] | None) -> Mapping[str, str] | None:
    """Return the parameters of a stack that was completed once; None for any other."""
    if stack is None or stack["StackStatus"] in {"REVIEW_IN_PROGRESS", "ROLLBACK_COMPLETE"}:
        return None
    return {p["ParameterKey"]: p["ParameterValue"] for p in stack.get("Parameters", ())}


def _versions(account: Account, group: str) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Return the stacks of a model's versions with their parameters."""
    for found in account.stacks():
        known = _parameters(found)
        if known and known.get("Group") == group and "ArtefactSha256" in known:
            yield found["StackName"], known


def _which(account: Account, group: str, stack: str, before: Mapping[str, str] | None) -> str:
    if before:
        return before.get("Version", "first")
    owned = any(
        p.get("Version") == "first" for name, p in _versions(account, group) if name != stack
    )
    return "later" if owned else "first"
