"""The `healthval` command: parse, call one function, show the answer.

Nothing heavy is imported before a command needs it; `healthval --help` stays instant.
"""

import os
import sys
from pathlib import Path

import click

from healthval.cli.deid import deid_command
from healthval.cli.types import FILE, FOLDER
from healthval.errors import HealthvalError


def main() -> None:
    """Run the command; our errors become one line and their exit code."""
    try:
        cli(prog_name="healthval", standalone_mode=False)
    except HealthvalError as error:
        click.echo(f"healthval: {error}", err=True)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("healthval: stopped; what was finished is kept", err=True)
        sys.exit(130)
    except ModuleNotFoundError as error:
        click.echo(
            f"healthval: this needs the module {error.name}, which a part of healthval brings:"
            ' pip install "healthval[demo]" has all of them, `healthval doctor` says which are missing',
            err=True,
        )
        sys.exit(2)
    except Exception as error:
        if os.environ.get("HEALTHVAL_DEBUG"):
            raise
        # Its text may quote a patient: only the kind is shown.
        click.echo(
            f"healthval: unexpected {type(error).__name__}; its text may quote patients, so it is not shown."
            " Set HEALTHVAL_DEBUG=1 to see it on this machine only.",
            err=True,
        )
        sys.exit(70)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="healthval")
def cli() -> None:
    """Judge a medical AI model on a hospital's own patients; only vetted aggregates leave.

    Start with `healthval demo`.
    """


@cli.command()
@click.argument("study", type=FOLDER)
@click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path, exists=True),
    help="A table (CSV or Parquet), or a file or folder of FHIR resources.",
)
def init(study: Path, source: Path | None) -> None:
    """Start a study: a commented plan and the three notebooks, in a folder named like the study.

    With --from, columns, inputs, label and subgroups are proposed from names and types; confirm or
    correct them in the plan. Nothing is ever overwritten.
    """
    from healthval.runner.new_study import start_study

    for line in start_study(study, source):
        click.echo(line)


@cli.command()
@click.option(
    "--folder", type=FOLDER, default=Path("demo"), show_default=True, help="Where its products lie."
)
@click.option(
    "--track",
    type=click.Choice(["table", "fhir", "imaging"]),
    default="table",
    show_default=True,
    help="What the model reads: a table of real patients, or FHIR resources or images of invented ones.",
)
def demo(folder: Path, track: str) -> None:
    """Run the whole path once, on this machine: on real patients, or on invented ones."""
    from healthval.demo.run import run_demo

    for line in run_demo(folder, track):
        click.echo(line)


@cli.command()
def doctor() -> None:
    """Check that this machine has what evaluations and reports need."""
    from healthval.runner.doctor import diagnose

    findings = diagnose()
    for finding in findings:
        click.echo(f"{'ok     ' if finding.ok else 'missing'}  {finding.what:<22} {finding.detail}")
    sys.exit(0 if all(f.ok or not f.required for f in findings) else 1)


@cli.command(context_settings={"ignore_unknown_options": False})
@click.argument("notebook")
@click.option(
    "-p",
    "--parameter",
    "pairs",
    multiple=True,
    nargs=2,
    metavar="NAME VALUE",
    help="One parameter, as in papermill.",
)
@click.option("-f", "--file", "file", type=FILE, help="YAML file with parameters.")
@click.option(
    "-o",
    "--out",
    type=FOLDER,
    default=Path("runs"),
    show_default=True,
    help="Folder for the executed copy.",
)
def run(notebook: str, pairs: tuple[tuple[str, str], ...], file: Path | None, out: Path) -> None:
    """Execute one of the notebooks: provision, evaluate or report."""
    from healthval.runner.execute import run as execute
    from healthval.runner.parameters import parameters_for, read_parameters

    values = read_parameters(file) | dict(pairs)
    copy = execute(parameters_for(notebook, values), out)
    click.echo(f"finished: {copy}")


@cli.command()
@click.argument("notebook")
def params(notebook: str) -> None:
    """List the parameters of a notebook with their types and meaning."""
    from healthval.runner.parameters import describe

    for line in describe(notebook):
        click.echo(line)


HUB = click.option(
    "--hub", "hub_url", required=True, envvar="HEALTHVAL_HUB", help="The hub's address."
)
KEY = click.option("--key", type=FILE, required=True, help="File with your private key.")


@cli.command()
@click.option(
    "--data", type=FOLDER, default=Path("hub"), show_default=True, help="Everything the hub keeps."
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8765,
    show_default=True,
    help="0: any free one.",
)
def hub(data: Path, port: int) -> None:
    """Serve an embedded hub on 127.0.0.1; the operator's key is made at the first start."""
    from healthval.evaluation import open_credential
    from healthval.hub.__main__ import serve

    operator = open_credential(data / "operator.key")
    click.echo(f"operator key: {data / 'operator.key'} (private: keep it)", err=True)
    serve(data, operator.public_key, port=port)


@cli.group()
def access() -> None:
    """Ask for access, or decide who has it."""


@access.command("request")
@HUB
@click.option(
    "--site", type=FOLDER, required=True, help="The site's own folder; its key is made if missing."
)
@click.option("--plan", "plan_file", type=FILE, required=True, help="The study's plan.")
@click.option("--label", required=True, help="The site's name as the operator shall see it.")
def access_request(hub_url: str, site: Path, plan_file: Path, label: str) -> None:
    """Ask the operator for access to the plan's model."""
    from healthval.client import Client
    from healthval.evaluation import Site, request_access
    from healthval.plan_file import load_plan

    home, plan = Site.open(site), load_plan(plan_file)
    click.echo(repr(home.register(plan)))
    with Client(hub_url, home.credential) as client:
        grant = request_access(plan, client, site=home, label=label)
    click.echo(f"{grant.site}: {grant.status}")


@access.command("list")
@HUB
@KEY
def access_list(hub_url: str, key: Path) -> None:
    """List requests and grants: all for the operator, the own ones for a site."""
    from healthval.client import Client, Credential

    with Client(hub_url, Credential.load(key)) as client:
        grants = client.access_requests()
    for grant in grants:
        click.echo(f"{grant.site}  {grant.status:<9}  {grant.model} {grant.version}  {grant.label}")


@access.command("decide")
@HUB
@KEY
@click.argument("site")
@click.argument("status", type=click.Choice(["approved", "rejected", "revoked"]))
@click.option(
    "--days",
    type=click.IntRange(1, 366),
    default=90,
    show_default=True,
    help="How long an approval holds.",
)
def access_decide(hub_url: str, key: Path, site: str, status: str, days: int) -> None:
    """Approve, reject or revoke a site's requests, as the operator."""
    from typing import cast

    from healthval.report.publish import Status, decide

    for grant in decide(hub_url, key, site, status=cast(Status, status), days=days):
        click.echo(f"{grant.site}  {grant.status}  {grant.model} {grant.version}")


@cli.command()
@click.argument("site", type=FOLDER)
def release(site: Path) -> None:
    """Show the newest message that the gate let pass, whole, with its hash."""
    from healthval.evaluation import Site, newest_release

    message = newest_release(Site.open(site))
    click.echo(message.submission.model_dump_json(indent=2))
    click.echo(f"sha256 {message.sha256}", err=True)


@cli.command("submit")
@HUB
@click.argument("site", type=FOLDER)
@click.option(
    "--yes",
    metavar="SHA256",
    help="The hash that `healthval release` printed, instead of a question.",
)
def submit_command(hub_url: str, site: Path, yes: str | None) -> None:
    """Show the newest released message and send it once you agree."""
    from healthval.report.publish import send_release

    def confirm(text: str) -> bool:
        click.echo(text)
        return click.confirm("Send exactly this to the hub?", default=False)

    receipt = send_release(hub_url, site, confirm=confirm, agreed=yes)
    click.echo(
        f"received: {receipt.submission_sha256}"
        + (" (the hub had it already)" if receipt.repeated else "")
    )


@cli.group()
def ledger() -> None:
    """Everything that ever left the site."""


@ledger.command("show")
@click.argument("site", type=FOLDER)
def ledger_show(site: Path) -> None:
    """List what left: when, what, how many bytes and cases."""
    from healthval.disclosure.ledger_view import show
    from healthval.evaluation import Site

    for line in show(Site.open(site).ledger):
        click.echo(line)


@ledger.command("export")
@click.argument("site", type=FOLDER)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def ledger_export(site: Path, file: Path) -> None:
    """Write the ledger as a page that a privacy officer can read in a browser."""
    from healthval.disclosure.ledger_view import export
    from healthval.evaluation import Site

    click.echo(f"written: {export(Site.open(site).ledger, file)}")


@ledger.command("verify")
@click.argument("site", type=FOLDER)
def ledger_verify(site: Path) -> None:
    """Check that no entry was changed, cut out or added."""
    from healthval.disclosure.ledger_view import verify as verify_chain
    from healthval.evaluation import Site

    click.echo(verify_chain(Site.open(site).ledger))


@cli.command()
@click.argument("report", type=click.Path(path_type=Path, exists=True))
@click.option(
    "--key",
    type=FILE,
    help="The platform's public key (.pub); obtain it on another way than the report.",
)
def verify(report: Path, key: Path | None) -> None:
    """Check a report's signature and every file it covers, offline."""
    from healthval.report.publish import verify_report

    for name in verify_report(report, key):
        click.echo(f"as signed: {name}")


@cli.command()
@click.option(
    "--cases", type=click.IntRange(0), default=1000, show_default=True, help="Cases to predict."
)
@click.option(
    "--mb", type=float, default=0.01, show_default=True, help="Megabytes a case, in and out."
)
@click.option(
    "--seconds", type=float, default=0.05, show_default=True, help="Seconds in the model, a case."
)
@click.option(
    "--memory",
    type=click.Choice(["1024", "2048", "3072", "4096", "5120", "6144"]),
    default="2048",
    show_default=True,
    help="MB of the endpoint.",
)
def cost(cases: int, mb: float, seconds: float, memory: str) -> None:
    """Print what AWS would charge for one evaluation, and for a month without any."""
    from healthval.cloud.estimate import estimate, idle, overhead
    from healthval.cloud.prices import load_prices

    prices = load_prices()
    bill = estimate(
        cases, memory_mb=int(memory), seconds=seconds, megabytes=mb, prices=prices
    ) + overhead(prices)
    for title, part in (
        (f"{cases} cases, one evaluation", bill),
        ("a month with none", idle(prices)),
    ):
        click.echo(f"{title}: ${part.usd:.4f}")
        for line in part.lines:
            click.echo(f"  {line.what:<32} {line.usd:>10.4f}")
    click.echo(
        f"{prices.source}; {len(prices.unconfirmed)} unit prices are list prices to be confirmed in an account"
    )


cli.add_command(deid_command)
