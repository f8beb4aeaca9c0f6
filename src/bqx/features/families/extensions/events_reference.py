"""events the slow way: the whole list of events is asked at each minute; a jump clock counts back."""

from __future__ import annotations

import math
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from bqx.features.streams import Streams
from bqx.features.support import needed
from bqx.market.schedule import KINDS, REGIONS, Event

F8 = NDArray[np.float64]

DAY, SOON, BARS = 1440, 90, 240
_KEPT: WeakKeyDictionary[Streams, dict[tuple[str, int], F8]] = WeakKeyDictionary()


def _is_reference(event: Event, name: str) -> bool:
    if name == "high":
        return event.importance == 3
    return event.kind == KINDS["cb"] if name == "cb" else event.region == REGIONS[name]


def _scheduled_reference(streams: Streams, column: str, t: int) -> float:
    schedule = streams.anchors.schedule
    events = [] if schedule is None else [e for e in schedule.events if e.published <= t]
    ahead = [e for e in events if e.scheduled > t and e.withdrawn > t]
    near = [e for e in ahead if e.scheduled - t <= SOON]
    head, _, name = column.rpartition("_")
    if head == "min_to_next":
        return min([DAY, *(e.scheduled - t for e in ahead if _is_reference(e, name))])
    if column == "multi_event_flag":
        return float(len(near) > 1)
    if column in ("next_importance", "next_region"):
        first = [e for e in near if e.scheduled == min(e.scheduled for e in near)]
        best = min(first, key=lambda e: (-e.importance, e.region), default=None)
        return 0.0 if best is None else float(best.importance if column == "next_importance" else best.region)
    past = [e for e in events if e.scheduled <= t and e.withdrawn > e.scheduled]
    name = "high" if column == "event_decay" else name
    since = min([DAY, *(t - e.scheduled for e in past if _is_reference(e, name))])
    return math.exp(-since / 60) if column == "event_decay" else since


def _jumps_reference(streams: Streams, domain: str, pair: int) -> F8:
    """abs(dy) / sqrt(BV / 240) of a pair, window by window."""
    kept = _KEPT.setdefault(streams, {})
    if (domain, pair) not in kept:
        y = streams.stream("rate" if domain == "rate" else "bqx").close[:, pair]
        age = streams.panel.grid.seg_age
        x = np.abs(np.where(age == 0, np.nan, np.diff(y, prepend=np.nan)))
        x[x <= 1e-9] = 0.0
        out = np.full(len(x), np.nan)
        windows = np.lib.stride_tricks.sliding_window_view(x, BARS)
        enough = ((~np.isnan(windows)).sum(axis=1) >= needed(BARS)) & (age[BARS - 1 :] >= BARS - 1)
        whole = np.flatnonzero(enough)
        mean = np.pi / 2 * np.nanmean(windows[whole, 1:] * windows[whole, :-1], axis=1)
        out[whole + BARS - 1] = x[whole + BARS - 1] / np.sqrt(np.where(mean > 0.0, mean, np.nan))
        kept[domain, pair] = out
    return kept[domain, pair]


def reference(streams: Streams, column: str, row: int, pair: int) -> float:
    """One value the slow way."""
    if not column.startswith("min_since_jump"):
        return float(_scheduled_reference(streams, column, int(streams.panel.grid.minute[row])))
    size = _jumps_reference(streams, column.rpartition("_")[2], pair)[: row + 1]
    recent = size[~np.isnan(size)][-DAY - 1 :][::-1]
    above = np.flatnonzero(recent > 4.0)
    return float(above[0]) if len(above) else float(DAY)
