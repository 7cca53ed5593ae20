"""Argument types and options that several commands share."""

from pathlib import Path

import click

FOLDER = click.Path(path_type=Path, file_okay=False)
FILE = click.Path(path_type=Path, dir_okay=False, exists=True)

HUB = click.option(
    "--hub", "hub_url", required=True, envvar="HEALTHVAL_HUB", help="Address of the hub."
)
KEY = click.option("--key", type=FILE, required=True, help="File with your private key.")
