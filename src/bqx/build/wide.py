"""One wide frame a pair, out of partitions that may cover different months."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import polars as pl

from bqx.base.errors import StoreError

if TYPE_CHECKING:
    from bqx.build.project import Project


def wide_frame(
    project: Project,
    pair: str,
    datasets: Sequence[str] | None,
    columns: Sequence[str] | None,
    start: int | None,
    end: int | None,
) -> pl.DataFrame:
    """`ts_utc`, then `{dataset}.{column}`; see :meth:`bqx.build.project.Project.frame`."""
    chosen = _choose(project, pair, datasets, columns)
    whole: pl.DataFrame | None = None
    order: list[str] = []
    span = _span(start, end)
    for dataset, names in chosen.items():
        part = project.store.read(dataset, [pair], span, names, as_of=project.as_of).drop("pair").collect()
        part = part.rename({name: f"{dataset}.{name}" for name in part.columns if name != "ts_utc"})
        order += part.columns[1:]
        if whole is None:
            whole = part
        elif whole["ts_utc"].equals(part["ts_utc"]):
            whole = whole.hstack(part.drop("ts_utc").get_columns())
        else:
            whole = whole.join(part, on="ts_utc", how="full", coalesce=True).sort("ts_utc")
    if whole is None:
        raise StoreError(f"nothing is built for {pair}", fix="run `bqx build run`")
    wanted = order if columns is None else [".".join(project.resolve_column(name)) for name in columns]
    return whole.select("ts_utc", *wanted)


def _choose(
    project: Project, pair: str, datasets: Sequence[str] | None, columns: Sequence[str] | None
) -> dict[str, list[str] | None]:
    """Dataset -> the columns to read, None for all it has."""
    if columns is not None:
        out: dict[str, list[str] | None] = {}
        for name in columns:
            home, item = project.resolve_column(name)
            names = out.setdefault(home, [])
            assert names is not None
            if item not in names:
                names.append(item)
        return out
    if datasets is not None:
        return dict.fromkeys(datasets)
    built = {info.key.dataset for info in project.store.partitions(as_of=project.as_of, pair=pair)}
    return {name: None for name in project.catalogue if name in built}


def _span(start: int | None, end: int | None) -> tuple[int, int] | None:
    if start is None and end is None:
        return None
    return start or 0, end if end is not None else 1 << 31
