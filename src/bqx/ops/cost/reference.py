"""A plan's printed cost figures as data, and what its own lines come to when they are computed again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from bqx.base.errors import CostInputError
from bqx.ops.cost.given import decimal
from bqx.ops.cost.money import cents
from bqx.ops.cost.toml import only, read_toml, shipped_toml

SEED = "seed"
TOP = {"format", "name", "title", "source", "date", "currency", "target", "endpoint", "line", "group", "totals",
       "discount", "rate", "schedule", "version", "growth", "other"}  # fmt: skip


@dataclass(frozen=True)
class RefLine:
    """A printed line. quantity : already divided by the plan's `per`. covers : components it pays for. market : the
    quantity in units of our price book, and the prices there that it could be of. function : what a request takes."""

    id: str
    group: str
    quantity: Decimal
    unit: str
    price: Decimal
    printed: Decimal
    compute: bool
    covers: tuple[str, ...]
    market: Mapping[str, Any]
    function: Mapping[str, Any]

    @property
    def exact(self) -> Decimal:
        """Quantity times price, not rounded."""
        return self.quantity * self.price


@dataclass(frozen=True)
class Reference:
    """Parts that are plain data stay mappings; `bqx.ops.cost.differences` reads them."""

    name: str
    title: str
    source: str
    dated: date
    currency: str
    target: Decimal
    endpoint: str
    lines: tuple[RefLine, ...]
    groups: Mapping[str, Mapping[str, Any]]
    totals: Mapping[str, Any]
    rate: Decimal
    scope: str
    rates: Sequence[Mapping[str, Any]]
    schedules: Sequence[Mapping[str, Any]]
    versions: Sequence[Mapping[str, Any]]
    growth: Mapping[str, Any]

    def line(self, name: str) -> RefLine:
        """CostInputError when there is none."""
        for each in self.lines:
            if each.id == name:
                return each
        raise CostInputError(f"there is no line {name!r}", where=f"reference {self.name}")

    def sum(self, instances: Decimal = Decimal(1), *, rate: Decimal = Decimal(0), scope: str = "compute") -> Decimal:
        """Of all lines with that many endpoint instances, less a discount on `compute` lines or on `all`; exact.

        >>> read_reference().sum().quantize(Decimal("0.01"))
        Decimal('511.87')
        """
        out = Decimal(0)
        for line in self.lines:
            amount = line.exact * (instances if line.id == self.endpoint else 1)
            within = scope == "all" or line.compute
            out += amount * (1 - rate) if within else amount
        return out

    def printed(self, total: str) -> Decimal:
        """A printed total."""
        found = self.totals[total]
        return Decimal(found["printed"] if isinstance(found, Mapping) else found)

    def instances(self, total: str) -> Decimal:
        """Endpoint instances that a total is said to hold."""
        found = self.totals[total]
        return Decimal(found.get("instances", 1)) if isinstance(found, Mapping) else Decimal(1)

    def recomputed(self) -> dict[str, Decimal]:
        """Sums of the lines by group, and of all, to the cent."""
        out: dict[str, Decimal] = {}
        for name in self.groups:
            out[name] = cents(self.group_sum(name))
        return {**out, "baseline": cents(self.sum())}

    def group_sum(self, name: str) -> Decimal:
        """Of a group's lines, or of the parts it names instead."""
        if "parts" in self.groups[name]:
            return sum((Decimal(p) for p in self.groups[name]["parts"]), Decimal(0))
        return sum((line.exact for line in self.lines if line.group == name), Decimal(0))


def read_reference(name: str = SEED) -> Reference:
    """`seed`, or a file of the same form. CostInputError names what is wrong with it."""
    if name == SEED:
        return make_reference(shipped_toml("seed.toml"), "seed.toml")
    return make_reference(read_toml(Path(name)), name)


def make_reference(data: Mapping[str, Any], where: str) -> Reference:
    only(data, TOP, where)
    if absent := sorted(TOP - {"other"} - set(data)):
        raise CostInputError(f"{absent[0]!r} is absent", where=where, fix="seed.toml of this package is an example")
    if data["format"] != 1:
        raise CostInputError(f"format {data['format']!r} of a reference", where=where, fix="this bqx reads 1")
    try:
        return Reference(
            name=data["name"], title=data["title"], source=data["source"], dated=data["date"],
            currency=data["currency"], target=Decimal(data["target"]), endpoint=data["endpoint"],
            lines=tuple(_line(each, where) for each in data["line"]),
            groups={g["name"]: g for g in data["group"]}, totals=data["totals"],
            rate=Decimal(data["discount"]["rate"]), scope=data["discount"]["scope"], rates=data["rate"],
            schedules=data["schedule"], versions=data["version"], growth=data["growth"],
        )  # fmt: skip
    except (KeyError, TypeError, ArithmeticError) as error:
        raise CostInputError(f"an entry is absent or of another kind: {error!r}", where=where) from error


def _line(data: Mapping[str, Any], where: str) -> RefLine:
    place = f"{where}, line {data.get('id')!r}"
    per = decimal(data.get("per", 1), f"{place}, per")
    if per <= 0:
        raise CostInputError(f"per {per}", where=place)
    figures = {k: decimal(data[k], f"{place}, {k}") for k in ("quantity", "price", "printed")}
    return RefLine(
        data["id"], data["group"], figures["quantity"] / per, data["unit"], figures["price"], figures["printed"],
        bool(data.get("compute", False)), tuple(data["covers"]), data.get("market", {}), data.get("function", {}),
    )  # fmt: skip
