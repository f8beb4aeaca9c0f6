"""All datasets advance together: bars in, columns out."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import LiveError, LiveStateError
from bqx.features.anchors import Anchors
from bqx.features.declare import Dataset
from bqx.features.live.block import Block, make_block
from bqx.features.live.dataset import Live, twin
from bqx.features.live.past import Past
from bqx.features.live.streams import LiveStreams, Memory
from bqx.market.calendar import Calendar
from bqx.market.panel import Panel

F8 = NDArray[np.float64]


class Session:
    """Live datasets over the same streams.

    It begins at a segment's first minute, no later than the earliest bar the datasets can see, and gets every open
    minute after that, once and in order; how many at a time does not move a bit.

    spent : seconds of this core that each dataset took for the newest block. sigma : EWMA deviation of the newest row,
    bps (pairs,), for whoever scales forecasts.
    """

    def __init__(self, homes: Sequence[Dataset], calendar: Calendar, past: Past, lives: Sequence[Live] = ()) -> None:
        self.calendar, self.past = calendar, past
        self.lives = list(lives) or [twin(home) for home in homes]
        self.memory = Memory()
        self.row, self.number = 0, 0
        self.sigma: F8 = np.empty(0)
        self.spent: dict[str, float] = {}

    def advance(self, panel: Panel, anchors: Anchors, only: Collection[str] | None = None) -> dict[str, F8]:
        """Columns of each dataset over the panel's rows: float64 (columns, rows, pairs).

        panel : the next rows of the grid. anchors : as known at its last row. only : datasets that have begun; one
        begins at a segment's first minute, no later than its own look-back does, and goes on from there.
        """
        block = self._block(panel)
        self.past.take(panel, anchors)
        streams = LiveStreams(block, anchors, self.memory, self.past)
        self.sigma = streams.sigma[-1]
        chosen = [live for live in self.lives if only is None or live.home.name in only]
        found = {}
        for live in chosen:
            began = time.thread_time()
            found[live.home.name] = live.advance(streams)
            self.spent[live.home.name] = time.thread_time() - began
        self.row = block.stop
        self.number = block.number + int(np.searchsorted(block.opens, self.row - 1, side="right")) - 1
        return found

    def _block(self, panel: Panel) -> Block:
        age = int(panel.grid.seg_age[0])
        if self.row == 0 and age != 0:
            raise LiveError(f"live begins {age} bars into a segment", fix="begin at a segment's first minute")
        number = self.number + (1 if self.row > 0 and age == 0 else 0)
        return make_block(panel, self.calendar, self.row, number)

    def state(self) -> dict[str, NDArray[Any]]:
        """All that is remembered but the past, `dataset|key` -> copy."""
        found = {f"streams|{key}": value for key, value in self.memory.state().items()}
        for live in self.lives:
            found |= {f"{live.home.name}|{key}": value for key, value in live.state().items()}
        return found | {"session|place": np.array([self.row, self.number], dtype=np.int64)}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Remember this instead. The past is filled by :meth:`Past.take`."""
        if "session|place" not in state:
            raise LiveStateError("the state does not say where it stands")
        parts: dict[str, dict[str, NDArray[Any]]] = {}
        for path, value in state.items():
            head, _, key = path.partition("|")
            parts.setdefault(head, {})[key] = value
        self.row, self.number = (int(v) for v in parts["session"]["place"])
        self.memory.restore(parts.get("streams", {}))
        for live in self.lives:
            live.restore(parts.get(live.home.name, {}))
