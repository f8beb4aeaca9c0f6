"""Inputs as they were when the store ended earlier: proof that what was built then needs no building now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import polars as pl

from bqx.build.inputs import Inputs
from bqx.market.calendar import DAY
from bqx.store.content import content_hash
from bqx.store.span import in_span

if TYPE_CHECKING:
    from bqx.store.bars import BarStore


def cut(inputs: Inputs, bars: BarStore, through: int, frames: Mapping[str, pl.DataFrame] | None = None) -> Inputs:
    """The inputs as if no bar had come after minute `through`. For hashes: a last close in `edges` may be a later one.
    frames : the bars from that minute's UTC day on, if they were read before.

    Whole days keep the hashes the store has; the bars of a day that goes on after `through` are read and hashed.
    """
    days = {key: digest for key, digest in inputs.days.items() if key[1] < through // DAY}
    late = [pair for pair, (_, last) in inputs.spans.items() if last > through]
    ended = [pair for pair in inputs.spans if pair not in late]
    last_day = through // DAY
    days |= {(p, last_day): inputs.days[p, last_day] for p in ended if (p, last_day) in inputs.days}
    spans = {pair: inputs.spans[pair] for pair in ended}
    start, end = last_day * DAY, through + 1
    found = bars.read(late, start, end, as_of=inputs.as_of) if frames is None else {p: frames[p] for p in late}
    for pair in late:
        frame = found[pair] if frames is None else found[pair].filter(in_span((start, end)))
        if frame.height:
            days[pair, last_day] = content_hash(frame)
            spans[pair] = (inputs.spans[pair][0], _last(frame))
        elif before := [day for name, day in days if name == pair]:
            last = bars.read([pair], max(before) * DAY, (max(before) + 1) * DAY, as_of=inputs.as_of)[pair]
            spans[pair] = (inputs.spans[pair][0], _last(last))
    edges = {p: tuple(e for e in known if e.first_minute <= through) for p, known in inputs.edges.items()}
    ordered = {pair: spans[pair] for pair in inputs.spans if pair in spans}
    return inputs.with_bars(ordered, days, edges, inputs.as_of)


def _last(frame: pl.DataFrame) -> int:
    return int(frame["ts_utc"].to_physical()[-1] // 60_000_000)
