"""Cross rates against each other: planted breaks are found at their minutes and named."""

from __future__ import annotations

import time
from datetime import datetime, timedelta

import polars as pl
import pytest

from bqx.market.bars import PRICE_COLUMNS, QUOTE_COLUMNS
from bqx.market.calendar import Calendar, minute_of
from bqx.market.pairs import PAIRS
from bqx.market.simulated import simulate
from bqx.market.triangles import check_triangles, triangles_of

START = minute_of(datetime.fromisoformat("2024-06-03T00:00+00:00"))
Frames = dict[str, pl.DataFrame]
NOON = datetime.fromisoformat("2024-06-04T12:00+00:00")


@pytest.fixture(scope="module")
def market() -> Frames:
    """Three days of all pairs, free of arbitrage."""
    return simulate(Calendar.load(), START, START + 3 * 1440, seed=4, origin_minute=START)


def off(frames: Frames, pair: str, bp: float, first: datetime = NOON, minutes: int = 3) -> Frames:
    """`pair` moved by so many basis points for a few minutes."""
    inside = pl.col("ts_utc").is_between(first, first + timedelta(minutes=minutes - 1))
    columns = [*PRICE_COLUMNS, *QUOTE_COLUMNS]
    moved = [pl.when(inside).then(pl.col(c) * (1 + bp * 1e-4)).otherwise(pl.col(c)).alias(c) for c in columns]
    return {**frames, pair: frames[pair].with_columns(moved)}


def without_quotes(frames: Frames) -> Frames:
    return {p: f.with_columns(pl.lit(None, pl.Float64).alias(c) for c in QUOTE_COLUMNS) for p, f in frames.items()}


def test_a_market_free_of_arbitrage_breaks_nothing(market: Frames) -> None:
    report = check_triangles(market)
    assert len(report.by_triangle) == 56 == len(triangles_of(PAIRS))
    assert report.broken == report.broken_tests == report.unnamed == 0
    assert report.tests == report.with_quotes > 150_000
    assert report.passed and report.pairs == {}


@pytest.mark.parametrize("pair", ["eurjpy", "eurusd", "nzdcad"])
@pytest.mark.parametrize("quotes", [True, False])
def test_one_pair_off_for_three_minutes_is_named(market: Frames, pair: str, quotes: bool) -> None:
    frames = off(market, pair, 30)
    report = check_triangles(frames if quotes else without_quotes(frames))
    assert (report.pairs, report.broken, report.unnamed) == ({pair: 3}, 3, 0)
    assert report.broken_tests == 18  # six triangles hold a pair
    (found,) = report.breaks
    assert (found.pair, found.minutes, found.triangles, found.of) == (pair, 3, 6, 6)
    assert (found.first, found.last) == (NOON.isoformat(), (NOON + timedelta(minutes=2)).isoformat())
    assert found.worst_bp == pytest.approx(30, abs=6)
    assert report.with_quotes == (report.tests if quotes else 0)


def test_two_pairs_off_at_once_are_both_named(market: Frames) -> None:
    """With a common currency they share a triangle, in which the moves add up or cancel; each has five of its own."""
    report = check_triangles(off(off(market, "eurjpy", 40), "eurusd", 25))
    assert report.pairs == {"eurjpy": 3, "eurusd": 3}
    assert (report.broken, report.unnamed) == (3, 0)


def test_of_three_pairs_none_can_be_named(market: Frames) -> None:
    three = {p: market[p] for p in ("eurusd", "usdjpy", "eurjpy")}
    report = check_triangles(off(three, "usdjpy", 30))
    assert (report.pairs, report.unnamed, report.broken) == ({}, 3, 3)
    assert report.breaks[0].pair is None
    assert report.breaks[0].among == ("eurjpy", "eurusd", "usdjpy")


def test_of_four_currencies_the_pair_is_named_from_two_triangles(market: Frames) -> None:
    six = {p: market[p] for p in ("eurusd", "usdjpy", "eurjpy", "gbpusd", "eurgbp", "gbpjpy")}
    report = check_triangles(off(six, "usdjpy", 30))
    assert (report.pairs, report.unnamed, report.breaks[0].triangles) == ({"usdjpy": 3}, 0, 2)


def test_the_tolerance_is_the_sum_of_spreads_or_what_is_stated(market: Frames) -> None:
    spread = sum(
        ((f["ask_close"] - f["bid_close"]) / f["close"]).filter(f["ts_utc"] == NOON).item()
        for f in (market[p] for p in ("eurusd", "usdjpy", "eurjpy"))
    )
    three = {p: market[p] for p in ("eurusd", "usdjpy", "eurjpy")}
    report = check_triangles(three)
    base = report.by_triangle["eurjpy=eurusd*usdjpy"]["widest_bp"]
    assert base < spread * 1e4
    assert check_triangles(off(three, "eurjpy", spread * 1e4 + 2 * base + 0.1)).broken > 0
    plain = without_quotes(off(three, "eurjpy", 30))
    assert check_triangles(plain, tolerance_bp=40).broken == 0
    assert check_triangles(plain, tolerance_bp=20).broken == 3


def _flat(price: float, spread: float) -> pl.DataFrame:
    half = price * spread / 2
    stamp = pl.Series([NOON]).cast(pl.Datetime("us", "UTC"))
    return pl.DataFrame({"ts_utc": stamp, "close": [price], "bid_close": [price - half], "ask_close": [price + half]})


@pytest.mark.parametrize("wide", ["eurusd", "usdjpy", "eurjpy"])
def test_each_spread_counts_in_full(wide: str) -> None:
    """Spreads of 1, 1 and 4 bp allow 6 bp, wherever the wide one is."""
    for bp, broken in ((5.9, 0), (6.1, 1), (-5.9, 0), (-6.1, 1)):
        prices = {"eurusd": 1.1, "usdjpy": 150.0, "eurjpy": 165.0 * (1 + bp * 1e-4)}
        frames = {p: _flat(price, 4e-4 if p == wide else 1e-4) for p, price in prices.items()}
        assert check_triangles(frames).broken == broken, bp


def test_two_suspects_with_one_triangle_of_their_own_are_not_named(market: Frames) -> None:
    """Of these pairs, eurusd and eurjpy share one triangle and have one more each: too little to accuse either."""
    seven = ("eurusd", "usdjpy", "eurjpy", "audusd", "euraud", "eurgbp", "gbpjpy")
    report = check_triangles(off(off({p: market[p] for p in seven}, "eurjpy", 60), "eurusd", 25))
    assert len(report.by_triangle) == 3
    assert (report.pairs, report.unnamed) == ({}, 3)
    assert {"eurusd", "eurjpy"} <= set(report.breaks[0].among)


def test_a_share_too_large_fails_and_so_does_nothing_to_test(market: Frames) -> None:
    frames = off(market, "eurjpy", 30, minutes=60)
    report = check_triangles(frames)
    assert (report.broken, report.passed) == (60, False)
    assert check_triangles(frames, max_share=0.05).passed
    assert not check_triangles({p: market[p] for p in ("eurusd", "gbpjpy")}).passed


def test_missing_minutes_are_not_tested(market: Frames) -> None:
    shifted = off(market, "eurjpy", 30)
    gone = {
        **shifted,
        "eurjpy": shifted["eurjpy"].filter(~pl.col("ts_utc").is_between(NOON, NOON + timedelta(minutes=1))),
    }
    report = check_triangles(gone)
    assert (report.pairs, report.broken) == ({"eurjpy": 1}, 1)
    assert report.tests == check_triangles(market).tests - 12


def test_blocks_give_what_one_pass_gives(market: Frames, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = off(market, "gbpusd", -30, minutes=40)
    whole = check_triangles(frames)
    monkeypatch.setattr("bqx.market.triangles._BLOCK", 2100)
    assert check_triangles(frames) == whole


def test_a_month_of_28_pairs_takes_less_than_five_seconds(market: Frames) -> None:
    """About 30,000 minutes and 1.7 million tests; all of them broken is the slowest case for naming."""
    long = {
        p: pl.concat([f.with_columns(pl.col("ts_utc") + timedelta(days=3 * k)) for k in range(10)])
        for p, f in market.items()
    }
    broken = {**long, "eurjpy": long["eurjpy"].with_columns(pl.col(*PRICE_COLUMNS) * 1.01)}
    began = time.process_time()
    assert check_triangles(broken).tests > 1_600_000
    assert time.process_time() - began < 5
