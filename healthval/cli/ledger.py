"""Commands for the messages of a site: `release`, `submit` and the group `ledger`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from healthval.cli.types import FOLDER, HUB

if TYPE_CHECKING:
    from healthval.contracts.submission import Submission
    from healthval.disclosure import Release


@click.command()
@click.argument("site", type=FOLDER)
@click.option("--json", "as_json", is_flag=True, help="Print the message as it would be sent.")
def release(site: Path, as_json: bool) -> None:
    """Show the newest released message.

    Tables of its numbers, of what is withheld and why, and of the changes since the last release,
    with its hash.
    """
    from healthval.disclosure.release_view import lines
    from healthval.evaluation import Site, newest_release, release_before

    home = Site.open(site)
    message = newest_release(home)
    if as_json:
        click.echo(message.payload.decode())
        click.echo(f"sha256 {message.sha256}", err=True)
        return
    for line in lines(message, release_before(message, home)):
        click.echo(line)
    click.echo(f"\nNothing was sent. Next: healthval submit {site} --hub URL")


@click.command("submit")
@HUB
@click.argument("site", type=FOLDER)
@click.option(
    "--yes",
    metavar="SHA256",
    help="The hash that `healthval release` printed; replaces the question.",
)
def submit_command(hub_url: str, site: Path, yes: str | None) -> None:
    """Send the newest released message.

    Its numbers, what is withheld and the changes are shown first; it is sent after your
    confirmation. `healthval release --json` prints the message itself.
    """
    from healthval.disclosure.release_view import lines
    from healthval.runner.submission import send_release

    def confirm(message: "Release", before: "Submission | None") -> bool:
        for line in lines(message, before):
            click.echo(line)
        return click.confirm("Send this result to the hub?", default=False)

    receipt = send_release(hub_url, site, confirm=confirm, agreed=yes)
    repeated = " (the hub had it already)" if receipt.repeated else ""
    click.echo(f"received: {receipt.submission_sha256}{repeated}")
    if receipt.active != receipt.submission_sha256:
        click.echo(f"not counted: the hub counts your later result {receipt.active}")


@click.group()
def ledger() -> None:
    """Show, export or verify the site's ledger.

    The ledger records everything that left the site.
    """


@ledger.command("show")
@click.argument("site", type=FOLDER)
def ledger_show(site: Path) -> None:
    """List the messages that left the site.

    Each line has the time, the kind of message, its bytes and its cases.
    """
    from healthval.disclosure.ledger_view import show
    from healthval.evaluation import Site

    for line in show(Site.open(site).ledger):
        click.echo(line)


@ledger.command("export")
@click.argument("site", type=FOLDER)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def ledger_export(site: Path, file: Path) -> None:
    """Write all that left as a page (HTML).

    For a privacy officer: names, plans, de-identified inputs as counts and fields, released results as
    tables, and the chain of the ledger.
    """
    from healthval.evaluation import Site
    from healthval.report.forms.hub_view import write_hub_view

    click.echo(f"written: {write_hub_view(Site.open(site), file)}")


@ledger.command("verify")
@click.argument("site", type=FOLDER)
def ledger_verify(site: Path) -> None:
    """Check that the ledger is complete.

    A changed, removed or added entry is reported as an error.
    """
    from healthval.disclosure.ledger_view import verify
    from healthval.evaluation import Site

    click.echo(verify(Site.open(site).ledger))
