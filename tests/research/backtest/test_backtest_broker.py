"""The simulated broker bar by bar: fills, rejects, barriers, financing, and that its cash is its fills'."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bqx.base.errors import BrokerError
from bqx.market.calendar import Calendar
from bqx.research.backtest.costs import Costs
from bqx.research.backtest.financing import Financing
from bqx.research.backtest.market import Bar, Quote
from bqx.research.backtest.zones import NoTrade
from bqx.research.broker.contract import Charge, Fill, Order, Reject
from bqx.research.broker.simulated import SimulatedBroker

CALENDAR = Calendar.load()
START = CALENDAR.week_start(28_450_000) + 600
FREE = Costs(0.0, 0.0, 0.0, 0.0, Financing(0.0))


def bar(row: int, *prices: float, half: float = 0.5, start: int = START) -> Bar:
    """Bar `row` after `start`; prices o, h, l, c, none for a gap."""
    minute = CALENDAR.at_ordinal(CALENDAR.ordinal(start) + row)
    g = CALENDAR.grid(minute, minute + 1)
    quotes = {"eurusd": Quote(*prices, half, half)} if prices else {}
    return Bar(minute, int(g.day[0]), int(g.minute_of_day[0]), int(g.seg_id[0]), quotes)


def broker(costs: Costs = FREE, zones: NoTrade | None = None) -> SimulatedBroker:
    return SimulatedBroker(CALENDAR, costs, zones or NoTrade())


def open_at(b: SimulatedBroker, first: Bar, side: int = 1, **options) -> Order:
    b.on_bar(first)
    order = Order("a", "eurusd", side, 1.0, first.minute, **options)
    b.submit(order)
    return order


@pytest.mark.parametrize(("latency", "row", "share"), [(0.0, 1, 0.0), (15.0, 1, 0.25), (60.0, 2, 0.0), (90.0, 2, 0.5)])
def test_fill_is_in_the_next_bar_with_latency(latency, row, share):
    b = broker(Costs(0.1, 0.5, 0.3, latency, Financing(0.0)))
    open_at(b, bar(0, 1.0, 1.0, 1.0, 1.0), sigma=2.0)
    b.on_bar(bar(1, 1.1, 1.2, 1.0, 1.2))
    b.on_bar(bar(2, 2.0, 3.0, 2.0, 3.0, half=1.5))
    (fill,) = b.fills()
    assert isinstance(fill, Fill)
    opens, closes = {1: (1.1, 1.2), 2: (2.0, 3.0)}[row]
    assert fill.mid == pytest.approx(opens + share * (closes - opens))
    assert fill.minute == START + row
    assert fill.cost_bps == pytest.approx({1: 0.5, 2: 1.5}[row] + 0.1 + 0.5 * 2.0 + 0.3)


def test_rejects():
    """No bar: gap. Fill minute around 17:00 New York: rollover. After the week's close: closure. Blackout: news."""
    b = broker()
    open_at(b, bar(0, 1, 1, 1, 1))
    b.on_bar(bar(1))
    assert b.fills() == [Reject("a", START + 1, "gap")]
    close = CALENDAR.week_start(28_450_000) + 1440  # 17:00 New York on Monday
    b = broker()
    open_at(b, bar(0, 1, 1, 1, 1, start=close - 6))
    b.on_bar(bar(1, 1, 1, 1, 1, start=close - 6))
    assert b.fills()[0].reason == "rollover"
    friday = CALENDAR.week_start(28_450_000) + 7199
    b = broker()
    open_at(b, bar(0, 1, 1, 1, 1, start=friday))
    b.on_bar(bar(1, 1, 1, 1, 1, start=friday))
    assert b.fills()[0].reason == "closure"
    b = broker(zones=NoTrade(news=((START + 1, START + 2),)))
    open_at(b, bar(0, 1, 1, 1, 1))
    b.on_bar(bar(1, 1, 1, 1, 1))
    assert b.fills()[0].reason == "news"
    assert b.positions() == {}
    assert b.mark() == 0.0


def test_exits_wait_for_a_quote_even_over_the_weekend():
    friday = CALENDAR.week_start(28_450_000) + 7197
    b = broker(zones=NoTrade(before=0, after=0))
    open_at(b, bar(0, 1, 1, 1, 1, start=friday))
    b.on_bar(second := bar(1, 1.0, 1.0, 1.0, 1.0, start=friday))
    b.submit(Order("x", "eurusd", -1, 1.0, second.minute, closes="a"))
    b.on_bar(bar(2, start=friday))
    b.on_bar(bar(3, start=friday))
    assert b.positions() == {"eurusd": 1.0}
    b.on_bar(bar(4, 1.01, 1.01, 1.01, 1.01, start=friday))
    events = b.fills()
    assert [type(e).__name__ for e in events] == ["Fill", "Charge", "Fill"]
    assert events[1].days == 1, "Friday's close moves the value date by one day; Wednesday paid for the weekend"
    assert events[2].mid == 1.01
    assert b.positions() == {}


def _after_entry(side: int, second: Bar, **barriers) -> list:
    b = broker(FREE)
    open_at(b, bar(0, 1, 1, 1, 1), side, **barriers)
    b.on_bar(bar(1, 1.0, 1.0, 1.0, 1.0))
    b.on_bar(second)
    return b.fills()[1:]


def test_barriers():
    both = {"stop_bps": 100.0, "take_bps": 200.0}
    assert _after_entry(1, bar(2, 1.0, 1.019, 0.991, 1.0), **both) == []
    (stop,) = _after_entry(1, bar(2, 1.0, 1.0, 0.98, 0.985), **both)
    assert (stop.why, stop.mid, stop.side) == ("stop", pytest.approx(0.99), -1)
    (stop,) = _after_entry(1, bar(2, 0.97, 1.0, 0.96, 1.0), **both)
    assert stop.mid == pytest.approx(0.97), "the open was worse than the barrier"
    (take,) = _after_entry(1, bar(2, 1.05, 1.06, 1.04, 1.05), **both)
    assert (take.why, take.mid) == ("take", pytest.approx(1.02)), "a better open is not credited"
    (first,) = _after_entry(1, bar(2, 1.0, 1.03, 0.98, 1.0), **both)
    assert first.why == "stop", "when one bar touches both the stop came first"
    (stop,) = _after_entry(-1, bar(2, 1.0, 1.02, 1.0, 1.0), **both)
    assert (stop.why, stop.mid, stop.side) == ("stop", pytest.approx(1.01), 1)
    (take,) = _after_entry(-1, bar(2, 1.0, 1.0, 0.97, 1.0), **both)
    assert (take.why, take.mid) == ("take", pytest.approx(0.98))


def test_the_range_of_the_entry_bar_counts_by_its_close_only():
    b = broker()
    open_at(b, bar(0, 1, 1, 1, 1), stop_bps=100.0)
    b.on_bar(bar(1, 1.0, 1.0, 0.9, 1.0))
    assert len(b.fills()) == 1, "the low may have been before the fill"
    b = broker()
    open_at(b, bar(0, 1, 1, 1, 1), stop_bps=100.0)
    b.on_bar(bar(1, 1.0, 1.0, 0.9, 0.95))
    assert [f.why for f in b.fills()] == ["entry", "stop"]


def test_a_time_exit_after_a_barrier_does_nothing():
    b = broker()
    open_at(b, bar(0, 1, 1, 1, 1), stop_bps=100.0)
    b.on_bar(second := bar(1, 1, 1, 1, 1))
    b.submit(Order("x", "eurusd", -1, 1.0, second.minute, closes="a"))
    b.on_bar(bar(2, 0.5, 0.5, 0.5, 0.5))
    assert [f.why for f in b.fills()] == ["entry", "time"]
    assert b.positions() == {}


def test_what_a_broker_refuses():
    b = broker()
    open_at(b, bar(0, 1, 1, 1, 1))
    with pytest.raises(BrokerError, match="sent before"):
        b.submit(Order("a", "eurusd", 1, 1.0, START))
    with pytest.raises(BrokerError, match="no position"):
        b.submit(Order("b", "eurusd", -1, 1.0, START, closes="zzz"))
    b.on_bar(bar(1, 1, 1, 1, 1))
    with pytest.raises(BrokerError, match="comes after bar"):
        b.on_bar(bar(1, 1, 1, 1, 1))
    with pytest.raises(BrokerError, match="comes after bar"):
        b.submit(Order("c", "eurusd", 1, 1.0, START))
    for bad in ({"side": 0}, {"weight": 0.0}, {"weight": math.nan}, {"stop_bps": 0.0}):
        with pytest.raises(BrokerError):
            Order(**{"id": "d", "pair": "eurusd", "side": 1, "weight": 1.0, "minute": START} | bad)


def test_cash_is_what_the_fills_say():
    """Random orders over three weeks: when flat, the mark equals the fills' moves less their costs and charges."""
    rng = np.random.default_rng(5)
    b = broker(Costs(0.1, 0.2, 0.3, 20.0, Financing(2.0)), NoTrade(before=0, after=0))
    price, events, live, number = 1.0, [], {}, 0
    for row in range(3 * 7200):
        o = price
        path = o * np.exp(1e-4 * rng.normal(size=4).cumsum())
        price = float(path[-1])
        prices = (o, max(o, *path), min(o, *path), price) if rng.random() < 0.95 else ()
        at = bar(row, *prices, half=float(rng.random()))
        b.on_bar(at)
        for e in b.fills():
            events.append(e)
            if isinstance(e, Fill) and e.closes is None:
                live[e.order] = e
            elif isinstance(e, Fill):
                live.pop(e.closes, None)
        if row < 3 * 7200 - 900 and rng.random() < 0.02:
            number += 1
            side, weight = int(rng.choice([-1, 1])), float(rng.random() + 0.1)
            stop = 20.0 if rng.random() < 0.5 else None
            b.submit(Order(f"n{number}", "eurusd", side, weight, at.minute, 1.0, stop_bps=stop))
        for key, e in list(live.items()):
            if rng.random() < 0.01 or row >= 3 * 7200 - 800:
                b.submit(Order(f"{key}/x", "eurusd", -e.side, e.weight, at.minute, 1.0, closes=key))
                del live[key]
    events += b.fills()
    assert b.positions() == {}
    entries = {e.order: e for e in events if isinstance(e, Fill) and e.closes is None}
    made = 0.0
    for e in events:
        if isinstance(e, Charge):
            made -= entries[e.order].weight * e.bps
        elif isinstance(e, Fill):
            made -= e.weight * e.cost_bps
            if e.closes is not None:
                made += entries[e.closes].side * e.weight * 1e4 * (e.mid / entries[e.closes].mid - 1.0)
    kinds = {e.why for e in events if isinstance(e, Fill)}
    assert kinds == {"entry", "time", "stop"}
    assert len(entries) > 200
    assert any(isinstance(e, Charge) for e in events)
    assert b.mark() == pytest.approx(made, abs=1e-7)
