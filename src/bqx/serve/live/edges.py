"""First open and last close of every segment as bars arrive: what level columns need of closures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import LiveStateError
from bqx.features.anchors import Anchors, Edge
from bqx.market.panel import Panel

F8 = NDArray[np.float64]
NONE = -1.0


class Edges:
    """Of each pair, the segments since its baseline. known : T0, baselines and schedule, which do not change."""

    def __init__(self, pairs: Sequence[str], known: Anchors) -> None:
        self.pairs, self._known = tuple(pairs), known
        self._closed: dict[str, list[Edge]] = {pair: [] for pair in pairs}
        # segment, first minute, first open, last minute, last close
        self._now = np.full((5, len(pairs)), NONE)

    def fill(self, edges: Mapping[str, Sequence[Edge]], panel: Panel) -> None:
        """Take over what the stored bars say up to the panel's last row; the panel begins with that row's segment."""
        segment = int(panel.grid.seg_id[-1])
        for pair in self.pairs:
            self._closed[pair] = [e for e in edges.get(pair, ()) if e.seg_id < segment]
        for j, pair in enumerate(self.pairs):
            if self._closed[pair]:
                e = self._closed[pair].pop()
                self._now[:, j] = e.seg_id, e.first_minute, e.first_open, e.last_minute, e.last_close
        self.take(panel)

    def take(self, panel: Panel) -> None:
        """The next rows; only quoted minutes count."""
        quoted = panel.fill_run == 0
        for i in range(len(panel.grid)):
            here = quoted[i]
            if not here.any():
                continue
            segment, minute = float(panel.grid.seg_id[i]), float(panel.grid.minute[i])
            for j in np.flatnonzero(here & (self._now[0] != segment)).tolist():
                if self._now[0, j] != NONE:
                    self._closed[self.pairs[j]].append(_edge(self._now[:, j]))
                self._now[:3, j] = segment, minute, panel.open[i, j]
            self._now[3, here] = minute
            self._now[4, here] = panel.close[i, here]

    def anchors(self) -> Anchors:
        edges = {}
        for j, pair in enumerate(self.pairs):
            now = (_edge(self._now[:, j]),) if self._now[0, j] != NONE else ()
            edges[pair] = (*self._closed[pair], *now)
        return replace(self._known, edges=edges)

    def state(self) -> dict[str, NDArray[Any]]:
        found = {"now": self._now.copy()}
        for pair, edges in self._closed.items():
            rows = [(e.seg_id, e.first_minute, e.first_open, e.last_minute, e.last_close) for e in edges]
            found[pair] = np.array(rows, dtype=np.float64).reshape(len(rows), 5)
        return found

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        if set(state) != {"now", *self.pairs}:
            raise LiveStateError("the state's weekly edges are of another set of pairs")
        self._now = state["now"].copy()
        for pair in self.pairs:
            self._closed[pair] = [_edge(row) for row in state[pair]]


def _edge(row: F8) -> Edge:
    return Edge(int(row[0]), int(row[1]), float(row[2]), int(row[3]), float(row[4]))
