"""No-trade zones and financing against the calendar, minute by minute and night by night."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest

from bqx.base.errors import BacktestError
from bqx.market.calendar import EPOCH, minute_of
from bqx.market.pairs import PAIRS
from bqx.research.backtest.financing import Financing, nights, settlement
from bqx.research.backtest.sessions import NAMES, session_codes
from bqx.research.backtest.zones import ZONES, NoTrade, read_news
from bqx.research.labels import bars_left


def _day(text: str) -> int:
    return (date.fromisoformat(text) - EPOCH).days


def test_zones_minute_by_minute(calendar):
    grid = calendar.grid(calendar.week_start(28_450_000), calendar.week_start(28_450_000) + 7200)
    left = bars_left(calendar, grid.minute)
    news = ((int(grid.minute[3000]), int(grid.minute[3030])),)
    zones = NoTrade(before=5, after=15, spare=5, news=news)
    codes = zones.codes(grid.minute, grid.minute_of_day, left, 60)
    for i in range(len(grid)):
        at = int(grid.minute_of_day[i])
        want = "free"
        if 3000 <= i < 3030:
            want = "news"
        if left[i] < 65:
            want = "closure"
        if at < 15 or at >= 1435:
            want = "rollover"
        assert ZONES[codes[i]] == want
        one = zones.reason(int(grid.minute[i]), at, int(left[i]), 60)
        assert one == (None if want == "free" else want)
    assert {ZONES[c] for c in codes} == set(ZONES)


def test_news_file(tmp_path: Path):
    path = tmp_path / "news.csv"
    path.write_text(
        "start,end\n2025-01-10T13:25+00:00,2025-01-10T13:45+00:00\n2025-01-08T20:00-05:00,2025-01-09T01:30Z\n"
    )
    (a, b), (c, d) = read_news(path)
    assert (b - a, d - c) == (30, 20)
    path.write_text("start,end\n2025-01-10T13:25+00:00,2025-01-10T13:45+00:00\n2025-01-10T13:25,2025-01-10T14:00\n")
    with pytest.raises(BacktestError, match="time zone") as caught:
        read_news(path)
    assert "line 3" in str(caught.value.where)
    path.write_text("start,end\n2025-01-10T13:45+00:00,2025-01-10T13:25+00:00\n")
    with pytest.raises(BacktestError, match="before it begins"):
        read_news(path)
    with pytest.raises(BacktestError, match="cannot be read"):
        read_news(tmp_path / "absent.csv")


def test_the_triple_day(calendar):
    """Wednesday for pairs that settle after two days, Thursday for USDCAD; a week pays seven nights."""
    week = [_day("2024-12-09") + k for k in range(5)]
    assert [nights(calendar, d, 2) for d in week] == [1, 1, 3, 1, 1]
    assert [nights(calendar, d, 1) for d in week] == [1, 1, 1, 3, 1]
    assert [p for p in PAIRS if settlement(p) == 1] == ["usdcad"]


def test_nights_add_up_over_holidays(calendar):
    """Whatever is closed, the nights of a long stretch are the days by which the value date moved."""
    for lag in (1, 2):
        day, last, paid = _day("2024-12-02"), _day("2025-02-03"), 0
        while day < last:
            paid += nights(calendar, day, lag)
            day = calendar.later_day(day, 1)
        moved = calendar.later_day(last, lag) - calendar.later_day(_day("2024-12-02"), lag)
        assert paid == moved
    assert nights(calendar, _day("2024-12-24"), 2) == 3, "Christmas is closed: value date Friday 27 to Monday 30"


def test_financing_costs():
    rates = {"eur": 2.0, "gbp": 4.5, "aud": 4.0, "nzd": 3.5, "usd": 4.4, "cad": 2.8, "chf": 0.5, "jpy": 0.5}
    f = Financing(markup=1.0, rates=rates)
    assert f.cost_bps("audjpy", 1, 1) == pytest.approx(100 * (1.0 - 3.5) / 360), "a long earns the carry"
    for pair in PAIRS:
        assert f.cost_bps(pair, 1, 3) + f.cost_bps(pair, -1, 3) == pytest.approx(2 * 3 * 100 / 360), (
            "the broker keeps it"
        )
    assert Financing(0.0).cost_bps("eurusd", 1, 5) == 0.0
    with pytest.raises(BacktestError):
        Financing(rates={"eur": 1.0})
    with pytest.raises(BacktestError):
        Financing(markup=-1.0)


def test_sessions_by_local_clocks(calendar):
    """13:00 UTC is London and New York; 13:30 in winter and 12:30 in summer are New York's first half hour."""
    for text, want in (("2024-07-03T12:30+00:00", "London and New York"), ("2024-01-10T12:30+00:00", "London"),
                       ("2024-01-10T13:30+00:00", "London and New York"), ("2024-01-10T02:00+00:00", "Tokyo"),
                       ("2024-01-10T19:00+00:00", "New York"), ("2024-01-10T22:04+00:00", "rollover")):  # fmt: skip
        from datetime import datetime

        grid = calendar.grid(m := minute_of(datetime.fromisoformat(text)), m + 1)
        assert NAMES[session_codes(grid.day, grid.minute_of_day)[0]] == want
    assert set(np.unique(session_codes(np.full(1440, _day("2024-01-10")), np.arange(1440)))) == set(range(6))


def test_zones_that_cannot_be():
    for bad in ({"before": -1}, {"before": 1000, "after": 600}, {"news": ((5, 5),)}):
        with pytest.raises(BacktestError):
            NoTrade(**bad)
