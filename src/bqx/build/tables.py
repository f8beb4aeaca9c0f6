"""From the kernels' arrays to the store's frames: NaN becomes NULL, float64 the declared type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from bqx.base.errors import FeatureError
from bqx.features.declare import Dataset
from bqx.market.calendar import datetime_of

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
Lanes = dict[str, NDArray[np.generic]]

_INTEGER = {"i2": pl.Int16, "i4": pl.Int32}
_LIMITS = {"i2": (-(1 << 15), (1 << 15) - 1), "i4": (-(1 << 31), (1 << 31) - 1)}


def lanes(home: Dataset, values: Mapping[str, F8], minute: I8, pairs: tuple[str, ...]) -> Lanes:
    """Columns as contiguous arrays (pairs, rows): floats in their declared type, integers still as floats with NaN.

    Raises FeatureError naming column, pair and time for an infinite value, one the type cannot hold, or a fraction
    in an integer column.
    """
    out: Lanes = {}
    for name, array in values.items():
        dtype = home.by_name[name].dtype
        if dtype in _INTEGER:
            lane = np.ascontiguousarray(array.T)
            low, high = _LIMITS[dtype]
            # NaN compares false with everything, so it passes
            wrong = (lane != np.rint(lane)) & ~np.isnan(lane) | (lane < low) | (lane > high)
            what = f"a value that {dtype} cannot hold"
        else:
            with np.errstate(over="ignore"):
                lane = np.ascontiguousarray(array.T, dtype=np.float32 if dtype == "f4" else np.float64)
            wrong = np.isinf(lane)
            what = f"an infinite value, or one beyond {dtype}"
        if wrong.any():
            j, i = (int(k) for k in np.argwhere(wrong)[0])
            raise FeatureError(
                f"{home.name}.{name} gives {what}: {array[i, j]!r} ({int(wrong.sum())} such values)",
                where=f"{pairs[j]} {datetime_of(int(minute[i])).isoformat()}",
                fix="an undefined value is NaN inside the kernels; an infinite one is a bug in the formula",
            )
        out[name] = lane
    return out


def table(home: Dataset, columns: Lanes, minute: I8, lane: int, rows: slice) -> pl.DataFrame:
    """One pair's rows as the store keeps them: ts_utc, then the columns in registry order."""
    return stacked(home, columns, minute, {lane: rows})[lane]


def stacked(home: Dataset, columns: Lanes, minute: I8, rows: Mapping[int, slice]) -> dict[int, pl.DataFrame]:
    """:func:`table` of several pairs, lane -> its rows, made as one frame: for many pairs of few rows each."""
    stamps = _joined([minute[part] for part in rows.values()])
    series = [pl.Series("ts_utc", (stamps * 60_000_000).astype("datetime64[us]")).dt.replace_time_zone("UTC")]
    for name, array in columns.items():
        one = pl.Series(name, _joined([array[lane, part] for lane, part in rows.items()]), nan_to_null=True)
        kind = home.by_name[name].dtype
        series.append(one.cast(_INTEGER[kind]) if kind in _INTEGER else one)
    whole, out, at = pl.DataFrame(series), {}, 0
    for lane, part in rows.items():
        count = len(minute[part])
        out[lane] = whole.slice(at, count)
        at += count
    return out


def _joined(parts: list[NDArray[Any]]) -> NDArray[Any]:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
