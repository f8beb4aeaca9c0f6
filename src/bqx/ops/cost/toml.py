"""Cost files are TOML whose numbers are read as Decimal: 0.806 is 0.806."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import Any

from bqx.base.errors import CostInputError

MOST_BYTES = 4_000_000
SHIPPED = files("bqx.ops.cost").joinpath("data")


def read_toml(path: Path) -> dict[str, Any]:
    """CostInputError for a file that cannot be read, is too large, or is no TOML."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise CostInputError(f"more than {MOST_BYTES:,} bytes", where=str(path))
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CostInputError(f"it cannot be read: {error}", where=str(path)) from error
    return parse_toml(text, str(path))


def shipped_toml(name: str) -> dict[str, Any]:
    """A data file of this package."""
    return parse_toml(SHIPPED.joinpath(name).read_text("utf-8"), name)


def parse_toml(text: str, where: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text, parse_float=Decimal)
    except (tomllib.TOMLDecodeError, ArithmeticError) as error:
        raise CostInputError(f"not TOML: {error}", where=where) from error


def read_sources(data: Mapping[str, Any], where: str) -> dict[str, tuple[str, date]]:
    """`[sources]` of a file: name -> words and date."""
    out = {}
    for name, each in data.get("sources", {}).items():
        if not isinstance(each, Mapping) or not isinstance(each.get("date"), date) or "text" not in each:
            raise CostInputError("a source has text and date", where=f"{where}, sources.{name}")
        out[name] = (str(each["text"]), each["date"])
    return out


def only(data: Mapping[str, Any], known: set[str], where: str) -> None:
    """CostInputError for a key that nobody reads: a typing error must not be a figure left out."""
    if odd := sorted(set(data) - known):
        raise CostInputError(f"there is no key {odd[0]!r}", where=where, fix=f"there are {', '.join(sorted(known))}")
