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
    help="Folder for the hub's database and its files.",
)
@click.option(
    "--operator",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="The operator's public key, a .pub file outside the data folder.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8765,
    show_default=True,
    help="Port; 0 takes any free one.",
)
@click.option(
    "--trust-models",
    is_flag=True,
    help="Run models also where bubblewrap cannot isolate them.",
)
def hub(data: Path, operator: Path, port: int, trust_models: bool) -> None:
    """Serve an embedded hub on 127.0.0.1.

    Where --operator names a file that does not exist, the key pair is created there: KEY.pub and,
    private, KEY.
    """
    check_platform()
    from healthval.contracts.keys import fingerprint
    from healthval.evaluation import open_credential
    from healthval.hub.__main__ import check_apart, operator_key, serve

    private = check_apart(operator, data)
    if not operator.exists():
        open_credential(private)
        click.echo(f"operator key: {private} (private: keep it)", err=True)
    public = operator_key(operator)
    click.echo(f"fingerprint: {fingerprint(public)} (publish it)", err=True)
    serve(data, public, port=port, trust_models=trust_models)
