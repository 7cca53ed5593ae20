"""Command group `access`: request access to a model, list requests, decide on them."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from healthval.cli.types import FILE, FOLDER, HUB, KEY

if TYPE_CHECKING:
    from healthval.runner.operator_tasks import Status


@click.group()
def access() -> None:
    """Request access, or decide on requests."""


@access.command("request")
@HUB
@click.option("--site", type=FOLDER, required=True, help="Folder of the site.")
@click.option(
    "--new-site",
    is_flag=True,
    help="Create the folder with its key and secret: the hub counts each key as a hospital.",
)
@click.option("--plan", "plan_file", type=FILE, required=True, help="The study's plan.")
@click.option("--label", required=True, help="Site name shown to the operator.")
def access_request(hub_url: str, site: Path, new_site: bool, plan_file: Path, label: str) -> None:
    """Ask for access to the plan's model.

    A hospital keeps one site folder for all its studies. Its first request has --new-site.
    """
    from healthval.client import Client
    from healthval.evaluation import Site, request_access
    from healthval.plan_file import load_plan

    plan = load_plan(plan_file)
    home = Site.create(site) if new_site else Site.open(site)
    with Client(hub_url, home.credential) as client:
        grant = request_access(plan, client, site=home, label=label)
    click.echo(repr(home.register(plan)))
    click.echo(f"{grant.site}: {grant.status}")


@access.command("list")
@HUB
@KEY
def access_list(hub_url: str, key: Path) -> None:
    """List requests and grants. A site sees only its own."""
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
    help="Days until an approval expires.",
)
def access_decide(hub_url: str, key: Path, site: str, status: "Status", days: int) -> None:
    """Approve, reject or revoke a site's access.

    The key is the operator's; the decision applies to each of the site's requests that can take it.
    """
    from healthval.runner.operator_tasks import decide

    for grant in decide(hub_url, key, site, status=status, days=days):
        click.echo(f"{grant.site}  {grant.status}  {grant.model} {grant.version}")
