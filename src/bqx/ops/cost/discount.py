"""Discounts know which prices they cover; nothing else can be reduced by them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from bqx.base.errors import CostInputError
from bqx.ops.cost.given import decimal
from bqx.ops.cost.pricebook import PriceBook
from bqx.ops.cost.toml import only

KEYS = {"name", "rate", "prices", "months", "commitment", "taken", "source", "date"}


@dataclass(frozen=True)
class Discount:
    """rate : share off. scope : keys of prices it covers, expanded against a book. commitment : currency an hour, at
    the discounted price, paid whether used or not. months : it is promised for. taken : the estimate uses it."""

    name: str
    rate: Decimal
    scope: frozenset[str]
    months: int
    commitment: Decimal
    taken: bool
    source: str

    def covers(self, price: str) -> bool:
        """Whether a line of that price is in scope; lines without a price never are.

        >>> d = Discount("plan", Decimal("0.2"), frozenset({"training-hour"}), 12, Decimal(0), True, "test")
        >>> d.covers("training-hour"), d.covers("log-gb"), d.covers("")
        (True, False, False)
        """
        return price in self.scope


def read_discounts(
    data: Any, book: PriceBook, where: str, sources: Mapping[str, tuple[str, date]]
) -> tuple[Discount, ...]:
    """`[[discount]]` of a scenario. CostInputError for a price the book lacks, and when two that are taken cover one
    price: they do not add up."""
    out: list[Discount] = []
    for number, each in enumerate(data, start=1):
        place = f"{where}, discount {number}"
        if not isinstance(each, Mapping) or not {"name", "rate", "prices", "source"} <= set(each):
            raise CostInputError("it has name, rate, prices and source", where=place)
        only(each, KEYS, place)
        rate = decimal(each["rate"], f"{place}, rate")
        commitment = decimal(each.get("commitment", 0), f"{place}, commitment")
        months = int(decimal(each.get("months", 0), f"{place}, months"))
        taken = each.get("taken", False)
        if not 0 < rate < 1 or commitment < 0 or not isinstance(taken, bool):
            raise CostInputError(f"a rate of {rate} and a commitment of {commitment}", where=place,
                                 fix="0 < rate < 1, commitment >= 0, taken is true or false")  # fmt: skip
        scope = book.keys_like(each["prices"], place)
        text = sources.get(str(each["source"]), (str(each["source"]), None))[0]
        out.append(Discount(str(each["name"]), rate, scope, months, commitment, taken, text))
    check_apart([d for d in out if d.taken], where)
    return tuple(out)


def check_apart(taken: Sequence[Discount], where: str) -> None:
    """CostInputError when a price is in the scope of two."""
    for k, one in enumerate(taken):
        for other in taken[k + 1 :]:
            if both := sorted(one.scope & other.scope):
                raise CostInputError(f"{one.name!r} and {other.name!r} both cover {both[0]}", where=where,
                                     fix="discounts do not stack: leave it out of one scope")  # fmt: skip
