"""Refresh of a price list by the AWS Price List API: a price that is not certain stays as it is."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import Field

from healthval.cloud.prices import Price, PriceList, Prices
from healthval.cloud.reach import reaching
from healthval.contracts.base import Line, Wire, read_wire
from healthval.errors import DeploymentError
from healthval.files import packaged

# The query API exists in few regions and has the prices of all.
REGION = "us-east-1"
# Usage types begin with a region, such as "USE1-", "EU-" or "us-east-1-"; often with none in us-east-1.
_PREFIX = r"(?:[A-Z]{2,4}[0-9]{0,2}-|[a-z]{2}(?:-[a-z]+)+-[0-9]-)?"


class Product(Wire):
    """The product of the Price List that one price of the list is read from.

    Attributes
    ----------
    usage : regular expression of the usage type, without its region
    units : units of AWS in which the price may be given
    per : units of AWS in one unit of the price list
    match : attributes that the query asks for
    region_field : attribute that holds the region; empty for a product without one
    """

    service: Line
    usage: Line
    units: Annotated[list[Line], Field(min_length=1)]
    per: Annotated[int, Field(gt=0)] = 1
    match: dict[str, Line] = Field(default_factory=dict)
    region_field: Literal["regionCode", "fromRegionCode", ""] = "regionCode"
    source: Line


class Products(Wire):
    """Content of the file ``price_products.json``."""

    sources: dict[str, Line]
    products: dict[str, Product]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refreshed:
    """A refreshed price list.

    Attributes
    ----------
    changed : prices that differ now, each with its old and its new value in US dollars
    kept : prices that stay as they were, each with the reason
    """

    prices: Prices
    changed: Mapping[str, tuple[float, float]]
    kept: Mapping[str, str]


class _NotCertain(Exception):
    """The reason why a price is not taken."""


def load_products() -> Mapping[str, Product]:
    """Return the products of the packaged table by the names of their prices."""
    data = (packaged("infra") / "price_products.json").read_bytes()
    return read_wire(Products, data).products


def refresh(prices: Prices, client: Any, *, today: str) -> Refreshed:
    """Read the current unit prices of a list for its region.

    The first tier with a price above zero counts, because free tiers are never subtracted.

    Parameters
    ----------
    client : boto3 client of the service ``pricing``
    today : date of the new list, YYYY-MM-DD

    Raises
    ------
    UsageError, DeploymentError
        If there are no credentials, or AWS refuses or does not answer.
    """
    products = load_products()

    @cache
    def offers(service: str, wanted: tuple[tuple[str, str], ...]) -> Sequence[Mapping[str, Any]]:
        return tuple(_offers(client, service, wanted))

    read: dict[str, Price] = {}
    kept: dict[str, str] = {}
    for name, price in prices.content.prices.items():
        product = products.get(name)
        if product is None:
            kept[name] = "no product of the Price List is known for it"
            continue
        try:
            found = offers(product.service, _filters(product, prices.content.region))
            usd = _unit_price(found, product)
        except _NotCertain as reason:
            kept[name] = str(reason)
        else:
            read[name] = price.model_copy(update={"usd": usd, "mark": "api", "read": today})
    return Refreshed(prices=_dated(prices, read, today), changed=_changes(prices, read), kept=kept)


def _dated(prices: Prices, read: dict[str, Price], today: str) -> Prices:
    content = prices.content
    marks = content.marks | {
        "api": "read from the Price List API of AWS on the day named by 'read'"
    }
    update: dict[str, Any] = {"prices": content.prices | read, "compiled": today, "marks": marks}
    return Prices(PriceList.model_validate(content.model_copy(update=update).model_dump()))


def _changes(prices: Prices, read: Mapping[str, Price]) -> dict[str, tuple[float, float]]:
    return {name: (prices[name], new.usd) for name, new in read.items() if new.usd != prices[name]}


def _filters(product: Product, region: str) -> tuple[tuple[str, str], ...]:
    place = {product.region_field: region} if product.region_field else {}
    return tuple((place | product.match).items())


def _offers(
    client: Any, service: str, wanted: tuple[tuple[str, str], ...]
) -> Iterator[Mapping[str, Any]]:
    filters = [{"Type": "TERM_MATCH", "Field": field, "Value": value} for field, value in wanted]
    with reaching():
        pages = client.get_paginator("get_products").paginate(
            ServiceCode=service, Filters=filters, FormatVersion="aws_v1"
        )
        texts = [text for page in pages for text in page["PriceList"]]
    for text in texts:
        try:
            offer = json.loads(text)
        except ValueError:
            offer = None
        if not isinstance(offer, dict):
            raise DeploymentError(
                "the Price List API sent an answer that is not JSON; nothing is written"
            )
        yield offer


def _unit_price(offers: Sequence[Mapping[str, Any]], product: Product) -> float:
    usage = re.compile(f"{_PREFIX}(?:{product.usage})")
    found: set[Decimal] = set()
    for offer in offers:
        try:
            if usage.fullmatch(offer["product"]["attributes"].get("usagetype", "")):
                terms = offer["terms"].get("OnDemand", {})
                found |= {_first_tier(t["priceDimensions"], product) for t in terms.values()}
        except (KeyError, TypeError, AttributeError, InvalidOperation):
            raise _NotCertain("the answer of AWS has another form than expected") from None
    found.discard(Decimal(0))
    if not found:
        raise _NotCertain("AWS has no product with a price above zero for it")
    if len(found) > 1:
        raise _NotCertain(f"AWS has {len(found)} different prices for it")
    return float(found.pop() * product.per)


def _first_tier(dimensions: Mapping[str, Any], product: Product) -> Decimal:
    """Return the price of the first tier that costs something; 0 if all are free."""
    for tier in sorted(dimensions.values(), key=lambda tier: Decimal(tier.get("beginRange", "0"))):
        if "USD" not in tier["pricePerUnit"]:
            raise _NotCertain("AWS has its price in another currency")
        usd = Decimal(tier["pricePerUnit"]["USD"])
        if usd <= 0 or not usd.is_finite():
            continue
        if tier["unit"] not in product.units:
            raise _NotCertain("AWS has its price in another unit")
        return usd
    return Decimal(0)
