"""Command `hub`: an embedded hub for a laptop or a hospital's test server."""

import sys
from pathlib import Path
from typing import Any, TextIO

import click

from healthval.cli.types import FILE, FOLDER, HUB, KEY
from healthval.errors import UsageError, counted

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
    """Serve, audit, back up or restore a hub.

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


@hub.command("backup")
@click.option("--data", type=FOLDER, default=Path("hub"), show_default=True, help="The hub's data.")
@click.argument("target", type=click.Path(path_type=Path, dir_okay=False))
def hub_backup(data: Path, target: Path) -> None:
    """Back up a hub, which may be running, into the file TARGET.

    The file has the hub's secrets: keep it private. It has no patient's row or score.
    """
    check_platform()
    from healthval.hub.backup import back_up

    click.echo(f"{target}: {counted(back_up(data, target), 'file')}")


@hub.command("restore")
@click.argument("backup", type=FILE)
@click.option("--data", type=FOLDER, required=True, help="A new folder for the hub's data.")
def hub_restore(backup: Path, data: Path) -> None:
    """Check BACKUP and restore it into a new folder."""
    check_platform()
    from healthval.hub.backup import restore

    click.echo(f"{data}: {counted(restore(backup, data), 'file')}")


@hub.group("audit")
def audit() -> None:
    """Export and verify the audit chain of a hub."""


@audit.command("export")
@HUB
@KEY
@click.argument("target", type=click.File("w", encoding="utf-8", atomic=True))
def audit_export(hub_url: str, key: Path, target: TextIO) -> None:
    """Write the chain to the file TARGET, one entry per line; - is standard output.

    The key is the operator's or an auditor's.
    """
    from healthval.client import Client, load_credential

    with Client(hub_url, load_credential(key)) as client:
        n = 0
        for page in client.audit_pages():
            target.writelines(entry.model_dump_json() + "\n" for entry in page.entries)
            n += len(page.entries)
    click.echo(f"exported: {counted(n, 'entry')}", err=True)


@audit.command("verify")
@HUB
@KEY
@click.option("--earlier", type=FILE, help="An earlier export, which the chain must continue.")
def audit_verify(hub_url: str, key: Path, earlier: Path | None) -> None:
    """Check that no entry was changed, left out, added or cut off.

    With --earlier, also that the chain contains each entry of that export: a chain that was
    written anew as a whole is consistent, and differs from every earlier export.
    """
    from healthval.client import Client, load_credential
    from healthval.hub.audit_chain import verify_pages

    with Client(hub_url, load_credential(key)) as client:
        head = verify_pages(client.audit_pages(), earlier)
    click.echo(
        f"verified: {counted(head.number, 'entry')}; head {head.sha256}" if head else "empty"
    )
