"""Commands of `infra`: audit templates."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from healthval.cloud.audit.audit import IdleBill
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
def audit_command(files: tuple[Path, ...], limit: float, as_json: bool) -> None:
    """Print what CloudFormation templates cost in a month without evaluations.

    The exit code is 1 if a resource is forbidden or of unknown cost, or if the sum is above the
    limit.
    """
    from healthval.cloud.audit.audit import audit_templates
    from healthval.cloud.prices import load_prices

    prices = load_prices()
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
    faults = {verdict: sum(f.verdict == verdict for f in bill.faults) for verdict in ("forbidden", "unknown")}  # fmt: skip
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
