"""Command group `plan`: check a plan, amend it with a reason, list its versions."""

from pathlib import Path

import click

from healthval.cli.types import FILE, FOLDER

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
