"""Features and labels of all pairs at the same minutes, thinned, from a project or straight from bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from bqx.store.bars import BarStore
    from bqx.store.contract import FeatureStore

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
DATASETS = ("returns_raw_rate", "returns_raw_bqx", "returns_std_rate", "returns_std_bqx", "time_dual")
"""The 66 counted columns of the first answer."""
LONG_HISTORY = 65 * 1440
CHUNK = 22 * 1440


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
    bars: BarStore,
    features: FeatureStore,
    calendar: Calendar,
    *,
    pairs: Sequence[str],
    start: int | None = None,
    end: int | None = None,
    every: int | None = None,
    horizons: Sequence[int] = HORIZONS,
    datasets: Sequence[str] = DATASETS,
    as_of: int | None = None,
) -> Matrix:
    """Features as the store has them, labels from the project's bars; without a span, what is built.

    Pairs that lack one of the datasets in the span are left out.
    """
    built = {home: _built(features, home, start, end, as_of) for home in datasets}
    chosen = tuple(p for p in pairs if all(p in spans for spans in built.values()))
    if not chosen:
        absent = ", ".join(home for home, spans in built.items() if not spans) or "some datasets for every pair"
        raise CheckError(f"no rows of {absent} to answer from", fix="`bqx build run` for the months wanted")
    span = [built[datasets[0]][p] for p in chosen]
    begin = min(s[0] for s in span) if start is None else start
    stop = max(s[1] for s in span) + 1 if end is None else end
    minute, position, step = _thin(calendar, begin, stop, every)
    names = [f"{home}.{c.name}" for home in datasets for c in dataset(home).columns]
    X = np.full((len(minute), len(chosen), len(names)), np.nan)
    k = 0
    for home in datasets:
        wanted = [c.name for c in dataset(home).columns]
        stamp = pl.col("ts_utc").dt.epoch("us") // 60_000_000
        frame = features.read(home, chosen, (begin, stop), wanted, as_of)
        frame = frame.with_columns(stamp.alias("minute")).filter(pl.col("minute") % step == 0)
        for (pair,), part in frame.collect().partition_by("pair", as_dict=True).items():
            rows = np.searchsorted(minute, part["minute"].to_numpy())
            X[rows, chosen.index(str(pair)), k : k + len(wanted)] = _values(part, wanted)
        k += len(wanted)
    Y = np.empty((len(minute), len(chosen), len(horizons)))
    chunk = CHUNK // step
    for at in range(0, len(minute), chunk):
        times = minute[at : at + chunk]
        first = min(
            earliest(dataset("returns_std_rate"), int(times[0]), calendar, ["retz_1"]),
            earliest(dataset("base_bqx"), int(times[0]), calendar, [f"M_{h}" for h in horizons]),
        )
        last = int(times[-1]) + max(horizons) + 1
        Y[at : at + chunk] = _labels(
            bars.read(chosen, first, last, as_of), chosen, calendar, first, last, times, horizons
        )
    return Matrix(minute, position, chosen, tuple(names), tuple(horizons), step, X, Y, bars.simulated(as_of))


def _values(frame: pl.DataFrame, columns: Sequence[str]) -> F8:
    return np.column_stack([frame[c].cast(pl.Float64).fill_null(np.nan).to_numpy() for c in columns])


def _built(
    features: FeatureStore, home: str, start: int | None, end: int | None, as_of: int | None
) -> dict[str, tuple[int, int]]:
    """First and last minute of each pair that has the dataset somewhere in the span."""
    out: dict[str, tuple[int, int]] = {}
    for info in features.partitions(as_of, home):
        first, last = info.first_minute, info.last_minute
        if (end is None or first < end) and (start is None or last >= start):
            low, high = out.get(info.key.pair, (first, last))
            out[info.key.pair] = (min(low, first), max(high, last))
    return out
