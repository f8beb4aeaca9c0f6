"""Numbers known from elsewhere: worked by hand, from algebra, or from the specification."""

from __future__ import annotations

import csv
import itertools
import math
from datetime import date, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from bqx.features.anchors import Anchors
from bqx.features.catalogue import count, datasets
from bqx.features.checks import World
from bqx.features.compute import compute
from bqx.features.families.time import session_minutes
from bqx.features.kernels import momentum
from bqx.features.streams import WINDOWS, Streams, ewma_weight, momentum_scale
from bqx.features.support import needed
from bqx.market.bars import as_bars
from bqx.market.calendar import EPOCH, Calendar, minute_of
from bqx.market.panel import make_panel

F8 = NDArray[np.float64]
SHARED = Path(__file__).parents[3] / "shared" / "specs" / "columns.csv"


def raw(close: F8, w: int) -> F8:
    """b_W through the kernels, one segment."""
    age = np.arange(len(close), dtype=np.int32)
    shift, excess, _ = momentum.previous_closes(close, age, w, needed(w))
    return momentum.momentum(shift, excess, close, float(w))


@pytest.fixture(scope="module")
def walk() -> F8:
    """28 random walks of 20,000 bars, one basis point a bar."""
    rng = np.random.default_rng(7)
    return 1.1 * np.exp(np.cumsum(1e-4 * rng.standard_normal((20_000, 28)), axis=0))


def test_worked_example() -> None:
    """Specification 1.2.4: closes 100, 101, 102, W = 2."""
    b = raw(np.array([[100.0], [101.0], [102.0]]), 2)
    assert np.isnan(b[:2]).all()
    assert b[2, 0] == pytest.approx(-3 / 102, rel=1e-15)
    assert round(b[2, 0], 7) == -0.0294118
    assert momentum_scale(2) == math.sqrt(5)
    assert round(-1e4 * b[2, 0] / momentum_scale(2), 3) == 131.533


def test_scale_of_each_window() -> None:
    assert [round(momentum_scale(w), 2) for w in WINDOWS] == [35.21, 97.24, 177.19, 271.68, 378.75]
    for w in WINDOWS:
        assert momentum_scale(w) == pytest.approx(math.sqrt(sum(k * k for k in range(1, w + 1))), rel=1e-15)


def test_ewma_weight_is_the_half_life() -> None:
    assert (1 - ewma_weight(120)) ** 120 == pytest.approx(0.5, rel=1e-13)
    assert ewma_weight(1) == 0.5


@pytest.mark.parametrize("w", WINDOWS)
def test_increment_form(walk: F8, w: int) -> None:
    """b_W ~ -sum_j (W - j + 1) r(t - j + 1): the newest return weighs W, the oldest 1."""
    part = np.ascontiguousarray(walk[:3000, :4])
    b = raw(part, w)
    for lane in range(part.shape[1]):
        r = np.diff(np.log(part[:, lane]))
        linear = -np.convolve(r, np.arange(w, 0, -1.0), mode="valid")  # newest first
        assert np.abs(b[w:, lane] - linear).max() < 0.01 * np.nanstd(b)


@pytest.mark.parametrize("w", WINDOWS)
def test_linear_path_gives_half_of_w_plus_one_endpoints(w: int) -> None:
    close = (1.25 + np.arange(200) / 8192)[:, None]  # exact in binary
    b = raw(close, w)[w:, 0]
    endpoint = (close[:-w, 0] - close[w:, 0]) / close[w:, 0]
    np.testing.assert_allclose(b, (w + 1) / 2 * endpoint, rtol=1e-14)


@pytest.mark.parametrize("w", WINDOWS)
def test_variance_on_a_random_walk(walk: F8, w: int) -> None:
    ratio = np.nanstd(raw(walk, w)) / 1e-4 / momentum_scale(w)
    assert abs(ratio - 1) < 0.02


def test_overlap_on_a_random_walk(walk: F8) -> None:
    """Specification 1.2.3, row Overlap, and the free skill of a horizon shorter than the window."""
    b15, b60, b75 = raw(walk, 15)[100:], raw(walk, 60)[100:], raw(walk, 75)[100:]

    def corr(x: F8, y: F8) -> float:
        return float(np.corrcoef(x.ravel(), y.ravel())[0, 1])

    assert corr(b15[1:], b15[:-1]) == pytest.approx(0.90, abs=0.01)
    assert corr(b60, b75) == pytest.approx(0.98, abs=0.01)
    assert corr(b15, b60) == pytest.approx(0.69, abs=0.01)
    assert corr(b60[15:], b60[:-15]) == pytest.approx(0.64, abs=0.02)


@pytest.fixture(scope="module")
def streams(world: World) -> Streams:
    return world.streams(datasets()["base_bqx"], *world.span)[0]


@pytest.fixture(scope="module")
def base(world: World) -> dict[str, F8]:
    return world.values(datasets()["base_bqx"], *world.span)


@pytest.mark.parametrize("w", WINDOWS)
def test_equals_the_direct_sum(streams: Streams, w: int) -> None:
    """T7: b_W against the sum as the seed writes it, to 1e-12."""
    b, close = streams.raw_bqx(w), streams.panel.close
    rows, lanes = np.nonzero(~np.isnan(b))
    pick = np.random.default_rng(w).choice(len(rows), 1000, replace=False)
    for row, lane in zip(rows[pick], lanes[pick], strict=True):
        now = close[row, lane]
        past = close[row - w : row, lane]
        past = past[~np.isnan(past)]
        direct = math.fsum((p - now) / now for p in past) * w / len(past)
        assert abs(b[row, lane] - direct) < 1e-12


def test_momentum_of_the_extremes(streams: Streams) -> None:
    """M^L <= M^O, M^C <= M^H: M rises with the price of the bar."""
    panel = streams.panel
    low, high = streams.oriented(15, panel.low), streams.oriented(15, panel.high)
    close, open_ = streams.oriented(15), streams.oriented(15, panel.open)
    valid = ~np.isnan(close)
    assert valid.sum() > 50_000
    for inner in (close, open_):
        assert (low[valid] <= inner[valid]).all()
        assert (inner[valid] <= high[valid]).all()
    assert (low[valid] < high[valid]).mean() > 0.9


def test_aggregates_are_the_longest_window(base: dict[str, F8]) -> None:
    for what in ("return", "max_index", "min_index", "avg_index", "stdev_index"):
        np.testing.assert_array_equal(base[f"agg_bqx_{what}"], base[f"w75_bqx_{what}"])
    known = ~np.isnan(base["w75_bqx_max_index"])
    span = (base["w75_bqx_max_index"] - base["w75_bqx_min_index"]) / base["rate_index"]
    np.testing.assert_allclose(base["agg_bqx_range"][known], span[known], rtol=1e-9, atol=1e-15)
    spread = base["w75_bqx_stdev_index"] / base["rate_index"]
    np.testing.assert_allclose(base["agg_bqx_volatility"][known], spread[known], rtol=1e-12)
    assert (base["w75_bqx_min_index"][known] <= base["w75_bqx_avg_index"][known]).all()
    assert (base["w75_bqx_avg_index"][known] <= base["w75_bqx_max_index"][known]).all()


@pytest.mark.parametrize(
    ("day", "tokyo", "london", "new_york"),
    [
        # a trade day begins 17:00 New York; Tokyo is always 00:00-09:00 UTC
        (date(2024, 1, 10), (120, 660), (600, 1140), (900, 1440)),  # begins 22:00; London 08-17, New York 13-22 UTC
        (date(2024, 3, 12), (180, 720), (660, 1200), (900, 1440)),  # begins 21:00; London still 08-17, New York 12-21
        (date(2024, 7, 10), (180, 720), (600, 1140), (900, 1440)),  # begins 21:00; London 07-16, New York 12-21
        (date(2024, 10, 29), (180, 720), (660, 1200), (900, 1440)),  # Europe back in winter, New York not yet
        (date(2024, 11, 5), (120, 660), (600, 1140), (900, 1440)),  # both in winter
    ],
)
def test_sessions_by_hand(
    day: date, tokyo: tuple[int, int], london: tuple[int, int], new_york: tuple[int, int]
) -> None:
    assert session_minutes((day - EPOCH).days) == (tokyo, london, new_york)


@pytest.mark.parametrize(
    ("day", "clock", "expected"),
    [
        # Tuesday in the weeks when New York has changed its clocks and London has not
        ("2024-03-12", "07:59", {"trading_session": 1, "session_overlap": 1, "minutes_since_market_open": 479}),
        ("2024-03-12", "08:00", {"trading_session": 2, "session_overlap": 2, "minutes_since_market_open": 0}),
        ("2024-03-12", "11:59", {"trading_session": 2, "session_overlap": 1, "minutes_since_market_open": 239}),
        ("2024-03-12", "12:00", {"trading_session": 4, "session_overlap": 2, "minutes_since_market_open": 0}),
        ("2024-03-12", "17:00", {"trading_session": 3, "session_overlap": 1, "minutes_since_market_open": 300}),
        ("2024-03-12", "20:54", {"is_rollover_window": 0, "minutes_to_week_close": 3 * 1440 + 6}),
        ("2024-03-12", "20:55", {"is_rollover_window": 1, "trading_session": 3}),
        ("2024-03-12", "21:09", {"is_rollover_window": 1, "trading_session": 0, "minutes_since_market_open": 549}),
        ("2024-03-12", "21:10", {"is_rollover_window": 0, "session_overlap": 0}),
        # summer, both changed
        ("2024-07-09", "07:00", {"trading_session": 2, "session_overlap": 2}),
        ("2024-07-09", "16:00", {"trading_session": 3, "session_overlap": 1}),
        # the last four hours of the week, and its last minute
        ("2024-03-15", "16:59", {"is_weekend_approach": 0, "minutes_to_week_close": 241}),
        ("2024-03-15", "17:00", {"is_weekend_approach": 1, "minutes_to_week_close": 240}),
        ("2024-03-15", "20:59", {"is_weekend_approach": 1, "minutes_to_week_close": 1}),
        # the first minute of a week is Monday's
        ("2024-03-10", "21:00", {"hour_sin": 0, "hour_cos": 1, "day_of_week_sin": 0, "day_of_week_cos": 1}),
        ("2024-03-11", "03:00", {"hour_sin": 1, "hour_cos": 0, "minutes_to_week_close": 7200 - 360}),
        ("2024-03-12", "22:00", {"day_of_week_sin": math.sin(4 * math.pi / 5)}),
        # Christmas Wednesday 2024: Tuesday's close does not close the week, Friday's does
        ("2024-12-24", "21:59", {"is_weekend_approach": 0}),
        ("2024-12-27", "21:59", {"is_weekend_approach": 1}),
    ],
)
def test_time_by_hand(calendar: Calendar, day: str, clock: str, expected: dict[str, float]) -> None:
    minute = minute_of(datetime.fromisoformat(f"{day}T{clock}:00+00:00"))
    assert calendar.is_open(np.array([minute]))[0]
    panel = make_panel({}, ("eurusd",), calendar.grid(calendar.segment_start(minute), minute + 1))
    found = compute(panel, calendar, Anchors(), ["time_dual"])["time_dual"]
    assert {k: found[k][-1, 0] for k in expected} == pytest.approx(expected, abs=1e-15)


def test_triangle(small_frames: dict[str, pl.DataFrame], holiday_calendar: Calendar) -> None:
    """T12: of consistent cross rates the returns add up, over every horizon and over closures."""
    left, right = small_frames["eurusd"], small_frames["usdjpy"]
    both = left.join(right, on="ts_utc", suffix="_r").sort("ts_utc")
    prices = ("open", "high", "low", "close")
    frames = {
        "eurusd": as_bars(both.select("ts_utc", *prices)),
        "usdjpy": as_bars(both.select("ts_utc", *(pl.col(f"{c}_r").alias(c) for c in prices))),
        "eurjpy": as_bars(both.select("ts_utc", *(pl.col(c) * pl.col(f"{c}_r") for c in prices))),
    }
    world = World(frames, holiday_calendar, 0)
    values = world.values(datasets()["returns_raw_rate"], *world.span)
    for name, v in values.items():
        legs = v[:, 0] + v[:, 1] - v[:, 2]
        assert (~np.isnan(legs)).sum() > 10_000
        assert np.nanmax(np.abs(legs)) < 1e-9, name
        assert (np.isnan(v[:, 0]) == np.isnan(v[:, 2])).all()


HORIZONS = (1, 2, 3, 5, 10, 15, 30, 45, 60, 75, 120, 240, 480, 1440)
FIELDS = ("return", "max_index", "min_index", "avg_index", "stdev_index")
EXPECTED = {
    "base_bqx": [
        "rate_index",
        *(f"w{w}_bqx_{f}" for w, f in itertools.product((15, 30, 45, 60, 75), (*FIELDS, "endpoint"))),
        *(f"agg_bqx_{f}" for f in (*FIELDS, "range", "volatility")),
        *(f"M_{w}" for w in (15, 30, 45, 60, 75)),
    ],
    "ohlc_rate": [
        *("open_index", "high_index", "low_index", "rate_index", "gap_factor"),
        *("seg_id", "seg_age", "is_filled", "fill_run", "baseline_epoch"),
    ],
    "time_dual": [
        *("hour_sin", "hour_cos", "day_of_week_sin", "day_of_week_cos", "session_overlap", "is_weekend_approach"),
        *("minutes_since_market_open", "trading_session", "minutes_to_week_close", "is_rollover_window"),
    ],
    **{f"returns_raw_{d}": [f"ret_{h}" for h in HORIZONS] for d in ("rate", "bqx")},
    **{f"returns_std_{d}": [f"retz_{h}" for h in HORIZONS] for d in ("rate", "bqx")},
}


@pytest.mark.parametrize("name", EXPECTED)
def test_columns_are_those_of_the_templates(name: str) -> None:
    assert [c.name for c in datasets()[name].columns] == EXPECTED[name]


def test_counts() -> None:
    """T1 for the first datasets: 28 + 28 + 10 counted columns, 43 and 10 auxiliary ones."""
    chosen = [datasets()[name] for name in EXPECTED]
    found = count(chosen)
    assert found["counted"] == 28 + 28 + 10
    assert found["auxiliary"] == 43 + 10
    assert found["columns"] == 66 + 53
    assert len(datasets()["base_bqx"].columns) == 38 + 5
    assert not datasets()["base_bqx"].counted
    assert not datasets()["ohlc_rate"].counted


UNITS = {"spread_bqx.spread_slope_60": "bps"}
"""Units that the list gives and we do not: a slope is in bps a bar."""


@pytest.mark.real_data
def test_agrees_with_the_specification() -> None:
    """Every dataset that the shared list has: the same columns and units in the same order."""
    if not SHARED.exists():
        pytest.skip("../shared/specs/columns.csv is not here")
    with SHARED.open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    listed: dict[str, list[tuple[str, str, bool]]] = {}
    for row in rows:
        listed.setdefault(row["dataset"], []).append((row["column"], row["unit"], row["counted"] == "1"))
    compared = 0
    for name, home in datasets().items():
        if name not in listed:
            assert name == "base_bqx", f"{name} is not in the specification"
            continue
        declared = [(c.name, UNITS.get(f"{name}.{c.name}", c.unit), home.counted) for c in home.columns]
        assert declared == listed[name]
        compared += 1
    assert compared >= 6
