"""spread: against pandas, the papers' formulas derived a second way, and trades with a planted spread."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import mpmath
import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.typing import NDArray

from bqx.features.anchors import Anchors
from bqx.features.checks import CHECKS, World
from bqx.features.checks.result import same_bits
from bqx.features.compute import evaluate
from bqx.features.declare import Dataset
from bqx.features.families.spread import DATASET
from bqx.features.families.spread_series import PRICED, QUOTED, compute
from bqx.features.kernels.effective_spread import bounce, bounce_step, neighbours, ranges_row, spread_of
from bqx.features.kernels.minute_of_week import AROUND, WEEKS
from bqx.features.kernels.products import PRODUCT_ROWS
from bqx.features.kernels.ticks import tick_signs, tick_step
from bqx.features.streams import Streams
from bqx.market.bars import QUOTE_COLUMNS, as_bars
from bqx.market.calendar import Calendar, minute_of
from bqx.market.panel import make_panel

F8 = NDArray[np.float64]
Values = Mapping[str, F8]
CALENDAR = Calendar.load()
MONDAY = CALENDAR.segment_start(minute_of(datetime(2024, 3, 12, tzinfo=UTC)))


def of(frames: Mapping[str, pl.DataFrame], start: int, end: int, quotes: bool = True) -> Streams:
    panel = make_panel(frames, tuple(frames), CALENDAR.grid(start, end), quotes=quotes)
    return Streams(panel, CALENDAR, Anchors(start, {}, {}))


@pytest.fixture(scope="module")
def streams(world: World) -> Streams:
    return world.streams(DATASET, *world.span)[0]


@pytest.fixture(scope="module")
def values(streams: Streams) -> Values:
    return evaluate(DATASET, streams)


def same(have: F8, want: F8, least: int, rtol: float = 1e-9, atol: float = 1e-11) -> None:
    assert (np.isnan(have) == np.isnan(want)).all()
    assert (~np.isnan(have)).sum() > least
    np.testing.assert_allclose(have, want, rtol=rtol, atol=atol)


def test_names() -> None:
    assert {c.name for c in DATASET.columns} == set(QUOTED) | set(PRICED)
    assert len(DATASET.columns) == 20
    assert not DATASET.counted
    assert DATASET.stage == "1.8.2"


def test_rolling_statistics_by_pandas(streams: Streams, values: Values) -> None:
    """Rolling inside each segment; 54 of 60 values; nothing where there is no quote now."""
    panel = streams.panel
    for lane in range(3):
        ask, bid = panel.quotes["ask_close"][:, lane], panel.quotes["bid_close"][:, lane]
        s = pd.Series(1e4 * (ask - bid) / panel.close[:, lane])
        apart = s.groupby(panel.grid.seg_id)
        begun = int(np.flatnonzero(s.notna())[0]) + 61  # before, the pair's history is shorter than the window

        def by(what: Callable[[pd.Series], pd.Series], s: pd.Series = s, apart: object = apart) -> F8:
            found = apart.transform(lambda x: what(x).where(np.arange(len(x)) >= 59))  # type: ignore[attr-defined]
            return np.asarray(found.where(s.notna()), dtype=np.float64)

        before = by(lambda x: x.shift(1).rolling(60, min_periods=54).mean().where(np.arange(len(x)) >= 60))
        deviation = by(lambda x: x.shift(1).rolling(60, min_periods=54).std().where(np.arange(len(x)) >= 60))
        want = {
            "spread_mean_60": by(lambda x: x.rolling(60, min_periods=54).mean()),
            "spread_std_60": by(lambda x: x.rolling(60, min_periods=54).std()),
            "spread_max_60": by(lambda x: x.rolling(60, min_periods=54).max()),
            "spread_range_60": by(lambda x: x.rolling(60, min_periods=54).max() - x.rolling(60, min_periods=54).min()),
            "spread_z_60": np.where(deviation > 5e-3, (s - before) / deviation, np.nan),
            "spread_chg_5": apart.diff(5).to_numpy(),
        }
        for name, expected in want.items():
            same(values[name][begun:, lane], expected[begun:], 10_000, rtol=1e-7, atol=1e-8)  # pandas' sums drift


def test_correlation_by_pandas(streams: Streams, values: Values) -> None:
    s, size = values["spread_bps"], np.abs(streams.bqx_close)
    for window in (60, 240):
        have = values[f"spread_bqx_corr_{window}"][:, 1]
        a, b = pd.Series(s[:, 1]), pd.Series(size[:, 1])
        want = a.where(b.notna()).rolling(window, min_periods=2).corr(b.where(a.notna())).to_numpy()
        known = ~np.isnan(have)
        assert known.sum() > 10_000
        np.testing.assert_allclose(have[known], want[known], atol=1e-6)


def test_roll_by_pandas(streams: Streams, values: Values) -> None:
    change, age = pd.Series(streams.rate_change[:, 0]), streams.panel.grid.seg_age
    then = change.shift(1).where(age > 0)
    now = change.where(then.notna())
    cov = now.rolling(60, min_periods=54).cov(then.where(now.notna())).to_numpy()
    cov = np.where((age >= 59) & ~np.isnan(streams.panel.close[:, 0]), cov, np.nan)
    want = np.where(np.isnan(cov), np.nan, np.where(cov < -1e-6, 2.0 * np.sqrt(np.maximum(-cov, 0.0)), 0.0))
    have = values["roll_spread_60"][:, 0]
    known = ~np.isnan(have)
    assert (have[known] == 0.0).mean() > 0.2
    same(have[known], want[known], 10_000, atol=1e-6)


def test_roll_by_hand() -> None:
    """1 -1 1 -1 after -1 1 -1 1: covariance -4/3."""
    now = np.array([1.0, -1.0, 1.0, -1.0])[:, None]
    out = bounce(now, -now, np.arange(4, dtype=np.int32), 4, 4)[:, 0]
    assert np.isnan(out[:3]).all()
    assert out[3] == pytest.approx(2.0 * np.sqrt(4.0 / 3.0), rel=1e-15)
    assert bounce(now, now, np.arange(4, dtype=np.int32), 4, 4)[3, 0] == 0.0


@pytest.mark.parametrize("spread", [0.5, 2.0, 40.0])
def test_corwin_schultz_from_its_equations(spread: float) -> None:
    """With k2^2 = k1 the paper's two equations are squares: widths k sigma + a, joint range sqrt 2 k sigma + a, where
    a = ln((2 + S) / (2 - S)). Bars that meet them exactly give S back."""
    a = 1e4 * np.log((2.0 + spread / 1e4) / (2.0 - spread / 1e4))
    for k_sigma in (0.7, 3.0, 90.0):
        width, joint = k_sigma + a, np.sqrt(2.0) * k_sigma + a
        high = np.array([width, joint])[:, None]
        low = np.array([0.0, joint - width])[:, None]
        found = neighbours(high, low, low, np.zeros((2, 1), np.int32), np.arange(2, dtype=np.int32))[0]
        assert np.isnan(found[0, 0])
        assert found[1, 0] == pytest.approx(spread, rel=1e-9)
    jump = np.array([[0.0], [500.0]])
    apart = neighbours(high + jump, low + jump, low, np.zeros((2, 1), np.int32), np.arange(2, dtype=np.int32))[0]
    assert apart[1, 0] == 0.0, "a jump between two bars: a negative estimate is 0"


def trades(spread: float, noise: float = 1.0, bars: int = 3 * 1440, seed: int = 5) -> pl.DataFrame:
    """Bars of 300 trades a minute: an efficient price of `noise` bps a minute, bought or sold at half the spread."""
    rng = np.random.default_rng(seed)
    steps = rng.standard_normal((bars, 300)) * noise / np.sqrt(300)
    sides = rng.choice([-0.5, 0.5], size=steps.shape)
    price = 1.1 * np.exp((np.cumsum(steps.ravel()).reshape(steps.shape) + spread * sides) / 1e4)
    stamps = pl.Series("ts_utc", CALENDAR.grid(MONDAY, MONDAY + bars).minute * 60_000_000).cast(
        pl.Datetime("us", "UTC")
    )
    return as_bars(
        pl.DataFrame(
            {"ts_utc": stamps, "open": price[:, 0], "high": price.max(1), "low": price.min(1), "close": price[:, -1]}
        )
    )


def estimates(spread: float) -> dict[str, float]:
    """Root mean square of Roll's and Abdi-Ranaldo's (their square is what averages), mean of Corwin-Schultz's."""
    frame = trades(spread)
    found = evaluate(DATASET, of({"eurusd": frame}, MONDAY, MONDAY + len(frame)), list(PRICED))
    square = {name: float(np.sqrt(np.nanmean(value**2))) for name, value in found.items()}
    return square | {"cs_spread_60": float(np.nanmean(found["cs_spread_60"]))}


@pytest.mark.parametrize("spread", [2.0, 5.0])
def test_a_planted_spread_is_recovered(spread: float) -> None:
    """Within a fifth from trades; Corwin-Schultz misses what trades and extremes do not meet."""
    for name, value in estimates(spread).items():
        assert value == pytest.approx(spread, rel=0.2), name


def test_without_a_spread_the_estimates_are_small() -> None:
    """Of prices without bounce (mids) the estimators give the noise they are clipped from, under half of sigma."""
    found = estimates(0.0)
    assert all(0.0 < value < 0.75 for value in found.values()), found


def test_realised_spread_by_hand() -> None:
    """Mids 1.0000 then 1.0002 at minute 1: an order to buy at minute 1, at ask 1.0003, and the mid 1.0001 at minute 6:
    2 (1.0003 - 1.0001) / 1.0002. After a fall to the bid."""
    minutes = 12
    mid = np.array([1.0, 1.0002, 1.0002, 1.0002, 1.0002, 1.0002, 1.0001, 1.0001, 1.0001, 1.0001, 1.0001, 1.0004])
    stamps = pl.Series("ts_utc", (MONDAY + np.arange(minutes)) * 60_000_000).cast(pl.Datetime("us", "UTC"))
    columns = {"ts_utc": stamps, **dict.fromkeys(("open", "high", "low", "close"), mid)}
    for side, half in (("bid", -1e-4), ("ask", 1e-4)):
        columns |= {f"{side}_{f}": mid + half for f in ("open", "high", "low", "close")}
    found = evaluate(DATASET, of({"eurusd": as_bars(pl.DataFrame(columns))}, MONDAY, MONDAY + minutes))
    realised = found["realized_spread_5"][:, 0]
    assert np.isnan(realised[:6]).all(), "at minute 5 the mid of minute 0 has not moved yet"
    assert realised[6] == pytest.approx(1e4 * 2.0 * (1.0003 - 1.0001) / 1.0002, rel=1e-9)
    assert realised[7] == pytest.approx(1e4 * 2.0 * (1.0003 - 1.0001) / 1.0002, rel=1e-9), "the tick holds"
    assert realised[11] == pytest.approx(-1e4 * 2.0 * (1.0 - 1.0004) / 1.0001, rel=1e-9), "sold at the bid"
    assert found["spread_bps"][0, 0] == pytest.approx(2.0, rel=1e-12)


def test_spikes_by_hand() -> None:
    """60 spreads of 1 bps, then 2 (no spike), 2.5 (a spike), 1 ..."""
    minutes = 130
    s = np.ones(minutes)
    s[70], s[71], s[90] = 2.0, 2.5, 3.0
    stamps = pl.Series("ts_utc", (MONDAY + np.arange(minutes)) * 60_000_000).cast(pl.Datetime("us", "UTC"))
    columns = {"ts_utc": stamps, **dict.fromkeys(("open", "high", "low", "close"), np.ones(minutes))}
    for side, sign in (("bid", -1.0), ("ask", 1.0)):
        columns |= {f"{side}_{f}": 1.0 + sign * s / 2e4 for f in ("open", "high", "low", "close")}
    frame = as_bars(pl.DataFrame(columns))
    count = evaluate(DATASET, of({"eurusd": frame}, MONDAY, MONDAY + minutes))["spread_spike_count_60"][:, 0]
    assert np.flatnonzero(~np.isnan(count))[0] == 119
    assert count[119] == 2.0


def test_without_quotes(world: World) -> None:
    """All but the three that need prices only are NULL, and say why; also when quotes were not loaded."""
    frames = {
        p: f.with_columns(pl.lit(None, pl.Float64).alias(c) for c in QUOTE_COLUMNS) for p, f in world.frames.items()
    }
    bare = replace(world, frames=frames)
    first, last = world.span
    found, view = bare.values(DATASET, first, last), bare.view(first, last)
    quoted = np.argwhere(view.panel.fill_run[-5000:, 0] == 0)[:, 0] + len(view.panel.grid) - 5000
    for item in DATASET.columns:
        if item.name in PRICED:
            assert (~np.isnan(found[item.name])).sum() > 10_000
            continue
        assert np.isnan(found[item.name]).all()
        assert not item.expected(view).any()
        reason = item.support.why(view, int(quoted[0]), 0)
        assert reason == "capability: the source of these bars gives no bid and ask"
    streams = of({"eurusd": world.frames["eurusd"]}, MONDAY, MONDAY + 600, quotes=False)
    assert np.isnan(np.stack([evaluate(DATASET, streams)[name] for name in QUOTED])).all()


def test_crossed_quotes(world: World) -> None:
    """Kept as they are: a negative spread, to which nothing is in proportion."""
    frame = world.frames["eurusd"]
    swapped = {c: pl.col(c.replace("bid", "ask") if "bid" in c else c.replace("ask", "bid")) for c in QUOTE_COLUMNS}
    crossed = frame.with_columns(**swapped)
    honest, found = (evaluate(DATASET, of({"eurusd": f}, MONDAY, MONDAY + 4000)) for f in (frame, crossed))
    assert same_bits(found["spread_bps"], -honest["spread_bps"]).all()
    assert np.isnan(found["bqx_to_spread_15"]).all()
    assert (~np.isnan(honest["bqx_to_spread_15"])).sum() > 3000
    assert np.nanmin(found["spread_spike_count_60"]) == 0.0


def test_mirror(world: World, values: Values) -> None:
    """T6: the price of the other currency. All of it is even in y; only d turns, and the move with it."""
    turned = {}
    for pair, frame in world.frames.items():
        new = {"open": "open", "high": "low", "low": "high", "close": "close"}
        columns = {k: 1.0 / pl.col(v) for k, v in new.items()}
        for k, v in new.items():
            columns |= {f"bid_{k}": 1.0 / pl.col(f"ask_{v}"), f"ask_{k}": 1.0 / pl.col(f"bid_{v}")}
        turned[pair] = frame.with_columns(**columns)
    first, last = world.span
    mirrored, honest = replace(world, frames=turned).values(DATASET, first, last), world.values(DATASET, first, last)
    for item in DATASET.columns:
        a, b = honest[item.name], mirrored[item.name]
        known = ~np.isnan(a) & ~np.isnan(b)
        assert (np.isnan(a) == np.isnan(b)).mean() > 0.9999
        if item.name != "spread_tod_z":  # no column of four weeks
            assert known.sum() > 10_000
            far = (np.abs(a - b) > 5e-3 * (np.nanstd(a) + np.abs(a)))[known]
            assert far.mean() < (2e-2 if item.name == "spread_spike_count_60" else 1e-3), item.name


def test_no_two_columns_are_one(values: Values) -> None:
    """T10, though they do not count."""
    names = [n for n in values if n != "spread_tod_z"]
    for i, a in enumerate(names):
        for b in names[:i]:
            x, y = values[a].ravel(), values[b].ravel()
            both = ~np.isnan(x) & ~np.isnan(y)
            assert abs(np.corrcoef(x[both], y[both])[0, 1]) < 0.9999, (a, b)


def test_regime_holds(values: Values, long_world: World) -> None:
    """Three states, each lasting; an independent rank agrees with what they mean."""
    found = long_world.values(DATASET, *long_world.span, ["spread_regime", "spread_bps"])
    state, s = found["spread_regime"], found["spread_bps"]
    assert set(np.unique(state[~np.isnan(state)])) == {0.0, 1.0, 2.0}
    rank = pd.Series(s[:, 0]).rolling(7200, min_periods=6480).rank(pct=True).to_numpy()
    known = ~np.isnan(state[:, 0])
    assert known.sum() > 10_000
    assert np.nanmax(rank[known & (state[:, 0] == 0.0)]) <= 0.405
    assert np.nanmin(rank[known & (state[:, 0] == 2.0)]) >= 0.595


class Ring:
    """The last rows of an array, row r at r % length."""

    def __init__(self, rows: int, lanes: int) -> None:
        self.rows = np.full((rows, lanes), np.nan)

    def put(self, r: int, row: F8) -> F8:
        self.rows[r % len(self.rows)] = row
        return self.rows


def test_live_parity(streams: Streams) -> None:
    """Steps over rings give the batch's bits, one pair alone those of many."""
    change, age, p = streams.rate_change, streams.panel.grid.seg_age, streams.panel.shape[1]
    then = np.full_like(change, np.nan)
    then[1:] = np.where((age[1:] > 0)[:, None] & ~np.isnan(change[1:]), change[:-1], np.nan)
    now = np.where(np.isnan(then), np.nan, change)
    bars = (streams.rate_high, streams.rate_low, streams.rate_close)
    runs = streams.panel.fill_run
    a, b, h, low, c = Ring(61, p), Ring(61, p), Ring(2, p), Ring(2, p), Ring(2, p)
    filled, sign, state = np.zeros((2, p), np.int32), np.zeros(p), np.zeros((PRODUCT_ROWS, p))
    live = tuple(np.empty_like(change) for _ in range(4))
    for r, g in enumerate(age.tolist()):
        bounce_step(a.put(r, now[r]), b.put(r, then[r]), r, g, 60, 54, state, live[0], r)
        tick_step(change, r, g, sign, live[1], r)
        filled[r % 2] = runs[r]
        rings = (h.put(r, bars[0][r]), low.put(r, bars[1][r]), c.put(r, bars[2][r]))
        ranges_row(*rings, filled, r, g, (live[2], live[3]), r)
    batch = (bounce(now, then, age, 60, 54), tick_signs(change, age), *neighbours(*bars, runs, age))
    for have, want in zip(live, batch, strict=True):
        assert (~np.isnan(want)).sum() > 10_000
        assert same_bits(have, want).all()
    wide = [np.repeat(x[:, :1], 28, axis=1) for x in (now, then, change, *bars)]
    many = (bounce(wide[0], wide[1], age, 60, 54), tick_signs(wide[2], age),
            *neighbours(*wide[3:], np.repeat(runs[:, :1], 28, axis=1), age))  # fmt: skip
    for have, want in zip(many, batch, strict=True):
        assert same_bits(have, np.repeat(want[:, :1], 28, axis=1)).all()


def test_kernel_errors() -> None:
    """Against 50 digits: changes with a spike that has left the window; ranges far from the segment's start."""
    rng = np.random.default_rng(2)
    change = rng.standard_normal((1500, 1)) * 0.3
    change[700] = 4e3
    change[1:] -= 0.8 * change[:-1] * (np.abs(change[1:]) < 1e3)
    age = np.arange(1500, dtype=np.int32)
    found = bounce(change[1:], change[:-1].copy(), age[1:], 60, 54)[:, 0]
    level = 700.0 + rng.standard_normal((1500, 1))
    high, low = level + rng.random((1500, 1)) + 1.0, level - rng.random((1500, 1)) - 1.0
    spread, product = neighbours(high, low, level, np.zeros((1500, 1), np.int32), age)
    worst = 0.0
    with mpmath.workdps(50):
        m = mpmath.mpf
        for row in range(800, 1490, 7):
            a = [m(float(v)) for v in change[row - 58 : row + 2, 0]]
            b = [m(float(v)) for v in change[row - 59 : row + 1, 0]]
            covariance = (
                mpmath.fsum(x * y for x, y in zip(a, b, strict=True)) - mpmath.fsum(a) * mpmath.fsum(b) / 60
            ) / 59
            assert covariance < 0
            worst = max(worst, float(abs(found[row] / (2 * mpmath.sqrt(-covariance)) - 1)))
            h, bottom = (
                [m(float(v)) for v in high[row - 1 : row + 1, 0]],
                [m(float(v)) for v in low[row - 1 : row + 1, 0]],
            )
            beta = sum((x - y) ** 2 for x, y in zip(h, bottom, strict=True))
            root = 3 - 2 * mpmath.sqrt(2)
            alpha = (mpmath.sqrt(2 * beta) - mpmath.sqrt(beta)) / root
            alpha = (alpha - (max(h) - min(bottom)) / mpmath.sqrt(root)) / 10000
            want = max(m(0), 20000 * mpmath.tanh(alpha / 2))
            assert abs(float(spread[row, 0] - want)) < 1e-11, "bps; e^a - 1 keeps 12 digits of a basis point"
            middle = [(x + y) / 2 for x, y in zip(h, bottom, strict=True)]
            close = m(float(level[row - 1, 0]))
            assert float(product[row, 0]) == pytest.approx(
                float((close - middle[0]) * (close - middle[1])), rel=1e-11, abs=1e-12
            )
    assert worst < 1e-12
    assert (spread[1:] > 0).mean() > 0.2
    assert spread_of(1e-6) == 0.0
    assert spread_of(4e-6) == pytest.approx(4e-3, rel=1e-15)


Bug = Callable[[Streams, dict[str, F8]], None]


def _ahead(streams: Streams, found: dict[str, F8]) -> None:
    """Realised spread stamped when the order was filled, as the design note had it."""
    x = found["realized_spread_5"]
    x[:-5] = x[5:].copy()


def _zero_spread(streams: Streams, found: dict[str, F8]) -> None:
    """A minute without quotes costs nothing."""
    found["spread_bps"] = np.nan_to_num(found["spread_bps"])


def _not_of_the_mid(streams: Streams, found: dict[str, F8]) -> None:
    found["spread_bps"] = found["spread_bps"] * streams.panel.close


def _carried_bars(streams: Streams, found: dict[str, F8]) -> None:
    """A minute without a quote is a bar without range."""
    s, nobody = streams, np.zeros_like(streams.panel.fill_run)
    width = neighbours(s.rate_high, s.rate_low, s.rate_close, nobody, s.panel.grid.seg_age)[0]
    table = pd.DataFrame(width).rolling(60, min_periods=54).mean().to_numpy()
    found["cs_spread_60"] = np.where(np.isnan(found["cs_spread_60"]), np.nan, table)


def _ticks_over_closures(streams: Streams, found: dict[str, F8]) -> None:
    """The direction is remembered from the start of the build, a quiet Sunday open included."""
    age = np.maximum(streams.panel.grid.seg_age, 1)
    mid, side = (
        streams.panel.close,
        tick_signs(np.where(streams.panel.grid.seg_age[:, None] < 400, 0.0, streams.rate_change), age),
    )
    s = found["spread_bps"]
    out = found["realized_spread_5"]
    out[5:] = np.where(np.isnan(out[5:]), np.nan, s[:-5] + 2e4 * side[:-5] * (mid[:-5] - mid[5:]) / mid[:-5])


def _unclipped(streams: Streams, found: dict[str, F8]) -> None:
    found["cs_spread_60"] = found["cs_spread_60"] - 0.5


def _bugged(bug: Bug, column: str) -> Dataset:
    def wrong(streams: Streams, names: Sequence[str]) -> Mapping[str, F8]:
        found = {**compute(streams, list({*names, "spread_bps"}))}
        bug(streams, found)
        return {name: found[name] for name in names}

    only = tuple(c for c in DATASET.columns if c.name == column)
    return replace(DATASET, columns=only, compute=wrong)


@pytest.mark.parametrize(
    ("bug", "column", "check"),
    [
        (_ahead, "realized_spread_5", "causal"),
        (_zero_spread, "spread_bps", "nulls"),
        (_not_of_the_mid, "spread_bps", "scale"),
        (_carried_bars, "cs_spread_60", "reference"),
        (_ticks_over_closures, "realized_spread_5", "partition"),
        (_unclipped, "cs_spread_60", "bounds"),
    ],
)
def test_planted_bugs(world: World, bug: Bug, column: str, check: str) -> None:
    honest = _bugged(lambda streams, found: None, column)
    assert all(r.passed for r in CHECKS[check](honest, world))
    assert not all(r.passed for r in CHECKS[check](_bugged(bug, column), world))


def test_the_current_week_is_found_out(long_world: World) -> None:
    """A profile that takes the current week in: its reference tells."""

    def wrong(streams: Streams, names: Sequence[str]) -> Mapping[str, F8]:
        s, grid = compute(streams, ["spread_bps"])["spread_bps"], streams.panel.grid
        lanes = []
        for lane in range(s.shape[1]):
            table = pd.DataFrame({"week": grid.week, "slot": grid.minute_of_week, "s": s[:, lane]})
            near = pd.concat([table.assign(slot=table.slot + d) for d in range(-AROUND, AROUND + 1)])
            later = pd.concat([near.assign(week=near.week + k) for k in range(WEEKS)])
            stats = table.join(later.groupby(["week", "slot"]).s.agg(["mean", "std"]), on=["week", "slot"])
            lanes.append(((stats["s"] - stats["mean"]) / stats["std"]).to_numpy())
        return {"spread_tod_z": np.stack(lanes, axis=1)}

    only = tuple(c for c in DATASET.columns if c.name == "spread_tod_z")
    assert all(r.passed for r in CHECKS["reference"](replace(DATASET, columns=only), long_world))
    assert not all(r.passed for r in CHECKS["reference"](replace(DATASET, columns=only, compute=wrong), long_world))
