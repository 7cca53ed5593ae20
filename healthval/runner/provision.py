"""Provision of a model: its registration, and its start in the hub or its stack on AWS."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from healthval.client import Client
from healthval.contracts.base import explain
from healthval.contracts.model import ModelRegistration
from healthval.errors import UsageError, counted
from healthval.files import read_yaml
from healthval.hosting.artefact import pack
from healthval.plan_checks import places_of
from healthval.runner.parameters import ProvisionParameters

if TYPE_CHECKING:
    from healthval.cloud.deploy import Account
    from healthval.cloud.model_stack import ModelPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class Provisioned:
    """Outcome of a provision, shown in the notebook as text."""

    status: str
    outputs: Mapping[str, str]

    def __repr__(self) -> str:
        """One line for the status, and one for each output of the stack."""
        rows = [f"  {name:<16} {value}" for name, value in sorted(self.outputs.items())]
        return "\n".join([self.status, *rows])


class Planned:
    """Planned changes of a model's stack, shown in the notebook as text; none in the embedded hub."""

    def __init__(self, account: "Account | None", plan: "ModelPlan | None") -> None:
        self.account, self.plan = account, plan

    def __repr__(self) -> str:
        """One line for each change, and the idle bill before and after."""
        if self.plan is None:
            return "nothing changes on AWS"
        from healthval.cloud.change_set import described

        changes = self.plan.changes
        return "nothing to change" if changes is None else described(changes)


def plan_provision(p: ProvisionParameters, registration: ModelRegistration) -> Planned:
    """Plan the stack of a model on AWS or an emulator; nothing is deployed.

    Raises
    ------
    UsageError, DeploymentError
        If the account, the hub's stack or the image is not usable; see `plan_model`.
    """
    if p.target == "embedded":
        return Planned(None, None)
    from healthval.cloud.deploy import open_account
    from healthval.cloud.model_stack import plan_model

    account = open_account(p.region or None, is_emulator=p.target == "emulator")
    if p.tear_down:
        return Planned(account, None)
    plan = plan_model(account, registration, image=p.image, hub=p.hub_stack)
    if plan.changes is not None and not p.execute:
        account.discard(plan.changes)
    return Planned(account, plan)


def provision(
    p: ProvisionParameters, client: Client, registration: ModelRegistration, planned: Planned
) -> Provisioned:
    """Register a model and start it, deploy its stack, or tear it down, as the parameters say.

    Raises
    ------
    HubError
        If the hub refuses the registration, or the embedded hub's model fails its trial call.
    DeploymentError
        If a deployment failed; it is rolled back.
    """
    card = registration.card
    name = f"{card.name} {card.version}"
    if planned.account is not None and not p.execute:
        verb = "deleted" if p.tear_down else "deployed"
        return Provisioned(status=f"nothing is {verb}; set execute=True", outputs={})
    if p.tear_down:
        return _torn_down(client, registration, planned)
    files = read_probe_files(Path(p.registration))
    client.register_model(registration, pack_artefact(p.artefact), files)
    if planned.account is None or planned.plan is None:
        started = client.start_model(card.name, card.version, tried=True)
        return Provisioned(status=f"{name} is {started.status}", outputs={})
    from healthval.cloud.model_stack import deploy_model

    outputs = deploy_model(planned.account, client, registration, planned.plan)
    status = client.model(card.name, card.version).status
    note = (
        "" if planned.plan.has_image else "; push its image to the repository and give its digest"
    )
    return Provisioned(status=f"{name} is {status}{note}", outputs=outputs)


def _torn_down(client: Client, registration: ModelRegistration, planned: Planned) -> Provisioned:
    card = registration.card
    if planned.account is None:
        client.stop_model(card.name, card.version)
        return Provisioned(status=f"{card.name} {card.version} is stopped", outputs={})
    from healthval.cloud.model_stack import tear_down_model

    stack = tear_down_model(planned.account, client, registration)
    status = f"{card.name} {card.version} is stopped; the stack {stack} is deleted"
    return Provisioned(status=status, outputs={})


def pack_artefact(folder: Path) -> bytes:
    """Pack a model folder; the same content gives the same bytes and the same hash."""
    return pack(folder)


def read_registration(
    path: Path, artefact: Path, *, serverless: object | None = None
) -> ModelRegistration:
    """Read the model card, the input contract and the probes; add the hashes of artefact and files.

    Parameters
    ----------
    serverless : memory and concurrency in place of the file's: `healthval.cloud.serverless.Serverless`
        or the `ServerlessInferenceConfig` of the `sagemaker` SDK

    Raises
    ------
    UsageError
        If the YAML cannot be read or does not match the contract; names the place.
    """
    values = read_yaml(path, what=path.name, remedy="compare it with one of `healthval model new`")
    unedited = list(
        places_of(values, lambda text: "FILL IN" in text.replace("_", " ").replace("-", " "))
    )
    if unedited:
        raise UsageError(
            f"{path.name}: {counted(len(unedited), 'place has', 'places have')} the template's text"
            f" ({', '.join(unedited)}); fill in the card and the inputs"
        )
    values["artefact_sha256"] = hashlib.sha256(pack_artefact(artefact)).hexdigest()
    for probe, files in zip(_probes(values), _probe_files(path, values), strict=True):
        probe["files"] = [hashlib.sha256(data).hexdigest() for data in files]
    try:
        read = ModelRegistration.model_validate(values, strict=False)
    except ValidationError as error:
        raise UsageError(f"{path.name} is not valid: {explain(error)}") from None
    if serverless is None:
        return read
    from healthval.cloud.serverless import with_serverless

    return with_serverless(read, serverless)


def read_probe_files(path: Path) -> list[bytes]:
    """Read the files of the probes in a registration, which names them relative to its folder."""
    values = read_yaml(path, what=path.name, remedy="compare it with one of `healthval model new`")
    return [data for files in _probe_files(path, values) for data in files]


def _probes(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the probes that have files; a misshapen one is refused by its contract."""
    found = values.get("probes")
    listed = found if isinstance(found, list) else []
    return [p for p in listed if isinstance(p, dict) and isinstance(p.get("files"), list)]


def _probe_files(path: Path, values: Mapping[str, Any]) -> Iterator[list[bytes]]:
    for number, probe in enumerate(_probes(values), start=1):
        folder = path.parent.resolve()
        places = [(folder / str(name)).resolve() for name in probe["files"]]
        if not all(place.is_file() and place.is_relative_to(folder) for place in places):
            raise UsageError(
                f"{path.name}: a file of probe {number} is not in the folder of the registration;"
                " name it relative to this folder"
            )
        yield [place.read_bytes() for place in places]
