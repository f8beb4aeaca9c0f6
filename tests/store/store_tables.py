"""Deterministic tables for the store's tests."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from bqx.market.calendar import month_span
from bqx.store.contract import FeatureStore, Receipt
from bqx.store.partition import PartitionKey

DATASET = "returns_raw_rate"


def stamps(minutes: np.ndarray) -> pl.Series:
    return pl.Series("ts_utc", minutes * 60_000_000).cast(pl.Datetime("us", "UTC"))


def month(
    ym: str, *, rows: int = 300, start: int = 0, seed: int = 0, columns: tuple[str, ...] = ("a", "b")
) -> pl.DataFrame:
    """Rows of consecutive minutes from `start` minutes into the month; some NULLs; float32 and an int16 flag."""
    minutes = month_span(ym)[0] + start + np.arange(rows, dtype=np.int64)
    draw = np.random.default_rng([seed, minutes[0]])
    data: dict[str, Any] = {"ts_utc": stamps(minutes)}
    for name in columns:
        values = pl.Series(name, draw.normal(size=rows).astype(np.float32))
        data[name] = values.scatter(np.flatnonzero(draw.random(rows) < 0.1), None)
    data["flag"] = pl.Series("flag", draw.integers(0, 2, rows).astype(np.int16))
    return pl.DataFrame(data)


def stage(lake: FeatureStore, dataset: str, pair: str, ym: str, *, seed: int = 0, **options: Any) -> Receipt:
    table = options.pop("table", None)
    rows = {name: options.pop(name) for name in ("rows", "start", "columns") if name in options}
    given = {
        "input_hash": "in-1",
        "code_version": "1",
        "complete_through": month_span(ym)[1] - 1,
        "simulated": False,
        **options,
    }
    key = PartitionKey(dataset, pair, ym)
    return lake.stage(key, month(ym, seed=seed, **rows) if table is None else table, **given)


def bars(ym: str, *, rows: int = 3000, start: int = 0, seed: int = 0) -> pl.DataFrame:
    """Plain OHLCV bars without quotes."""
    minutes = month_span(ym)[0] + start + np.arange(rows, dtype=np.int64)
    close = 1.1 + np.cumsum(np.random.default_rng([seed, minutes[0]]).normal(size=rows)) * 1e-5
    data = {"ts_utc": stamps(minutes), "open": close, "high": close + 1e-4, "low": close - 1e-4, "close": close}
    return pl.DataFrame({**data, "volume": np.full(rows, 3.0)})


SOURCE = {"vendor": "shop", "price_side": "mid of bid+ask", "simulated": False, "files": [["a.csv", "00ff", 12]]}
