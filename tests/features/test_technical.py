"""technical against TA-Lib, its mirror image, its ages, and mistakes planted in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl
import pytest
import talib
from numpy.typing import NDArray

from bqx.features.catalogue import datasets
from bqx.features.checks import CHECKS, World
from bqx.features.compute import evaluate
from bqx.features.declare import Dataset
from bqx.features.kernels.ranges import movements
from bqx.features.kernels.smooth import smooth
from bqx.features.streams import Domain, Stream, Streams
from bqx.market.calendar import Calendar, minute_of
from bqx.market.simulated import simulate

F8 = NDArray[np.float64]
DOMAINS: tuple[Domain, ...] = ("rate", "bqx")
START, END = (minute_of(datetime(2024, 2, day, 22, tzinfo=UTC)) for day in (18, 23))
WARM = 5000
"""Bars after which every seed has been forgotten: (1 - 1/120)^5000 is 1e-18."""


@pytest.fixture(scope="module")
def week() -> World:
    """One segment of one pair without a NULL minute."""
    calendar = Calendar.load()
    return World(simulate(calendar, START, END, seed=1, pairs=("eurusd",), origin_minute=START), calendar, START)


def home_of(domain: Domain) -> Dataset:
    return datasets()[f"technical_{domain}"]


def whole(world: World, home: Dataset) -> Streams:
    return world.streams(home, *world.span)[0]


def slow_d(h: F8, low: F8, c: F8) -> F8:
    return talib.SMA(np.nan_to_num(talib.STOCH(h, low, c, 14, 3, 0, 3, 0)[1]), 3)


def peers(h: F8, low: F8, c: F8) -> dict[str, Callable[[], F8]]:
    """TA-Lib's answer for each column where the definitions agree."""
    out: dict[str, Callable[[], F8]] = {
        "macd_line": lambda: talib.MACD(c, 12, 26, 9)[0],
        "macd_signal": lambda: talib.MACD(c, 12, 26, 9)[1],
        "macd_histogram": lambda: talib.MACD(c, 12, 26, 9)[2],
        "macd_5_35_line": lambda: talib.MACD(c, 5, 35, 5)[0],
        "macd_5_35_signal": lambda: talib.MACD(c, 5, 35, 5)[1],
        "macd_5_35_histogram": lambda: talib.MACD(c, 5, 35, 5)[2],
        "stoch_k": lambda: talib.STOCH(h, low, c, 14, 3, 0, 3, 0)[0],
        "stoch_d": lambda: talib.STOCH(h, low, c, 14, 3, 0, 3, 0)[1],
        "stoch_slow_d": lambda: slow_d(h, low, c),
        "stoch_rsi_14": lambda: talib.STOCHRSI(c, 14, 14, 3, 0)[0],
        "atr_ratio_14_60": lambda: talib.ATR(h, low, c, 14) / talib.ATR(h, low, c, 60),
        "rsi_14_slope_5": lambda: talib.MOM(np.nan_to_num(talib.RSI(c, 14)), 5) / 5,
        "cci_20_slope_5": lambda: talib.MOM(np.nan_to_num(talib.CCI(h, low, c, 20)), 5) / 5,
        "williams_r_14_slope_5": lambda: talib.MOM(np.nan_to_num(talib.WILLR(h, low, c, 14)), 5) / 5,
        "williams_r_14_mean_60": lambda: talib.SMA(np.nan_to_num(talib.WILLR(h, low, c, 14)), 60),
        "adx_14_slope_5": lambda: talib.MOM(np.nan_to_num(talib.ADX(h, low, c, 14)), 5) / 5,
    }
    simple: Mapping[str, tuple[Callable[..., Any], Sequence[int]]] = {
        "rsi_{}": (lambda n: talib.RSI(c, n), (7, 9, 14, 21, 28)),
        "stoch_k_{}": (lambda n: talib.STOCHF(h, low, c, n, 1, 0)[0], (5, 90)),
        "cci_{}": (lambda n: talib.CCI(h, low, c, n), (14, 20, 50, 100)),
        "williams_r_{}": (lambda n: talib.WILLR(h, low, c, n), (7, 14, 28, 60, 120)),
        "roc_{}": (lambda n: talib.MOM(c, n), (6, 12, 20, 25, 50, 100)),
        "atr_{}": (lambda n: talib.ATR(h, low, c, n), (7, 14, 28, 60, 120)),
        "adx_{}": (lambda n: talib.ADX(h, low, c, n), (14, 28)),
        "plus_di_{}": (lambda n: talib.PLUS_DI(h, low, c, n), (14, 28)),
        "minus_di_{}": (lambda n: talib.MINUS_DI(h, low, c, n), (14, 28)),
    }
    for template, (function, periods) in simple.items():
        for n in periods:
            out[template.format(n)] = lambda function=function, n=n: function(n)  # type: ignore[misc]
    return out


@pytest.mark.parametrize("domain", DOMAINS)
def test_agrees_with_talib(week: World, domain: Domain) -> None:
    """The same additive bars in both, 1,000 bps up since TA-Lib takes 0 for missing; after the seeds have faded."""
    home = home_of(domain)
    streams = whole(week, home)
    s = streams.stream(domain)
    assert not np.isnan(s.close[16:]).any(), "one segment without a gap"
    h, low, c = (np.ascontiguousarray(x[16:, 0]) + 1000.0 for x in (s.high, s.low, s.close))
    assert len(c) > 7000
    values = evaluate(home, streams)
    for name, peer in peers(h, low, c).items():
        ours, theirs = values[name][16 + WARM :, 0], peer()[WARM:]
        assert not np.isnan(ours).any(), name
        error = np.abs(ours - theirs) / np.maximum(np.abs(theirs), np.std(theirs))
        assert error.max() < 1e-9, (name, error.max(), int(error.argmax()))
    assert len(peers(h, low, c)) == 49


@pytest.mark.parametrize("domain", DOMAINS)
def test_z_scores_agree_with_pandas(week: World, domain: Domain) -> None:
    import pandas as pd

    values = evaluate(home_of(domain), whole(week, home_of(domain)))
    compared = {"rsi_14_z_120": "rsi_14", "cci_20_z_120": "cci_20", "roc_12_z_120": "roc_12", "atr_z_14_240": "atr_14"}
    for name, base in compared.items():
        x = pd.Series(values[base][:, 0])
        window = x.rolling(240 if "240" in name else 120)
        want = ((x - window.mean()) / window.std()).to_numpy()
        both = ~np.isnan(want) & ~np.isnan(values[name][:, 0])
        assert both.sum() > 6000
        np.testing.assert_allclose(values[name][both, 0], want[both], rtol=1e-6, atol=1e-7)


class Mirrored(Streams):
    """The same bars with y -> -y."""

    def stream(self, domain: Domain) -> Stream:
        s = super().stream(domain)
        return replace(s, open=-s.open, high=-s.low, low=-s.high, close=-s.close, change=-s.change, ends=-s.ends)


def mirror_of(name: str, values: Mapping[str, F8]) -> F8:
    """T6: what a column becomes when the price path is turned over."""
    if name.startswith(("plus_di", "minus_di")):
        return values[name.replace("plus", "?").replace("minus", "plus").replace("?", "minus")]
    if name.startswith(("atr", "adx")) or name.endswith("_age"):
        return values[name]
    if "slope" in name or "_z_" in name or name.startswith(("macd", "cci", "roc")):
        return -values[name]
    if name.startswith("williams"):
        return -100.0 - values[name]
    return 100.0 - values[name]


@pytest.mark.parametrize("domain", DOMAINS)
def test_mirror(world: World, domain: Domain) -> None:
    home = home_of(domain)
    streams = whole(world, home)
    values = evaluate(home, streams)
    turned = evaluate(home, Mirrored(streams.panel, streams.calendar, streams.anchors))
    for name, value in turned.items():
        want = mirror_of(name, values)
        assert (np.isnan(value) == np.isnan(want)).all(), name
        assert np.nanmax(np.abs(value - want)) < 1e-6 * max(1.0, float(np.nanstd(want))), name


def test_mirror_of_prices(world: World) -> None:
    """Of 1/p all of rate is the mirror image; of M to first order."""
    o, h, low, c = (pl.col(name) for name in ("open", "high", "low", "close"))
    frames = {k: f.with_columns(open=1 / o, high=1 / low, low=1 / h, close=1 / c) for k, f in world.frames.items()}
    turned = replace(world, frames=frames)
    for domain in DOMAINS:
        home = home_of(domain)
        before, after = world.values(home, *world.span), turned.values(home, *world.span)
        for name, value in after.items():
            gap = np.abs(value - mirror_of(name, before))[~np.isnan(value)] / np.nanstd(value)
            if domain == "rate":
                assert gap.max() < 1e-5, name
            else:
                assert np.median(gap) < 0.005, name
                assert (gap < 0.05).mean() > 0.97, (name, (gap < 0.05).mean())


@pytest.mark.parametrize("domain", DOMAINS)
def test_no_two_columns_are_one(world: World, domain: Domain) -> None:
    """T10: 75,000 rows, no |correlation| above 0.9999."""
    values = world.values(home_of(domain), *world.span)
    names = list(values)
    table = np.column_stack([values[name].ravel() for name in names])
    table = table[~np.isnan(table).any(axis=1)]
    assert len(table) > 50_000
    correlation = np.abs(np.corrcoef(table, rowvar=False) - np.eye(len(names)))
    first, second = np.unravel_index(correlation.argmax(), correlation.shape)
    assert correlation.max() < 0.9999, (names[first], names[second], correlation.max())


@pytest.mark.parametrize("domain", DOMAINS)
def test_quiet_market(week: World, domain: Domain) -> None:
    """500 flat minutes: ratios NULL, RSI holds and is NULL once its averages have faded, nothing is infinite."""
    at = 3000
    frame = week.frames["eurusd"]
    still = float(frame["close"][at])
    flat = pl.Series(np.arange(len(frame))).is_between(at, at + 499)
    prices = ("open", "high", "low", "close")
    frames = {"eurusd": frame.with_columns(pl.when(flat).then(still).otherwise(pl.col(c)).alias(c) for c in prices)}
    values = replace(week, frames=frames).values(home_of(domain), *week.span)
    quiet = slice(at + 300, at + 480)
    for name in (
        *("stoch_k", "stoch_d", "stoch_k_90", "williams_r_120", "cci_14", "cci_100", "stoch_rsi_14", "roc_12_z_120"),
        *("stoch_cross_age", "cci_20_extreme_age", "williams_r_14_mean_60", "rsi_14_z_120"),
    ):
        assert np.isnan(values[name][quiet]).all(), name
    assert (np.abs(values["roc_12"][quiet]) < 1e-12).all()
    if domain == "rate":
        assert np.isnan(values["rsi_7"][quiet]).all(), "what moved has faded"
        assert not np.isnan(values["rsi_28"][quiet]).any()
        held = values["rsi_28"][quiet]
        assert held.max() - held.min() < 1e-9
    assert (values["atr_14"][quiet] < 1e-6).all()
    for name, value in values.items():
        assert not np.isinf(value).any(), name


@dataclass(frozen=True)
class Bug:
    columns: tuple[str, ...]
    plant: Callable[[Streams, str, F8], F8]
    caught_by: str


def simple_means(streams: Streams, name: str, honest: F8) -> F8:
    """RSI from plain means of 14 bars (Cutler) in place of Wilder's."""
    import pandas as pd

    change = pd.DataFrame(streams.stream("rate").change)
    up, down = change.clip(lower=0).rolling(14).mean(), (-change).clip(lower=0).rolling(14).mean()
    return np.where(np.isnan(honest), np.nan, (100 * up / (up + down)).fillna(50.0).to_numpy())


def fresh_each_week(streams: Streams, name: str, honest: F8) -> F8:
    """ATR that begins anew with the week, without bars before it; NULL where the honest one is."""
    s, grid = streams.stream("rate"), streams.panel.grid
    span = movements(s.high, s.low, s.close, grid.seg_age)[0]
    found = smooth(span, grid.seg_age, streams.segment, np.empty((0, span.shape[1])), 1 / 14, 14, 1, 0)
    return np.where(np.isnan(honest), np.nan, found)


def gap_left_in(streams: Streams, name: str, honest: F8) -> F8:
    """MACD over the closure gap: levels of two weeks in one average."""
    s, grid = streams.stream("rate"), streams.panel.grid
    none = np.empty((0, honest.shape[1]))
    fast, slow = (smooth(s.close, grid.seg_age, streams.segment, none, 2 / (n + 1), n, 5 * n, 10 * n) for n in (12, 26))
    return fast - slow


def hundred_for_flat(streams: Streams, name: str, honest: F8) -> F8:
    return np.nan_to_num(honest, nan=50.0)


def early(streams: Streams, name: str, honest: F8) -> F8:
    return np.vstack([honest[1:], np.full((1, honest.shape[1]), np.nan)])


def beyond_cap(streams: Streams, name: str, honest: F8) -> F8:
    return honest + 300


def signed_depth(streams: Streams, name: str, honest: F8) -> F8:
    """%R from 0 to 100 in place of -100 to 0."""
    return -honest


BUGS = (
    Bug(("rsi_14",), simple_means, "reference"),
    Bug(("atr_14",), fresh_each_week, "reference"),
    Bug(("macd_line",), gap_left_in, "reference"),
    Bug(("stoch_k", "williams_r_60", "cci_50"), hundred_for_flat, "nulls"),
    Bug(("stoch_k_5", "cci_20_z_120", "adx_14"), early, "causal"),
    Bug(("stoch_cross_age", "cci_20_extreme_age"), beyond_cap, "bounds"),
    Bug(("williams_r_14",), signed_depth, "bounds"),
)


@pytest.mark.parametrize("plan", BUGS, ids=lambda b: b.plant.__name__)
def test_planted_mistake_is_caught(plan: Bug, world: World) -> None:
    home = home_of("rate")
    home = replace(home, columns=tuple(home.by_name[c] for c in plan.columns))

    def broken(streams: Streams, names: Sequence[str]) -> Mapping[str, F8]:
        return {
            name: plan.plant(streams, name, value) for name, value in home_of("rate").compute(streams, names).items()
        }

    small = world.only(("eurusd", "usdjpy"))
    assert all(r.passed for r in CHECKS[plan.caught_by](home, small))
    assert not any(r.passed for r in CHECKS[plan.caught_by](replace(home, compute=broken), small))


LISTED = """
rsi_7 70 rsi_9 90 rsi_14 140 rsi_21 210 rsi_28 280 rsi_14_slope_5 145 rsi_14_z_120 260 macd_line 130 macd_signal 175
macd_histogram 175 macd_histogram_slope_3 178 macd_5_35_line 175 macd_5_35_signal 200 macd_5_35_histogram 200
stoch_k 16 stoch_d 18 stoch_slow_d 20 stoch_k_5 5 stoch_k_90 90 stoch_cross_age 78 stoch_rsi_14 154 cci_14 14
cci_20 20 cci_50 50 cci_100 100 cci_20_slope_5 25 cci_20_z_120 140 cci_20_extreme_age 260 williams_r_7 7
williams_r_14 14 williams_r_28 28 williams_r_60 60 williams_r_120 120 williams_r_14_slope_5 19
williams_r_14_mean_60 74 roc_6 7 roc_12 13 roc_20 21 roc_25 26 roc_50 51 roc_100 101 roc_12_z_120 133 atr_7 70
atr_14 140 atr_28 280 atr_60 600 atr_120 1200 atr_ratio_14_60 600 atr_z_14_240 380 adx_14 280 adx_28 560
plus_di_14 140 plus_di_28 280 minus_di_14 140 minus_di_28 280 adx_14_slope_5 285
"""
"""Warm-ups of section 4.1 of the specification, in its order of columns."""


@pytest.mark.parametrize("domain", DOMAINS)
def test_columns_are_those_of_the_specification(domain: Domain) -> None:
    """Names and order; composed warm-ups within one bar of the typed ones, plus the 15 bars M needs."""
    home = home_of(domain)
    words = LISTED.split()
    listed = dict(zip(words[::2], map(int, words[1::2]), strict=True))
    assert [c.name for c in home.columns] == list(listed)
    assert len(home.columns) == 56
    assert (home.counted, home.laggable, home.stage) == (True, True, "1.6.10" if domain == "rate" else "1.6.11")
    for item in home.columns:
        extra = item.warmup - listed[item.name] - (15 if domain == "bqx" else 0)
        assert -1 <= extra <= 1, (item.name, item.warmup)
