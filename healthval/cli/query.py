"""Command `query`: packaged queries over the submissions and the audit of a hub."""

from __future__ import annotations

import csv
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from healthval.cli.types import FOLDER
from healthval.errors import UsageError

if TYPE_CHECKING:
    from healthval.cloud.queries import Answer

_DAY = click.DateTime(["%Y-%m-%d"])


@click.command()
@click.argument("name", required=False)
@click.option("--data", type=FOLDER, help="Data folder of an embedded hub.")
@click.option(
    "--stack",
    help="Stack of a hub on AWS, in the region AWS_REGION; Athena bills the bytes that it reads.",
)
@click.option("--days", type=_DAY, nargs=2, help="First and last day, UTC; all by default.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
def query(
    *,
    name: str | None,
    data: Path | None,
    stack: str | None,
    days: tuple[datetime, datetime] | None,
    as_csv: bool,
) -> None:
    """Run a packaged query over a hub.

    A query reads submissions and audit; without NAME, the queries are listed. The same SQL runs by
    DuckDB over an embedded hub (--data) and by Athena on AWS (--stack).
    """
    from healthval.cloud.queries import FIRST_DAY, LAST_DAY, queries

    if name is None:
        for known, title in queries().items():
            click.echo(f"{known:<12} {title}")
        return
    if (data is None) == (stack is None):
        raise UsageError("give either --data FOLDER of an embedded hub or --stack NAME on AWS")
    first, last = (day.strftime("%Y-%m-%d") for day in days) if days else (FIRST_DAY, LAST_DAY)
    answer = _here(name, data, (first, last)) if data else _on_aws(name, stack or "", (first, last))
    _print_csv(answer) if as_csv else _print_table(answer)


def _here(name: str, data: Path, days: tuple[str, str]) -> Answer:
    from healthval.cloud.queries import query_files, text_of
    from healthval.hub.backends.query_rows import write_rows_of

    text_of(name)
    return query_files(name, write_rows_of(data), days)


def _on_aws(name: str, stack: str, days: tuple[str, str]) -> Answer:
    from healthval.cloud.deploy import open_account
    from healthval.cloud.queries import query_athena

    return query_athena(name, open_account(), stack, days)


def _print_csv(answer: Answer) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerows([answer.columns, *answer.rows])


def _print_table(answer: Answer) -> None:
    from healthval.errors import counted

    lines = [answer.columns, *answer.rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(answer.columns))]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        click.echo("  ".join(cells).rstrip())
    click.echo(counted(len(answer.rows), "row"))
