"""Data health of a project: its newest bars, and its newest feature partitions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from bqx.market.calendar import DAY
from bqx.serve.monitor import health
from bqx.serve.monitor.finding import Finding

if TYPE_CHECKING:
    from bqx.build.project import Project

RECENT, BEFORE = DAY, 20 * DAY
"""Minutes looked at, and minutes before them that say what is usual."""


def look(project: Project, now: int, limits: health.HealthLimits) -> tuple[list[Finding], dict[str, Any]]:
    """Every pair of the project. now : minute of the clock. Also what was seen, by pair."""
    found: list[Finding] = []
    seen: dict[str, Any] = {}
    spans = project.bars.spans(project.as_of)
    for pair in project.pairs:
        if pair not in spans:
            found.append(Finding("stale", pair, "critical", f"{pair} has no bars at all"))
            continue
        newest = spans[pair][1]
        open_since = project.calendar.grid(newest, now + 1).minute if now >= newest else np.zeros(0, np.int64)
        found += health.staleness(pair, newest, now, open_since, limits)
        if newest > now:
            found += health.clock_skew(pair, 60.0 * (newest + 1), 60.0 * now, limits)
        frame = project.bars.read([pair], newest - BEFORE, newest + 1, project.as_of)[pair]
        found += _of_pair(project, pair, frame, newest, limits)
        seen[pair] = {"newest": newest, "bars": frame.height}
    return found, seen


def _of_pair(
    project: Project, pair: str, frame: pl.DataFrame, newest: int, limits: health.HealthLimits
) -> list[Finding]:
    minute = frame["ts_utc"].to_physical().to_numpy() // 60_000_000
    late = minute > newest - RECENT
    expected = project.calendar.grid(max(newest - RECENT + 1, int(minute[0])), newest + 1).minute
    high, low, close = (frame[k].to_numpy()[late] for k in ("high", "low", "close"))
    found = health.duplicates(pair, minute[late]) + health.gaps(pair, minute[late], expected, limits)
    found += health.flat_line(pair, high, low, close, limits)
    spread = 1e4 * (frame["ask_close"] - frame["bid_close"]) / frame["close"]
    bps = spread.fill_null(np.nan).to_numpy()
    hour: NDArray[np.int64] = minute // 60 % 24
    return found + health.spread_regime(pair, bps[late], hour[late], bps[~late], hour[~late], limits)
