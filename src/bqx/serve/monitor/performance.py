"""Forecasts against what came: loss beside the random walk, coverage of intervals; by day, once labels are known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from bqx.base.errors import MonitorInputError
from bqx.market.calendar import minute_of
from bqx.research.labels import make_labels
from bqx.serve.monitor.cusum import FEWEST, Limit, calibrate, cusum
from bqx.serve.monitor.files import forecast_files
from bqx.serve.monitor.finding import Finding

if TYPE_CHECKING:
    from bqx.build.project import Project
    from bqx.research.training.folder import Run

F8 = NDArray[np.float64]
SERIES = ("loss", "miss80", "miss90")
WORDS = {"loss": "the loss of the forecasts beside the random walk's", "miss80": "outcomes outside of 80 % intervals",
         "miss90": "outcomes outside of 90 % intervals"}  # fmt: skip
SCHEMA = {"day": pl.Int64, "loss": pl.Float64, "miss80": pl.Float64, "miss90": pl.Float64}


@dataclass(frozen=True)
class Judged:
    """One series of days: its limit, the CUSUM of the served days, and whether it is above."""

    series: str
    days: int
    latest: float
    sum: float
    limit: Limit

    @property
    def alarm(self) -> bool:
        return self.sum >= self.limit.h

    def as_dict(self) -> dict[str, Any]:
        limit = self.limit
        return {"series": self.series, "days": self.days, "latest": self.latest, "sum": self.sum, "h": limit.h,
                "reference_mean": limit.mean, "run_length": limit.run_length, "alarm": self.alarm}  # fmt: skip


def rows_of(day: NDArray[np.int64], y: F8, f: F8, low80: F8, high80: F8, low90: F8, high90: F8) -> pl.DataFrame:
    """Rows in units of y4, NaN for NULL: day, loss (y - f)^2 - y^2, misses of both intervals. Rows without outcome or
    forecast are dropped, which is what awaits labels that have not come yet."""
    table = pl.DataFrame({
        "day": day,
        "loss": (y - f) ** 2 - y * y,
        "miss80": np.where(np.isfinite(low80) & np.isfinite(y), (y < low80) | (y > high80), np.nan),
        "miss90": np.where(np.isfinite(low90) & np.isfinite(y), (y < low90) | (y > high90), np.nan),
    })  # fmt: skip
    return table.cast(SCHEMA).filter(pl.col("loss").is_not_nan())  # type: ignore[arg-type]


def by_day(rows: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """Means of all rows of a trade day, over pairs and horizons: the unit of evidence, for its rows are dependent."""
    whole = pl.concat([pl.DataFrame(schema=SCHEMA), *rows])
    means = (pl.col(name).filter(pl.col(name).is_not_nan()).mean() for name in SERIES)
    return whole.group_by("day").agg(*means).sort("day")


def reference_of(project: Project, runs: Mapping[str, Run]) -> pl.DataFrame:
    """Days of the walk-forward test forecasts. runs : of each pair's model."""
    parts = []
    for pair, run, horizon in ((p, r, h) for p, r in runs.items() for q, h in r.tables() if q == p):
        t = run.forecasts(pair, horizon)
        f8 = {
            k: t[k].cast(pl.Float64).fill_null(np.nan).to_numpy() for k in ("y4", "f4", "lo80", "hi80", "lo90", "hi90")
        }
        parts.append(rows_of(_days(project, t), *f8.values()))
    return by_day(parts)


def served_days(project: Project, folder: Path, pairs: Iterable[str], horizons: Iterable[int]) -> pl.DataFrame:
    """Days of the files of `bqx predict`, from complete labels: the bars after the last one known make none."""
    parts = []
    spans = project.bars.spans(project.as_of)
    for pair in pairs:
        if pair not in spans:
            continue
        for path, t, _ in forecast_files(folder, pair):
            first, last = minute_of(t["ts_utc"][0]), minute_of(t["ts_utc"][-1])
            known = project.calendar.ordinal(spans[pair][1]) + 1
            labels = make_labels(project.bars, project.calendar, pair, first, last + 1).before(known)
            if len(labels) != len(t):
                raise MonitorInputError(f"{path.name} has {len(t):,} rows, its span {len(labels):,} open minutes",
                                        where=str(path), fix="`bqx predict` makes it again")  # fmt: skip
            day = _days(project, t)
            for h in horizons:
                if f"move_{h}" not in t.columns:
                    continue
                scale = t["sigma"].to_numpy() * np.sqrt(h)
                names = ("move", "lo80", "hi80", "lo90", "hi90")
                given = (t[f"{n}_{h}"].fill_null(np.nan).to_numpy() / scale for n in names)
                parts.append(rows_of(day, labels.values[f"r_{h}"].astype(np.float64) / scale, *given))
    return by_day(parts)


def judge(reference: pl.DataFrame, served: pl.DataFrame, *, arl: float, draws: int) -> list[Judged]:
    """CUSUMs of the served days after the last of the reference. MonitorInputError when the reference has fewer than 40
    days; series without intervals are left out."""
    if reference.height < FEWEST:
        raise MonitorInputError(f"the test forecasts of the run cover {reference.height} trade days, {FEWEST} are the "
                                "least for a limit", fix="train with more or longer test folds")  # fmt: skip
    later = served.filter(pl.col("day") > reference["day"].max())
    out = []
    for k, name in enumerate(SERIES):
        known, x = reference[name].drop_nulls().to_numpy(), later[name].drop_nulls().to_numpy()
        if len(known) < FEWEST or not len(x):
            continue
        limit = calibrate(known, arl=arl, draws=draws, seed=k)
        out.append(Judged(name, len(x), float(x[-1]), float(cusum(x, limit.mean, limit.deviation)[-1]), limit))
    return out


def findings(judged: Iterable[Judged], run: str) -> list[Finding]:
    out = []
    for j in judged:
        if j.alarm:
            check = "loss" if j.series == "loss" else "coverage"
            what = f"{WORDS[j.series]} rose: CUSUM {j.sum:.1f} of {j.days} days, limit {j.limit.h:.1f}"
            out.append(Finding(check, f"{run}-{j.series}", "warning", what, j.sum, j.limit.h))
    return out


def _days(project: Project, table: pl.DataFrame) -> NDArray[np.int64]:
    minute = table["ts_utc"].to_physical().to_numpy() // 60_000_000
    grid = project.calendar.grid(int(minute[0]), int(minute[-1]) + 1)
    return np.asarray(grid.day[np.searchsorted(grid.minute, minute)], dtype=np.int64)
