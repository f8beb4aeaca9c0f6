"""From a panel to columns: streams are computed once and shared by all datasets of a call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import FeatureError
from bqx.features.anchors import Anchors
from bqx.features.catalogue import dataset
from bqx.features.declare import Dataset
from bqx.features.streams import Streams
from bqx.features.support import Support, View
from bqx.market.calendar import Calendar
from bqx.market.panel import Panel

F8 = NDArray[np.float64]

SPREAD = 1.5


def compute(
    panel: Panel,
    calendar: Calendar,
    anchors: Anchors,
    names: Sequence[str],
    columns: Mapping[str, Sequence[str]] | None = None,
    start_row: int = 0,
) -> dict[str, dict[str, F8]]:
    """Values of the named datasets: {dataset: {column: float64 (rows from start_row, pairs)}}, NaN for NULL.

    The panel begins at a segment start that is no later than `catalogue.earliest` of the first wanted minute.
    """
    streams = Streams(panel, calendar, anchors)
    return {name: evaluate(dataset(name), streams, (columns or {}).get(name), start_row=start_row) for name in names}


def evaluate(home: Dataset, streams: Streams, names: Sequence[str] | None = None, start_row: int = 0) -> dict[str, F8]:
    """Columns of one dataset, NULL where the pair's stream has fewer bars than the column's warm-up.

    Columns that see much less of the past than others are computed from a shorter panel; by P2 that moves no bit.
    """
    wanted = [c.name for c in home.columns] if names is None else list(names)
    unknown = [n for n in wanted if n not in home.by_name]
    if unknown:
        raise FeatureError(f"{home.name} has no columns {unknown}")
    found: dict[str, F8] = {}
    for row, group in _by_reach(home, streams, wanted, start_row):
        found |= _evaluate(home, streams.tail(row), group, start_row - row)
    return {name: found[name] for name in wanted}


def reach_groups(
    home: Dataset, names: Sequence[str], minute: int, end: int, calendar: Calendar
) -> list[tuple[int, list[str]]]:
    """(minute of the first bar to load, columns), for values of [minute, end): columns in one group need panels whose
    lengths differ by at most `SPREAD`. This is what :func:`evaluate` does and what the planner counts."""
    stop = calendar.ordinal(end)
    begins: dict[Support, int] = {}
    for support in {home.by_name[name].support for name in names}:
        begins[support] = calendar.segment_start(support.earliest(minute, calendar))
    need = {name: begins[home.by_name[name].support] for name in names}
    groups: list[tuple[int, list[str]]] = []
    widest = 0
    for name in sorted(names, key=lambda n: need[n]):
        rows = stop - calendar.ordinal(need[name])
        if not groups or widest > SPREAD * rows:
            groups.append((need[name], []))
            widest = rows
        groups[-1][1].append(name)
    return groups


def _by_reach(home: Dataset, streams: Streams, names: Sequence[str], start_row: int) -> list[tuple[int, list[str]]]:
    """:func:`reach_groups` in rows of the panel, for values from `start_row` on."""
    grid = streams.panel.grid
    if not start_row < len(grid):
        return [(0, list(names))]
    groups = reach_groups(home, names, int(grid.minute[start_row]), int(grid.minute[-1]) + 1, streams.calendar)
    return [(grid.index(begin) if begin > grid.minute[0] else 0, group) for begin, group in groups]


def _evaluate(home: Dataset, streams: Streams, wanted: Sequence[str], start_row: int) -> dict[str, F8]:
    values = dict(home.compute(streams, wanted))
    shape = streams.panel.shape
    age = View(streams.panel, streams.calendar).stream
    youngest = int(age.min(initial=np.iinfo(np.int64).max))
    out = {}
    for name in wanted:
        value = values.pop(name)  # a masked copy takes its place: both would be one dataset too much memory
        if value.shape != shape:
            raise FeatureError(f"{home.name}.{name} has shape {value.shape}, the panel {shape}")
        warmup = home.by_name[name].warmup
        if youngest < warmup:
            value = np.where(age < warmup, np.nan, value)
        out[name] = value[start_row:]
    return out
