"""`explain` says the value, what it is made of, or why it is NULL, and is right about it."""

from __future__ import annotations

import json
import math
from datetime import datetime

import numpy as np
import pytest

from bqx.base.errors import UsageError
from bqx.features.catalogue import column, datasets
from bqx.features.checks import World
from bqx.features.explain import Explanation, explain, no_row
from bqx.features.streams import Streams
from bqx.market.calendar import Calendar, minute_of
from bqx.market.panel import NEVER


def utc(text: str) -> int:
    return minute_of(datetime.fromisoformat(f"{text}:00+00:00"))


@pytest.fixture(scope="module")
def streams(world: World) -> Streams:
    shown = world.panel(world.calendar.segment_start(world.span[0]), world.span[1])
    return Streams(shown, world.calendar, world.anchors())


def ask(streams: Streams, path: str, when: str, pair: str = "eurusd") -> Explanation:
    home, item = column(path)
    return explain(home, item, streams, utc(when), pair)


def test_a_value(streams: Streams) -> None:
    found = ask(streams, "returns_raw_rate.ret_60", "2024-03-12T08:00")
    close, grid = streams.panel.close[:, 0], streams.panel.grid
    row = grid.index(utc("2024-03-12T08:00"))
    assert found.value == pytest.approx(1e4 * math.log(close[row] / close[row - 60]), rel=1e-6)
    assert found.value == float(np.float32(found.value)), "as stored"
    assert (found.dataset, found.column, found.pair, found.unit) == ("returns_raw_rate", "ret_60", "eurusd", "bps")
    assert (found.ts, found.usable_from) == ("2024-03-12T08:00Z", "2024-03-12T08:01Z")
    assert found.reason is None
    assert found.sees_from == "2024-03-10T21:00Z", "the week's first minute: logs are counted from its first open"
    text = "\n".join(found.inputs)
    assert "change over 60 bars (SEG) from 2024-03-12T07:00Z" in text
    assert f"close at 2024-03-12T08:00Z: {close[row]:.9g} (quoted)" in text
    assert f"close at 2024-03-12T07:00Z: {close[row - 60]:.9g} (quoted)" in text
    # Sunday 21:00 to Tuesday 08:00 are 35 hours
    assert found.anchor[0].endswith("began 2024-03-10T21:00Z, 2100 bars ago")
    assert found.text().startswith("returns_raw_rate.ret_60 of eurusd at 2024-03-12T08:00Z = ")


def test_where_sums_restarted(streams: Streams) -> None:
    found = ask(streams, "base_bqx.w15_bqx_avg_index", "2024-03-12T08:00")
    assert "sums restarted 2024-03-12T07:08Z, 52 bars ago" in found.anchor, "2,100 = 2 x 1,024 + 52"
    minute, mid = streams.anchors.baseline["eurusd"][1:]
    assert f"baseline {mid:.9g} at 2024-02-21T00:0{minute - utc('2024-02-21T00:00')}Z, epoch 1" in found.anchor
    assert any("window of 15 bars (SEG) 2024-03-12T07:45Z to 2024-03-12T07:59Z: 15 valid" in i for i in found.inputs)
    assert found.value is not None
    assert float(np.float32(found.value)) != found.value, "levels are stored in 64 bits"


def test_a_carried_price(streams: Streams) -> None:
    """The hole of 3 minutes at 10:01 on 22 February."""
    found = ask(streams, "returns_raw_rate.ret_1", "2024-02-22T10:02")
    assert found.value == 0.0
    assert any("(no quote for 2 min)" in line for line in found.inputs)


@pytest.mark.parametrize(
    ("path", "when", "pair", "words"),
    [
        # the holes of conftest.with_holes
        ("returns_raw_rate.ret_1", "2024-02-22T14:50", "eurusd", "gap: 51 minutes without a quote; a price is"),
        ("returns_raw_rate.ret_60", "2024-02-22T16:00", "eurusd", "60 bars back, gap: 61 minutes without a quote"),
        ("returns_raw_rate.ret_1", "2024-03-10T21:10", "eurusd", "gap: no quote since the segment began"),
        ("returns_raw_rate.ret_60", "2024-03-10T21:59", "usdjpy", "closure: 60 bars back lies before the segment"),
        ("base_bqx.M_15", "2024-03-10T21:14", "usdjpy", "closure: the window of 15 bars reaches before the segment"),
        ("returns_std_rate.retz_1", "2024-02-19T00:00", "eurusd", "warm-up: 121 bars since the pair's first, 601"),
        ("base_bqx.rate_index", "2024-02-20T23:59", "eurusd", "baseline: the pair has no baseline price at or before"),
        ("returns_raw_rate.ret_1", "2024-03-09T12:00", "eurusd", "closed: the market is closed"),
        ("returns_raw_rate.ret_1", "2024-03-06T12:00", "eurusd", "closed: the market is closed"),
        ("returns_raw_rate.ret_1", "2024-02-20T12:00", "usdjpy", "no bars: the pair's first bar is 2024-02-20T22:0"),
    ],
)  # fmt: skip
def test_a_null(streams: Streams, path: str, when: str, pair: str, words: str) -> None:
    found = ask(streams, path, when, pair)
    assert found.value is None
    assert found.reason is not None
    assert words in found.reason
    assert "= NULL" in found.text()
    assert "why NULL" in found.text()


def test_no_row(calendar: Calendar) -> None:
    minute = utc("2024-03-12T08:00")
    assert no_row(calendar, minute, minute, minute) is None
    assert no_row(calendar, minute, NEVER, -1) == "no bars: the project has no bars of this pair"
    later = no_row(calendar, minute, minute - 9, minute - 5)
    assert later == "no bars: the pair is complete only through 2024-03-12T07:55Z"


def test_unknown_pair(streams: Streams) -> None:
    with pytest.raises(UsageError, match="eurgbp"):
        ask(streams, "returns_raw_rate.ret_1", "2024-03-12T08:00", "eurgbp")


@pytest.mark.parametrize("name", datasets())
def test_every_column_can_be_explained(name: str, streams: Streams, world: World, panel_world: World) -> None:
    """At minutes with and without values: JSON, a value or a reason, and the value is the one that is stored."""
    home = datasets()[name]
    if "panel" in home.uses:
        world = panel_world
        streams = world.streams(home, *world.span)[0]
    lane = world.pairs.index("eurusd")
    moments = [utc(t) for t in ("2024-02-18T22:00", "2024-02-22T14:50", "2024-03-10T21:00", "2024-03-14T15:00")]
    moments = [minute for minute in moments if minute >= world.span[0]]
    row = {m: streams.panel.grid.index(m) for m in moments}
    values = world.values(home, world.span[0], world.span[1])
    explained = 0
    for item in home.columns[:: 1 + len(home.columns) // 8]:
        for minute in moments:
            found = explain(home, item, streams, minute, "eurusd")
            assert json.loads(json.dumps(found.as_dict(), allow_nan=False))["column"] == item.name
            assert (found.value is None) == (found.reason is not None)
            if found.reason and found.reason.startswith("no bars"):
                continue
            stored = values[item.name][row[minute] - streams.panel.grid.index(world.span[0]), lane]
            if item.dtype == "f4":
                stored = float(np.float32(stored))
            assert found.value == (None if math.isnan(stored) else stored)
            explained += found.value is not None
    assert explained > 0
