"""P4: a change of unit of the price, or of the baseline, moves nothing but columns tagged `level`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from bqx.features.checks.result import CheckResult, merge, same_bits
from bqx.features.checks.world import World
from bqx.features.declare import Column, Dataset
from bqx.market.bars import PRICE_COLUMNS, QUOTE_COLUMNS
from bqx.market.calendar import DAY
from bqx.market.pairs import CURRENCIES, parse_pair

F8 = NDArray[np.float64]
NAME = "P4 scale-free"
BASELINE = "P4 baseline"
ULPS = 4


def check_scale(home: Dataset, world: World) -> list[CheckResult]:
    """Prices times 2 and 1/8: no bit moves. Times 7.3: within 4 float32 ulp (of the value, or of a thousandth of the
    column's standard deviation, below which values are differences of nearly equal prices). In a panel each currency
    has a unit of its own, a power of the factor, for the price of a pair is that of its base over that of its quote."""
    first, last = world.span
    before = world.values(home, first, last)
    found: dict[str, list[CheckResult]] = {c.name: [] for c in home.columns}
    for factor in (2.0, 0.125, 7.3):
        exact = factor != 7.3
        units = {p: factor ** _steps(p) if "panel" in home.uses else factor for p in world.frames}
        scaled = replace(world, frames={p: multiply(f, units[p]) for p, f in world.frames.items()})
        after = scaled.values(home, first, last)
        for item in home.columns:
            a, b = before[item.name], after[item.name]
            error = _ulps(a, b, item) if not exact else np.where(same_bits(a, b), 0.0, np.inf)
            differs = error > (0 if exact else ULPS)
            compared = int((~np.isnan(a)).sum())
            worst = float(error.max(initial=0.0))
            where = world.place(first, differs)
            found[item.name].append(CheckResult(NAME, home.name, item.name, compared, int(differs.sum()), worst, where))
    return [merge(parts) for parts in found.values()]


def check_baseline(home: Dataset, world: World) -> list[CheckResult]:
    """T0 two days later: only columns tagged `level` may move."""
    first, last = world.span
    before = world.values(home, first, last)
    after = replace(world, t0=world.t0 + 2 * DAY).values(home, first, last)
    out = []
    for item in home.columns:
        if "level" in item.tags:
            continue
        differs = ~same_bits(before[item.name], after[item.name])
        compared = int((~np.isnan(before[item.name])).sum())
        where = world.place(first, differs)
        out.append(CheckResult(BASELINE, home.name, item.name, compared, int(differs.sum()), np.inf, where))
    return out


def _steps(pair: str) -> int:
    """Difference of places of a pair's currencies, never 0."""
    own = parse_pair(pair)
    return CURRENCIES.index(own.base) - CURRENCIES.index(own.quote)


def multiply(frame: pl.DataFrame, factor: float) -> pl.DataFrame:
    return frame.with_columns(pl.col(c) * factor for c in (*PRICE_COLUMNS, *QUOTE_COLUMNS))


def _ulps(a: F8, b: F8, item: Column) -> F8:
    """Distance in float32 spacings, infinite where one is NULL and the other is not."""
    one_null = np.isnan(a) != np.isnan(b)
    floor = 1e-3 * float(np.nanstd(a)) if not np.isnan(a).all() else 1.0
    size = np.maximum(np.abs(np.nan_to_num(a)), max(floor, float(np.finfo(np.float32).tiny)))
    spacing = np.spacing(size.astype(np.float32)).astype(np.float64)
    stored = np.float32 if item.dtype == "f4" else np.float64
    gap = np.abs(
        np.nan_to_num(a).astype(stored).astype(np.float64) - np.nan_to_num(b).astype(stored).astype(np.float64)
    )
    return np.asarray(np.where(one_null, np.inf, gap / spacing))
