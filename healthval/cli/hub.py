"""Command `hub`: an embedded hub for a laptop or a hospital's test server."""

import sys
from pathlib import Path
from typing import Any

import click

from healthval.cli.types import FOLDER
from healthval.errors import UsageError

HUB_PLATFORMS = "healthval's hub needs Linux or macOS"


def check_platform() -> None:
    """Refuse to start a hub on Windows."""
    if sys.platform == "win32":
        raise UsageError(HUB_PLATFORMS)


@click.group(invoke_without_command=True)
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
    "--origin", help="The https address of this hub for other machines, behind a TLS proxy."
)
@click.option(
    "--trust-models",
    is_flag=True,
    help="Run models also where bubblewrap cannot isolate them.",
)
@click.pass_context
def hub(context: click.Context, /, data: Path, operator: Path | None, **options: Any) -> None:
    """Serve, check, back up or restore a hub.

    The embedded hub listens on 127.0.0.1 only. Where --operator names a file that does not exist,
    the key pair is created there: KEY.pub and, private, KEY.
    """
    if context.invoked_subcommand is not None:
        return
    check_platform()
    if operator is None:
        raise UsageError("a hub needs --operator, the operator's public key (a .pub file)")
    from healthval.contracts.keys import fingerprint
    from healthval.evaluation import open_credential
    from healthval.hub.__main__ import Serving, check_apart, operator_key, serve

    private = check_apart(operator, data)
    if not operator.exists():
        open_credential(private)
        click.echo(f"operator key: {private} (private: keep it)", err=True)
    public = operator_key(operator)
    click.echo(f"fingerprint: {fingerprint(public)} (publish it)", err=True)
    serve(data, public, Serving(**options))
