"""health the slow way: every mean and count from its own rows."""

from __future__ import annotations

import math
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from bqx.features.streams import Streams
from bqx.features.support import needed

F8 = NDArray[np.float64]

NAMES = ("vol", "spread", "curv")
_KEPT: WeakKeyDictionary[Streams, dict[tuple[str, int], F8]] = WeakKeyDictionary()


def _missing_reference(streams: Streams, row: int, pair: int, w: int) -> float:
    return int((streams.panel.fill_run[row - w + 1 : row + 1, pair] > 0).sum()) / w


def _watched_reference(streams: Streams, name: str, pair: int) -> F8:
    """The whole series of one pair."""
    kept = _KEPT.setdefault(streams, {})
    if (name, pair) not in kept:
        panel = streams.panel
        if name == "spread":
            bid, ask = (panel.quotes[f"{side}_close"][:, pair] for side in ("bid", "ask"))
            kept[name, pair] = 1e4 * (ask - bid) / panel.close[:, pair]
        else:
            series = streams.rate_change if name == "vol" else streams.rate_close
            kept[name, pair] = _hourly_reference(name, series[:, pair], panel.grid.seg_age)
    return kept[name, pair]


def _hourly_reference(name: str, x: F8, age: NDArray[np.int32]) -> F8:
    out = np.full(len(x), np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(x, 60)
    count = (~np.isnan(windows)).sum(axis=1)
    whole = np.flatnonzero((count >= needed(60)) & (age[59:] >= 59))
    if name == "vol":
        out[whole + 59] = np.sqrt(np.nanmean(windows[whole] ** 2, axis=1) * 60)
        return out
    place = np.arange(60.0) - 29.5
    full = whole[count[whole] == 60]  # all of these have the same design
    levels = windows[full] - windows[full, :1]
    out[full + 59] = 2.0 * (levels @ np.linalg.pinv(np.vander(place, 3))[0])
    for k in whole[count[whole] < 60].tolist():
        valid = ~np.isnan(windows[k])
        v = windows[k, valid]
        out[k + 59] = 2.0 * np.linalg.lstsq(np.vander(place[valid], 3), v - v[0], rcond=None)[0][0]
    return out


def _drift_reference(streams: Streams, name: str, row: int, pair: int) -> float:
    x = _watched_reference(streams, name, pair)
    days = [float(np.nanmean(x[row - 1440 * k - 1439 : row - 1440 * k + 1])) for k in range(21)]
    return (days[0] - math.fsum(days[1:]) / 20) / float(np.std(days[1:], ddof=1))


def _standing_reference(streams: Streams, row: int, pair: int) -> int:
    """Minutes since the quote changed, walking back to the segment's start."""
    panel = streams.panel
    start = row - int(panel.grid.seg_age[row])
    sides = [panel.quotes[f"{side}_close"][start : row + 1, pair] for side in ("bid", "ask")]
    quoted = np.flatnonzero(~np.isnan(sides[0]))
    now = quoted[-1]
    for before, at in zip(quoted[-2::-1], quoted[:0:-1], strict=True):
        if any(side[before] != side[now] for side in sides):
            return row - start - int(at)
    return row - start - int(quoted[0])


def reference(streams: Streams, column: str, row: int, pair: int) -> float:
    """One value the slow way."""
    head, _, tail = column.rpartition("_")
    if head == "missing_rate":
        return _missing_reference(streams, row, pair, int(tail))
    if head == "drift_z":
        return _drift_reference(streams, tail, row, pair)
    if column == "fill_run":
        return float(streams.panel.fill_run[row, pair])
    if column == "stale_quote_flag":
        return float(_standing_reference(streams, row, pair) >= 5)
    if column == "unhealthy_pairs":
        minute, calendar = int(streams.panel.grid.minute[row]), streams.calendar
        begun = [calendar.ordinal(minute) - calendar.ordinal(int(first)) >= 19 for first in streams.panel.first]
        return float(sum(b and _missing_reference(streams, row, k, 20) > 0.25 for k, b in enumerate(begun)))
    unusual = sum(abs(_drift_reference(streams, name, row, pair)) > 3.0 for name in NAMES) >= 2
    if column == "unusual_flag":
        return float(unusual)
    return max(1.0 - _missing_reference(streams, row, pair, 240) - 0.1 * unusual, 0.0)
