"""Stored bars as panels, a segment at a time: what a live engine begins from, and fills its past with again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from bqx.build.inputs import Inputs
from bqx.build.loader import load_panel
from bqx.market.panel import Panel
from bqx.store.bars import BarStore


def history(bars: BarStore, inputs: Inputs, begin: int, through: int) -> Iterator[Panel]:
    """Panels of the segments from `begin`, a segment's start, to minute `through`; each knows of the bars up to its
    own end only, as live does."""
    calendar = inputs.calendar
    opens = [begin, *(opens for _, opens in calendar.closures(begin, through) if opens <= through)]
    for start, end in zip(opens, [*opens[1:], through + 1], strict=True):
        panel = load_panel(bars, inputs, inputs.pairs, start, end, quotes=True)
        yield replace(panel, last=np.minimum(panel.last, through))
