"""Feeds: what a message means, what is refused, and what the book makes of bars that come at the wrong time."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import live_world as w
import numpy as np
import polars as pl
import pytest

from bqx.base.errors import FeedError
from bqx.build.project import Project
from bqx.market.calendar import Calendar
from bqx.serve.live.bar import Bar, of_quotes
from bqx.serve.live.book import Book
from bqx.serve.live.clock import SteadyClock
from bqx.serve.live.engine import Engine
from bqx.serve.live.feeds.growing import GrowingFile
from bqx.serve.live.feeds.oanda import OandaStream
from bqx.serve.live.feeds.replay import Replay
from bqx.serve.live.feeds.ticks import Minutes
from bqx.serve.live.replay_check import Recorder, differences
from bqx.serve.live.run import live_run

NOON = 28_496_160 + 12 * 60
"""Thursday 2024-03-07 12:00 UTC."""


def bar(pair: str, minute: int, price: float = 1.1) -> Bar:
    return Bar(pair, minute, (price, price, price, price, 5.0, *[float("nan")] * 8))


def book(pairs: tuple[str, ...] = ("eurusd", "usdjpy")) -> Book:
    return Book(pairs, Calendar.load(), NOON)


def taken(found: Book, now: float) -> list[int]:
    return [minute for minute, _ in found.ready(now)]


def test_a_full_minute_is_complete_at_once() -> None:
    found = book()
    now = 60.0 * (NOON + 1) + 1
    assert found.offer(bar("eurusd", NOON), now) == "taken"
    assert taken(found, now) == []
    assert found.offer(bar("usdjpy", NOON, 150.0), now) == "taken"
    assert taken(found, now) == [NOON]
    assert found.next == NOON + 1


def test_a_missing_bar_is_waited_for() -> None:
    found = book()
    now = 60.0 * (NOON + 1)
    found.offer(bar("eurusd", NOON), now)
    assert taken(found, now + 9.9) == []
    assert taken(found, now + 10.0) == [NOON]


def test_an_empty_minute_needs_a_later_one() -> None:
    """Nothing is concluded from silence, however long."""
    found = book()
    assert taken(found, 60.0 * (NOON + 600)) == []
    found.offer(bar("eurusd", NOON + 2), 60.0 * (NOON + 3))
    assert taken(found, 60.0 * (NOON + 3) + 10) == [NOON, NOON + 1, NOON + 2]


def test_what_a_bar_can_be() -> None:
    found = book()
    now = 60.0 * (NOON + 1)
    assert found.offer(bar("eurusd", NOON), now) == "taken"
    assert found.offer(bar("eurusd", NOON), now) == "duplicate"
    assert found.offer(bar("eurusd", NOON, 1.2), now) == "replaced"
    assert found.offer(bar("eurusd", NOON - 1), now) == "revision"
    assert found.offer(bar("xauusd", NOON), now) == "unknown"
    assert found.offer(bar("eurusd", NOON + 3), now) == "ahead"
    assert found.offer(bar("eurusd", NOON + 1500), now) == "future"
    saturday = NOON + 2 * 1440  # Saturday noon
    assert found.offer(bar("eurusd", saturday), 60.0 * saturday) == "closed"
    bad = Bar("eurusd", NOON, (1.1, 1.0, 1.2, 1.1, 5.0, *[float("nan")] * 8))
    assert found.offer(bad, now) == "impossible"
    assert [rows[3, 0] for _, rows in found.ready(now + 10)] == [1.2]


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ((0.0, 1.0, 0.0, 1.0), "positive"),
        ((float("nan"), 1.0, 1.0, 1.0), "positive"),
        ((1.0, 1.1, 0.9, float("inf")), "positive"),
        ((1.2, 1.1, 0.9, 1.0), "outside"),
    ],
)
def test_impossible_prices(values: tuple[float, ...], why: str) -> None:
    assert why in str(Bar("eurusd", NOON, (*values, 1.0, *[float("nan")] * 8)).problem())


def test_crossed_quotes() -> None:
    assert of_quotes("eurusd", NOON, (1.1, 1.1, 1.1, 1.1), (1.1001,) * 4, 3.0).problem() is None
    assert "above ask" in str(of_quotes("eurusd", NOON, (1.2,) * 4, (1.1,) * 4, 3.0).problem())


def test_a_clock_that_jumps() -> None:
    """An hour forward or back moves nothing; a drift of a second is followed slowly."""
    wall, steady = [1e9], [50.0]
    clock = SteadyClock(lambda: wall[0], lambda: steady[0])
    for jump in (3600.0, -7200.0):
        wall[0] += jump
        steady[0] += 1.0
        before = clock.now()
        assert abs(clock.jumped) > 3000 or jump < 0
        steady[0] += 1.0
        assert clock.now() == pytest.approx(before + 1.0)
    wall[0] = clock.now() + 0.5
    clock.now()
    assert clock.jumped == 0.0
    assert clock.now() < wall[0]


def test_replay_is_batch(live_project: Callable[[], Project], live_frames: dict[str, pl.DataFrame]) -> None:
    """The last hours of the stored bars as if they came now, each value against batch; a bent one is seen."""
    project = live_project()
    first = w.LIVE - 90
    engine = Engine(project, w.homes(), project.root / "replay", through=first - 1)
    running = live_run(engine, Replay(project.bars, project.calendar, engine.pairs, first, w.LIVE))
    seen = Recorder()
    running.run(told=seen)
    assert seen.minutes == list(range(first, w.LIVE))
    found = differences(project, engine.homes, seen)
    assert found["equal"] and found["compared"] > 9_000
    seen.values["returns_raw_rate"][40][0, 0] += np.float32(1e-3)
    assert list(differences(project, engine.homes, seen)["differing"]) == ["returns_raw_rate.ret_1"]
    assert running.summary()["minutes"] == 90
    engine.close()


def test_replay_keeps_its_speed() -> None:
    pauses: list[float] = []

    class Store:
        def read(self, pairs: list[str], start: int, end: int) -> dict[str, pl.DataFrame]:
            return {"eurusd": frames["eurusd"].filter(pl.col("ts_utc").dt.epoch("us") // 60_000_000 < end)}

    frames = w.market()
    feed = Replay(Store(), Calendar.load(), ["eurusd"], w.START, w.START + 5, speed=30.0, sleep=pauses.append)  # type: ignore[arg-type]
    while feed.poll(0.0) is not None:
        pass
    assert set(pauses) == {2.0}
    assert feed.clock.now() > 60.0 * (w.START + 5)  # the last minute is over, whatever it lacks


def test_a_file_that_grows(tmp_path: Path) -> None:
    path = tmp_path / "feed.csv"
    path.write_text("pair,ts_utc,open,high,low,close,volume\n")
    feed = GrowingFile(path, sleep=lambda _: None)
    assert feed.poll(0.0) == []
    with path.open("a") as file:
        file.write("EURUSD,2024-03-07T12:00:00Z,1.1,1.2,1.0,1.1,7\nEURUSD,2024-03-07T12:0")
    (one,) = feed.poll(0.0) or ()
    assert (one.pair, one.minute, one.values[:5]) == ("eurusd", NOON, (1.1, 1.2, 1.0, 1.1, 7.0))
    assert np.isnan(one.values[5:]).all()
    with path.open("a") as file:
        file.write("1:00+00:00,1.1,1.1,1.1,1.1,\n")
    (two,) = feed.poll(0.0) or ()
    assert two.minute == NOON + 1 and np.isnan(two.values[4])
    with path.open("a") as file:
        file.write("EURUSD,yesterday,1,1,1,1,\nEURUSD,2024-03-07T12:02Z,1.1,1.1,1.1,1.1,1\n")
    with pytest.raises(FeedError, match="no bar") as caught:
        feed.poll(0.0)
    assert str(caught.value.where).endswith(":4")
    path.write_text("pair,ts_utc\n")
    with pytest.raises(FeedError, match="shorter"):
        feed.poll(0.0)


def test_a_file_with_another_header(tmp_path: Path) -> None:
    path = tmp_path / "feed.csv"
    path.write_text("time,price\n")
    with pytest.raises(FeedError, match="header"):
        GrowingFile(path).poll(0.0)
    with pytest.raises(FeedError, match="cannot be read"):
        GrowingFile(tmp_path / "absent.csv")


def price(instrument: str, second: float, bid: float, ask: float, **more: object) -> str:
    """A message as the documented stream has it, nanoseconds and all."""
    at = f"2024-03-07T12:{int(second) // 60:02}:{int(second) % 60:02}.064294036Z"
    message = {
        "type": "PRICE",
        "time": at,
        "bids": [{"price": f"{bid:.5f}", "liquidity": 10000000}, {"price": f"{bid - 2e-5:.5f}", "liquidity": 10000000}],
        "asks": [{"price": f"{ask + 2e-5:.5f}", "liquidity": 10000000}, {"price": f"{ask:.5f}", "liquidity": 1000000}],
        "closeoutBid": f"{bid - 4e-5:.5f}",
        "closeoutAsk": f"{ask + 4e-5:.5f}",
        "status": "tradeable",
        "tradeable": True,
        "instrument": instrument,
        **more,
    }
    return json.dumps(message)


def heartbeat(second: float) -> str:
    return json.dumps({"type": "HEARTBEAT", "time": f"2024-03-07T12:{int(second) // 60:02}:{int(second) % 60:02}Z"})


def drained(feed: OandaStream) -> list[Bar]:
    out: list[Bar] = []
    while (bars := feed.poll(0.0)) is not None:
        out += bars
    return out


def test_oanda_messages_become_bars() -> None:
    lines = [
        price("EUR_USD", 1, 1.1000, 1.1001),
        price("USD_JPY", 2, 150.000, 150.010),
        price("EUR_USD", 30, 1.1010, 1.1012),
        "",
        price("EUR_USD", 59, 1.0995, 1.0996),
        price("XAU_USD", 59, 2100.0, 2100.5),
        heartbeat(61),
        price("EUR_USD", 65, 1.0990, 1.0991, tradeable=False),
        price("EUR_USD", 70, 1.0990, 1.0991, bids=[]),
        heartbeat(125),
        price("USD_JPY", 130, 150.1, 150.2),
    ]
    feed = OandaStream([line.encode() for line in lines], ("eurusd", "usdjpy"))
    one, two = drained(feed)
    assert (one.pair, one.minute) == ("eurusd", NOON)
    assert one.values[5:9] == (1.1, 1.101, 1.0995, 1.0995)
    assert one.values[9:] == (1.1001, 1.1012, 1.0996, 1.0996)
    assert one.values[4] == 3.0
    assert one.values[0] == (1.1 + 1.1001) / 2
    assert (two.pair, two.values[4]) == ("usdjpy", 1.0)
    assert feed.skipped == 3
    assert feed.clock.now() == pytest.approx(60.0 * NOON + 130, abs=0.1)


@pytest.mark.parametrize(
    "line",
    ["{", "[]", '{"type": "PRICE"}', '{"type": "TRADE", "time": "2024-03-07T12:00:00Z"}', '{"time": 3, "type": 1}',
     price("EUR_USD", 1, 1.1, 1.2, bids=[{"cost": 1}]), price("EUR_USD", 1, 1.1, 1.2, asks="none")],
)  # fmt: skip
def test_oanda_garbage_is_named_and_left_behind(line: str) -> None:
    feed = OandaStream([line, price("EUR_USD", 1, 1.1, 1.2), heartbeat(60)], ("eurusd",))
    with pytest.raises(FeedError) as caught:
        feed.poll(0.0)
    assert caught.value.where == "message 1"
    assert [b.minute for b in drained(feed)] == [NOON]


def test_quotes_that_come_too_late() -> None:
    minutes = Minutes()
    assert minutes.quote("eurusd", 60.0 * NOON + 5, 1.1, 1.2) == []
    (done,) = minutes.quote("eurusd", 60.0 * NOON + 65, 1.1, 1.2)
    assert minutes.quote("eurusd", 60.0 * NOON + 50, 1.1, 1.2) == []
    assert (done.minute, minutes.late) == (NOON, 1)


def test_the_page_runs(live_project: Callable[[], Project], monkeypatch: pytest.MonkeyPatch) -> None:
    """The Python block of docs/live.md, on a project in `project`."""
    root = live_project().root
    root.rename(root.with_name("project"))
    monkeypatch.chdir(root.parent)
    page = Path(__file__).parents[2] / "docs" / "live.md"
    (block,) = re.findall(r"^```python\n(.*?)^```$", page.read_text("utf-8"), re.M | re.S)
    names: dict[str, Any] = {}
    exec(block, names)
    assert names["x"].shape == (len(w.PAIRS), 2) and names["x"].dtype == np.float32
    assert names["engine"].newest.minute == w.LIVE
