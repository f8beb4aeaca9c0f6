"""What targets are made of: volatility and momentum at t, momentum and return of the next h bars, the cost at t."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from bqx.features.anchors import Anchors
from bqx.features.catalogue import dataset, earliest
from bqx.features.streams import WINDOWS, Streams
from bqx.market.calendar import Calendar
from bqx.market.panel import make_panel
from bqx.research.targets import HORIZONS

if TYPE_CHECKING:
    from bqx.store.bars import BarStore

F4 = NDArray[np.float32]
I8 = NDArray[np.int64]
ASSUMED_COST = 1.0
"""Round trip in bps where the source has no quotes."""
COLUMNS = (
    "sigma",
    "cost",
    *(f"m_{w}" for w in WINDOWS),
    *(f"a_{h}_{w}" for h in HORIZONS for w in WINDOWS),
    *(f"r_{h}" for h in HORIZONS),
)


@dataclass(frozen=True)
class Labels:
    """Labels of one pair at open minutes; `minute`, `position` (Calendar.ordinal), `seg_age`, `left` are (n,).

    left : open minutes of the segment after t; a label of h bars exists where left >= h. values : float32 (n,) each,
    NaN for NULL: `sigma` and `cost` (a round trip) in bps, `m_w` = M_w(t), `a_h_w` = M_w(t + h), `r_h` = return over
    (t, t + h] in bps of the log mid. All are oriented: positive = price rises (the raw BQX has the other sign).
    """

    minute: I8
    position: I8
    seg_age: I8
    left: I8
    values: dict[str, F4]

    def __len__(self) -> int:
        return len(self.minute)

    def take(self, rows: NDArray[np.bool_] | I8) -> Labels:
        return Labels(
            self.minute[rows],
            self.position[rows],
            self.seg_age[rows],
            self.left[rows],
            {k: v[rows] for k, v in self.values.items()},
        )

    @classmethod
    def concat(cls, parts: Sequence[Labels]) -> Labels:
        return cls(
            np.concatenate([p.minute for p in parts]),
            np.concatenate([p.position for p in parts]),
            np.concatenate([p.seg_age for p in parts]),
            np.concatenate([p.left for p in parts]),
            {k: np.concatenate([p.values[k] for p in parts]) for k in parts[0].values},
        )

    def before(self, position: int) -> Labels:
        """The same rows, NULL where a label would use bars at `position` or later."""
        out = dict(self.values)
        for name in COLUMNS:
            if name.startswith(("a_", "r_")):
                late = self.position + int(name.split("_")[1]) >= position
                out[name] = np.where(late, np.float32(np.nan), out[name])
        return Labels(self.minute, self.position, self.seg_age, self.left, out)

    @staticmethod
    def schema() -> dict[str, pl.DataType]:
        """Columns of :meth:`frame` with their types."""
        fixed = {"position": pl.Int64(), "seg_age": pl.Int32(), "left": pl.Int32()}
        return {"ts_utc": pl.Datetime("us", "UTC"), **fixed, **dict.fromkeys(COLUMNS, pl.Float32())}

    def frame(self) -> pl.DataFrame:
        """As stored: ts_utc, position, seg_age, left, values."""
        stamps = pl.Series("ts_utc", (self.minute * 60_000_000).astype("datetime64[us]")).dt.replace_time_zone("UTC")
        fixed = [pl.Series("position", self.position), pl.Series("seg_age", self.seg_age.astype(np.int32))]
        fixed.append(pl.Series("left", self.left.astype(np.int32)))
        return pl.DataFrame([stamps, *fixed, *(pl.Series(k, v, nan_to_null=True) for k, v in self.values.items())])

    @classmethod
    def of_frame(cls, frame: pl.DataFrame) -> Labels:
        minute = frame["ts_utc"].to_physical().to_numpy() // 60_000_000
        position, age, left = (frame[k].cast(pl.Int64).to_numpy() for k in ("position", "seg_age", "left"))
        return cls(minute, position, age, left, {k: frame[k].fill_null(np.nan).to_numpy() for k in COLUMNS})


def make_labels(
    bars: BarStore,
    calendar: Calendar,
    pair: str,
    start: int,
    end: int,
    *,
    cost: float | None = None,
    as_of: int | None = None,
) -> Labels:
    """Labels of the open minutes of [start, end), from the bars as known at `as_of`.

    cost : round trip in bps for all minutes; None takes the quoted spread of the bar, and ASSUMED_COST where it has
    none. Bars after `end` are read as far as the longest horizon reaches inside the segment.
    """
    grid = calendar.grid(start, end)
    longest = max(HORIZONS)
    first = min(
        earliest(dataset("returns_std_rate"), start, calendar, ["retz_1"]),
        earliest(dataset("base_bqx"), start, calendar, [f"M_{w}" for w in WINDOWS]),
    )
    last = int(grid.minute[-1]) + longest + 1
    frames = bars.read([pair], first, last, as_of)
    quoted = {"bid_close", "ask_close"} <= set(frames[pair].columns) and cost is None
    panel = make_panel(frames, (pair,), calendar.grid(first, last), quotes=quoted)
    return labels_of(Streams(panel, calendar, Anchors()), calendar, start, end, cost)


def labels_of(streams: Streams, calendar: Calendar, start: int, end: int, cost: float | None = None) -> Labels:
    """Labels of the first pair of a panel, at its open minutes of [start, end)."""
    panel, grid = streams.panel, streams.panel.grid
    rows = np.arange(grid.index(start), grid.index(end))
    n = len(grid)
    values: dict[str, F4] = {"sigma": _f4(streams.sigma[rows, 0])}
    values["cost"] = _f4(_cost(panel.quotes, panel.close[:, 0], cost)[rows])
    momentum = {w: streams.oriented(w)[:, 0] for w in WINDOWS}
    values |= {f"m_{w}": _f4(momentum[w][rows]) for w in WINDOWS}
    inside = {h: (rows + h < n) & (grid.seg_id[np.minimum(rows + h, n - 1)] == grid.seg_id[rows]) for h in HORIZONS}
    ahead = {h: np.minimum(rows + h, n - 1) for h in HORIZONS}
    level = streams.rate_close[:, 0]
    for h in HORIZONS:
        values |= {f"a_{h}_{w}": _f4(np.where(inside[h], momentum[w][ahead[h]], np.nan)) for w in WINDOWS}
    values |= {f"r_{h}": _f4(np.where(inside[h], level[ahead[h]] - level[rows], np.nan)) for h in HORIZONS}
    position = calendar.ordinal(int(grid.minute[rows[0]])) + np.arange(len(rows), dtype=np.int64)
    age = grid.seg_age[rows].astype(np.int64)
    ordered = {k: values[k] for k in COLUMNS}
    return Labels(grid.minute[rows], position, age, bars_left(calendar, grid.minute[rows]), ordered)


def bars_left(calendar: Calendar, minute: I8) -> I8:
    """Open minutes of the segment after each open minute; the mask of closures is left < h."""
    if not len(minute):
        return np.zeros(0, np.int64)
    whole = calendar.grid(calendar.segment_start(int(minute[0])), int(minute[-1]) + 9 * 1440)
    last = np.r_[np.flatnonzero(np.diff(whole.seg_id) != 0), len(whole) - 1]
    at = np.searchsorted(whole.minute, minute)
    return np.asarray(last[np.searchsorted(last, at)] - at, dtype=np.int64)


def _cost(quotes: Mapping[str, NDArray[np.float64]], close: NDArray[np.float64], cost: float | None) -> F4:
    if cost is not None or not quotes:
        return np.full(len(close), ASSUMED_COST if cost is None else cost, np.float32)
    spread = 1e4 * (quotes["ask_close"][:, 0] - quotes["bid_close"][:, 0]) / close
    return _f4(np.where(np.isfinite(spread), spread, ASSUMED_COST))


def _f4(x: NDArray[np.floating]) -> F4:
    return np.ascontiguousarray(x, dtype=np.float32)


def root(n: int) -> float:
    """Square root of S(n) = n (n + 1) (2n + 1) / 6."""
    return math.sqrt(n * (n + 1) * (2 * n + 1) / 6)
