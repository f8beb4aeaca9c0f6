"""Forecasts of whole months, as files: the same numbers the server answers with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from bqx.base.atomic import replacing, write_text
from bqx.base.errors import NoPrediction
from bqx.market.calendar import Grid, month_span, months_between
from bqx.research.backtest.signal import signals
from bqx.research.backtest.zones import NoTrade
from bqx.research.candidate_read import read_blocks
from bqx.serve.api.forecast import Forecasts, forecast
from bqx.serve.api.invocations import QUANTILES
from bqx.serve.api.models import Resident
from bqx.serve.api.store_source import Chunk, chunk_of

if TYPE_CHECKING:
    from bqx.build.project import Project

FORMAT = 1


@dataclass(frozen=True)
class Part:
    """A pair's month to be forecast: minutes [start, end), the file, and what fixes its contents."""

    pair: str
    ym: str
    start: int
    end: int
    path: Path
    digest: str

    @property
    def receipt(self) -> Path:
        return self.path.with_name(f"{self.path.name}.json")

    def done(self) -> bool:
        """Whether the file is there and is of this model and these features."""
        if not (self.path.is_file() and self.receipt.is_file()):
            return False
        try:
            said = json.loads(self.receipt.read_text("utf-8"))
        except ValueError:
            return False
        return bool(said.get("digest") == self.digest and said.get("hash") == _hash(self.path))


def plan(
    project: Project, model: Resident, out: Path, span: tuple[int | None, int | None], *, cost: float | None, kind: str
) -> list[Part]:
    """Months of `span` that are built for the model's columns; NoPrediction (`no_row`) when there are none."""
    homes = {c.dataset for c in model.columns}
    held = [i for i in project.store.partitions(project.as_of, pair=model.pair) if i.key.dataset in homes]
    if homes - {i.key.dataset for i in held}:
        raise NoPrediction("no_row", f"the columns of the model are not built for {model.pair}", fix="`bqx build run`")
    by_home = {h: [i for i in held if i.key.dataset == h] for h in sorted(homes)}
    first = max(min(i.first_minute for i in infos) for infos in by_home.values())
    last = min(max(i.last_minute for i in infos) for infos in by_home.values())
    start = first if span[0] is None else max(span[0], first)
    end = last + 1 if span[1] is None else min(span[1], last + 1)
    parts = []
    for ym in months_between(start, end):
        low, high = month_span(ym)
        begin, stop = max(low, start), min(high, end)
        if not len(project.calendar.grid(begin, stop)):
            continue
        inputs = [f"{i.name}:{i.input_hash}:{i.complete_through}" for i in held if i.key.ym == ym]
        facts = [FORMAT, model.key, begin, stop, cost, kind, sorted(inputs)]
        digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]
        parts.append(Part(model.pair, ym, begin, stop, out / f"{model.pair}_{ym}.{kind}", digest))
    if not parts:
        raise NoPrediction(
            "no_row", f"no rows of {model.pair} in the span asked for", fix="`bqx status` shows what is built"
        )
    return parts


def write_part(project: Project, model: Resident, part: Part, *, cost: float | None) -> int:
    """Forecast and write one part, whole or not at all; its rows."""
    frames = [frame_of(project, model, chunk) for chunk in chunks(project, model, part.start, part.end, cost)]
    table = pl.concat(frames)
    with replacing(part.path) as temp:
        if part.path.suffix == ".csv":
            table.write_csv(temp)
        else:
            table.write_parquet(temp, compression="zstd")
    facts = {"format": FORMAT, "digest": part.digest, "hash": _hash(part.path), "rows": len(table),
             "model": model.digest, "version": model.located.version, "promoted": model.located.promoted,
             "simulated": project.simulated}  # fmt: skip
    write_text(part.receipt, json.dumps(facts, indent=1) + "\n")
    return len(table)


def chunks(project: Project, model: Resident, start: int, end: int, cost: float | None) -> Iterator[Chunk]:
    """Rows of a span with their sigma, by the month."""
    for block in read_blocks(project.store, project.calendar, model.pair, start, end, model.columns, project.as_of):
        yield chunk_of(project, model.pair, block, cost)


def frame_of(project: Project, model: Resident, chunk: Chunk) -> pl.DataFrame:
    """One row a minute: ts_utc, pair, sigma, cost, left, then for each horizon h move_h, lo80_h ... signal_h
    (-1, 0, 1) and strength_h; null where the forecast does not exist."""
    block, values = chunk.block, chunk.labels.values
    sigma = values["sigma"].astype(np.float64)
    said = forecast(model, np.ascontiguousarray(block.X), block.minute, sigma, chunk.labels.left)
    stamps = pl.Series("ts_utc", (block.minute * 60_000_000).astype("datetime64[us]")).dt.replace_time_zone("UTC")
    cost = values["cost"].astype(np.float64)
    columns: dict[str, Any] = {
        "sigma": sigma, "cost": cost, **numbers(said), **_signals(project, model, chunk, said, sigma, cost)
    }  # fmt: skip
    series = [pl.Series(k, v, nan_to_null=v.dtype.kind == "f") for k, v in columns.items()]
    left = pl.Series("left", chunk.labels.left.astype(np.int32))
    return pl.DataFrame([stamps, pl.Series("pair", [model.pair] * len(block)), left, *series])


def numbers(said: Forecasts) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for k, h in enumerate(said.horizons):
        out |= {f"move_{h}": said.move[:, k]}
        out |= {f"{n}_{h}": getattr(said, n)[:, k] for n in ("lo80", "hi80", "lo90", "hi90")}
        out |= {f"{q}_{h}": said.quantiles[:, k, j] for j, q in enumerate(QUANTILES)}
        out |= {f"p_up_{h}": said.p_up[:, k], f"innovation_{h}": said.innovation[:, k]}
    return out


def _signals(project: Project, model: Resident, chunk: Chunk, said: Forecasts, sigma: Any, cost: Any) -> dict[str, Any]:
    minute = chunk.block.minute
    grid: Grid = project.calendar.grid(int(minute[0]), int(minute[-1]) + 1)
    out: dict[str, Any] = {}
    for k, h in enumerate(said.horizons):
        found = signals(
            said.f4[:, k], sigma, cost, h, model.located.rule, demonstrated=model.demonstrated(project.simulated)
        )
        free = NoTrade().codes(minute, grid.minute_of_day, chunk.labels.left, h) == 0
        out[f"signal_{h}"] = np.where(free, found.side, 0).astype(np.int8)
        out[f"strength_{h}"] = np.where(free, found.strength, 0.0)
    return out


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
