"""Commands `check` and `plan`: check a plan with its data, amend it with a reason, list its versions."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from healthval.cli.types import FILE, FOLDER
from healthval.errors import HubError, PlanError, UsageError, counted

if TYPE_CHECKING:
    from healthval.contracts.model import InputContract

_SITE = click.option("--site", type=FOLDER, required=True, help="Folder of the site.")


@click.group()
def plan() -> None:
    """Check or amend a plan, or list its versions."""


@plan.command("check")
@click.argument("plan_file", metavar="PLAN", type=FILE)
def plan_check(plan_file: Path) -> None:
    """Check a plan as a whole, and print its hash.

    No data are read.
    """
    from healthval.plan_file import load_plan

    checked = load_plan(plan_file)
    click.echo(f"{checked.study}: {checked.hash}")


@plan.command("amend")
@click.argument("plan_file", metavar="PLAN", type=FILE)
@_SITE
@click.option("--reason", required=True, help="Why the plan changes; it leaves with the request.")
def plan_amend(plan_file: Path, site: Path, reason: str) -> None:
    """Record a changed plan with the reason; the earlier versions are kept.

    Ask for access under the new plan afterwards. The reason must not contain patient data.
    """
    from healthval.evaluation import Site
    from healthval.plan_file import load_plan

    click.echo(repr(Site.open(site).amend(load_plan(plan_file), reason)))


@plan.command("history")
@click.argument("plan_file", metavar="PLAN", type=FILE)
@_SITE
def plan_history(plan_file: Path, site: Path) -> None:
    """List the versions of a study's plan at a site, the oldest first."""
    from healthval.plan_file import load_plan
    from healthval.plan_versions import versions_of

    for version in versions_of(site, load_plan(plan_file).study):
        used = (
            f"evaluated {version.evaluated:%Y-%m-%d %H:%M}"
            if version.evaluated
            else "not evaluated"
        )
        signed = (
            f"countersigned {version.stamp.at:%Y-%m-%d %H:%M}"
            if version.stamp
            else "not countersigned"
        )
        reason = f"  {version.reason}" if version.reason else ""
        when = f"{version.registered:%Y-%m-%d %H:%M}"
        click.echo(f"{when}  {version.hash[:16]}  {signed}  {used}{reason}")


@click.command()
@click.argument("plan_file", metavar="PLAN", type=FILE)
@click.option("--table", type=click.Path(path_type=Path), help="Table of the cases.")
@click.option(
    "--resources", type=click.Path(path_type=Path), help="File or folder of FHIR resources."
)
@click.option(
    "--linked",
    type=(str, click.Path(path_type=Path)),
    multiple=True,
    metavar="NAME FILE",
    help="Table of a linkage of the plan; may be repeated.",
)
@click.option("--hub", "hub_url", help="Also compare with the model's contract.")
@click.option("--key", type=FILE, help="Your private key, for --hub.")
def check(plan_file: Path, hub_url: str | None, key: Path | None, **data: Any) -> None:
    """Check a plan and its data.

    All problems are named at once, and no value of a patient is quoted. Nothing is sent; with --hub
    the model's contract is fetched.
    """
    from healthval.runner.check import check_study, inputs_to_compare

    contract, refused = None, []
    try:
        contract = None if hub_url is None else _contract(hub_url, key, plan_file)
    except HubError as problem:
        refused = [f"hub: {problem}"]
    found = check_study(plan_file, contract=contract, **{**data, "linked": dict(data["linked"])})
    problems = [*found.problems, *refused]
    by_hand = [inputs_to_compare(found.plan)] if refused and found.plan else []
    for line in (*found.advice, *by_hand):
        click.echo(f"advice   {line}")
    if problems:
        for line in problems:
            click.echo(f"problem  {line}", err=True)
        raise PlanError(f"{counted(len(problems), 'problem')}; nothing was registered or sent")
    assert found.plan is not None  # noqa: S101 - a plan without problems
    click.echo(f"ok       {found.plan.study}: {', '.join(found.done)}; hash {found.plan.hash}")


def _contract(hub_url: str, key: Path | None, plan_file: Path) -> "InputContract | None":
    from healthval.client import Client, load_credential
    from healthval.plan_file import plan_problems

    if key is None:
        raise UsageError("--hub needs --key, for example site/site.key")
    known, _ = plan_problems(plan_file)
    if known is None:
        return None
    with Client(hub_url, load_credential(key)) as client:
        return client.contract(known.model.name, known.model.version).inputs
