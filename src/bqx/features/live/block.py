"""The minutes that arrive together: one in operation, thousands when history is caught up with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bqx.market.calendar import DAY, Calendar
from bqx.market.panel import Panel

I8 = NDArray[np.int64]

AHEAD = 30 * DAY
"""Open minutes beyond a block in which the starts of segments are known from the calendar."""


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive rows of the grid.

    panel : their bars. row : number of the first one since live began, which was at a segment's start; steppers keep
    row r of what they remember in row r % len of a ring. number : of the segment it lies in, likewise.
    opens : rows at which segments `number`, `number` + 1, ... start, until AHEAD beyond the block's end.
    """

    panel: Panel
    calendar: Calendar
    row: int
    number: int
    opens: I8

    def __len__(self) -> int:
        return len(self.panel.grid)

    @property
    def stop(self) -> int:
        return self.row + len(self)

    @property
    def age(self) -> NDArray[np.int32]:
        return self.panel.grid.seg_age


def make_block(panel: Panel, calendar: Calendar, row: int, number: int) -> Block:
    """The block of a panel whose first row has the number `row` and lies in segment `number`."""
    grid = panel.grid
    begin = row - int(grid.seg_age[0])
    base = calendar.ordinal(int(grid.minute[0])) - row
    last = calendar.at_ordinal(base + row + len(grid) - 1 + AHEAD)
    found = [calendar.ordinal(opens) - base for _, opens in calendar.closures(int(grid.minute[0]), last)]
    return Block(panel, calendar, row, number, np.array([begin, *found], dtype=np.int64))


def segments(block: Block) -> NDArray[np.int32]:
    """Number of each row's segment since live began. Shape (n,)."""
    rows = np.arange(block.row, block.stop)
    return (block.number + np.searchsorted(block.opens, rows, side="right") - 1).astype(np.int32)
