"""The event loop against an independent reference, no look-ahead, caps, and paper trading trade for trade."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import polars as pl
import pytest
from market_worlds import SMALL_END, SMALL_START, feed, forecasts

from bqx.market.calendar import Calendar
from bqx.research.backtest.costs import Costs
from bqx.research.backtest.financing import Financing
from bqx.research.backtest.market import Bar, Quote
from bqx.research.backtest.outcomes import outcomes, taken
from bqx.research.backtest.signal import SignalRule, signals
from bqx.research.backtest.simulate import Setup, simulate
from bqx.research.backtest.sizing import Exposure, Sizing
from bqx.research.backtest.trader import Barriers, Decision, Trader
from bqx.research.backtest.zones import NoTrade
from bqx.research.broker.simulated import SimulatedBroker

PLAIN = Setup(rule=SignalRule(extra_cost_bps=0.8), sizing=Sizing(currency_cap=None))
SLOW = Setup(
    rule=SignalRule(0.3, 0.5, 0.9),
    costs=Costs(0.2, 0.4, 0.1, 100.0, Financing(3.0)),
    zones=NoTrade(before=0, after=0, spare=0),
    sizing=Sizing(risk_bps=2.0, most=0.3, currency_cap=None),
)


@pytest.fixture(scope="module")
def tables(small_frames, holiday_calendar):
    return forecasts(small_frames, holiday_calendar, SMALL_START, SMALL_END)


@pytest.fixture(scope="module")
def bars(small_frames, holiday_calendar):
    return feed(small_frames, holiday_calendar, SMALL_START, SMALL_END)


def reference(frames, calendar: Calendar, tables, setup: Setup) -> pd.DataFrame:
    """The rules once more, with pandas, a sleeve at a time: no broker, no events."""
    grid = calendar.grid(SMALL_START, SMALL_END)
    index = pd.Index(grid.minute)
    seg, day, mod = (pd.Series(x, index) for x in (grid.seg_id, grid.day, grid.minute_of_day))
    c, out = setup.costs, []
    wait, part = divmod(c.latency, 60)
    for t in tables:
        f = frames[t.pair].to_pandas()
        f.index = (f["ts_utc"].astype("int64") // 60_000_000).to_numpy() if f["ts_utc"].dtype.str[-4:] == "[us]" else (
            f["ts_utc"].dt.as_unit("us").astype("int64") // 60_000_000).to_numpy()  # fmt: skip
        f = f.reindex(index)
        half = {k: 5e3 * (f[f"ask_{k}"] - f[f"bid_{k}"]) / f[k] for k in ("open", "close")}
        mid = f["open"] + part / 60 * (f["close"] - f["open"])
        cost = half["open"] + part / 60 * (half["close"] - half["open"])
        z, busy = setup.zones, -1
        for i in range(len(t)):
            m = int(t.minute[i])
            if m < busy or np.isnan(f["close"].get(m, np.nan)):
                continue
            expected = t.f4[i] * t.sigma[i] * t.horizon**0.5 * setup.rule.shrink
            if not abs(expected) > 2 * half["close"][m] + setup.rule.extra_cost_bps + setup.rule.margin_bps:
                continue
            if mod[m] < z.after or mod[m] >= 1440 - z.before or t.left[i] < t.horizon + z.spare:
                continue
            e = m + 1 + int(wait)
            if (
                e not in seg.index
                or seg[e] != seg[m]
                or np.isnan(mid[e])
                or mod[e] < z.after
                or mod[e] >= 1440 - z.before
            ):
                continue
            later = mid.loc[m + t.horizon + 1 + int(wait) :].dropna()
            busy = m + t.horizon
            x = int(later.index[0])
            side = np.sign(expected)
            nights = sum(
                {2: 3}.get(d, 1) if t.pair != "usdcad" else {3: 3}.get(d, 1)
                for d in [(int(k) + 3) % 7 for k in sorted(set(day.loc[e:x]))[:-1]]
            )
            net = side * 1e4 * (mid[x] / mid[e] - 1) - cost[e] - cost[x]
            net -= 2 * (c.slippage_bps + c.slippage_sigma * t.sigma[i] + c.commission_bps)
            net -= c.financing.markup * 100 * nights / 360
            weight = min(setup.sizing.most, setup.sizing.risk_bps / (t.sigma[i] * t.horizon**0.5))
            out.append((t.pair, t.horizon, m, int(side), weight, e, x, net))
    names = ["pair", "horizon", "decided", "side", "weight", "entered", "exited", "net"]
    return pd.DataFrame(out, columns=names).sort_values(["pair", "horizon", "decided"], ignore_index=True)


@pytest.mark.parametrize("setup", [PLAIN, SLOW], ids=["plain", "slow"])
def test_event_loop_and_rows_at_once_and_reference_agree(setup, small_frames, holiday_calendar, tables, bars):
    """Holes, a holiday, a change of clocks and the triple day included: same trades, same money. The holiday of 6 March
    moves value dates, which the reference's weekday rule does not know; no position is held over its eve. Months of
    bars in one case, one piece in the other."""
    pieces = bars.markets() if setup is PLAIN else [bars.market(SMALL_START, SMALL_END)]
    done = simulate(pieces, holiday_calendar, tables, setup)
    found = pd.DataFrame([
        (t.pair, t.horizon, t.decided, t.side, t.weight, t.entered, t.exited, t.net_bps) for t in done.trades
    ], columns=["pair", "horizon", "decided", "side", "weight", "entered", "exited", "net"])  # fmt: skip
    found = found.sort_values(["pair", "horizon", "decided"], ignore_index=True)
    want = reference(small_frames, holiday_calendar, tables, setup)
    assert len(want) > 500
    pd.testing.assert_frame_equal(found.drop(columns="net"), want.drop(columns="net"), check_dtype=False, rtol=1e-12)
    np.testing.assert_allclose(found["net"], want["net"], atol=1e-9)
    assert done.open == 0
    assert done.pnl.sum() == pytest.approx(float((want["weight"] * want["net"]).sum()), abs=1e-6)
    market = bars.market(SMALL_START, SMALL_END)
    for t in tables:
        o = outcomes(t, market, holiday_calendar, setup.costs, setup.zones)
        side = signals(t.f4, t.sigma, o.spread_bps, t.horizon, setup.rule).side
        rows = taken(o, side)
        mine = want[(want["pair"] == t.pair) & (want["horizon"] == t.horizon)]
        assert t.minute[rows].tolist() == mine["decided"].tolist()
        np.testing.assert_allclose(o.net_bps(side)[rows], mine["net"], atol=1e-9)
        assert float(o.cost_bps[rows].min()) > 0.0


def test_sign_the_oracle_earns_and_its_mirror_loses(small_frames, holiday_calendar, bars):
    """Costs 0: a forecast that knows half of y4 earns what it expects; with the sign turned it loses exactly that."""
    good = forecasts(small_frames, holiday_calendar, SMALL_START, SMALL_END, r2=0.5, horizons=(60,))
    free = Setup(costs=Costs(0, 0, 0, 0.0, Financing(0.0)), sizing=Sizing(currency_cap=None))
    cheap = replace(bars, cost=0.0)
    won = simulate(cheap.markets(), holiday_calendar, good, free)
    lost = simulate(cheap.markets(), holiday_calendar, [replace(t, f4=-t.f4) for t in good], free)
    assert len(won.trades) > 500
    np.testing.assert_allclose(won.pnl, -lost.pnl, atol=1e-9)
    expected = np.mean([abs(t.expected_bps) for t in won.trades])
    got = np.array([t.gross_bps for t in won.trades])
    assert abs(got.mean() - expected) < 4 * got.std() / len(got) ** 0.5
    assert got.mean() > 2.0


@pytest.mark.parametrize("quoted", [True, False], ids=["quotes", "estimated"])
def test_no_look_ahead(quoted, small_frames, holiday_calendar, tables):
    """Bars after t replaced by noise and deleted: trades closed and daily profit up to t are bit for bit the same."""
    rng = np.random.default_rng(1)
    frames = dict(small_frames)
    if not quoted:
        sides = [f"{s}_{k}" for s in ("bid", "ask") for k in ("open", "high", "low", "close")]
        frames = {p: f.with_columns(pl.lit(None, pl.Float64).alias(k) for k in sides) for p, f in frames.items()}
    cut = SMALL_START + 17 * 1440 + 611
    changed = {}
    for pair, frame in frames.items():
        late = frame["ts_utc"].to_physical().to_numpy() // 60_000_000 > cut
        prices = [k for k in frame.columns if k not in ("ts_utc", "volume")]
        noise = np.where(late, np.exp(0.01 * rng.normal(size=len(frame))), 1.0)
        new = frame.with_columns((pl.col(k) * noise).alias(k) for k in prices)
        changed[pair] = new.filter(~late | (rng.random(len(frame)) < 0.7))
    setup = replace(PLAIN, sizing=Sizing(currency_cap=0.7), barriers=Barriers(stop=1.0, take=1.5))
    before, after = (
        simulate(feed(f, holiday_calendar, SMALL_START, SMALL_END).markets(), holiday_calendar, tables, setup)
        for f in (frames, changed)
    )
    assert (before.estimated > 0) != quoted
    closed = [[t for t in s.trades if t.exited <= cut] for s in (before, after)]
    assert len(closed[0]) > (300 if quoted else 60)
    assert closed[0] == closed[1]
    whole = before.days < holiday_calendar.trade_day(cut)
    assert whole.sum() > 9
    assert np.array_equal(before.pnl[whole], after.pnl[whole])
    assert not np.array_equal(before.pnl[~whole], after.pnl[~whole]), "the later bars do differ"


def test_currency_caps_hold_at_every_moment(bars, holiday_calendar, tables):
    """Replay of the fills: no net exposure to a currency ever passes the cap, and the cap does bind."""
    setup = replace(PLAIN, sizing=Sizing(risk_bps=20.0, most=1.0, currency_cap=1.2, least=0.2))
    broker = SimulatedBroker(holiday_calendar, setup.costs, setup.zones)
    trader = Trader(broker, setup.rule, setup.zones, setup.sizing)
    rows: dict[int, list[Decision]] = {}
    for t in tables:
        for i in range(len(t)):
            d = Decision(t.pair, t.horizon, 0, float(t.f4[i]), float(t.sigma[i]), int(t.left[i]))
            rows.setdefault(int(t.minute[i]), []).append(d)
    most = 0.0
    for market in bars.markets():
        for bar in market.bars():
            broker.on_bar(bar)
            most = max(most, *map(abs, Exposure(broker.positions().items()).net().values()))
            trader.step(bar, rows.get(bar.minute, ()))
    assert 1.1 < most <= 1.2 + 1e-12
    assert trader.refused["currency cap"] > 10
    weights = {round(t.weight, 9) for t in trader.trades}
    assert len(weights) > 20, "orders are cut down, not only refused"


def test_no_demonstrated_skill_no_trade(bars, holiday_calendar, tables):
    done = simulate(bars.markets(), holiday_calendar, tables, PLAIN, demonstrated=False)
    assert done.trades == []
    assert not done.pnl.any()


class Venue:
    """A stand-in for a live connection: of each minute the quotes, pairs in any order, nothing else."""

    def __init__(self, frames, calendar: Calendar) -> None:
        self.rows: dict[int, dict[str, Quote]] = {}
        for pair in reversed(list(frames)):
            for r in frames[pair].iter_rows(named=True):
                half = [5e3 * (r[f"ask_{k}"] - r[f"bid_{k}"]) / r[k] for k in ("open", "close")]
                quote = Quote(r["open"], r["high"], r["low"], r["close"], *half)
                self.rows.setdefault(int(r["ts_utc"].timestamp()) // 60, {})[pair] = quote
        self.grid = calendar.grid(min(self.rows), max(self.rows) + 1)

    def minutes(self):
        g = self.grid
        for i, minute in enumerate(g.minute.tolist()):
            if minute in self.rows:
                yield Bar(minute, int(g.day[i]), int(g.minute_of_day[i]), int(g.seg_id[i]), self.rows[minute])


def test_paper_trading_equals_backtest_trade_for_trade(small_frames, holiday_calendar, tables, bars):
    """A paper loop that gets one minute at a time, skips minutes in which nobody quoted, and asks for a forecast only
    when a minute is complete, makes the trades of the backtest, fills and all."""
    setup = replace(PLAIN, sizing=Sizing(currency_cap=1.0), barriers=Barriers(stop=1.2, take=2.0))
    done = simulate(bars.markets(), holiday_calendar, tables, setup)
    lookup: dict[int, list[Decision]] = {}
    for t in tables:
        for i in range(len(t)):
            d = Decision(t.pair, t.horizon, int(t.fold[i]), float(t.f4[i]), float(t.sigma[i]), int(t.left[i]))
            lookup.setdefault(int(t.minute[i]), []).append(d)
    broker = SimulatedBroker(holiday_calendar, setup.costs, setup.zones)
    trader = Trader(broker, setup.rule, setup.zones, setup.sizing, setup.barriers)
    for bar in Venue(small_frames, holiday_calendar).minutes():
        broker.on_bar(bar)
        trader.step(bar, lookup.get(bar.minute, ())[::-1])
    trader.settle()
    assert len(done.trades) > 500
    assert trader.trades == done.trades
    assert {t.why for t in trader.trades} == {"time", "stop", "take"}
    assert broker.mark() == pytest.approx(float(done.pnl.sum()), abs=1e-6)
