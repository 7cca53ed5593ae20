"""`healthval deid`."""

from pathlib import Path
from typing import Any

import click

from healthval.cli.types import FILE, FOLDER

OPTIONS = (
    "clean-pixel-data", "clean-graphics", "clean-structured-content", "clean-descriptors", "retain-full-dates",
    "retain-modified-dates", "retain-patient-characteristics", "retain-device-identity", "retain-uids",
    "retain-safe-private", "retain-institution-identity",
)  # fmt: skip


@click.command("deid")
@click.argument("source", type=click.Path(path_type=Path, exists=True), nargs=-1)
@click.option("-o", "--out", type=FOLDER, help="New folder outside the source.")
@click.option(
    "--secret",
    type=FILE,
    help="File with the site's secret (32 bytes or more); the site folder's deid.secret.",
)
@click.option(
    "--option",
    "options",
    multiple=True,
    type=click.Choice(OPTIONS),
    metavar="OPTION",
    help=f"Option of the confidentiality profile; may be repeated: {', '.join(OPTIONS)}.",
)
@click.option("--rules", type=FILE, help="YAML with rectangles to blank, by device.")
@click.option(
    "--text",
    type=click.Choice(["ignore", "refuse", "blank"]),
    default="ignore",
    show_default=True,
    help="What a text detector does with an image in whose pixels it finds text.",
)
@click.option(
    "--sign-off",
    help="Name of the person who inspected images that are refused otherwise; the report states it.",
)
@click.option(
    "--known", type=FILE, help="File of further identifiers to look for in the result, one a line."
)
@click.option(
    "--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes."
)
@click.option("--explain", is_flag=True, help="Print what happens to each attribute, and stop.")
def deid_command(source: tuple[Path, ...], out: Path | None, **choices: Any) -> None:
    """De-identify DICOM files and audit every byte of the result; a leak stops the whole batch.

    Dates are removed unless an option retains them. Running it again finishes an interrupted batch.
    """
    from healthval.runner.deid import batch, explanation, policy_of

    policy = policy_of(*(choices[name] for name in ("options", "rules", "text", "sign_off")))
    if choices["explain"]:
        click.echo("\n".join(explanation(policy)))
        return
    means = {name: choices[name] for name in ("known", "workers")}
    for line in batch(source, out, policy, choices["secret"], **means):
        click.echo(line)
