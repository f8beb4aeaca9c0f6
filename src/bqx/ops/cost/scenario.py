"""What an installation is asked to do in a month: figures with ranges, traffic, scaling, discounts, budget."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from bqx.base.errors import CostInputError
from bqx.ops.cost.discount import Discount, read_discounts
from bqx.ops.cost.given import Given, decimal, read_given
from bqx.ops.cost.pricebook import PriceBook
from bqx.ops.cost.resources import measured
from bqx.ops.cost.scaling import Policy
from bqx.ops.cost.toml import only, read_sources, read_toml, shipped_toml
from bqx.ops.cost.traffic import Burst, read_bursts

FILE = "cost.toml"
SERVING = ("endpoint", "container", "serverless", "batch")
TOP = {"format", "name", "serving", "budget", "sources", "inputs", "environments", "burst", "scaling", "discount"}
SCALING = {"least", "most", "target", "out_seconds", "in_seconds", "start_seconds", "source", "date"}


@dataclass(frozen=True)
class Scenario:
    """inputs, environments : name -> figure. budget : of a month, in the book's currency."""

    name: str
    serving: str
    budget: Decimal
    inputs: Mapping[str, Given]
    environments: Mapping[str, Given]
    bursts: tuple[Burst, ...]
    policy: Policy
    discounts: tuple[Discount, ...]
    where: str

    @property
    def taken(self) -> tuple[Discount, ...]:
        """Discounts that the estimate uses."""
        return tuple(d for d in self.discounts if d.taken)

    def serve(self, how: str) -> Scenario:
        """The same, served in another way; CostInputError for one that there is not."""
        if how not in SERVING:
            raise CostInputError(f"serving {how!r}", where=self.where, fix=f"one of {', '.join(SERVING)}")
        return replace(self, serving=how)


def read_scenario(book: PriceBook, path: Path | None = None) -> Scenario:
    """The scenario that ships, with what a file says otherwise. CostInputError names the entry that is wrong.

    A list of the file (`burst`, `discount`) takes the place of ours; tables are laid over ours entry by entry.
    """
    data = shipped_toml("scenario.toml")
    where = "scenario.toml"
    if path is not None:
        where = str(path)
        mine = read_toml(path)
        only(mine, TOP, where)
        data = _over(data, mine, where)
    return make_scenario(data, book, where)


def _over(base: Mapping[str, Any], mine: Mapping[str, Any], where: str) -> dict[str, Any]:
    out = dict(base)
    for key, value in mine.items():
        if isinstance(out.get(key), Mapping) != isinstance(value, Mapping) and key in out:
            raise CostInputError(f"{key!r} is of another kind", where=where)
        out[key] = {**out[key], **value} if isinstance(value, Mapping) and key in out else value
    return out


def make_scenario(data: Mapping[str, Any], book: PriceBook, where: str) -> Scenario:
    only(data, TOP, where)
    if data.get("format") != 1:
        raise CostInputError(f"format {data.get('format')!r} of a scenario", where=where, fix="this bqx reads 1")
    sources = read_sources(data, where)
    known = {**shipped_toml("scenario.toml")["inputs"], **measured().figures}
    only(data["inputs"], set(known), f"{where}, inputs")
    given = {n: read_given(n, each, f"{where}, inputs", sources) for n, each in data["inputs"].items()}
    shares = {n: read_given(n, e, f"{where}, environments", sources) for n, e in data.get("environments", {}).items()}
    budget = decimal(data.get("budget"), f"{where}, budget")
    if budget <= 0:
        raise CostInputError(f"a budget of {budget}", where=where)
    made = Scenario(
        str(data["name"]), "endpoint", budget, {**measured().figures, **given}, shares,
        read_bursts(data.get("burst", []), where, sources), read_policy(data["scaling"], where),
        read_discounts(data.get("discount", []), book, where, sources), where,
    )  # fmt: skip
    return made.serve(str(data["serving"]))


def read_policy(data: Any, where: str) -> Policy:
    place = f"{where}, scaling"
    if not isinstance(data, Mapping):
        raise CostInputError("it is a table", where=place)
    only(data, SCALING, place)
    wanted = ("least", "most", "target", "out_seconds", "in_seconds", "start_seconds")
    if absent := [k for k in wanted if k not in data]:
        raise CostInputError(f"{absent[0]!r} is absent", where=place)
    x = {k: float(decimal(data[k], f"{place}, {k}")) for k in wanted}
    whole = {k: -int(-x[k] // 60) for k in wanted[3:]}
    try:
        return Policy(int(x["least"]), int(x["most"]), x["target"], *whole.values())
    except CostInputError as error:
        raise CostInputError(error.what, where=place) from error
