"""P1: the future does not matter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

from bqx.features.checks.reach import warmup
from bqx.features.checks.result import CheckResult, merge, same_bits
from bqx.features.checks.world import World
from bqx.features.declare import Dataset
from bqx.market.bars import PRICE_COLUMNS, QUOTE_COLUMNS
from bqx.market.calendar import datetime_of

NAME = "P1 causal"


def check_causal(home: Dataset, world: World, *, cuts: int = 4, seed: int = 0) -> list[CheckResult]:
    """Replace all bars after random minutes by noise, delete some, change volume and quotes: values up to the cut
    must keep every bit."""
    rng = np.random.default_rng(seed)
    first, last = world.span
    low, high = world.calendar.ordinal(first), world.calendar.ordinal(last)
    found: dict[str, list[CheckResult]] = {c.name: [] for c in home.columns}
    late = min(max(0.55, (warmup(home) + 1000) / max(high - low, 1)), 0.9)  # where all columns have values
    for trial in range(cuts):
        at = low + int((high - low) * (late + (0.95 - late) * rng.random()))
        cut = world.calendar.at_ordinal(at)
        start = world.calendar.at_ordinal(max(low, at - 3000))
        shocked = replace(world, frames={p: shock(f, cut, hash_seed(seed, trial, p)) for p, f in world.frames.items()})
        before = world.values(home, start, cut + 1)
        # the shocked world is computed beyond the cut, so that a look ahead has something to see
        after = shocked.values(home, start, min(cut + 600, shocked.span[1]))
        for name, value in before.items():
            differs = ~same_bits(value, after[name][: len(value)])
            compared = int((~np.isnan(value)).sum())
            where = world.place(start, differs)
            found[name].append(CheckResult(NAME, home.name, name, compared, int(differs.sum()), np.inf, where))
    return [merge(parts) for parts in found.values()]


def hash_seed(*parts: object) -> int:
    """A seed from several values, the same in every process."""
    import hashlib

    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:8], "little")


def shock(frame: pl.DataFrame, cut: int, seed: int) -> pl.DataFrame:
    """The same bars up to `cut`, another market after it."""
    rng = np.random.default_rng(seed)
    edge = datetime_of(cut)
    past, future = frame.filter(pl.col("ts_utc") <= edge), frame.filter(pl.col("ts_utc") > edge)
    n = len(future)
    if n == 0:
        return past
    noise = np.exp(np.cumsum(rng.standard_normal(n) * 3e-4) + 0.02 * rng.standard_normal())
    columns = {c: future[c].to_numpy() * noise for c in (*PRICE_COLUMNS, *QUOTE_COLUMNS) if future[c].null_count() == 0}
    changed = future.with_columns(
        *(pl.Series(c, v) for c, v in columns.items()),
        pl.Series("volume", rng.integers(1, 900, n).astype(np.float64)),
    )
    return pl.concat([past, changed.filter(pl.Series(rng.random(n) > 0.15))])
