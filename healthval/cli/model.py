"""Groups `model`, `models` and `vendor`: a vendor's model folder, the hub's models, a vendor's key."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from healthval.cli.access import LABEL, read_public_key
from healthval.cli.hub import check_platform
from healthval.cli.types import EXISTING_FOLDER, FILE, FOLDER, HUB, KEY, note_if_empty
from healthval.errors import HostingError, UsageError, counted

if TYPE_CHECKING:
    from healthval.client import ModelContract

KINDS = ("sklearn", "onnx", "torch", "mlflow")


@click.group()
def model() -> None:
    """A vendor's model folder."""


def _artefact_in(folder: Path) -> Path:
    """Return the folder with the code; `model new` writes it into one beside the registration."""
    is_outer = not (folder / "inference.py").exists() and (folder / "artefact").is_dir()
    return folder / "artefact" if is_outer else folder


@model.command("container")
@click.argument("folder", type=FOLDER)
@click.option("-o", "--out", type=FOLDER, required=True, help="New folder for the build context.")
@click.option("--group", default="MODEL", show_default=True, help="Name of the model on AWS.")
def container_command(folder: Path, out: Path, group: str) -> None:
    """Write the build context of a model's image, and print the commands that push it to ECR."""
    from healthval.cloud.container import LOCK, write_context

    artefact = _artefact_in(folder)
    context = write_context(artefact, out)
    click.echo(f"written: {context.folder}, artefact {context.artefact_sha256}")
    if not (artefact / LOCK).is_file():
        click.echo(f"no {LOCK} in {artefact}: the image has no packages for the model")
    click.echo("with docker and your AWS sign-in, AWS_REGION set:")
    for line in context.commands(group):
        click.echo(f"  {line}")


@model.command("new")
@click.argument("folder", type=FOLDER)
@click.option(
    "--from",
    "source",
    help="The trained model: .joblib, .onnx, .pt2, .pt, a folder of MLflow, or module:factory.",
)
@click.option(
    "--kind", type=click.Choice(KINDS), help="Library of the model; by default from its name."
)
def model_new(folder: Path, source: str | None, kind: str | None) -> None:
    """Start a model folder.

    FOLDER gets the model, inference.py that loads it, and registration.yaml with the card and the
    input contract to fill in.
    """
    from healthval.hosting.new_model import start_model_folder

    for line in start_model_folder(folder, source, kind):
        click.echo(line)


@model.command("check")
@click.argument("folder", type=EXISTING_FOLDER)
@click.option("--sample", type=FILE, help="CSV with the inputs of a table model, a row a case.")
@click.option("--registration", type=FILE, help="Default: registration.yaml in or beside FOLDER.")
def model_check(folder: Path, sample: Path | None, registration: Path | None) -> None:
    """Try a model folder on a sample and on the registered probes.

    The model runs on this machine with your rights. Its traceback is shown; the hub never shows one.
    """
    from healthval.hosting.model_check import check_model
    from healthval.runner.provision import read_probe_files, read_registration

    folder = _artefact_in(folder)
    places = (folder / "registration.yaml", folder.parent / "registration.yaml")
    found = registration or next((place for place in places if place.is_file()), None)
    if found is None:
        raise UsageError("no registration.yaml in or beside the folder; give --registration")
    files = read_probe_files(found)
    tried = check_model(folder, read_registration(found, folder), sample=sample, probe_files=files)
    for line in tried.lines:
        click.echo(line, err=not tried.ok)
    if not tried.ok:
        raise HostingError("the model failed the trial; the lines above give the reason")


@model.command("serve")
@click.argument("folder", type=FOLDER)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8080,
    show_default=True,
    help="Port; 0 takes any free one.",
)
def model_serve(folder: Path, port: int) -> None:
    """Serve a model folder on this machine by the container contract.

    GET /ping and POST /invocations on 127.0.0.1, without a sandbox.
    """
    check_platform()
    from healthval.hosting.__main__ import main

    sys.exit(main(["serve", "--model", str(_artefact_in(folder)), "--port", str(port)]))


@click.group(invoke_without_command=True)
@click.option("--hub", "hub_url", envvar="HEALTHVAL_HUB", help="Address of the hub.")
@click.option("--key", type=FILE, help="File with your private key.")
@click.pass_context
def models(ctx: click.Context, hub_url: str | None, key: Path | None) -> None:
    """List models, or show an input contract.

    The hub shows a contract to a site after the operator has approved its access.
    """
    if ctx.invoked_subcommand is None:
        if hub_url is None or key is None:
            raise UsageError("give --hub and --key, or a command: list or show")
        _list_models(hub_url, key)


@models.command("list")
@HUB
@KEY
def models_list(hub_url: str, key: Path) -> None:
    """List names and versions of the models."""
    _list_models(hub_url, key)


def _list_models(hub_url: str, key: Path) -> None:
    contracts = _contracts(hub_url, key)
    note_if_empty(
        contracts, "no models yet; the operator registers one with `healthval run provision`"
    )
    for one in contracts:
        takes = "contract not open to this key"
        if one.inputs is not None:
            fields = counted(len(one.inputs.fields), "input")
            takes = fields if one.inputs.kind == "table" else f"{one.inputs.kind}, {fields}"
        click.echo(f"{one.name} {one.version}  {takes}")


@models.command("show")
@HUB
@KEY
@click.argument("name")
@click.argument("version", required=False)
def models_show(hub_url: str, key: Path, name: str, version: str | None) -> None:
    """Show the input contract of the model NAME, of all its versions or of one."""
    found = [c for c in _contracts(hub_url, key) if c.name == name and version in {None, c.version}]
    if not found:
        raise UsageError("the hub has no such model; see `healthval models list`")
    for one in found:
        for line in _contract_lines(one):
            click.echo(line)


def _contracts(hub_url: str, key: Path) -> "tuple[ModelContract, ...]":
    from healthval.client import Client, load_credential

    with Client(hub_url, load_credential(key)) as client:
        return client.contracts()


def _contract_lines(one: "ModelContract") -> list[str]:
    from healthval.client.holder import CLOSED

    if one.inputs is None:
        return [f"{one.name} {one.version}: {CLOSED}"]
    lines = [f"{one.name} {one.version}: {one.inputs.kind}"]
    if one.inputs.modalities:
        lines.append(f"  modalities  {', '.join(one.inputs.modalities)}")
    for entry in one.inputs.fields:
        low, high = entry.low, entry.high
        limits = " to ".join("?" if x is None else f"{x:g}" for x in (low, high))
        range_ = "" if low is None and high is None else limits
        about = ", ".join(entry.levels) if entry.kind == "category" else f"{range_} {entry.unit}"
        lines.append(f"  {entry.name:<24} {entry.kind:<9} {about}".rstrip())
    return lines


@click.group()
def vendor() -> None:
    """Create a vendor's key, or enrol it."""


@vendor.command("key")
@click.argument("key", type=click.Path(path_type=Path, dir_okay=False))
def vendor_key(key: Path) -> None:
    """Create the vendor's key pair: KEY stays with the vendor, KEY.pub goes to the operator."""
    from healthval.client import Credential

    if key.exists():
        raise UsageError(f"{key.name} exists already; a key is never overwritten")
    made = Credential.create(key)
    click.echo(f"{made.id}: {key} (private: keep it), {key}.pub (send it to the operator)")


@vendor.command("enrol")
@HUB
@KEY
@click.argument("public_key", type=FILE)
@LABEL
@click.option(
    "--model", "names", multiple=True, required=True, help="Name of a model; may be repeated."
)
def vendor_enrol(
    hub_url: str, key: Path, public_key: Path, label: str, names: tuple[str, ...]
) -> None:
    """Enrol a vendor by its PUBLIC_KEY; --key is the operator's.

    It is the .pub file of a key or AWS role; its holder can read the reports on the named models.
    """
    from healthval.client import Client, load_credential
    from healthval.contracts.access import VendorKey, site_id

    public = read_public_key(public_key)
    try:
        enrolled = VendorKey(public_key=public, label=label, models=names)
    except ValueError:
        raise UsageError("the label or a model's name is malformed; correct it") from None
    with Client(hub_url, load_credential(key)) as client:
        client.enrol_vendor(enrolled)
        known = {one.name for one in client.contracts()}
    click.echo(f"{site_id(public)}: vendor of {', '.join(names)}")
    unknown = [name for name in names if name not in known]
    if unknown:
        click.echo(f"not yet at the hub: {', '.join(unknown)}; check the spelling", err=True)
