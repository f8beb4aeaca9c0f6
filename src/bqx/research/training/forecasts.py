"""The forecast table: what a run forecast on its test rows, beside the truth and the baselines."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import polars as pl

from bqx.base.atomic import replacing
from bqx.base.errors import ForecastError

KEYS: dict[str, pl.DataType] = {
    "ts_utc": pl.Datetime("us", "UTC"),
    "position": pl.Int64(),
    "fold": pl.Int16(),
    "sigma": pl.Float32(),
    "cost": pl.Float32(),
    "left": pl.Int32(),
}
TRUTH = ("y3", "y4", "r")
POINTS = ("f3", "f4")
BASELINES = ("persist3", "clim3", "persist4", "clim4")
QUANTILES = ("q05", "q10", "q50", "q90", "q95")
INTERVALS = ("lo80", "hi80", "lo90", "hi90")
DIRECTION = ("p_up",)
FORECASTS = (*POINTS, *BASELINES, *QUANTILES, *INTERVALS, *DIRECTION)
SCHEMA: dict[str, pl.DataType] = {**KEYS, **dict.fromkeys((*TRUTH, *FORECASTS), pl.Float64())}
"""Columns in order. ts_utc, position (open minutes, Calendar.ordinal) : of the row; it knows bars labelled <= ts_utc.
fold : that tested it. sigma : EWMA deviation of a 1-minute return, bps. cost : round trip, bps. left : open minutes of
the segment after it; a label of h bars exists where left >= h. y3, y4 : targets `y3_h_h` and `y4_h`; r : return over
(t, t + h], bps, y4 = r / (sigma sqrt(h)). The forecasts are of y3 (f3, persist3, clim3) and of y4 (all others); p_up is
the probability that y4 > 0. Positive = price rises. The random walk forecasts 0."""
_ORDERS = (QUANTILES, ("lo80", "hi80"), ("lo90", "hi90"), ("lo90", "lo80"), ("hi80", "hi90"))


def check_forecasts(table: pl.DataFrame, *, horizon: int, where: str = "") -> pl.DataFrame:
    """The table itself when it keeps the contract; ForecastError names the first thing that it breaks.

    Schema and order of columns; rows in order of time, folds rising; sigma > 0, cost >= 0; nothing NaN or infinite; a
    forecast column is there on every row or on none; quantiles and intervals do not cross, 80 % lies inside 90 %; p_up
    in [0, 1]; no truth where the segment ends before t + h.
    """

    def refuse(what: str) -> ForecastError:
        return ForecastError(what, where=where or None)

    if dict(table.schema) != SCHEMA or table.columns != list(SCHEMA):
        odd = [f"{k} {table.schema.get(k)}" for k in SCHEMA if table.schema.get(k) != SCHEMA[k]]
        extra = [k for k in table.columns if k not in SCHEMA]
        raise refuse(f"columns differ from the contract: {', '.join([*odd, *extra][:5]) or 'their order'}")
    if table.is_empty():
        raise refuse("no rows")
    nulls = {k: n for k, n in table.null_count().row(0, named=True).items() if n}
    if bad := [k for k in KEYS if k in nulls]:
        raise refuse(f"{bad[0]} is null in {nulls[bad[0]]} rows")
    if bad := [k for k in FORECASTS if 0 < nulls.get(k, 0) < table.height]:
        raise refuse(f"{bad[0]} is null in {nulls[bad[0]]} of {table.height} rows; a head forecasts all or none")
    floats = [k for k, kind in SCHEMA.items() if kind.is_float()]
    broken = table.select(pl.col(floats).is_finite().not_().sum()).row(0, named=True)
    if bad := [k for k in floats if broken[k]]:
        raise refuse(f"{bad[0]} is NaN or infinite in {broken[bad[0]]} rows")
    rules = {
        "position does not rise": pl.col("position").diff() <= 0,
        "ts_utc does not rise": pl.col("ts_utc").diff().dt.total_microseconds() <= 0,
        "fold falls": pl.col("fold").diff() < 0,
        "sigma is not positive": pl.col("sigma") <= 0,
        "cost is negative": pl.col("cost") < 0,
        "left is negative": pl.col("left") < 0,
        "p_up is outside [0, 1]": (pl.col("p_up") < 0) | (pl.col("p_up") > 1),
        "there is a truth beyond the segment": (pl.col("left") < horizon)
        & pl.any_horizontal(pl.col(TRUTH).is_not_null()),
    }
    for order in _ORDERS:
        for low, high in pairwise(order):
            rules[f"{low} lies above {high}"] = pl.col(low) > pl.col(high)
    counts = table.select(**{name: rule.sum() for name, rule in rules.items()}).row(0, named=True)
    for name, count in counts.items():
        if count:
            raise refuse(f"{name} in {count} of {table.height} rows")
    return table


def write_forecasts(path: Path, table: pl.DataFrame, *, horizon: int) -> None:
    """Check and write; equal tables give equal bytes."""
    check_forecasts(table, horizon=horizon, where=path.name)
    with replacing(path) as temp:
        table.write_parquet(temp, compression="zstd", compression_level=3, statistics=True, row_group_size=1 << 20)


def read_forecasts(path: Path, *, horizon: int) -> pl.DataFrame:
    """Read and check; ForecastError when the file is absent, not Parquet or breaks the contract."""
    if not path.is_file():
        raise ForecastError("no forecast table", where=str(path), fix="the cells of this pair and horizon are not done")
    try:
        table = pl.read_parquet(path, glob=False, memory_map=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise ForecastError(f"not a readable Parquet file: {error}", where=str(path)) from error
    return check_forecasts(table, horizon=horizon, where=path.name)


def empty_columns(height: int, names: tuple[str, ...] = FORECASTS) -> dict[str, pl.Series]:
    """Null columns for heads that were not trained."""
    return {k: pl.Series(k, [None] * height, dtype=pl.Float64) for k in names}
