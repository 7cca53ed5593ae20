"""Command `hub`: an embedded hub for a laptop or a hospital's test server."""

import sys
from pathlib import Path

import click

from healthval.cli.types import FOLDER
from healthval.errors import UsageError

HUB_PLATFORMS = "healthval's hub needs Linux or macOS"


def check_platform() -> None:
    """Refuse to start a hub on Windows."""
    if sys.platform == "win32":
        raise UsageError(HUB_PLATFORMS)


@click.command()
@click.option(
    "--data",
    type=FOLDER,
    default=Path("hub"),
    show_default=True,
    help="Folder for the hub's database, its files and the operator's key.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8765,
    show_default=True,
    help="Port; 0 takes any free one.",
)
def hub(data: Path, port: int) -> None:
    """Serve an embedded hub on 127.0.0.1.

    The first start creates the operator's key.
    """
    check_platform()
    from healthval.evaluation import open_credential
    from healthval.hub.__main__ import serve

    operator = open_credential(data / "operator.key")
    click.echo(f"operator key: {data / 'operator.key'} (private: keep it)", err=True)
    serve(data, operator.public_key, port=port)
