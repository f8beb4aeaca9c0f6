"""What was served against what is computed again: forecasts in files, features in answers. Differences must be zero."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from bqx.base.errors import BqxError, MonitorInputError
from bqx.market.calendar import datetime_of, minute_of
from bqx.research.candidate_read import read_blocks
from bqx.serve.api.batch import chunks, frame_of, plan
from bqx.serve.monitor.files import forecast_files
from bqx.serve.monitor.finding import Finding

if TYPE_CHECKING:
    from bqx.build.project import Project
    from bqx.serve.api.models import Resident

ROWS = 2 * 1440
"""Minutes at the end of each pair's forecasts that are computed again."""


@dataclass
class Parity:
    """compared : values. differing : column -> values that are not the same bits. revised : subjects whose inputs were
    built again after they were served, so that a difference proves nothing."""

    compared: int = 0
    differing: dict[str, int] = field(default_factory=dict)
    revised: list[str] = field(default_factory=list)

    def add(self, other: Parity) -> None:
        self.compared += other.compared
        self.revised += other.revised
        for name, n in other.differing.items():
            self.differing[name] = self.differing.get(name, 0) + n

    def findings(self, what: str) -> list[Finding]:
        if not self.differing:
            return []
        worst = max(self.differing, key=lambda k: self.differing[k])
        total = sum(self.differing.values())
        text = f"{total:,} of {self.compared:,} {what} differ when computed again, most of {worst}"
        return [Finding("parity", what, "critical", text, total, 0)]

    def as_dict(self) -> dict[str, Any]:
        return {"compared": self.compared, "differing": dict(sorted(self.differing.items())), "revised": self.revised}


def frames_differ(served: pl.DataFrame, again: pl.DataFrame) -> Parity:
    """Every column to the bit, by `ts_utc`; null equals null. A minute that only one has differs in every column.

    Raises MonitorInputError when the columns are not the same.
    """
    if served.columns != again.columns:
        odd = sorted(set(served.columns) ^ set(again.columns)) or ["their order"]
        raise MonitorInputError(f"the columns differ: {', '.join(odd[:5])}")
    both = served.join(again, on="ts_utc", how="full", suffix="/again", coalesce=True)
    out = Parity(compared=both.height * (len(served.columns) - 1))
    alone = both.height - served.join(again, on="ts_utc", how="semi").height
    for name in served.columns:
        if name == "ts_utc":
            continue
        n = max(_differing(both[name], both[f"{name}/again"]), alone)
        if n:
            out.differing[name] = n
    return out


def _differing(a: pl.Series, b: pl.Series) -> int:
    """Rows that are not the same bits; -0.0 is not 0.0."""
    if not a.dtype.is_float():
        return int((~a.eq_missing(b)).sum())
    null, null_b = a.is_null().to_numpy(), b.is_null().to_numpy()
    left, right = (x.cast(pl.Float64).fill_null(0.0).to_numpy().view(np.int64) for x in (a, b))
    return int(((null != null_b) | (left != right)).sum())


def forecasts_again(project: Project, model: Resident, folder: Path, *, cost: float | None) -> Parity:
    """The last rows of the newest file `bqx predict` wrote for the model's pair, computed again.

    Files of another model, or of features built again since, count as revised.
    """
    out = Parity()
    files = list(forecast_files(folder, model.pair))
    if not files:
        return out
    path, table, said = files[-1]
    name = f"{model.pair} {path.stem[-7:]}"
    first, last = (minute_of(t) for t in (table["ts_utc"][max(0, len(table) - ROWS)], table["ts_utc"][-1]))
    parts = plan(project, model, folder, (minute_of(table["ts_utc"][0]), last + 1), cost=cost, kind="parquet")
    if said["model"] != model.digest or parts[-1].path != path or not parts[-1].done():
        out.revised.append(name)
        return out
    again = pl.concat([frame_of(project, model, c) for c in chunks(project, model, first, last + 1, cost)])
    out.add(frames_differ(table.filter(pl.col("ts_utc") >= datetime_of(first)), again))
    return out


def answers_again(project: Project, model: Resident, answers: list[dict[str, Any]]) -> Parity:
    """Feature values of answers (`features: true`) of one pair against the store, where the store has their minute.

    Answers of another model are left out; those of minutes that are not built yet wait.
    """
    out = Parity()
    for a in answers:
        if a["model"]["digest"] != model.digest:
            continue
        minute = minute_of(_when(a["data"]["bar"]))
        try:
            block = next(read_blocks(project.store, project.calendar, model.pair, minute, minute + 1, model.columns))
        except (BqxError, StopIteration):
            continue
        batch = {c.name: float(v) for c, v in zip(model.columns, block.X[0], strict=True)}
        out.add(values_differ(a["features"]["values"], batch))
    return out


def values_differ(served: Mapping[str, float | None], batch: Mapping[str, float]) -> Parity:
    """Values of an answer (null for NULL) against float32 of the store (NaN for NULL), column by column."""
    if set(served) != set(batch):
        odd = sorted(set(served) ^ set(batch))
        raise MonitorInputError(f"the answer has other columns than the model: {', '.join(odd[:5])}")
    out = Parity(compared=len(batch))
    for name, want in batch.items():
        have = served[name]
        left = np.float32(np.nan if have is None else have)
        right = np.float32(want)
        if left.tobytes() != right.tobytes() and not (np.isnan(left) and np.isnan(right)):
            out.differing[name] = 1
    return out


def _when(text: str) -> Any:
    from datetime import datetime

    return datetime.fromisoformat(text)
