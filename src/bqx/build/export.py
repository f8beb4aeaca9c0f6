"""Polars frames in the forms other tools take; their packages are needed only when used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from bqx.base.errors import Unsupported

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


class Matrix(NamedTuple):
    """ts : datetime64[us] in UTC (n,). values : float64 (n, columns), NaN for NULL. columns : their names."""

    ts: NDArray[np.datetime64]
    values: NDArray[np.float64]
    columns: tuple[str, ...]


def to_numpy(frame: pl.DataFrame) -> Matrix:
    names = tuple(name for name in frame.columns if name != "ts_utc")
    values = np.empty((frame.height, len(names)))
    for j, name in enumerate(names):
        values[:, j] = frame[name].cast(pl.Float64).fill_null(np.nan).to_numpy()
    return Matrix(frame["ts_utc"].dt.replace_time_zone(None).to_numpy(), values, names)


def to_pandas(frame: pl.DataFrame) -> pd.DataFrame:
    """Index `ts_utc` (UTC); floats keep their width with NaN for NULL, integers become nullable ones."""
    pandas = _need("pandas")
    out: dict[str, Any] = {}
    for series in frame.drop("ts_utc"):
        if series.dtype.is_integer():
            mask = series.is_null().to_numpy()
            values = series.fill_null(0).to_numpy()
            out[series.name] = pandas.array(np.ma.masked_array(values, mask).filled(0), dtype=str(series.dtype))
            out[series.name][mask] = pandas.NA
        else:
            out[series.name] = series.fill_null(float("nan")).to_numpy()
    index = pandas.DatetimeIndex(frame["ts_utc"].dt.replace_time_zone(None).to_numpy(), tz="UTC", name="ts_utc")
    return pandas.DataFrame(out, index=index, copy=False)


def to_arrow(frame: pl.DataFrame) -> pa.Table:
    _need("pyarrow")
    return frame.to_arrow()


def _need(package: str) -> Any:
    try:
        return import_module(package)
    except ModuleNotFoundError as exc:
        raise Unsupported(
            f"this export needs {package}, which is not installed",
            fix=f"pip install {package}, or stay with the Polars frame",
        ) from exc
