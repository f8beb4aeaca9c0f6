"""Bars from the store onto the grid, with just enough history before a month."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bqx.build.inputs import Inputs
from bqx.market.panel import Panel, make_panel

if TYPE_CHECKING:
    from bqx.store.bars import BarStore


def load_panel(
    bars: BarStore, inputs: Inputs, pairs: tuple[str, ...], start: int, end: int, *, quotes: bool = False
) -> Panel:
    """Panel of the open minutes of [start, end), `start` moved back to its segment's start."""
    begin = inputs.calendar.segment_start(start)
    frames = bars.read(list(pairs), begin, end, as_of=inputs.as_of)
    return make_panel(
        frames,
        pairs,
        inputs.calendar.grid(begin, end),
        first={p: s[0] for p, s in inputs.spans.items()},
        last={p: s[1] for p, s in inputs.spans.items()},
        quotes=quotes,
    )
