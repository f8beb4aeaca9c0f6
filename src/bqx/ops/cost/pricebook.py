"""The price book: what a unit of a service costs, since when, and who says so."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from bqx.base.errors import CostInputError
from bqx.ops.cost.given import KEYS, Given, decimal, read_given
from bqx.ops.cost.toml import only, read_sources, read_toml, shipped_toml

REFERENCE = "prices-reference.toml"
_REGION = re.compile(r"^[A-Z]{2,4}\d?-")
"""What usage types begin with outside of the provider's first region."""
MATCHING = {"service", "usage", "offer_unit", "scale", "sku"}


def bare(usage: str) -> str:
    """A usage type without the region it may begin with.

    >>> bare("USE2-NatGateway-Hours"), bare("NatGateway-Hours")
    ('NatGateway-Hours', 'NatGateway-Hours')
    """
    return _REGION.sub("", usage, count=1)


@dataclass(frozen=True, slots=True)
class Price:
    """A unit price. service, usage : as the provider's lists and bills name it, `usage` as patterns without the region
    they may begin with. scale : units of the provider in one of ours, such as 1,000,000 requests in one million. sku :
    of the list it was read from."""

    key: str
    given: Given
    service: str
    usage: tuple[str, ...]
    offer_unit: str
    scale: Decimal
    sku: str = ""

    @property
    def unit(self) -> str:
        return self.given.unit

    def matches(self, service: str, usage: str) -> bool:
        """Whether a line of a bill or list is of this price."""
        return service == self.service and any(fnmatchcase(bare(usage), pattern) for pattern in self.usage)

    def as_dict(self) -> dict[str, Any]:
        return {"key": self.key, **self.given.as_dict(), "service": self.service, "usage": list(self.usage),
                "sku": self.sku}  # fmt: skip


@dataclass(frozen=True)
class PriceBook:
    """Prices by key. note : what must be said wherever the book is used."""

    name: str
    currency: str
    region: str
    note: str
    prices: Mapping[str, Price]
    where: str

    def __getitem__(self, key: str) -> Price:
        """CostInputError for a key the book does not have."""
        if key not in self.prices:
            raise CostInputError(f"there is no price {key!r}", where=self.where, fix=f"add [price.{key}] to the book")
        return self.prices[key]

    @property
    def oldest(self) -> date:
        """Date of the oldest price."""
        return min(p.given.dated for p in self.prices.values())

    def keys_like(self, patterns: Iterable[str], where: str) -> frozenset[str]:
        """Keys that match; CostInputError for a pattern that matches none."""
        out: set[str] = set()
        for pattern in patterns:
            found = {key for key in self.prices if fnmatchcase(key, pattern)}
            if not found:
                raise CostInputError(f"no price is named {pattern!r}", where=where, fix="`bqx cost prices list`")
            out |= found
        return frozenset(out)

    def find(self, service: str, usage: str) -> Price | None:
        """The price a line of a bill is of."""
        return next((p for p in self.prices.values() if p.matches(service, usage)), None)


def read_book(path: Path | None = None) -> PriceBook:
    """A book from a file; None gives the one that ships, the reference's. CostInputError names the entry."""
    where = REFERENCE if path is None else str(path)
    return make_book(shipped_toml(REFERENCE) if path is None else read_toml(path), where)


def make_book(data: Mapping[str, Any], where: str) -> PriceBook:
    only(data, {"format", "name", "currency", "region", "note", "sources", "price"}, where)
    if data.get("format") != 1:
        raise CostInputError(f"format {data.get('format')!r} of a price book", where=where, fix="this bqx reads 1")
    for key in ("name", "currency", "region", "note"):
        if not isinstance(data.get(key), str):
            raise CostInputError(f"{key!r} is absent or no text", where=where)
    if not isinstance(data.get("price"), Mapping) or not data["price"]:
        raise CostInputError("there is no [price.KEY]", where=where)
    sources = read_sources(data, where)
    prices = {key: _price(key, each, where, sources) for key, each in data["price"].items()}
    return PriceBook(data["name"], data["currency"], data["region"], data["note"], prices, where)


def _price(key: str, data: Any, where: str, sources: Mapping[str, tuple[str, date]]) -> Price:
    place = f"{where}, price.{key}"
    if not isinstance(data, Mapping):
        raise CostInputError("it is a table", where=place)
    only(data, {*KEYS, *MATCHING}, place)
    given = read_given(key, {k: v for k, v in data.items() if k in KEYS}, f"{where}, price", sources)
    usage = data.get("usage", [])
    if not isinstance(usage, list) or not all(isinstance(u, str) for u in usage):
        raise CostInputError("`usage` is a list of patterns", where=place)
    scale = decimal(data.get("scale", 1), f"{place}, scale")
    if scale <= 0:
        raise CostInputError(f"a scale of {scale}", where=place)
    text = {k: str(data.get(k, "")) for k in ("service", "offer_unit", "sku")}
    return Price(key, given, text["service"], tuple(usage), text["offer_unit"], scale, text["sku"])
