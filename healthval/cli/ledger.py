"""Commands for the messages of a site: `release`, `submit` and the groups `sum` and `ledger`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from healthval.cli.types import FILE, FOLDER, HUB, KEY, agrees

if TYPE_CHECKING:
    from healthval.contracts.submission import Submission
    from healthval.disclosure import Release
    from healthval.evaluation.secure_sum import Participant


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
        return agrees("Send this result to the hub?")

    receipt = send_release(hub_url, site, confirm=confirm, agreed=yes)
    repeated = " (the hub had it already)" if receipt.repeated else ""
    click.echo(f"received: {receipt.submission_sha256}{repeated}")
    if receipt.active != receipt.submission_sha256:
        click.echo(f"not counted: the hub counts your later result {receipt.active}")


@click.group("sum")
def secure_sum() -> None:
    """Take part in a secure sum, or close a round.

    The tables of the hospitals at the plan's thresholds are added up under masks that cancel: the
    report gets the total, and nobody gets the table of one hospital.
    """


@secure_sum.command("next")
@HUB
@click.argument("plan_file", metavar="PLAN", type=FILE)
@click.argument("site", type=FOLDER)
@click.option(
    "--yes",
    metavar="ROSTER",
    help="First 16 digits of the roster's hash that this command showed; replaces the question.",
)
def sum_next(hub_url: str, plan_file: Path, site: Path, yes: str | None) -> None:
    """Send what this site can send now, and print what the sum waits for.

    Run it again until it says done. The hospitals that take part are shown once, before the masked table
    is sent. A message that was sent is not sent again.
    """
    from healthval.client import Client
    from healthval.evaluation import Site
    from healthval.evaluation.secure_sum import next_step
    from healthval.plan_file import load_plan
    from healthval.runner.submission import sum_lines

    def confirm(roster: "Sequence[Participant]", mark: str) -> bool:
        for one in roster:
            click.echo(f"{one.label:<40} {one.site}  key {one.fingerprint[:16]}")
        click.echo(f"roster {mark[:16]}")
        if yes is not None:
            return yes == mark[:16]
        question = "Are these the hospitals of the study? Send the masked table?"
        return agrees(question)

    home = Site.open(site)
    with Client(hub_url, home.credential) as client:
        progress = next_step(load_plan(plan_file), home, client, confirm=confirm)
    for line in sum_lines(progress):
        click.echo(line)


@secure_sum.command("close")
@HUB
@KEY
@click.argument("plan_file", metavar="PLAN", type=FILE)
@click.option("--yes", is_flag=True, help="Close it without a question.")
def sum_close(hub_url: str, key: Path, plan_file: Path, yes: bool) -> None:
    """Close the open round of a secure sum; the hospitals that are missing leave it.

    For the operator. The first round is always closed by hand, when all hospitals have joined; the others
    end by themselves when no hospital is missing.
    """
    from healthval.client import Client, load_credential
    from healthval.plan_file import load_plan
    from healthval.runner.operator_tasks import close_round

    def confirm(text: str) -> bool:
        click.echo(text)
        return yes or agrees("Close this round?")

    with Client(hub_url, load_credential(key)) as client:
        state = close_round(client, load_plan(plan_file), confirm=confirm)
    click.echo(f"now: {state.round}" + (f" ({state.reason})" if state.round == "failed" else ""))


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
