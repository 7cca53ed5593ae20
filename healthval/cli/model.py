"""Command group `model`: scaffold, check and serve a model as its developer."""

import sys
from pathlib import Path

import click

from healthval.cli.hub import check_platform
from healthval.cli.types import FOLDER

MODEL = click.argument("folder", type=click.Path(path_type=Path, file_okay=False, exists=True))


@click.group()
def model() -> None:
    """Prepare a model for hospitals: scaffold, check, serve, container. See docs/vendor.md."""


@model.command("new")
@click.argument("source")
@click.option("--name", required=True, help="Name of the model: lower case, digits, hyphens.")
@click.option("--out", type=FOLDER, required=True, help="New folder.")
@click.option("--fields", default="", help="Names of the inputs, with commas, in their order.")
def model_new(source: str, name: str, out: Path, fields: str) -> None:
    """Make an artefact and a registration from the model SOURCE.

    SOURCE is a .joblib or .pkl file (scikit-learn), .onnx, .pt (TorchScript), an MLflow folder, or
    module:factory. Reading a .joblib or .pkl file runs code in it: only use your own.
    """
    from healthval.hosting.scaffold import scaffold

    names = [field.strip() for field in fields.split(",") if field.strip()]
    made = scaffold(source, out, name=name, fields=names)
    click.echo(f"{out}/artefact/inference.py: inputs {', '.join(made.fields)}")
    click.echo(f"{out}/registration.yaml: replace each FILL IN, then `healthval model check {out}`")


@model.command("check")
@MODEL
def model_check(folder: Path) -> None:
    """Run the model in FOLDER as a hub does and print what a hospital sees."""
    check_platform()
    from healthval.hosting.scaffold import REGISTRATION
    from healthval.hub.backends.model_check import check
    from healthval.runner.provision import pack_artefact, read_registration

    artefact = folder / "artefact"
    registration = read_registration(folder / REGISTRATION, artefact)
    for line in check(registration, pack_artefact(artefact)):
        click.echo(line)


@model.command("serve")
@MODEL
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True)
def model_serve(folder: Path, port: int) -> None:
    """Serve the model in FOLDER on this machine by the container contract.

    GET /ping and POST /invocations, without a sandbox.
    """
    check_platform()
    from healthval.hosting.__main__ import main

    sys.exit(main(["serve", "--model", str(folder / "artefact"), "--port", str(port)]))


@model.command("container")
@click.argument("folder", type=FOLDER)
@click.option("-o", "--out", type=FOLDER, required=True, help="New folder for the build context.")
@click.option("--group", default="MODEL", show_default=True, help="Name of the model on AWS.")
def container_command(folder: Path, out: Path, group: str) -> None:
    """Write the build context of a model's image, and print the commands that push it to ECR."""
    from healthval.cloud.container import write_context

    context = write_context(folder, out)
    click.echo(f"written: {context.folder}, artefact {context.artefact_sha256}")
    click.echo("with docker and your AWS sign-in, AWS_REGION set:")
    for line in context.commands(group):
        click.echo(f"  {line}")
