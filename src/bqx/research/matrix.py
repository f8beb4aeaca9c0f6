"""Features and labels of all pairs at the same minutes, thinned, from a project or straight from bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from bqx.base.errors import CheckError
from bqx.features.anchors import Anchors
from bqx.features.catalogue import dataset, earliest
from bqx.features.compute import evaluate
from bqx.features.streams import Streams
from bqx.market.calendar import Calendar
from bqx.market.panel import make_panel
from bqx.research.targets import HORIZONS, targets

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
DATASETS = ("returns_raw_rate", "returns_raw_bqx", "returns_std_rate", "returns_std_bqx", "time_dual")
"""The 66 counted columns of the first answer."""
LONG_HISTORY = 65 * 1440


class Bars(Protocol):
    """What is asked of a bar store."""

    def read(
        self, pairs: Sequence[str], start_minute: int, end_minute: int, as_of: int | None = None
    ) -> dict[str, pl.DataFrame]: ...

    def spans(self, as_of: int | None = None) -> dict[str, tuple[int, int]]: ...

    def simulated(self, as_of: int | None = None) -> bool: ...


class Features(Protocol):
    """What is asked of a feature store."""

    def read(
        self,
        datasets: str | Sequence[str],
        pairs: Sequence[str] | None = None,
        span: tuple[int, int] | None = None,
        columns: Sequence[str] | None = None,
    ) -> pl.LazyFrame: ...


@dataclass(frozen=True)
class Matrix:
    """X (times, pairs, columns) and Y (times, pairs, horizons), NaN for NULL, at minutes `every` bars apart.

    position : open minutes before each time (Calendar.ordinal), so differences are bars.
    """

    minute: I8
    position: I8
    pairs: tuple[str, ...]
    columns: tuple[str, ...]
    horizons: tuple[int, ...]
    every: int
    X: F8
    Y: F8
    simulated: bool


def thinning(bars: int) -> int:
    """Every 5th minute for up to a quarter of a year, every 15th beyond."""
    return 5 if bars <= LONG_HISTORY else 15


def _thin(calendar: Calendar, start: int, end: int, every: int | None) -> tuple[I8, I8, int]:
    grid = calendar.grid(start, end)
    if not len(grid):
        raise CheckError("no open minutes in the span asked for")
    step = every or thinning(len(grid))
    position = calendar.ordinal(int(grid.minute[0])) + np.arange(len(grid), dtype=np.int64)
    keep = position % step == 0
    return grid.minute[keep], position[keep], step


def _labels(bars: Mapping[str, pl.DataFrame], pairs: tuple[str, ...], calendar: Calendar, first: int, end: int,
            minute: I8, horizons: Sequence[int]) -> F8:  # fmt: skip
    """Labels at `minute`, computed anew from the bars of [first, end), `first` a segment start."""
    panel = make_panel(bars, pairs, calendar.grid(first, end))
    streams = Streams(panel, calendar, Anchors())
    rows = np.searchsorted(panel.grid.minute, minute)
    sigma = streams.sigma
    out = np.empty((len(minute), len(pairs), len(horizons)))
    for k, h in enumerate(horizons):
        out[:, :, k] = targets({h: streams.oriented(h)}, sigma, panel.grid.seg_id, [h])[rows, :, 0]
    return out


def from_bars(
    bars: Mapping[str, pl.DataFrame],
    calendar: Calendar,
    start: int,
    end: int,
    *,
    every: int | None = None,
    horizons: Sequence[int] = HORIZONS,
    datasets: Sequence[str] = DATASETS,
    simulated: bool = False,
) -> Matrix:
    """From bars in memory (one frame a pair), whose first segment start begins the streams."""
    pairs = tuple(sorted(bars))
    begins = [int(f["ts_utc"].to_physical()[0]) // 60_000_000 for f in bars.values() if len(f)]
    if not begins:
        raise CheckError("no bars to answer from")
    first = calendar.segment_start(min(begins))
    minute, position, step = _thin(calendar, start, end, every)
    panel = make_panel(bars, pairs, calendar.grid(first, end))
    streams = Streams(panel, calendar, Anchors())
    rows = np.searchsorted(panel.grid.minute, minute)
    names, parts = [], []
    for home in datasets:
        for name, value in evaluate(dataset(home), streams).items():
            names.append(f"{home}.{name}")
            parts.append(value[rows])
    Y = _labels(bars, pairs, calendar, first, end, minute, horizons)
    return Matrix(minute, position, pairs, tuple(names), tuple(horizons), step, np.stack(parts, axis=2), Y, simulated)


def from_project(
    bars: Bars,
    features: Features,
    calendar: Calendar,
    *,
    pairs: Sequence[str] | None = None,
    start: int | None = None,
    end: int | None = None,
    every: int | None = None,
    horizons: Sequence[int] = HORIZONS,
    datasets: Sequence[str] = DATASETS,
) -> Matrix:
    """Features as the store has them, labels from the project's bars. Without a span, all that bars cover."""
    spans = bars.spans()
    chosen = tuple(p for p in (pairs or sorted(spans)) if p in spans)
    if not chosen:
        raise CheckError("no bars to answer from", fix="`bqx bars import` or `bqx bars simulate`, then `bqx build run`")
    begin = min(spans[p][0] for p in chosen) if start is None else start
    stop = max(spans[p][1] for p in chosen) + 1 if end is None else end
    minute, position, step = _thin(calendar, begin, stop, every)
    names = [f"{home}.{c.name}" for home in datasets for c in dataset(home).columns]
    X = np.full((len(minute), len(chosen), len(names)), np.nan)
    place = {pair: j for j, pair in enumerate(chosen)}
    k = 0
    for home in datasets:
        width = len(dataset(home).columns)
        wanted = [c.name for c in dataset(home).columns]
        stamp = pl.col("ts_utc").dt.epoch("us") // 60_000_000
        frame = features.read(home, chosen, (begin, stop), wanted)
        frame = frame.with_columns(stamp.alias("minute")).filter(pl.col("minute") % step == 0)
        for (pair,), part in frame.collect().partition_by("pair", as_dict=True).items():
            rows = np.searchsorted(minute, part["minute"].to_numpy())
            for i, name in enumerate(wanted):
                X[rows, place[str(pair)], k + i] = part[name].cast(pl.Float64).fill_null(np.nan).to_numpy()
        k += width
    first = earliest(dataset("returns_std_rate"), int(minute[0]), calendar, ["retz_1"])
    first = min(first, earliest(dataset("base_bqx"), int(minute[0]), calendar, [f"M_{h}" for h in horizons]))
    Y = _labels(bars.read(chosen, first, stop), chosen, calendar, first, stop, minute, horizons)
    return Matrix(minute, position, chosen, tuple(names), tuple(horizons), step, X, Y, bars.simulated())
