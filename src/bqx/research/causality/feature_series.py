"""Columns of the feature store at the steps of a series."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from bqx.research.causality.series import Series

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bqx.build.project import Project

F8 = NDArray[np.float64]


def features_at(
    project: Project, pair: str, columns: Sequence[str], series: Series, as_of: int | None
) -> dict[str, F8]:
    """`dataset.column` -> values (n,) at the minutes of `series`, NaN where there is none.

    A feature of bar t is usable when the bar is over, and so is a step that ends with it: lag 1 of the feature is what
    was known before the next step began.
    """
    out = {name: np.full(len(series.minute), np.nan) for name in columns}
    homes: dict[str, list[str]] = {}
    for name in columns:
        home, column = name.split(".")
        homes.setdefault(home, []).append(column)
    if not len(series.minute):
        return out
    span = int(series.minute[0]), int(series.minute[-1]) + 1
    for home, wanted in homes.items():
        frame = project.store.read(home, [pair], span, wanted, as_of)
        stamp = pl.col("ts_utc").dt.epoch("us") // 60_000_000
        found = (
            frame.with_columns(stamp.alias("minute")).filter(pl.col("minute").is_in(series.minute.tolist())).collect()
        )
        rows = np.searchsorted(series.minute, found["minute"].to_numpy())
        for column in wanted:
            out[f"{home}.{column}"][rows] = found[column].cast(pl.Float64).fill_null(np.nan).to_numpy()
    return out
