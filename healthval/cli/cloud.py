"""Command `cost`: the charges of AWS for an evaluation."""

import click


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
def cost(cases: int, mb: float, seconds: float, memory: str) -> None:
    """Print the AWS charges of an evaluation.

    The charges of a month without evaluations, of 1000 inferences of three model sizes, and of an
    idle, a light and an active month are printed too.
    """
    from healthval.cloud.estimate import estimate, idle, overhead, per_thousand, usage
    from healthval.cloud.prices import load_prices
    from healthval.errors import counted

    prices = load_prices()
    used = estimate(cases, memory_mb=int(memory), seconds=seconds, megabytes=mb, prices=prices)
    bills = {
        f"{counted(cases, 'case')}, one evaluation": used + overhead(prices),
        "a month without evaluations": idle(prices),
    }
    for title, bill in bills.items():
        click.echo(f"{title}: ${bill.usd:.4f}")
        for line in bill.lines:
            click.echo(f"  {line.what:<32} {line.usd:>10.4f}")
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
    click.echo(f"{prices.source}; {unchecked}, not yet checked against an account")
