"""Argument types and options that several commands share."""

import sys
from collections.abc import Sized
from pathlib import Path
from typing import Any

import click

from healthval.errors import UsageError

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


def agrees(question: str) -> bool:
    """Return the answer to a question before a step that is final.

    Raises
    ------
    UsageError
        If standard input ends without an answer, as in a scheduled job.
    """
    try:
        return click.confirm(question, default=False)
    except click.Abort:
        if sys.stdin.isatty():
            raise
        raise UsageError(
            "no answer could be read, and nothing was done; --yes answers beforehand, see --help"
        ) from None


def note_if_empty(found: Sized, text: str) -> None:
    """Print a note about an empty list to standard error; the list itself is for other programs."""
    if not found:
        click.echo(text, err=True)
