"""Command `verify`: check a published report."""

from pathlib import Path

import click

from healthval.cli.types import FILE


@click.command()
@click.argument("report", type=click.Path(path_type=Path, exists=True))
@click.option(
    "--key",
    type=FILE,
    help="The platform's public key (.pub), obtained through a different channel than the report.",
)
def verify(report: Path, key: Path | None) -> None:
    """Check a report's signature, offline.

    Every file that the signature covers is checked too.
    """
    from healthval.report.publish import verify_report

    for name in verify_report(report, key):
        click.echo(f"as signed: {name}")
