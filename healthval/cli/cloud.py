"""Command `cost`: the charges of AWS for an evaluation, and the refresh of its price list."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from healthval.cloud.prices import Prices


@click.command()
@click.option(
    "--cases", type=click.IntRange(0), default=1000, show_default=True, help="Cases to predict."
)
@click.option(
    "--mb", type=float, default=0.01, show_default=True, help="Megabytes per case, in and out."
)
@click.option(
    "--seconds", type=float, default=0.05, show_default=True, help="Seconds in the model, per case."
)
@click.option(
    "--memory",
    type=click.Choice(["1024", "2048", "3072", "4096", "5120", "6144"]),
    default="2048",
    show_default=True,
    help="Memory of the endpoint in MB.",
)
@click.option(
    "--prices",
    "price_list",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Price list to use instead of the packaged one.",
)
@click.option(
    "--refresh",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Read the current prices from AWS into this price list; needs credentials.",
)
def cost(*, price_list: Path | None, refresh: Path | None, **figures: Any) -> None:
    """Print the AWS charges of an evaluation.

    The charges of a month without evaluations, of 1000 inferences of three model sizes, and of an
    idle, a light and an active month are printed too. With --refresh only the prices are renewed.
    """
    from healthval.cloud.prices import load_prices

    if refresh is not None:
        _refresh(refresh, price_list)
        return
    prices = load_prices(price_list)
    _print_evaluation(prices, **figures)
    _print_months(prices)


def _print_evaluation(
    prices: Prices, *, cases: int, mb: float, seconds: float, memory: str
) -> None:
    from healthval.cloud.estimate import estimate, idle, overhead
    from healthval.errors import counted

    used = estimate(cases, memory_mb=int(memory), seconds=seconds, megabytes=mb, prices=prices)
    bills = {
        f"{counted(cases, 'case')}, one evaluation": used + overhead(prices),
        "a month without evaluations": idle(prices),
    }
    for title, bill in bills.items():
        click.echo(f"{title}: ${bill.usd:.4f}")
        for line in bill.lines:
            click.echo(f"  {line.what:<32} {line.usd:>10.4f}")


def _print_months(prices: Prices) -> None:
    from healthval.cloud.estimate import per_thousand, usage
    from healthval.errors import counted

    click.echo("1000 inferences:")
    for size, usd in per_thousand(prices).items():
        click.echo(f"  {size:<32} {usd:>10.4f}")
    click.echo("months; an evaluation is 50 to 90 images, from one customer key to two:")
    for use in usage(prices):
        span = " to ".join(dict.fromkeys(f"${bill.usd:.2f}" for bill in (use.low, use.high)))
        click.echo(f"  {counted(use.n_evaluations, 'evaluation'):<32} {span}")
    unchecked = counted(
        len(prices.unconfirmed), "price is an AWS list price", "prices are AWS list prices"
    )
    click.echo(f"{prices.source}; {unchecked} from memory, not read from AWS")


def _refresh(file: Path, price_list: Path | None) -> None:
    """Renew a price list in place, or make a new one from the given or the packaged one."""
    from datetime import UTC, datetime

    import boto3

    from healthval.cloud.prices import as_json, load_prices
    from healthval.cloud.reach import reaching
    from healthval.cloud.refresh import REGION, refresh
    from healthval.errors import UsageError, counted
    from healthval.files import write_durably

    old = load_prices(file) if file.exists() else None  # any other file is refused, not replaced
    if not file.absolute().parent.is_dir():
        raise UsageError(f"there is no folder for {file.name}; create it first")
    base = load_prices(price_list) if price_list or old is None else old
    with reaching():
        client = boto3.Session().client("pricing", region_name=REGION)
    done = refresh(base, client, today=datetime.now(UTC).date().isoformat())
    write_durably(file, as_json(done.prices).encode(), mode=0o644)
    for name, (before, after) in done.changed.items():
        click.echo(f"  {name}: {before:.10g} is now {after:.10g}")
    for name, reason in done.kept.items():
        click.echo(f"  {name}: kept; {reason}")
    n_read = len(base.content.prices) - len(done.kept)
    click.echo(
        f"{file.name}: {counted(n_read, 'price')} read from AWS, {len(done.changed)} of them changed; "
        f"{counted(len(done.kept), 'price')} kept"
    )
