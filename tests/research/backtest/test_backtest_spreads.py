"""Spread estimators against published numbers and known spreads; what bars without quotes are charged."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from market_worlds import SMALL_END, SMALL_START, feed

from bqx.base.errors import BacktestInputError
from bqx.market.pairs import PAIRS
from bqx.research.backtest.spread_estimators import abdi_ranaldo, corwin_schultz, edge, roll
from bqx.research.backtest.spreads import (
    PIPS,
    assumed_half,
    daily_edge,
    estimates,
    quoted_halves,
    trailing_half,
)

PUBLISHED = np.array([
    [1.00240075994025, 1.00935878365403, 0.976061138469904, 0.976061138469904],
    [0.929743096395543, 0.929774737723069, 0.928919694164385, 0.929774737723069],
    [0.943911414384193, 0.968140794511406, 0.943911414384193, 0.968140794511406],
    [0.977605378856722, 0.977605378856722, 0.977605378856722, 0.977605378856722],
    [0.961535370407048, 0.99982474278851, 0.961535370407048, 0.986215329667607],
    [0.982409003083975, 0.992213437101346, 0.982409003083975, 0.992213437101346],
    [1.03435413274433, 1.03435413274433, 1.03435413274433, 1.03435413274433],
    [1.0201424300403, 1.04025465277235, 1.0201424300403, 1.03219266262805],
    [1.03650094499406, 1.03650094499406, 1.03650094499406, 1.03650094499406],
    [1.05368509087896, 1.05368509087896, 1.02605242183949, 1.02798086837104],
]).T  # fmt: skip
"""First ten bars of the authors' test file (github.com/eguidotti/bidask, pseudocode/ohlc.csv)."""


def test_edge_equals_the_authors():
    """Their test of the signed estimate on these bars, and the one on bars that never move."""
    assert edge(*PUBLISHED, signed=True) == pytest.approx(-0.016889917516422, rel=1e-12)
    assert edge(*PUBLISHED) == pytest.approx(0.016889917516422, rel=1e-12)
    o = h = np.array([18.21, 17.61, 17.61])
    low = c = np.array([17.61, 17.61, 17.61])
    assert math.isnan(edge(o, h, low, c))


def _traded(spread: float, bars: int, ticks: int = 30, seed: int = 0, sigma: float = 1e-4):
    """Bars of trades at bid or ask by a coin, around a random walk; `spread` a share of the price."""
    rng = np.random.default_rng(seed)
    mid = np.exp(np.cumsum(rng.normal(0, sigma / math.sqrt(ticks), bars * ticks)))
    price = (mid * (1 + 0.5 * spread * rng.choice([-1, 1], bars * ticks))).reshape(bars, ticks)
    return price[:, 0], price.max(axis=1), price.min(axis=1), price[:, -1]


@pytest.mark.parametrize("bps", [0.5, 2.0])
def test_known_spreads_are_found(bps):
    o, h, low, c = _traded(bps / 1e4, 40_000)
    assert 1e4 * edge(o, h, low, c) == pytest.approx(bps, rel=0.12)
    assert 1e4 * roll(c) == pytest.approx(bps, rel=0.3)
    assert 1e4 * abdi_ranaldo(h, low, c) == pytest.approx(bps, rel=0.35)
    assert 0.3 * bps < 1e4 * corwin_schultz(h, low) < 3 * bps


def test_without_a_spread_edge_shows_none_and_gaps_are_not_bridged():
    o, h, low, c = _traded(0.0, 40_000, ticks=200)
    assert 1e4 * edge(o, h, low, c) < 0.25
    o, h, low, c = (np.insert(x, 20_000, np.nan) for x in _traded(2e-4, 40_000))
    for x in (o, h, low, c):
        x[20_001:] *= 1.5  # over the weekend
    found = [edge(o, h, low, c), roll(c), abdi_ranaldo(h, low, c), corwin_schultz(h, low)]
    assert max(found) < 6e-4
    for few in (edge(*PUBLISHED[:, :2]), roll(PUBLISHED[3, :3]), corwin_schultz(*PUBLISHED[1:3, :2])):
        assert math.isnan(few)


def test_quoted_halves(small_frames):
    opening, closing = quoted_halves(frame := small_frames["eurusd"])
    want = 5e3 * (frame["ask_open"] - frame["bid_open"]) / frame["open"]
    np.testing.assert_array_equal(opening, want.to_numpy())
    crossed = frame.with_columns(ask_close=pl.col("bid_close") - 1e-5)
    assert np.isnan(quoted_halves(crossed)[1]).all(), "a crossed quote is no quote"
    assert np.isfinite(closing).all()


def test_assumed_spreads(holiday_calendar):
    assert set(PIPS) == set(PAIRS)
    grid = holiday_calendar.grid(SMALL_START, SMALL_START + 7200)
    day, mod = grid.day.astype(int), grid.minute_of_day.astype(int)
    half = assumed_half("usdjpy", np.full(len(grid), 150.0), day, mod)
    assert 2 * half.min() == pytest.approx(1e4 * 0.9 * 0.9 * 0.01 / 150)
    assert half[:10].min() / half.min() == pytest.approx(4.0 / 0.9), "around 17:00 New York it is wide"


def test_estimates_use_earlier_days_only(small_frames, holiday_calendar):
    squares = daily_edge(small_frames["eurusd"], holiday_calendar)
    days = np.array(sorted(squares))
    assert len(days) > 15
    half = trailing_half(squares, days)
    assert not half[:5].any(), "five days are the least"
    changed = trailing_half({**squares, int(days[9]): 1e6}, days)
    assert np.array_equal(half[:10], changed[:10])
    assert changed[10] > 100
    assert trailing_half(dict.fromkeys(squares, -1.0), days).max() == 0.0


def test_a_feed_says_what_it_assumed(small_frames, holiday_calendar):
    """Half the bars without quotes: those are charged the larger of table and estimate, and counted."""
    frame = small_frames["usdjpy"]
    sides = [c for c in frame.columns if c.startswith(("bid", "ask"))]
    odd = pl.int_range(pl.len()) % 2 == 1
    mixed = {"usdjpy": frame.with_columns(pl.when(odd).then(None).otherwise(pl.col(c)).alias(c) for c in sides)}
    whole = feed({"usdjpy": frame}, holiday_calendar, SMALL_START, SMALL_END).market(SMALL_START, SMALL_END)
    half = feed(mixed, holiday_calendar, SMALL_START, SMALL_END).market(SMALL_START, SMALL_END)
    assert whole.estimated.tolist() == [0]
    assert half.estimated.tolist() == [len(frame) // 2]
    same = half.half_open == whole.half_open
    assert same.sum() >= len(frame) - len(frame) // 2
    rows = np.isfinite(half.close[:, 0]) & ~same[:, 0]
    grid = whole.grid
    table = assumed_half(
        "usdjpy", half.close[rows, 0], grid.day[rows].astype(int), grid.minute_of_day[rows].astype(int)
    )
    assert (half.half_open[rows, 0] >= table - 1e-12).all()
    assert np.array_equal(half.half_open[rows], half.half_close[rows])
    fixed = feed(mixed, holiday_calendar, SMALL_START, SMALL_END, cost=0.4).market(SMALL_START, SMALL_END)
    assert set(np.unique(fixed.half_open[np.isfinite(fixed.close)])) == {0.2}
    found = estimates("usdjpy", frame, holiday_calendar)
    assert found.assumed == pytest.approx(1e4 * 0.9 * 0.01 / 150, rel=0.6)
    empty = {"usdjpy": frame.clear()}
    with pytest.raises(BacktestInputError, match="no bars of usdjpy"):
        list(feed(empty, holiday_calendar, SMALL_START, SMALL_END).markets())
