"""Commands of `infra`: audit templates; deploy, describe and destroy the hub on AWS."""

from __future__ import annotations

import functools
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from healthval.cloud.audit.audit import IdleBill
    from healthval.cloud.deploy import Account
    from healthval.cloud.prices import Prices


@click.group()
def infra() -> None:
    """CloudFormation templates of a hub on AWS."""


@infra.command("audit")
@click.argument(
    "files",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE...",
)
@click.option(
    "--limit",
    type=click.FloatRange(0),
    default=0.50,
    show_default=True,
    help="Most US dollars of a month without evaluations.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the bill as JSON.")
@click.option(
    "--prices",
    "price_list",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Price list to use instead of the packaged one.",
)
def audit_command(
    files: tuple[Path, ...], limit: float, as_json: bool, price_list: Path | None
) -> None:
    """Print what CloudFormation templates cost in a month without evaluations.

    The exit code is 1 if a resource is forbidden or of unknown cost, or if the sum is above the
    limit.
    """
    from healthval.cloud.audit.audit import audit_templates
    from healthval.cloud.prices import load_prices

    prices = load_prices(price_list)
    bill = audit_templates(files, prices, limit_usd=limit)
    _print_json(bill, prices) if as_json else _print_bill(bill, prices)
    sys.exit(0 if bill.passes else 1)


def _print_bill(bill: IdleBill, prices: Prices) -> None:
    from healthval.errors import counted

    for line in bill.lines:
        usd = "?" if line.usd is None else f"{line.usd:.4f}"
        mark = "" if line.verdict == "priced" else line.verdict.upper() + ": "
        click.echo(f"{usd:>10}  {line.place}: {mark}{line.what}")
    at_least = "at least " if any(line.usd is None for line in bill.lines) else ""
    click.echo(
        f"a month without evaluations: {at_least}${bill.usd:.4f}; limit ${bill.limit_usd:.2f}"
    )
    faults = {
        verdict: sum(f.verdict == verdict for f in bill.faults)
        for verdict in ("forbidden", "unknown")
    }
    click.echo(
        f"{'passes' if bill.passes else 'fails'}: {counted(faults['forbidden'], 'resource')} forbidden, "
        f"{counted(faults['unknown'], 'cost')} unknown; {prices.source}"
    )


def _print_json(bill: IdleBill, prices: Prices) -> None:
    lines = [
        {"place": line.place, "what": line.what, "usd": line.usd, "verdict": line.verdict}
        for line in bill.lines
    ]
    content = {
        "passes": bill.passes,
        "usd": round(bill.usd, 6),
        "limit_usd": bill.limit_usd,
        "region": prices.content.region,
        "prices_of": prices.content.compiled,
        "lines": lines,
    }
    click.echo(json.dumps(content, indent=2))


def _place(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that name stack and place; the command gets `stack` and `account`."""

    @functools.wraps(command)
    def run(*, region: str | None, emulator: bool, **rest: Any) -> None:
        from healthval.cloud.deploy import open_account

        command(account=open_account(region, is_emulator=emulator), **rest)

    for option in (
        click.option("--emulator", is_flag=True, help="AWS_ENDPOINT_URL is an emulator, not AWS."),
        click.option("--region", help="AWS region; AWS_REGION by default."),
        click.option("--stack", default="healthval", show_default=True, help="Name of the stack."),
    ):
        run = option(run)
    return run


@infra.command("deploy")
@click.option(
    "--operator",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The operator's public key, a file that ends in .pub.",
)
@click.option("--worker-image", default="", help="Image of the worker in ECR, once it is pushed.")
@click.option("--yes", is_flag=True, help="Execute the changes; without it they are only shown.")
@_place
def deploy_command(
    *, account: Account, stack: str, operator: Path, worker_image: str, yes: bool
) -> None:
    """Show what a deployment of the hub would change and cost; with --yes, do it.

    Run it again after an interruption: it resumes, and a failed first attempt is removed.
    """
    from healthval.cloud.change_set import described
    from healthval.cloud.deploy import core_parameters
    from healthval.cloud.own_keys import create_keys

    account.check_own(stack)  # before code is stored
    parameters = core_parameters(account, operator, stack) | {"WorkerImage": worker_image}
    planned = account.plan(stack, "core", parameters)
    if yes:
        create_keys(account, stack)
    if planned is None:
        click.echo("nothing to change")
    else:
        click.echo(described(planned))
        if not yes:
            account.discard(planned)
            click.echo("nothing is deployed; repeat the command with --yes to deploy")
            return
        account.execute(planned)
    _print_outputs(account.outputs(stack))


@infra.command("status")
@_place
def status_command(*, account: Account, stack: str) -> None:
    """Print the status, the outputs, the models and the drift of a deployed hub."""
    found = account.describe(stack)
    if found is None:
        click.echo(f"there is no stack {stack} in {account.region}")
        return
    click.echo(f"{stack} in {account.region}: {found['StackStatus']}")
    _print_outputs(account.outputs(stack))
    models = account.models_of(stack)
    for name in models:
        model = account.describe(name) or {}
        click.echo(f"{name} in {account.region}: {model.get('StackStatus', 'deleted')}")
    for name in (stack, *models):
        _print_drift(account, name)


def _print_drift(account: Account, stack: str) -> None:
    from healthval.cloud.drift import drifted
    from healthval.errors import DeploymentError

    try:
        found = drifted(account, stack)
    except DeploymentError as error:
        click.echo(f"{stack}: changes by hand are not known; {error}")
        return
    for one in found:
        what = "deleted" if one.deleted else f"changed ({', '.join(one.properties)})"
        click.echo(f"  {one.name} ({one.type}) was {what} by hand")
    if not found:
        click.echo(f"{stack}: AWS finds no changes by hand")


@infra.command("destroy")
@click.option("--yes", is_flag=True, help="Delete; without it only the stack is named.")
@_place
def destroy_command(*, account: Account, stack: str, yes: bool) -> None:
    """Delete a deployed hub with all its data: submissions, reports, audit chain and trail."""
    names = ", ".join([*account.models_of(stack), stack])
    if not yes:
        click.echo(
            f"in {account.region} would be deleted for ever, with all data: {names}; "
            "repeat the command with --yes"
        )
        return
    account.destroy(stack)
    click.echo(f"deleted in {account.region}: {names}")


def _print_outputs(outputs: dict[str, str]) -> None:
    for name, value in sorted(outputs.items()):
        click.echo(f"  {name:<16} {value}")
