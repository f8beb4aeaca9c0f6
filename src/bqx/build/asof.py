"""What was usable at times of the user's own: the newest bar that had ended by then."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import polars as pl

from bqx.base.errors import UsageError

if TYPE_CHECKING:
    from bqx.build.project import Project

BAR_SECONDS = 60
REASONS = ("before the first built row", "no row in the last {age:g} minutes")


def asof(
    project: Project,
    timestamps: pl.DataFrame | Sequence[datetime],
    pair: str,
    columns: Sequence[str],
    *,
    max_age_minutes: float = 5.0,
    on: str = "ts",
) -> pl.DataFrame:
    """Join the newest row with ts_utc + 60 s <= u to each time u; the rows keep their order.

    timestamps : aware datetimes, or a frame with a column `on` of them. A row is too old when its bar ended more
    than `max_age_minutes` before u: in a weekend the values are null rather than Friday's. Added columns: `bar_ts`
    (null when there is no usable row), `age_seconds` since that bar's end, the asked columns, and `null_reason`.
    """
    if max_age_minutes < 0:
        raise UsageError(f"max_age_minutes is {max_age_minutes:g}", fix="give 0 or more")
    left = _left(timestamps, on)
    taken = {"bar_ts", "age_seconds", "null_reason", "_row", "_usable", *columns} & set(left.columns)
    if taken:
        raise UsageError(f"the frame already has {sorted(taken)}", fix="rename them first")
    names = [".".join(project.resolve_column(name)) for name in columns]
    right = project.frame(pair, columns=columns).select(
        (pl.col("ts_utc") + pl.duration(seconds=BAR_SECONDS)).alias("_usable"),
        pl.col("ts_utc").alias("bar_ts"),
        *(pl.col(full).alias(name) for full, name in zip(names, columns, strict=True)),
    )
    joined = (
        left.with_row_index("_row")
        .with_columns(pl.col(on).dt.cast_time_unit("us").dt.convert_time_zone("UTC").alias("_at"))
        .sort("_at")
        .join_asof(right.sort("_usable"), left_on="_at", right_on="_usable", strategy="backward")
        .sort("_row")
    )
    age = (pl.col("_at") - pl.col("bar_ts")).dt.total_microseconds() / 1e6 - BAR_SECONDS
    early, old = REASONS[0], REASONS[1].format(age=max_age_minutes)
    stale = pl.col("age_seconds") > max_age_minutes * 60
    reason = pl.when(pl.col("bar_ts").is_null()).then(pl.lit(early)).when(stale).then(pl.lit(old))
    kept = [pl.when(pl.col("null_reason").is_null()).then(pl.col(c)).alias(c) for c in ("bar_ts", *columns)]
    return (
        joined.with_columns(age.alias("age_seconds"))
        .with_columns(reason.alias("null_reason"))
        .with_columns(kept)
        .select(*left.columns, "bar_ts", "age_seconds", *columns, "null_reason")
    )


def _left(timestamps: pl.DataFrame | Sequence[datetime], on: str) -> pl.DataFrame:
    if isinstance(timestamps, pl.DataFrame):
        if on not in timestamps.columns:
            raise UsageError(f"the frame has no column {on!r}", fix="name the column of times with on=")
        dtype = timestamps[on].dtype
        if not isinstance(dtype, pl.Datetime) or dtype.time_zone is None:
            raise UsageError(f"column {on!r} is {dtype}, not aware datetimes", fix='.dt.replace_time_zone("UTC")')
        return timestamps
    naive = [when for when in timestamps if when.tzinfo is None]
    if naive:
        raise UsageError(f"time {naive[0].isoformat()} has no time zone", fix="add tzinfo=UTC")
    return pl.DataFrame({on: pl.Series(list(timestamps), dtype=pl.Datetime("us", "UTC"))})
