"""A figure that somebody gave or measured: least, likeliest and most, with its unit, source and date."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from bqx.base.errors import CostInputError

KEYS = frozenset({"low", "mode", "high", "unit", "source", "date"})


@dataclass(frozen=True, slots=True)
class Given:
    """low <= mode <= high, in `unit`. source : in words, who says so. dated : when it was said."""

    name: str
    low: Decimal
    mode: Decimal
    high: Decimal
    unit: str
    source: str
    dated: date

    @property
    def fixed(self) -> bool:
        """Whether it has no range."""
        return self.low == self.high

    @property
    def how(self) -> str:
        return f"{self.name}: {self.source}, {self.dated}"

    def as_dict(self) -> dict[str, Any]:
        span = {k: str(getattr(self, k)) for k in ("low", "mode", "high")}
        return {**span, "unit": self.unit, "source": self.source, "date": self.dated.isoformat()}


def read_given(name: str, data: Any, where: str, sources: Mapping[str, tuple[str, date]]) -> Given:
    """From a TOML table whose numbers are Decimal; `low` and `high` default to `mode`.

    sources : names that stand for a source and its date. CostInputError names the entry.
    """
    place = f"{where}, {name}"
    if not isinstance(data, Mapping):
        raise CostInputError("it is a table", where=place, fix='{ mode = 1, unit = "h", source = "..." }')
    if odd := sorted(set(data) - KEYS):
        raise CostInputError(f"there is no key {odd[0]!r}", where=place, fix=f"there are {', '.join(sorted(KEYS))}")
    if absent := [k for k in ("mode", "unit", "source") if k not in data]:
        raise CostInputError(f"{absent[0]!r} is absent", where=place, fix="every figure has a unit and a source")
    mode = decimal(data["mode"], f"{place}, mode")
    low, high = (decimal(data.get(k, mode), f"{place}, {k}") for k in ("low", "high"))
    if not 0 <= low <= mode <= high:
        raise CostInputError(f"{low} <= {mode} <= {high} does not hold, or is negative", where=place)
    text, dated = sources.get(str(data["source"]), (str(data["source"]), data.get("date")))
    if not isinstance(dated, date) or isinstance(dated, datetime):
        raise CostInputError("its date is absent or no date", where=place, fix="date = 2026-11-27")
    return Given(name, low, mode, high, str(data["unit"]), text, dated)


def decimal(value: Any, where: str) -> Decimal:
    """A finite number of a TOML file read with Decimal; CostInputError for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise CostInputError(f"{value!r} is not a number", where=where)
    out = Decimal(value)
    if not out.is_finite() or abs(out) > Decimal("1e15"):
        raise CostInputError(f"{value} is no usable number", where=where)
    return out
