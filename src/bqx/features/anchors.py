"""What columns need from outside their window: the baseline of each pair, the closure gaps since T0, the schedule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from bqx.market.calendar import DAY, Calendar
from bqx.market.panel import NEVER
from bqx.market.schedule import Schedule

F8 = NDArray[np.float64]
BASELINE_WINDOW = DAY
"""A pair's first real bar must lie within 24 h of T0."""


@dataclass(frozen=True, slots=True)
class Edge:
    """First open and last close of a pair in one segment."""

    seg_id: int
    first_minute: int
    first_open: float
    last_minute: int
    last_close: float


@dataclass(frozen=True)
class Anchors:
    """T0 (a minute, None before it is known), the baseline (epoch, minute, mid) and the segment edges of each pair, and
    the project's schedule of events, None without one."""

    t0: int | None = None
    baseline: Mapping[str, tuple[int, int, float]] = field(default_factory=dict)
    edges: Mapping[str, Sequence[Edge]] = field(default_factory=dict)
    schedule: Schedule | None = None

    def minutes(self, pairs: Sequence[str]) -> NDArray[np.int64]:
        """Minute of each pair's baseline bar; NEVER without one. Shape (pairs,)."""
        return np.array([self.baseline[p][1] if p in self.baseline else NEVER for p in pairs], dtype=np.int64)

    def mids(self, pairs: Sequence[str]) -> F8:
        return np.array([self.baseline[p][2] if p in self.baseline else np.nan for p in pairs])

    def epochs(self, pairs: Sequence[str]) -> F8:
        return np.array([float(self.baseline[p][0]) if p in self.baseline else np.nan for p in pairs])

    def gap_factors(self, pair: str) -> dict[int, float]:
        """Product of (first open / last close before) over the segments after the baseline's, by segment.

        Segments without a quote do not appear; a closure spans them.
        """
        out: dict[int, float] = {}
        if pair not in self.baseline:
            return out
        factor, before = 1.0, None
        for edge in self.edges.get(pair, ()):
            if edge.last_minute < self.baseline[pair][1]:
                continue
            if before is not None:
                factor = factor * (edge.first_open / before)
            out[edge.seg_id] = factor
            before = edge.last_close
        return out


def find_baseline(frame: pl.DataFrame, t0: int) -> tuple[int, float] | None:
    """Minute and mid close of the first bar with T0 <= ts <= T0 + 24 h, of one pair's sorted bars."""
    minute = frame["ts_utc"].to_physical().to_numpy() // 60_000_000
    at = int(np.searchsorted(minute, t0))
    if at == len(minute) or minute[at] > t0 + BASELINE_WINDOW:
        return None
    return int(minute[at]), float(frame["close"][at])


def segment_edges(frame: pl.DataFrame, calendar: Calendar) -> list[Edge]:
    """Edges of the segments in one pair's sorted bars (open minutes only)."""
    if frame.is_empty():
        return []
    minute = frame["ts_utc"].to_physical().to_numpy() // 60_000_000
    open_, close = frame["open"].to_numpy(), frame["close"].to_numpy()
    segment = calendar.segment_ids(minute)
    first = np.flatnonzero(np.r_[True, np.diff(segment) != 0])
    last = np.r_[first[1:] - 1, len(minute) - 1]
    return [
        Edge(int(segment[a]), int(minute[a]), float(open_[a]), int(minute[b]), float(close[b]))
        for a, b in zip(first, last, strict=True)
    ]
