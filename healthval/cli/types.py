"""Argument types and options that several commands share."""

from pathlib import Path
from typing import Any

import click

FOLDER = click.Path(path_type=Path, file_okay=False)
EXISTING_FOLDER = click.Path(path_type=Path, file_okay=False, exists=True)


class FolderOrS3(click.Path):
    """Path of a folder, or an address s3://bucket/prefix as it is."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Path | str:
        """Keep an address as text, because a path would lose one of its slashes."""
        if str(value).startswith("s3://"):
            return str(value)
        return Path(str(super().convert(value, param, ctx)))


FILE = click.Path(path_type=Path, dir_okay=False, exists=True)

HUB = click.option(
    "--hub", "hub_url", required=True, envvar="HEALTHVAL_HUB", help="Address of the hub."
)
KEY = click.option("--key", type=FILE, required=True, help="File with your private key.")
