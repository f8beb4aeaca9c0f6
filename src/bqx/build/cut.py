"""Inputs as they were when the store ended earlier: proof that what was built then needs no building now."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from bqx.build.inputs import Inputs
from bqx.market.calendar import DAY
from bqx.store.content import content_hash

if TYPE_CHECKING:
    from bqx.store.bars import BarStore


def cut(inputs: Inputs, bars: BarStore, through: int) -> Inputs:
    """The inputs as if no bar had come after minute `through`. For hashes: a last close in `edges` may be a later one.

    Whole days keep the hashes the store has; the bars of a day that goes on after `through` are read and hashed.
    """
    days = {key: digest for key, digest in inputs.days.items() if key[1] < through // DAY}
    late = [pair for pair, (_, last) in inputs.spans.items() if last > through]
    ended = [pair for pair in inputs.spans if pair not in late]
    last_day = through // DAY
    days |= {(p, last_day): inputs.days[p, last_day] for p in ended if (p, last_day) in inputs.days}
    spans = {pair: inputs.spans[pair] for pair in ended}
    for pair, frame in bars.read(late, last_day * DAY, through + 1, as_of=inputs.as_of).items():
        if frame.height:
            days[pair, last_day] = content_hash(frame)
            spans[pair] = (inputs.spans[pair][0], _last(frame))
        elif before := [day for name, day in days if name == pair]:
            found = bars.read([pair], max(before) * DAY, (max(before) + 1) * DAY, as_of=inputs.as_of)[pair]
            spans[pair] = (inputs.spans[pair][0], _last(found))
    edges = {p: tuple(e for e in found if e.first_minute <= through) for p, found in inputs.edges.items()}
    ordered = {pair: spans[pair] for pair in inputs.spans if pair in spans}
    return inputs.with_bars(ordered, days, edges, inputs.as_of)


def _last(frame: pl.DataFrame) -> int:
    return int(frame["ts_utc"].to_physical()[-1] // 60_000_000)
