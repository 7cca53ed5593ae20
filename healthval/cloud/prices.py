"""The dated price list: each price has its unit and a mark for its source."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from healthval.contracts.base import Line, Wire, read_wire
from healthval.errors import UsageError, counted
from healthval.files import packaged

Day = Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]


class Price(Wire):
    """One unit price; `bills_idle`: charged also without evaluations; `read`: day of mark "api"."""

    usd: Annotated[float, Field(ge=0)]
    per: Line
    mark: Literal["list", "public", "api"]
    bills_idle: bool = False
    uncertain: bool = False
    read: Day | None = None


class PriceList(Wire):
    """Content of the file ``prices.json``; `allowances` are free in every account, permanently."""

    region: Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]$")]
    currency: Literal["USD"]
    compiled: Day
    hours_per_month: Annotated[int, Field(gt=0)]
    athena_minimum_mb: Annotated[int, Field(ge=0)]
    allowances: dict[str, Annotated[int, Field(ge=0)]]
    marks: dict[str, Line]
    prices: dict[str, Price]


@dataclass(frozen=True, slots=True)
class Prices:
    """Unit prices by name, in US dollars."""

    content: PriceList

    def __getitem__(self, name: str) -> float:
        """Return a unit price in US dollars."""
        return self.content.prices[name].usd

    @property
    def source(self) -> str:
        """Region and date of the prices, printed under every sum."""
        return f"{self.content.region}, prices of {self.content.compiled}"

    @property
    def unconfirmed(self) -> tuple[str, ...]:
        """Names of prices that were not read from AWS; refresh them before quoting a sum."""
        return tuple(name for name, price in self.content.prices.items() if price.mark == "list")


def load_prices(path: Path | None = None) -> Prices:
    """Read a price list; without a path, the packaged one.

    Raises
    ------
    UsageError
        If the file cannot be read, is not a price list, or lacks a price or an allowance.
    """
    own = packaged("infra") / "prices.json"
    content = _read(path or own)
    if path is not None:
        expected = _read(own)
        missing = [n for n in expected.prices if n not in content.prices]
        missing += [n for n in expected.allowances if n not in content.allowances]
        if missing:
            raise UsageError(
                f"the price list lacks {counted(len(missing), 'entry', 'entries')}, the first is "
                f"'{missing[0]}'; make a new one with `healthval cost --refresh FILE`"
            )
    return Prices(content)


def _read(path: Path) -> PriceList:
    try:
        return read_wire(PriceList, path.read_bytes())
    except OSError:
        raise UsageError("the price list cannot be read; give the path of a prices.json") from None
    except ValueError as misfit:
        raise UsageError(f"the price list is not usable: {misfit}") from None


def as_json(prices: Prices) -> str:
    """Format a price list for its file: one line per price, so that a refresh is a short diff."""
    content = prices.content.model_dump(mode="json", exclude_defaults=True)
    rows = ",\n".join(
        f"    {json.dumps(name)}: {json.dumps(price)}"
        for name, price in content.pop("prices").items()
    )
    return json.dumps(content, indent=2)[:-2] + ',\n  "prices": {\n' + rows + "\n  }\n}\n"
