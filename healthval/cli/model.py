"""Commands of `model`: a vendor's model folder."""

from pathlib import Path

import click

from healthval.cli.types import FOLDER


@click.group()
def model() -> None:
    """A vendor's model folder."""


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
